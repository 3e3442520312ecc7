"""Where recordings of other simulators lie, for the tests that compare with them; they are no part of the package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import ROOT


def recorded(name: str) -> Path:
    """The folder ``name`` of recordings; skips the test where there is none."""
    folder = Path(os.environ.get("ASPEN_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not folder.is_dir():
        pytest.skip(f"no recordings called {name}; name their folder in the environment variable ASPEN_TEST_DATA")
    return folder
