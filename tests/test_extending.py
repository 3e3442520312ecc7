"""The page on parts of one's own: each example as it stands there, from a program and from an installed package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data import ENCODERS, load_encoder
from aspen.data.encoders import StoredEncoder
from aspen.errors import FileFormatError, InputError
from aspen_emulator import run, session
from aspen_emulator.engines.run import ENGINES
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import fixed_network, float_network, random_spikes
from tests.pages import blocks

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["aspen"]

CHIP, PACKAGE = blocks("extending.md", "toml")
ENGINE, ADD_ENGINE, COMPARE, ENCODER, ENCODED, NEURON, MODEL = blocks("extending.md", "python")
TRAIN, ON_THE_CHIP, WITH_THE_PACKAGE = (block.splitlines() for block in blocks("extending.md", "sh"))
SMALL = ("--hidden", "8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty one; what is added there is taken away again."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for registry, name in ((ENGINES, "events"), (ENCODERS, "phase")):
        if name in registry:
            del registry[name]  # type: ignore[attr-defined]


def program(*parts: str) -> dict[str, Any]:
    """What is in a program's space after it ran."""
    space: dict[str, Any] = {"__name__": "own_parts"}
    for part in parts:
        exec(compile(part, "extending.md", "exec", dont_inherit=True), space)
    return space


def quick(line: str, *options: str) -> list[str]:
    """A command, with a training of an instant."""
    return line.replace("--epochs 2", " ".join(("--epochs", "1", *options))).split()[1:]


def test_a_chip(aspen: Aspen, folder: Path) -> None:
    (folder / "mychip.toml").write_text(CHIP, "utf-8")
    told = [aspen(*quick(line, *SMALL)) for line in (*TRAIN, *ON_THE_CHIP)]
    assert [code for code, _, _ in told] == [0] * 4, told
    assert "Compiled for mychip" in told[2][1]
    total = 25 * 1e-3 * 0.4e-3  # 25 steps of 1 ms at 0.4 mW, whatever the network does
    assert re.search(rf"static\s+{total * 1e6:.0f}(\.0)? uJ", told[3][1]), told[3][1]


def test_an_engine(aspen: Aspen) -> None:
    assert aspen(*quick(TRAIN[0], *SMALL))[0] == 0
    program(ENGINE, ADD_ENGINE, COMPARE)
    for network in (float_network(1), fixed_network(2), float_network(3, reset="subtract-delayed")):
        spikes = random_spikes(0, 7, 3, 6)
        ours, wanted = (run(network, spikes, 0.5, engine=name, record="membranes") for name in ("events", "reference"))
        for name in network.order:
            np.testing.assert_array_equal(ours.rasters[name], wanted.rasters[name])
            np.testing.assert_array_equal(ours.membranes[name], wanted.membranes[name])
            np.testing.assert_array_equal(ours.awake_updates[name], wanted.awake_updates[name])
    with pytest.raises(InputError, match=r"found 'events', allowed in a session are fast, .*run\(engine='events'\)"):
        session(network, engine="events")


def test_an_encoder(folder: Path) -> None:
    kind = program(ENCODER, ENCODED)["PhaseEncoder"]
    encoder = load_encoder("phase.aspen")
    assert isinstance(encoder, StoredEncoder)
    assert type(encoder) is kind
    values = np.array([[encoder.low, encoder.high, (encoder.low + encoder.high) / 2]])  # type: ignore[attr-defined]
    read = (encoder.encode(values)[:, 0] * 2 ** np.arange(8)[::-1, None]).sum(axis=0)
    assert read.tolist() == [0, 255, 128]
    del ENCODERS["phase"]
    with pytest.raises(FileFormatError, match=r"found kind 'phase', allowed are rate, .*install the package"):
        load_encoder("phase.aspen")


def test_a_neuron(capsys: pytest.CaptureFixture[str]) -> None:
    program(NEURON, MODEL)
    told = capsys.readouterr().out
    assert "lif1: Cuba is a neuron class of your own, added as Synaptic; on random numbers both spike alike" in told
    rows = [line.split() for line in told.splitlines() if line.startswith(("lif1  ", "lif2  "))]
    agree = {row[0]: row[5] for row in rows if "snntorch" in row}
    assert agree == {"lif1": "100.00%", "lif2": "100.00%"}


def install(folder: Path) -> None:
    """What ``pip install`` leaves of the package."""
    (folder / "own_parts.py").write_text(f"{ENGINE}\n{ENCODER}", "utf-8")
    project = tomllib.loads(PACKAGE)["project"]
    metadata = folder / f"own_parts-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1\n")
    lines = [
        line
        for group, names in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in names.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join([*lines, ""]))


COMMANDS = """
import shlex, sys
from aspen_emulator.cli import main
for line in sys.argv[1:]:
    try:
        main(shlex.split(line))
    except SystemExit as left:
        assert not left.code, line
"""


def test_an_installed_package_adds_to_the_command_line(folder: Path) -> None:
    install(folder)
    lines = [" ".join(quick(line)) for line in WITH_THE_PACKAGE]
    paths = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, *lines], env={**os.environ, "PYTHONPATH": paths}, capture_output=True,
        text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spikes = np.load("spikes.npy")
    assert spikes.shape == (8, 360, 64)
    assert "phase" in done.stdout + done.stderr
    assert np.load("out.npy").shape == (8, 360, 10)
