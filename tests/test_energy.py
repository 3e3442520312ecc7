"""The energy model against sums done by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from aspen._arrays import Array
from aspen.control.units import format_energy
from aspen.errors import InputError
from aspen.network import Dense, Lif, Network, Population
from aspen.record import Record, record_from_rasters
from aspen_hardware.chips import Chip, chip
from aspen_hardware.energy import NOT_COVERED, EnergyReport, energy_model
from aspen_hardware.placement import place

LOIHI1 = chip("loihi1")
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
}
TYPICAL = (10 * 23.6 + 7 * 81 + 1 * 52 + 4 * 0 + 6 * 1.7) * PJ
LOW = (10 * 23.6 + 7 * 72.8 + 1 * 51.2 + 4 * 0 + 6 * 1.7) * PJ
HIGH = (10 * 35.5 + 7 * 81 + 1 * 52 + 4 * 69.3 + 6 * 111) * PJ


def test_loihi1_by_hand() -> None:
    report = energy_model(record(), LOIHI1)
    assert counts(report) == BY_HAND
    assert (report.samples, report.steps, report.cores_used, report.synapses) == (1, 2, 2, 8)
    assert report.seconds == pytest.approx(2e-3)
    assert report.dynamic is not None
    assert report.static is not None
    assert report.total is not None
    assert report.dynamic.typical == pytest.approx(TYPICAL)
    assert report.dynamic.low == pytest.approx(LOW)
    assert report.dynamic.high == pytest.approx(HIGH)
    assert report.static.typical == pytest.approx(2 * 0.815e-3 * 2e-3)
    assert report.static.low == pytest.approx(2 * 0.227e-3 * 2e-3)
    assert report.static.high == pytest.approx(2 * 0.815e-3 * 2e-3)
    assert report.total.typical == pytest.approx(TYPICAL + 2 * 0.815e-3 * 2e-3)
    assert report.operations_per_synapse == pytest.approx(10 / 8)
    assert report.missing == ()
    assert set(NOT_COVERED) < set(report.not_covered)
    assert set(LOIHI1.not_covered) < set(report.not_covered)


@pytest.mark.parametrize("keep", [True, False])
def test_batches_cost_in_proportion(keep: bool) -> None:
    one, three = (energy_model(record(batch, keep), LOIHI1) for batch in (1, 3))
    assert counts(three) == {key: 3 * count for key, count in BY_HAND.items()}
    assert three.seconds == pytest.approx(6e-3)
    assert three.dynamic is not None
    assert three.dynamic.typical == pytest.approx(3 * TYPICAL)
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


def test_loihi2_gives_counts_but_no_joules_and_says_why() -> None:
    report = energy_model(record(), chip("loihi2"))
    assert counts(report) == BY_HAND
    assert (report.dynamic, report.static, report.total, report.seconds) == (None, None, None, None)
    assert (report.per_inference.dynamic, report.per_inference.total) == (None, None)
    missing = "\n".join(report.missing)
    assert "10 synaptic operations: no energy per operation of Loihi 2 is published" in missing
    assert "static energy: published only for whole workloads" in missing
    assert "time: no standard time step is published" in missing
    assert "unknown" in str(report)
    assert "23.6 pJ is another chip's" in str(report)
    assert "0 pJ" not in str(report)
    json.dumps(report.to_dict())


def test_a_given_step_time_gives_time_but_invents_no_static_energy() -> None:
    report = energy_model(record(3), chip("loihi2"), step_time=1e-4)
    assert report.seconds == pytest.approx(6e-4)
    assert report.static is None
    assert not any(text.startswith("time") for text in report.missing)
    faster = energy_model(record(3), LOIHI1, step_time=1e-4).static
    usual = energy_model(record(3), LOIHI1).static
    assert faster is not None
    assert usual is not None
    assert faster.typical == pytest.approx(usual.typical / 10)


def test_generic_45nm_has_dynamic_energy_only() -> None:
    report = energy_model(record(), chip("generic-45nm"), step_time=1e-3)
    assert report.dynamic is not None
    assert report.dynamic.typical == pytest.approx((10 * 12.6 + 7 * 36.5 + 26.4) * PJ)
    assert report.dynamic.low == pytest.approx((10 * 11.35 + 7 * 36.5 + 26.4) * PJ)
    assert report.dynamic.high == pytest.approx((10 * 32.6 + 7 * 66.5 + 46.4) * PJ)
    assert (report.static, report.total) == (None, None)
    assert "6 spike packets: the source gives no energy of an on-chip network" in report.missing
    assert "static energy: the source gives no static power" in report.missing


def test_static_power_of_the_chip_where_the_file_has_none_per_core() -> None:
    figures = {key: figure for key, figure in LOIHI1.figures.items() if key != "statics.core"}
    whole = replace(LOIHI1, figures=figures, missing={"statics.core": "unknown"})
    report = energy_model(record(), whole)
    assert report.static is not None
    assert report.static.typical == pytest.approx(0.104 * 2e-3)
    assert report.static.low == pytest.approx(0.029 * 2e-3)


# ---------------------------------------------------------------- packets by destination core


@pytest.fixture
def two_neuron_cores(tmp_path: Path) -> Chip:
    """Loihi 1 from an own file, with cores of two neurons."""
    text = resources.files("aspen_hardware").joinpath("chips", "loihi1.toml").read_text(encoding="utf-8")
    path = tmp_path / "tiny.toml"
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
    assert report.static is not None
    assert report.static.typical == pytest.approx(3 * 0.815e-3 * 2e-3)


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


def test_text_shows_both_parts_beside_the_total() -> None:
    text = str(energy_model(record(), LOIHI1))
    lines = [line.split()[0] for line in text.splitlines()]
    first = lines.index("dynamic")
    assert lines[first : first + 3] == ["dynamic", "static", "total"]
    assert "865 pJ" in text
    assert "3.26 uJ" in text
    assert "input->hidden: synaptic operations" in text
    assert "1.25 synaptic operations per synapse and inference" in text


def test_to_dict_is_json_in_joules() -> None:
    plain = json.loads(json.dumps(energy_model(record(2), LOIHI1).to_dict()))
    assert plain["per_inference_j"]["dynamic"]["typical"] == pytest.approx(TYPICAL)
    assert plain["whole_run_j"]["static"]["low"] == pytest.approx(2 * 0.227e-3 * 4e-3)
    assert plain["whole_run_j"]["total"]["high"] == pytest.approx(2 * HIGH + 2 * 0.815e-3 * 4e-3)
    assert {entry["event"] for entry in plain["entries"]} == {event for _, event in BY_HAND}


@pytest.mark.parametrize(
    ("joules", "text"),
    [(0.0, "0 pJ"), (23.6e-12, "23.6 pJ"), (1.5e-9, "1.5 nJ"), (0.82e-6, "820 nJ"), (3.26e-6, "3.26 uJ"), (2.0, "2 J")],
)
def test_format_energy(joules: float, text: str) -> None:
    assert format_energy(joules) == text


def test_the_published_orders_of_magnitude_of_loihi1() -> None:
    # one core for 1 ms leaks 0.82 uJ; updating 256 neurons costs 13 to 21 nJ; 10,000 synaptic operations 0.24 uJ
    energies, core = LOIHI1.energies, LOIHI1.statics["core"].si
    assert core.typical * 1e-3 == pytest.approx(0.82e-6, rel=0.01)
    assert energies["neuron_update_inactive"].si.times(256).typical == pytest.approx(13.3e-9, rel=0.01)
    assert energies["neuron_update_active"].si.times(256).typical == pytest.approx(20.7e-9, rel=0.01)
    assert energies["synaptic_operation"].si.times(10_000).typical == pytest.approx(0.236e-6)
