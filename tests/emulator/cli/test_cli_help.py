"""The help of every command: what it says, in which room, and examples that run as they stand there."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import torch

from aspen.data import digits, save_encoder
from aspen.dial.profile import DialProfile, save_profile
from aspen.models.ready import DenseNet
from aspen_emulator.cli.examples import EXAMPLES
from aspen_emulator.cli.helping import OTHER, SECTIONS, heading_of
from aspen_emulator.cli.main import COMMANDS, SUMMARIES, main
from aspen_emulator.cli.main import SECTIONS as LISTED
from aspen_emulator.cli.main import aspen as group
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]

STEPS = 8
TRAININGS = ("demo", "train", "study")
"""Commands that take minutes: their examples are read, with all options checked, and not run."""


STARTING = [line.strip() for line in (group.help or "").splitlines()]


def command(name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def options_of(name: str) -> list[str]:
    shown = [p for p in command(name).params if isinstance(p, click.Option) and not p.hidden]
    return [next(each for each in option.opts if each.startswith("--")) for option in shown]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_its_room_and_nothing_is_cut(name: str | None, width: int) -> None:
    context = group.context_class(group, terminal_width=width)
    asked = group if name is None else command(name)
    text = asked.get_help(asked.context_class(asked, info_name=name, parent=context, terminal_width=width))
    whole = squeezed(text)
    told = SUMMARIES.values() if name is None else [p.help or "" for p in asked.params if isinstance(p, click.Option)]
    assert [each for each in told if squeezed(each) not in whole] == []
    long = [line.strip() for line in click.unstyle(text).splitlines() if len(line) > width]
    assert {line for line in long if " " in line} <= {*EXAMPLES.get(name or "", ()), *STARTING}


def test_help_waits_for_no_library_that_is_slow_to_import() -> None:
    code = """
import sys
from aspen_emulator.cli.main import COMMANDS, aspen
for name in COMMANDS:
    aspen([name, "--help"], standalone_mode=False)
    assert not {"numba", "scipy", "torch", "snntorch", "matplotlib"} & {*sys.modules}, name
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


def squeezed(text: str) -> str:
    return "".join(click.unstyle(text).split())


def test_every_command_is_listed_once_under_a_heading_in_a_line() -> None:
    listed = [name for names in LISTED.values() for name in names.split()]
    assert sorted(listed) == sorted(COMMANDS) == sorted(SUMMARIES)
    assert max(map(len, SUMMARIES.values())) <= 80 - len("  calibrate  ") - 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_heading_where_there_are_many(name: str) -> None:
    assert [each for each in options_of(name) if heading_of(name, each) == OTHER] == [], "add it to SECTIONS"


def test_headings_name_options_that_there_are() -> None:
    known = {each for name in COMMANDS for each in options_of(name)} | {"--help"}
    assert {each for names in SECTIONS.values() for each in names.split()} <= known


def test_options_stand_under_headings_and_examples_below(aspen: Aspen) -> None:
    out = aspen("sweep", "--help")[1]
    places = [out.index(each) for each in ("What it is given:", "Knob:", "Chip and engine:", "Examples:")]
    assert places == sorted(places)
    assert "\n  aspen sweep net.aspen --data digits --plot dial.png\n" in out
    assert "\nOptions:" in aspen("chips", "--help")[1]  # of so few there is one list


def test_help_of_a_command_is_that_of_its_option(aspen: Aspen) -> None:
    assert aspen("help", "sweep")[1].strip() == aspen("sweep", "--help")[1].strip()
    assert aspen("help")[1].strip() == aspen("--help")[1].strip()
    code, _, err = aspen("help", "sweeep")
    assert (code, "did you mean 'sweep'?" in err) == (2, True)


def test_the_help_tells_the_exit_codes(aspen: Aspen) -> None:
    out = " ".join(aspen("--help")[1].split())
    assert "Exit codes: 0 done, 1 the work failed, 2 wrong usage, 130 broken off with Ctrl-C." in out


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    data = digits(steps=STEPS)
    for name in ("net", "dial"):
        path = folder / f"{name}.aspen"
        float_network(1, (64, 6, 10), bias=False).save(path)
        save_encoder(data.encoder, path)
    save_profile(DialProfile({"layer1": np.linspace(0.5, 1.5, 6)}), folder / "dial.aspen")
    arrays = {
        "raw": data.validation.values[:4], "spikes": random_spikes(0, STEPS, 4, 64), "labels": np.arange(4),
        "long": random_spikes(1, 3 * STEPS, 1, 64),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "mymodels.py").write_text(
        "from aspen.models.ready import DenseNet\ndef make_net():\n    return DenseNet((64, 6, 10))\n"
    )
    torch.save(DenseNet((64, 6, 10)).state_dict(), folder / "weights.pt")
    np.savez(folder / "my.npz", X=np.zeros((4, 3)), y=np.arange(4))
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_two_examples_of_every_command_run(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    if name == "stream":
        ran("aspen calibrate dial.aspen --data digits --dial")
    assert len(EXAMPLES[name]) >= 2
    for line in EXAMPLES[name]:
        begin, asked, *arguments = shlex.split(line)
        assert (begin, asked) == ("aspen", name)
        if name in TRAININGS:
            command(name).make_context(name, arguments, parent=click.Context(group))
        elif name != "doctor":  # which has tests of its own, and starts every engine
            ran(line)


def ran(line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line)[1:])
    assert caught.value.code == 0, line
