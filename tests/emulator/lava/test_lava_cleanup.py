"""However a Lava run ends, no process, no shared memory and no temporary file is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import EngineError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.lava import engine
from aspen_emulator.engines.lava.engine import LavaSession, run_lava, run_on
from aspen_emulator.engines.lava.isolation import LavaWorker
from aspen_emulator.engines.lava.schedule import make_schedule
from aspen_emulator.engines.lava.shim import lava_available

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
    pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks for processes and their memory in /proc"),
]

NEURON = Lif(threshold=1.0, beta=0.9)
NETWORK = Network(
    [Population("in", (3,)), Population("hidden", (4,), NEURON), Population("out", (2,), NEURON)],
    [Dense("in", "hidden", np.full((4, 3), 0.5)), Dense("hidden", "out", np.full((2, 4), 0.5))],
)
THRESHOLDS = {"hidden": np.ones((1, 1, 1)), "out": np.ones((1, 1, 1))}
SPIKES = np.ones((20, 1, 3), np.uint8)
LONG = np.ones((100_000, 1, 3), np.uint8)
LAVA_PROCESSES = 8  # worker, 5 processes, runtime service, manager of shared memory; the tracker comes on top


@dataclass
class Traces:
    """What a worker had started, seen while it was alive."""

    leader: int
    pids: set[int]
    segments: set[str]
    scratch: Path

    def left(self) -> list[str]:
        """What of it, and of processes started since, is still there; an exiting process gets ten seconds to vanish."""
        deadline = time.monotonic() + 10
        while session_of(self.leader) and time.monotonic() < deadline:
            time.sleep(0.01)
        processes = [f"process {pid}" for pid in session_of(self.leader)]
        segments = [name for name in self.segments if Path(name).exists()]
        return processes + segments + [str(self.scratch)] * self.scratch.exists()


def session_of(leader: int) -> set[int]:
    """All living processes of the session (in the sense of POSIX) that ``leader`` has begun."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _parent, _group, session = entry.read_text().rsplit(")", 1)[1].split()[:4]
            if session == str(leader) and state not in "ZX":
                found.add(int(entry.parent.name))
    return found


def segments_of(pids: set[int]) -> set[str]:
    """Named shared memory that these processes have mapped."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
            found |= {line.split()[5] for line in lines if "/dev/shm/" in line}
    return found


def traces_of(pid: int, scratch: str) -> Traces:
    pids = session_of(pid)
    return Traces(pid, pids, segments_of(pids), Path(scratch))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Traces]]:
    """What each worker had started, noted when its end begins; fails if any of it is there after the test."""
    seen: list[Traces] = []

    class Watched(LavaWorker):
        def close(self) -> None:
            if self.pid is not None:
                seen.append(traces_of(self.pid, self._scratch))
            super().close()

    monkeypatch.setattr(engine, "LavaWorker", Watched)
    yield seen
    assert seen
    assert [traces.left() for traces in seen] == [[] for _ in seen]


def assert_was_running(traces: Traces) -> None:
    assert len(traces.pids) > LAVA_PROCESSES
    assert traces.segments
    assert traces.scratch.name.startswith("aspen-lava-")


def interrupt(*_: int) -> None:
    raise KeyboardInterrupt


def test_after_success(watched: list[Traces]) -> None:
    assert run_lava(NETWORK, SPIKES, THRESHOLDS).output.any()
    assert watched[0].segments == set()  # the runtime was stopped in the regular way


def test_several_runs_of_one_worker() -> None:
    with LavaWorker() as worker:
        assert worker.pid is not None
        seen: list[Traces] = []
        for _ in range(2):
            run_on(worker, NETWORK, LONG[:1000], THRESHOLDS, progress=lambda *_: seen.append(note(worker)))
        assert_was_running(seen[0])
        assert not any(Path(name).exists() for name in seen[0].segments)
        assert len(seen[0].pids & session_of(worker.pid)) <= 2  # the worker and the resource tracker serve all runs
    assert [traces.left() for traces in seen] == [[]] * len(seen)


def note(worker: LavaWorker) -> Traces:
    assert worker.pid is not None
    return traces_of(worker.pid, worker._scratch)


def test_after_an_exception_in_a_lava_process(watched: list[Traces]) -> None:
    """Thresholds of a wrong shape, passed by the checks, fail in the neurons' process model, at the first step."""
    schedule = make_schedule(NETWORK, 20, 1, THRESHOLDS)
    bad = replace(schedule, initial=schedule.initial | {"hidden": np.ones(3)})
    started = time.monotonic()
    with engine.LavaWorker() as worker, pytest.raises(EngineError, match="run failed: ValueError: operands could not"):
        worker.request("run", NETWORK, SPIKES, bad, [], timeout=60)
    assert time.monotonic() - started < 20
    assert watched[0].segments


def test_the_log_is_the_cause_of_the_error() -> None:
    with LavaWorker() as worker, pytest.raises(EngineError, match="KeyError: 'nonsense'") as caught:
        worker.request("nonsense", timeout=60)
    assert "\n" not in str(caught.value)
    assert "Traceback" in str(caught.value.__cause__)
    with pytest.raises(EngineError, match="the worker is closed; open a new one"):
        worker.request("stop", timeout=60)


def test_after_a_time_out_of_a_hanging_runtime(watched: list[Traces]) -> None:
    session = LavaSession(NETWORK)
    session.step(SPIKES[0, 0])
    assert session._worker is not None
    with pytest.raises(EngineError, match=r"hang took longer than the time-out of 0\.3 s and was ended"):
        session._worker.request("hang", 100.0, timeout=0.3)
    assert_was_running(watched[0])
    session.close()
    session.close()


def test_after_a_time_out_in_the_middle_of_a_run(watched: list[Traces]) -> None:
    with pytest.raises(EngineError, match="run took longer than the time-out of 2 s"):
        run_lava(NETWORK, LONG, THRESHOLDS, timeout=2)
    assert len(watched) == 1


def test_after_an_error_in_the_callers_code(watched: list[Traces]) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_lava(NETWORK, LONG, THRESHOLDS, progress=interrupt)
    assert_was_running(watched[0])
    with pytest.raises(ZeroDivisionError), LavaSession(NETWORK):
        _ = 1 / 0


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored; the tests want what a terminal gives."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_after_ctrl_c(watched: list[Traces]) -> None:
    """A real SIGINT, while this process waits for a run and while it waits for the worker to start."""
    timers = [threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)) for _ in range(2)]
    begun = iter(timers)
    with pytest.raises(KeyboardInterrupt):
        run_lava(NETWORK, LONG, THRESHOLDS, progress=lambda done, _: next(begun).start() if done == 100 else None)
    assert_was_running(watched[0])
    timers[1].start()
    with pytest.raises(KeyboardInterrupt):
        run_lava(NETWORK, LONG, THRESHOLDS)
    for timer in timers:
        timer.join()


def test_after_ctrl_c_in_a_session(watched: list[Traces]) -> None:
    session = LavaSession(NETWORK)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        session._request("hang", 60.0)
    timer.join()
    assert_was_running(watched[0])
    with pytest.raises(EngineError, match="lava session: cannot step, as it is closed"):
        session.step(SPIKES[0, 0])


def test_after_the_death_of_the_worker(watched: list[Traces]) -> None:
    with LavaSession(NETWORK) as session:
        assert session._worker is not None
        assert session._worker.pid is not None
        before = note(session._worker)
        os.kill(session._worker.pid, signal.SIGKILL)
        with pytest.raises(EngineError, match="the worker"):
            session.step(SPIKES[0, 0])
        assert_was_running(before)
        assert before.left() == []


def test_with_sigterm_ignored_and_blocked_by_the_caller(watched: list[Traces]) -> None:
    """A process inherits both; SIGTERM must end it nevertheless."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        session = LavaSession(NETWORK)
        assert session._worker is not None
        started = time.monotonic()
        session._worker.close()
        assert time.monotonic() - started < 9  # SIGKILL would come after 10 s
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGTERM, before)
    assert_was_running(watched[0])


PARENT = """
import os, sys, time
sys.path[:0] = [sys.argv[1]]
from test_lava_cleanup import NETWORK, SPIKES, LavaSession
session = LavaSession(NETWORK)
session.step(SPIKES[0, 0])
if sys.argv[2] == "fork" and os.fork() == 0:
    time.sleep(30)
print(session._worker.pid, session._worker._scratch, flush=True)
if sys.argv[2] == "busy":
    session._worker.request("hang", 60.0, timeout=60)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["idle", "busy", "fork"])
def test_after_the_death_of_the_parent(state: str) -> None:
    """SIGKILL to the process that opened a session; in one case a child of it still holds the connection open."""
    command = [sys.executable, "-c", PARENT, str(Path(__file__).parent), state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        try:
            assert parent.stdout is not None
            pid, scratch = parent.stdout.readline().split()
            traces = traces_of(int(pid), scratch)
            assert_was_running(traces)
            parent.kill()
            parent.wait()
            deadline = time.monotonic() + 10
            while (left := traces.left()) and time.monotonic() < deadline:
                time.sleep(0.05)
            assert left == []
        finally:
            with suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)
