"""Energy of counts by layer, without a network to place: every event at its chip's price, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aspen.errors import ChipError, InputError
from aspen.network.layered import LayerCounts, NeuronCounts, SynapseCounts
from aspen_hardware import chip
from aspen_hardware.energy.baseline import ann_of_layers
from aspen_hardware.energy.counted import energy_of_layers

NEURONS = NeuronCounts("lif", 10, 40, 500, 200, 1, 0)
COUNTS = LayerCounts(25, 2, 50, (NEURONS,), (SynapseCounts("conv", "conv", 1000, 300, 500, 90, 50, 10),))
LOIHI, PJ = chip("loihi1"), 1e-12


def test_every_event_has_the_price_of_its_scenario() -> None:
    """Prices of loihi1's file; where awake updates are not known, all are taken to be awake."""
    report = energy_of_layers(COUNTS, LOIHI)
    assert report.dynamic is not None
    davies, sanafe = report.dynamic.of["davies2018"].typical, report.dynamic.of["sanafe"].typical
    assert davies == pytest.approx((1000 * 23.6 + 200 * 81 + 300 * 52) * PJ)
    assert sanafe == pytest.approx((1000 * 24.0 + 500 * 72.8 + 40 * 69.3) * PJ, rel=2e-3)
    known = energy_of_layers(replace(COUNTS, neurons=(replace(NEURONS, awake=300),)), LOIHI)
    assert known.dynamic is not None
    saved = sanafe - known.dynamic.of["sanafe"].typical
    assert saved == pytest.approx(200 * (72.8 - 51.2) * PJ, rel=2e-3)
    assert any("taken to be awake" in line for line in report.assumed)
    assert not any("taken to be awake" in line for line in known.assumed)
    assert any(line.startswith("300 multiply-accumulates") for line in report.missing)


def test_the_whole_chip_draws_its_power_over_the_time_of_all_steps() -> None:
    for step_time, each in ((None, 337e-6), (0.001, 0.001)):
        report = energy_of_layers(COUNTS, LOIHI, step_time=step_time)
        assert report.static is not None
        assert report.static.typical == pytest.approx(0.0963 * each * 25 * 2, rel=1e-3)
    large = replace(COUNTS, neurons=(replace(NEURONS, neurons=128 * 1024 + 1),))
    report = energy_of_layers(large, LOIHI)
    assert (report.chips_used, report.in_use) == (2, "not placed, 2 chips for its neurons")
    assert report.static is not None
    assert report.static.typical == pytest.approx(2 * 0.0963 * 337e-6 * 50, rel=1e-3)


@pytest.mark.parametrize("name", ["generic-45nm", "spinnaker2"])
def test_what_is_not_known_is_named(name: str) -> None:
    report = energy_of_layers(COUNTS, chip(name))
    assert report.static is None
    assert report.total is None
    assert any(line.startswith("static energy: ") for line in report.missing)
    assert any("which cores a spike reaches" in line for line in report.not_covered)


def test_a_crossbar_and_a_wrong_time_are_refused() -> None:
    with pytest.raises(ChipError, match=r"odin: found counts by layer alone, .* export the model"):
        energy_of_layers(COUNTS, chip("odin"))
    with pytest.raises(InputError, match="step_time"):
        energy_of_layers(COUNTS, LOIHI, step_time=-1)
    nothing = replace(COUNTS, synapses=())
    with pytest.raises(InputError, match="no weight other than zero"):
        ann_of_layers(nothing)
