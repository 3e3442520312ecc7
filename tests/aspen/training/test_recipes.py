"""Recipes: values that cannot change, stages in a row, and what is refused when one is made."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch

from aspen.errors import ChipError, InputError
from aspen.thresholds.settings import PerturbationSettings
from aspen.training.averaging import fresh_statistics
from aspen.training.recipes import DEFAULT, FOR_PROGRAMS, RECIPES, DialTraining, Recipe, default_recipe

ONE = Recipe("one", epochs=2)
MOVED = PerturbationSettings("gaussian", sigma=0.3, per=["sample", "neuron"], layers=["lif1"])


def test_stages_follow_one_another_however_they_were_put_together() -> None:
    two, three = replace(ONE, name="two"), replace(ONE, name="three")
    flat = replace(ONE, then=[two, three])
    assert flat.then == (two, three)
    assert flat.stages == (ONE, two, three)
    assert replace(ONE, then=(replace(two, then=(three,)),)) == flat
    assert all(stage.then == () for stage in flat.stages)
    assert ONE.stages == (ONE,)
    assert [stage.epochs for stage in flat.each(lambda stage: replace(stage, epochs=9)).stages] == [9, 9, 9]
    assert [stage.name for stage in RECIPES["aspen"].stages] == ["aspen", "dial", "dial in groups"]
    assert [stage.name for stage in RECIPES["aspen-joules"].stages] == ["aspen-joules", "nested dial"]


def test_a_recipe_cannot_change() -> None:
    given: Any = {"lif1": 2.0}
    made = replace(ONE, prices=given, perturbation=MOVED)
    given["lif1"] = 3.0
    assert made.prices == {"lif1": 2.0}
    for change in (
        lambda: made.prices.update(lif1=3.0),  # type: ignore[attr-defined]
        lambda: setattr(made.perturbation, "sigma", 0.1),
        lambda: MOVED.per.append("layer"),  # type: ignore[union-attr]
    ):
        with pytest.raises((AttributeError, FrozenInstanceError)):
            change()  # type: ignore[no-untyped-call]
    for twin in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert twin == made
        with pytest.raises(TypeError):
            twin.prices["lif1"] = 3.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"then": ONE}, r"one: then: found Recipe\(name='one'.*, allowed are recipes in a tuple; write then="),
        ({"then": ("plain",)}, r"one: then: found \('plain',\), allowed are recipes"),
        ({"then": None}, "one: then: found None"),
        (
            {"perturbation": {"low": 0.4}},
            r"one: perturbation: found {'low': 0.4}, allowed are PerturbationSettings",
        ),
        ({"dial": 3.0}, "one: dial: found 3.0, allowed are DialTraining and None; write dial=DialTraining"),
        ({"prices": [("lif1", 2.0)]}, r"one: prices: found \[\('lif1', 2.0\)\], allowed is a price for each of some"),
    ],
)
def test_parts_of_another_kind_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(ONE, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distribution": "cauchy"}, "distribution: found 'cauchy', allowed are log-uniform"),
        ({"low": 3.0}, "low: found 3, above high=2"),
        ({"sigma": 0.1}, "sigma: found 0.1, but .* takes only low, high"),
        ({"per": ("sample", "time")}, "per: found"),
    ],
)
def test_a_perturbation_is_checked_when_it_is_made(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PerturbationSettings(**settings)


@pytest.mark.parametrize("what", ["jitter", "rate"])
def test_a_dial_that_could_not_be_attached_is_refused_when_it_is_made(what: str) -> None:
    with pytest.raises(InputError, match=f"dial: {what}: found -1.0, allowed is a finite number from 0"):
        DialTraining(**{what: -1.0})


def test_recipes_can_be_read_without_torch() -> None:
    code = "import sys, aspen.training.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=100).returncode == 0


def test_batch_norm_fades_as_before_when_taking_its_statistics_was_interrupted() -> None:
    norm = torch.nn.BatchNorm1d(3, momentum=0.3)

    @fresh_statistics([norm])
    def interrupted() -> None:
        assert norm.momentum is None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert norm.momentum == 0.3


def test_the_recipe_for_those_who_choose_none_is_the_chips() -> None:
    assert {default_recipe(chip) for chip in (None, "loihi1", ["loihi2", "xylo"], ["cortex-m4", "loihi1"])} == {DEFAULT}
    assert {default_recipe(chip) for chip in ("cortex-m4", ("cortex-m0plus", "cortex-m33"))} == {FOR_PROGRAMS}
    with pytest.raises(ChipError, match="cortex"):
        default_recipe("cortex")
    _, second = RECIPES[FOR_PROGRAMS].stages
    assert second.dial is not None
    assert (second.density, second.learning_rate, second.dial.left) == (1, 4e-3, 1 / 16)
