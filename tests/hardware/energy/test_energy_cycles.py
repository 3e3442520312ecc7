"""The cycles of a time step on Xylo, as Rockpool's own function counts them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.errors import AspenError, ChipError, InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware import chip
from aspen_hardware.chips import schema as chip_schema
from aspen_hardware.energy.cycles import Shape, shape_of, step_cycles, work
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport

XYLO = chip("xylo")
CYCLES = {key: figure.value for key, figure in XYLO.section("cycles").items()}

# Made by rockpool.devices.xylo.syns63300.cycles_model (SynSense, commit 42cee1c9, AGPL; run beside a stub of samna) on
# configurations from `drawn`; below, of each seed: at its probabilities of a spike, and where everything spikes.
ROCKPOOL = {
    0: (27987.960511440597, 36996.0),
    1: (9512.568753486556, 12272.0),
    2: (4482.892678326163, 9212.0),
    3: (707.4031267964979, 1076.5),
    4: (35706.84887577229, 64427.00000000001),
    5: (4576.873241330542, 14859.5),
    6: (6968.860062337283, 41147.0),
    7: (31322.23178813416, 41992.0),
    8: (8077.091092353165, 11613.0),
    9: (31194.748226004187, 67438.0),
    10: (48065.70404805892, 107097.5),
    11: (1884.102526913024, 3625.5),
    12: (1906.1948175891744, 9589.0),
    13: (29358.5922856188, 67731.5),
    14: (13764.208868969488, 57385.0),
    15: (11498.827770572323, 14608.5),
    16: (21507.637631441332, 24375.5),
    17: (31732.1687327427, 64288.99999999999),
    18: (5716.01414590573, 14528.0),
    19: (17072.307939666498, 19471.0),
}
ROCKPOOL_RASTERS = {20: 2354.144444444444, 21: 37478.23875, 22: 8610.90585106383, 23: 28963.679494382028}
ROCKPOOL_ALIASES = {24: (17, 2668.135324924362), 26: (54, 5740.205146794941), 28: (73, 20871.156340732712)}
"""Seed -> how many neurons have an alias, and the cycles."""


def drawn(seed: int) -> tuple[list[Array], list[float]]:
    """Weights from input, recurrent and to the output, as (source, target), and three probabilities of a spike."""
    rng = np.random.default_rng(seed)
    inputs, hidden, outputs = (int(rng.integers(1, top + 1)) for top in (16, 128, 16))
    shapes = ((inputs, hidden), (hidden, hidden), (hidden, outputs))
    weights = [rng.integers(-128, 128, shape) * (rng.random(shape) < rng.random()) for shape in shapes]
    return weights, [float(rng.random()) for _ in range(3)]


def network_of(weights: list[Array]) -> Network:
    first, recurrent, last = (matrix.astype(float) for matrix in weights)
    populations = (
        Population("input", (len(first),)),
        *(Population(name, (len(m.T),), Lif(1.0, 0.5)) for name, m in (("hidden", first), ("output", last))),
    )
    connections = (
        Dense("input", "hidden", first.T),
        Dense("hidden", "hidden", recurrent.T, delay=1),
        Dense("hidden", "output", last.T),
    )
    return Network(populations, connections)


@pytest.mark.parametrize("seed", ROCKPOOL)
def test_cycles_are_those_of_rockpool(seed: int) -> None:
    weights, (inputs, hidden, _) = drawn(seed)
    shape = shape_of(network_of(weights))
    at_rates, most = ROCKPOOL[seed]
    assert step_cycles(shape, CYCLES, inputs, hidden) == pytest.approx(at_rates, rel=1e-12)
    assert step_cycles(shape, CYCLES) == pytest.approx(most, rel=1e-12)


@pytest.mark.parametrize("seed", ROCKPOOL_RASTERS)
def test_cycles_of_a_run_are_those_of_rockpool(seed: int) -> None:
    weights, probabilities = drawn(seed)
    network, rng = network_of(weights), np.random.default_rng(seed)
    rasters = {
        name: (rng.random((40, network[name].size)) < p).astype(np.uint8).reshape(20, 2, -1)
        for name, p in zip(("input", "hidden", "output"), probabilities, strict=True)
    }
    found = work(record_from_rasters(network, rasters, "given"), XYLO)
    assert found is not None
    assert found.cycles == pytest.approx(ROCKPOOL_RASTERS[seed], rel=1e-12)
    assert found.most == step_cycles(shape_of(network), CYCLES)
    assert found.seconds == pytest.approx(found.cycles / 6.25e6)


@pytest.mark.parametrize("seed", ROCKPOOL_ALIASES)
def test_aliases_take_the_cycles_that_rockpool_gives_them(seed: int) -> None:
    weights, (inputs, hidden, _) = drawn(seed)
    plain = shape_of(network_of(weights))
    aliases, cycles = ROCKPOOL_ALIASES[seed]
    shape = Shape(**{**vars(plain), "aliases": aliases})
    assert step_cycles(shape, CYCLES, inputs, hidden) == pytest.approx(cycles, rel=1e-12)


def test_the_notebooks_network_takes_757_cycles() -> None:
    """Printed in Rockpool's introduction to Xylo IMU: 15 inputs, a residual block of twice 4 neurons, 2 outputs."""
    shape = Shape(inputs=15, hidden=8, outputs=2, input_targets=4, synapses=32, output_sources=4, aliases=4)
    assert step_cycles(shape, CYCLES) == 757.0


def test_every_figure_counts() -> None:
    """Other figures than Rockpool's, none of them 1, as added up by hand."""
    figures = dict(zip(CYCLES, (2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0, 23.0, 29.0, 31.0, 37.0), strict=True))
    assert list(figures) == list(chip_schema.CYCLES)
    shape = Shape(inputs=2, hidden=10, outputs=3, input_targets=4, synapses=60, output_sources=6, aliases=5)
    inputs = 2 * (2 + 0.25 * 4 * 3)
    hidden = 10 * (5 + 0.1 * 6 * 7)
    outputs = 6 * 0.1 * (11 + 3 * 13) + 3 * 37
    # half of the neurons have an alias: 0.5 x 0.5 is above the 0.1 that spike
    updates = 10 * (17 + 0.25 * 19 + 0.1 * 23 + 0.25 * 29 + 0.5 * 0.5 * 31)
    assert step_cycles(shape, figures, 0.25, 0.1) == pytest.approx(inputs + hidden + outputs + updates)


def test_a_file_with_cycles_has_all_of_them_and_a_clock(tmp_path: Path) -> None:
    text = (resources.files("aspen_hardware") / "chips" / "xylo.toml").read_text(encoding="utf-8")
    for old, new, message in (
        (text[text.index("[clock]") : text.index("# ---")], "", "clock: found nothing beside cycles"),
        ("[cycles.spike]", "[cycles.spikes]", r"cycles\.spikes: found an unknown key"),
        ("[cycles.spike]", "[measurements.spike]", r"cycles\.spike: found nothing"),
        ("[shape.hidden]", "[shape.neurons]", r"shape\.neurons: found an unknown key"),
        ('unit = "channels"', 'unit = "axons"', r"shape\.inputs\.unit: found 'axons', allowed is channels"),
    ):
        path = tmp_path / "broken.toml"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ChipError, match=message):
            chip(path)


def test_hidden_populations_are_one_pool_and_skips_count_once() -> None:
    populations = (
        Population("input", (3,)),
        *(Population(name, (n,), Lif(1.0, 0.5)) for name, n in (("a", 4), ("b", 5), ("output", 2))),
    )
    some = np.array([[1.0, 0, 1], [0, 0, 0], [2, 2, 2], [0, 0, 0]])
    connections = (
        Dense("input", "a", some),
        Dense("input", "b", np.eye(5, 3)),
        Dense("a", "b", np.eye(5, 4)),
        Dense("b", "a", np.ones((4, 5)), delay=1),
        Dense("a", "output", np.array([[1.0, -1, 0, 0], [0, 1, 0, 0]])),
        Dense("b", "output", np.eye(2, 5)),
    )
    assert shape_of(Network(populations, connections)) == Shape(3, 9, 2, 2 + 3, 4 + 20, 2 + 2)


def chain(*sizes: int, extra: tuple[Dense, ...] = (), current: bool = False) -> Network:
    names = ["input", *"abcdef"[: len(sizes) - 2], "output"]
    neurons = [None, *(Lif(1.0, 0.5) for _ in sizes[1:])]
    populations = tuple(
        Population(name, (n,), neuron, current=current and neuron is None)
        for name, n, neuron in zip(names, sizes, neurons, strict=True)
    )
    steps = zip(names, names[1:], sizes, sizes[1:], strict=False)
    return Network(populations, (*(Dense(s, t, np.ones((m, n))) for s, t, n, m in steps), *extra))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (chain(2, 3, current=True), "input: found an input that takes a current"),
        (chain(2, 3), "network: found no hidden population"),
        (
            chain(2, 3, 4, extra=(Dense("input", "output", np.ones((4, 2))),)),
            "input->output: found a connection from input to output",
        ),
        (
            chain(2, 3, 4, extra=(Dense("output", "output", np.eye(4), delay=1),)),
            "output->output: found a connection from the output to output",
        ),
        (
            chain(2, 3, 4, extra=(Dense("output", "a", np.ones((3, 4)), delay=1),)),
            "output->a: found a connection from the output to a",
        ),
    ],
)
def test_networks_of_another_form_are_refused(network: Network, message: str) -> None:
    with pytest.raises(ChipError, match=message):
        shape_of(network)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((17, 4, 2), "found 17 inputs, allowed on xylo are 16"),
        ((16, 497, 2), "found 497 hidden, allowed on xylo are 496"),
        ((16, 4, 17), "found 17 outputs, allowed on xylo are 16"),
        ((16, 129, 2), "found 129 input targets, allowed on xylo are 128"),
        ((16, 100, 129, 2), "found 129 output sources, allowed on xylo are 128"),
        ((1, 120, 144, 128, 16), "found 35,712 synapses, allowed on xylo are 31,744"),
    ],
)
def test_networks_that_do_not_fit_are_refused(sizes: tuple[int, ...], message: str) -> None:
    network = chain(*sizes)
    rasters = {name: np.zeros((1, 1, network[name].size), np.uint8) for name in network.names}
    with pytest.raises(ChipError, match=message):
        work(record_from_rasters(network, rasters, "given"), XYLO)


def test_cycles_are_known_where_a_file_has_them_only() -> None:
    network = chain(2, 3, 4)
    rasters = {name: np.ones((1, 1, network[name].size), np.uint8) for name in network.names}
    for other in ("loihi1", "odin"):  # without a clock, and with one
        assert work(record_from_rasters(network, rasters, "given"), chip(other)) is None


def report(network: Network, spiking: bool, **options: Any) -> EnergyReport:
    """Of 4 steps of 2 samples in which everything spikes, or nothing."""
    rasters = {name: np.full((4, 2, network[name].size), spiking, np.uint8) for name in network.names}
    return energy_model(record_from_rasters(network, rasters, "given"), XYLO, **options)


def test_a_report_says_how_busy_the_chip_is() -> None:
    network = chain(15, 4, 4, 2)
    quiet = 15 * 1 + 8 * (3 + 19) + 2 * 12
    most = quiet + 15 * 4 * 3.5 + 16 * 7 + 4 * 17 + 8 * 3
    assert most == step_cycles(shape_of(network), CYCLES)
    in_time = report(network, spiking=False, step_time=10e-3)
    told = [line for line in in_time.assumed if "MHz" in line]
    assert told == [
        f"at 6.25 MHz the chip is busy for {quiet / 625:.3g} % of a step ({quiet} clock cycles), where everything "
        f"spikes for {most / 625:.3g} % of a step ({most:.0f} clock cycles)"
    ]
    assert in_time.cores_used == 1
    assert in_time.static is not None
    assert in_time.static.typical == pytest.approx(4 * 2 * 10e-3 * (188.17e-6 + 334.31e-6))
    assert in_time.dynamic is None  # no energy of a cycle is published, none is made up
    assert str(in_time).startswith("xylo: more than 20.9 uJ per inference, as the energy of operations is not known")


def test_work_takes_its_cycles_at_the_clock() -> None:
    network = chain(15, 4, 4, 2)
    fastest = report(network, spiking=True, time="work")
    assert fastest.seconds is not None
    assert fastest.seconds.typical == pytest.approx(4 * 2 * step_cycles(shape_of(network), CYCLES) / 6.25e6)
    assert "a step takes as long as its work" in fastest.assumed
    assert any(line.startswith("at 6.25 MHz the chip is busy for 100 % of a step") for line in fastest.assumed)


def test_a_step_shorter_than_its_work_is_pointed_out() -> None:
    network = chain(15, 4, 4, 2)
    needed = step_cycles(shape_of(network), CYCLES) / 6.25e6
    for options in ({"step_time": needed}, {"time": "work"}):
        assert not any("longer step time" in line for line in report(network, spiking=True, **options).not_covered)
    late = report(network, spiking=True, step_time=1e-4).not_covered[0]
    assert late == (
        "steps last, on average, longer than 100 us: their 629 clock cycles take 101 us at 6.25 MHz; give a longer "
        "step time"
    )


def test_a_report_on_another_form_says_why_its_cycles_are_not_known() -> None:
    network = chain(17, 4, 2)
    odd = report(network, spiking=True, step_time=1e-3)
    reason = "network: found 17 inputs, allowed on xylo are 16; use a smaller network"
    assert f"the clock cycles of a step: {reason}" in odd.missing
    assert odd.static is not None
    with pytest.raises(ChipError, match=reason):
        report(network, spiking=True, time="work")


@pytest.mark.parametrize("rates", [{"inputs": 1.01}, {"hidden": -0.1}, {"hidden": float("nan")}])
def test_probabilities_are_checked(rates: dict[str, float]) -> None:
    (name,) = rates
    with pytest.raises(InputError, match=rf"{name}: found .*, allowed are 0 to 1") as error:
        step_cycles(shape_of(chain(2, 3, 4)), CYCLES, **rates)
    assert isinstance(error.value, AspenError)
