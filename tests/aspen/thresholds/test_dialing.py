"""The learned dial: gradients to every neuron's offset and slope, and the same spikes in the exported network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.fused import fuse
from aspen.models.ready import DenseNet
from aspen.thresholds.learned_dial import LearnedDial, group_slopes, learn_dial
from aspen.thresholds.perturbation import perturb_thresholds
from aspen_emulator import run

SPIKES = (np.random.default_rng(0).random((20, 8, 6)) < 0.4).astype(np.uint8)
INPUT = torch.from_numpy(SPIKES).double()


def dialled(**options: object) -> tuple[DenseNet, LearnedDial]:
    torch.manual_seed(0)
    model = DenseNet((6, 12, 10, 4)).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 4
    dial = learn_dial(model, INPUT, seed=1, **options)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameters in (dial.slopes, dial.offsets):
            for values in parameters.values():
                values += 0.2 * torch.randn(values.shape, dtype=values.dtype)
    return model, dial


def test_the_exported_network_with_the_profile_spikes_as_the_model_with_the_dial() -> None:
    model, dial = dialled()
    model.eval()
    network, profile = export(copy.deepcopy(model), INPUT), dial.profile()
    profile.check(network)
    counts = []
    for knob in (0.0, 0.35, 1.0):
        dial.turn(knob)
        with torch.no_grad():
            expected = model(INPUT).numpy()
        record = run(network, SPIKES, profile.scale(knob))
        np.testing.assert_array_equal(record.output, expected)
        counts.append(int(record.hidden_spikes.sum()))
    assert counts[0] > counts[2] > 0


def test_a_knob_for_each_sample() -> None:
    model, dial = dialled()
    model.eval()
    knobs = torch.linspace(0, 1, 8, dtype=torch.float64)
    dial.turn(knobs)
    with torch.no_grad():
        together = model(INPUT)
        for k in range(8):
            dial.turn(float(knobs[k]))
            torch.testing.assert_close(model(INPUT[:, k : k + 1]), together[:, k : k + 1], rtol=0, atol=0)


def test_offsets_and_slopes_get_gradients_and_fused_gives_the_same() -> None:
    gradients = []
    for fused in (False, True):
        model, dial = dialled(jitter=0.2)
        model.train()
        dial.turn(torch.linspace(0, 1, 8, dtype=torch.float64))
        runner = fuse(model) if fused else model
        runner(INPUT).sum().backward()
        parameters = [*dial.offsets.values(), *dial.slopes.values(), *model.parameters()]
        gradients.append([p.grad.clone() for p in parameters if p.grad is not None])
        assert len(gradients[-1]) == len(parameters)
        assert all(bool(g.any()) for g in gradients[-1])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_jitter_is_drawn_once_per_pass_and_not_in_evaluation() -> None:
    model, _ = dialled(jitter=0.3)
    model.train()
    one, two = model(INPUT), model(INPUT)
    assert not torch.equal(one, two)
    model.eval()
    torch.testing.assert_close(model(INPUT), model(INPUT), rtol=0, atol=0)


def test_removal_leaves_no_trace_and_copies_are_their_own() -> None:
    model, dial = dialled()
    plain = copy.deepcopy(model)
    state = set(model.state_dict())
    twin = copy.deepcopy(model)
    dial.turn(1.0)
    dial.remove()
    dial.remove()
    model.eval(), plain.eval(), twin.eval()
    assert set(model.state_dict()) == state
    assert "forward" not in vars(model)
    with torch.no_grad():
        torch.testing.assert_close(plain(INPUT), twin(INPUT), rtol=0, atol=0)  # their knobs stand at 0
        assert not torch.equal(plain(INPUT), model(INPUT))  # offsets are not 0


def test_what_is_refused() -> None:
    model = DenseNet((6, 12, 4))
    with pytest.raises(InputError, match="jitter: found -1"):
        learn_dial(model, INPUT.float(), jitter=-1.0)
    handle = perturb_thresholds(model)
    with pytest.raises(ModelError, match="lif1: found a perturbation or dial attached already"):
        learn_dial(model, INPUT.float())
    handle.remove()
    dial = learn_dial(model, INPUT.float(), layers="hidden")
    assert dial.layers == ("lif1",)
    with pytest.raises(InputError, match=r"knob: found shape \(2, 2\)"):
        dial.turn(torch.zeros(2, 2))
    dial.turn(torch.zeros(3))
    with pytest.raises(ModelError, match="under 3 knobs"):
        model(INPUT.float())


def test_slopes_in_groups_go_on_from_a_dial_that_was_learned_before() -> None:
    model, dial = dialled()
    before = dial.profile()
    dial.remove()
    grouped = learn_dial(model, INPUT, groups=3, begin=before, jitter=0.0)
    after = grouped.profile()
    for name, slopes in after.slopes.items():
        assert 2 <= len(np.unique(slopes)) <= 3
        assert np.abs(slopes - before.slopes[name]).max() < np.ptp(before.slopes[name]) / 2
        np.testing.assert_array_equal(after.offsets[name], before.offsets[name])
    model.train()
    grouped.turn(0.5)
    model(INPUT).sum().backward()
    assert all(p.grad is not None and len(p.grad) <= 3 for p in grouped.slopes.values())
    grouped.remove()
    with pytest.raises(InputError, match="groups: found 0"):
        learn_dial(model, INPUT, groups=0)
    with pytest.raises(InputError, match=r"begin: found no dial for lif3 of shape \(4,\)"):
        learn_dial(model, INPUT, begin=DialProfile({"lif1": 1.0, "lif2": 1.0}))


@pytest.mark.parametrize("groups", [1, 4, 50])
def test_grouping_takes_the_nearest_value(groups: int) -> None:
    slopes = np.random.default_rng(0).normal(size=(5, 8))
    values, index = group_slopes(slopes, groups)
    assert len(values) <= min(groups, 40)
    np.testing.assert_array_equal(index, np.abs(slopes[..., None] - values).argmin(axis=-1))
    if groups == 50:
        np.testing.assert_allclose(values[index], slopes)
