"""netx files and networks for the tests, laid out as lava-dl lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.network.connections import Connection, Conv, Dense
from aspen.network.network import FixedLif, Network, Population

h5py = pytest.importorskip("h5py", reason="h5py reads and writes netx files")
Layer = dict[str, Any]
Array = np.ndarray[Any, np.dtype[Any]]
CUBA: Layer = {"neuron/type": "CUBA", "neuron/iDecay": 1024, "neuron/vDecay": 128, "neuron/vThMant": 80}


def write(path: Path, *layers: Layer) -> Path:
    """A netx file with these layers, as lava-dl lays them out."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for key, value in layer.items():
                group[key] = np.array([value.encode()], "S10") if key == "type" else value
    return path


def dense(weight: Any, **more: Any) -> Layer:
    weight = np.asarray(weight, np.float32)
    return {"type": "dense", "shape": np.array([len(weight)]), "weight": weight, **CUBA, **more}


def conv(weight: Any, shape: tuple[int, ...], **more: Any) -> Layer:
    geometry = {"stride": np.array([1, 1]), "padding": np.array([0, 0]), "dilation": np.array([1, 1]), "groups": 1}
    return {"type": "conv", "shape": np.array(shape), "weight": np.asarray(weight), **geometry, **CUBA, **more}


def image(*shape: int, **more: Any) -> Layer:
    return {"type": "input", "shape": np.array(shape), **CUBA, **more}


def flatten(n: int) -> Layer:
    return {"type": "flatten", "shape": np.array([n, 1, 1])}


def weights(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-128, 128, shape)


def lif(bias: Any = 0) -> FixedLif:
    return FixedLif(90, 200, 1500, bias, 6)


def spiking(*layers: Population, connections: tuple[Connection, ...], current: bool = False, n: Any = (6,)) -> Network:
    first = Population("input", n, lif() if current else None, current)
    transform = {"input_transform": {"weight": 36, "bias": 34}} if current else {}
    axes = {"format": "netx", "axes": "(channels, height, width)"}
    return Network((first, *layers), connections, provenance=axes | transform)


def networks() -> dict[str, Network]:
    hidden, out = Population("layer1", (5,), lif()), Population("layer2", (3,), lif([1, -2, 3]))
    chain = (Dense("input", "layer1", weights(5, 6)), Dense("layer1", "layer2", weights(3, 5), delay=7))
    bias = np.repeat(np.arange(4), 12).reshape(4, 3, 4)
    maps, flat = Population("layer1", (4, 3, 4), lif(bias)), Population("layer2", (2,), lif())
    geometry: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
    over = Conv("input", "layer1", weights(4, 1, 3, 2), (2, 5, 6), **geometry)
    to_flat = Dense("layer1", "layer2", weights(2, 48))
    each = Population("layer1", (4, 3, 4), lif(np.arange(48).reshape(4, 3, 4)))
    return {
        "dense": spiking(hidden, out, connections=chain),
        "conv": spiking(maps, flat, connections=(over, to_flat), current=True, n=(2, 5, 6)),
        "bias for each neuron": spiking(each, connections=(over,), n=(2, 5, 6)),
        "flat current": spiking(hidden, connections=chain[:1], current=True),
    }
