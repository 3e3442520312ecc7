"""Export: what cannot be mapped is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn
from torch.nn import functional

from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from tests.aspen.exporting.models import SPIKES, Looping, leaky, sequential


def broken_inhibition() -> nn.Module:
    with pytest.warns(UserWarning, match="Inhibition"):
        return sequential(inhibition=True)


def in_place(spikes: Tensor, past: Tensor) -> Tensor:
    spikes *= 2
    return spikes


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky(init_hidden=True)
        self.fc2, self.fc3 = nn.Linear(5, 3), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        spikes = self.lif1(self.fc1(x))
        return self.fc3(spikes), self.fc2(spikes)


class Scripted(nn.Module):
    """One hidden layer; ``script(self, x)`` is its forward pass."""

    def __init__(self, script: Any, **options: Any) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), snntorch.Leaky(0.9, **options)
        self.fc2, self.lif2 = nn.Linear(5, 3), snntorch.Leaky(0.9, **options)
        self.script = script

    def forward(self, x: Tensor) -> Any:
        return self.script(self, x)


def looks_at_values(model: Any, x: Tensor) -> Any:
    for step in x:
        spikes, _ = model.lif1(model.fc1(step))
        if spikes.sum() > 1:
            model.lif2(model.fc2(spikes))


def resets_now_and_then(model: Any, x: Tensor) -> Any:
    for number, step in enumerate(x):
        if number % 4 == 0:
            model.lif1.reset_mem()
        model.lif2(model.fc2(model.lif1(model.fc1(step))[0]))


def starts_elsewhere(model: Any, x: Tensor) -> Any:
    mem = torch.full((x.shape[1], 5), 0.25)
    for step in x:
        spikes, mem = model.lif1(model.fc1(step), mem)
        model.lif2(model.fc2(spikes))


def swaps_membranes(model: Any, x: Tensor) -> Any:
    mem = model.lif1.reset_mem()
    for step in x:
        spikes, mem = model.lif1(model.fc1(step), mem * 0.5)
        model.lif2(model.fc2(spikes))


def skips_a_call(model: Any, x: Tensor) -> Any:
    for t, step in enumerate(x):
        spikes, _ = model.lif1(model.fc1(step))
        if t:
            model.lif2(model.fc2(spikes))


def adds_noise(model: Any, x: Tensor) -> Any:
    for step in x:
        model.lif2(model.fc2(model.lif1(model.fc1(step) + torch.randn(5))[0]))


def drops_out_in_eval_mode(model: Any, x: Tensor) -> Any:
    for step in x:
        model.lif2(model.fc2(functional.dropout(model.lif1(model.fc1(step))[0])))


def multiplies_spikes(model: Any, x: Tensor) -> Any:
    for step in x:
        spikes, _ = model.lif1(model.fc1(step))
        model.lif2(model.fc2(spikes * torch.sigmoid(model.fc1(step))))


def normalises_by_the_batch(model: Any, x: Tensor) -> Any:
    for step in x:
        current = functional.batch_norm(model.fc1(step), None, None, training=True)
        model.lif2(model.fc2(model.lif1(current)[0]))


def centres_over_the_batch(model: Any, x: Tensor) -> Any:
    for step in x:
        current = model.fc1(step)
        model.lif2(model.fc2(model.lif1(current - current.mean(0, keepdim=True))[0]))


def weighs_by_the_step(model: Any, x: Tensor) -> Any:
    for t, step in enumerate(x):
        model.lif2(model.fc2(model.lif1(model.fc1(step) * (1 + t))[0]))


def reads_all_steps(model: Any, x: Tensor) -> Any:
    for _ in x:
        model.lif2(model.fc2(model.lif1(model.fc1(x))[0]))


def reads_one_sample_at_each_step(model: Any, x: Tensor) -> Any:
    for t in range(x.shape[0]):
        x[t]
        model.lif2(model.fc2(model.lif1(model.fc1(x[:4, t % 4]))[0]))


def has_a_long_delay(model: Any, x: Tensor) -> Any:
    line = [torch.zeros(x.shape[1], 5)] * 20
    for step in x:
        line.append(model.lif1(model.fc1(step))[0])
        model.lif2(model.fc2(line.pop(0)))


def has_two_delays(model: Any, x: Tensor) -> Any:
    past = torch.zeros(x.shape[1], 5)
    for step in x:
        spikes, _ = model.lif1(model.fc1(step))
        model.lif2(model.fc2(spikes + past))
        past = spikes


def fills_a_buffer(model: Any, x: Tensor) -> Any:
    for step in x:
        buffer = torch.zeros(x.shape[1], 5)
        buffer[:, :3] = model.lif1(model.fc1(step))[0][:, :3]
        model.lif2(model.fc2(buffer))


def fails(model: Any, x: Tensor) -> Any:
    for step in x:
        model.lif2(model.lif1(model.fc1(step))[0] @ torch.zeros(4))


def weighs_spikes(model: Any, x: Tensor) -> Any:
    return torch.stack([model.lif2(model.fc2(model.lif1(model.fc1(step))[0]))[0] @ torch.ones(3) for step in x])


def ends_twice(model: Any, x: Tensor) -> Any:
    for step in x:
        model.lif1(model.fc1(step))
        model.lif2(model.fc2(step[:, :5]))


def changed_reset() -> nn.Module:
    model = sequential()
    model[1].reset_mechanism = "zero"
    return model


def late_rsynaptic() -> nn.Module:
    neuron = snntorch.RSynaptic(0.5, 0.5, linear_features=5, init_hidden=True, reset_delay=False)
    return nn.Sequential(nn.Linear(6, 5), neuron)


def single(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.Linear(6, 5), leaky())


def image(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Unflatten(1, (1, 6)), *layers, leaky())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential(nn.ReLU()), r"2 \(ReLU\) cannot be exported, .*remove it"),
        (lambda: image(nn.Conv1d(1, 2, 3), nn.MaxPool1d(2)), r"2 \(MaxPool1d\) cannot be exported, .*use AvgPool"),
        (lambda: image(nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular")), "1 .Conv1d. has padding_mode='circ"),
        (lambda: single(nn.BatchNorm1d(6, track_running_stats=False)), r"0 \(BatchNorm1d\) has track_running_stats"),
        (lambda: single(nn.LayerNorm(6)), r"0 \(LayerNorm\) cannot be exported, .*use BatchNorm"),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), snntorch.Alpha(0.9, 0.8, init_hidden=True)),
            "1: Alpha cannot be exported, allowed are Leaky, Synaptic",
        ),
        (lambda: nn.Sequential(nn.Linear(6, 5), snntorch.SLSTM(5, 5, init_hidden=True)), "SLSTM"),
        (
            lambda: nn.Sequential(nn.Linear(6, 5), snntorch.Lapicque(beta=0.3, init_hidden=True)),
            "1: Lapicque has a time",
        ),
        (late_rsynaptic, "1: RSynaptic has reset_delay=False, which snnTorch 1.0 fails to do"),
        (changed_reset, "1: Leaky was built with reset_mechanism='subtract' and changed later"),
        (broken_inhibition, "1: Leaky has inhibition=True"),
        (lambda: nn.Sequential(nn.Linear(6, 5), leaky(graded_spikes_factor=2.0)), "1: the output layer has a graded"),
        (lambda: sequential(graded_spikes_factor=0.0), "1: Leaky has a graded_spikes_factor of 0"),
        (lambda: sequential(state_quant=lambda x: x), "1: Leaky has state_quant"),
        (lambda: sequential(spike_grad=torch.sigmoid), "1: Leaky has a spike_grad whose spikes are not 0 and 1"),
        (lambda: sequential(threshold=-0.5), "1: Leaky has a threshold of -0.5, allowed is above 0"),
        (lambda: sequential(threshold=torch.ones(4, 1)), r"1.threshold: found shape \(4, 1\), allowed is a scalar or"),
        (lambda: TwoHeads(), r"fc3 \(Linear\) feeds neither a spiking layer nor the last layer"),
        (
            lambda: Scripted(weighs_spikes),
            r"forward\(\): found '(__)?matmul(__)?' after the last layer, allowed is nn.Linear",
        ),
        (lambda: Looping(in_place), "fc2: its input comes from 'a change in place'"),
        (lambda: Looping(lambda s, past: s.half().float()), "fc2: its input comes from 'half'"),
        (lambda: Looping(lambda s, past: torch.relu(s)), "fc2: its input comes from 'relu'"),
        (lambda: Looping(lambda s, past: s.flip(0)), "fc2: its input comes from 'flip'"),
        (lambda: Looping(read=lambda x, t: x[len(x) - 1 - t]), "lif1: at step 0 .* reads input of step 9"),
        (lambda: Scripted(looks_at_values), "found '__bool__' on values that depend on the input"),
        (lambda: Scripted(resets_now_and_then), "lif1: at step 4 it has 'mem' changed between two steps"),
        (lambda: Scripted(starts_elsewhere), "lif1: at step 0 it starts with 'mem' other than zero"),
        (lambda: Scripted(swaps_membranes), "lif1: at step 1 it is given as 'mem' not what it made a step before"),
        (lambda: Scripted(skips_a_call), "lif2: called 9 times for 10 time steps"),
        (lambda: Scripted(adds_noise), "lif1: at step 0 its input is made otherwise"),
        (lambda: Scripted(drops_out_in_eval_mode), "fc2: its input comes from 'dropout'"),
        (lambda: Scripted(multiplies_spikes), "lif2: its input comes from 'sigmoid'"),
        (lambda: Scripted(normalises_by_the_batch), "lif1: its input is no linear function of spikes"),
        (lambda: Scripted(centres_over_the_batch), "lif1: its input is no linear function of spikes, or mixes"),
        (lambda: Scripted(weighs_by_the_step), "lif1: at step 0 its input is made otherwise"),
        (lambda: Scripted(reads_all_steps), "fc1: its input is not the sample's step|batch"),
        (lambda: Scripted(reads_one_sample_at_each_step), "found no axis of the sample .* that is the batch"),
        (lambda: Scripted(has_a_long_delay), "fc2: its input comes from 'a new tensor'.*longest delay"),
        (lambda: Scripted(has_two_delays), "lif1->lif2: found delays of 0 and 1 steps"),
        (lambda: Scripted(fills_a_buffer), "fc2: its input comes from 'a change in place'"),
        (lambda: Scripted(fails), r"Scripted.forward\(\) failed on the sample"),
        (lambda: Scripted(ends_twice), r"output: found \['lif1', 'lif2'\], allowed is one last layer"),
        (
            lambda: nn.Sequential(nn.Linear(7, 5), leaky()),
            r"Sequential.forward\(\) failed on the sample .* and on one step of it",
        ),
        (lambda: nn.Linear(6, 5), "found no spiking layer"),
        (leaky, "Leaky: found a neuron alone"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        export(make(), SPIKES)
    assert "\n" not in str(error.value)


def test_an_absurd_matrix_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen.exporting.folding.MAX_ENTRIES", 20)
    with pytest.raises(ModelError, match="2: its input from input makes a matrix of 5 x 6, allowed are 20 entries"):
        export(nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), leaky()), SPIKES)


@pytest.mark.parametrize(
    ("sample", "error", "message"),
    [
        (
            torch.ones(10),
            InputError,
            r"sample: found \(10,\), allowed is a tensor as forward\(\) takes it, with a batch",
        ),
        (np.ones((10, 4, 6)), InputError, "sample: found ndarray, allowed is a tensor"),
        (torch.ones(1, 4, 6), InputError, r"sample: found 1 time step in \(1, 4, 6\)"),
        (
            torch.ones(10, 6),
            ModelError,
            r"DenseNet.forward\(\): found no axis of the sample \(10, 6\) that is the batch",
        ),
    ],
)
def test_a_sample_of_the_wrong_form_is_refused(sample: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        export(DenseNet((6, 5, 3)), sample)


def test_a_silent_sample_is_refused() -> None:
    """Zeros could be spikes or the values of a current."""
    silent = torch.zeros(10, 4, 6)
    with pytest.raises(InputError, match=r"sample: found zeros alone in \(10, 4, 6\), allowed is input as the model"):
        export(DenseNet((6, 5, 3)), silent)
    silent[3, 2, 1] = 1.0
    assert not export(DenseNet((6, 5, 3)), silent).input.current
    silent[3, 2, 1] = -0.5
    assert export(DenseNet((6, 5, 3)), silent).input.current
