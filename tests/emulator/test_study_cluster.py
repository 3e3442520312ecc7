"""The study's trainings on a Dask cluster, and what is said where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from aspen.errors import InputError, MissingDependencyError
from aspen_emulator.measuring import cluster
from aspen_emulator.study.cells import train_all
from aspen_emulator.study.problems import PROBLEMS

SMALL = replace(PROBLEMS["digits"], sizes=(64, 10, 10, 10), epochs=1, prices=(0.1,), perturbed=False)


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # distributed's sockets, closed a moment after its client
def test_a_cluster_trains_what_is_missing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    done: list[str] = []
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0", protocol="tcp"
    ) as cluster:
        train_all(SMALL, None, tmp_path, 1, cluster.scheduler_address, done.append)
        assert sorted(done) == ["dial-seed0", "l1-0.1-seed0", "plain-seed0", "warm-seed0"]
        train_all(SMALL, None, tmp_path, 1, cluster.scheduler_address, done.append)
    assert len(done) == 4
    assert {path.name for path in tmp_path.glob("*.aspen")} == {f"{name}.aspen" for name in done}


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(InputError, match=r"scheduler: found 'tcp://127.0.0.1:9', where none answers"):
        train_all(SMALL, None, tmp_path, 1, "tcp://127.0.0.1:9", lambda name: None)


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"\.\[cluster\]"):
        train_all(SMALL, None, tmp_path, 1, "tcp://127.0.0.1:9", lambda name: None)
