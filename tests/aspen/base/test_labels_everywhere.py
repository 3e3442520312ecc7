"""Labels that cannot be are refused, by the same check wherever answers are compared with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen._base.labels import as_labels
from aspen.calibration.early import calibrate_early
from aspen.errors import InputError
from aspen_emulator import sweep
from aspen_emulator.measuring.bench import Bench
from aspen_emulator.measuring.parity import parity
from aspen_emulator.streaming.sources import from_spikes
from tests.echoes import CLASSES, STEPS, echo, spikes_for
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

RIGHT = np.arange(8) % CLASSES
SPIKES = spikes_for(RIGHT)


def _early(labels: Any) -> None:
    calibrate_early({1.0: SPIKES.cumsum(axis=0)}, labels, max_loss=0.5)


CALLERS: dict[str, Callable[[Any], Any]] = {
    "sweep": lambda labels: sweep(echo(), SPIKES, labels, [1.0]),
    "bench": lambda labels: Bench(echo(), [SPIKES, SPIKES], labels),
    "parity": lambda labels: parity(None, echo(), None, SPIKES, labels),
    "early": _early,
    "stream": lambda labels: from_spikes(echo(), SPIKES.swapaxes(0, 1).reshape(-1, CLASSES), STEPS).labelled(labels, 3),
}


def with_one(label: Any) -> list[Any]:
    return [*RIGHT[:-1].tolist(), label]


@pytest.mark.parametrize("caller", CALLERS)
def test_what_cannot_be_a_label_is_refused(caller: str) -> None:
    call, each = CALLERS[caller], "window" if caller == "stream" else "sample"
    call(RIGHT)
    call(RIGHT.astype(np.uint8))
    call(RIGHT.tolist())
    for labels, message in (
        (with_one(99), r"labels: found labels 0 to 99, allowed are 0 to 2"),
        (with_one(-2), r"labels: found labels -2 to 2, allowed are 0 to 2"),
        (with_one(1.5), r"labels: found 1\.5, allowed are whole numbers"),
        ([str(label) for label in RIGHT], r"labels: found values of type <U1"),
        (RIGHT[:-1], rf"labels: found 7 for 8 {each}s, allowed is one for each; pass as many"),
        (np.eye(CLASSES)[RIGHT], rf"labels: found shape \(8, 3\), allowed is one class for each {each}"),
        (RIGHT[0], r"labels: found shape \(\)"),
    ):
        with pytest.raises(InputError, match=message):
            call(labels)


def test_unknown_classes_are_allowed_in_a_stream_only() -> None:
    CALLERS["stream"](with_one(-1))
    for caller in set(CALLERS) - {"stream"}:
        with pytest.raises(InputError, match="labels: found labels -1 to 2, allowed are 0 to 2;"):
            CALLERS[caller](with_one(-1))
    with pytest.raises(InputError, match="found labels -2 to 2, allowed are 0 to 2, or -1 for none"):
        CALLERS["stream"](with_one(-2))
    assert as_labels("labels", with_one(-1), 8, 3, unknown=True).tolist() == with_one(-1)


@pytest.mark.parametrize("caller", ["sweep", "bench", "parity"])
def test_spikes_with_the_batch_first_are_found_out(caller: str) -> None:
    """Eight samples of six steps, and labels for six: as if these were six samples of eight steps."""
    message = r"found 6 for 8 samples, .* have 6 time steps.*batch came first.*np\.swapaxes\(spikes, 0, 1\)"
    with pytest.raises(InputError, match=message):
        CALLERS[caller](np.zeros(STEPS, np.int64))


def test_subjects_are_as_many_as_samples() -> None:
    Bench(echo(), [SPIKES], RIGHT, subjects=RIGHT)
    with pytest.raises(InputError, match=r"subjects: found shape \(7,\) for 8 samples, allowed is one for each"):
        Bench(echo(), [SPIKES], RIGHT, subjects=RIGHT[:-1])


def test_spikes_of_a_wrong_shape_are_blamed_before_the_labels() -> None:
    with pytest.raises(InputError, match=r"spikes: found shape \(8, 6, 5\), allowed is \(time, batch, 3\)"):
        sweep(echo(), np.zeros((8, 6, 5), np.uint8), RIGHT, [1.0])


@pytest.mark.parametrize("command", ["sweep", "calibrate", "check", "stream"])
def test_commands_refuse_them_too(aspen: Aspen, tmp_path: Path, command: str) -> None:
    path, labels = tmp_path / "net.aspen", tmp_path / "y.npy"
    echo().save(path)
    np.save(tmp_path / "x.npy", SPIKES)
    np.save(labels, RIGHT)
    given = ["--input", tmp_path / "x.npy", "--labels", labels]
    more = {"calibrate": ["--min-accuracy", "0.5"], "stream": ["--knob", 1]}.get(command, [])
    if command == "stream":
        assert aspen("sweep", path, *given, "--knobs", "1", "--save")[0] == 0
        np.save(tmp_path / "x.npy", SPIKES.swapaxes(0, 1).reshape(-1, CLASSES))
    scales = ["--knobs", "1"] if command in ("sweep", "calibrate") else []
    assert aspen(command, path, *given, *more, *scales)[0] == 0
    np.save(labels, with_one(99))
    code, out, err = aspen(command, path, *given, *more, *scales)
    assert (code, out) == (1, "")
    assert "labels: found labels 0 to 99, allowed are 0 to 2" in err
    assert len(err.splitlines()) == 1
