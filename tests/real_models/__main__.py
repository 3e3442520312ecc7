"""``python -m tests.real_models``: the table of docs/models.md."""

from __future__ import annotations

from tests.real_models import MODELS
from tests.real_models.judge import judge, table

for line in table([judge(entry) for entry in MODELS]):
    print(line)
