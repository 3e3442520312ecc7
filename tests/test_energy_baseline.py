"""The int8 ANN beside a spiking run: against sums done by hand, all in pJ from the table in generic-45nm.toml."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from aspen._arrays import Array
from aspen.errors import ChipError, InputError
from aspen.network import Conv, Dense, Lif, Network, Population
from aspen.record import Record, record_from_rasters
from aspen_hardware.baseline import PARTIAL_SUMS, AnnCost, ann_baseline, break_even
from aspen_hardware.chips import chip
from aspen_hardware.energy import energy_model
from aspen_hardware.ranges import Range

DESIGN = chip("generic-45nm")
PJ = 1e-12
NEURON = Lif(1.0, 0.9)


def tiny(*, analog: bool = False, recurrent: bool = False) -> Network:
    """Two inputs, three hidden neurons, one output: 5 + 3 synapses, as one weight is zero."""
    first = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    populations = (
        Population("input", (2,), current=analog),
        Population("hidden", (3,), NEURON),
        Population("output", (1,), NEURON),
    )
    connections = [Dense("input", "hidden", first), Dense("hidden", "output", np.ones((1, 3)))]
    connections += [Dense("hidden", "hidden", np.eye(3), delay=1)] if recurrent else []
    return Network(populations, tuple(connections))


def tiny_record(batch: int = 1, *, analog: bool = False, silent: bool = False) -> Record:
    """Two steps. From spikes: 10 synaptic operations, 7 active updates and 1 inactive one for each sample."""
    spikes = {"input": [[1, 1], [0, 1]], "hidden": [[1, 1, 0], [1, 0, 0]], "output": [[0], [1]]}
    rasters: dict[str, Array] = {
        name: np.repeat(np.array(s, np.uint8)[:, None], batch, axis=1) * (not silent) for name, s in spikes.items()
    }
    return record_from_rasters(tiny(analog=analog), rasters, "by hand")


def pj(energy: Range) -> tuple[float, float, float]:
    return energy.low / PJ, energy.typical / PJ, energy.high / PJ


# For each multiply-accumulate 0.2 + 0.1 and 1/8 weight access: 10/8 low, 20/8 typical, 100/8 high.
# For each neuron 3.1 + 2 * 0.1 and 1/8 state access: 10/8, high 20/8.
REGISTER = (
    8 * (0.3 + 1.25 + 1.25) + 4 * (3.3 + 1.25),
    8 * (0.3 + 2.5 + 1.25) + 4 * (3.3 + 1.25),
    8 * (0.3 + 12.5 + 2.5) + 4 * (3.3 + 2.5),
)
# A partial sum costs one state access for each of 8 multiply-accumulates and 4 neurons; 2 + 3 activations are read.
MEMORY = (
    8 * (0.3 + 1.25) + 12 * 10 + 5 * 1.25 + 4 * (3.3 + 1.25),
    8 * (0.3 + 2.5) + 12 * 10 + 5 * 1.25 + 4 * (3.3 + 1.25),
    8 * (0.3 + 12.5) + 12 * 20 + 5 * 2.5 + 4 * (3.3 + 2.5),
)


@pytest.mark.parametrize(("partial_sums", "by_hand"), [("register", REGISTER), ("memory", MEMORY)])
@pytest.mark.parametrize("frames", [1, 25])
def test_the_ann_by_hand(partial_sums: str, by_hand: tuple[float, ...], frames: int) -> None:
    ann = ann_baseline(tiny(), frames=frames, partial_sums=partial_sums)
    assert (ann.synapses, ann.neurons, ann.multiply_accumulates) == (8, 4, 8 * frames)
    assert pj(ann.energy) == pytest.approx([frames * value for value in by_hand])


def test_the_default_is_the_ann_at_its_best() -> None:
    assert ann_baseline(tiny()) == ann_baseline(tiny(), frames=1, chip=DESIGN, partial_sums="register")
    for bound in ("low", "typical", "high"):
        register, memory = (getattr(ann_baseline(tiny(), partial_sums=p).energy, bound) for p in PARTIAL_SUMS)
        assert register < memory


def test_both_networks_are_on_one_design() -> None:
    # source by source, the ANN does per synapse what the spiking design does, and multiplies
    ann = ann_baseline(tiny(), partial_sums="memory")
    shared = ("multiply-accumulates", "weights fetched", "partial sums read and written")
    each = [part.joules.times(1 / part.count) for part in ann.parts if part.what in shared]
    multiply = DESIGN.figures["measurements.multiply_int8"].si
    assert pj(each[0] + each[1] + each[2]) == pytest.approx(pj(DESIGN.energies["synaptic_operation"].range + multiply))


@pytest.mark.parametrize(("padding", "edges"), [(0, 3 * 4), (1, 3 * 9)])
def test_a_convolution_counts_its_edges(padding: int, edges: int) -> None:
    # 3 x 3 inputs, a kernel of 2 x 2 with one zero: 2 x 2 places, or 4 x 4, where each input meets each weight once
    size = 2 + 2 * padding
    conv = Conv("input", "output", np.array([[[[1.0, 2.0], [3.0, 0.0]]]]), (1, 3, 3), padding=(padding, padding))
    network = Network((Population("input", (1, 3, 3)), Population("output", (1, size, size), NEURON)), (conv,))
    ann = ann_baseline(network, frames=2)
    assert (ann.multiply_accumulates, ann.neurons) == (2 * edges, size * size)


def test_a_recurrent_connection_counts_once_for_each_evaluation() -> None:
    assert ann_baseline(tiny(recurrent=True), frames=3).multiply_accumulates == 3 * (8 + 3)


def test_an_activation_that_no_weight_needs_is_not_read() -> None:
    populations = (Population("input", (3,)), Population("output", (2,), NEURON))
    network = Network(populations, (Dense("input", "output", np.array([[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]])),))
    ann = ann_baseline(network, partial_sums="memory")
    assert {part.what: part.count for part in ann.parts}["activations read"] == 2


def test_an_input_that_has_neurons_is_an_input_of_the_ann() -> None:
    populations = (Population("input", (2,), NEURON, current=True), Population("output", (1,), NEURON))
    network = Network(populations, (Dense("input", "output", np.ones((1, 2))),))
    ann = ann_baseline(network)
    assert (ann.neurons, ann.multiply_accumulates) == (1, 2)


# Of the spiking run: 10 operations of 11.35 low, 12.6 typical, 32.6 high; 7 * 36.5 + 26.4, high 7 * 66.5 + 46.4.
OPERATIONS = (113.5, 126.0, 326.0)
UPDATES = (281.9, 281.9, 511.9)


def test_break_even_by_hand() -> None:
    ann = ann_baseline(tiny(), frames=10)
    found = break_even(tiny(), tiny_record(), ann)
    low, typical, high = (10 * value for value in REGISTER)
    assert pj(found.synapses) == pytest.approx(OPERATIONS)
    assert pj(found.others) == pytest.approx(UPDATES)
    assert (found.steps, found.samples, found.operations_per_synapse) == (2, 1, 10 / 8)
    assert found.rate.low == pytest.approx((low - 281.9) / (8 * 11.35))
    assert found.rate.typical == pytest.approx((typical - 281.9) / (8 * 12.6))
    assert found.rate.high == pytest.approx((high - 511.9) / (8 * 32.6))
    # spikes gain where weights are far away: the lowest ratio is that of the largest buffers
    assert found.ratio.low == pytest.approx((326 + 511.9) / high)
    assert found.ratio.typical == pytest.approx((126 + 281.9) / typical)
    assert found.ratio.high == pytest.approx((113.5 + 281.9) / low)


def test_at_the_break_even_rate_both_cost_the_same() -> None:
    ann = ann_baseline(tiny(), frames=4, partial_sums="memory")
    found = break_even(tiny(), tiny_record(), ann)
    energy = found.others.typical + found.rate.typical * 8 * 12.6 * PJ
    assert energy == pytest.approx(ann.energy.typical)


def test_no_rate_is_low_enough_where_updates_alone_cost_more() -> None:
    found = break_even(tiny(), tiny_record(), ann_baseline(tiny()))
    assert found.rate == Range(0.0, 0.0, 0.0)
    assert found.ratio.typical == pytest.approx(407.9 / 50.6)
    assert "break-even: none, as it costs more than the ANN without any synaptic operation" in str(found)


def test_a_silent_run_has_a_break_even_too() -> None:
    found = break_even(tiny(), tiny_record(silent=True), ann_baseline(tiny(), frames=10))
    assert (found.operations_per_synapse, found.synapses) == (0, Range(0.0, 0.0, 0.0))
    assert found.rate.typical == pytest.approx((506 - 8 * 26.4) / (8 * 12.6))


def test_a_batch_a_report_and_a_record_say_the_same() -> None:
    ann = ann_baseline(tiny(), frames=10)
    one, three = (break_even(tiny(), tiny_record(batch), ann) for batch in (1, 3))
    assert three.samples == 3
    assert break_even(tiny(), energy_model(tiny_record(3), DESIGN), ann) == three
    for name in ("synapses", "others", "rate", "ratio", "spiking"):
        assert pj(getattr(three, name)) == pytest.approx(pj(getattr(one, name)))


def test_analog_input_is_spent_whatever_spikes() -> None:
    # 7 values of the input meet a weight; 3 synaptic operations remain, of the hidden spikes
    found = break_even(tiny(analog=True), tiny_record(analog=True), ann_baseline(tiny(), frames=10))
    assert pj(found.synapses)[1] == pytest.approx(3 * 12.6)
    assert pj(found.others)[1] == pytest.approx(281.9 + 7 * 12.8)


def test_as_text_and_as_json() -> None:
    found = break_even(tiny(), tiny_record(), ann_baseline(tiny(), frames=10))
    text = str(found)
    assert text.startswith("int8 ANN of the same shape on generic-45nm, 10 times per inference, partial sums in a reg")
    assert "weights fetched 200 pJ 100 pJ 1 nJ 80" in [" ".join(line.split()) for line in text.splitlines()]
    assert "partial sums read" not in text
    assert "spiking / ANN: 0.806 (0.575 to 0.974)" in text
    assert "synaptic operations per synapse and inference: 1.25; break-even: 2.22 (1.37 to 3.62)" in text
    assert "no figure for 6 spike packets" in text
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["ann"]["multiply_accumulates"] == 80
    assert plain["ann"]["energy"]["typical"] == pytest.approx(506 * PJ)
    assert plain["spiking"]["typical"] == pytest.approx(407.9 * PJ)
    assert plain["rate"]["typical"] == found.rate.typical


@pytest.mark.parametrize("frames", [0, -1, 1.5, True, "two"])
def test_frames_are_whole_and_positive(frames: object) -> None:
    with pytest.raises(InputError, match=r"frames: found .*, allowed are whole numbers from 1"):
        ann_baseline(tiny(), frames=frames)  # type: ignore[arg-type]


def test_a_network_and_a_place_for_its_sums_are_needed() -> None:
    with pytest.raises(InputError, match="partial_sums: found 'dram', allowed are register, memory"):
        ann_baseline(tiny(), partial_sums="dram")
    populations = (Population("input", (2,)), Population("output", (1,), NEURON))
    with pytest.raises(InputError, match="found no weight other than zero"):
        ann_baseline(Network(populations, (Dense("input", "output", np.zeros((1, 2))),)))


def test_a_chip_without_the_figures_is_refused() -> None:
    with pytest.raises(ChipError, match=r"loihi1: found no measurements\.add_int32, .*sram_8kb_64bit_access"):
        ann_baseline(tiny(), chip=chip("loihi1"))
    figures = {k: figure for k, figure in DESIGN.figures.items() if not k.endswith("energies.synaptic_operation")}
    with pytest.raises(ChipError, match=r"found no energies\.synaptic_operation, allowed"):
        ann_baseline(tiny(), chip=replace(DESIGN, figures=figures))


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
