"""Pages of the documentation whose programs are run as they stand there."""

from __future__ import annotations

import re

from tests import ROOT


def page(name: str) -> str:
    """The text of ``docs/NAME``."""
    return (ROOT / "docs" / name).read_text("utf-8")


def commands(name: str) -> list[str]:
    """The lines of ``docs/NAME`` that are typed in a terminal, each a command of ``aspen``."""
    return re.findall(r"^(?:    )?(aspen [a-z].*)$", page(name), re.MULTILINE)


def blocks(name: str, language: str) -> list[str]:
    """What stands between fences of a language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)
