"""The energy model against published powers and energies, through the same function that prices every run."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aspen.errors import ChipError, InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen.units import format_energy
from aspen_emulator import run
from aspen_hardware import chip, compile, place
from aspen_hardware.energy.costs import energy_of_counts, static_power, work_seconds
from aspen_hardware.energy.hops import hops
from aspen_hardware.energy.model import energy_model
from tests.hardware.placing.networks import APART, with_figures

LOIHI1, TRUENORTH, ODIN = chip("loihi1"), chip("truenorth"), chip("odin")


def test_truenorth_at_20_hz() -> None:
    # Akopyan et al. 2015, Fig. 17: 71 mW at 20.07 Hz, 128 synapses for each of 2^20 neurons; the fit gives 70.8
    second = energy_of_counts({"synaptic_operation": 20.07 * 128 * 2**20}, TRUENORTH, 1.0)
    assert second.total is not None
    assert second.total.typical == pytest.approx(70.8e-3, abs=0.05e-3)
    one, all_ = static_power(TRUENORTH, cores=1), static_power(TRUENORTH, cores=4096)
    assert one == all_ == TRUENORTH.power["chip"].si  # powered as a whole, whatever is used


@pytest.mark.parametrize(("clock", "operations", "watts"), [(75.0, 37.5e6, 476.9e-6), (1.3, 0.65e6, 35.1e-6)])
def test_odin_at_both_ends(clock: float, operations: float, watts: float) -> None:
    # Frenkel et al. 2019, Fig. 8b: 477 and 35 uW measured
    second = energy_of_counts({"synaptic_operation": operations}, ODIN, 1.0, clock=clock)
    assert second.total is not None
    assert second.total.typical == pytest.approx(watts, abs=0.05e-6)


@pytest.mark.parametrize(("spikes", "joules"), [(667, 1.45e-3), (750, 1.60e-3)])
def test_a_nearest_neighbour_query_on_loihi1(spikes: int, joules: float) -> None:
    # Frady et al. 2020: 1.33 mJ for a query of 76,800 patterns, 60 steps, 667 to 750 input spikes to every pattern
    counts = {"synaptic_operation": spikes * 76_800, "neuron_update_inactive": 76_800 * 60}
    query = energy_of_counts(counts, LOIHI1)
    assert query.dynamic is not None
    assert query.static is None  # no time given, none invented
    assert query.dynamic.typical == pytest.approx(joules, abs=0.005e-3)
    assert query.dynamic.typical == pytest.approx(1.33e-3, rel=0.21)


def chain(hidden: int = 8, analog: bool = False) -> Network:
    populations = (
        Population("input", (4,), current=analog),
        Population("hidden", (hidden,), Lif(1.0, 0.5)),
        Population("output", (2,), Lif(1.0, 0.5)),
    )
    return Network(
        populations,
        (Dense("input", "hidden", np.ones((hidden, 4))), Dense("hidden", "output", np.ones((2, hidden)))),
    )


def test_a_clock_moves_the_power_of_a_chip_that_has_one_only() -> None:
    usual, slow = static_power(ODIN), static_power(ODIN, clock=7.5)
    assert usual is not None
    assert slow is not None
    assert usual.typical - slow.typical == pytest.approx(1.78e-6 * 67.5)
    for target, clock in ((LOIHI1, 100.0), (ODIN, 0.0), (ODIN, float("nan"))):
        with pytest.raises(InputError, match=f"clock of {target.name}: found {clock}"):
            static_power(target, clock=clock)


def test_counts_must_be_known_and_positive() -> None:
    with pytest.raises(InputError, match="kind of event: found 'synapses', allowed are synaptic_op"):
        energy_of_counts({"synapses": 3}, LOIHI1)
    with pytest.raises(InputError, match="counts: spike: found -1, allowed is a number from 0"):
        energy_of_counts({"spike": -1}, LOIHI1)


@pytest.mark.parametrize("name", ["truenorth", "odin", "xylo", "spinnaker2"])
def test_chips_for_energies_price_counts_and_refuse_to_be_compiled_to(name: str) -> None:
    network = chain()
    with pytest.raises(ChipError, match=f"{name}: found a chip for energies only"):
        compile(network, name)
    record = run(network, np.ones((3, 2, 4), np.uint8), record="spikes")
    report = energy_model(record, chip(name), step_time=1e-3)
    known = chip(name).energies.get("synaptic_operation")
    operations = next(e for e in report.entries if e.event == "synaptic_operation")
    assert operations.count == 3 * 2 * 4 * 8
    assert (operations.joules is None) == (known is None or name == "odin")  # whose crossbar has them
    assert (report.static is None) == (not chip(name).powered)


def test_an_analog_input_is_counted_as_multiply_accumulates_and_named_where_it_has_no_figure() -> None:
    record = run(chain(analog=True), np.full((3, 2, 4), 0.5), record="spikes")
    without = energy_model(record, LOIHI1)
    assert without.count("multiply_accumulate") == 3 * 2 * 4 * 8
    assert any(text.startswith("192 multiply-accumulates of analog input in davies2018: ") for text in without.missing)
    priced = energy_model(record, chip("generic-45nm"))
    assert priced.input_energy is not None
    assert priced.input_energy.typical > 0
    assert not any("multiply-accumulates" in text for text in priced.missing)


def test_the_inputs_synapses_are_shown_apart() -> None:
    record = run(chain(), np.ones((3, 2, 4), np.uint8), record="spikes")
    report = energy_model(record, LOIHI1)
    assert report.first_layer == ("input->hidden",)
    assert report.input_energy is not None
    assert report.input_energy.typical == pytest.approx(192 * 23.6e-12)
    per_sample = format_energy(192 * 23.6e-12 / 2)
    assert re.search(rf"of dynamic: the input's synapses +{re.escape(per_sample)} ", str(report))


def test_work_takes_the_published_times_of_the_busiest_core() -> None:
    network = chain()
    record = run(network, np.ones((1, 1, 4), np.uint8), record="spikes")
    placement = place(network, APART)
    # hidden: 32 synaptic operations and 8 active updates; output: 16 and 2; then the barrier of one tile
    assert record.synaptic_operations["hidden->output"].sum() == 16
    seconds = work_seconds(record, APART, placement)
    assert seconds is not None
    assert seconds.of["davies2018"].typical == pytest.approx((32 * 3.5 + 8 * 8.4 + 113) * 1e-9)
    sender = 4 * 16 + 32 * 3.8 + 8 * 9.7 + 8 * (30 + 5.1)  # packets in, synapses, updates, spikes and packets out
    assert seconds.of["sanafe"].typical == pytest.approx((sender + 600) * 1e-9)
    report = energy_model(record, APART, time="work")
    assert report.seconds is not None
    assert (report.seconds.low, report.seconds.typical) == (seconds.low, seconds.typical)
    assert report.seconds.high == pytest.approx(879e-6)  # as long as a step was ever measured
    assert report.static is not None
    assert report.static.typical == pytest.approx(96.3e-3 * seconds.typical)
    assert "as fast as the work allows" in str(report)
    with pytest.raises(InputError, match="'measured' on odin, whose file has no measured step"):
        energy_model(record, ODIN, time="measured")
    with pytest.raises(InputError, match="'work' on truenorth, whose file has no times of operations"):
        energy_model(record, TRUENORTH, time="work")
    with pytest.raises(InputError, match=r"allowed is step, or measured or work without a"):
        energy_model(record, APART, time="work", step_time=1e-3)


def test_the_time_of_a_step_is_that_of_its_slowest_population_on_its_cores_and_a_barrier() -> None:
    """Analog input, neurons that rest, steps that differ, several cores and tiles: as added up by hand."""
    populations = (
        Population("input", (4,), current=True),
        *(Population(k, (n,), Lif(1.0, 0.5)) for k, n in (("hidden", 8), ("output", 2))),
    )
    network = Network(populations, (Dense("input", "hidden", np.ones((8, 4))), Dense("hidden", "output", np.eye(2, 8))))
    given = np.zeros((3, 2, 4))
    given[0, 0], given[1, 1, :2] = 1.0, 0.1  # four values that make all hidden neurons fire, and two that do not
    record = run(network, given, record="spikes")
    assert record.spikes["hidden"].tolist() == [[8, 0], [0, 0], [0, 0]]
    macs, operations = record.multiply_accumulates["input->hidden"], record.synaptic_operations["hidden->output"]
    assert macs.tolist() == [[32, 0], [0, 16], [0, 0]]
    for chip_, cores, barrier in ((APART, 1, 113), (with_figures(APART, neurons_per_core=1), 8, 465)):
        placement, seconds = place(network, chip_), 0.0
        assert [len(placement.of(name)) for name in ("hidden", "output")] == [cores, min(cores, 2)]
        for now in np.ndindex(3, 2):
            active = {name: int(record.active_updates[name][now]) for name in network.order}
            hidden = macs[now] * 3.5 + active["hidden"] * 8.4 + (8 - active["hidden"]) * 5.3
            output = operations[now] * 3.5 + active["output"] * 8.4 + (2 - active["output"]) * 5.3
            seconds += max(hidden / cores, output / min(cores, 2)) + barrier
        found = work_seconds(record, chip_, placement)
        assert found is not None
        assert found.typical == pytest.approx(seconds * 1e-9)


def test_tiles_stand_in_rows_of_eight() -> None:
    """One neuron to a core, four cores to a tile: 40 neurons on tiles 0 to 9, the output on tile 10."""
    populations = (Population("input", (1,)), *(Population(k, (m,), Lif(1.0, 0.5)) for k, m in (("a", 40), ("b", 1))))
    network = Network(populations, (Dense("input", "a", np.ones((40, 1))), Dense("a", "b", np.ones((1, 40)))))
    placement = place(network, with_figures(APART, neurons_per_core=1))
    east_west, north_south = hops(network, "a", placement)
    np.testing.assert_array_equal(east_west[::4], [2, 1, 0, 1, 2, 3, 4, 5, 2, 1])  # to the third tile of the second row
    np.testing.assert_array_equal(north_south[::4], [1] * 8 + [0] * 2)


def test_power_of_the_clock_is_spent_by_every_chip() -> None:
    one, two = (static_power(ODIN, chips=chips, clock=10.0) for chips in (1, 2))
    assert one is not None
    assert one.typical == pytest.approx((27.3 + 1.78 * 10) * 1e-6)
    assert two == one.times(2)
    whole = static_power(LOIHI1)
    assert whole == LOIHI1.power["chip"].si
    assert whole is not None
    assert static_power(LOIHI1, cores=3, chips=2) == whole.times(2)
    assert static_power(ODIN) == static_power(ODIN, clock=ODIN.clock)


def test_packets_hop_from_tile_to_tile() -> None:
    n = 12_000  # 12 cores of 1024 neurons, 4 to a tile, then the output's in the fourth tile
    onwards = np.zeros((2, n))
    onwards[:, [0, 5000, n - 1]] = 1.0
    populations = (
        Population("input", (4,)),
        *(Population(k, (m,), Lif(1.0, 0.5)) for k, m in (("hidden", n), ("output", 2))),
    )
    network = Network(populations, (Dense("input", "hidden", np.ones((n, 4))), Dense("hidden", "output", onwards)))
    placement = place(network, APART)
    assert placement.cores_used == 13
    east_west, north_south = hops(network, "hidden", placement)
    assert not north_south.any()
    np.testing.assert_array_equal(east_west[[0, 5000, n - 1]], [3, 2, 1])
    assert east_west.sum() == 6
    for keep, hopped in (("spikes", 2 * 6), ("counts", 2 * n * 3)):  # without rasters all go as far as the farthest
        record = run(network, np.ones((2, 1, 4), np.uint8), record=keep)
        assert record.spikes["hidden"].sum() == 2 * n
        entries = energy_model(record, APART).entries
        (entry,) = (e for e in entries if e.event == "hop_east_west" and e.where == "hidden")
        assert entry.count == hopped
        assert entry.joules is not None
        assert entry.joules.typical == pytest.approx(hopped * 3e-12)


def test_packets_of_the_input_come_the_longest_way() -> None:
    """In a mesh of 8 x 4 tiles, to cores in tiles 0, 1 and 2 of the first row: 7, 6 and 5 tiles, and 3 rows."""
    n = 12_000
    populations = (Population("input", (2,)), Population("output", (n,), Lif(1.0, 0.5)))
    weight = np.zeros((n, 2))
    weight[[0, 5000, n - 1], [0, 0, 1]] = 1.0  # in cores 0, 4 and 11
    network = Network(populations, (Dense("input", "output", weight),))
    east_west, north_south = hops(network, "input", place(network, LOIHI1))
    assert (east_west.tolist(), north_south.tolist()) == ([7 + 6, 5], [3 + 3, 3])
    spikes = np.array([[[1, 0]], [[1, 1]]], np.uint8)
    for keep, hopped in (("spikes", 2 * 13 + 5), ("counts", 3 * 13)):
        report = energy_model(run(network, spikes, record=keep), LOIHI1)
        assert report.count("hop_east_west") == hopped
        assert ("and to go as far" in str(report)) == (keep == "counts")
        assert "assumed: packets of the input come the longest way that the mesh has" in str(report)


@pytest.mark.parametrize("keep", ["spikes", "counts"])
def test_values_that_are_not_zero_are_packets(keep: str) -> None:
    """However large they are, for each core; where it was not recorded which were zero, all of them."""
    populations = (Population("input", (2,), current=True), Population("output", (3,), Lif(1.0, 0.5)))
    network = Network(populations, (Dense("input", "output", np.ones((3, 2))),))
    values = np.array([[[0.25, -1.5]], [[0.0, 3.75]], [[0.0, 0.0]]])
    report = energy_model(run(network, values, record=keep), with_figures(LOIHI1, neurons_per_core=2))
    (entry,) = (e for e in report.entries if e.event == "spike_packet" and e.where == "input")
    assert entry.count == 2 * (3 if keep == "spikes" else 6)
    assert ("which values of input were zero was not recorded" in str(report)) == (keep == "counts")
