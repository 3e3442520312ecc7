"""Recipes by name make as many steps on few samples as on many; those of one's own are taken as they are."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aspen.models import DenseNet
from aspen.training.few_samples import LEAST_BATCHES, enough_steps, told_of_few
from aspen.training.fit import fit
from aspen.training.recipes import RECIPES, Recipe, recipe
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

SHORT = Recipe("plain", epochs=2, batch_size=64)
X, Y = np.random.default_rng(0).random((30, 4)), np.arange(30) % 2


@given(st.integers(1, 3000), st.sampled_from(sorted(RECIPES)))
def test_no_fewer_steps_than_of_many_samples(samples: int, name: str) -> None:
    before, after = recipe(name), enough_steps(recipe(name), samples)
    for old, new in zip(before.stages, after.stages, strict=True):
        steps = new.epochs * ceil(samples / new.batch_size)
        assert steps >= LEAST_BATCHES * old.epochs
        assert new.epochs == old.epochs or new.batch_size == 8  # samples are repeated only in the smallest batches
        if samples >= LEAST_BATCHES * old.batch_size:
            assert new == old


def test_what_is_changed_is_told() -> None:
    assert told_of_few(SHORT, enough_steps(SHORT, 5000), 5000) == ""
    assert told_of_few(SHORT, enough_steps(SHORT, 400), 400) == "batches of 25 for 400 samples"
    assert told_of_few(SHORT, enough_steps(SHORT, 30), 30) == "batches of 8 and 4 times the epochs for 30 samples"


def test_only_a_named_recipe_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", SHORT)

    def epochs(how: Recipe | str, **options: int) -> int:
        torch.manual_seed(0)
        return len(fit(DenseNet((4, 6, 2)), (X, Y), how, progress=False, **options).history)  # type: ignore[arg-type]

    assert epochs("plain") == 2 * 6  # 18 of the 30 are trained on, in three batches of 8
    assert epochs(SHORT) == 2
    assert epochs("plain", epochs=3) == 3


def test_said_epochs_are_kept_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", SHORT)
    assert enough_steps(SHORT, 30, more_epochs=False) == replace(SHORT, batch_size=8)
    sizes = []

    class Net(DenseNet):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            if torch.is_grad_enabled():
                sizes.append(frames.shape[1])
            return super().forward(frames)

    torch.manual_seed(0)
    fit(Net((4, 6, 2)), (X, Y), "plain", epochs=1, fused=False, progress=False)
    assert sizes[-3:] == [6, 6, 6]  # 18 of the 30; a rehearsal comes before


def test_the_command_says_so(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "plain", SHORT)
    np.savez(tmp_path / "my.npz", X=X, y=Y)
    options = ("--data", tmp_path / "my.npz", "--recipe", "plain", "--hidden", "8", "--output", tmp_path / "a.aspen")
    code, _, err = aspen("train", "--progress", *options)
    assert code == 0
    assert "train plain, seed 0, batches of 8 and 6 times the epochs for 18 samples" in err
    assert "12/12" in err
    shorter = aspen("train", "--progress", *options, "--epochs", "3")[2]
    assert "seed 0, batches of 8 for 18 samples" in shorter
    assert "3/3" in shorter
