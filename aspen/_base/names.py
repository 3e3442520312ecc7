"""Names that a user gave: what was probably meant where one is not allowed, and names of files on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.6
"""From this likeness on (0: nothing in common, 1: equal but for capitals) a name is taken for another one, misspelt."""


def close_names(found: object, allowed: Iterable[str]) -> list[str]:
    """Those of ``allowed`` that ``found`` resembles most, in their order; none where nothing is close."""
    if not isinstance(found, str):
        return []
    likeness = {name: SequenceMatcher(None, found.lower(), name.lower()).ratio() for name in allowed}
    best = max(likeness.values(), default=0.0)
    return [name for name, ratio in likeness.items() if ratio == best >= CLOSE]


def did_you_mean(found: object, allowed: Iterable[str], otherwise: str = "choose one of these") -> str:
    """The remedy at the end of a message that refuses a name.

    Args:
        found: what was given.
        allowed: the names that would have been right; the message lists them.
        otherwise: the remedy where none of them is close.

    Returns:
        ``"did you mean 'sweep'?"``, or ``otherwise``.
    """
    close = close_names(found, allowed)
    return f"did you mean {' or '.join(map(repr, close))}?" if close else otherwise


def unknown_name(
    what: str, found: object, allowed: Iterable[str], otherwise: str = "choose one of these", kind: str = ""
) -> str:
    """The whole message: ``"chip: found 'loihi', allowed are loihi1, loihi2; did you mean 'loihi1' or 'loihi2'?"``.

    Args:
        what: the argument.
        found, allowed, otherwise: as for :func:`did_you_mean`.
        kind: of what it is a name, where the argument does not say it: ``found population 'x'``.
    """
    names = list(allowed)
    shown = f"{kind} {found!r}".lstrip()
    return f"{what}: found {shown}, allowed are {', '.join(names)}; {did_you_mean(found, names, otherwise)}"


def printable(text: object) -> str:
    """Text of a file for a terminal: what would steer it, or turn its writing round, becomes a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))
