"""The files that ASPEN reads, each with a good one, its readers, and the ways to damage it: a table for the fuzzer."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from aspen.calibration.early import EarlyStop
from aspen.calibration.storage import CalibrationTable, EarlyPoint, OperatingPoint, list_tables, save_table
from aspen.control import AccuracyFloor, Battery, Budget, Controller
from aspen.data import (
    Dataset,
    DeltaEncoder,
    RateEncoder,
    Samples,
    WindowEncoder,
    load_arrays,
    load_encoder,
    save_encoder,
)
from aspen.data.ts_files import read_ts, ts_archive
from aspen.dial.profile import DialProfile, load_profile, save_profile
from aspen.errors import TrainingWarning
from aspen.exchange.netx import load_netx
from aspen.exchange.netx_writer import save_netx
from aspen.exchange.nir import load_nir, save_nir
from aspen.models.ready import DenseNet
from aspen.network.graded import GradedInput
from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse, load_network
from aspen.storage.container import Container, read_container, write_container
from aspen.training.checkpoints import check_stage, read_checkpoint
from aspen.training.fit import fit
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.stage import Stage, Task
from aspen_emulator.cli.stream import _read_state
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.streaming import Meter, Stream
from aspen_emulator.study.measuring import Spent, read_points, read_spent, write_points, write_spent
from aspen_hardware import chip, compile, load_deployment, store_deployment
from aspen_hardware.chips.text import describe
from tests.aspen.data.ts_texts import ts_texts
from tests.control_tables import made_table
from tests.damage import (
    Rng,
    damaged_bytes,
    damaged_json,
    damaged_npy,
    damaged_safetensors,
    damaged_text,
    damaged_values,
)
from tests.fuzz import Format
from tests.networks import float_network

# ---------------------------------------------------------------- .aspen


def _chain() -> Network:
    """A network that every format can say: one threshold and one decay for each population."""
    rng = np.random.default_rng(0)
    populations = [Population("input", (6,))]
    populations += [Population(name, (n,), Lif(1.0, 0.9)) for name, n in (("layer1", 8), ("layer2", 4))]
    weights = (Dense("input", "layer1", rng.normal(size=(8, 6))), Dense("layer1", "layer2", rng.normal(size=(4, 8))))
    return Network(tuple(populations), weights)


def _mixed() -> Network:
    """Every kind of connection, a range of analog input, a bias and a delay."""
    rng = np.random.default_rng(1)
    populations = (
        Population("input", (1, 6), None, True, GradedInput(2.0, 8)),
        Population("maps", (2, 4), Lif(np.ones((2, 4)), 0.9)),
        Population("out", (3,), Lif(1.0, 0.9, 0.5, reset="subtract")),
    )
    connections = (
        Conv("input", "maps", rng.normal(size=(2, 1, 3)), (1, 6), rng.normal(size=2)),
        Dense("maps", "out", rng.normal(size=(3, 8)), rng.normal(size=3)),
        Sparse("out", "out", [0.5, -1.0], [0, 2], [1, 1], (3, 3), delay=1),
    )
    return Network(populations, connections, provenance={"from": ["here", {"a": 1}]})


def small_table() -> CalibrationTable:
    """A calibration table of two points, with an early stop."""
    points = [
        OperatingPoint(k, a, 0.0, 1.0, e, 10.0, 5.0, e, 9.0, 50) for k, a, e in ((2.0, 0.5, 8.0), (1.0, 0.7, 16.0))
    ]
    stop = EarlyStop(0.5, 0.1, (1.0, 2.0), (0.1, 0.2), "spikes", 10, 0.005)
    early = tuple(EarlyPoint(point, 7.5) for point in points)
    return CalibrationTable("loihi1", "scale", 10, 1e-3, "fuzz validation", 1, tuple(points), 1.0, stop, early)


def _write_aspen(path: Path) -> None:
    network = float_network(1, bias=False)
    network.save(path)
    save_profile(DialProfile({"layer1": np.linspace(0, 1, 8)}), path)
    store_deployment(compile(network, "loihi1"), path)
    save_table(small_table(), path)
    save_encoder(WindowEncoder(DeltaEncoder((0.1, 0.2)), 4, 2), path)


def _read_aspen(path: Path) -> None:
    """All that can be read of it; whatever is refused, the rest must not fail in another way."""
    str(load_network(path))
    str(load_deployment(path, "loihi1"))
    list_tables(path)
    load_profile(path)
    load_encoder(path)


def _read_network(path: Path) -> None:
    network = load_network(path)
    json.dumps([str(network), network.n_synapses, dict(network.provenance)])


def damaged_sections(data: bytes, rng: Rng) -> bytes | None:
    """A part of the header replaced or removed, or a tensor changed; the checksum is right."""
    with tempfile.TemporaryDirectory() as folder:
        return _damaged_sections(data, rng, Path(folder) / "sections.aspen")


def _damaged_sections(data: bytes, rng: Rng, path: Path) -> bytes | None:
    path.write_bytes(data)
    found = read_container(path)
    bad = Container(found.headers, dict(found.tensors))
    if rng.random() < 0.2:
        name = list(bad.tensors)[rng.integers(len(bad.tensors))]
        changes: list[Any] = [np.zeros((0,)), np.full((3, 3), np.nan), np.arange(5), bad.tensors[name].T, None]
        changes += [np.zeros((), bool), bad.tensors[name].astype(np.float16), np.full(bad.tensors[name].shape, 1e300)]
        change = changes[rng.integers(len(changes))]
        bad.tensors.pop(name)
        if change is not None:
            bad.tensors[name] = np.ascontiguousarray(change)
    else:
        bad.headers = damaged_values(found.headers, rng)
    try:
        write_container(bad, path)
    except (TypeError, ValueError, AttributeError, RecursionError):
        return None  # JSON cannot say it
    return path.read_bytes()


# ---------------------------------------------------------------- chips, arrays, data


def _write_chip(path: Path) -> None:
    path.write_bytes(resources.files("aspen_hardware").joinpath("chips", "loihi2.toml").read_bytes())


def _read_chip(path: Path) -> None:
    """Read, shown, and used."""
    found = chip(path)
    json.dumps(found.to_dict())
    describe(found)
    compile(_chain(), found)


def _write_ts(path: Path) -> None:
    path.write_text(ts_texts()["Wiggles_TRAIN.ts"], encoding="utf-8")


def _read_ts(path: Path) -> None:
    read_ts(path.read_bytes().decode("utf-8", "replace"), path.name)


def _write_npz(path: Path) -> None:
    rng = np.random.default_rng(0)
    names = np.array(["walk", "run"])[np.arange(12) % 2]
    np.savez_compressed(path, X=rng.random((12, 5, 2)), y=names, subjects=np.arange(12) % 4)


def damaged_members(data: bytes, rng: Rng) -> bytes:
    """An archive with one of its arrays damaged, removed or renamed, and right in all else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = old.namelist()[rng.integers(len(old.namelist()))]
        for name in old.namelist():
            member, how = old.read(name), rng.integers(4)
            if name == chosen and how == 0:
                continue
            damage = (damaged_bytes, damaged_npy)[how % 2]
            new.writestr(name, damage(member, rng) if name == chosen else member)
    return buffer.getvalue()


def _write_csv(path: Path) -> None:
    rows = np.random.default_rng(0).random((12, 3)).round(3)
    path.write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in rows), encoding="utf-8")


def _read_csv(path: Path) -> None:
    """As a table, and as labels."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(12):
            for name in ("walk", "run"):
                (Path(folder) / name).mkdir(exist_ok=True)
                (Path(folder) / name / f"{number}.csv").write_bytes(path.read_bytes())
        load_arrays(folder)


def _write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ts_texts().items():
            archive.writestr(name, text)


def damaged_datasets(data: bytes, rng: Rng) -> bytes | None:
    """An HDF5 file with one of its datasets replaced or removed."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "a") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = names[rng.integers(len(names))]
        old = file[name][()]
        del file[name]
        junk = [0, -1, 10**9, 10**15, np.nan, np.inf, np.zeros((0,)), np.zeros((3, 3, 3)), np.full(5, np.inf), "x", "1"]
        junk += [b"NIRGraph", np.array([10**9, 10**9]), np.array(True), np.array([[1j]]), "a" * 5000, 1e-320]
        junk += [old * 0 - 1 if isinstance(old, np.ndarray) and old.dtype.kind in "fi" else "LIF"]
        if rng.random() < 0.9:
            file[name] = junk[rng.integers(len(junk))]
    return stream.getvalue()


# ---------------------------------------------------------------- checkpoints

FUZZ_RECIPE = Recipe("fuzz", epochs=2, batch_size=4, average=0.9, average_from=0.0, patience=3, dial=DialTraining())


def fuzz_model() -> DenseNet:
    """The same weights each time."""
    torch.manual_seed(0)
    return DenseNet((4, 5, 3, 2))


def fuzz_data() -> Dataset:
    """Eight samples of two classes in each part."""
    rng = np.random.default_rng(0)
    parts = [Samples(rng.random((8, 4)).astype(np.float32), np.arange(8) % 2) for _ in range(3)]
    return Dataset("fuzz", *parts, RateEncoder(4), classes=2)


def write_fuzz_checkpoint(path: Path) -> None:
    """One after two epochs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # two epochs on eight samples teach nothing
        fit(fuzz_model(), fuzz_data(), FUZZ_RECIPE, fused=False, checkpoint=path)


@cache
def _stage() -> Stage:
    data, model = fuzz_data(), fuzz_model()
    sample = torch.from_numpy(data.encoder.encode(data.train.values[:1], seed=0)).float()
    return Stage(Task(model, model, data, sample, 0), FUZZ_RECIPE)


@cache
def _settings(good: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(good, weights_only=True)["settings"]
    return found


def _read_checkpoint(path: Path) -> None:
    state = read_checkpoint(path, _settings(path.with_name("good.pt")))
    check_stage(path, state, _stage())
    _stage().load(state)


def damaged_state(data: bytes, rng: Rng) -> bytes | None:
    """A checkpoint that PyTorch reads, with one part replaced, removed or doubled, or a tensor of another form."""
    state = torch.load(io.BytesIO(data), weights_only=True)
    junk = [torch.zeros(0), torch.ones(3, 3), torch.full((5, 4), torch.nan), torch.tensor(1), torch.tensor([True])]
    junk += [-5, 9, 1, "x", None, 1.5, float("nan"), True, 10**30, [], {}, {"state": {}}, [1], torch.ones(4, 5).T]
    buffer = io.BytesIO()
    torch.save(damaged_values(_plain(state), rng, tuple(junk)), buffer)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    """With dicts for ordered ones, so that all parts are reached."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


# ---------------------------------------------------------------- states of streams, results of the study


@cache
def _stream(kind: str) -> Stream:
    network, table = float_network(1), made_table("scale")
    meter = Meter.of(network, chip("loihi1"), 16)
    watts, seconds, worst = 1.0, meter.window_seconds, meter.worst_step
    controllers: dict[str, Callable[[], Controller]] = {
        "budget": lambda: Budget(table, watts, seconds, worst, static_watts=0.1),
        "battery": lambda: Battery(table, 100.0, 3600.0, seconds, worst, static_watts=0.01),
        "floor": lambda: AccuracyFloor(table, 0.8),
    }
    return Stream(network, meter, controllers[kind](), table=table, engine="reference")


def _write_state(kind: str, path: Path) -> None:
    stream = _stream(kind)
    for seed in range(3):
        stream.window(np.random.default_rng(seed).integers(0, 2, (16, 6)).astype(np.uint8))
    path.write_text(json.dumps(stream.state_dict()), encoding="utf-8")


def _read_stream(kind: str, path: Path) -> None:
    """A state that is taken must be one that can be gone on from, and be kept again."""
    stream = _stream(kind)
    stream.load_state_dict(_read_state(path))
    stream.window(np.ones((16, 6), np.uint8))
    json.dumps([stream.state_dict(), stream.dynamic, stream.seconds])


def _write_points(path: Path) -> None:
    write_points({"dial-0/integers": small_table().points}, path)


def _write_spent(path: Path) -> None:
    write_spent(Spent(3.0, 4.0, False, {"layer1": [1.0, 2.0]}), path)


# ---------------------------------------------------------------- all of them


def _write_npy(path: Path) -> None:
    np.save(path, np.ones((4, 2, 3), np.uint8))


def _write_netx(path: Path) -> None:
    save_netx(compile(_chain(), "loihi1", netx=True).network, path)


_OF_JSON = (damaged_json, damaged_bytes)
_STATES = {
    f"stream ({kind})": Format(".json", partial(_write_state, kind), partial(_read_stream, kind), _OF_JSON, 3)
    for kind in ("budget", "battery", "floor")
}
_SECTIONS = (damaged_bytes, damaged_sections, damaged_safetensors, damaged_sections)
FORMATS: dict[str, Format] = {
    ".aspen": Format(".aspen", _write_aspen, _read_aspen, _SECTIONS, 20),
    "networks": Format(".aspen", _mixed().save, _read_network, _SECTIONS, 20),
    ".nir": Format(".nir", partial(save_nir, _chain()), load_nir, (damaged_bytes, damaged_datasets), 12),
    ".net": Format(".net", _write_netx, load_netx, (damaged_bytes, damaged_datasets), 12),
    ".npy": Format(".npy", _write_npy, load_spikes, (damaged_bytes, damaged_npy), 10),
    "checkpoints": Format(".pt", write_fuzz_checkpoint, _read_checkpoint, (damaged_bytes, damaged_state), 20),
    "chips": Format(".toml", _write_chip, _read_chip, (damaged_text, damaged_text, damaged_bytes), 8),
    ".ts": Format(".ts", _write_ts, _read_ts, (damaged_text, damaged_bytes), 6),
    ".npz": Format(".npz", _write_npz, load_arrays, (damaged_bytes, damaged_members, damaged_members), 8),
    ".csv": Format(".csv", _write_csv, _read_csv, (damaged_text, damaged_bytes), 4),
    ".ts in .zip": Format(".zip", _write_zip, ts_archive, (damaged_bytes,), 4),
    **_STATES,
    "points of the study": Format(".json", _write_points, read_points, _OF_JSON, 3),
    "spikes of the study": Format(".json", _write_spent, read_spent, _OF_JSON, 3),
}
"""Name -> format; shares are of a run over all of them."""
