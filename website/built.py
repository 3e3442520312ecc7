"""Whether a built site holds together: links, anchors and pictures lead somewhere, nothing comes from elsewhere."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}
"""Tag -> the attribute whose file a browser fetches by itself."""
_CODE = ("code", "pre", "script", "style")
_LEFT = re.compile(r"^[ \t]*\|.*\|[ \t]*$|\]\(|```|\*\*\w+\*\*", re.MULTILINE)
"""Markdown that was not understood: a table without an empty line before it, a link, a fence, bold text."""
_NAMES_ONLY = ("canonical", "next", "prev", "alternate")
"""Relations of ``link`` that name a page and fetch nothing."""


class _Page(HTMLParser):
    """The anchors of a page, what it links to, what it loads, and its pictures without words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.wordless: list[str] = []
        self.said: list[str] = []
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _LOADED and given.get(_LOADED[tag]) and given.get("rel") not in _NAMES_ONLY:
            self.loaded.append(given[_LOADED[tag]])
        self._code += tag in _CODE
        if tag == "img" and not given.get("alt"):
            self.wordless.append(given.get("src", ""))

    def handle_endtag(self, tag: str) -> None:
        """Called for each tag that ends."""
        self._code -= tag in _CODE

    def handle_data(self, data: str) -> None:
        """Called for text."""
        if not self._code:
            self.said.append(data)


def problems(site: Path) -> list[str]:
    """What is wrong with the pages below ``site``, one line each; nothing is looked up on a network."""
    pages = {
        file.relative_to(site).as_posix(): _Page(file.read_text("utf-8"))
        for file in sorted(site.rglob("*.html"))
        if file.name != "404.html"  # it is shown anywhere, so its paths begin at the root of a server
    }
    return [found for name, page in pages.items() for found in _wrong(site, pages, name, page)]


def _wrong(site: Path, pages: dict[str, _Page], name: str, page: _Page) -> Iterator[str]:
    missing = partial(_missing, site, pages, name)
    for link in dict.fromkeys([*page.links, *page.loaded]):
        if not urlsplit(link).scheme and not link.startswith("//") and missing(link):
            yield f"{name} leads to {link}, which is not there"
    for link in dict.fromkeys(page.loaded):
        if urlsplit(link).netloc:
            yield f"{name} loads {link}, which is not on the site"
    for left in _LEFT.findall("".join(page.said)):
        yield f"{name} shows Markdown as it was written: {left.strip()}"
    for picture in page.wordless:
        yield f"{name} shows {picture} without a word for those who do not see it"


def _missing(site: Path, pages: dict[str, _Page], name: str, link: str) -> bool:
    parts = urlsplit(link)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
    if path not in pages:
        return not (site / path).is_file()
    anchor = unquote(parts.fragment)
    return bool(anchor) and anchor not in {*pages[path].anchors, "__toc"}
