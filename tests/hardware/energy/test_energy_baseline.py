"""The int8 ANN beside a spiking run: against sums done by hand, all in pJ from the table in generic-45nm.toml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.errors import ChipError, InputError
from aspen.network.network import Conv, Dense, Lif, Network, Population
from aspen.network.record import Record
from aspen_emulator import run
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware import compile
from aspen_hardware.chips.description import chip
from aspen_hardware.chips.ranges import ByScenario
from aspen_hardware.energy.baseline import DATAFLOWS, RELU_DENSITY, ann_baseline
from aspen_hardware.energy.break_even import break_even
from aspen_hardware.energy.density import input_density

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
    """Two steps. For each sample 10 synaptic operations, 7 active updates, 1 inactive one, and 6 spikes that go on."""
    spikes = {"input": [[1, 1], [0, 1]], "hidden": [[1, 1, 0], [1, 0, 0]], "output": [[0], [1]]}
    rasters: dict[str, Array] = {
        name: np.repeat(np.array(s, np.uint8)[:, None], batch, axis=1) * (not silent) for name, s in spikes.items()
    }
    return record_from_rasters(tiny(analog=analog), rasters, "by hand", "spikes")


def sizes_of(quantity: ByScenario) -> tuple[float, ...]:
    """In the small, middle and large buffers."""
    return tuple(quantity.of[name].typical for name in ("small", "middle", "large"))


def pj(energy: ByScenario) -> tuple[float, ...]:
    return tuple(value / PJ for value in sizes_of(energy))


# 8 multiply-accumulates of 0.2 + 0.1, and 4 neurons of 3.1 + 2 * 0.1. A byte of a weight costs 10/8, 20/8 or 100/8, a
# byte of state 10/8, 10/8 or 20/8, a sum read and written 10, 10 or 20. 2 inputs and 4 activations are written.
WEIGHT, STATE, SUM = (1.25, 2.5, 12.5), (1.25, 1.25, 2.5), (10, 10, 20)


def by_hand(weights: int, activations: int, sums: int) -> tuple[float, ...]:
    """Three buffer sizes of one evaluation, for so many fetches."""
    return tuple(
        8 * 0.3 + 4 * 3.3 + weights * w + (2 + activations + 4) * s + sums * p
        for w, s, p in zip(WEIGHT, STATE, SUM, strict=True)
    )


BY_HAND = {
    "ideal": by_hand(8, 2 + 3, 0),
    "output-stationary": by_hand(8, 8, 0),
    "weight-stationary": by_hand(8, 8, 8 + 4),
    "input-stationary": by_hand(8, 2 + 3, 8 + 4),
}
WEIGHTS_KEPT, INPUTS_KEPT = {"ideal", "weight-stationary"}, {"ideal", "input-stationary"}
SUMS_KEPT = {"ideal", "output-stationary"}


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("frames", [1, 25])
def test_the_ann_by_hand(dataflow: str, frames: int) -> None:
    ann = ann_baseline(tiny(), frames=frames, dataflow=dataflow)
    assert (ann.synapses, ann.neurons, ann.multiply_accumulates) == (8, 4, 8 * frames)
    assert pj(ann.energy) == pytest.approx([frames * value for value in BY_HAND[dataflow]])
    assert ann.energy.typical / PJ == pytest.approx(frames * BY_HAND[dataflow][1])


def convolution(padding: int) -> Network:
    """3 x 3 inputs and a kernel of 2 x 2 with one zero, on 2 x 2 places or 4 x 4."""
    size = 2 + 2 * padding
    conv = Conv("input", "output", np.array([[[[1.0, 2.0], [3.0, 0.0]]]]), (1, 3, 3), padding=(padding, padding))
    return Network((Population("input", (1, 3, 3)), Population("output", (1, size, size), NEURON)), (conv,))


@pytest.mark.parametrize("network", [tiny(), tiny(recurrent=True), convolution(1)], ids=["dense", "recurrent", "conv"])
def test_the_default_is_the_ann_at_its_best(network: Network) -> None:
    best = ann_baseline(network)
    assert best == ann_baseline(network, frames=1, chip=DESIGN, dataflow="ideal", density=1.0)
    for dataflow in set(DATAFLOWS) - {"ideal"}:
        other = ann_baseline(network, dataflow=dataflow)
        assert all(mine < theirs for mine, theirs in zip(pj(best.energy), pj(other.energy), strict=True))


def test_both_networks_are_on_one_design() -> None:
    # source by source, the ANN does per synapse what the spiking design does, and multiplies
    ann = ann_baseline(tiny(), dataflow="input-stationary")
    shared = ("multiply-accumulates", "weights fetched", "partial sums read and written")
    each = [part.joules.times(1 / part.count) for part in ann.parts if part.what in shared]
    multiply = DESIGN.figures["measurements.multiply_int8"].si.typical / PJ
    wanted = [value + multiply for value in pj(DESIGN.energies["synaptic_operation"])]
    assert pj(each[0] + each[1] + each[2]) == pytest.approx(wanted)


def test_a_spike_goes_into_a_queue_and_out_of_it() -> None:
    # an address of 16 bits is a quarter of an access, twice, in the SRAM of the state
    assert pj(DESIGN.energies["spike_packet"]) == pytest.approx((2 * 10 / 4, 2 * 10 / 4, 2 * 20 / 4))


@pytest.mark.parametrize(("padding", "edges", "sources"), [(0, 3 * 4, 8), (1, 3 * 9, 9)])
def test_a_convolution_counts_its_edges_and_may_keep_its_weights(padding: int, edges: int, sources: int) -> None:
    # with padding each of 9 inputs meets each of the 3 weights once; without, the last one meets none
    network, places = convolution(padding), (2 + 2 * padding) ** 2
    counts = {
        dataflow: {part.what: part.count for part in ann_baseline(network, frames=2, dataflow=dataflow).parts}
        for dataflow in DATAFLOWS
    }
    for dataflow, count in counts.items():
        assert count["multiply-accumulates"] == 2 * edges
        assert count["weights fetched"] == 2 * (3 if dataflow in WEIGHTS_KEPT else edges)
        assert count["activations read"] == 2 * (sources if dataflow in INPUTS_KEPT else edges)
        assert count["partial sums read and written"] == 2 * (0 if dataflow in SUMS_KEPT else edges + places)
        assert count["activations written"] == count["sums brought to 8 bits"] == 2 * places
        assert count["inputs written"] == 2 * sources


@pytest.mark.parametrize(
    ("inputs", "fitting"),
    [
        (8, ("small", "middle", "large")),
        (9, ("middle", "large")),
        (32, ("middle", "large")),
        (33, ("large",)),
        (1025, ()),
    ],
)
def test_weights_may_not_fit(inputs: int, fitting: tuple[str, ...]) -> None:
    populations = (Population("input", (inputs,)), Population("output", (1024,), NEURON))
    ann = ann_baseline(Network(populations, (Dense("input", "output", np.ones((1024, inputs))),)))
    assert (ann.weights, ann.fitting) == (1024 * inputs, fitting)
    names = ", ".join(fitting) or "no scenario"
    assert f"{1024 * inputs:,} bytes of weights fit the memory of: {names}" in str(ann).splitlines()


def test_a_convolution_stores_its_weights_once() -> None:
    ann = ann_baseline(convolution(1))
    assert (ann.weights, ann.synapses) == (3, 27)


def test_a_recurrent_connection_counts_once_for_each_evaluation() -> None:
    assert ann_baseline(tiny(recurrent=True), frames=3).multiply_accumulates == 3 * (8 + 3)


def test_an_activation_that_no_weight_needs_is_neither_written_nor_read() -> None:
    populations = (Population("input", (3,)), Population("output", (2,), NEURON))
    network = Network(populations, (Dense("input", "output", np.array([[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]])),))
    counts = {part.what: part.count for part in ann_baseline(network).parts}
    assert (counts["inputs written"], counts["activations read"]) == (2, 2)


def test_an_input_that_has_neurons_is_an_input_of_the_ann() -> None:
    populations = (Population("input", (2,), NEURON, current=True), Population("output", (1,), NEURON))
    network = Network(populations, (Dense("input", "output", np.ones((1, 2))),))
    ann = ann_baseline(network)
    assert (ann.neurons, ann.multiply_accumulates) == (1, 2)
    assert {part.what: part.count for part in ann.parts}["inputs written"] == 2


# ---------------------------------------------------------------- zeros


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_zeros_take_nothing(dataflow: str) -> None:
    # twice: half of 2 inputs, a third of 3 hidden activations; 5 / 2 + 3 / 3 multiply-accumulates
    ann = ann_baseline(tiny(), frames=2, dataflow=dataflow, density={"input": 1 / 2, "hidden": 1 / 3})
    counts = {part.what: part.count for part in ann.parts}
    assert ann.multiply_accumulates == counts["weights fetched"] == 5 + 2
    assert counts["inputs written"] == 2
    assert counts["activations read"] == (2 + 2 if dataflow in INPUTS_KEPT else 5 + 2)
    assert counts["activations written"] == 2 * (1 + 1)
    assert counts["sums brought to 8 bits"] == 2 * (3 + 1)
    assert counts["partial sums read and written"] == (0 if dataflow in SUMS_KEPT else 5 + 2 + 2 * (3 + 1))
    assert "zeros are skipped; not zero: 50% of input, 33% of hidden" in str(ann)


def test_a_weight_that_is_kept_is_fetched_even_where_most_inputs_are_zero() -> None:
    # 27 edges: a third of them still meets every weight; a tenth is less than one meeting for each
    fetched = [
        {part.what: part.count for part in ann_baseline(convolution(1), density=share, frames=10).parts}
        for share in (1 / 3, 1 / 10)
    ]
    assert [count["weights fetched"] for count in fetched] == [10 * 3, 27]


def test_where_all_is_zero_only_sums_are_brought_to_8_bits() -> None:
    silent = tiny_record(silent=True)
    ann = ann_baseline(tiny(), density=input_density(silent))
    assert pj(ann.energy) == pytest.approx((4 * 3.3,) * 3)
    assert ann.multiply_accumulates == 0
    assert "sum by multiply-accumulate" not in str(break_even(tiny(), silent, ann))


def test_a_first_layer_that_a_host_computes_is_a_layer_of_the_ann() -> None:
    """Two values into three neurons, whose biases the host writes; ten times the steps change nothing in the ANN."""
    given = Population("input", (2,), current=True, static=True)
    first = Dense("input", "hidden", np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
    parts = (given, Population("hidden", (3,), NEURON), Population("output", (1,), NEURON))
    network = Network(parts, (first, Dense("hidden", "output", np.ones((1, 3))))).with_input_peak(1.0)
    hosted = compile(network, "loihi1").network
    wanted, found = ann_baseline(network), ann_baseline(hosted)
    assert [(part.what, part.count) for part in found.parts] == [(part.what, part.count) for part in wanted.parts]
    assert (found.synapses, found.neurons, found.host, wanted.host) == (8, 4, 5, 0)
    assert "5 synapses of its first layer are a host's where the network spikes, and are free there" in str(found)
    half = {"input": 0.5, "hidden": 0.5}
    counts = [[part.count for part in ann_baseline(each, density=half).parts] for each in (network, hosted)]
    assert counts[0] == counts[1] != [part.count for part in found.parts]
    run_there = run(hosted, np.ones((1, 2)), steps=6)
    even = break_even(hosted, run_there, found)
    assert even.operations_per_synapse == int(run_there.synaptic_operations["hidden->output"].sum()) / 3


def test_one_density_holds_for_all() -> None:
    assert ann_baseline(tiny(), density=0.5) == ann_baseline(
        tiny(), density=dict.fromkeys(("input", "hidden", "output"), 0.5)
    )
    assert ann_baseline(tiny()).density == {}


@pytest.mark.parametrize(("frames", "share"), [(1, 1.0), (2, 3 / 4)])
def test_zeros_of_the_input_are_those_of_a_frame(frames: int, share: float) -> None:
    # inputs 0 and 1 spike, then 1 alone: over both steps no input is silent
    assert input_density(tiny_record(3), frames) == pytest.approx(share)
    assert input_density(tiny_record(silent=True), frames) == 0
    assert input_density(tiny_record()) == 1


def test_a_frame_is_of_steps_that_follow_each_other() -> None:
    rasters = {
        "input": np.array([[1, 0], [0, 0], [0, 0], [0, 1], [0, 1]], np.uint8)[:, None],
        "hidden": np.zeros((5, 1, 3), np.uint8),
        "output": np.zeros((5, 1, 1), np.uint8),
    }
    # three steps, then two: input 0 is busy in the first frame, input 1 in the second
    assert input_density(record_from_rasters(tiny(), rasters, "by hand", "spikes"), 2) == 0.5
    with pytest.raises(InputError, match="found no rasters, allowed is a run that kept them"):
        input_density(record_from_rasters(tiny(), rasters, "by hand"))
    with pytest.raises(InputError, match="frames: found 6, allowed is an integer from 1 to 5"):
        input_density(record_from_rasters(tiny(), rasters, "by hand", "spikes"), 6)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("frames", [0, -1, 1.5, True, "two"])
def test_frames_are_whole_and_positive(frames: object) -> None:
    with pytest.raises(InputError, match=r"frames: found .*, allowed .* from 1"):
        ann_baseline(tiny(), frames=frames)  # type: ignore[arg-type]


@pytest.mark.parametrize("density", [-0.1, 1.1, float("nan"), "half", {"hidden": 2}])
def test_a_density_is_a_share(density: object) -> None:
    with pytest.raises(InputError, match=r"density of \w+: found .*, allowed"):
        ann_baseline(tiny(), density=density)  # type: ignore[arg-type]


def test_names_and_a_network_with_weights_are_needed() -> None:
    with pytest.raises(InputError, match="dataflow: found 'register', allowed are ideal, output-stationary"):
        ann_baseline(tiny(), dataflow="register")
    with pytest.raises(InputError, match="density: found 'hiden', allowed are input, hidden, output"):
        ann_baseline(tiny(), density={"hiden": RELU_DENSITY})
    populations = (Population("input", (2,)), Population("output", (1,), NEURON))
    with pytest.raises(InputError, match="found no weight other than zero"):
        ann_baseline(Network(populations, (Dense("input", "output", np.zeros((1, 2))),)))


def test_a_chip_without_the_figures_is_refused() -> None:
    with pytest.raises(ChipError, match=r"loihi1: found no measurements\.add_int32, .*sram_8kb_64bit_access"):
        ann_baseline(tiny(), chip=chip("loihi1"))
    figures = {key: figure for key, figure in DESIGN.figures.items() if not key.endswith("synaptic_operation")}
    with pytest.raises(ChipError, match=r"found no energies\.synaptic_operation, allowed"):
        ann_baseline(tiny(), chip=replace(DESIGN, figures=figures))
    renamed = replace(DESIGN, scenarios={"tiny": DESIGN.scenarios["small"]}, usual="tiny")
    with pytest.raises(ChipError, match=r"scenario tiny among small, middle, large"):
        ann_baseline(tiny(), chip=renamed)


def test_one_scenario_alone() -> None:
    ann = ann_baseline(tiny(), chip=DESIGN.only("large"))
    assert (ann.energy.low / PJ, ann.energy.typical / PJ) == pytest.approx([BY_HAND["ideal"][2]] * 2)
