"""Encoders as plain values, for files: every value is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from aspen.data.encoders import LatencyEncoder, RateEncoder, StoredEncoder
from aspen.data.har_features import HarFeatures
from aspen.data.levels import LevelEncoder
from aspen.data.static import StaticEncoder
from aspen.data.temporal import CurrentEncoder, DeltaEncoder, SpikeEncoder, WindowEncoder
from aspen.errors import FileFormatError, InputError

ENCODERS: dict[str, type[StoredEncoder]] = {
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
"""Kind -> encoder, for files and the command line."""


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
        raise FileFormatError(f"encoder: found kind {str(kind)[:40]!r}, allowed are {', '.join(ENCODERS)}")
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
