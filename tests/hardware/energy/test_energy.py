"""The energy model against sums done by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen.network.record import Record
from aspen.units import format_energy
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.chips.ranges import ByScenario, Range
from aspen_hardware.energy.costs import energy_of_counts, static_power, work_seconds
from aspen_hardware.energy.model import NOT_COVERED, energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.placement import place
from tests.hardware.placing.networks import APART

LOIHI1 = APART
"""With cores of one population: figures by hand are those of several cores."""
PJ = 1e-12


def tiny() -> Network:
    """Two inputs, three hidden neurons, one output; one weight is zero, so the inputs' fan-outs are 3 and 2."""
    first = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    populations = (
        Population("input", (2,)),
        Population("hidden", (3,), Lif(1.0, 0.9)),
        Population("output", (1,), Lif(1.0, 0.9)),
    )
    return Network(populations, (Dense("input", "hidden", first), Dense("hidden", "output", np.ones((1, 3)))))


def rasters(batch: int = 1) -> dict[str, Array]:
    """Two steps. Per sample: inputs 0 and 1 spike, then input 1; hidden 0 and 1, then hidden 0; output once."""
    spikes = {
        "input": [[1, 1], [0, 1]],
        "hidden": [[1, 1, 0], [1, 0, 0]],
        "output": [[0], [1]],
    }
    return {name: np.repeat(np.array(s, np.uint8)[:, None], batch, axis=1) for name, s in spikes.items()}


def record(batch: int = 1, keep: bool = True) -> Record:
    return record_from_rasters(tiny(), rasters(batch), "by hand", "spikes" if keep else "counts")


def bounds(quantity: Range | ByScenario | None) -> tuple[float, float, float]:
    assert quantity is not None
    return quantity.low, quantity.typical, quantity.high


def counts(report: EnergyReport) -> dict[tuple[str, str], int]:
    return {(entry.where, entry.event): entry.count for entry in report.entries}


BY_HAND = {
    ("input->hidden", "synaptic_operation"): 3 + 2 + 2,
    ("hidden->output", "synaptic_operation"): 2 + 1,
    ("hidden", "neuron_update_active"): 3 + 2,
    ("hidden", "neuron_update_inactive"): 1,
    ("hidden", "spike"): 3,
    ("output", "neuron_update_active"): 2,
    ("output", "neuron_update_inactive"): 0,
    ("output", "spike"): 1,
    ("input", "spike_packet"): 3,
    ("hidden", "spike_packet"): 3,
    ("output", "spike_packet"): 0,
    ("input", "hop_east_west"): 3 * 7,
    ("input", "hop_north_south"): 3 * 3,
}
"""Both cores are in a corner tile of a mesh of 8 x 4, whose opposite corner is 7 + 3 tiles away."""
AWAKE = 8
"""Updates of neurons with input or a membrane that is not zero: all; the one without input kept its membrane."""
DAVIES = (10 * 23.6 + 7 * 81 + 1 * 52 + 4 * 0 + 6 * 1.7 + 21 * 3.0 + 9 * 4.0) * PJ
SANAFE = (10 * 35.5 + AWAKE * 72.8 + (8 - AWAKE) * 51.2 + 4 * 69.3 + 6 * 111 + 21 * 3.0 + 9 * 4.2) * PJ
WATTS = (29.5e-3, 96.3e-3, 104e-3)
STEP = (5.8e-6, 337e-6, 879e-6)
"""Of a step as measured: lowest, typical, highest; as the power of the whole chip."""


def test_loihi1_by_hand() -> None:
    report = energy_model(record(), LOIHI1)
    assert counts(report) == BY_HAND
    assert (report.samples, report.steps, report.cores_used, report.synapses) == (1, 2, 2, 8)
    assert bounds(report.seconds) == pytest.approx([2 * step for step in STEP])
    static = [2 * step * watts for step, watts in zip(STEP, WATTS, strict=True)]
    assert bounds(report.dynamic) == pytest.approx((DAVIES, DAVIES, SANAFE))
    assert bounds(report.static) == pytest.approx(static)
    assert bounds(report.total) == pytest.approx([static[0] + DAVIES, static[1] + DAVIES, static[2] + SANAFE])
    assert report.dynamic is not None
    assert report.dynamic.of["sanafe"].typical == pytest.approx(SANAFE)
    assert report.operations_per_synapse == pytest.approx(10 / 8)
    assert report.missing == ()
    assert set(NOT_COVERED) < set(report.not_covered)
    assert set(LOIHI1.not_covered) < set(report.not_covered)


@pytest.mark.parametrize("keep", [True, False])
def test_batches_cost_in_proportion(keep: bool) -> None:
    one, three = (energy_model(record(batch, keep), LOIHI1) for batch in (1, 3))
    assert counts(three) == {key: 3 * count for key, count in BY_HAND.items()}
    assert bounds(three.seconds) == pytest.approx([6 * step for step in STEP])
    assert bounds(three.dynamic) == pytest.approx((3 * DAVIES, 3 * DAVIES, 3 * SANAFE))
    for part in ("dynamic", "static", "total"):
        mean, single = getattr(three.per_inference, part), getattr(one, part)
        for bound in ("low", "typical", "high"):
            assert getattr(mean, bound) == pytest.approx(getattr(single, bound))


def test_samples_of_a_batch_are_counted_each() -> None:
    spikes = rasters(2)
    for raster in spikes.values():
        raster[:, 1] = 0
    report = energy_model(record_from_rasters(tiny(), spikes, "by hand", "spikes"), LOIHI1)
    silent = {("hidden", "neuron_update_inactive"): 1 + 6, ("output", "neuron_update_inactive"): 2}
    assert counts(report) == {**BY_HAND, **silent}


def test_twice_the_run_is_twice_the_energy() -> None:
    once = record()
    twice = {name: np.concatenate([raster, raster]) for name, raster in rasters().items()}
    a = energy_model(once, LOIHI1)
    b = energy_model(record_from_rasters(tiny(), twice, "by hand", "spikes"), LOIHI1)
    assert counts(b) == {key: 2 * count for key, count in counts(a).items()}
    for part in ("dynamic", "static", "total"):
        for bound in ("low", "typical", "high"):
            assert getattr(getattr(b, part), bound) == pytest.approx(2 * getattr(getattr(a, part), bound))


def test_a_silent_run_still_costs_updates_and_static_power() -> None:
    silent = {name: np.zeros_like(raster) for name, raster in rasters().items()}
    report = energy_model(record_from_rasters(tiny(), silent, "by hand"), LOIHI1)
    assert report.dynamic is not None
    assert report.dynamic.typical == pytest.approx(8 * 52 * PJ)
    assert report.static == energy_model(record(), LOIHI1).static


def test_loihi2_gives_counts_and_the_power_of_the_chip_but_no_joules_of_operations() -> None:
    report = energy_model(record(), chip("loihi2"))
    assert counts(report) == {key: count for key, count in BY_HAND.items() if not key[1].startswith("hop_")}
    assert (report.dynamic, report.total) == (None, None)
    assert (report.per_inference.dynamic, report.per_inference.total) == (None, None)
    watts, steps = (0.232, 0.232, 0.282), (152.8e-6, 152.8e-6, 59.28e-3)  # one frame repeated; frames from outside
    assert bounds(report.static) == pytest.approx([2 * step * power for step, power in zip(steps, watts, strict=True)])
    assert steps[0] == pytest.approx(1 / 408.91 / 16, rel=1e-3)
    assert steps[2] == pytest.approx(1 / 16.87, rel=1e-3)
    missing = "\n".join(report.missing)
    assert "10 synaptic operations, " in missing
    assert "6 spike packets: no energy per operation of Loihi 2 is published" in missing
    assert str(report).startswith("loihi2: more than 70.9 uJ (70.9 uJ to 33.4 mJ) per inference, as the energy of oper")
    assert "23.6 pJ is another chip's" in str(report)
    assert "0 pJ" not in str(report).splitlines()[3]
    json.dumps(report.to_dict())


def test_a_given_step_time_is_taken_for_what_it_is() -> None:
    report = energy_model(record(3), chip("generic-45nm"), step_time=1e-4)
    assert bounds(report.seconds) == pytest.approx((6e-4, 6e-4, 6e-4))
    assert report.static is None
    faster, usual = energy_model(record(3), LOIHI1, step_time=1e-4), energy_model(record(3), LOIHI1, time="step")
    assert (faster.timing, usual.timing, energy_model(record(3), LOIHI1).timing) == ("step", "step", "measured")
    assert bounds(faster.static) == pytest.approx([6e-4 * watts for watts in WATTS])
    assert bounds(usual.static) == pytest.approx([6e-3 * watts for watts in WATTS])


def test_generic_45nm_has_dynamic_energy_only() -> None:
    report = energy_model(record(), chip("generic-45nm"), step_time=1e-3)
    small, middle = (10 * operation + 7 * 36.5 + 26.4 + 6 * 5 for operation in (11.35, 12.6))
    by_hand = (small, middle, 10 * 32.6 + 7 * 66.5 + 46.4 + 6 * 10)
    assert bounds(report.dynamic) == pytest.approx([energy * PJ for energy in by_hand])
    assert (report.static, report.total) == (None, None)
    assert "static energy: the source gives no static power" in report.missing
    without = energy_model(record(), chip("generic-45nm"))
    assert without.seconds is None
    assert any(text.startswith("time: an assumed design has no time step") for text in without.missing)
    assert "2 steps of unknown length" in str(without)


# ---------------------------------------------------------------- how a chip is powered


def powered(rule: str, *, speeds: bool = True, **watts: float) -> Chip:
    """Loihi 1 powered by another rule, of four cores."""
    figures = {key: figure for key, figure in LOIHI1.figures.items() if not key.startswith("power.")}
    figures = {key: figure for key, figure in figures.items() if speeds or ".speeds." not in key}
    one = replace(LOIHI1.power["chip"], value=1.0, low=1.0, high=1.0, unit="W")
    given = {f"power.{key}": replace(one, value=w, low=w, high=w) for key, w in watts.items()}
    four = replace(LOIHI1.figures["limits.cores"], value=4)
    return replace(LOIHI1, figures={**figures, **given, "limits.cores": four}, powered={"rule": rule, "source": "x"})


def test_a_chip_powered_as_a_whole_draws_its_power_however_few_cores_are_in_use() -> None:
    report = energy_model(record(), LOIHI1, time="step")
    assert report.cores_used == 2
    assert report.static is not None
    assert bounds(report.share) == pytest.approx([report_ * 2 / 128 for report_ in bounds(report.static)])
    total, text = report.total, str(report)
    assert total is not None
    assert total.typical == pytest.approx(2e-3 * 96.3e-3 + DAVIES)  # the share is in no total
    assert "in no total: the used cores' share of static" in text


def test_a_chip_powered_by_core_pays_for_cores_in_use_and_for_those_that_are_off() -> None:
    report = energy_model(record(), powered("core", core=0.5, off=0.125), step_time=2.0)
    assert bounds(report.static) == pytest.approx([2 * 2.0 * (2 * 0.5 + 2 * 0.125)] * 3)
    assert report.share is None


def test_a_gated_chip_pays_while_it_works_and_for_being_off_while_it_waits() -> None:
    gated = powered("gated", chip=1.0, off=0.25)
    work = work_seconds(record(), gated, place(tiny(), gated))
    assert work is not None
    report = energy_model(record(), gated, step_time=2.0)
    by_hand = [busy * 1.0 + (4.0 - busy) * 0.25 for busy in bounds(work)]
    assert bounds(report.static) == pytest.approx(by_hand)
    late = energy_model(record(), gated, step_time=work.low / 4)  # the work does not fit: it never waits
    assert bounds(late.static) == pytest.approx([work.low / 2 * 1.0] * 3)
    unknown = energy_model(record(), powered("gated", speeds=False, chip=1.0, off=0.25), step_time=2.0)
    assert unknown.static is None
    assert "static energy: the chip is gated, and how long its work takes is not known" in unknown.missing


def test_pins_and_clock_come_on_top() -> None:
    with_pins = powered("whole", chip=1.0, io=0.5)
    assert bounds(energy_model(record(), with_pins, step_time=1.0).static) == pytest.approx([2 * 1.5] * 3)


def test_scenarios_may_count_active_updates_differently_and_both_are_shown() -> None:
    kept = record()
    assert kept.active_updates["hidden"].sum() + kept.active_updates["output"].sum() == 7
    assert kept.awake_updates["hidden"].sum() + kept.awake_updates["output"].sum() == AWAKE
    entry = next(e for e in energy_model(kept, LOIHI1).entries if e.event == "neuron_update_active")
    assert (entry.where, entry.count, dict(entry.counts)) == ("hidden", 5, {"davies2018": 5, "sanafe": 6})
    alone = energy_model(kept, LOIHI1.only("sanafe"))
    assert bounds(alone.dynamic) == pytest.approx((SANAFE, SANAFE, SANAFE))
    assert alone.count("neuron_update_active") == AWAKE
    rows = [line.split() for line in str(energy_model(kept, LOIHI1)).splitlines()]
    assert ["counted", "by", "sanafe", "6"] in rows


def test_a_sum_is_no_mixture_of_scenarios() -> None:
    """Of one event each, the lowest figures of both sources would add up to less than either source says."""
    mixed = {"synaptic_operation": 1000, "neuron_update_active": 100_000}
    energy = energy_of_counts(mixed, LOIHI1).dynamic
    assert energy is not None
    davies, sanafe = (1000 * 23.6 + 100_000 * 81) * PJ, (1000 * 35.5 + 100_000 * 72.8) * PJ
    assert bounds(energy) == pytest.approx((sanafe, davies, davies))
    assert energy.low > (1000 * 23.6 + 100_000 * 72.8) * PJ


# ---------------------------------------------------------------- packets by destination core


@pytest.fixture
def two_neuron_cores(tmp_path: Path) -> Chip:
    """Loihi 1 from an own file, with cores of two neurons."""
    text = resources.files("aspen_hardware").joinpath("chips", "loihi1.toml").read_text(encoding="utf-8")
    path = tmp_path / "tiny.toml"
    one = 'value = 1\nunit = "populations"\nsource = "boyle2025"\ntrust = "P"'
    text = re.sub(r"\[missing.limits\]\npopulations_per_core = .*", f"[limits.populations_per_core]\n{one}", text)
    path.write_text(text.replace("value = 1024\n", "value = 2\n").replace('name = "loihi1"', 'name = "tiny"'))
    return chip(path)


@pytest.mark.parametrize("keep", [True, False])
def test_packets_go_to_each_destination_core(two_neuron_cores: Chip, keep: bool) -> None:
    # hidden takes two cores, {0, 1} and {2}; input 0 reaches both, input 1 only the first
    network = tiny()
    placement = place(network, two_neuron_cores)
    assert [core.neurons for core in placement.of("hidden")] == [2, 1]
    assert placement.destinations(network, "input").tolist() == [2, 1]
    report = energy_model(record(keep=keep), two_neuron_cores)
    found = counts(report)
    assert found["input", "spike_packet"] == (1 * 2 + 2 * 1 if keep else 3 * 2)
    assert found["hidden", "spike_packet"] == 3
    assert any("which neurons of input spiked was not recorded" in text for text in report.not_covered) != keep
    assert report.cores_used == 3
    assert bounds(report.static) == bounds(energy_model(record(keep=keep), LOIHI1).static)  # no core changes it


# ---------------------------------------------------------------- refusals and output


def test_a_given_placement_is_used_and_must_be_the_networks(two_neuron_cores: Chip) -> None:
    placement = place(tiny(), LOIHI1)
    assert energy_model(record(), LOIHI1, placement) == energy_model(record(), LOIHI1)
    with pytest.raises(InputError, match=r"placement: found neurons .* on loihi1, allowed is .* on tiny; place the"):
        energy_model(record(), two_neuron_cores, placement)
    other = replace(placement, cores=placement.cores[:1])
    with pytest.raises(InputError, match=r"found neurons \{'hidden': 3, 'output': 0\} on loihi1"):
        energy_model(record(), LOIHI1, other)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_step_time_must_be_positive(value: float) -> None:
    with pytest.raises(InputError, match=r"step_time: found .*, allowed are finite seconds above 0"):
        energy_model(record(), LOIHI1, step_time=value)


@pytest.mark.parametrize("shape", [(0, 1, 1), (2, 0, 1)])
def test_an_empty_record_is_refused(shape: tuple[int, ...]) -> None:
    empty = replace(record(), output=np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match=r"record: found \d steps of \d samples, allowed is at least one"):
        energy_model(empty, LOIHI1)


def test_text_says_first_what_a_battery_sees() -> None:
    lines = str(energy_model(record(), LOIHI1)).splitlines()
    assert lines[0] == (
        "loihi1: 64.9 uJ (343 nJ to 183 uJ) per inference; 2 steps of 337 us as measured on the chip, 2 cores in use; "
        "one inference"
    )
    assert [line.split()[0] for line in lines[1:6]] == ["typical", "per", "total", "static", "dynamic"]
    text = "\n".join(lines)
    assert "input->hidden: synaptic operations" in text
    assert "1.25 synaptic operations per synapse and inference" in text
    assert "assumed: a step takes as long as measured: 337 us (abr2019: running/loihi_run01 to 05, keyword" in text
    assert "assumed: its range: 5.8 to 879 us, measured on other programs" in text
    assert "assumed: the whole chip is powered while any of it is (abr2019: " in text
    real = str(energy_model(record(), LOIHI1, time="step"))
    assert "2 steps of 1 ms in real time" in real
    assert "assumed: a step takes 1 ms, the tick of real time (davies2021: section II-A, p. 914)" in real
    assert "assumed: a step takes 0.002 s, as given" in str(energy_model(record(), LOIHI1, step_time=2e-3))


def test_to_dict_is_json_in_joules() -> None:
    plain = json.loads(json.dumps(energy_model(record(2), LOIHI1).to_dict()))
    assert plain["per_inference_j"]["dynamic"]["typical"] == pytest.approx(DAVIES)
    assert plain["whole_run_j"]["static"]["low"] == pytest.approx(29.5e-3 * 4 * 5.8e-6)
    assert plain["whole_run_j"]["total"]["high"] == pytest.approx(2 * SANAFE + 104e-3 * 4 * 879e-6)
    assert {entry["event"] for entry in plain["entries"]} == {event for _, event in BY_HAND}
    operations = plain["entries"][0]
    assert operations["by_scenario"]["sanafe"]["typical"] == pytest.approx(2 * 7 * 35.5e-12)
    assert operations["joules"]["high"] == pytest.approx(2 * 7 * 35.5e-12)


@pytest.mark.parametrize(
    ("joules", "text"),
    [(0.0, "0 pJ"), (23.6e-12, "23.6 pJ"), (1.5e-9, "1.5 nJ"), (0.82e-6, "820 nJ"), (3.26e-6, "3.26 uJ"), (2.0, "2 J")],
)
def test_format_energy(joules: float, text: str) -> None:
    assert format_energy(joules) == text


def test_the_published_orders_of_magnitude_of_loihi1() -> None:
    # the chip takes 96 uJ in 1 ms; updating 256 neurons costs 13 to 21 nJ; 10,000 synaptic operations 0.24 uJ
    energies, power = LOIHI1.energies, static_power(LOIHI1)
    assert power is not None
    assert power.typical * 1e-3 == pytest.approx(96e-6, rel=0.01)
    assert energies["neuron_update_inactive"].times(256).typical == pytest.approx(13.3e-9, rel=0.01)
    assert energies["neuron_update_active"].times(256).typical == pytest.approx(20.7e-9, rel=0.01)
    assert energies["synaptic_operation"].times(10_000).typical == pytest.approx(0.236e-6)
