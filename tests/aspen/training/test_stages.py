"""What one step of a training does, term by term; and settings of perturbation and dial that could be ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn
from torch.nn import functional

from aspen.models.spikes import count_spikes
from aspen.thresholds.distributions import make_distribution
from aspen.thresholds.draws import PassDraws
from aspen.thresholds.knob import set_threshold_scale
from aspen.thresholds.learned_dial import learn_dial
from aspen.training.loss import scores_of
from aspen.training.penalties import SpikePenalty
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.stage import Stage, Task
from tests.aspen.training.test_fit import DATA, QUICK, model

DIALLED = replace(QUICK, dial=DialTraining(low_price=0.5, high_price=8.0, jitter=0.0))


def stage(recipe: Recipe) -> Stage:
    net = model()
    return Stage(Task(net, net, DATA, torch.ones(12, 1, 8), 0), recipe)


def test_the_loss_of_a_dialled_step_is_weighed_by_the_price_of_each_sample() -> None:
    made, inputs, part = stage(DIALLED), DATA.spikes("train"), np.arange(12)
    price = made._price(0, len(part), np.random.default_rng(3), slice(None))
    assert float(price.max()) > 5 * float(price.min())
    with torch.no_grad(), count_spikes(made.hidden) as spikes:
        scores = scores_of(made.task.runner(torch.from_numpy(inputs[:, part]).float()))
    entropy = functional.cross_entropy(scores, torch.from_numpy(DATA.train.labels[part]), reduction="none")
    wanted = ((entropy + price * made.penalty(spikes, len(part))) / (1 + price).sqrt()).mean()
    assert made._step(0, len(part), inputs[:, part], part, np.random.default_rng(3)) == pytest.approx(
        float(wanted), rel=1e-5
    )


def test_the_average_begins_where_the_recipe_says() -> None:
    made = stage(replace(QUICK, average=0.9, average_from=0.5))
    for done in range(1, made.total + 1):
        made.average.follow(done)
        assert (made.average.values is not None) == (done >= made.total / 2)
    never = stage(replace(QUICK, average=0.0))
    never.average.follow(never.total)
    assert never.average.values is None


def test_below_the_target_spikes_have_no_price() -> None:
    spikes = {"lif1": [torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])] * 4}  # 0, 50 and 100 per 100
    for target, wanted in ((0.0, [0.0, 50.0, 100.0]), (60.0, [0.0, 0.0, 40.0]), (100.0, [0.0, 0.0, 0.0])):
        made = SpikePenalty(replace(QUICK, target=target))(spikes, 3)
        torch.testing.assert_close(made, torch.tensor(wanted))


def test_a_learned_dials_profile_takes_any_range() -> None:
    dial = learn_dial(model(), torch.ones(2, 1, 8))
    assert (dial.profile().low, dial.profile().high) == (0.0, 1.0)
    profile = dial.profile(0.25, 0.75)
    assert (profile.low, profile.high) == (0.25, 0.75)
    dial.remove()


@pytest.mark.parametrize("keyword", [False, True])
def test_a_membrane_is_reset_under_the_threshold_that_it_was_made_under(keyword: bool) -> None:
    """One neuron serves two streams while its knob turns; a state may be given by position or by name."""
    lif = snntorch.Leaky(beta=1.0, reset_mechanism="zero")
    net = nn.Sequential(nn.Identity(), lif)

    def step(current: float, membrane: Tensor) -> Tensor:
        given = torch.full((1, 1), current)
        made = lif(given, mem=membrane) if keyword else lif(given, membrane)
        return torch.as_tensor(made[1])

    set_threshold_scale(net, {"1": 2.0})
    first = step(1.5, torch.zeros(1, 1))  # below 2
    set_threshold_scale(net, {"1": 1.0})
    step(0.1, torch.zeros(1, 1))  # the other stream, under a threshold of 1
    assert float(step(0.25, first)) == 1.75  # was not above 2, so it is not reset


@pytest.mark.parametrize(("dtype", "wanted"), [(torch.int64, torch.float32), (torch.float64, torch.float64)])
def test_draws_are_floats_also_for_integer_signals(dtype: torch.dtype, wanted: torch.dtype) -> None:
    draws = PassDraws(make_distribution(), frozenset({"sample"}), torch.Generator().manual_seed(0))
    made = draws.get("lif1", torch.Size((50, 3)), torch.zeros(50, 3, dtype=dtype))
    assert made.dtype == wanted
    assert len(made.unique()) == 50
    assert 0.5 <= float(made.min()) < 0.6 < 1.8 < float(made.max()) <= 2
