"""The worker process: the only one that imports Lava. Started by :mod:`aspen_emulator.engines.lava.isolation`.

It takes requests ``(command, arguments, wants progress)`` and answers each with any number of ``("progress", (done,
total))`` and one ``("done", result)`` or ``("failed", message)``. After a failure it waits to be ended: to stop a
runtime that has failed could hang.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network
from aspen_emulator.engines.lava.schedule import Schedule, Setup
from aspen_emulator.engines.lava.shim import import_lava

if TYPE_CHECKING:
    from aspen_emulator.engines.lava.runtime import LavaNetwork
    from aspen_emulator.engines.lava.stock_network import StockNetwork

POLL_MILLISECONDS = 500

Report = Callable[[int, int], None]


class Lava:
    """What the worker can be asked for. One network is alive at a time."""

    def __init__(self) -> None:
        self._alive: LavaNetwork | None = None
        self._stock: StockNetwork | None = None

    def run(
        self, report: Report | None, network: Network, spikes: Array, schedule: Schedule, watched: Sequence[str]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run all samples of ``spikes`` (steps, batch, *shape) one after the other.

        Returns:
            population -> (steps, batch, n): spikes, and the membranes of the ``watched``.
        """
        steps, batch = spikes.shape[:2]
        rows = schedule.total + schedule.idle
        setup = Setup(schedule.depths, schedule.initial, watched, rows, schedule.period, schedule.idle)
        lava = self._start(network, setup)
        _samples(lava.inputs, 0, schedule.period, batch)[:, :steps] = spikes.swapaxes(0, 1).reshape(batch, steps, -1)
        lava.run_until(schedule.total, schedule.changes, report)

        def by_sample(rows: Mapping[str, Array]) -> dict[str, Array]:
            samples = {name: _samples(row, schedule.depths[name], schedule.period, batch) for name, row in rows.items()}
            return {name: values[:, :steps].swapaxes(0, 1).copy() for name, values in samples.items()}

        found = by_sample(lava.records), by_sample(lava.membranes)
        self.stop()
        return found

    def open(self, report: Report | None, network: Network, setup: Setup) -> None:
        """Start a runtime to be stepped."""
        self._start(network, setup)

    def step(
        self, report: Report | None, spikes: Array, thresholds: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Set thresholds and run one Lava step on ``spikes`` (or a current) (n,).

        Returns:
            population -> (n,): spikes, and the membranes of the watched.
        """
        lava = self._running()
        for name, values in thresholds.items():
            lava.set_threshold(name, values)
        lava.feed(spikes)
        lava.advance(1)
        records, membranes = lava.records.items(), lava.membranes.items()
        return {name: record[0].copy() for name, record in records}, {name: row[0].copy() for name, row in membranes}

    def restart(self, report: Report | None) -> None:
        """Begin a new sample."""
        self._running().restart()

    def stop(self, report: Report | None = None) -> None:
        """Stop the runtime, if any."""
        if self._alive is not None:
            self._alive.stop()
            self._alive = None

    def run_stock(
        self,
        report: Report | None,
        network: Network,
        spikes: Array,
        depths: Mapping[str, int],
        mantissas: Mapping[str, int],
        simulate: bool,
    ) -> dict[str, Array]:
        """Run all samples on stock processes, on CPU models or on Loihi; population -> (steps, batch, n)."""
        from aspen_emulator.engines.lava.stock_network import StockNetwork, padded, run_samples

        looped = any(connection.delay for connection in network.summed)
        parts = np.split(spikes, spikes.shape[1], axis=1) if looped else [spikes]
        found = []
        for part in parts:
            lava = self._stock = StockNetwork(network, padded(part, max(depths.values())), mantissas, simulate)
            found.append(run_samples(lava, depths, *part.shape[:2]))
        self._stock = None
        return {name: np.concatenate([rasters[name] for rasters in found], axis=1) for name in network.order}

    def hang(self, report: Report | None, seconds: float) -> None:
        """Do nothing for a while: the tests' stand-in for a runtime that hangs."""
        time.sleep(seconds)

    def errors(self) -> list[str]:
        """What went wrong in processes of Lava."""
        found = self._alive or self._stock
        return found.errors() if found is not None else []

    def _start(self, network: Network, setup: Setup) -> LavaNetwork:
        from aspen_emulator.engines.lava.runtime import LavaNetwork

        self.stop()
        self._alive = LavaNetwork(network, setup)
        self._alive.start()
        return self._alive

    def _running(self) -> LavaNetwork:
        if self._alive is None:
            raise RuntimeError("no runtime was opened")
        return self._alive


def _samples(rows: Array, start: int, period: int, batch: int) -> Array:
    """A view of ``rows`` (steps, n) from ``start`` on, by samples: (batch, period, n)."""
    return rows[start:][: batch * period].reshape(batch, period, -1)


COMMANDS: dict[str, Callable[..., Any]] = {
    name: getattr(Lava, name) for name in ("run", "open", "step", "restart", "stop", "run_stock", "hang")
}


def main() -> None:
    """Serve requests until the parent closes the connection, then end the whole session."""
    descriptor, parent, scratch = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _restore_signals()
    end = partial(_end_session, scratch)
    threading.Thread(target=_watch_parent, args=(descriptor, parent, end), daemon=True).start()
    connection = Connection(descriptor)
    lava = Lava()
    try:
        import_lava()
        np.seterr(all="ignore")
        connection.send(("done", None))
        while (request := _next_request(connection)) is not None:
            _serve(connection, lava, *request)
        end()
    except BaseException as error:
        _fail(connection, lava, error)
        signal.pause()  # until the parent, or the thread that watches it, ends the session


def _next_request(connection: Connection) -> tuple[str, tuple[Any, ...], bool] | None:
    """A command, its arguments and whether progress is wanted; None when the parent has closed the connection."""
    try:
        request: tuple[str, tuple[Any, ...], bool] = connection.recv()
    except (EOFError, OSError):
        return None
    return request


def _serve(connection: Connection, lava: Lava, command: str, arguments: tuple[Any, ...], wants_progress: bool) -> None:
    def report(done: int, total: int) -> None:
        connection.send(("progress", (done, total)))

    connection.send(("done", COMMANDS[command](lava, report if wants_progress else None, *arguments)))


def _fail(connection: Connection, lava: Lava, error: BaseException) -> None:
    """Write everything known to the log, and tell the parent in one line."""
    traceback.print_exception(error)
    found = lava.errors()
    for text in found:
        print(text, file=sys.stderr, flush=True)
    last = found[-1].strip().splitlines()[-1] if found else f"{type(error).__name__}: {error}"
    with suppress(OSError):
        connection.send(("failed", " ".join(last.split())))


def _restore_signals() -> None:
    """The session is ended by SIGTERM; the parent may have been started with it ignored or blocked."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _watch_parent(descriptor: int, parent: int, end: Callable[[], None]) -> None:
    """Call ``end`` when the parent has closed its end of the connection, or is gone."""
    poller = select.poll()
    poller.register(descriptor, 0)  # a hang-up is reported without being asked for
    while not poller.poll(POLL_MILLISECONDS) and os.getppid() == parent:
        pass
    end()


def _end_session(scratch: str) -> None:
    """End this process and all that Lava has started; the resource tracker survives, cleans up and ends itself."""
    shutil.rmtree(scratch, ignore_errors=True)
    os.killpg(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
