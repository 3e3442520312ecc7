"""How often a command opens, hashes and writes the ``.aspen`` file that it is given: once each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data import CurrentEncoder, LevelEncoder
from aspen.dial.profile import DialProfile
from aspen.storage import container, writing
from aspen.training.trained import Trained
from aspen_emulator.cli import train
from tests.emulator.cli.finished import Finished
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network, random_spikes

__all__ = ["aspen"]

DEPTH = 12
"""Lines of the encoder: 3 channels of 4 levels."""


@dataclass
class Counted:
    """Calls since the last look; ``hashed`` whole files, read or to be written."""

    opened: int = 0
    hashed: int = 0
    written: int = 0

    def counts(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return function(*arguments, **named)

        return counting

    def look(self) -> tuple[int, int, int]:
        found = self.opened, self.hashed, self.written
        self.opened = self.hashed = self.written = 0
        return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    made = Counted()
    monkeypatch.setattr(container, "safe_open", made.counts("opened", container.safe_open))
    monkeypatch.setattr(container, "digest", made.counts("hashed", container.digest))
    monkeypatch.setattr(writing, "_replace", made.counts("written", writing._replace))
    return made


def trained() -> Trained:
    """A network with a dial and an encoder, as training makes them."""
    network = float_network(1, (DEPTH, 10, 4), bias=False)
    values = np.random.default_rng(0).normal(size=(1, 64, 3))
    encoder = LevelEncoder(CurrentEncoder(), 4, 2).fit(values)
    return Trained(network, DialProfile({"layer1": 0.5}), encoder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with such a network, spikes, classes and a sensor's values."""
    trained().save(tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, 8, 12, DEPTH, density=0.3))
    np.save(tmp_path / "y.npy", np.arange(12) % 4)
    np.save(tmp_path / "values.npy", np.random.default_rng(1).normal(size=(16 * 5, 3)))
    np.save(tmp_path / "samples.npy", np.random.default_rng(1).normal(size=(2, 16, 3)))
    return tmp_path


def test_what_is_only_read_is_opened_and_hashed_once(aspen: Aspen, folder: Path, counted: Counted) -> None:
    net, spikes, out = folder / "net.aspen", ["--input", folder / "x.npy"], ["--output", folder / "out.npy"]
    for command in (
        ["run", net, *spikes, *out, "--dial", "--knob", "0.5"],
        ["run", net, "--values", folder / "samples.npy", *out, "--dial", "--knob", "0.5"],
        ["report", net, *spikes, "--dial", "--knob", "0.5"],
        ["check", net, *spikes],
        ["sweep", net, *spikes, "--labels", folder / "y.npy", "--dial", "--knobs", "0,1"],
    ):
        counted.look()
        assert aspen(*command)[0] == 0
        opened, hashed, _ = counted.look()
        assert (opened, hashed) == (1, 1), command


def test_what_is_written_is_read_once_before_and_once_under_the_lock(
    aspen: Aspen, folder: Path, counted: Counted
) -> None:
    net, samples = folder / "net.aspen", ["--input", folder / "x.npy", "--labels", folder / "y.npy"]
    turned = ["--dial", "--knobs", "0,0.5,1"]
    for command in (
        ["compile", net],
        ["compile", net, "--chip", "loihi2"],
        ["sweep", net, *samples, *turned, "--chip", "loihi1", "--chip", "loihi2", "--save"],
        ["calibrate", net, *samples, *turned, "--min-accuracy", "0.01"],
        ["calibrate", net, "--stored", "--chip", "loihi1", "--min-accuracy", "0.01"],
    ):
        counted.look()
        assert aspen(*command)[0] == 0
        assert counted.look() == (2, 3, 1), command  # the last hash is the new file's own
    assert aspen("compile", net, "--output", folder / "other.aspen")[0] == 0
    assert counted.look() == (1, 2, 1)
    stream = ["stream", net, "--values", folder / "values.npy", "--chip", "loihi1", "--knob", "0.5", "--dial"]
    assert aspen(*stream)[0] == 0
    assert counted.look() == (1, 1, 0)


def test_train_writes_once(aspen: Aspen, folder: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train_by_name", lambda *_, **__: Finished(trained()))
    counted.look()
    assert aspen("train", "--output", folder / "new.aspen")[0] == 0
    assert counted.look() == (0, 1, 1)
