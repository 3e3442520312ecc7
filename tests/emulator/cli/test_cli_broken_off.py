"""Ctrl-C: exit code 130, and one line that says what is left and how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen_emulator.cli import stream as streaming
from aspen_emulator.cli import study, sweep, train
from tests.emulator.cli.test_cli import Aspen, aspen, files
from tests.emulator.cli.test_cli_options import folder

__all__ = ["aspen", "files", "folder"]


def broken_off(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("options", "there", "told"),
    [
        ("", False, "nothing was written; with --checkpoint net.ckpt, the next can be gone on with"),
        ("--checkpoint c.ckpt", False, "no epoch was done, so that c.ckpt is not there; run it again"),
        (
            "--checkpoint c.ckpt",
            True,
            "the epochs that were done are in c.ckpt; the same command with --resume goes on",
        ),
    ],
)
def test_a_training(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, there: bool, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if there:
        Path("c.ckpt").touch()
    monkeypatch.setattr(train, "train_by_name", broken_off)
    code, out, err = aspen("train", "--output", "net.aspen", *options.split())
    assert (code, out, err) == (130, "", f"aspen: interrupted; {told}\n")
    assert not Path("net.aspen").exists()


def test_a_study(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "train_all", broken_off)
    code, _, err = aspen("study", "digits", "--folder", "s")
    assert (code, "the networks that were trained are in s; the same command goes on" in err) == (130, True)


@pytest.mark.parametrize(("options", "told"), [((), "the state was not kept; with --state day.json"),
                                               (("--state", "s.json"), "after the last window is in s.json; the same")]
                         )  # fmt: skip
def test_a_stream(
    aspen: Aspen, folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], told: str
) -> None:
    np.save("long.npy", np.zeros((64, 6), np.uint8))
    monkeypatch.setattr(streaming, "now", broken_off)
    code, _, err = aspen("stream", "net.aspen", "--input", "long.npy", "--knob", "1", *options)
    assert (code, told in err) == (130, True)
    assert Path("s.json").exists() == bool(options)


def test_what_writes_at_its_end_alone(aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "measure", broken_off)
    before = (files / "net.aspen").read_bytes()
    code, _, err = aspen(
        "sweep", files / "net.aspen", "--input", files / "x.npy", "--labels", files / "y.npy", "--save"
    )
    assert (code, err) == (130, "aspen: interrupted; every file is whole or not there; run it again\n")
    assert (files / "net.aspen").read_bytes() == before
