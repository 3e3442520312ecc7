"""Docstrings as the site shows them: Sphinx roles become links, and examples at a prompt become blocks of code.

A griffe extension. A role that names nothing in the code is a warning, which ends a strict build.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import griffe

PACKAGES = ("aspen", "aspen_hardware", "aspen_emulator")
_ROLE = re.compile(r":(?:class|func|meth|attr|data|mod|exc|obj):`(?:([^`<]+?)\s*<([\w.]+)>|(~?)([\w.]+)(?:\(\))?)`")
_EXAMPLE = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)
_TOGETHER = re.compile(r"^( +)(\w+(?:, \w+)+):( .*(?:\n\1 .*)*)$", re.MULTILINE)

logger = griffe.get_logger("website.docstrings")


class Roles(griffe.Extension):
    """Rewrites the docstrings of our packages as soon as all of them are loaded, as they refer to one another."""

    def __init__(self) -> None:
        self._waiting: list[griffe.Module] = []

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Called by griffe after each package."""
        collection = loader.modules_collection
        self._waiting += [pkg] * (pkg.name in PACKAGES)
        if all(name in collection for name in PACKAGES):
            for each in _objects(self._waiting):
                _rewrite(each, collection)
            self._waiting.clear()


def _objects(some: Any) -> Iterator[griffe.Object]:
    """Objects and all that is defined in them; what is merely imported is left to its owner."""
    for each in some:
        if not each.is_alias:
            yield each
            yield from _objects(each.members.values())


def _rewrite(owner: griffe.Object, collection: griffe.ModulesCollection) -> None:
    if owner.docstring is None:
        return

    def link(match: re.Match[str]) -> str:
        text, named, shortened, plain = match.groups()
        name = named or plain
        target = found(owner, name, collection)
        if target is None:
            logger.warning(f"{owner.path}: its docstring refers to {name}, which is not in the code")
        return _link(text or (name.rpartition(".")[2] if shortened else name), target or name)

    owner.docstring.value = fenced(one_by_one(_ROLE.sub(link, owner.docstring.value)))


def _link(text: str, target: str) -> str:
    """A link if the target is on the site; else the text."""
    return f'<autoref optional identifier="{target}"><code>{html.escape(text)}</code></autoref>'


def found(owner: griffe.Object, name: str, collection: griffe.ModulesCollection) -> str | None:
    """Where what a docstring calls ``name`` is defined: in what it belongs to, in its module, or by its full name."""
    scope: griffe.Object | None = owner
    while scope is not None:
        target = _member(scope, name)
        if target is not None:
            return target
        scope = scope.parent  # type: ignore[assignment]
    package, _, rest = name.partition(".")
    if package not in collection:
        return None
    return _member(collection[package], rest) if rest else package


def _member(scope: griffe.Object | griffe.Alias, name: str) -> str | None:
    here: Any = scope
    for part in name.split("."):
        members = here.all_members
        if part not in members:
            return None
        here = members[part]
        if here.is_alias:
            try:
                here = here.final_target
            except griffe.AliasResolutionError:
                return None  # of a package that is not ours
    return str(here.path)


def one_by_one(text: str) -> str:
    """Parameters that are described together, ``low, high: the range``, each in a line of its own."""
    return _TOGETHER.sub(lambda item: "\n".join(f"{item[1]}{name}:{item[3]}" for name in item[2].split(", ")), text)


def fenced(text: str) -> str:
    """Examples at a Python prompt, up to the next empty line, between fences."""
    return _EXAMPLE.sub(r"\n\1```pycon\n\g<0>\n\1```", text)
