"""snnTorch models beside their fused selves: spikes, membranes and gradients of both."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

import aspen
from aspen.models.ready import DenseNet
from aspen.models.surrogates import Triangle

STEPS, BATCH = 9, 4


class Exact(torch.autograd.Function):
    """A step with a bell as derivative, in the precision of the model; snnTorch's own make float32 spikes."""

    @staticmethod
    def forward(ctx: Any, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        return (place > 0).to(place.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (place,) = ctx.saved_tensors
        return grad * torch.exp(-place * place)


def bell() -> Callable[[Tensor], Tensor]:
    return lambda place: Exact.apply(place)


def doubled(place: Tensor, grad: Tensor, spikes: Tensor) -> Tensor:
    """A custom surrogate, as snnTorch takes it: a plateau."""
    return grad * (place.abs() < 0.5) * 2


SURROGATES: dict[str, Callable[[], Any]] = {
    "atan": surrogate.atan,
    "atan-5": lambda: surrogate.atan(alpha=5),
    "fast_sigmoid": lambda: surrogate.fast_sigmoid(slope=10),
    "sigmoid": lambda: surrogate.sigmoid(slope=2),
    "straight_through": surrogate.straight_through_estimator,
    "triangular": lambda: surrogate.triangular(threshold=0.5),
    "heaviside": surrogate.heaviside,
    "spike_rate_escape": lambda: surrogate.spike_rate_escape(beta=1, slope=2),
    "sparse_fast_sigmoid": lambda: surrogate.SFS(slope=2, B=-0.5),
    "custom": lambda: surrogate.custom_surrogate(doubled),
    "bell": bell,
    "triangle": lambda: Triangle(0.4),
}


def make_exact(model: nn.Module) -> nn.Module:
    """Round the weights between neurons, so that products with spikes are exact in whatever order they are summed."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            for parameter in module.parameters():
                parameter.data = (parameter.data * 64).round() / 64
    return model


def leaky(**options: Any) -> snntorch.Leaky:
    return snntorch.Leaky(beta=0.8, threshold=0.5, **options)


def dense() -> DenseNet:
    """A network in which every layer spikes."""
    torch.manual_seed(0)
    model = DenseNet((5, 12, 8, 3))
    for linear in (model.fc1, model.fc2, model.fc3):
        linear.weight.data.abs_()
    make_exact(model)
    return model


class Chain(nn.Module):
    """Linear layers and given neurons in turn, looping over time; returns spikes and membranes of the last layer."""

    def __init__(self, sizes: tuple[int, ...], neurons: list[nn.Module]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(one, two) for one, two in pairwise(sizes))
        self.neurons = nn.ModuleList(neurons)
        make_exact(self)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        for neuron in self.neurons:
            neuron.reset_mem()  # type: ignore[operator]
        states: list[tuple[Tensor, ...]] = [()] * len(self.neurons)
        spikes, membranes = [], []
        for step in inputs:
            for i, (linear, neuron) in enumerate(zip(self.linears, self.neurons, strict=True)):
                given = states[i][-2:] if isinstance(neuron, snntorch.Synaptic) else states[i]
                step, *left = neuron(linear(step), *given)
                recurrent = isinstance(neuron, (snntorch.RLeaky, snntorch.RSynaptic))
                states[i] = (step, *left) if recurrent else tuple(left)
            spikes.append(step)
            membranes.append(states[-1][-1])
        return torch.stack(spikes), torch.stack(membranes)


def busy_input(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32, density: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand((STEPS, BATCH, *shape), generator=generator) < density).to(dtype)


def results(model: nn.Module, inputs: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """What the model returns, and the gradients of its parameters and its input (``"input"``).

    The loss weighs everything that is returned with random numbers, the same each time.
    """
    inputs = inputs.clone().requires_grad_()
    model.zero_grad()
    made = model(inputs)
    values = [made] if isinstance(made, Tensor) else list(made)
    generator = torch.Generator().manual_seed(3)
    loss = torch.zeros((), dtype=torch.float64)
    for value in values:
        factors = torch.rand(value.shape, generator=generator, dtype=torch.float64)
        loss = loss + (value * factors.to(value.dtype)).double().sum()
    loss.backward()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    if inputs.grad is not None:
        grads["input"] = inputs.grad
    return [value.detach() for value in values], grads


def assert_same_on_any_threads(run: Callable[[], Sequence[Tensor]]) -> None:
    """What is computed has the same bits on one, two and three threads."""
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(run())
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


class Loop(nn.Module):
    """Calls a model of one step, which keeps its states, for each step; stacks what it returns."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor) -> Any:
        for module in self.inner.modules():
            if isinstance(module, snntorch.SpikingNeuron):
                module.reset_mem()  # type: ignore[operator]
        made = [self.inner(step) for step in inputs]
        return (
            torch.stack(made)
            if isinstance(made[0], Tensor)
            else [torch.stack(part) for part in zip(*made, strict=True)]
        )


def compare(looped: nn.Module, fused: nn.Module, inputs: Tensor, tolerance: float) -> list[Tensor]:
    """Both return exactly the same, and gradients that differ by at most ``tolerance``.

    Relative to the largest gradient of the same parameter; in float32, where the terms of one parameter may cancel to
    less than their rounding, to the largest of all. Returns what they return.
    """
    returned, expected = results(looped, inputs)
    if isinstance(looped, Loop):
        expected = {name.removeprefix("inner."): grad for name, grad in expected.items()}
    made, found = results(fused, inputs)
    assert len(made) == len(returned)
    for one, other in zip(made, returned, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other), float((one - other).abs().max())
    assert found.keys() == expected.keys()
    precise = inputs.dtype == torch.float64
    largest = max(float(grad.nan_to_num(0, 0, 0).abs().max()) for grad in expected.values())
    for name, grad in expected.items():
        other = found[name]
        if not bool(grad.isfinite().all()):
            continue  # snnTorch's sigmoid overflows far below the threshold
        scale = float(grad.abs().max()) if precise else largest
        difference = float((other - grad).abs().max())
        assert difference <= tolerance * scale, (name, difference / scale if scale else difference)
    return returned


def assert_alike(model: nn.Module, inputs: Tensor, tolerance: float, **options: Any) -> list[Tensor]:
    """The fused model does what the model does, which loops over time itself."""
    return compare(copy.deepcopy(model), aspen.fuse(model, **options), inputs, tolerance)


def assert_steps_alike(model: nn.Module, inputs: Tensor, tolerance: float, **options: Any) -> list[Tensor]:
    """The fused model does what the model does, which does one step, when it is called for each step."""
    return compare(Loop(copy.deepcopy(model)), aspen.fuse(model, **options), inputs, tolerance)
