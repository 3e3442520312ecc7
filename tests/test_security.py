"""Files from strangers: what SECURITY.md says of them. Damage by chance is the fuzzer's (tests/fuzz.py)."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aspen.errors import ChipError, FileFormatError, InputError
from aspen.network.network import load_network
from aspen.storage.file import AspenFile
from aspen.training.checkpoints import load_tensors
from aspen_hardware import chip, compile, deployment_on, load_deployment, store_deployment
from tests import ROOT
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.hardware.chips.small_chip import small
from tests.networks import float_network

__all__ = ["aspen"]

HOSTILE = ("../../etc/x", "/dev/zero", "loihi1\x1b[2J", "*/ int evil; /*", "a b", "")


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    evil = {"w": Evil(tmp_path / "made")}
    torch.save(evil, tmp_path / "zip.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(evil))
    for name in ("zip.pt", "bare.pt"):
        with pytest.raises(FileFormatError, match="can execute anything and is never loaded") as told:
            load_tensors(tmp_path / name)
        assert "weights_only" not in str(told.value)  # torch's advice is to switch that off
    assert not (tmp_path / "made").exists()


def test_packed_weights_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1000)}, tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as good:
        parts = {entry.filename: good.read(entry) for entry in good.infolist()}
    with zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    assert torch.equal(load_tensors(tmp_path / "good.pt")["w"], torch.zeros(1000))
    with pytest.raises(FileFormatError, match=r"compressed, allowed is an archive as torch\.save writes it"):
        load_tensors(tmp_path / "packed.pt")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_deployment_is_for_a_chip_with_a_name(tmp_path: Path, name: str) -> None:
    float_network(1).save(tmp_path / "net.aspen")
    deployment = compile(float_network(1), "loihi1")
    with pytest.raises(InputError, match=r"chip: found .*, allowed is a name of lower-case letters"):
        replace(deployment, chip=name)
    store_deployment(deployment, tmp_path / "net.aspen")
    file = AspenFile.open(tmp_path / "net.aspen")
    header, _ = file.parts("deployment/loihi1")
    header["chip"] = name
    with pytest.raises(FileFormatError, match="malformed deployment for loihi1"):
        load_deployment(file, "loihi1")


def test_texts_of_files_do_not_steer_the_terminal(tmp_path: Path) -> None:
    network = replace(float_network(1), provenance={"notes": ["cleared \x1b[2J, turned \u202e round"]})
    network.save(tmp_path / "net.aspen")
    assert str(load_network(tmp_path / "net.aspen")).endswith("cleared ?[2J, turned ? round")
    deployment = replace(compile(network, "loihi1"), warnings=("cleared \x1b[2J",))
    store_deployment(deployment, tmp_path / "net.aspen")
    with pytest.raises(FileFormatError, match="allowed is text without control characters"):
        AspenFile.open(tmp_path / "net.aspen").read(deployment_on("loihi1"))
    with pytest.raises(ChipError, match=r"title: found .*, allowed is text without control characters"):
        chip(small(tmp_path, '"A small chip"', '"A \\u001b[2J chip"'))


def test_a_chip_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_bytes(b"#" * 2**20 + b"\n")
    for path in (tmp_path / "long.toml", *([Path("/dev/zero")] if os.path.exists("/dev/zero") else [])):
        with pytest.raises(ChipError, match="found more than 1048576 bytes, allowed is a chip file"):
            chip(path)


def test_the_page_names_what_is_executed() -> None:
    text, parts = (ROOT / "SECURITY.md").read_text("utf-8"), (".aspen", ".pt", "notebook", "Chip file", "entry point")
    assert [part for part in (*parts, "netx", "pickle", "zig") if part not in text] == []


def test_names_in_data_do_not_steer_the_terminal(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = np.array(["a\x1b[31m", "b\x07", "c"])
    np.savez("my.npz", X=np.random.default_rng(0).random((60, 4)), y=names[np.arange(60) % 3])
    code, out, err = aspen("train", "--data", "my.npz", "--hidden", "4", "--epochs", "1", "--output", "net.aspen")
    assert code == 0
    assert "3 classes (a?[31m, b?, c)" in out + err
    assert not {"\x1b", "\x07"} & {*out, *err}
    with zipfile.ZipFile("odd.npz", "w") as archive:
        archive.writestr("X\x1b[31m.npy", b"")
    code, _, err = aspen("train", "--data", "odd.npz", "--output", "net.aspen")
    assert code != 0
    assert "found X?[31m, allowed are X and y at least" in err
