"""NIR graphs as others write them: nodes that fold, neurons, delays, and what snnTorch exports."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.exchange.nir import from_nir, load_nir
from aspen.network.network import Lif
from aspen_emulator import run
from tests.aspen.exchange.nir_graphs import DT, assert_same, cuba_node, graph_of, lif_node, through_file, weights
from tests.networks import random_spikes

nir = pytest.importorskip("nir", reason="the package nir is not installed")


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
