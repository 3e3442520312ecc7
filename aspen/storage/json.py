"""JSON from files that nobody vouches for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 64
"""Lists and mappings within each other; deeper ones would exhaust the stack of whoever walks through them."""


def parse_json(text: str | bytes, most: int = MAX_DEPTH) -> Any:
    """The values of a JSON text, nested no deeper than ``most``.

    Raises:
        ValueError: it is none, or nested deeper.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"nested deeper than {most}") from error
    level = _containers([values])
    for _ in range(most):
        level = [
            inner for value in level for inner in _containers(value.values() if isinstance(value, dict) else value)
        ]
    if level:
        raise ValueError(f"nested deeper than {most}")
    return values


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, (dict, list))]
