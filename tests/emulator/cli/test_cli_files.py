"""What the commands read and write: nothing is written over, suffixes decide, and no result is lost."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import torch

from aspen._figures import new_figure, save_figure
from aspen.dial.profile import DialProfile, load_profile
from aspen.errors import InputError, UnwrittenError
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen.storage import outputs, writing
from aspen.storage.container import read_container
from aspen.storage.outputs import check_folder, check_output, is_same_file, rescue
from aspen.training.trained import Trained
from aspen_emulator import run
from aspen_emulator.cli import train
from aspen_emulator.cli.files import FileCommand, InputFile, OutputFile, OutputFolder
from aspen_emulator.cli.main import COMMANDS
from aspen_emulator.cli.main import aspen as group
from aspen_hardware.compiling.deployment import stored_chips
from tests.aspen.network.test_network import assert_equal
from tests.emulator.cli.finished import Finished
from tests.emulator.cli.test_cli import Aspen, aspen, files, run_arguments
from tests.networks import float_network

__all__ = ["aspen", "files"]

WRITES = {"--output", "--plot", "--record", "--membranes", "--checkpoint", "--state-dict", "--log", "--state"}
WRITES |= {"--report", "--folder", "--labels-output"}
"""Options that say where something is written; of `aspen export` and `aspen profile`, ``--state-dict`` is read."""


def commands() -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_file_of_every_command_is_checked(name: str) -> None:
    command = commands()[name]
    for param in command.params:
        written = isinstance(param.type, (OutputFile, OutputFolder))
        if written or isinstance(param.type, InputFile):
            assert isinstance(command, FileCommand)
        if isinstance(param.type, click.Path):
            assert param.type.exists, param.opts  # what is written has types of its own
        if name not in ("export", "profile") or param.opts != ["--state-dict"]:
            assert written == (param.opts[0] in WRITES), param.opts


def full_disk(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Files of these names cannot be written: the disk is full."""
    begin = writing.begin

    def refuse(target: Path, mode: int) -> tuple[int, Path]:
        if target.name in names and "kept" not in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return begin(target, mode)

    monkeypatch.setattr(writing, "begin", refuse)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what cannot be written is kept."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(outputs.tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("name", ["x.npy", "./x.npy", "symbolic.npy", "hard.npy"])
def test_an_output_that_is_an_input_is_refused(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(files)
    Path("symbolic.npy").symlink_to("x.npy")
    Path("hard.npy").hardlink_to("x.npy")
    before = Path("x.npy").read_bytes()
    for option, others in (("--output", ()), ("--membranes", ("--output", "out.npy"))):
        code, _, err = aspen("run", "net.aspen", "--input", "x.npy", "--float", option, name, *others)
        assert (code, f"{option}: found {Path(name)}, which is the input --input, allowed is another" in err) == (
            2,
            True,
        )
    assert (Path("x.npy").read_bytes(), Path("out.npy").exists()) == (before, False)


@pytest.mark.parametrize(
    ("command", "link"),
    [
        (["run", "net.aspen", "--input", "x.npy", "--output", "link.npy"], "link.npy"),
        (["run", "net.aspen", "--input", "x.npy", "--output", "out.npy", "--record", "link.json"], "link.json"),
        (["sweep", "net.aspen", "--input", "x.npy", "--labels", "y.npy", "--output", "link.csv"], "link.csv"),
        (["sweep", "net.aspen", "--input", "x.npy", "--labels", "y.npy", "--plot", "link.png"], "link.png"),
        (["report", "net.aspen", "--input", "x.npy", "--plot", "link.svg"], "link.svg"),
        (["stream", "net.aspen", "--input", "x.npy", "--knob", "1", "--log", "link.csv"], "link.csv"),
        (["compile", "net.aspen", "--output", "link.net"], "link.net"),
    ],
)
def test_links_to_the_network_are_no_outputs(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], link: str
) -> None:
    monkeypatch.chdir(files)
    Path(link).symlink_to("net.aspen")
    code, _, err = aspen(*command)
    assert (code, "which is the input NETWORK" in err) == (2, True)
    assert_equal(load_network("net.aspen"), float_network(1, bias=False))


@pytest.mark.parametrize("exists", [True, False])
def test_two_outputs_that_are_one_file_are_refused(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    monkeypatch.chdir(files)
    Path("link").symlink_to(".")
    if exists:
        Path("out.npy").touch()
    code, _, err = aspen(*run_arguments(Path(), "--membranes", "link/out.npy", "--float"))
    assert (code, "--output and --membranes: found the same file out.npy, allowed are two" in err) == (2, True)


@pytest.mark.parametrize("name", ["net.aspen", "symbolic.aspen", "other.aspen"])
def test_compile_adds_to_its_input_or_writes_another_file_at_once(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(files)
    Path("symbolic.aspen").symlink_to("net.aspen")
    written: list[Path] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (written.append(Path(target)), replace(source, target)))
    assert aspen("compile", "net.aspen", "--output", name)[0] == 0
    assert stored_chips(name) == ["loihi1"]
    assert [path.name for path in written] == ["other.aspen" if name == "other.aspen" else "net.aspen"]
    assert Path("symbolic.aspen").is_symlink()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run net.aspen --input x.npy --output out", "out: found no suffix, allowed is .npy; rename it"),
        ("run net.aspen --input x.npy --output net.aspen", "net.aspen: found .aspen, allowed is .npy"),
        ("run net.aspen --input x.npy --output out.npy --record r.csv", "r.csv: found .csv, allowed is .json"),
        ("compile net.aspen --output x.nir", "x.nir: found .nir, allowed are .aspen and .net; rename it"),
        ("compile net.aspen --output x.net --to aspen", "x.net: found .net with --to aspen, allowed is .aspen"),
        ("compile net.aspen --output x.aspen --to netx", "x.aspen: found .aspen with --to netx, allowed is .net"),
        ("export m:n --sample x.npy --output x.pt", "x.pt: found .pt, allowed are .aspen and .nir; rename it"),
        ("sweep net.aspen --data digits --plot x.jpg", "x.jpg: found .jpg, allowed are .png, .pdf and .svg; rename it"),
        ("sweep net.aspen --data digits --output x.json", "x.json: found .json, allowed is .csv"),
        ("report net.aspen --data digits --plot x", "x: found no suffix, allowed are .png, .pdf and .svg"),
        ("stream net.aspen --input x.npy --knob 1 --state s.txt", "s.txt: found .txt, allowed is .json"),
        ("train --output a.aspen --checkpoint c.aspen", "c.aspen: found .aspen, allowed are .pt, .pth, .ckpt and"),
        ("train --output a.aspen --log x.npy", "x.npy: found"),
        ("study digits --report r.html", "r.html: found .html, allowed is .md"),
        ("demo --output x.npy/deeper", "which is a file, allowed is a folder"),
        ("run net.aspen --input x.npy --output folder.npy", "folder.npy: found a folder, allowed is a file"),
        ("run net.aspen --input x.npy --output no/out.npy", "no/out.npy: the folder no does not exist"),
        ("run net.aspen --input x.npy --output x.npy/out.npy", "the folder x.npy does not exist"),
        ("run - --input x.npy --output out.npy", "only .npy arrays are read from standard input"),
        ("run net.aspen --input x.npy --output out.npy --record -", "only .npy arrays are written to standard output"),
        ("sweep net.aspen --data digits --plot -", "only .npy arrays are written to standard output"),
        ("train --output -", "only .npy arrays are written to standard output"),
        ("run net.aspen --input x.npy --output - --json", "found --json beside an output to -"),
        ("run net.aspen --input x.npy --output - --membranes -", "--output and --membranes: found the same file"),
        ("check net.aspen --input - --labels -", "found - for two inputs, allowed is one"),
    ],
)  # fmt: skip
def test_wrong_outputs_are_refused_before_the_work(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, command: str, message: str
) -> None:
    monkeypatch.chdir(files)
    Path("folder.npy").mkdir()
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    code, out, err = aspen(*command.split())
    assert (code, out) == (2, "")
    assert message in err
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before


def test_a_folder_or_a_file_that_cannot_be_written_to_is_found_before_the_work(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")  # what a read-only folder answers to all but root

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", refuse)
    for command in (run_arguments(files), ["train", "--output", files / "a.aspen"],
                    ["sweep", files / "net.aspen", "--data", "digits", "--save"],
                    ["calibrate", files / "net.aspen", "--data", "digits", "--min-accuracy", "0.5"],
                    ["compile", files / "net.aspen"], ["demo", "--output", files / "new" / "demo"]):  # fmt: skip
        code, _, err = aspen(*command)
        assert (code, "cannot write there (Permission denied); choose another folder, or make room" in err) == (2, True)
    monkeypatch.undo()
    monkeypatch.setattr(outputs.os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(InputError, match="you may not write to; choose another name"):
        check_output(files / "net.aspen")


def test_a_folder_is_checked_from_the_first_one_that_exists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_folder(tmp_path / "a" / "b")
    with pytest.raises(InputError, match=r"file/b: found .*/file, which is a file, allowed is a folder"):
        check_folder(tmp_path / "file" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_names_of_a_device_may_be_used_together() -> None:
    terminal, device = os.openpty()
    try:
        assert not is_same_file(os.ttyname(device), os.ttyname(device))
    finally:
        os.close(terminal)
        os.close(device)


def test_a_pipe_takes_an_array(aspen: Aspen, files: Path) -> None:
    os.mkfifo(files / "pipe")
    reader = subprocess.Popen(["cat", files / "pipe"], stdout=subprocess.PIPE)
    code, out, _ = aspen(*run_arguments(files, "--output", files / "pipe"))
    data, _ = reader.communicate(timeout=30)
    assert (code, "Output spikes" in out, (files / "pipe").is_fifo()) == (0, True, True)
    network, spikes = load_network(files / "net.aspen"), np.load(files / "x.npy")
    assert np.load(io.BytesIO(data)).shape == run(network, spikes).output.shape


def test_arrays_come_from_standard_input_and_go_to_standard_output(files: Path) -> None:
    program = [sys.executable, "-c", "from aspen_emulator.cli import main; main()", "run", "net.aspen", "--float"]
    made = subprocess.run(
        [*program, "--input", "-", "--output", "-"],
        cwd=files, input=(files / "x.npy").read_bytes(), capture_output=True, check=True,
    )  # fmt: skip
    expected = run(load_network(files / "net.aspen"), np.load(files / "x.npy")).output
    np.testing.assert_array_equal(np.load(io.BytesIO(made.stdout)), expected)
    assert b"Output spikes: /dev/stdout" in made.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chips", "loihi1"], b""),
        (["run", "net.aspen", "--float", "--input", "x.npy", "--output", "-"],
         b"aspen: /dev/stdout: cannot write there (Broken pipe); its reader has gone; choose a file\n"),
    ],
)  # fmt: skip
def test_a_reader_that_has_gone_is_no_internal_error(files: Path, arguments: list[str], told: bytes) -> None:
    program = [sys.executable, "-c", f"from aspen_emulator.cli import main; main({arguments})"]
    reader, writer = os.pipe()
    os.close(reader)
    made = subprocess.run(program, cwd=files, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert made.returncode == 1
    assert made.stderr.startswith(told) if told else made.stderr == b""


@pytest.mark.parametrize(("name", "begins"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml")])
def test_the_suffix_of_a_picture_decides(tmp_path: Path, name: str, begins: bytes) -> None:
    figure, panels = new_figure((1, 1), 1, 1)
    panels[0].plot([0, 1])
    save_figure(figure, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    with pytest.raises(InputError, match=r"a.jpg: found .jpg, allowed are .png, .pdf and .svg; rename it"):
        save_figure(figure, tmp_path / "a.jpg")


def test_every_plot_option_draws_what_the_suffix_says(aspen: Aspen, files: Path) -> None:
    given = [files / "net.aspen", "--input", files / "x.npy"]
    sweep = ["sweep", *given, "--labels", files / "y.npy", "--knobs", "1,2", "--plot", files / "s.pdf"]
    assert aspen(*sweep)[0] == aspen("report", *given, "--plot", files / "r.svg")[0] == 0
    assert (files / "s.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (files / "r.svg").read_bytes()


def test_a_trained_network_that_cannot_be_written_is_kept(
    aspen: Aspen, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = float_network(1)
    fitted = Finished(Trained(network, DialProfile.uniform(network, 0.7, 3.0)))
    monkeypatch.setattr(train, "train_by_name", lambda *_, **__: fitted)
    full_disk(monkeypatch, "net.aspen")
    code, out, err = aspen("train", "--output", tmp_path / "net.aspen")
    (kept,) = temporary.rglob("net.aspen")
    assert code == 1
    assert f"cannot write there (No space left on device); make room, or choose another disk; kept in {kept}" in err
    assert ("90.0% correct" in out, "saved" in out) == (True, False)
    assert_equal(load_network(kept), network)
    load_profile(kept)
    assert not (tmp_path / "net.aspen").exists()


def test_a_training_keeps_its_network_where_the_weights_cannot_be_written(
    aspen: Aspen, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = Finished(Trained(float_network(1)), DenseNet((6, 5, 4)))
    monkeypatch.setattr(train, "train_by_name", lambda *_, **__: fitted)
    full_disk(monkeypatch, "w.pt")
    code, out, err = aspen("train", "--state-dict", tmp_path / "w.pt", "--output", tmp_path / "net.aspen")
    assert (code, f"saved: {tmp_path / 'net.aspen'}" in out, "w.pt: cannot write there" in err) == (1, True, True)
    assert_equal(load_network(tmp_path / "net.aspen"), float_network(1))
    (kept,) = temporary.rglob("w.pt")
    assert "fc1.weight" in torch.load(kept, weights_only=True)


@pytest.mark.parametrize("lost", ["out.npy", "v.npy", "r.json"])
def test_a_run_writes_its_other_results(
    aspen: Aspen, files: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    full_disk(monkeypatch, lost)
    code, out, err = aspen(*run_arguments(files, "--membranes", files / "v.npy", "--record", files / "r.json"))
    assert (code, f"{lost}: cannot write there" in err, "20 steps" in out) == (1, True, lost != "r.json")
    (kept,) = temporary.rglob(lost)
    assert all((files / name).exists() == (name != lost) for name in ("out.npy", "v.npy", "r.json"))
    assert json.loads(kept.read_bytes()) if lost == "r.json" else np.load(kept).shape[0] == 20


@pytest.mark.parametrize("lost", ["net.aspen", "s.csv", "s.png"])
def test_a_sweep_writes_its_other_results(
    aspen: Aspen, files: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    full_disk(monkeypatch, lost)
    places = ["--save", "--output", files / "s.csv", "--plot", files / "s.png"]
    given = ["--input", files / "x.npy", "--labels", files / "y.npy", "--knobs", "1,2", *places]
    code, out, err = aspen("sweep", files / "net.aspen", *given)
    assert (code, f"{lost}: cannot write there" in err, "accuracy" in out) == (1, True, True)
    assert (
        ("saved in" in out) == (lost != "net.aspen") == ("calibration" in read_container(files / "net.aspen").headers)
    )
    assert [(files / name).exists() for name in ("s.csv", "s.png")] == [lost != "s.csv", lost != "s.png"]
    assert len(list(temporary.rglob(lost))) == 1


def test_what_is_kept_nowhere_is_said_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(writing, "begin", refuse)
    error = UnwrittenError("full")
    assert rescue(error) is None
    error.path, error.data = Path("a"), b"data"
    assert rescue(error) is None
    assert list(tmp_path.iterdir()) == []
