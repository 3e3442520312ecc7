"""Neuron classes of one's own that do what one of snnTorch's does, as their author says; whether it is so is tried.

Classes that do as ``Leaky`` are found out without (:mod:`aspen.models.own_neurons`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen._base.checks import shown
from aspen.errors import InputError, ModelError, one_line
from aspen.models.copying import OF_THE_MODEL, copy_of

_STEPS, _SIZE = 48, 8
Twin = Callable[[Any], snntorch.SpikingNeuron]
_TWINS: dict[type[nn.Module], Twin] = {}
"""Class of one's own -> what makes snnTorch's neuron that does the same, of one of its modules."""


def add_neuron(kind: type[nn.Module], twin: Twin) -> None:
    """Say which of snnTorch's neurons a class of your own does as: it is then perturbed, trained and exported as one.

    ``forward`` takes the input and the states of snnTorch's neuron, in its order, and returns the spikes and these
    states; it compares with ``self.threshold``, which is what the knob moves. A class that does as ``Leaky`` needs no
    such line: that is found out. Whether both spike alike is tried on random numbers when a model is exported.

    >>> import snntorch, torch
    >>> class Cuba(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.threshold, self.spike = 1.0, snntorch.surrogate.atan()
    ...     def forward(self, x, syn, mem):
    ...         fired = self.spike(mem - self.threshold).detach()
    ...         syn = 0.5 * syn + x
    ...         mem = 0.75 * mem + syn - fired * self.threshold
    ...         return self.spike(mem - self.threshold), syn, mem
    >>> add_neuron(Cuba, lambda own: snntorch.Synaptic(alpha=0.5, beta=0.75, threshold=own.threshold))
    >>> type(twin_of("lif1", Cuba())).__name__
    'Synaptic'

    Args:
        kind: the class.
        twin: makes the neuron of snnTorch, with ``init_hidden=False``, of a module of the class.

    Raises:
        InputError: it is no class of modules, or one of torch's or snnTorch's, or the other argument cannot be called.
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)) or is_theirs(kind):
        raise InputError(f"kind: found {shown(kind)}, allowed is a class of torch.nn.Module of your own; pass that")
    if not callable(twin):
        raise InputError(f"twin: found {shown(twin)}, allowed is a function that makes a snnTorch neuron of a module")
    _TWINS[kind] = twin


def is_added(module: nn.Module) -> bool:
    """Whether a module is of a class that was added."""
    return type(module) in _TWINS


def check_added(name: str, module: nn.Module) -> None:
    """Raise ModelError where a module is of a class that was added, and has nothing that the knob could move."""
    if is_added(module) and not hasattr(module, "threshold"):
        raise ModelError(
            f"{name}: {type(module).__name__} was added as a neuron, but has no threshold; give it self.threshold, and "
            f"let forward compare with that"
        )


def is_theirs(kind: type) -> bool:
    """Whether a class is torch's or snnTorch's."""
    return kind.__module__.partition(".")[0] in ("torch", "snntorch")


def states_of(module: nn.Module) -> list[str]:
    """What ``forward`` must be given beside its input."""
    parameters = inspect.signature(type(module).forward).parameters.values()
    return [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD][2:]


def twin_of(name: str, module: nn.Module) -> snntorch.SpikingNeuron | None:
    """snnTorch's neuron that does as a module of a class that was added; None for any other module.

    Raises:
        ModelError: both do not spike alike, or it has no threshold.
    """
    make = _TWINS.get(type(module))
    if make is None:
        return None
    check_added(name, module)
    own: Any = copy_of(module).eval()
    vars(own).pop("forward", None)  # the knob
    try:
        twin = make(own)
    except OF_THE_MODEL as error:
        raise ModelError(_unlike(name, module, f"what makes its twin failed ({one_line(error)})")) from error
    if not isinstance(twin, snntorch.SpikingNeuron) or twin.init_hidden:
        raise ModelError(_unlike(name, module, f"{shown(twin)} is no neuron of snnTorch with init_hidden=False"))
    twin = twin.eval()
    for factor in (1.0, 2.0):
        if not _alike(own, twin, factor):
            message = f"{type(twin).__name__} spikes otherwise on random numbers, or takes and gives other states"
            raise ModelError(_unlike(name, module, message))
    return twin


def _unlike(name: str, module: nn.Module, problem: str) -> str:
    kind = type(module).__name__
    return f"{name}: {kind} was added as a neuron, but {problem}; correct what aspen.add_neuron({kind}, ...) was given"


def _alike(own: Any, twin: Any, factor: float) -> bool:
    """Whether both spike alike from rest, with their thresholds times a factor."""
    parameters = (getattr(twin, name).shape for name in ("threshold", "beta", "alpha") if hasattr(twin, name))
    shape = torch.broadcast_shapes((1,), *parameters)
    highest = factor * float(threshold.max() if isinstance(threshold := own.threshold, Tensor) else threshold)
    size = (_STEPS, _SIZE, *(shape if shape != (1,) else (_SIZE,)))
    given = 2 * highest * torch.randn(size, generator=torch.Generator().manual_seed(0))
    count, made = len(states_of(own)), []
    for neuron in (own, twin):
        before, neuron.threshold = neuron.threshold, _scaled(neuron.threshold, factor)
        made.append(_spikes(neuron, given, count))
        neuron.threshold = before
    return made[0] is not None and made[1] is not None and torch.equal(made[0].to(made[1]), made[1])


def _spikes(neuron: nn.Module, given: Tensor, count: int) -> Tensor | None:
    """The spikes of all steps, or None where it takes other states than so many."""
    states, made = [torch.zeros(given.shape[1:]) for _ in range(count)], []
    try:
        with torch.no_grad():
            for x in given:
                spikes, *states = neuron(x, *states)
                made.append(spikes)
            return torch.stack(made) if len(states) == count else None
    except OF_THE_MODEL:
        return None


def _scaled(old: Any, factor: float) -> Any:
    return nn.Parameter(old.detach() * factor) if isinstance(old, nn.Parameter) else old * factor
