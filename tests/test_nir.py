"""NIR both ways: round trips to the bit, graphs as others write them, refusals, damaged files."""

from __future__ import annotations

import io
import json
import time
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.connections import Connection, Conv, Dense, Sparse
from aspen.errors import AspenError, FileFormatError, InputError, MissingDependencyError, NetworkError
from aspen.exchange.nir import from_nir, load_nir, save_nir, to_nir
from aspen.network import Lif, Network, Population
from aspen.neurons import RESETS
from aspen_emulator import run
from tests.fuzz import damaged_bytes
from tests.networks import fixed_network, float_network, random_spikes

nir = pytest.importorskip("nir", reason="the package nir is not installed")
h5py = pytest.importorskip("h5py", reason="the package h5py is not installed")

DT = 1e-4


def assert_array(one: Any, two: Any, what: str) -> None:
    if one is None or two is None:
        assert one is two, what
    else:
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes()), what


def assert_part(one: Any, two: Any, what: str) -> None:
    assert type(one) is type(two), what
    for field in getattr(one, "value_fields", ()):
        assert getattr(one, field) == getattr(two, field), f"{what}.{field}"
    for field in getattr(one, "array_fields", ()):
        assert_array(getattr(one, field), getattr(two, field), f"{what}.{field}")


def assert_same(one: Network, two: Network) -> None:
    """Equal to the bit in everything."""
    assert (one.names, one.output, dict(one.provenance)) == (two.names, two.output, dict(two.provenance))
    for p, q in zip(one.populations, two.populations, strict=True):
        assert (p.shape, p.current) == (q.shape, q.current)
        assert_part(p.neuron, q.neuron, p.name)
    for c, d in zip(one.connections, two.connections, strict=True):
        assert_part(c, d, c.name)


def through_file(network: Network, folder: Path, **options: Any) -> Network:
    save_nir(network, folder / "network.nir", **options)
    assert [path.name for path in folder.iterdir()] == ["network.nir"]  # nothing temporary is left
    nir.read(folder / "network.nir")  # with nir's own type check
    return load_nir(folder / "network.nir")


def random_lif(rng: np.random.Generator, shape: tuple[int, ...], reset: str, alpha: bool = True) -> Lif:
    dtype = rng.choice([np.float32, np.float64])

    def some(low: float, high: float) -> Any:
        return rng.uniform(low, high, () if rng.random() < 0.5 else shape).astype(dtype)

    decays = [0.0, 1.0, some(0, 1), some(0.9, 1)]
    return Lif(
        threshold=some(0.2, 2.0),
        beta=decays[rng.integers(4)],
        alpha=decays[rng.choice([0, 1, 2])] if alpha else 0.0,
        bias=rng.choice([0.0, 1.0]) * some(-0.2, 0.2),
        reset=reset,
    )


def random_link(rng: np.random.Generator, source: Population, target: Population, delay: int) -> Connection:
    dtype = rng.choice([np.float32, np.float64])
    n, m = source.size, target.size
    weight = rng.normal(0.1, 0.5, (m, n)).astype(dtype)
    bias = rng.normal(0, 0.1, m).astype(rng.choice([np.float32, np.float64])) if rng.random() < 0.5 else None
    if rng.random() < 0.5:
        return Dense(source.name, target.name, weight, bias, delay)
    places = rng.permutation(m * n)[: rng.integers(1, m * n + 1)]
    weights = weight.reshape(-1)[places] * (rng.random(len(places)) < 0.9)  # some of them zero
    return Sparse(source.name, target.name, weights, places // n, places % n, (m, n), bias, delay)


def random_conv(rng: np.random.Generator, name: str, source: Population, reset: str) -> tuple[Population, Conv]:
    dims = len(source.shape) - 1
    groups = int(rng.choice([g for g in (1, 2, 3) if source.shape[0] % g == 0]))
    channels = groups * int(rng.integers(1, 3))
    kernel = tuple(int(rng.integers(1, min(3, size) + 1)) for size in source.shape[1:])
    weight = rng.normal(0.1, 0.5, (channels, source.shape[0] // groups, *kernel)).astype(np.float32)
    bias = rng.normal(0, 0.1, channels).astype(np.float32) if rng.random() < 0.5 else None
    stride, padding = (tuple(int(s) for s in rng.integers(low, low + 2, dims)) for low in (1, 0))
    link = Conv(source.name, name, weight, source.shape, bias, stride, padding, (1,) * dims, groups)
    return Population(name, link.output_shape, random_lif(rng, link.output_shape, reset)), link


def random_network(seed: int, plain: bool = False) -> Network:
    """Chains of convolutions, then of matrices, with loops, skips, delays and all kinds of parameters.

    ``plain`` ones need no metadata: one reset for all, the output last, no neurons in the input.
    """
    rng = np.random.default_rng(seed)
    resets = [str(rng.choice(RESETS)) for _ in range(6)]
    resets = [resets[0]] * 6 if plain else resets
    shapes = [(5,), (2, 6), (3, 5, 6), (2, 3), (1, 4, 4)]
    shape = shapes[rng.integers(len(shapes))]
    neuron = random_lif(rng, shape, resets[0], alpha=False) if rng.random() < 0.2 and not plain else None
    first = Population("input", shape, neuron, neuron is not None or bool(rng.integers(2)))
    populations, links = [first], []
    if len(shape) > 1:
        for i in range(rng.integers(0, 3)):
            made, link = random_conv(rng, f"conv{i}", populations[-1], resets[i])
            populations.append(made)
            links.append(link)
    for i in range(rng.integers(1, 4)):
        shape = (int(rng.integers(1, 6)),) if rng.random() < 0.7 else (2, 2)
        populations.append(Population(f"layer.{i}-x", shape, random_lif(rng, shape, resets[3 + i])))
        links.append(random_link(rng, populations[-2], populations[-1], int(rng.choice([0, 0, 1, 7]))))
    done = {(link.source, link.target) for link in links}
    for _ in range(rng.integers(0, 4)):
        source, target = (populations[k] for k in rng.integers(0, len(populations), 2))
        if target.neuron is not None and (source.name, target.name) not in done:
            links.append(random_link(rng, source, target, int(rng.choice([1, 2]))))
            done.add((source.name, target.name))
    outputs = [p.name for p in populations if p.neuron is not None]
    provenance = {"from": "test", "seed": seed, "numbers": [0.1, None, True]}
    output = outputs[-1] if plain else str(rng.choice(outputs))
    return Network(tuple(populations), tuple(links), output, provenance)


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


# ---------------------------------------------------------------- graphs as others write them


def lif_node(n: Any, beta: float = 0.75, threshold: float = 0.5, **changes: Any) -> Any:
    ones = np.ones(n, np.float32)
    tau = np.float32(DT) / (1 - beta * ones)
    fields = {"tau": tau, "r": tau / np.float32(DT), "v_leak": 0 * ones, "v_reset": 0 * ones}
    return nir.LIF(**(fields | {"v_threshold": threshold * ones} | changes))


def cuba_node(n: int, alpha: float = 0.5, beta: float = 0.75, threshold: float = 0.5, **changes: Any) -> Any:
    ones = np.ones(n, np.float32)
    mem, syn = (np.float32(DT) / (1 - decay * ones) for decay in (beta, alpha))
    fields = {"tau_mem": mem, "tau_syn": syn, "r": mem / np.float32(DT), "w_in": syn / np.float32(DT)}
    return nir.CubaLIF(**(fields | {"v_leak": 0 * ones, "v_threshold": threshold * ones} | changes))


def graph_of(shape: Any, *nodes: Any, **more: Any) -> Any:
    """A chain: input, n0, n1, ..., output."""
    named = {"input": nir.Input({"input": np.array(shape)})}
    named |= {f"n{i}": node for i, node in enumerate(nodes)}
    named["output"] = nir.Output({"output": None})
    names = list(named)
    edges = list(pairwise(names))
    return nir.NIRGraph(nodes=named, edges=edges, type_check=False, **more)


def weights(seed: int, *shape: int) -> Any:
    """Multiples of 1/64: sums are exact in any order."""
    return (np.round(np.random.default_rng(seed).normal(0.2, 0.5, shape) * 64) / 64).astype(np.float32)


def conv2d(
    out: int, channels: int, *kernel: int, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    weight = weights(0, out, channels, *kernel)
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, weights(1, out))


def affine(out: int, n: int) -> Any:
    return nir.Affine(weights(0, out, n), weights(1, out))


FLAT = nir.Flatten(None, 0, -1)
CHAINS: dict[str, tuple[Any, list[Any], str]] = {
    "linear": ((6,), [nir.Linear(weights(0, 4, 6))], "dense"),
    "affine": ((6,), [affine(4, 6)], "dense"),
    "scaled affine": ((6,), [affine(4, 6), nir.Scale(weights(2, 4))], "dense"),
    "scale": ((6,), [nir.Scale(weights(2, 6))], "sparse"),
    "identity": ((6,), [], "sparse"),
    "conv1d": ((2, 9), [nir.Conv1d(9, weights(0, 3, 2, 3), 2, 1, 1, 1, weights(1, 3))], "conv"),
    "conv2d": ((2, 7, 6), [conv2d(3, 2, 3, 3, stride=(2, 1), padding=(1, 0))], "conv"),
    "kernel": ((2, 7, 6), [conv2d(3, 2, 3, 2, dilation=2)], "conv"),
    "groups": ((4, 5, 5), [conv2d(4, 2, 3, 3, padding=1, groups=2)], "conv"),
    "same": ((2, 5, 5), [conv2d(4, 2, 3, 3, padding="same")], "conv"),
    "valid": ((2, 5, 5), [conv2d(4, 2, 3, 3, padding="valid")], "conv"),
    "conv halved": ((2, 5, 5), [conv2d(4, 2, 3, 3), nir.Scale(np.full((4, 3, 3), 0.5))], "conv"),
    "average": ((2, 6, 6), [nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))], "conv"),
    "sum": ((2, 6, 6), [nir.SumPool2d(np.array([2, 3]), np.array([2, 1]), np.array([1, 1]))], "conv"),
    "flatten": ((2, 3), [FLAT, nir.Linear(weights(0, 4, 6))], "dense"),
    "conv, flat": ((2, 5, 5), [conv2d(4, 2, 2, 2), FLAT], "sparse"),
    "pool, affine": ((2, 6, 6), [nir.AvgPool2d(2, 2, 0), FLAT, affine(4, 18)], "dense"),
    "conv, pool": ((1, 6, 6), [conv2d(2, 1, 3, 3), nir.SumPool2d(2, 2, 0)], "dense"),
}


def torch_chain(nodes: list[Any], x: Any) -> Any:
    """What PyTorch says to a chain of linear nodes."""
    import torch
    from torch.nn import functional as f

    x = torch.from_numpy(x.astype(np.float64))
    for node in nodes:
        w, b = (torch.from_numpy(np.asarray(getattr(node, k, 0.0), np.float64)) for k in ("weight", "bias"))
        kind = type(node).__name__
        if kind in ("Linear", "Affine"):
            x = f.linear(x, w) + b
        elif kind == "Scale":
            x = x * torch.from_numpy(node.scale)
        elif kind == "Flatten":
            x = x.flatten(1)
        elif kind.startswith("Conv"):
            geometry = (node.stride, node.padding, node.dilation, node.groups)
            x = (f.conv1d if kind == "Conv1d" else f.conv2d)(x, w, b, *geometry)
        else:
            geometry = [tuple(np.broadcast_to(k, 2).tolist()) for k in (node.kernel_size, node.stride, node.padding)]
            kernel = geometry[0]
            x = f.avg_pool2d(x, *geometry) * (1 if kind == "AvgPool2d" else prod(kernel))
    return x.numpy()


@pytest.mark.parametrize("case", CHAINS)
def test_linear_nodes_fold_into_one_connection(case: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    shape, nodes, kind = CHAINS[case]
    x = (np.random.default_rng(0).random((3, *shape)) < 0.5).astype(np.uint8)
    wanted = torch_chain(nodes, x)
    network = from_nir(graph_of(shape, *nodes, lif_node(wanted.shape[1:])))
    assert [c.kind for c in network.connections] == [kind]
    assert network["n" + str(len(nodes))].shape == wanted.shape[1:]
    link = network.connections[0]
    got = link.drive(x.reshape(3, -1)) + link.bias_currents()
    np.testing.assert_allclose(got, wanted.reshape(3, -1), rtol=1e-12, atol=1e-12)
    assert_same(network, through_file(network, tmp_path))


@pytest.mark.parametrize("scalar", [False, True])
def test_neurons(scalar: bool) -> None:
    one = np.ones(() if scalar else 4)
    network = from_nir(graph_of((4,), nir.IF(r=2 * one, v_threshold=3 * one)))
    lif = network["n0"].neuron
    assert isinstance(lif, Lif)
    assert (lif.beta.max(), lif.alpha.max(), lif.threshold.max(), lif.reset) == (1, 0, 1.5, "zero")
    node = nir.LIF(tau=4 * DT * one, r=one, v_leak=0.5 * one, v_threshold=one)
    lif = from_nir(graph_of((4,), node))["n0"].neuron
    assert isinstance(lif, Lif)
    assert (lif.beta.max(), lif.threshold.max(), lif.bias.max()) == pytest.approx((0.75, 4, 0.5))
    node = nir.CubaLIF(tau_mem=4 * DT * one, tau_syn=2 * DT * one, r=4 * one, w_in=one, v_leak=0 * one, v_threshold=one)
    lif = from_nir(graph_of((4,), node))["n0"].neuron
    assert isinstance(lif, Lif)
    assert (lif.beta.max(), lif.alpha.max(), lif.threshold.max()) == pytest.approx((0.75, 0.5, 2))


def test_a_decay_of_one_as_snntorch_writes_it() -> None:
    endless = np.full(4, np.inf, np.float32)
    lif = from_nir(graph_of((4,), lif_node(4, tau=endless, r=endless)))["n0"].neuron
    assert isinstance(lif, Lif)
    assert (lif.beta == 1).all()
    assert (lif.threshold == 0.5).all()


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.95, 0.7390851])
def test_decays_in_single_precision_come_back_exactly(beta: float) -> None:
    lif = from_nir(graph_of((4,), lif_node(4, np.float32(beta))))["n0"].neuron  # type: ignore[arg-type]
    assert isinstance(lif, Lif)
    assert lif.beta.dtype == np.float32
    assert (lif.beta == np.float32(beta)).all()


def test_delays_and_skips() -> None:
    nodes = {"in": nir.Input(np.array([3])), "a": lif_node(3), "b": lif_node(3), "out": nir.Output(np.array([3]))}
    nodes |= {"w": nir.Linear(weights(0, 3, 3)), "v": nir.Linear(weights(1, 3, 3)), "d": nir.Delay(np.full(3, 5 * DT))}
    edges = [("in", "w"), ("w", "a"), ("a", "d"), ("d", "v"), ("v", "b"), ("in", "b"), ("b", "out")]
    network = from_nir(nir.NIRGraph(nodes=nodes, edges=edges))
    assert {c.name: (c.kind, c.delay) for c in network.connections} == {
        "in->a": ("dense", 0), "a->b": ("dense", 5), "in->b": ("sparse", 0),
    }  # fmt: skip
    nodes["m"] = nir.Linear(weights(2, 3, 3))  # two ways between the same neurons add up
    network = from_nir(nir.NIRGraph(nodes=nodes, edges=[*edges, ("in", "m"), ("m", "a")]))
    (link,) = (c for c in network.connections if c.name == "in->a")
    np.testing.assert_array_equal(link.weight, weights(0, 3, 3) + weights(2, 3, 3))


# ---------------------------------------------------------------- snnTorch

SNN_RESETS = {
    "zero": ("zero", False),
    "subtract-delayed": ("subtract", True),
    "subtract-guarded": ("subtract", False),
    "none": ("none", True),
}


def snn_model(kind: str, reset: str) -> Any:
    """6 -> 8 -> 4 neurons; all parameters are multiples of powers of two."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    snn = pytest.importorskip("snntorch", reason="snntorch is not installed")
    mechanism, delay = SNN_RESETS[reset]

    def layer(n: int, last: bool) -> Any:
        name = kind if not last else kind.removeprefix("R")
        options = {"reset_mechanism": mechanism, "reset_delay": delay, "init_hidden": True, "output": last}
        decays = {"beta": torch.full((n,), 0.75)} | ({"alpha": torch.full((n,), 0.5)} if "Synaptic" in name else {})
        options |= {"linear_features": n} if name.startswith("R") else {}
        made = getattr(snn, name)(threshold=torch.full((n,), 0.5), **decays, **options)
        if name.startswith("R"):
            made.recurrent.weight.data = torch.from_numpy(weights(5, n, n) / 4)
            made.recurrent.bias.data = torch.from_numpy(weights(6, n) / 4)
        return made

    linears = [torch.nn.Linear(6, 8), torch.nn.Linear(8, 4)]
    for i, linear in enumerate(linears):
        linear.weight.data = torch.from_numpy(weights(i, *linear.weight.shape))
        linear.bias.data = torch.from_numpy(weights(i + 2, len(linear.bias)) / 4)
    return torch.nn.Sequential(linears[0], layer(8, False), linears[1], layer(4, True))


def snn_spikes(model: Any, x: Any) -> Any:
    import torch

    for layer in (model[1], model[3]):
        layer.reset_mem()
    with torch.no_grad():
        return np.stack([model(torch.from_numpy(step.astype(np.float32)))[0].numpy() for step in x])


def by_hand(model: Any) -> Any:
    """The graph of ``model`` as snnTorch's exporter defines it: loops in a graph of their own."""
    arrays = {name: value.detach().numpy() for name, value in model.state_dict().items()}

    def neuron(key: str, n: int) -> Any:
        node = cuba_node(n) if "Synaptic" in type(model[int(key)]).__name__ else lif_node(n)
        if f"{key}.recurrent.weight" not in arrays:
            return node
        loop = nir.Affine(arrays[f"{key}.recurrent.weight"], arrays[f"{key}.recurrent.bias"])
        nodes = {"input": nir.Input([n]), "lif": node, "w_rec": loop, "output": nir.Output([n])}
        return nir.NIRGraph(nodes, [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")])

    nodes = {"input": nir.Input(np.array([6])), "1": neuron("1", 8), "3": neuron("3", 4)}
    nodes |= {k: nir.Affine(arrays[f"{k}.weight"], arrays[f"{k}.bias"]) for k in ("0", "2")}
    nodes["output"] = nir.Output(np.array([4]))
    return nir.NIRGraph(nodes, [("input", "0"), ("0", "1"), ("1", "2"), ("2", "3"), ("3", "output")])


@pytest.mark.parametrize("reset", SNN_RESETS)
@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky", "RSynaptic"])
def test_graphs_of_snntorch_spike_alike(kind: str, reset: str, tmp_path: Path) -> None:
    if kind == "RSynaptic" and not SNN_RESETS[reset][1]:
        pytest.skip("snnTorch 1.0's RSynaptic fails by itself without reset_delay")
    model, x = snn_model(kind, reset), random_spikes(3, 40, 3, 6)
    nir.write(tmp_path / "snn.nir", by_hand(model))
    network = load_nir(tmp_path / "snn.nir", reset=reset)
    assert network.names == ["input", "layer_1", "layer_3"]
    wanted = snn_spikes(model, x)
    assert 0 < wanted.sum() < wanted.size
    np.testing.assert_array_equal(run(network, x).output, wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # nirtorch's, about what snnTorch calls
def test_what_snntorch_exports_spikes_alike(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("nirtorch", reason="nirtorch, which snnTorch's exporter needs, is not installed")
    from snntorch.export_nir import export_to_nir

    model, x = snn_model("Leaky", "zero"), random_spikes(3, 40, 3, 6)
    nir.write(tmp_path / "snn.nir", export_to_nir(model, torch.rand(1, 6), ignore_dims=[0]))
    np.testing.assert_array_equal(run(load_nir(tmp_path / "snn.nir"), x).output, snn_spikes(model, x))


# ---------------------------------------------------------------- refusals


def test_refusals_of_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match="integers"):
        to_nir(fixed_network(0))
    with pytest.raises(InputError, match="dt: found 0"):
        to_nir(float_network(0), 0)
    with pytest.raises(InputError, match="cannot write there"):
        save_nir(float_network(0), tmp_path / "no" / "network.nir")
    last = Population("b", (2,), Lif(1.0, 0.5))
    first = Population("a", (3,), Lif(1.0, 0.5, 0.5), current=True)
    taking = Network((first, last), (Dense("a", "b", np.ones((2, 3))),))
    with pytest.raises(NetworkError, match="a: takes a direct current past"):
        to_nir(taking)
    lonely = Network((Population("a", (3,)), last), (Dense("b", "b", np.ones((2, 2)), delay=1),))
    with pytest.raises(NetworkError, match="b: nothing from the input"):
        to_nir(lonely)
    monkeypatch.setattr("aspen.exchange.nir.write.MAX_WEIGHTS", 40)
    with pytest.raises(NetworkError, match="no sparse weights"):
        to_nir(float_network(0))


@pytest.mark.parametrize("package", ["nir", "h5py"])
def test_missing_package(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_nir(float_network(0), tmp_path / "network.nir")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'aspen-snn\[exchange\]'"):
        load_nir(tmp_path / "network.nir")
    with pytest.raises(MissingDependencyError, match=package):
        save_nir(float_network(0), tmp_path / "other.nir")


ONE = np.ones(4)
CHAIN_REFUSALS: dict[str, tuple[list[Any], str]] = {
    "LI": ([nir.LI(tau=ONE, r=ONE, v_leak=ONE)], r"n0 \(LI\): .*does not spike"),
    "CubaLI": ([nir.CubaLI(tau_mem=ONE, tau_syn=ONE, r=ONE, v_leak=ONE)], r"n0 \(CubaLI\).*does not spike"),
    "I": ([nir.I(r=ONE)], r"n0 \(I\).*use IF"),
    "Threshold": ([nir.Threshold(ONE)], r"n0 \(Threshold\).*use LIF"),
    "tau": ([lif_node(4, tau=ONE * DT / 2)], r"n0\.tau: found 5e-05 s.*time step"),
    "negative tau": ([lif_node(4, tau=-ONE)], r"n0\.tau: found -1"),
    "v_reset": ([lif_node(4, v_reset=ONE)], r"n0\.v_reset.*shift"),
    "gain": ([lif_node(4, r=-ONE)], r"n0 \(LIF\): found an input gain"),
    "threshold": ([lif_node(4, threshold=-1)], r"n0 \(LIF\): threshold: found -1"),
    "delay": ([nir.Delay(ONE * 1.5 * DT), lif_node(4)], r"n0 \(Delay\): .*whole number"),
    "delays": ([nir.Delay(np.arange(4) * DT), lif_node(4)], r"n0 \(Delay\): found 0 to"),
    "long delay": ([nir.Delay(ONE * 64 * DT), lif_node(4)], r"delay: found 64 steps"),
    "late bias": ([nir.Affine(np.eye(4), ONE), nir.Delay(ONE * DT), lif_node(4)], r"n1 \(Delay\): found a bias before"),
    "read-out": ([lif_node(4), nir.Affine(np.eye(4), ONE)], r"allowed is one Output right behind"),
    "shape": ([nir.Linear(np.ones((4, 5))), lif_node(4)], r"n0\.weight: found shape \(4, 5\)"),
    "lif shape": ([nir.Linear(np.ones((5, 4))), lif_node(4)], r"n1 \(LIF\): found an input of shape \(5,\)"),
    "nan": ([lif_node(4, r=ONE * np.nan)], r"n0\.r: found NaN"),
    "inf": ([nir.Linear(np.full((4, 4), np.inf)), lif_node(4)], r"n0 \(Linear\).*infinity"),
    "channels": ([nir.SumPool2d(2, 2, 0), lif_node(4)], r"n0 \(SumPool2d\): found an input of shape \(4,\)"),
    "objects": ([lif_node(4, r=np.array(["a"] * 4))], r"n0\.r: found <U1 values"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAIN_REFUSALS)
def test_refusals_of_reading(case: str) -> None:
    nodes, message = CHAIN_REFUSALS[case]
    with pytest.raises((NetworkError, FileFormatError), match=message):
        from_nir(graph_of((4,), *nodes))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, "same", 1, 1, np.zeros(1)), "'same' with odd spans"),
        (nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, 10**5, 1, 1, np.zeros(1)), "padding: found"),
        (nir.Conv2d(None, np.ones((1, 1, 9, 9)), 1, 0, 1, 1, np.zeros(1)), "kernel is larger"),
        (nir.Conv2d(None, np.ones((1, 1, 2, 2)), 0, 0, 1, 1, np.zeros(1)), "stride: found"),
        (nir.Conv2d(None, np.ones((1, 1, 2, 2)), 1, 0, 1, 3, np.zeros(1)), "groups: found 3"),
        (nir.Conv2d((3, 3), np.ones((1, 1, 2, 2)), 1, 0, 1, 1, np.zeros(1)), "input_shape: found"),
        (nir.AvgPool2d(0, 1, 0), "kernel_size: found"),
        (nir.Flatten(None, 2, 1), "found dimensions 2 to 1"),
    ],
)
def test_refusals_of_geometry(node: Any, message: str) -> None:
    with pytest.raises((NetworkError, FileFormatError), match=message):
        from_nir(graph_of((1, 4, 4), node, lif_node(4)))


def test_refusals_of_structure() -> None:
    chain = graph_of((4,), nir.Linear(np.eye(4)), lif_node(4))
    for edges, message in (
        ([*chain.edges, ("n1", "nowhere")], "found an unknown node"),
        ([*chain.edges, chain.edges[0]], "found twice"),
        ([*chain.edges, ("n1", "n0", "x")], "unknown node"),
        (chain.edges[1:], "nothing from the input reaches|found the inputs"),
    ):
        with pytest.raises((NetworkError, FileFormatError), match=message):
            from_nir(nir.NIRGraph(chain.nodes, edges, type_check=False))
    two = nir.NIRGraph(chain.nodes | {"late": nir.Output([4])}, [*chain.edges, ("n1", "late")])
    with pytest.raises(NetworkError, match=r"outputs \['late', 'output'\]"):
        from_nir(two)
    both = nir.NIRGraph(chain.nodes | {"more": nir.Input([4])}, [*chain.edges, ("more", "n0")])
    with pytest.raises(NetworkError, match=r"inputs \['input', 'more'\]"):
        from_nir(both)
    loop = nir.NIRGraph(chain.nodes | {"n2": nir.Linear(np.eye(4))}, [*chain.edges, ("n0", "n2"), ("n2", "n0")])
    with pytest.raises(NetworkError, match="cycle of linear nodes"):
        from_nir(loop)
    far = nir.NIRGraph(chain.nodes | {"d": nir.Delay(ONE * DT)}, [*chain.edges, ("n0", "d"), ("d", "n1")])
    with pytest.raises(NetworkError, match=r"delays \d and \d"):
        from_nir(far)
    back = {"v": nir.Linear(np.eye(4)), "n2": lif_node(4), "w": nir.Linear(np.eye(4))}
    cycle = nir.NIRGraph(chain.nodes | back, [*chain.edges, ("n1", "v"), ("v", "n2"), ("n2", "w"), ("w", "n1")])
    with pytest.raises(NetworkError, match="cycle without delay"):
        from_nir(cycle)
    with pytest.raises(InputError, match="reset: found 'half'"):
        from_nir(chain, reset="half")
    with pytest.raises(FileFormatError):
        from_nir(object())


def test_refusals_of_files(tmp_path: Path) -> None:
    path = tmp_path / "network.nir"
    with pytest.raises(InputError, match="no such file"):
        load_nir(path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(FileFormatError, match="not a readable NIR file"):
        load_nir(path)
    save_nir(float_network(0), path)
    for change, message in (
        (lambda f: f.__delitem__("node/edges"), "not a readable NIR file"),
        (lambda f: f.__setitem__("node/nodes/far", h5py.ExternalLink("/etc/passwd", "/")), "link to elsewhere"),
        (lambda f: f.__setitem__("node/nodes/far", h5py.SoftLink("/node")), "link to elsewhere"),
        (lambda f: f.__setitem__("node/nodes/far", f["node"]), "nested deeper"),
        (lambda f: f.create_dataset("node/huge", (10**9,), "f4", chunks=(10**6,), compression=4), "holds far less"),
        (lambda f: f.create_dataset("node/flat", (10**9,), "f4"), "holds far less"),
    ):
        save_nir(float_network(0), path)
        with h5py.File(path, "a") as file:
            change(file)
        with pytest.raises(FileFormatError, match=message):
            load_nir(path)


def test_a_damaged_heap_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "network.nir"  # the HDF5 library loops for ever on some of these
    save_nir(float_network(0), path)
    data = path.read_bytes()
    for offset, junk in (
        (0, b"XXXX"),
        (8, b"\xff" * 8),
        (8, bytes(8)),
        (16, bytes(8)),
        (24, bytes(8)),
        (24, b"\xff" * 8),
    ):
        bad, at = bytearray(data), data.index(b"GCOL") + offset
        bad[at : at + len(junk)] = junk
        path.write_bytes(bad)
        with pytest.raises(FileFormatError, match=r"heap|beyond the end"):
            load_nir(path)


def test_refusals_of_metadata() -> None:
    graph = to_nir(float_network(0))
    header = json.loads(graph.metadata["aspen"]["header"])
    for changes, message in (
        ({"version": 99}, "newer ASPEN"),
        ({"dt": -1}, "steps above 0"),
        ({"populations": 3}, "malformed"),
        ({"populations": [{"name": "layer1", "shape": ["x"]}]}, "does not fit"),
        ({"connections": [header["connections"][0] | {"kind": "odd"}]}, "does not fit"),
    ):
        graph.metadata["aspen"]["header"] = json.dumps(header | changes)
        with pytest.raises(FileFormatError, match=message):
            from_nir(graph)


# ---------------------------------------------------------------- damaged files


def changed_parts(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with one of its datasets replaced or removed."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "a") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[rng.integers(len(names))]
        old = file[name][()]
        del file[name]
        junk = [0, -1, 10**15, np.nan, np.zeros((0,)), np.zeros((3, 3, 3)), "x", b"NIRGraph", np.full(5, np.inf)]
        junk += [old * 0 - 1 if isinstance(old, np.ndarray) and old.dtype.kind in "fi" else "LIF"]
        if rng.random() < 0.9:
            file[name] = junk[rng.integers(len(junk))]
    return stream.getvalue()


def fuzz(rounds: int, seed: int, folder: Path) -> int:
    """Damage files; each must load or be refused by an AspenError, soon. The number of refusals."""
    rng = np.random.default_rng(seed)
    refused = lines = 0
    path = folder / "network.nir"
    files = []
    for i in range(20):
        save_nir(random_network(seed + i), path)
        files.append(path.read_bytes())
    for turn in range(rounds):
        data = files[rng.integers(len(files))]
        path.write_bytes(changed_parts(data, rng) if turn % 2 else damaged_bytes(data, rng))
        started = time.monotonic()
        try:
            load_nir(path)
        except AspenError as error:
            refused += 1
            lines += str(error).count("\n")
        assert time.monotonic() - started < 10
    assert lines == 0  # every message is one line
    return refused


def test_damaged_files(tmp_path: Path) -> None:
    assert fuzz(300, 0, tmp_path) > 50
