"""The neurons that a dial leaves on longest are those that tell the next layer most."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from aspen._base.arrays import Array
from aspen.fused import fuse
from aspen.models import ConvNet, DenseNet, RecurrentNet
from aspen.models.forms import InputForm
from aspen.training import telling
from aspen.training.fit import fit
from aspen.training.nesting import outgoing_of
from aspen.training.recipes import DialTraining
from aspen.training.stage import Stage, Task
from aspen.training.telling import most_telling, order_of, rates_of
from tests.aspen.training.test_fit import DATA, QUICK


def unexplained(rates: Array, sent: Array, chosen: list[int]) -> float:
    """What a linear fit to some neurons' rates leaves of what all send."""
    some = rates[:, chosen] - rates[:, chosen].mean(axis=0)
    sent = sent - sent.mean(axis=0)
    fit, *_ = np.linalg.lstsq(some, sent, rcond=None)
    return float(np.square(sent - some @ fit).sum())


def crowd() -> tuple[Array, csr_array]:
    """Twenty loud neurons that all say one thing to one target, and three soft ones that tell another each."""
    rng = np.random.default_rng(0)
    loud = np.outer(rng.random(400), np.linspace(0.9, 0.5, 20)) + rng.normal(0, 0.001, (400, 20))
    rates = np.clip(np.concatenate([loud, 0.3 * rng.random((400, 3))], axis=1), 0, 1)
    weights = np.zeros((4, 23))
    weights[0, :20] = 1
    weights[[1, 2, 3], [20, 21, 22]] = 1
    return rates, csr_array(weights)


def test_one_of_those_that_say_the_same_is_enough() -> None:
    chosen = most_telling(*crowd())
    assert chosen[0] == 0
    assert set(chosen[1:4]) == {20, 21, 22}


@pytest.mark.parametrize("seed", range(5))
def test_each_one_is_the_best_beside_those_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (200, 9))  # no ridge matters among neurons that are equally loud and independent
    rates = np.linalg.qr(signs - signs.mean(axis=0))[0]
    weights = rng.choice([-1.0, 1.0], (3, 9)) * rng.permutation(np.arange(1.0, 10.0))
    rates, weights = rates / np.abs(weights).sum(axis=0), csr_array(weights)
    chosen = most_telling(rates, weights)
    sent = rates @ weights.T
    for n in range(8):
        left = [unexplained(rates, sent, [*chosen[:n], other]) for other in range(9)]
        assert left[chosen[n]] == pytest.approx(min(left), rel=1e-6)


def test_what_adds_nothing_is_left_to_its_weights() -> None:
    rates, weights = crowd()
    more = np.concatenate([rates, np.zeros((400, 2)), np.ones((400, 1)), rates[:, 20:]], axis=1)
    wide = csr_array(np.concatenate([weights.toarray(), [[5, 4, 3, 0, 0, 0]] * 4], axis=1))
    chosen = most_telling(more, wide)
    assert set(range(23)) >= set(chosen) > {20, 21, 22}
    assert order_of(wide, more)[len(chosen) :][:3] == [23, 24, 25]
    assert sorted(order_of(wide, more)) == list(range(29))
    assert most_telling(np.zeros((5, 3)), csr_array(np.ones((2, 3)))) == []
    assert order_of(csr_array([[1.0, 3.0, 2.0]]), np.zeros((5, 3))) == [1, 2, 0]
    assert order_of(csr_array((4, 23)), rates) == list(range(23))


def test_of_a_wide_layer_the_first_are_chosen_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = most_telling(*crowd())
    monkeypatch.setattr(telling, "MOST_CHOSEN", 6)
    assert most_telling(*crowd()) == whole[:6]


@pytest.mark.parametrize("training", [True, False])
def test_rates_are_the_models_own(training: bool) -> None:
    torch.manual_seed(0)
    model = DenseNet((8, 16, 12, 2)).train(training)
    sample = torch.from_numpy(DATA.spikes("train")[:, :1]).float()
    loop, fused = (rates_of(model, each, DATA, batch_size=7) for each in (model, fuse(model, sample)))
    assert model.training is training
    assert {name: rates.shape[1:] for name, rates in loop.items()} == {"lif1": (16,), "lif2": (12,)}
    assert loop["lif1"].any()
    assert len(loop["lif1"]) == len(DATA.train) * min(telling.PARTS, len(sample))
    assert all(np.array_equal(loop[name], fused[name]) for name in loop)


def test_when_they_fire_counts_not_only_how_often() -> None:
    steps = [torch.zeros(2, 3) for _ in range(8)]
    for step in range(8):
        steps[step][:, 0] = float(step < 4)
        steps[step][:, 1] = float(step >= 4)
        steps[step][:, 2] = float(step % 2)
    rates = telling._rates(steps, 2)
    assert rates.shape == (16, 3)
    assert np.array_equal(rates[::2], rates[1::2])
    assert most_telling(rates, csr_array(np.eye(3)))[:2] == [0, 2]  # 1 says what 0 says
    assert np.array_equal(telling._rates([torch.cat(steps)], 2), rates)


@pytest.mark.parametrize("staying", ["telling", "weights"])
def test_those_are_on_at_the_end_of_the_dial(staying: str) -> None:
    torch.manual_seed(0)
    model = DenseNet((8, 16, 12, 2))
    fit(model, DATA, QUICK, progress=False)
    sample = torch.from_numpy(DATA.spikes("train")[:, :1]).float()
    stage = Stage(Task(model, model, DATA, sample, 0, InputForm()), QUICK)
    until = stage._on_until(DialTraining(left=0.25, staying=staying))
    assert until is not None
    weights = outgoing_of(model, sample)
    np.testing.assert_array_equal(weights["lif1"].weights.toarray(), model.fc2.weight.detach())
    for name, rates in rates_of(model, model, DATA, batch_size=64).items():
        first = order_of(weights[name].weights, rates if staying == "telling" else None)[: rates.shape[1] // 4]
        assert np.flatnonzero(np.isinf(until[name])).tolist() == sorted(first)
    stage.close()


@pytest.mark.parametrize("kind", ["conv", "recurrent"])
def test_layers_of_any_shape(kind: str) -> None:
    torch.manual_seed(0)
    model = ConvNet((1, 4, 2), (2, 3), (6,), 2) if kind == "conv" else RecurrentNet((8, 16, 2))
    sample = torch.from_numpy(DATA.spikes("train")[:, :2]).float()
    weights, found = outgoing_of(model, sample), rates_of(model, model, DATA, batch_size=64)
    for name, rates in found.items():
        flat = rates.reshape(len(rates), -1)
        assert weights[name].shape == rates.shape[1:]
        assert weights[name].weights.shape[1] == flat.shape[1]
        assert sorted(order_of(weights[name].weights, flat)) == list(range(flat.shape[1]))
