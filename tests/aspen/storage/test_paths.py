"""What is no path is refused as such, wherever one is taken: to read, and to write."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen import (
    DialProfile,
    fit,
    load_network,
    load_profile,
    load_table,
    save_profile,
)
from aspen.data import digits, load_arrays, load_dataset, load_encoder
from aspen.errors import InputError
from aspen.exchange.netx import load_netx
from aspen.exchange.nir import from_nir, load_nir, save_nir
from aspen.models.ready import DenseNet
from aspen.storage.file import AspenFile
from aspen_emulator import run
from aspen_emulator.engines.inputs import load_spikes
from aspen_hardware import EnergyReport, chip, compile, energy_model, load_deployment, store_deployment, to_c
from tests.networks import float_network, random_spikes

NETWORK = float_network(1)
DEPLOYMENT = compile(NETWORK, "loihi1")


@cache
def report() -> EnergyReport:
    """Made when asked for: a run may compile machine code, which while tests are collected each process does alone."""
    return energy_model(run(DEPLOYMENT, random_spikes(0, 4, 1, 6)), chip("loihi1"))


TAKERS: dict[str, Callable[[Any], object]] = {
    "Network.save": NETWORK.save,
    "load_network": load_network,
    "AspenFile.open": AspenFile.open,
    "AspenFile.new": AspenFile.new,
    "save_profile": lambda path: save_profile(DialProfile({"layer1": 1.0}), path),
    "load_profile": load_profile,
    "load_table": load_table,
    "load_encoder": load_encoder,
    "load_dataset": load_dataset,
    "load_arrays": load_arrays,
    "load_spikes": load_spikes,
    "save_nir": lambda path: save_nir(NETWORK, path),
    "load_netx": load_netx,
    "to_c": lambda path: to_c(DEPLOYMENT, path),
    "store_deployment": lambda path: store_deployment(DEPLOYMENT, path),
    "load_deployment": lambda path: load_deployment(path, "loihi1"),
    "plot": lambda path: report().plot(path),
    "fit, checkpoint": lambda path: fit(DenseNet((64, 4, 10)), digits(steps=2), checkpoint=path),
    "fit, log": lambda path: fit(DenseNet((64, 4, 10)), digits(steps=2), log=path),
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("given", [3, [1], b"net.aspen"], ids=str)
def test_what_is_no_path_is_refused(taker: str, given: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^path: found .*, allowed is text or a pathlib\.Path; name the file"):
        TAKERS[taker](given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [load_nir, from_nir])
def test_what_is_no_graph_is_refused(read: Callable[[Any], object]) -> None:
    with pytest.raises(InputError, match=r"graph: found 3, allowed is a nir\.NIRGraph; read a file with load_nir"):
        read(3)


def test_anything_that_names_a_path_is_one(tmp_path: Path) -> None:
    class Named:
        def __fspath__(self) -> str:
            return str(tmp_path / "net.aspen")

    NETWORK.save(Named())  # type: ignore[arg-type]
    assert np.array_equal(
        load_network(str(tmp_path / "net.aspen")).connections[0].weight, NETWORK.connections[0].weight
    )
