"""Damage files on purpose, thousands of times: each load must give a network or an AspenError, quickly.

python -m tests.fuzz [rounds]: everything with as many rounds as asked (default 5000); the tests run a sample.
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aspen.calibration import CalibrationTable, EarlyPoint, OperatingPoint, list_tables, save_table
from aspen.confidence import EarlyStop
from aspen.data import DeltaEncoder, WindowEncoder, load_encoder, save_encoder
from aspen.errors import AspenError
from aspen.exchange.netx import load_netx
from aspen.exchange.netx_writer import save_netx
from aspen.exchange.nir import load_nir, save_nir
from aspen.files import Container, read_container, write_container
from aspen.network import Dense, Lif, Network, Population, load_network
from aspen_hardware import compile, load_deployment, store_deployment
from tests.networks import float_network

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 10**18, 1.5, float("inf"), "", "x", "input", [], [0],
    [10**12, 10**12], {}, {"kind": "conv"}, [[]],
)  # fmt: skip


def damaged_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: flipped bits, a cut, a repeated or removed part, a run of random bytes."""
    bad = bytearray(data)
    at, length = int(rng.integers(len(bad))), int(rng.integers(1, 40))
    how = rng.integers(5)
    if how == 0:
        for place in rng.integers(0, len(bad), rng.integers(1, 5)):
            bad[place] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del bad[at:]
    elif how == 2:
        bad[at:at] = bad[at : at + length]
    elif how == 3:
        del bad[at : at + length]
    else:
        bad[at : at + length] = rng.bytes(length)
    return bytes(bad)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def damaged_header(container: Container, rng: np.random.Generator) -> Container:
    """The container with one part of its header replaced or removed, or a tensor changed; its checksum is right."""
    bad = Container(copy.deepcopy(container.headers), dict(container.tensors))
    if rng.random() < 0.2:
        name = list(bad.tensors)[rng.integers(len(bad.tensors))]
        changes: list[Any] = [np.zeros((0,)), np.full((3, 3), np.nan), np.arange(5), bad.tensors[name].T, None]
        change = changes[rng.integers(len(changes))]
        bad.tensors.pop(name)
        if change is not None:
            bad.tensors[name] = np.ascontiguousarray(change)
        return bad
    places = list(_places(bad.headers))
    *way, last = places[rng.integers(len(places))]
    inner: Any = bad.headers
    for key in way:
        inner = inner[key]
    if rng.random() < 0.2:
        del inner[last]
    else:
        inner[last] = JUNK[rng.integers(len(JUNK))]
    return bad


def fuzz_aspen(rounds: int, seed: int, folder: Path) -> int:
    """Damage ``.aspen`` files; returns how many still loaded.

    Raises:
        AssertionError: something else than a network or an AspenError came out, or it took more than 20 seconds.
    """
    rng, path, loaded = np.random.default_rng(seed), folder / "fuzzed.aspen", 0
    network = float_network(1, bias=False)
    network.save(path)
    store_deployment(compile(network, "loihi1"), path)
    save_table(small_table(), path)
    save_encoder(WindowEncoder(DeltaEncoder((0.1, 0.2)), 4, 2), path)
    data, container = path.read_bytes(), read_container(path)
    for i in range(rounds):
        if i % 2:
            path.write_bytes(damaged_bytes(data, rng))
        else:
            try:
                write_container(damaged_header(container, rng), path)
            except (TypeError, ValueError):
                continue  # JSON cannot say it
        loaded += survives(load_network, path)
        loaded += survives(lambda place: load_deployment(place, "loihi1"), path)
        loaded += survives(list_tables, path)
        loaded += survives(load_encoder, path)
    return loaded


def fuzz_bytes(load: Callable[[Path], object], path: Path, rounds: int, seed: int) -> int:
    """Damage the bytes of any file that ``load`` reads; returns how many still loaded."""
    rng, data = np.random.default_rng(seed), path.read_bytes()
    damaged = path.with_name(f"damaged{path.suffix}")
    loaded = 0
    for _ in range(rounds):
        damaged.write_bytes(damaged_bytes(data, rng))
        loaded += survives(load, damaged)
    return loaded


def exchange_files(folder: Path) -> dict[str, tuple[Callable[[Path], object], Path]]:
    """A small netx and a small NIR file, with their loaders."""
    network = chain()
    save_netx(compile(network, "loihi1", netx=True).network, folder / "chain.net")
    save_nir(network, folder / "chain.nir")
    return {".net": (load_netx, folder / "chain.net"), ".nir": (load_nir, folder / "chain.nir")}


def chain() -> Network:
    """A network that every format can say: one threshold and one decay for each population."""
    rng = np.random.default_rng(0)
    populations = [Population("input", (6,))]
    populations += [Population(name, (n,), Lif(1.0, 0.9)) for name, n in (("layer1", 8), ("layer2", 4))]
    weights = (Dense("input", "layer1", rng.normal(size=(8, 6))), Dense("layer1", "layer2", rng.normal(size=(4, 8))))
    return Network(tuple(populations), weights)


def small_table() -> CalibrationTable:
    """A calibration table of two points, with an early stop."""
    points = [
        OperatingPoint(k, a, 0.0, 1.0, e, 10.0, 5.0, e, 9.0, 50) for k, a, e in ((2.0, 0.5, 8.0), (1.0, 0.7, 16.0))
    ]
    stop = EarlyStop(0.5, 0.1, (1.0, 2.0), (0.1, 0.2), "spikes", 10, 0.005)
    early = tuple(EarlyPoint(point, 7.5) for point in points)
    return CalibrationTable("loihi1", "scale", 10, 1e-3, "fuzz validation", 1, tuple(points), 1.0, stop, early)


def survives(load: Callable[[Path], object], path: Path) -> bool:
    """Whether the file loads; an AspenError of one line is the only other way out."""
    start = time.monotonic()
    try:
        load(path)
        return True
    except AspenError as error:
        lines = str(error).count("\n") + 1
        if lines > 1:
            raise RuntimeError(f"{path}: an error of {lines} lines") from error
        return False
    finally:
        assert time.monotonic() - start < 20, f"{path}: took {time.monotonic() - start:.1f} s"


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        loaded = fuzz_aspen(rounds, 0, Path(folder))
        print(f".aspen: {loaded} of {4 * rounds} loads gave what was stored, the others an AspenError")
        for kind, (load, path) in exchange_files(Path(folder)).items():
            loaded = fuzz_bytes(load, path, rounds, 0)
            print(f"{kind}: {loaded} of {rounds} loads gave a network, the others an AspenError")
