"""Settings for all tests: in CI hypothesis draws the same examples every time; elsewhere new ones."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings


def pytest_configure(config: pytest.Config) -> None:
    """Most tests train for an epoch or two only, which ends at chance and says so."""
    config.addinivalue_line("filterwarnings", "ignore::aspen.errors.TrainingWarning")


settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("default", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")
