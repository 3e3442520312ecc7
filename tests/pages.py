"""Pages of the documentation whose programs are run as they stand there. A page is named by its path from ``docs``."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests import ROOT

LIST = re.compile(r" {0,3}(?:[-*]|\d+\.) ")


class Part(NamedTuple):
    """A block of a page: between fences, or indented by four."""

    line: int
    language: str
    """As the fence says; ``""`` where it says nothing, ``indented`` where there is none."""
    text: str

    @property
    def commands(self) -> list[str]:
        """Its lines that are typed in a terminal, each a command of ``aspen``."""
        return re.findall(r"^(aspen .*)$", self.text, re.MULTILINE)


def page(name: str) -> str:
    """The text of ``docs/NAME``."""
    return (ROOT / "docs" / name).read_text("utf-8")


def parts(name: str) -> list[Part]:
    """The blocks of ``docs/NAME``, in their order."""
    found: list[Part] = []
    fence, indented, blank, listed = False, False, True, False
    for number, line in enumerate(page(name).splitlines(), 1):
        if line.startswith("```"):
            fence, indented = not fence, False
            if fence:
                found.append(Part(number, line[3:], ""))
        elif fence or (line.startswith("    ") and (indented or blank) and not listed):
            if not fence and not indented:
                found.append(Part(number, "indented", ""))
            indented = not fence
            found[-1] = found[-1]._replace(text=f"{found[-1].text}{line if fence else line[4:]}\n")
        else:
            indented = False
            listed = bool(LIST.match(line)) or (listed and line[:1] in ("", " "))
        blank = not line
    return found


def commands(name: str) -> list[str]:
    """The lines of ``docs/NAME`` that are typed in a terminal, each a command of ``aspen``."""
    return [line for part in parts(name) for line in part.commands]


def blocks(name: str, language: str) -> list[str]:
    """What stands between fences of a language on a page."""
    return [part.text for part in parts(name) if part.language == language]
