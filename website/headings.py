"""Headings as the theme wants them: one title on a page, as its table of contents leaves out what follows another."""

from __future__ import annotations

import re

from website.outside import FENCE

_HEADING = re.compile(r"^#+ ", re.MULTILINE)


def one_title(text: str) -> str:
    """The page with a second title, and all headings after it, one level further down."""
    titles = 0

    def lowered(match: re.Match[str]) -> str:
        nonlocal titles
        titles += match[0] == "# "
        return f"#{match[0]}" if titles > 1 else match[0]

    parts = FENCE.split(text)
    return "".join(part if index % 2 else _HEADING.sub(lowered, part) for index, part in enumerate(parts))
