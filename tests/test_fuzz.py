"""A sample of the fuzzing in :mod:`tests.fuzz`."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import fuzz_aspen


def test_damaged_aspen_files_load_or_raise_an_aspen_error(tmp_path: Path) -> None:
    loaded = fuzz_aspen(300, 0, tmp_path)
    assert 0 < loaded < 600  # junk in provenance, say, does no harm
