"""``python -m tests.real_models``: prints the table of docs/models.md; with ``--write``, puts it there."""

from __future__ import annotations

import sys

from tests.real_models import MODELS
from tests.real_models.judge import PAGE, judge, page_with, table

lines = list(table([judge(entry) for entry in MODELS]))
print("\n".join(lines))
if "--write" in sys.argv[1:]:
    PAGE.write_text(page_with(lines), "utf-8")
