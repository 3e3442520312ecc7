"""Which axis of a model's input is time and which the batch: found out, said, and never guessed from sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.fused import fuse
from aspen.models import DenseNet
from aspen.models.forms import InputForm
from aspen.models.probing import find_form
from aspen.network.network import Network, load_network
from aspen_emulator.measuring.parity import parity
from tests.spiking_models import leaky, settle


class Net(nn.Module):
    """Two layers; ``read`` gives the input of each step."""

    def __init__(self, reads: Any) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 5), leaky(), nn.Linear(5, 4), leaky()
        self.reads = reads

    def run(self, steps: Any) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = []
        for step in steps:
            s1, mem1 = self.lif1(self.fc1(step), mem1)
            s2, mem2 = self.lif2(self.fc2(s1), mem2)
            record.append(s2)
        return torch.stack(record)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.reads(x))


class WithArgument(Net):
    def forward(self, x: Tensor, num_steps: int) -> Tensor:  # type: ignore[override]
        return self.run([x] * num_steps)


class WithFlag(Net):
    def forward(self, x: Tensor, batch_first: bool = False) -> Tensor:
        return self.run(x.transpose(0, 1) if batch_first else x)


class Images(nn.Module):
    """An image of one channel, for four steps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1, self.fc, self.lif2 = nn.Conv2d(1, 2, 3), leaky(), nn.Linear(72, 3), leaky()

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        record = []
        for _ in range(4):
            s1, mem1 = self.lif1(self.conv(x), mem1)
            s2, mem2 = self.lif2(self.fc(s1.flatten(1)), mem2)
            record.append(s2)
        return torch.stack(record)


def values(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 8, shape) / 8.0)


def equal(model: nn.Module, network: Network, frames: Tensor) -> bool:
    report = parity(model, network, None, frames.numpy())
    return sum(d.spikes_before for d in report.differences) > 0 and not any(d.different for d in report.differences)


STATIC_5 = InputForm("static", None, 0, steps=5)
FOUND: dict[str, tuple[Any, tuple[int, ...], InputForm]] = {
    "time first": (lambda: Net(lambda x: x), (4, 4, 6), InputForm()),
    "batch first": (lambda: Net(lambda x: x.unbind(1)), (4, 4, 6), InputForm("loop", 1, 0)),
    "time last": (lambda: Net(lambda x: x.unbind(2)), (6, 6, 6), InputForm("loop", 2, 0)),
    "time first, batch last": (lambda: Net(lambda x: x.transpose(1, 2)), (4, 6, 3), InputForm("loop", 0, 2)),
    "four steps, whatever comes": (lambda: Net(lambda x: x[:4]), (4, 4, 6), InputForm(steps=4)),
    "static": (lambda: Net(lambda x: [x] * 5), (5, 6), STATIC_5),
    "static, repeated at once": (lambda: Net(lambda x: x.unsqueeze(0).repeat(5, 1, 1)), (5, 6), STATIC_5),
    "static, repeated second": (lambda: Net(lambda x: x[:, None].expand(-1, 5, -1).unbind(1)), (5, 6), STATIC_5),
    "static images": (Images, (4, 1, 8, 8), InputForm("static", None, 0, steps=4)),
    "one static image": (Images, (1, 1, 8, 8), InputForm("static", None, 0, steps=4)),
}


@pytest.mark.parametrize(("make", "shape", "form"), FOUND.values(), ids=FOUND)
def test_the_form_is_found_kept_and_used(make: Any, shape: tuple[int, ...], form: InputForm, tmp_path: Path) -> None:
    model, sample = settle(make()), values(*shape)
    assert find_form(model, sample) == form
    network = export(model, sample)
    network.save(tmp_path / "a.aspen")
    network = load_network(tmp_path / "a.aspen")
    assert InputForm.from_dict(network.provenance["form"]) == form
    assert network.input.static == form.static
    if form.time_axis is None:
        frames = sample.expand(form.steps or 0, *sample.shape)
    else:
        frames = sample.movedim((form.time_axis, form.batch_axis), (0, 1))
    assert network.input.shape == frames.shape[2:]
    assert equal(model, network, frames)


def test_a_step_model_is_given_steps_or_one_step() -> None:
    model = settle(nn.Sequential(nn.Linear(6, 5), leaky(init_hidden=True), nn.Linear(5, 4), leaky(init_hidden=True)))
    assert find_form(model, values(7, 3, 6)).kind == "step"
    stepped, alone = export(model, values(7, 3, 6)), export(model, values(3, 6))
    assert [c.weight.tolist() for c in stepped.connections] == [c.weight.tolist() for c in alone.connections]


def test_a_sample_that_can_be_read_in_two_ways_is_refused() -> None:
    model = settle(nn.Sequential(nn.Flatten(), nn.Linear(64, 3), leaky(init_hidden=True)))
    images = values(4, 1, 8, 8)
    with pytest.raises(ModelError, match=r"both for one step of 4 samples and for 4 steps of 1.*pass time_axis=0"):
        export(model, images)
    assert export(model, images, time_axis=0).input.shape == (8, 8)
    assert export(model, images, time_axis=None).input.shape == (1, 8, 8)
    static = settle(Net(lambda x: [x] * 4))
    with pytest.raises(ModelError, match=r"takes axis 0 or 1 of the sample .7, 3, 6. for the batch"):
        export(static, values(7, 3, 6))
    assert export(static, values(7, 3, 6), time_axis=0).input.shape == (6,)
    assert export(static, values(7, 3, 6), time_axis=None).input.shape == (3, 6)


def test_arguments_are_asked_for_given_and_kept() -> None:
    model = settle(WithArgument(None))
    with pytest.raises(
        ModelError, match=r"does not take \['num_steps'\] as the states.*arguments=\{'num_steps': ...\}"
    ):
        export(model, values(3, 6))
    with pytest.raises(InputError, match="arguments: found 'steps', allowed are num_steps"):
        export(model, values(3, 6), arguments={"steps": 5})
    network = export(model, values(3, 6), arguments={"num_steps": 5})
    assert equal(model, network, values(3, 6).expand(5, 3, 6))
    with pytest.raises(InputError, match="found other values at other steps"):
        parity(model, network, None, values(5, 3, 6).numpy())


def test_a_flag_that_turns_the_axes_round_is_asked_for() -> None:
    model, sample = settle(WithFlag(None)), values(4, 4, 6)
    with pytest.raises(ModelError, match=r"otherwise with batch_first=True.*pass arguments=\{'batch_first': ...\}"):
        export(model, sample)
    network = export(model, sample, arguments={"batch_first": True})
    assert network.provenance["form"]["time_axis"] == 1
    assert equal(model, network, sample.transpose(0, 1))


def test_an_argument_that_no_file_holds_is_asked_for_again() -> None:
    form = InputForm(arguments={"mask": torch.ones(2), "n": 3})
    made = form.to_dict()
    with pytest.raises(InputError, match=r"found no 'mask', which forward.. was given at export"):
        InputForm.from_dict(made)
    assert InputForm.from_dict(made, {"mask": 1}) == InputForm(arguments={"n": 3, "mask": 1})


@pytest.mark.parametrize("wrong", [("loop", None, 0), ("static", 1, 0), ("loop", 1, 1), ("lop", 0, 1)])
def test_a_form_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"form: found|kind: found"):
        InputForm(*wrong)


def test_what_each_form_is_given() -> None:
    frames = torch.arange(24).reshape(2, 3, 4)
    assert [x.shape for x in InputForm("loop", 2, 0).given(frames)] == [(3, 4, 2)]
    assert [x.shape for x in InputForm("static", None, 0).given(frames)] == [(3, 4)]
    assert [x.shape for x in InputForm("step", None, 1).given(frames)] == [(4, 3), (4, 3)]
    assert "time is axis 2, the batch is axis 0" in str(InputForm("loop", 2, 0))


def test_the_form_of_a_fused_model_is_that_of_the_model() -> None:
    model, sample = DenseNet((6, 4, 2)), torch.ones(5, 3, 6)
    assert find_form(fuse(model, sample), sample) == find_form(model, sample)
    with pytest.raises(InputError, match="model: found 3, allowed is a snnTorch model; pass that"):
        find_form(3, sample)  # type: ignore[arg-type]


class Flagged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = DenseNet((6, 4, 2))

    def forward(self, x: Tensor, num_steps: int = 3) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def test_an_argument_that_forward_does_not_take_is_refused_with_those_that_it_does() -> None:
    sample = torch.ones(5, 3, 6)
    with pytest.raises(InputError, match=r"arguments: found 'n', allowed are none, as DenseNet.forward\(inputs"):
        find_form(DenseNet((6, 4, 2)), sample, arguments={"n": 3})
    for name in ("num_step", "x"):
        with pytest.raises(InputError, match=rf"arguments: found '{name}', allowed are num_steps; "):
            find_form(Flagged(), sample, arguments={name: 3})
