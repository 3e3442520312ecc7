"""Pages of what lies outside ``docs/``: guides to rooms, the change log, examples, and whatever a page links to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOP = "readme"
"""What the page of the repository's own README is called."""
ALWAYS = ("README.md", "CHANGELOG.md", "examples/README.md", "hardware/README.md", "LICENSE")
"""On the site even where no page links to it."""
WHERE_THERE = ("CONTRIBUTING.md", "SECURITY.md", "CITATION.cff")
_LANGUAGES = {".py": "python", ".toml": "toml", ".c": "c", ".h": "c", ".cff": "yaml", ".yml": "yaml"}
FENCE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(\))")


def page_of(path: str) -> str:
    """Where the site has what lies at ``path`` in the repository: both end in Markdown, relative to their roots.

    The guide of a folder is called like the folder, as a page README would become the first of its section.
    """
    if path.startswith("docs/"):
        return path.removeprefix("docs/").replace(".ipynb", ".md")
    if posixpath.basename(path) == "README.md":
        return f"outside/{posixpath.dirname(path) or TOP}.md"
    return f"outside/{path}" if path.endswith(".md") else f"outside/{path}.md"


def path_of(page: str) -> str:
    """The other way round: what lies at the page ``page`` of the site, relative to the repository."""
    if not page.startswith("outside/"):
        return f"docs/{page}"
    path = page.removeprefix("outside/")
    folder = path.removesuffix(".md").replace(TOP, ".")
    return posixpath.normpath(f"{folder}/README.md") if (ROOT / folder).is_dir() else path


def linked(text: str, path: str) -> Iterator[str]:
    """What a page at ``path`` links to in the repository."""
    for index, part in enumerate(FENCE.split(text)):
        if index % 2 == 0:
            yield from (_target(match[2], path) for match in _LINK.finditer(part))


def _target(link: str, path: str) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return f"{target}/README.md" if (ROOT / target).is_dir() else target


def relinked(text: str, path: str) -> str:
    """The page with its links to files of the repository as links to pages of the site."""

    def relink(match: re.Match[str]) -> str:
        start, link, anchor, end = match.groups(default="")
        target = _target(link, path)
        other_notebook = target.endswith(".ipynb") and page_of(target) != page_of(path)
        if target.startswith("docs/") and path.startswith("docs/") and not other_notebook:
            return match[0]
        return f"{start}{posixpath.relpath(page_of(target), posixpath.dirname(page_of(path)))}{anchor}{end}"

    return _outside_fences(text, lambda part: _LINK.sub(relink, part))


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts = FENCE.split(text)
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def pages(texts: dict[str, str]) -> dict[str, str]:
    """Page -> Markdown of all that lies outside ``docs/``.

    Args:
        texts: path in the repository -> text of the pages in ``docs/``, whose links are followed from page to page.
    """
    found: dict[str, str] = {}
    left = [*ALWAYS, *(path for path in WHERE_THERE if (ROOT / path).is_file())]
    left += [target for path, text in texts.items() for target in linked(text, path)]
    while left:
        path = left.pop()
        if path.startswith("docs/") or page_of(path) in found or not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_text("utf-8")
        found[page_of(path)] = text if path.endswith(".md") else _source(path, text)
        left += linked(text, path) if path.endswith(".md") else ()
    return found


def _source(path: str, text: str) -> str:
    """A file that is no Markdown, as a page."""
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# {Path(path).name}\n\n`{path}` in the repository.\n\n````{language}\n{text.rstrip()}\n````\n"
