"""A sample of the kills in :mod:`tests.kills`; ``ASPEN_KILLS`` sets how many."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kills import kill_trainings


def test_killed_trainings_end_as_if_nothing_had_happened(tmp_path: Path) -> None:
    wanted = int(os.environ.get("ASPEN_KILLS", "4"))
    found = kill_trainings(wanted, int.from_bytes(os.urandom(4), "little"), tmp_path)
    assert found.kills == wanted
    assert found.trainings >= 1
    assert found.differing == ()
