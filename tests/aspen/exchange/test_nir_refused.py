"""What NIR cannot say or ASPEN not read: refusals, with their messages, and damaged files."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.errors import AspenError, FileFormatError, InputError, MissingDependencyError, NetworkError
from aspen.exchange.nir import from_nir, load_nir, save_nir, to_nir
from aspen.network.connections import Dense
from aspen.network.network import Lif, Network, Population
from tests.aspen.exchange.nir_graphs import DT, graph_of, lif_node, random_network
from tests.damage import damaged_bytes
from tests.networks import fixed_network, float_network

nir = pytest.importorskip("nir", reason="the package nir is not installed")
h5py = pytest.importorskip("h5py", reason="the package h5py is not installed")


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
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[exchange\]"'):
        load_nir(tmp_path / "network.nir")
    with pytest.raises(MissingDependencyError, match=package):
        save_nir(float_network(0), tmp_path / "other.nir")


ONE = np.ones(4)
CHAIN_REFUSALS: dict[str, tuple[list[Any], str]] = {
    "LI gains": ([nir.LI(tau=ONE, r=np.arange(1.0, 5), v_leak=ONE)], r"n0 \(LI\): found input gains .* one for all"),
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
    with pytest.raises(InputError):
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
