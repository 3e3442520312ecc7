"""A sample of the fuzzing in :mod:`tests.fuzz`, which finds what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from aspen.errors import InputError
from tests.damage import damaged_bytes
from tests.fuzz import Format, fuzz
from tests.fuzz_formats import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_load_or_are_refused(name: str, tmp_path: Path) -> None:
    tally = fuzz(FORMATS[name], 40, 0, tmp_path)
    assert (tally.raw, tally.slow) == ([], [])
    assert tally.files > 30
    assert tally.refused > 10


def test_the_fuzzer_notices_what_is_raised_and_what_takes_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> None:
        data = path.read_bytes()
        if len(data) != 4:
            raise InputError("cut\nin two" if len(data) < 4 else "too long")
        if data != b"good":
            raise KeyError("bits")

    monkeypatch.setattr("tests.fuzz.SECONDS", -1.0)
    kind = Format(".txt", lambda path: path.write_bytes(b"good"), load, (damaged_bytes,))
    tally = fuzz(kind, 60, 0, tmp_path)
    assert len(tally.slow) == tally.files == 60
    found = {text.split(":")[0] for text in tally.raw}
    assert found == {"an error of several lines", "KeyError"}
    assert tally.refused > len([text for text in tally.raw if text.startswith("an error")]) > 0
