"""Every published measurement that could be had, beside what ASPEN predicts: ``python -m tests.published``."""

from __future__ import annotations

from tests.published import loihi1, loihi2, others
from tests.published.table import SOURCES, Case, table

__all__ = ["SOURCES", "Case", "cases", "table"]


def cases() -> list[Case]:
    """All of them, in the order of the table."""
    return [*loihi1.cases(), *loihi2.cases(), *others.cases()]
