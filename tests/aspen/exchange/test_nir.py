"""NIR round trips: every network comes back to the bit, and the nodes alone say the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.exchange.nir import from_nir, to_nir
from aspen.network.connections import Dense
from aspen.network.network import Lif, Network, Population
from aspen.network.neurons import RESETS
from aspen_emulator import run
from tests.aspen.exchange.nir_graphs import assert_array, assert_same, random_network, through_file
from tests.networks import float_network

nir = pytest.importorskip("nir", reason="the package nir is not installed")


@pytest.mark.parametrize("part", range(6))
def test_random_networks_come_back_to_the_bit(part: int, tmp_path: Path) -> None:
    for seed in range(part * 25, part * 25 + 25):
        network = random_network(seed)
        dt = [1e-4, 1e-3, 1.0, 7e-7][seed % 4]
        try:
            assert_same(network, through_file(network, tmp_path, dt=dt, cuba=seed % 2 == 1))
            assert_same(network, from_nir(to_nir(network, dt)))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("reset", RESETS)
def test_reset_comes_back(reset: str, tmp_path: Path) -> None:
    network = float_network(1, reset=reset)
    assert_same(network, through_file(network, tmp_path))


def strip(graph: Any) -> Any:
    """The graph as a stranger would write it."""
    graph.metadata = {}
    return graph


@pytest.mark.parametrize("seed", range(30))
def test_nodes_alone_say_the_same_but_for_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(seed, plain=True)
    last = network[network.output].neuron
    assert last is not None
    bare = from_nir(strip(to_nir(network, 1e-3)), 1e-3, reset=last.reset, current=network.input.current)
    assert (sorted(bare.names), bare.output) == (sorted(network.names), network.output)
    spikes = (rng.random((12, 2, *network.input.shape)) < 0.5).astype(np.uint8)
    one, two = (run(n, spikes, engine="reference", record="spikes") for n in (network, bare))
    assert (one.output.reshape(12, 2, -1) == two.output.reshape(12, 2, -1)).mean() > 0.99


def test_changed_nodes_win_over_metadata(tmp_path: Path) -> None:
    network = float_network(3, reset="subtract")
    graph = to_nir(network)
    graph.nodes["layer1"].tau[0] *= 2
    graph.nodes["layer1_to_layer2"].weight[0, 0] += 1
    changed = from_nir(graph)
    lif, before = changed["layer1"].neuron, network["layer1"].neuron
    assert isinstance(lif, Lif)
    assert isinstance(before, Lif)
    assert lif.beta[0] == pytest.approx(1 - (1 - float(before.beta)) / 2)
    assert lif.reset == "subtract"
    assert changed.connections[1].weight[0, 0] == network.connections[1].weight[0, 0] + 1
    assert_array(changed.connections[0].weight, network.connections[0].weight, "weight")


def test_changed_input_of_a_current_stays_an_input() -> None:
    first = Population("a", (3,), Lif(1.0, 0.5), current=True)
    network = Network((first, Population("b", (2,), Lif(1.0, 0.5))), (Dense("a", "b", np.ones((2, 3))),))
    graph = to_nir(network)
    assert_same(network, from_nir(graph))
    graph.nodes["weigh"] = nir.Scale(np.array([1.0, 2.0, 3.0]))
    graph.edges = [edge for edge in graph.edges if edge != ("input", "a")] + [("input", "weigh"), ("weigh", "a")]
    changed = from_nir(graph)
    assert changed.input.name == "input"
    np.testing.assert_array_equal(changed.incoming("a")[0].weight, [1, 2, 3])


def test_another_time_step_changes_the_decay() -> None:
    network = from_nir(to_nir(float_network(3), 1e-4), 5e-5)
    before = float_network(3)["layer1"].neuron
    assert isinstance(before, Lif)
    assert network["layer1"].neuron.beta.max() == pytest.approx(1 - (1 - float(before.beta)) / 2)  # type: ignore[union-attr]


@pytest.mark.parametrize(("alpha", "kind"), [(0.0, "LI"), (0.5, "CubaLI")])
@pytest.mark.parametrize("beta", [0.0, 0.75, 1.0])
def test_a_leaky_integrator_comes_back(alpha: float, kind: str, beta: float, tmp_path: Path) -> None:
    neuron = Lif(threshold=np.inf, beta=beta, alpha=alpha, bias=0.25, reset="none")
    populations = [Population("in", (3,)), Population("out", (2,), neuron)]
    network = Network(populations, [Dense("in", "out", np.ones((2, 3)))], readout="membrane-max")
    graph = to_nir(network, 1e-3)
    assert type(graph.nodes["out"]).__name__ == kind
    for back in (from_nir(graph), through_file(network, tmp_path)):
        assert_same(network, back)
        assert back.readout == "membrane-max"
    assert from_nir(strip(graph), 1e-3).readout == "membrane"


@pytest.mark.parametrize(
    ("node", "membranes"),
    [
        (nir.I(r=np.ones(2)), [1.0, 2.0, 2.0]),
        (nir.LI(tau=np.full(2, 2e-3), r=np.full(2, 2.0), v_leak=np.zeros(2)), [1.0, 1.5, 0.75]),
    ],
)
def test_an_integrator_of_a_stranger_integrates(node: Any, membranes: list[float]) -> None:
    """Euler steps of 1 ms of ``dv/dt = r I`` (one step long, as all tools have it) and ``tau dv/dt = r I - v``."""
    nodes = {"i": nir.Input(np.array([2])), "w": nir.Linear(np.eye(2)), "v": node, "o": nir.Output(np.array([2]))}
    graph = nir.NIRGraph(nodes=nodes, edges=[("i", "w"), ("w", "v"), ("v", "o")])
    record = run(from_nir(graph, 1e-3), np.array([1, 1, 0], np.uint8).repeat(2).reshape(3, 1, 2))
    np.testing.assert_allclose(record.membranes["v"][:, 0, 0], membranes)
