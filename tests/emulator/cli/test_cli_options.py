"""Options of the command line that change what comes out, and would be missed only by their effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.calibration.storage import load_table, save_table
from aspen_emulator.cli.main import main
from tests.control_tables import made_table
from tests.networks import float_network, random_spikes

STEPS, INPUTS = 16, 6
SAMPLES = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with a calibration table, spikes and labels."""
    monkeypatch.chdir(tmp_path)
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    save_table(made_table("scale", step_time=1e-3), tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, STEPS, SAMPLES, INPUTS))
    np.save(tmp_path / "y.npy", np.arange(SAMPLES) % 4)
    return tmp_path


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert caught.value.code == 0, err
    return json.loads(out)


@pytest.mark.parametrize("command", ["sweep", "calibrate"])
def test_the_loss_that_is_allowed_is_passed_on_as_a_fraction(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    from aspen_emulator.cli import sweep

    asked: list[float] = []
    calibrate = sweep.calibrate_stop
    monkeypatch.setattr(sweep, "calibrate_stop", lambda b, s, loss: asked.append(loss) or calibrate(b, s, loss))
    demand = ["--min-accuracy", 0.01] if command == "calibrate" else []
    options = ["--input", "x.npy", "--labels", "y.npy", "--knobs", "0.5,1", "--early", "--max-loss", "2", *demand]
    called(capsys, command, "net.aspen", *options, *(["--save"] if command == "sweep" else []))
    assert asked == ([0.02] if command == "sweep" else [])
    early = load_table(folder / "net.aspen").early
    assert early is not None
    assert early.max_loss == 0.02


def test_a_gated_chip_leaks_nothing_between_inferences(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """300 to 1000 nJ dynamic, 1000 nJ static in 16 ms: 62.5 uW all the time, or 1 uJ for each inference."""
    options = ["--stored", "--battery", "1J", "--hours", 1, "--rate", "60/min"]
    gated = called(capsys, "calibrate", "net.aspen", *options, "--gated")
    always = called(capsys, "calibrate", "net.aspen", *options)
    assert (gated["static_nj"], always["static_nj"]) == pytest.approx((1000.0, 62500.0))
    assert gated["lasts_s"] == pytest.approx(1 / 2e-6)
    assert always["lasts_s"] == pytest.approx(1 / 63.5e-6)


def test_a_picture_of_a_stream_that_went_on_has_the_labels_of_its_windows(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(
        "aspen_emulator.cli.stream.plot_stream", lambda windows, *rest, dial: drawn.append((windows, rest))
    )
    np.save("long.npy", random_spikes(1, 5 * STEPS, 1, INPUTS))
    np.save("labels.npy", np.array([0, 1, 2, 3, 0]))
    for count in (2, 3):
        called(
            capsys, "stream", "net.aspen", "--input", "long.npy", "--labels", "labels.npy", "--knob", 1, "--state",
            "s.json", "--windows", count, "--plot", "s.png",
        )  # fmt: skip
    assert [[window.index for window in windows] for windows, _ in drawn] == [[0, 1], [2, 3, 4]]
    assert [rest[3].tolist() for _, rest in drawn] == [[0, 1, 2, 3, 0], [2, 3, 0]]
