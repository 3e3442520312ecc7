"""Encoders as plain values, for files: every value is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from inspect import isabstract
from typing import Any, TypeVar

from aspen._base.checks import check_takes, shown
from aspen._base.registry import Registry
from aspen.data.encoders import LatencyEncoder, RateEncoder, StoredEncoder
from aspen.data.har_features import HarFeatures
from aspen.data.levels import LevelEncoder
from aspen.data.static import StaticEncoder
from aspen.data.temporal import CurrentEncoder, DeltaEncoder, SpikeEncoder, WindowEncoder
from aspen.errors import FileFormatError, InputError

Kind = TypeVar("Kind", bound=type[StoredEncoder])


def _check(kind: str, encoder: type[StoredEncoder]) -> None:
    """Refuse what is no encoder that a file can hold."""
    own = isinstance(encoder, type) and issubclass(encoder, StoredEncoder)
    if not own or "__dataclass_params__" not in vars(
        encoder
    ):  # which a class inherits, and its own fields would be none
        raise InputError(
            f"encoder {kind}: found {shown(encoder)}, allowed is a class of StoredEncoder with @dataclass(frozen=True)"
        )
    if isabstract(encoder):
        raise InputError(f"encoder {kind}: found {encoder.__name__} without stream(self, seed=0); write it")
    check_takes(f"encoder {kind}: stream", encoder.stream, "self", "seed")
    if encoder.kind != kind:
        raise InputError(f"encoder {kind}: found the kind {encoder.kind!r} in {encoder.__name__}; give both one name")


_OWN = {
    encoder.kind: encoder
    for encoder in (
        RateEncoder,
        LatencyEncoder,
        DeltaEncoder,
        CurrentEncoder,
        SpikeEncoder,
        WindowEncoder,
        HarFeatures,
        LevelEncoder,
        StaticEncoder,
    )
}
ENCODERS: Registry[type[StoredEncoder]] = Registry("aspen.encoders", _OWN, _check)
"""Kind -> encoder, for files and the command line; see :func:`add_encoder`."""


def add_encoder(encoder: Kind) -> Kind:
    """Make an encoder of your own known by its ``kind``, so that files can hold it; a class decorator.

    In a package of yours an entry point of the group ``aspen.encoders``, called like the kind, does this for every
    program and for the command line.

    >>> from dataclasses import dataclass
    >>> from aspen.data.encoders import EncoderStream, StoredEncoder
    >>> @add_encoder
    ... @dataclass(frozen=True)
    ... class Above(StoredEncoder):
    ...     level: float = 0.5
    ...     kind = "above"
    ...     def stream(self, seed=0):
    ...         return EncoderStream(lambda values: (values > self.level)[None].astype("uint8"), lambda: None)
    >>> encoder_from_dict(Above(0.25).to_dict()).encode([[0.1, 0.3]]).tolist()
    [[[0, 1]]]
    >>> del ENCODERS["above"]

    Args:
        encoder: a frozen data class of :class:`StoredEncoder` whose settings JSON can hold.

    Returns:
        The class, as it is.

    Raises:
        InputError: it is none, or another encoder has its kind.
    """
    kind = getattr(encoder, "kind", "")
    if not kind:
        raise InputError(f"encoder: found no kind in {shown(encoder)}, allowed is a name for files: kind = 'name'")
    ENCODERS.add(kind, encoder)
    return encoder


def encoder_from_dict(values: object) -> StoredEncoder:
    """The encoder whose :meth:`StoredEncoder.to_dict` gave ``values``.

    >>> encoder_from_dict({"kind": "delta", "thresholds": [0.5], "sensitivity": 0.25, "from_first": False})
    DeltaEncoder(thresholds=(0.5,), sensitivity=0.25, from_first=False)

    Raises:
        FileFormatError: an unknown kind, a missing or unknown setting, or one that is not allowed.
    """
    if not isinstance(values, Mapping):
        raise FileFormatError(f"encoder: found {type(values).__name__}, allowed is a mapping of settings")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in ENCODERS:
        raise FileFormatError(
            f"encoder: found kind {str(kind)[:40]!r}, allowed are {', '.join(ENCODERS)}; install "
            f"the package that it is of, or save another encoder"
        )
    encoder = ENCODERS[kind]
    names = {field.name for field in fields(encoder)}
    if set(values) != names | {"kind"}:
        found = ", ".join(sorted(str(name)[:40] for name in values)[:20])
        raise FileFormatError(
            f"encoder {kind}: found the settings {found}, allowed are exactly kind, {', '.join(sorted(names))}"
        )
    settings = {name: _setting(kind, name, values[name]) for name in names}
    try:
        return encoder(**settings)
    except InputError as error:
        raise FileFormatError(f"encoder {kind}: {error}") from error


def _setting(kind: str, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, Mapping):
        return value
    nesting = (WindowEncoder.kind, LevelEncoder.kind)
    if kind not in nesting or name != "inner" or value.get("kind") in nesting:
        raise FileFormatError(f"encoder {kind}: found a mapping as {name}, allowed is a plain value")
    return encoder_from_dict(value)
