"""Dials that switch neurons off: what a knob makes of them, what is refused, and how a file keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DIAL, DialProfile, load_profile, save_profile
from aspen.errors import InputError, NetworkError
from aspen.network.idle import without_idle
from aspen.storage.file import AspenFile
from aspen_hardware import chip
from aspen_hardware.placing.dials import dial_classes, dial_findings
from tests.networks import float_network

UNTIL = [np.inf, 0.5, 0.5, 0.25, 0.0, 1.0, 2.0, np.inf]
NESTED = DialProfile({"layer1": 0.7, "layer2": 0.2}, on_until={"layer1": UNTIL})


@pytest.mark.parametrize(
    ("knob", "off"), [(0.0, []), (0.1, [4]), (0.25, [4]), (0.3, [3, 4]), (0.5, [3, 4]), (0.51, [1, 2, 3, 4]),
                      (1.0, [1, 2, 3, 4])],
)  # fmt: skip
def test_a_neuron_is_on_up_to_its_knob(knob: float, off: list[int]) -> None:
    factors = NESTED.scale(knob)
    assert np.flatnonzero(np.isinf(factors["layer1"].reshape(-1))).tolist() == off
    assert np.unique(factors["layer1"][np.isfinite(factors["layer1"])]) == pytest.approx(np.exp(0.7 * knob))
    assert np.isfinite(factors["layer2"]).all()


def test_the_largest_factor_is_one_of_neurons_that_are_on() -> None:
    steep = DialProfile({"layer1": [3.0, 1.0]}, {"layer1": [0.0, 0.5]}, on_until={"layer1": [0.25, np.inf]})
    assert steep.largest_factor == pytest.approx(np.exp(1.5))
    assert DialProfile({"layer1": [3.0, 1.0]}).largest_factor == pytest.approx(np.exp(3.0))
    falling = DialProfile({"layer1": -1.0}, {"layer1": 0.3}, on_until={"layer1": 0.5})
    assert falling.largest_factor == pytest.approx(np.exp(0.3))
    assert steep.is_nested
    assert not DialProfile({"a": 1.0}).is_nested
    assert not DialProfile({"a": 1.0}, on_until={"a": 1.0}).is_nested


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "never on": ({"on_until": {"layer1": -0.1}}, InputError, "neurons of layer1 that are on until -0.1, below"),
    "nan": ({"on_until": {"layer1": np.nan}}, NetworkError, "on_until of layer1: found NaN"),
    "not dialled": ({"on_until": {"layer9": 0.5}}, InputError, r"on_until of \['layer9'\], allowed are slopes"),
    "number": ({"on_until": 0.5}, InputError, "on_until: found 0.5, allowed is a mapping"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_ones_are_refused(case: str) -> None:
    options, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        DialProfile({"layer1": 0.5}, **options)
    with pytest.raises(InputError, match=r"found on_until of shape \(2,\) for layer1"):
        DialProfile({"layer1": 0.5}, on_until={"layer1": [0.5, 0.5]}).check(float_network(0))


def test_a_file_keeps_them_and_one_without_has_none(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    float_network(0).save(path)
    for profile in (NESTED, DialProfile({"layer1": 0.7})):
        save_profile(profile, path)
        kept = load_profile(path)
        assert kept.on_until.keys() == profile.on_until.keys()
        for knob in (0.0, 0.5, 1.0):
            np.testing.assert_array_equal(kept.scale(knob)["layer1"], profile.scale(knob)["layer1"])
    tensors = AspenFile.open(path).parts(DIAL.name)[1]
    assert set(tensors) == {"slopes/layer1"}  # as in files of before


def test_they_go_with_the_neurons_that_are_kept_and_stay_when_offsets_are_folded() -> None:
    network = float_network(3)
    weight = network.connections[1].weight.copy()
    weight[:, [1, 4]] = 0
    fewer = without_idle(type(network)(network.populations, (network.connections[0], type(network.connections[1])(
        "layer1", "layer2", weight, network.connections[1].bias))))  # fmt: skip
    kept = DialProfile({"layer1": 0.7}, {"layer1": 0.1}, on_until={"layer1": UNTIL}).kept(fewer)
    left = [until for index, until in enumerate(UNTIL) if index not in fewer.provenance["removed"]["layer1"]]
    assert {1, 4} <= set(fewer.provenance["removed"]["layer1"])
    assert kept.on_until["layer1"].tolist() == left
    assert kept.folded(fewer)[1].on_until["layer1"].tolist() == left


def test_neurons_that_go_off_together_count_as_one_threshold_of_a_core() -> None:
    network = float_network(0)
    alike = type(network)(
        tuple(
            p if p.neuron is None else type(p)(p.name, p.shape, type(p.neuron)(1.0, 0.5)) for p in network.populations
        ),
        network.connections,
    )
    assert len(np.unique(dial_classes(alike, NESTED, "layer1"))) == 4  # 2 and infinity are never off
    assert len(np.unique(dial_classes(alike, NESTED, "layer2"))) == 1
    assert list(dial_findings(alike, NESTED, chip("loihi1"))) == []
