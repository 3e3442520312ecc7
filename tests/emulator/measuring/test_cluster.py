"""A sweep on a Dask cluster: to the bit what one process measures, whatever becomes of its workers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.errors import InputError, MissingDependencyError
from aspen.network import Dense, Lif, Network, Population
from aspen_emulator import sweep
from aspen_emulator.measuring import cluster
from aspen_emulator.measuring.bench import Bench, measure
from aspen_hardware import chip, compile
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

KNOBS = tuple(np.linspace(0.5, 2, 12))


def network() -> Network:
    rng, lif = np.random.default_rng(0), Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (40,)), Population("hidden", (60,), lif), Population("output", (4,), lif)
    weights = rng.normal(0, 0.3, (60, 40)), rng.normal(0, 0.4, (4, 60))
    return Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))


def spikes(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((100, 200, 40)) < 0.2).astype(np.uint8)


LABELS = np.arange(200) % 4


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # distributed's sockets, closed a moment after its client
def test_two_workers_that_are_killed_lose_nothing(aspen: Aspen, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    bench = Bench(compile(network(), "loihi1"), [spikes(1), spikes(2)], LABELS, [chip("loihi1"), chip("xylo")])
    alone, seen = measure(bench, KNOBS), list[Any]()
    with distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as machines:

        def kill(found: Any) -> None:
            seen.append(found)
            if len(seen) in (1, 5):
                os.kill(next(iter(machines.workers.values())).pid, signal.SIGKILL)

        spread = measure(bench, KNOBS, progress=kill, scheduler=machines.scheduler_address)
        network().save(tmp_path / "net.aspen")
        np.save(tmp_path / "input.npy", spikes(1)[:, :20])
        np.save(tmp_path / "labels.npy", LABELS[:20])
        given = ("sweep", tmp_path / "net.aspen", "--input", tmp_path / "input.npy", "--labels",
                 tmp_path / "labels.npy", "--knobs", "0.5,1")  # fmt: skip
        there = aspen(*given, "--scheduler", machines.scheduler_address)
    assert len(seen) == 2 * len(KNOBS)
    assert spread.points == alone.points
    np.testing.assert_array_equal(spread.correct, alone.correct)
    assert spread.taken == alone.taken
    assert there == aspen(*given)


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match=r"scheduler: found 'tcp://127.0.0.1:9', where none answers"):
        sweep(network(), spikes(1), LABELS, KNOBS, scheduler="tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"\.\[cluster\]"):
        sweep(network(), spikes(1), LABELS, KNOBS, scheduler="tcp://127.0.0.1:9")
