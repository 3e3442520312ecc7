"""What cannot be trained is refused by name before anything is done, and what can sensibly be taken is taken."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.data import Dataset, Samples
from aspen.errors import AspenError, InputError, ModelError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.thresholds.perturbation import perturb_thresholds
from aspen.thresholds.settings import PerturbationSettings
from aspen.training.checkpoints import differences, settings_of
from aspen.training.fit import fit
from aspen.training.recipes import DialTraining
from aspen.training.stage import Task
from tests.aspen.training.test_fit import DATA, QUICK, model

ONE = replace(QUICK, epochs=1)
ALONE = replace(ONE, dial=DialTraining(frozen=True), spike_price=0.0)


def relabelled(change: Callable[[Any], Any]) -> Dataset:
    parts = (DATA.train, DATA.validation)
    train, validation = (Samples(part.values, change(part.labels)) for part in parts)
    return replace(DATA, train=train, validation=validation)


@pytest.mark.parametrize(
    "data",
    [
        relabelled(lambda labels: labels.tolist()),
        relabelled(lambda labels: labels.astype(np.float32)),
        relabelled(lambda labels: labels.astype(np.int32)),
        relabelled(torch.from_numpy),
        replace(DATA, train=Samples(DATA.train.values.tolist(), DATA.train.labels)),
        replace(DATA, train=Samples(torch.from_numpy(DATA.train.values), DATA.train.labels)),  # type: ignore[arg-type]
    ],
    ids=["lists", "floats", "int32", "tensors", "values in lists", "values in tensors"],
)
def test_labels_and_values_in_other_forms_train_alike(data: Dataset) -> None:
    one, other = model(), model()
    fit(one, DATA, ONE, seed=3)
    fit(other, data, ONE, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


class Answering(nn.Module):
    """A model whose answer ``answer`` changes."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.net, self.answer = model(), answer

    def forward(self, inputs: Tensor) -> Any:
        return self.answer(self.net(inputs))


def frozen() -> nn.Module:
    return model().requires_grad_(False)


def spoilt(name: str, value: float) -> nn.Module:
    net = DenseNet((8, 12, 2), batch_norm=True)
    with torch.no_grad():
        net.state_dict()[name][0] = value
    return net


def made_for_inference() -> nn.Module:
    with torch.inference_mode():
        return model()


class Bare(nn.Module):
    """No weights at all."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


class Inhibited(nn.Module):
    """A convolution whose neurons shall inhibit each other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 3, 3, padding=1), snntorch.Leaky(0.9)
        self.lif1.inhibition = True  # as an argument it warns
        self.fc, self.lif2 = nn.Linear(24, 2), snntorch.Leaky(0.9)

    def forward(self, inputs: Tensor) -> Tensor:
        mem1, mem2, made = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for step in inputs:
            spikes, mem1 = self.lif1(self.conv(step.unflatten(1, (1, 2, 4))), mem1)
            spikes, mem2 = self.lif2(self.fc(spikes.flatten(1)), mem2)
            made.append(spikes)
        return torch.stack(made)


MODELS: dict[str, tuple[Callable[[], Any], type[AspenError], str]] = {
    "no model": (lambda: "model", InputError, "model: found str, allowed is a snnTorch model"),
    "no weights": (Bare, ModelError, "model: found no weights, allowed is a model with layers"),
    "meta": (lambda: model().to("meta"), ModelError, "fc1.weight: found on the device 'meta', which holds no values"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2)), ModelError, "0.weight: found a lazy layer that has not run"),
    "inference": (made_for_inference, ModelError, r"fc1.weight: found a tensor made in torch.inference_mode\(\)"),
    "NaN": (lambda: spoilt("fc1.weight", np.nan), ModelError, "fc1.weight: found NaN or infinity"),
    "infinite statistics": (lambda: spoilt("norm1.running_var", np.inf), ModelError, "norm1.running_var: found NaN or"),
    "inhibition": (
        Inhibited,
        ModelError,
        r"lif1: found inhibition=True on neurons of shape \(3, 2, 4\), allowed is a row of neurons",
    ),
    "frozen": (frozen, ModelError, "model: found no weights that can be trained .requires_grad is False for all."),
    "too few outputs": (lambda: DenseNet((8, 12, 1)), ModelError, "model: found 1 outputs for 2 classes"),
    "wrong width": (
        lambda: DenseNet((9, 12, 2)),
        ModelError,
        r"DenseNet.forward\(\) fails on the encoded data, \(time, batch, \*shape\) = \(12, 3, 8\): mat1 and mat2",
    ),
    "nothing": (lambda: Answering(lambda made: None), ModelError, "model: found an answer NoneType, allowed is"),
    "a dict": (lambda: Answering(lambda made: {"out": made}), ModelError, "model: found an answer dict"),
    "an empty tuple": (lambda: Answering(lambda made: ()), ModelError, "model: found an answer tuple"),
    "one number": (lambda: Answering(lambda made: made.sum()), ModelError, r"model: found an answer \(\), allowed"),
    "batch first": (
        lambda: Answering(lambda made: made.transpose(0, 1)),
        ModelError,
        r"found an answer of shape \(3, 12, 2\) for 3 samples, allowed is \(time, 3, classes\) or \(3, classes\)",
    ),
    "time last": (lambda: Answering(lambda made: made.permute(1, 2, 0)), ModelError, r"of shape \(3, 2, 12\) for 3"),
    "no gradient": (lambda: Answering(lambda made: made.detach()), ModelError, "an answer without a gradient"),
    "integers": (lambda: Answering(lambda made: made.long()), ModelError, r"without a gradient \(torch.int64\)"),
    "infinity": (lambda: Answering(lambda made: made / 0), ModelError, "model: found NaN or infinity in its answer"),
}


@pytest.mark.parametrize(("make", "error", "message"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("fused", [None, False])
def test_models_that_cannot_be_trained_are_refused(
    make: Callable[[], Any], error: type[AspenError], message: str, fused: bool | None
) -> None:
    with pytest.raises(error, match=message):
        fit(make(), DATA, ONE, fused=fused)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (model().to("meta"), "fc1.weight: found on the device 'meta', which holds no values"),
        (spoilt("fc1.weight", np.nan), "fc1.weight: found NaN or infinity, allowed are finite weights"),
    ],
    ids=["meta", "NaN"],
)
def test_such_weights_are_not_exported(net: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        export(net, torch.ones(3, 2, 8))


def test_answers_that_can_be_learned_from_are_taken() -> None:
    for answer in (lambda made: (made, made, made), lambda made: [made], lambda made: made.sum(dim=0)):
        assert fit(Answering(answer), DATA, ONE).loss
    assert fit(DenseNet((8, 12, 5)), DATA, ONE).loss  # more outputs than classes
    part = model()
    part.fc1.requires_grad_(False)
    assert fit(part, DATA, ONE).loss
    assert fit(frozen(), DATA, ALONE).profile is not None


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_training_without_gradients_is_refused(mode: Callable[[], Any]) -> None:
    net = model()
    with mode(), pytest.raises(ModelError, match="fit: found gradients switched off, allowed is a training outside of"):
        fit(net, DATA, ONE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (DATA.train.values, "data: found ndarray, allowed is aspen.data.Dataset, or arrays as .X, y.; make one"),
        ((DATA.train.values,), "data: found tuple without labels, allowed are values with labels, .X, y."),
        (replace(DATA, validation=None), "data: found NoneType as validation samples, allowed are aspen.data.Samples"),
        (replace(DATA, classes=2.5), "data: found classes=2.5, allowed is a whole number"),
        (replace(DATA, classes=True), "data: found classes=True"),
        (replace(DATA, augment=lambda samples, rng: None), "augment: found values of type object"),
        (
            replace(DATA, augment=lambda samples, rng: samples.values[1:]),
            r"augment: found values of shape \(79, 8\) for 80 samples, allowed is one for each",
        ),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(model(), data, ONE)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (replace(ONE, prices={"lif3": 2.0}), "quick: prices: found layer 'lif3', allowed are lif1, lif2"),
        (
            replace(ONE, then=(replace(ONE, perturbation=PerturbationSettings(layers=("lif4",))),)),
            "layer: found 'lif4', allowed: the spiking layers lif1, lif2, lif3",
        ),
    ],
)
def test_recipes_for_something_else_are_refused(recipe: Any, message: str) -> None:
    net = model()
    with pytest.raises(InputError, match=message):
        fit(net, DATA, recipe)
    assert "forward" not in vars(net)


def test_a_perturbed_model_is_refused_before_its_first_stage_and_not_at_its_dial() -> None:
    net = model()
    before = copy.deepcopy(net.state_dict())
    with (
        perturb_thresholds(net),
        pytest.raises(ModelError, match="lif1: found a perturbation or dial attached"),
    ):
        fit(net, DATA, replace(ONE, then=(replace(ONE, dial=DialTraining()),)))
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


def test_a_checkpoint_says_which_stage_differs_in_which_setting() -> None:
    stages = replace(ONE, then=(replace(ONE, dial=DialTraining()),))
    other = replace(ONE, then=(replace(ONE, dial=DialTraining(high_price=3.0), epochs=2),))
    net = model()
    task = Task(net, net, DATA, torch.ones(12, 1, 8), 0)
    kept, now = settings_of(task, stages.stages), settings_of(task, other.stages)
    assert differences(kept, now) == [
        "recipe (stage 2: dial.high_price: found 10.0, now 3.0)",
        "recipe (stage 2: epochs: found 1, now 2)",
    ]
    assert differences({**kept, "input": "b"}, kept) == ["input"]
    moved = settings_of(task, [replace(ONE, perturbation=PerturbationSettings())])
    assert differences(moved, settings_of(task, [ONE])) == ["recipe (perturbation)"]
    assert differences({"recipe": ["a"]}, {"recipe": ["b"]}) == ["recipe (all: found 'a', now 'b')"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spike_price": 1e300}, r"spike_price: found 1e\+300, allowed is a number from 0 to 1e\+38"),
        ({"spike_price": -1.0}, "spike_price: found -1.0"),
        ({"spike_price": float("nan")}, "spike_price: found nan"),
        ({"prices": {"lif1": float("nan")}}, "prices of lif1: found nan"),
    ],
)
def test_prices_beyond_what_a_loss_can_hold_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(ONE, **settings)
    with pytest.raises(InputError, match=r"allowed is 0 < low <= high <= 1e.38; e.g. 0.001 and 10"):
        DialTraining(high_price=1e300)


def test_what_is_refused_leaves_the_model_as_it_was() -> None:
    net = Answering(lambda made: made.transpose(0, 1))
    net.eval()
    before = {name: values.clone() for name, values in net.state_dict().items()}
    with pytest.raises(ModelError):
        fit(net, DATA, ONE)
    assert not net.training
    assert before.keys() == net.state_dict().keys()
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())
