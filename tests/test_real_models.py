"""45 public models: the table in docs/models.md is what ASPEN does, and what is refused has a remedy."""

from __future__ import annotations

import pytest

from tests.real_models import MODELS
from tests.real_models.judge import PAGE, Verdict, judge, page_with, table

LEAST_EXPORTED, LEAST_COMPILED = 36, 31


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return [judge(entry) for entry in MODELS]


@pytest.mark.timeout(200)
def test_the_page_has_the_table(verdicts: list[Verdict]) -> None:
    assert PAGE.read_text("utf-8") == page_with(list(table(verdicts))), "run python -m tests.real_models --write"


def test_most_export_with_equal_spikes_and_the_rest_is_refused_with_a_remedy(verdicts: list[Verdict]) -> None:
    assert len(verdicts) == len({v.name for v in verdicts}) == 45
    assert sum(v.export == "ok" for v in verdicts) >= LEAST_EXPORTED
    assert sum(v.compile == "ok" for v in verdicts) >= LEAST_COMPILED
    for verdict in verdicts:
        if "no" in (verdict.perturb, verdict.fuse, verdict.export, verdict.compile):
            assert ";" in verdict.why, verdict
