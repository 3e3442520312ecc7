"""A dial that is trained with fewer time steps too: which steps the network gets, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from aspen.dial.path import seen
from aspen.errors import InputError
from aspen.models.ready import DenseNet
from aspen.training.by_name import adapted
from aspen.training.fit import fit
from aspen.training.recipes import DialTraining, Recipe
from tests.aspen.training.test_fit import DATA

STEPS = len(DATA.spikes("train"))
DIAL = DialTraining(high_price=0.3, left=0.5)
QUICK = Recipe("quick", epochs=1, batch_size=16)


def taught(every: tuple[int, ...]) -> tuple[list[Tensor], dict[str, Tensor]]:
    """What a network was given in a training with a dial, and its weights."""
    torch.manual_seed(0)
    net, given = DenseNet((8, 12, 10, 2)), list[Tensor]()

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training:
            given.append(inputs[0].clone())

    handle = net.register_forward_pre_hook(note)
    fit(net, DATA, replace(QUICK, dial=replace(DIAL, every=every)), seed=1, fused=False, progress=False)
    handle.remove()
    return given, net.state_dict()


def test_each_batch_gets_every_so_many_th_step_of_its_samples() -> None:
    whole, weights = taught((1,))
    given, others = taught((1, 3))
    assert {len(batch) for batch in whole} == {STEPS}
    assert {len(batch) for batch in given} == {STEPS, STEPS // 3}
    assert any(not torch.equal(weights[name], others[name]) for name in weights)
    single, _ = taught((3,))
    assert {len(batch) for batch in single} == {STEPS // 3}
    for batch, full in zip(single, whole, strict=True):  # one number is not drawn: the same samples in the same order
        assert torch.equal(batch, torch.from_numpy(seen(full.numpy(), 3)))


def test_what_cannot_be_is_refused_before_the_training() -> None:
    with pytest.raises(InputError, match=f"every={STEPS + 1} for inputs of {STEPS} time steps"):
        taught((1, STEPS + 1))
    with pytest.raises(InputError, match="every: found 0"):
        DialTraining(every=(0,))
    assert DialTraining(every=[2, 1]).every == (2, 1)
    assert DialTraining(every=()).every == (1,)
    with pytest.raises(InputError, match="plain: found settings of a dial"):
        adapted("plain", "spikes", every=(1, 2))
    assert [s.dial.every for s in adapted("aspen", "spikes", every=(1, 2)).stages if s.dial] == [(1, 2)] * 2
