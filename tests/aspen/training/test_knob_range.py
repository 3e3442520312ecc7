"""A training that ended at chance, or whose knob is at chance in part of its range, says so at its end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.calibration.statistics import wilson
from aspen.data import Dataset, Samples
from aspen.errors import InputError, TrainingWarning
from aspen.models.layers import hidden_layers
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen.thresholds.knob import get_threshold_scale
from aspen.thresholds.settings import PerturbationSettings
from aspen.training.fit import evaluate, fit
from aspen.training.knob_range import RANGE_KNOBS, KnobRange, find_knob_range, made_range, settings_of
from aspen.training.measuring import Counted
from aspen.training.recipes import RECIPES, DialTraining, Recipe
from aspen.training.stage import Stage, Task
from tests.aspen.training.test_fit import DATA, QUICK, model
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

THIRDS = np.arange(120) % 3
PLAIN = replace(QUICK, spike_price=0.0, epochs=8)


def found(accuracies: Sequence[float], knob: str = "dial", unanswered: float = 0.0) -> KnobRange:
    counted = [Counted(round(120 * each), round(120 * unanswered), 120, {}) for each in accuracies]
    return made_range(knob, tuple(k / 10 for k in range(len(counted))), counted, THIRDS)


def test_chance_is_the_most_frequent_class_and_the_luck_that_it_may_have() -> None:
    one = found([0.97, 0.5])
    assert one.commonest == 40 / 120
    assert one.chance == wilson(40, 120)[1] == pytest.approx(0.42, abs=0.005)
    assert one.usable == one.settings
    assert one.warning == ""
    assert found([51 / 120]).usable == (0.0,)
    assert found([50 / 120]).usable == ()
    uneven = made_range("", (1.0,), [Counted(90, 0, 100, {})], np.repeat([0, 1], [90, 10]))
    assert uneven.usable == ()  # 90 % right, which is what naming class 0 always gets


def test_a_constant_or_random_answerer_is_at_chance() -> None:
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        labels = rng.choice(3, 200, p=[0.5, 0.3, 0.2])
        right = int((rng.choice(3, 200, p=[0.5, 0.3, 0.2]) == labels).sum())
        constant = int((labels == 0).sum())
        for correct in (right, constant):
            passed += bool(made_range("", (1.0,), [Counted(correct, 0, 200, {})], labels).usable)
    assert passed / 800 < 0.025


def test_the_usable_part_is_named() -> None:
    some = found([0.97, 0.9, 0.8, 0.31, 0.3], unanswered=0.125)
    assert some.usable == (0.0, 0.1, 0.2)
    assert some.warning.startswith(
        "dial: found at best 30.8% of 120 validation samples right, 12.5% without an answer at 0.3 to 0.4, which is "
        "chance (the most frequent class alone gets 33.3%, with luck 42.2%); usable is 0 to 0.2: stay within, or train "
        "with a smaller high_price"
    )
    assert "usable is 0 and 0.2:" in found([0.97, 0.3, 0.8, 0.31]).warning
    assert "narrower perturbation" in found([0.97, 0.3], "threshold scale").warning
    assert "without an answer" not in found([0.97, 0.3]).warning
    nowhere = found([0.34, 0.31]).warning
    assert nowhere.startswith("training: found at best 34.2% of 120 validation samples right, which is chance")


def test_validation_data_of_one_class_say_nothing() -> None:
    alike = made_range("", (1.0,), [Counted(0, 0, 9, {})], np.zeros(9, np.int64))
    assert (alike.usable, alike.warning) == ((1.0,), "")


@pytest.mark.parametrize(
    ("perturbation", "settings"),
    [
        ({"low": 0.4, "high": 2.5}, (0.4, 0.54, 0.74, 1.0, 1.4, 1.8, 2.5)),
        ({}, (0.5, 0.63, 0.79, 1.0, 1.3, 1.6, 2.0)),
        ({"distribution": "uniform", "low": 1.0, "high": 1.0, "per": "neuron"}, (1.0,)),
        ({"distribution": "uniform", "low": -0.5, "high": 1.0, "mode": "additive"}, (0.5, 2.0)),
        ({"distribution": "gaussian", "sigma": 0.25}, (0.5, 1.5)),
        ({"distribution": "gaussian", "sigma": 0.25, "mode": "additive"}, (0.5, 1.5)),
        ({"distribution": "gaussian", "sigma": 9.0}, (0.05, 19.0)),
        ({"distribution": "log-normal", "sigma": np.log(2) / 2}, (0.5, 2.0)),
    ],
)  # fmt: skip
def test_a_knob_is_tried_over_the_range_that_it_was_trained_for(
    perturbation: dict[str, Any], settings: tuple[float, ...]
) -> None:
    tried = settings_of(Recipe("moved", perturbation=PerturbationSettings(**perturbation)))
    assert list(tried) == sorted(set(tried))
    wanted = settings if len(settings) != 2 else (tried[0], tried[-1])
    assert (wanted if len(settings) != 2 else tried) == tried
    assert (tried[0], tried[-1]) == pytest.approx((settings[0], settings[-1]))
    assert settings_of(QUICK) == (1.0,)
    assert settings_of(replace(QUICK, dial=DialTraining())) == RANGE_KNOBS == (0.0, *RANGE_KNOBS[1:-1], 1.0)


def swapped(part: str, seed: int = 0) -> Dataset:
    """The data, with labels drawn anew for a part."""
    given: Samples = getattr(DATA, part)
    drawn = np.random.default_rng(seed).integers(0, 2, len(given))
    return replace(DATA, **{part: replace(given, labels=drawn)})


def test_a_good_training_says_nothing_and_has_the_figures() -> None:
    net = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = fit(net, DATA, PLAIN, seed=3)
    assert fitted.knob_range is not None
    assert (fitted.knob_range.knob, fitted.knob_range.settings) == ("", (1.0,))
    assert fitted.knob_range.accuracy == (evaluate(net, DATA, "validation")[0],)
    assert fitted.knob_range.samples == 80


@pytest.mark.parametrize("recipe", [QUICK, replace(RECIPES["perturbed"], batch_size=16)], ids=["plain", "perturbed"])
def test_a_training_that_ended_at_chance_says_so(recipe: Recipe) -> None:
    """On labels that have nothing to do with the samples."""
    with pytest.warns(
        TrainingWarning, match=r"training: found at best .* which is chance .*train for more epochs"
    ) as seen:
        fitted = fit(model(), swapped("validation"), replace(recipe, epochs=2))
    assert fitted.knob_range is not None
    assert fitted.knob_range.usable == ()
    assert len(seen) == 1
    assert seen[0].filename == __file__


def test_a_dial_that_is_at_chance_in_part_of_its_range_says_so() -> None:
    """At its sparse end the price outweighs the answers."""
    last = replace(QUICK, epochs=6, dial=DialTraining(high_price=30.0))
    with pytest.warns(TrainingWarning, match=r"dial: found at best .* to 1, which is chance.*usable is 0 to ") as seen:
        fitted = fit(model(), DATA, replace(PLAIN, then=(last,)), seed=3)
    assert fitted.knob_range is not None
    assert fitted.knob_range.warning == str(seen[0].message)
    assert 0.0 in fitted.knob_range.usable
    assert 1.0 not in fitted.knob_range.usable
    assert fitted.profile is not None


def test_asking_changes_nothing() -> None:
    net = model()
    sample = torch.from_numpy(DATA.spikes("train")[:, :1]).float()
    stage = Stage(Task(net, net, DATA, sample, 0), replace(QUICK, perturbation=PerturbationSettings()))
    net.train()
    before = {name: values.clone() for name, values in net.state_dict().items()}
    drawn, scales = torch.get_rng_state(), get_threshold_scale(net)
    assert find_knob_range(stage) == find_knob_range(stage)
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert get_threshold_scale(net) == scales
    assert net.training
    assert not any(layer._forward_hooks for layer in hidden_layers(net).values())


def test_silence_is_wrong_while_training_too() -> None:
    net = model()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    firsts = replace(DATA, validation=DATA.validation.select(DATA.validation.labels == 0))
    assert evaluate(net, firsts, "validation") == (0.0, 0.0)


def test_validation_labels_beyond_the_classes_are_refused() -> None:
    for wrong in (2, 99):
        labels = np.where(np.arange(80) == 7, wrong, DATA.validation.labels)
        data = replace(DATA, validation=replace(DATA.validation, labels=labels))
        with pytest.raises(InputError, match=f"validation labels: found labels 0 to {wrong}, allowed are 0 to 1"):
            fit(model(), data, QUICK)
        with pytest.raises(InputError, match=f"validation labels: found labels 0 to {wrong}, allowed are 0 to 1"):
            evaluate(model(), data, "validation")


class _BatchFirst:
    def encode(self, values: np.ndarray, seed: int) -> np.ndarray:  # type: ignore[type-arg]
        return DATA.encoder.encode(values, seed).swapaxes(0, 1)


def test_encoders_that_give_the_batch_first_are_refused() -> None:
    data = replace(DATA, encoder=_BatchFirst())
    with pytest.raises(
        InputError, match=r"halves: found an encoder that gives \(1, 12, 8\) for a batch of 1,.*batch came first"
    ):
        fit(model(), data, QUICK)
    with pytest.raises(InputError, match=r"gives \(80, 12, 8\) for a batch of 80, allowed is \(time, 80, \*shape\)"):
        data.spikes("validation")


def test_the_command_says_so_and_keeps_the_network(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    given = ("train", "--recipe", "perturbed", "--hidden", "4", "--epochs", "1", "--output", path)
    code, out, err = aspen(*given, "--learning-rate", "1e-9")
    assert code == 0
    assert err.splitlines()[-1].startswith("warning: training: found at best ")
    assert "TrainingWarning" not in err
    assert out.splitlines()[-1].startswith("saved: ")
    assert load_network(path).hidden == ["lif1"]
    assert "warning" not in aspen(*given, "--learning-rate", "0.05")[2]


def test_a_model_of_many_outputs_is_not_confused() -> None:
    """Answers of outputs that are no class are wrong, and no error."""
    torch.manual_seed(0)
    fitted = fit(DenseNet((8, 12, 5)), DATA, replace(QUICK, epochs=1))
    assert fitted.knob_range is not None
