"""Pruning while training: how much, which weights, and that what was pruned stays away through all that follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import nn

from aspen.errors import InputError
from aspen.models.ready import DenseNet, RecurrentNet
from aspen.training.fit import fit
from aspen.training.pruning import Pruner, densities_of, prunable, pruning_progress
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.stage import Stage, Task
from aspen_hardware.compiling.aware import quantization_aware
from tests.aspen.training.test_fit import DATA, QUICK, model

SHARES = {"fc1": 0.25, "fc2": 0.5}
PRUNED = replace(
    QUICK, name="pruned", density=SHARES, then=(replace(QUICK, name="dial", dial=DialTraining(high_price=3.0)),)
)


def left(net: nn.Module) -> dict[str, int]:
    return {name: int(weight.count_nonzero()) for name, weight in prunable(net).items()}


@pytest.mark.parametrize("fused", [True, False])
def test_what_is_pruned_stays_away_through_averaging_and_later_stages(fused: bool) -> None:
    net = model()
    fitted = fit(net, DATA, PRUNED, fused=fused, progress=False)
    assert left(net) == {"fc1": 24, "fc2": 60, "fc3": 20}  # of 96, 120 and 20
    assert fitted.profile is not None
    network = fitted.export().network
    assert network.n_synapses <= 24 + 60 + 20
    assert network.incoming("lif1")[0].kind == "sparse"
    assert network.incoming("lif2")[0].kind == "dense"


def test_the_share_falls_as_the_cube_of_what_is_left_to_do() -> None:
    net = nn.Sequential(nn.Linear(100, 10))
    recipe = Recipe("slow", density={"0": 0.2}, prune_from=0.2, prune_until=0.6)
    pruner, size = Pruner(net, (recipe,)), net[0].weight.numel()
    found = []
    for done in (0.0, 0.2, 0.3, 0.4, 0.6, 1.0):
        pruner.advance(densities_of(recipe, net), pruning_progress(recipe, done))
        found.append(left(net)["0"] / size)
    assert found == pytest.approx([1.0, 1.0, 0.2 + 0.8 * 0.75**3, 0.2 + 0.8 * 0.5**3, 0.2, 0.2], abs=1e-3)
    at_once = replace(recipe, prune_from=0.5, prune_until=0.5)
    assert [pruning_progress(at_once, done) for done in (0.0, 0.49, 0.5, 1.0)] == [0, 0, 1, 1]


def test_the_largest_weights_stay_and_what_is_gone_does_not_come_back() -> None:
    net = nn.Sequential(nn.Linear(4, 1, bias=False))
    net[0].weight.data = torch.tensor([[0.1, -0.4, 0.3, -0.2]])
    pruner = Pruner(net, (Recipe("some", density={"0": 0.5}),))
    pruner.advance({"0": 0.5}, 1.0)
    assert net[0].weight.tolist() == [[0.0, pytest.approx(-0.4), pytest.approx(0.3), 0.0]]
    net[0].weight.data.fill_(1.0)
    net[0].weight.grad = torch.ones(1, 4)
    pruner.hold_gradients()
    pruner.advance({"0": 0.5}, 1.0)
    assert net[0].weight.tolist() == net[0].weight.grad.tolist() == [[0.0, 1.0, 1.0, 0.0]]


def test_weights_that_hardly_move_the_loss_go_first() -> None:
    net = nn.Sequential(nn.Linear(4, 1, bias=False))
    net[0].weight.data = torch.tensor([[0.1, -0.4, 0.3, -0.2]])
    pruner = Pruner(net, (Recipe("some", density={"0": 0.5}),))
    weight = net[0].weight
    pruner.advance({"0": 0.75}, 1.0, {weight: torch.tensor([[9.0, 0.0, 1.0, 1.0]])})  # 0.3, 0, 0.3, 0.2
    assert pruner.masks["0"].tolist() == [[True, False, True, True]]


def test_what_is_gone_stays_away_where_nothing_else_matters_either() -> None:
    net = nn.Sequential(nn.Linear(100, 10, bias=False))
    pruner, nothing = Pruner(net, (Recipe("some", density={"0": 0.5}),)), {net[0].weight: torch.zeros(10, 100)}
    pruner.advance({"0": 0.5}, 1.0)
    before = pruner.masks["0"]
    pruner.advance({"0": 0.4}, 1.0, nothing)
    assert int(pruner.masks["0"].sum()) == 400
    assert not bool((pruner.masks["0"] & ~before).any())


def test_a_stage_prunes_by_weight_and_gradient() -> None:
    torch.manual_seed(0)
    net = model()
    recipe = replace(QUICK, density={"fc1": 0.5}, prune_from=0.0, prune_until=0.0, learning_rate=1e-9)
    made, before = Stage(Task(net, net, DATA, torch.ones(12, 1, 8), 0), recipe), net.fc1.weight.detach().clone()
    made._step(0, 16, DATA.spikes("train")[:, :16], np.arange(16), np.random.default_rng(0))
    matters = (before * made.optimizer.state[net.fc1.weight]["exp_avg_sq"].sqrt()).abs().reshape(-1)
    kept = made.pruner.masks["fc1"].reshape(-1)
    assert float(matters[kept].min()) >= float(matters[~kept].max())
    assert float(before.abs().reshape(-1)[kept].min()) < float(before.abs().reshape(-1)[~kept].max())


def test_what_is_pruned_does_not_count_in_the_gradients_norm() -> None:
    torch.manual_seed(0)
    net = model()
    recipe = replace(QUICK, density={"fc1": 0.1}, prune_from=0.0, prune_until=0.0, clip=1e-3)
    made = Stage(Task(net, net, DATA, torch.ones(12, 1, 8), 0), recipe)
    made.pruner.advance(made.densities, 1.0)
    made._step(0, 16, DATA.spikes("train")[:, :16], np.arange(16), np.random.default_rng(0))
    assert net.fc1.weight.grad is not None
    assert int(net.fc1.weight.grad.count_nonzero()) <= 10
    norm = torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_one_number_leaves_the_last_layer_and_recurrent_weights_alone() -> None:
    net = RecurrentNet((8, 12, 10, 2))
    assert densities_of(Recipe("all", density=0.5), net) == {"fc1": 0.5, "fc2": 0.5}
    named = Recipe("some", density={"lif1.recurrent": 0.5, "fc1": 1.0})
    assert densities_of(named, net) == {"lif1.recurrent": 0.5}
    fit(net, DATA, replace(QUICK, epochs=1, density=named.density), progress=False)
    assert left(net)["lif1.recurrent"] == 72
    assert left(net)["fc1"] == 96


def test_biases_and_batch_norm_are_left_alone() -> None:
    torch.manual_seed(0)
    net = DenseNet((8, 12, 10, 2), bias=True, batch_norm=True)
    fit(net, DATA, replace(QUICK, density=0.1), progress=False)
    assert left(net) == {"fc1": 10, "fc2": 12, "fc3": 20}
    for parameter in (net.norm1.weight, net.norm1.bias, net.norm2.weight):
        assert bool(parameter.all())


def test_pruned_weights_stay_zero_in_quantisation_aware_fine_tuning() -> None:
    net = model()
    with quantization_aware(net):
        fit(net, DATA, replace(QUICK, density=SHARES), progress=False)
    assert left(net)["fc1"] <= 24
    assert left(net)["fc2"] <= 60
    assert left(net)["fc3"] > 10


def test_the_best_weights_are_those_of_an_epoch_that_has_pruned() -> None:
    net = model()
    recipe = replace(QUICK, density=SHARES, patience=20, epochs=4, prune_until=0.75, learning_rate=1e-6)
    fit(net, DATA, recipe, progress=False)
    assert left(net) == {"fc1": 24, "fc2": 60, "fc3": 20}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"density": 0.0}, "density: found 0.0, allowed is a number above 0 to 1"),
    "more than all": ({"density": {"fc1": 1.5}}, "density of fc1: found 1.5, allowed is a number above 0 to 1"),
    "text": ({"density": "much"}, "density: found 'much', allowed is a number"),
    "backwards": ({"prune_from": 0.7}, "pruning from 0.7 until 0.6 of the training, allowed is a beginning before"),
    "frozen": ({"density": 0.5, "dial": DialTraining(frozen=True)}, "a density beside a frozen dial"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_pruned_is_refused(case: str) -> None:
    settings, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        Recipe("refused", **settings)


def test_layers_that_the_model_does_not_have_are_refused() -> None:
    with pytest.raises(InputError, match="density: found layer 'fc9', allowed are fc1, fc2, fc3; did you mean"):
        fit(model(), DATA, replace(QUICK, density={"fc9": 0.5}), progress=False)
    with pytest.raises(InputError, match="name what is to be pruned"):
        densities_of(Recipe("one", density=0.5), nn.Sequential(nn.Linear(2, 2), snntorch.Leaky(beta=0.9)))
