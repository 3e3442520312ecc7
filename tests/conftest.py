"""Settings for all tests: in CI hypothesis draws the same examples every time; elsewhere new ones.

With ``-n`` a file's tests share one process, as they share fixtures, and all that run Lava share one, one after the
other: a runtime starts a process for each part of a network, and waits for answers with time-outs.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.machine_code import make

MANY = 500
"""Tests, from which on it pays to compile all that any of them needs."""


def pytest_configure(config: pytest.Config) -> None:
    """Most tests train for an epoch or two only, which ends at chance and says so."""
    config.addinivalue_line("filterwarnings", "ignore::aspen.errors.TrainingWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups for ``--dist loadgroup``."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("lava" if item.get_closest_marker("lava") else item.path.stem))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Processes of a long run share the compiling, before any test's time is taken."""
    worker, folder = getattr(session.config, "workerinput", None), session.config.option.basetemp
    if worker is not None and folder is not None and len(session.items) > MANY:
        make(int(worker["workerid"].removeprefix("gw")), worker["workercount"], Path(folder).parent)


if "PYTEST_XDIST_WORKER" in os.environ:  # several processes that each start as many threads as there are cores wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session", autouse=True)
def _silent_compiling() -> Iterator[None]:
    """Whether machine code was on disk before is no part of what a command prints in a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aspen._base.compiling.tell", lambda line: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests compile are kept for the session, and not among the user's."""
    folder = tmp_path_factory.mktemp("programs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aspen_emulator.engines.c.compiler.cache_folder", lambda: folder)
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test begins with the same random numbers alone, in any order and in any process."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - of libraries that draw from it
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
