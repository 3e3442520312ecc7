"""Encoders as plain values: every one comes back from JSON, and nothing else is accepted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.data import (
    ENCODERS,
    CurrentEncoder,
    DeltaEncoder,
    HarFeatures,
    LatencyEncoder,
    LevelEncoder,
    RateEncoder,
    SpikeEncoder,
    StaticEncoder,
    StoredEncoder,
    WindowEncoder,
    encoder_from_dict,
)
from aspen.errors import FileFormatError

EXAMPLES = [
    RateEncoder(7, -1.0, 3.5, True),
    LatencyEncoder(9, silent=0.2),
    DeltaEncoder((0.1, 0.25), 0.3, True),
    DeltaEncoder(),
    CurrentEncoder((0.5, -1.0), (1.0, 2.0)),
    CurrentEncoder(),
    SpikeEncoder(),
    HarFeatures(0.01, 0.03, (0.9, 0.1, 0.0)),
    WindowEncoder(DeltaEncoder((0.1,)), 6, 3, False),
    LevelEncoder(HarFeatures(), 3, 2, (0.1, 0.2, -1.0, 4.0)),
    StaticEncoder(9),
]


@pytest.mark.parametrize("encoder", EXAMPLES, ids=str)
def test_every_encoder_comes_back_from_json(encoder: StoredEncoder) -> None:
    assert encoder_from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder


def test_there_is_an_example_of_every_kind() -> None:
    assert {example.kind for example in EXAMPLES} == set(ENCODERS)


def test_a_fitted_encoder_encodes_alike_after_a_round_trip() -> None:
    values = np.random.default_rng(0).normal(size=(3, 20, 2)).astype(np.float32)
    fitted = WindowEncoder(DeltaEncoder(), 4, 2).fit(values)
    again = encoder_from_dict(json.loads(json.dumps(fitted.to_dict())))
    np.testing.assert_array_equal(again.encode(values), fitted.encode(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "encoder: found list, allowed is a mapping"),
        ({}, "encoder: found kind 'None', allowed are rate, latency, delta"),
        ({"kind": ["rate"]}, "encoder: found kind"),
        ({"kind": "rate", "steps": 3}, "encoder rate: found the settings kind, steps, allowed are exactly"),
        (RateEncoder().to_dict() | {"code": 1}, "found the settings clip, code"),
        (RateEncoder().to_dict() | {"steps": "3"}, "encoder rate: steps: found '3'"),
        (RateEncoder().to_dict() | {"steps": 2**60}, "encoder rate: steps: found"),
        (RateEncoder().to_dict() | {"low": None}, "encoder rate: low: found None"),
        (RateEncoder().to_dict() | {"low": {"kind": "rate"}}, "found a mapping as low"),
        (DeltaEncoder().to_dict() | {"thresholds": ["a"]}, "encoder delta: thresholds: found 'a'"),
        (DeltaEncoder().to_dict() | {"thresholds": 0.1}, "encoder delta: thresholds: found 0.1"),
        (DeltaEncoder().to_dict() | {"thresholds": [[0.1]]}, "encoder delta: thresholds: found"),
        (DeltaEncoder().to_dict() | {"thresholds": [float("inf")]}, "encoder delta: thresholds: found inf"),
        (WindowEncoder(DeltaEncoder()).to_dict() | {"inner": "delta"}, "encoder window: inner: found 'delta'"),
        (WindowEncoder(DeltaEncoder()).to_dict() | {"inner": RateEncoder().to_dict()}, "encoder window: inner"),
    ],
)
def test_damaged_values_are_refused(values: object, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        encoder_from_dict(values)


def test_windows_of_windows_are_refused_before_they_are_read() -> None:
    nested: dict[str, Any] = DeltaEncoder((0.1,)).to_dict()
    for _ in range(10_000):
        nested = WindowEncoder(DeltaEncoder()).to_dict() | {"inner": nested}
    with pytest.raises(FileFormatError, match="encoder window: found a mapping as inner"):
        encoder_from_dict(nested)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(EXAMPLES), st.data())
def test_any_setting_replaced_by_anything_is_refused_or_usable(encoder: StoredEncoder, data: st.DataObject) -> None:
    values = encoder.to_dict()
    name = data.draw(st.sampled_from(sorted(values)))
    values[name] = data.draw(plain)
    try:
        read = encoder_from_dict(values)
    except FileFormatError:
        return
    assert encoder_from_dict(json.loads(json.dumps(read.to_dict()))) == read
