"""Saved states of controllers: plain values, checked as a whole before anything is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from aspen._base.checks import as_flag, as_float, as_integer, shown
from aspen.errors import InputError

State: TypeAlias = Mapping[str, Any]
ANY = 1e300
"""No number of a state is beyond it, so that sums of hundreds of them do not overflow."""
_REMEDY = "use what state_dict() gave"


def check_keys(state: State, *names: str) -> None:
    """Raise unless ``state`` has these keys and no others.

    Raises:
        InputError: it is no mapping, or a key is missing or unknown.
    """
    if not isinstance(state, Mapping):
        raise InputError(f"state: found {shown(state)}, allowed is a mapping; {_REMEDY}")
    missing, unknown = [n for n in names if n not in state], [n for n in state if n not in names]
    if missing or unknown:
        found = " and ".join(
            f"{what} {', '.join(map(str, keys))}" for what, keys in (("no", missing), ("also", unknown)) if keys
        )
        raise InputError(f"state: found {found}, allowed are {', '.join(names)}; {_REMEDY}")


def number(state: State, name: str, low: float = -ANY, high: float = ANY) -> float:
    """A number of a saved state.

    Raises:
        InputError: it is missing, no number, or out of range.
    """
    value = as_float(state.get(name))
    if not low <= value <= high:
        raise _refused(state, name, f"a number from {low:g} to {high:g}")
    return value


def count(state: State, name: str, low: int = 0, high: int = 2**63 - 1) -> int:
    """A whole number of a saved state.

    Raises:
        InputError: it is missing, no whole number, or out of range.
    """
    try:
        return as_integer(name, state.get(name), low, high)
    except InputError as error:
        raise _refused(state, name, f"a whole number from {low} to {high}") from error


def truth(state: State, name: str) -> bool:
    """A truth value of a saved state.

    Raises:
        InputError: it is missing, or none.
    """
    try:
        return as_flag(name, state.get(name))
    except InputError as error:
        raise _refused(state, name, "true or false") from error


def part(state: State, name: str) -> State:
    """A part of a saved state.

    Raises:
        InputError: it is missing.
    """
    value = state.get(name)
    if not isinstance(value, Mapping):
        raise _refused(state, name, "a mapping")
    return value


def _refused(state: State, name: str, allowed: str) -> InputError:
    return InputError(f"state: found {name}={shown(state.get(name))}, allowed is {allowed}; {_REMEDY}")
