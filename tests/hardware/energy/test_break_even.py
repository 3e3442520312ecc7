"""Where spikes break even with the int8 ANN: against sums done by hand, all in pJ."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aspen.errors import InputError
from aspen.network.network import Dense, Network, Population
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware.energy.baseline import AnnCost, ann_baseline
from aspen_hardware.energy.break_even import break_even
from aspen_hardware.energy.model import energy_model
from tests.hardware.energy.test_energy_baseline import BY_HAND, DESIGN, NEURON, PJ, pj, sizes_of, tiny, tiny_record

# Of the spiking run: 10 operations of 11.35, 12.6 and 32.6; 6 spikes that go on, of 5, 5 and 10; 7 active updates of
# 36.5, 36.5 and 66.5, and an inactive one of 26.4, 26.4 and 46.4.
OPERATIONS, EVENTS, UPDATES = (113.5, 126.0, 326.0), (30.0, 30.0, 60.0), (281.9, 281.9, 511.9)
SPIKING = tuple(sum(parts) for parts in zip(OPERATIONS, EVENTS, UPDATES, strict=True))


def test_break_even_by_hand() -> None:
    ann = ann_baseline(tiny(), frames=10)
    found = break_even(tiny(), tiny_record(), ann)
    assert (pj(found.synapses), pj(found.events), pj(found.others)) == tuple(
        pytest.approx(part) for part in (OPERATIONS, EVENTS, UPDATES)
    )
    assert (found.steps, found.samples, found.operations_per_synapse) == (2, 1, 10 / 8)
    sizes = list(zip(OPERATIONS, EVENTS, UPDATES, BY_HAND["ideal"], strict=True))
    rates = [max(10 * one - updates, 0) / (8 * (o + e) / 10) for o, e, updates, one in sizes]
    ratios = [(o + e + updates) / (10 * one) for o, e, updates, one in sizes]
    assert sizes_of(found.rate) == pytest.approx(rates)
    assert sizes_of(found.ratio) == pytest.approx(ratios)
    # spikes gain where weights are far away: the lowest ratio is that of the largest buffers
    assert (found.ratio.low, found.ratio.typical, found.ratio.high) == pytest.approx(ratios[::-1])


def test_at_the_break_even_rate_both_cost_the_same() -> None:
    ann = ann_baseline(tiny(), frames=4, dataflow="input-stationary")
    found = break_even(tiny(), tiny_record(), ann)
    for name in ("small", "middle", "large"):
        share = found.rate.of[name].typical / found.operations_per_synapse
        spikes = (found.synapses + found.events).of[name].typical * share
        assert (spikes + found.others.of[name].typical) / PJ == pytest.approx(ann.energy.of[name].typical / PJ)


def test_no_rate_is_low_enough_where_updates_alone_cost_more() -> None:
    found = break_even(tiny(), tiny_record(), ann_baseline(tiny()))
    assert set(sizes_of(found.rate)) == {0.0}
    assert found.ratio.typical == pytest.approx(SPIKING[1] / BY_HAND["ideal"][1])
    assert "break-even: none, as it costs more than the ANN without any spike" in str(found)


def test_a_rate_that_only_large_buffers_allow_is_shown() -> None:
    found = break_even(tiny(), tiny_record(), ann_baseline(tiny(), frames=5))
    rate = (5 * BY_HAND["ideal"][2] - UPDATES[2]) / (8 * (OPERATIONS[2] + EVENTS[2]) / 10)
    assert sizes_of(found.rate) == pytest.approx((0, 0, rate))
    assert f"break-even: 0 (0 to {rate:.3g})" in str(found)


def test_a_silent_run_has_a_break_even_too() -> None:
    found = break_even(tiny(), tiny_record(silent=True), ann_baseline(tiny(), frames=10))
    assert (found.operations_per_synapse, set(pj(found.synapses)), set(pj(found.events))) == (0, {0.0}, {0.0})
    assert found.rate.typical == pytest.approx((10 * BY_HAND["ideal"][1] - 8 * 26.4) / (8 * 12.6))


def test_a_batch_a_report_and_a_record_say_the_same() -> None:
    ann = ann_baseline(tiny(), frames=10)
    one, three = (break_even(tiny(), tiny_record(batch), ann) for batch in (1, 3))
    assert three.samples == 3
    assert break_even(tiny(), energy_model(tiny_record(3), DESIGN), ann) == three
    for name in ("synapses", "events", "others", "spiking"):
        assert pj(getattr(three, name)) == pytest.approx(pj(getattr(one, name)))
    assert sizes_of(three.rate) == pytest.approx(sizes_of(one.rate))
    assert sizes_of(three.ratio) == pytest.approx(sizes_of(one.ratio))


def test_analog_input_is_spent_whatever_spikes() -> None:
    # 7 values of the input meet a weight; the hidden spikes' 3 synaptic operations remain; 3 values and 3 spikes go on
    found = break_even(tiny(analog=True), tiny_record(analog=True), ann_baseline(tiny(), frames=10))
    assert pj(found.synapses)[1] == pytest.approx(3 * 12.6)
    assert pj(found.events)[1] == pytest.approx((3 + 3) * 5)
    assert pj(found.others)[1] == pytest.approx(281.9 + 7 * 12.8)


def test_as_text_and_as_json() -> None:
    found = break_even(tiny(), tiny_record(), ann_baseline(tiny(), frames=10))
    text, best = str(found), BY_HAND["ideal"]
    assert text.startswith("int8 ANN of the same shape on generic-45nm, 10 times per inference, ideal\n")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "weights fetched 200 pJ 100 pJ 1 nJ 80" in lines
    assert "inputs written 25 pJ 25 pJ 50 pJ 20" in lines
    assert "spikes through the event queue 30 pJ 30 pJ 60 pJ" in lines
    assert "partial sums read" not in text
    assert "zeros are skipped" not in text
    assert f"spiking / ANN: {SPIKING[1] / (10 * best[1]):.3g} (" in text
    assert f"sum by multiply-accumulate {best[1] / 8:.3g} pJ {best[0] / 8:.3g} pJ {best[2] / 8:.3g} pJ" in lines
    assert "synaptic operations per synapse and inference: 1.25; break-even: 1.7 (0.972 to 2.98)" in text
    assert "no figure for 4 spikes fired" not in text  # they are in the updates
    assert "no figure for" not in text  # static energy and time are on neither side
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["ann"]["multiply_accumulates"] == 80
    assert plain["ann"]["energy"]["typical"] / PJ == pytest.approx(10 * best[1])
    assert plain["spiking"]["typical"] / PJ == pytest.approx(SPIKING[1])
    assert plain["rate"]["typical"] == found.rate.typical


def test_a_design_without_an_event_queue() -> None:
    figures = {key: figure for key, figure in DESIGN.figures.items() if not key.endswith("spike_packet")}
    bare = replace(DESIGN, figures=figures)
    found = break_even(tiny(), energy_model(tiny_record(), bare), ann_baseline(tiny(), frames=10, chip=bare))
    assert set(pj(found.events)) == {0.0}
    assert pj(found.spiking) == pytest.approx([o + u for o, u in zip(OPERATIONS, UPDATES, strict=True)])


def test_a_scenario_may_have_a_range_of_its_own() -> None:
    key = "scenarios.middle.energies.synaptic_operation"
    wide = replace(DESIGN.figures[key], low=10.0, high=20.0)
    own = replace(DESIGN, figures={**DESIGN.figures, key: wide}).only("middle")
    found = break_even(tiny(), energy_model(tiny_record(), own), ann_baseline(tiny(), frames=10, chip=own))
    ann, rest = 10 * BY_HAND["ideal"][1], EVENTS[1] + UPDATES[1]
    ratios = [(10 * each + rest) / ann for each in (10.0, 12.6, 20.0)]
    assert (found.ratio.low, found.ratio.typical, found.ratio.high) == pytest.approx(ratios)
    rates = [(ann - UPDATES[1]) / (8 * (each + EVENTS[1] / 10)) for each in (20.0, 12.6, 10.0)]
    assert (found.rate.low, found.rate.typical, found.rate.high) == pytest.approx(rates)


def test_ones_own_design() -> None:
    own = replace(DESIGN, name="mine")
    ann = ann_baseline(tiny(), chip=own)
    assert break_even(tiny(), energy_model(tiny_record(), own), ann).ann.chip == "mine"
    with pytest.raises(InputError, match="a record beside a baseline on mine, allowed is an energy report"):
        break_even(tiny(), tiny_record(), ann)
    with pytest.raises(InputError, match="run on generic-45nm and baseline on mine"):
        break_even(tiny(), energy_model(tiny_record(), DESIGN), ann)


def test_a_run_of_other_neurons_is_refused() -> None:
    populations = (Population("input", (2,)), Population("output", (4,), NEURON))
    flat = Network(populations, (Dense("input", "output", np.array([[1.0, 1.0]] * 2 + [[1.0, 0.0]] * 2)),))
    five = Network(
        (Population("input", (2,)), Population("output", (5,), NEURON)),
        (Dense("input", "output", np.array([[1.0, 1.0]] + [[1.0, 0.0]] * 4)),),
    )
    silent = {"input": np.zeros((2, 1, 2), np.uint8), "output": np.zeros((2, 1, 4), np.uint8)}
    run = record_from_rasters(flat, silent, "by hand")
    assert break_even(flat, run, ann_baseline(flat)).steps == 2
    with pytest.raises(InputError, match=r"of the baseline \(6, 8, 6\), allowed are \(6, 10, 6\)"):
        break_even(five, run, ann_baseline(five))


@pytest.mark.parametrize("other", ["network", "baseline"])
def test_another_networks_baseline_is_refused(other: str) -> None:
    network, larger = tiny(), tiny(recurrent=True)
    ann: AnnCost = ann_baseline(larger if other == "baseline" else network)
    with pytest.raises(InputError, match=r"found synapses of the run, .* give a run and a baseline of this network"):
        break_even(larger if other == "network" else network, tiny_record(), ann)
