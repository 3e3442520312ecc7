"""Settings for all tests: in CI hypothesis draws the same examples every time; elsewhere new ones."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Most tests train for an epoch or two only, which ends at chance and says so."""
    config.addinivalue_line("filterwarnings", "ignore::aspen.errors.TrainingWarning")


settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session", autouse=True)
def _silent_compiling() -> Iterator[None]:
    """Whether machine code was on disk before is no part of what a command prints in a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aspen._base.compiling.tell", lambda line: None)
        yield
