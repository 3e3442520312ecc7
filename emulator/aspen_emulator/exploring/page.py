"""The page: one HTML file with style, programs, drawing library and data in it, which asks nothing of any network.

What a user named (a network, its populations, classes, a data set) stands in the data alone, as JSON in which no tag
can begin, and the page's own policy lets no program run but those that were put into it here.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from aspen.storage.writing import write_atomically
from aspen_emulator.exploring.explored import Exploration
from aspen_emulator.exploring.thinning import check_size

LIBRARY = "plotly-cartesian.min.js"
SCRIPTS = (LIBRARY, "explore.js", "pictures.js", "stream.js", "turn.js")
"""In the order in which they are run."""
_CHARACTERS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def page(exploration: Exploration) -> str:
    """The page as HTML, below 5 MB.

    Raises:
        InputError: it would be larger, although courses and answers are thinned.
    """
    text = escaped(exploration.to_json())
    check_size(text)
    scripts = [_part(name) for name in SCRIPTS]
    parts = {
        "policy": _policy(scripts),
        "style": _part("explore.css"),
        "data": text,
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return _filled(_part("page.html"), parts)


def write_page(exploration: Exploration, path: str | Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: it would have more than 5 MB.
        UnwrittenError: it cannot be written.
    """
    write_atomically(path, page(exploration).encode())


def escaped(text: str) -> str:
    """JSON as it may stand within a page: the same values, and nothing that an HTML parser would look at.

    >>> print(escaped('["</script>"]'))
    ["\\u003c/script\\u003e"]
    """
    return text.translate(_CHARACTERS)


def _filled(template: str, parts: dict[str, str]) -> str:
    """The template with ``{{name}}`` replaced, once each: what is put in is not looked at again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def _policy(scripts: list[str]) -> str:
    """Nothing is loaded; styles are the page's own, and the programs are those with these sums."""
    sums = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts)
    return f"default-src 'none'; script-src {sums}; style-src 'unsafe-inline'; img-src data: blob:"


@cache
def _part(name: str) -> str:
    return files("aspen_emulator.exploring").joinpath("page", name).read_text("utf-8")
