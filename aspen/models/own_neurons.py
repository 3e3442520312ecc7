"""Neuron classes of one's own that do what snnTorch's ``Leaky`` does: recognised by running them on random numbers.

Such a class takes an input and the membrane, and returns spikes and the membrane, as tutorial 5's ``LeakySurrogate``
does. It may spike by the membrane that it is given (*late*: an input acts in the step after) or by the one that it
makes, and reset in any of the usual ways. What fits none of these to the last spike is no such neuron, unless
:func:`aspen.add_neuron` says which of snnTorch's it does as.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen.models.added_neurons import is_added, is_theirs, states_of, twin_of
from aspen.models.copying import OF_THE_MODEL, copy_of

_TRIES, _SIZE = 96, 8
_TOLERANCE = 1e-5


@dataclass(frozen=True)
class OwnNeuron:
    """What a neuron class of one's own does.

    Args:
        beta: membrane decay per step.
        threshold: above which it spikes.
        reset: how, one of :data:`aspen.network.neurons.RESETS`.
        late: whether it spikes by the membrane of the step before.
    """

    beta: float
    threshold: float
    reset: str
    late: bool


Step = Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor]]
"""Of input, membrane, beta and threshold: spikes and membrane."""


def _late(keep: Callable[[Tensor, Tensor, float, float], Tensor]) -> Step:
    def step(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
        fired = (mem > threshold).to(mem)
        return fired, keep(mem, fired, beta, threshold) + x

    return step


def _delayed(keep: Callable[[Tensor, Tensor, float, float], Tensor]) -> Step:
    def step(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
        made = keep(mem, (mem > threshold).to(mem), beta, threshold) + x
        return (made > threshold).to(mem), made

    return step


def _at_once(left: Callable[[Tensor, Tensor, float], Tensor]) -> Step:
    def step(x: Tensor, mem: Tensor, beta: float, threshold: float) -> tuple[Tensor, Tensor]:
        made = beta * mem + x
        fired = (made > threshold).to(mem)
        return fired, left(made, fired, threshold)

    return step


_KEEPS: dict[str, Callable[[Tensor, Tensor, float, float], Tensor]] = {
    "none": lambda mem, fired, beta, threshold: beta * mem,
    "subtract": lambda mem, fired, beta, threshold: beta * (mem - threshold * fired),
    "subtract-delayed": lambda mem, fired, beta, threshold: beta * mem - threshold * fired,
    "zero": lambda mem, fired, beta, threshold: beta * mem * (1 - fired),
}
_STEPS: list[tuple[str, bool, Step]] = [
    *((reset, False, _delayed(keep)) for reset, keep in _KEEPS.items()),
    *((reset, True, _late(keep)) for reset, keep in _KEEPS.items()),
    ("subtract", False, _at_once(lambda made, fired, threshold: made - threshold * fired)),
    ("zero", False, _at_once(lambda made, fired, threshold: made * (1 - fired))),
]


def read_own(module: nn.Module) -> OwnNeuron | None:
    """What a module does as a neuron; None where it is none, is torch's or snnTorch's, or does anything else."""
    if is_theirs(type(module)) or list(module.children()):
        return None
    threshold = _number(getattr(module, "threshold", None))
    if threshold is None or not threshold > 0 or len(states_of(module)) != 1:
        return None
    twin: Any = copy.deepcopy(copy_of(module)).eval()
    vars(twin).pop("forward", None)  # the knob
    made = _run(twin, torch.zeros(1, _SIZE), torch.full((1, _SIZE), -threshold))
    beta = None if made is None else _number(-made[1].flatten()[:1] / threshold)
    if beta is None or not -_TOLERANCE <= beta <= 1 + _TOLERANCE:
        return None
    fitting = [(reset, late) for reset, late, step in _STEPS if _does(twin, step, min(max(beta, 0.0), 1.0), threshold)]
    return OwnNeuron(min(max(beta, 0.0), 1.0), threshold, *fitting[0]) if fitting else None


def _does(twin: Any, step: Step, beta: float, threshold: float) -> bool:
    """Whether the module does such steps, at its threshold and at twice that, also where a membrane just meets it."""
    generator = torch.Generator().manual_seed(0)
    for factor in (1.0, 2.0):
        at = factor * threshold
        x, mem = (2 * at * torch.randn(_TRIES, _SIZE, generator=generator) for _ in range(2))
        x[0], mem[0] = 0.0, at
        x[1], mem[1] = at, 0.0
        before, twin.threshold = twin.threshold, _like(twin.threshold, at)
        made = _run(twin, x, mem)
        twin.threshold = before
        spikes, membrane = step(x, mem, beta, at)
        if made is None or not torch.equal(made[0].to(spikes), spikes):
            return False
        if not torch.allclose(made[1].to(membrane), membrane, _TOLERANCE, _TOLERANCE * at):
            return False
    return True


def _like(old: Any, value: float) -> Any:
    made: Any = torch.full_like(old.detach(), value) if isinstance(old, Tensor) else value
    return nn.Parameter(made) if isinstance(old, nn.Parameter) else made


def _run(twin: nn.Module, x: Tensor, mem: Tensor) -> tuple[Tensor, Tensor] | None:
    """Spikes and membrane, or None where the module does not take these, or gives back anything else."""
    try:
        with torch.no_grad():
            made = twin(x.clone(), mem.clone())
    except OF_THE_MODEL:
        return None
    fits = isinstance(made, tuple) and len(made) == 2 and all(isinstance(value, Tensor) for value in made)
    return made if fits and made[0].shape == made[1].shape == x.shape else None


def _number(value: Any) -> float | None:
    """A value as a number, or None where it is none."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.is_floating_point():
        return float(value.detach())
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def is_own(module: nn.Module) -> bool:
    """Whether a module is of a neuron class of one's own that is known."""
    return is_added(module) or read_own(module) is not None


class Adopted(snntorch.Leaky):
    """A neuron class of one's own in the clothes of snnTorch's, for an export."""

    def __init__(self, own: nn.Module, does: OwnNeuron) -> None:
        super().__init__(does.beta, does.threshold)
        self.own, self.does = own, does

    def forward(self, input_: Tensor, mem: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and membrane, as the class makes them."""
        spikes, self.mem = self.own(input_, mem)
        return spikes, self.mem


def adopted(model: nn.Module) -> tuple[nn.Module, dict[str, OwnNeuron | snntorch.SpikingNeuron]]:
    """A copy of the model with neurons of its own as snnTorch's, and what these do; the model where it has none.

    Raises:
        ModelError: neurons of a class that was added do not do as was said.
    """
    named = {name: module for name, module in model.named_modules() if name and is_own(module)}
    found = {name: does for name, module in named.items() if (does := twin_of(name, module) or read_own(module))}
    if not found:
        return model, {}
    twin = copy_of(model)
    for name, does in found.items():
        parent, _, last = name.rpartition(".")
        own = twin.get_submodule(name)
        vars(own).pop("forward", None)  # the knob
        setattr(twin.get_submodule(parent), last, Adopted(own, does) if isinstance(does, OwnNeuron) else does)
    return twin, found


def told(name: str, kind: str, does: OwnNeuron | snntorch.SpikingNeuron) -> str:
    """What to say of such a neuron."""
    if not isinstance(does, OwnNeuron):
        return (
            f"{name}: {kind} is a neuron class of your own, added as {type(does).__name__}; on random numbers both "
            f"spike alike"
        )
    late = ", by the membrane of the step before" if does.late else ""
    return (
        f"{name}: {kind} is a neuron class of your own; on random numbers it spikes as beta {does.beta:.6g}, threshold "
        f"{does.threshold:.6g} and reset {does.reset!r} do{late}"
    )
