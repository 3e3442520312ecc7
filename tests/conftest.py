"""Settings for all tests: in CI hypothesis draws the same examples every time; elsewhere new ones.

With ``-n`` a file's tests share one process, as they share fixtures, and all that run Lava share one, one after the
other: a runtime starts a process for each part of a network, and waits for answers with time-outs.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.machine_code import make

TESTS = Path(__file__).parent
LONGEST = "test_tutorials"
"""The file whose tests take longest, one after the other."""
MANY = 500
"""Tests, from which on it pays to compile all that any of them needs."""


def process_of(config: pytest.Config) -> tuple[int, int] | None:
    """With ``-n``, which process this is, from 0, and of how many."""
    worker = getattr(config, "workerinput", None)
    return worker and (int(worker["workerid"].removeprefix("gw")), worker["workercount"])


def pytest_configure(config: pytest.Config) -> None:
    """Most tests train for an epoch or two only, which ends at chance and says so."""
    config.addinivalue_line("filterwarnings", "ignore::aspen.errors.TrainingWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups for ``--dist loadgroup``; the longest begins first, as else the other processes would wait for its end."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    items.sort(key=lambda item: item.path.stem != LONGEST)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("lava" if item.get_closest_marker("lava") else item.path.stem))


def pytest_collection(session: pytest.Session) -> None:
    """Processes of a long run each begin with another part of the files: one that was never read is rewritten for its
    asserts, which takes longer than all else that collecting does, and what one process has written others load."""
    given = [session.config.invocation_params.dir / argument for argument in session.config.args]
    process = process_of(session.config)
    if process is None or given != [TESTS]:
        return
    files = sorted(TESTS.rglob("test_*.py"))
    for file in files[len(files) * process[0] // process[1] :] if process[0] else ():
        with suppress(Exception, pytest.skip.Exception):  # collecting says what is wrong
            import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Processes of a long run share the compiling, before any test's time is taken."""
    process, folder = process_of(session.config), session.config.option.basetemp
    if process is not None and folder is not None and len(session.items) > MANY:
        make(*process, Path(folder).parent)


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
