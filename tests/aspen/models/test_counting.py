"""What a model does in PyTorch, counted by layer, beside plain loops over weights and spikes."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import InputError, ModelError
from aspen.models.counting import count_model
from aspen.network.layered import SynapseCounts

STEPS, SAMPLES = 5, 3


class Layered(nn.Module):
    """One layer, and neurons behind it."""

    def __init__(self, layer: nn.Module, neuron: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.lif = layer, neuron or snntorch.Leaky(beta=0.75, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.lif(self.layer(step)) for step in x])


def spikes(*shape: int, density: float = 0.4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.rand((STEPS, SAMPLES, *shape), generator=generator) < density).float()


def sparse(layer: Any) -> Any:
    """Some weights of zero: synapses that are not there."""
    with torch.no_grad():
        layer.weight.flatten()[::3] = 0
    return layer


def by_hand(layer: Any, given: Tensor) -> int:
    """Synapses reached, one value at a time: how many outputs a value alone can move."""
    mask = type(layer)(**layer.made_with)
    with torch.no_grad():
        mask.weight.copy_((layer.weight != 0).float())
        places = (given != 0).flatten(0, 1).nonzero()
        alone = torch.zeros(len(places), *given.shape[2:])
        alone[(torch.arange(len(places)), *places[:, 1:].T)] = 1
        return int(mask(alone).sum())


def made(kind: Any, **options: Any) -> Any:
    layer = kind(**options, bias=True)
    layer.made_with = {**options, "bias": False}
    return sparse(layer)


LAYERS = {
    "linear": (lambda: made(nn.Linear, in_features=6, out_features=4), (6,)),
    "conv1d": (lambda: made(nn.Conv1d, in_channels=2, out_channels=3, kernel_size=3, stride=2), (2, 7)),
    "conv2d": (
        lambda: made(nn.Conv2d, in_channels=2, out_channels=4, kernel_size=3, padding=1, dilation=2, groups=2),
        (2, 5, 6),
    ),
    "transposed": (
        lambda: made(nn.ConvTranspose2d, in_channels=2, out_channels=3, kernel_size=3, stride=2, padding=1),
        (2, 3, 4),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_operations_are_synapses_that_spikes_reach(name: str) -> None:
    make, shape = LAYERS[name]
    model, given = Layered(make()), spikes(*shape, density=0.2)
    (counted,) = count_model(model, given).layers.synapses
    assert counted.operations == by_hand(model.layer, given) > 0
    assert counted.multiply_accumulates == 0
    assert counted.weights == int((model.layer.weight != 0).sum())
    assert counted.synapses == by_hand(model.layer, torch.ones(1, 1, *shape))


def test_values_are_multiplied_and_accumulated() -> None:
    model, given = Layered(made(nn.Linear, in_features=6, out_features=4)), spikes(6)
    (counted,) = count_model(model, given * 0.5).layers.synapses
    assert (counted.operations, counted.multiply_accumulates) == (0, by_hand(model.layer, given))


class Bare(nn.Module):
    """The same weights in four ways, none of them a layer of torch; only in name are these different models."""

    def __init__(self, weight: Tensor, way: str) -> None:
        super().__init__()
        self.weight, self.way = nn.Parameter(weight.clone()), way
        self.lif = snntorch.Leaky(beta=0.75, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        ways = {
            "functional": lambda step: nn.functional.linear(step, self.weight),
            "product": lambda step: step @ self.weight.T,
            "mm": lambda step: torch.mm(step, self.weight.t()),
            "quantised": lambda step: nn.functional.linear(step, torch.round(self.weight * 64) / 64),
        }
        return torch.stack([self.lif(ways[self.way](step)) for step in x])


@pytest.mark.parametrize("way", ["functional", "product", "mm", "quantised"])
def test_products_are_seen_whoever_makes_them(way: str) -> None:
    layer = made(nn.Linear, in_features=6, out_features=4)
    with torch.no_grad():
        layer.weight.copy_(torch.round(layer.weight * 64) / 64)
    given = spikes(6)
    (counted,) = count_model(Bare(layer.weight.data, way), given).layers.synapses
    assert counted.operations == by_hand(layer, given)
    assert counted.synapses == int((layer.weight != 0).sum())


def test_active_updates_leave_out_what_biases_and_norms_give_alone() -> None:
    layer = nn.Sequential(made(nn.Linear, in_features=6, out_features=4), nn.BatchNorm1d(4)).eval()
    layer[1].running_mean.fill_(0.25)
    given = spikes(6, density=0.1)
    (lif,) = count_model(Layered(layer), given).layers.neurons
    reached = (given @ (layer[0].weight != 0).float().T) != 0
    assert lif.active == int(reached.sum()) < lif.updates


@pytest.mark.parametrize("kind", ["linear", "one to one", "conv"])
def test_spikes_that_come_back_are_counted_when_they_are_sent(kind: str) -> None:
    options: dict[str, Any] = {
        "linear": {"linear_features": 4},
        "one to one": {"all_to_all": False, "V": 0.5},
        "conv": {"conv2d_channels": 2, "kernel_size": 3},
    }[kind]
    shape = (2, 2, 3) if kind == "conv" else (4,)
    lif = snntorch.RLeaky(beta=0.75, threshold=0.5, init_hidden=True, reset_mechanism="zero", **options)
    counts = count_model(Layered(nn.Identity(), lif), spikes(*shape)).layers
    (layer,), (back,) = counts.neurons, counts.synapses
    assert back.name == "lif.recurrent"
    fan_out = {"linear": 4, "one to one": 1, "conv": back.synapses / layer.neurons}[kind]
    if kind == "conv":
        assert layer.spikes < back.operations <= layer.spikes * 2 * 6
    else:
        assert back.operations == layer.spikes * fan_out > 0


class Forgetful(nn.Module):
    """A neuron of one's own, that is no snnTorch neuron."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.25).float()


def test_modules_that_give_out_zeros_and_ones_are_taken_for_neurons() -> None:
    found = count_model(Layered(nn.Linear(6, 4), Forgetful()), spikes(6))
    assert [layer.name for layer in found.layers.neurons] == ["lif"]
    assert found.layers.steps == STEPS
    assert "lif: taken for neurons, as Forgetful gives out zeros and ones" in found.approximate


def test_what_is_not_counted_is_named() -> None:
    layer = nn.Sequential(nn.MaxPool1d(2), nn.Flatten(), nn.LayerNorm(6), nn.Linear(6, 4))
    found = count_model(Layered(layer), spikes(2, 6))
    assert found.approximate == (
        "layer.0: the work of max_pool1d is not counted",
        "layer.2: the work of layer_norm is not counted",
    )


def test_a_read_out_comes_after_the_last_neurons() -> None:
    class Read(Layered):
        def __init__(self) -> None:
            super().__init__(nn.Linear(6, 4))
            self.out = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.out(self.lif(self.layer(step))) for step in x])

    assert [(layer.name, layer.last) for layer in count_model(Read(), spikes(6)).layers.synapses] == [
        ("layer", False),
        ("out", True),
    ]


def test_a_layer_that_is_used_twice_in_a_step_has_its_synapses_twice() -> None:
    class Twice(Layered):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.lif(self.layer(step) + self.layer(1 - step)) for step in x])

    model = Twice(nn.Linear(6, 4))
    (counted,) = count_model(model, spikes(6)).layers.synapses
    assert counted == SynapseCounts("layer", "dense", STEPS * SAMPLES * 24, 0, 48, 24, 12, 8)


def test_the_model_is_left_as_it_is_found() -> None:
    torch.manual_seed(3)
    model = Layered(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))).train()
    model.lif(torch.ones(SAMPLES, 4))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    membrane, state = model.lif.mem.clone(), torch.random.get_rng_state()
    count_model(model, spikes(6))
    assert model.training
    assert torch.equal(model.lif.mem, membrane)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_it_counts_alike_where_torch_is_told_to_keep_no_gradients() -> None:
    layer = made(nn.Conv1d, in_channels=2, out_channels=3, kernel_size=3)
    plain = count_model(Layered(layer), spikes(2, 7))
    with torch.inference_mode():
        assert count_model(Layered(layer), spikes(2, 7)) == plain


def test_attention_is_named_and_parametrised_weights_are_counted() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) + self.layer(self.attention(x, x, x, need_weights=False)[0]) * 0

    found = count_model(Layered(Attending()), spikes(5, 4))
    assert "layer.attention: the work of multi_head_attention_forward is not counted" in found.approximate
    (layer,) = found.layers.synapses
    assert (layer.name, layer.weights) == ("layer.layer", 12)


def test_random_parts_draw_the_same_each_time_and_leave_torch_its_numbers() -> None:
    class Encoding(Layered):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.lif(self.layer(torch.bernoulli(step))) for step in x])

    model, given = Encoding(nn.Linear(6, 4)), spikes(6) * 0.5
    state = torch.random.get_rng_state()
    counts = [count_model(model, given).layers for _ in range(2)]
    assert counts[0] == counts[1]
    assert 0 < counts[0].operations < int((given != 0).sum()) * 4
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ModelError, match="found no layer of neurons that fires"):
        count_model(nn.Sequential(nn.Linear(6, 4)), spikes(6))
    with pytest.raises(ModelError, match=r"forward\(\) failed on the input"):
        count_model(Layered(nn.Linear(5, 4)), spikes(6))
    with pytest.raises(InputError, match="zeros alone"):
        count_model(Layered(nn.Linear(6, 4)), torch.zeros(STEPS, SAMPLES, 6))


def test_what_neurons_compute_within_themselves_is_no_synapse() -> None:
    class AtOnce(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), snntorch.StateLeaky(0.9, 4)

        def forward(self, x: Tensor) -> Any:
            return self.lif(self.fc(x))

    found = count_model(AtOnce(), spikes(6))
    assert [layer.name for layer in found.layers.synapses] == ["fc"]
    assert (found.layers.steps, found.layers.samples) == (STEPS, SAMPLES)
    assert found.layers.updates == STEPS * SAMPLES * 4
