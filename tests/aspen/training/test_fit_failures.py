"""Trainings that fail, or stop early: what is left of them is the last good state, and it can be gone on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from aspen.errors import TrainingError
from aspen.models.ready import DenseNet
from aspen.training.fit import Fitted, fit
from aspen.training.history import Epoch
from aspen.training.recipes import Recipe
from aspen.training.trainer import SILENT_EPOCHS
from tests.aspen.training.test_fit import DATA, DIALLED, QUICK

PATIENT = replace(QUICK, epochs=60, patience=2, then=(replace(QUICK, epochs=2),))
DEADLY = replace(QUICK, spike_price=1e4, epochs=20, warm_up=0.5, learning_rate=3e-2)


def model() -> DenseNet:
    torch.manual_seed(0)
    return DenseNet((8, 12, 10, 2), batch_norm=True)


def train(net: DenseNet, how: Recipe, **options: Any) -> Fitted:
    return fit(net, DATA, how, seed=5, fused=False, batch_norm="over_time", **options)


class Interrupted(Exception):
    """Stands for a kill."""


def stop_after(number: int) -> Callable[[Epoch, int], None]:
    """A report that interrupts the training when so many epochs are done, their checkpoint written."""
    left = iter(range(number))

    def report(*_: object) -> None:
        if next(left) == number - 1:
            raise Interrupted

    return report


def test_a_training_that_is_killed_when_its_patience_ended_does_not_go_on(tmp_path: Path) -> None:
    net = model()
    whole = train(net, PATIENT)
    first = sum(entry.stage == 0 for entry in whole.history)
    assert 2 < first < 60
    with pytest.raises(Interrupted):
        train(model(), PATIENT, checkpoint=tmp_path / "c.pt", progress=stop_after(first))
    again = model()
    resumed = train(again, PATIENT, checkpoint=tmp_path / "c.pt", resume=True)
    assert [asdict(entry) for entry in resumed.history] == [asdict(entry) for entry in whole.history]
    for one, two in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_a_network_that_fell_silent_leaves_the_last_checkpoint_of_one_that_spiked(tmp_path: Path) -> None:
    path, seen = tmp_path / "c.pt", list[Epoch]()
    for resume in (False, True):
        with pytest.raises(TrainingError, match=f"no hidden spike on validation data for {SILENT_EPOCHS} epochs"):
            train(model(), DEADLY, checkpoint=path, resume=resume, progress=lambda entry, _: seen.append(entry))
        kept = torch.load(path, weights_only=True)
        assert any(kept["history"][-1]["spikes"])
    silent = [not any(entry.spikes) for entry in seen]
    speaking = silent.index(True)
    assert kept["epoch"] == speaking > 0
    assert silent == [False] * speaking + [True] * 2 * (SILENT_EPOCHS - 1)  # the second time from the checkpoint


@pytest.mark.parametrize("how", [QUICK, DIALLED.stages[1]], ids=["weights", "dial"])
@pytest.mark.parametrize(("layer", "readout", "what"), [("readout", "linear", "loss"), ("norm2", "spikes", "gradient")])
def test_what_is_no_number_leaves_the_start_of_its_epoch(
    tmp_path: Path, how: Recipe, layer: str, readout: str, what: str
) -> None:
    torch.manual_seed(0)
    net, path = DenseNet((8, 12, 10, 2), batch_norm=True, readout=readout), tmp_path / "c.pt"
    done: list[Epoch] = []

    def spoil(module: object, given: object, made: torch.Tensor) -> torch.Tensor:
        return made * float("nan") if len(done) == 2 else made

    getattr(net, layer).register_forward_hook(spoil)
    with pytest.raises(
        TrainingError, match=f"{what}: found nan in epoch 3 of recipe {how.name!r}, step 1; the weights"
    ):
        train(net, how, checkpoint=path, progress=lambda entry, _: done.append(entry))
    kept = torch.load(path, weights_only=True)
    assert kept["epoch"] == 2
    assert kept["model"].keys() == net.state_dict().keys() >= {"norm2.running_mean"}
    for name, values in net.state_dict().items():
        assert torch.equal(values, kept["model"][name]), name
        assert bool(values.isfinite().all())
