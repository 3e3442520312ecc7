"""What the caller of a training says of each epoch: in history, log and checkpoint, and without disturbing it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from aspen.errors import InputError
from aspen.thresholds.knob import get_threshold_scale
from aspen.training.fit import fit
from aspen.training.history import Epoch
from aspen.training.recipes import Recipe
from tests.aspen.training.test_fit import DATA, DIALLED, QUICK, model, weights

SHORT = replace(QUICK, epochs=2, batch_size=80)
DIALLED_SHORT = DIALLED.each(lambda stage: replace(stage, epochs=1, batch_size=80))


def norm_of(net: nn.Module, epoch: int) -> dict[str, float]:
    """Draws random numbers and changes the mode, as a careless caller may."""
    torch.rand(3)
    net.train()
    return {"norm": float(sum(values.norm() for values in net.parameters())), "before": epoch}


def test_columns_are_in_the_history_and_the_log(tmp_path: Path) -> None:
    seen: list[tuple[bool, set[float]]] = []

    def look(net: nn.Module, epoch: int) -> dict[str, float]:
        seen.append((net.training, set(get_threshold_scale(net).values())))
        return norm_of(net, epoch)

    fitted = fit(model(), DATA, SHORT, log=tmp_path, each_epoch=look)
    assert [entry.also["before"] for entry in fitted.history] == [0, 1]
    assert seen == [(False, {1.0})] * 2
    with (tmp_path / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["norm"]) for row in rows] == [entry.also["norm"] for entry in fitted.history]


@pytest.mark.parametrize("recipe", [SHORT, DIALLED_SHORT], ids=["plain", "dial"])
def test_the_training_is_the_same_with_and_without(recipe: Recipe) -> None:
    nets = model(), model()
    fitted = fit(nets[0], DATA, recipe), fit(nets[1], DATA, recipe, each_epoch=norm_of)
    alone, watched = (weights(net, done) for net, done in zip(nets, fitted, strict=True))
    assert all((a == b).all() for a, b in zip(alone, watched, strict=True))


def test_columns_come_back_from_a_checkpoint_and_one_without_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    fit(model(), DATA, replace(SHORT, epochs=1), checkpoint=path, each_epoch=norm_of)
    state = torch.load(path, weights_only=True)
    old = {**state, "history": [{k: v for k, v in entry.items() if k != "also"} for entry in state["history"]]}
    for kept, also in ((state, {"norm", "before"}), (old, set[str]())):
        torch.save(kept, path)
        resumed = fit(model(), DATA, replace(SHORT, epochs=1), checkpoint=path, resume=True)
        assert set(resumed.history[0].also) == also


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (3.0, "each_epoch: found 3.0, allowed are numbers by name"),
        ({"loss": 1.0}, "each_epoch: found the column 'loss', allowed are names beside stage, epoch, loss"),
        ({"accuracy at 1": 1.0}, "found the column 'accuracy at 1'"),
        ({"joules": "many"}, "each_epoch: joules: found 'many'"),
        ({"joules": float("nan")}, "each_epoch: joules: found nan"),
    ],
)
def test_anything_but_numbers_by_name_is_refused(found: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(model(), DATA, SHORT, each_epoch=lambda net, epoch: found)


def test_what_cannot_be_called_is_refused_before_the_training() -> None:
    with pytest.raises(InputError, match="each_epoch: found 'loihi1', allowed is a function"):
        fit(model(), DATA, SHORT, each_epoch="loihi1")  # type: ignore[arg-type]
    assert Epoch(0, 0, 1.0, (1.0,), (0.5,), (3.0,), 0.0).also == {}
