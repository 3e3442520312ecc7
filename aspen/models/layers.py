"""The spiking layers of a snnTorch model: which there are, how they are named, which are hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import snntorch
import torch
from snntorch._neurons.leakyparallel import LeakyParallel
from torch import nn

from aspen.errors import InputError, ModelError
from aspen.models.added_neurons import check_added, is_theirs
from aspen.models.own_neurons import is_own

STATES = frozenset({"mem", "syn", "spk"})
"""Buffers of neurons that hold their state."""

STEP = "_step"
"""The neuron that does one step of a layer that is given all steps at once, within the module in its place."""
AT_ONCE = (snntorch.StateLeaky, LeakyParallel)
"""Neurons that are given all time steps at once, (time, batch, n), and can be followed step by step."""


def show(name: str) -> str:
    """Return a layer's name for a message; the model itself has the empty name."""
    return name or "(the model itself)"


def spiking_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the spiking layers of a model by qualified name (``"lif1"``, ``"3"``, ``"block.lif"``).

    In order of registration; a module registered under several names appears once, under the first.

    Raises:
        InputError: ``model`` is not a ``torch.nn.Module``.
        ModelError: No spiking layer, or one that does not step through time by its threshold.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: found {type(model).__name__}, allowed: torch.nn.Module; pass a model")
    for name, module in model.named_modules():
        check_added(show(name), module)
    layers = {name: module for name, module in model.named_modules() if is_spiking(module)}
    if not layers:
        raise ModelError(
            f"{type(model).__name__}: found no spiking layer, allowed: a model with snnTorch neurons such as "
            "snntorch.Leaky, or neurons of your own that do as these (forward(input, mem) gives spikes and mem, by "
            "self.threshold); add one, or put it in the place of a neuron class of your own" + _not_known(model)
        )
    for name, module in layers.items():
        _check_steps(name, module)
    return layers


def is_spiking(module: nn.Module) -> bool:
    """Whether a module is a layer of snnTorch's neurons, of whatever kind, or of a class of one's own that does as
    ``Leaky`` does."""
    from_snntorch = any(cls.__module__.startswith("snntorch._neurons") for cls in type(module).__mro__)
    return hasattr(module, "threshold") and (from_snntorch or is_own(module))


def at_once_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Those of a model's spiking layers that are given all time steps at once."""
    return {name: module for name, module in model.named_modules() if type(module) in AT_ONCE}


def forget(layers: Iterable[Any]) -> None:
    """Reset the states of spiking layers that keep one."""
    for layer in layers:
        if hasattr(layer, "reset_mem"):
            layer.reset_mem()


def _check_steps(name: str, module: nn.Module) -> None:
    """Refuse neurons that do not reset, integrate and fire at each step, and thresholds that cannot be shadowed."""
    what = f"{show(name)}: {type(module).__name__}"
    steps = hasattr(module, "state_function") or type(module) in AT_ONCE or is_own(module)
    if not steps:
        raise ModelError(
            f"{what} computes all time steps at once; allowed: neurons that step, such as Leaky, StateLeaky and "
            f"LeakyParallel; use one of these"
        )
    if hasattr(type(module), "threshold"):
        raise ModelError(
            f"{what} has its threshold as an attribute of the class (parametrized?); allowed: a buffer or parameter; "
            "remove the parametrization"
        )


def threshold_name(module: nn.Module) -> str:
    """The attribute of a spiking layer that is its threshold."""
    return "delta_threshold" if isinstance(module, snntorch.DeltaLeaky) else "threshold"


def threshold_of(module: nn.Module) -> torch.Tensor:
    """A spiking layer's threshold."""
    return torch.as_tensor(getattr(module, threshold_name(module)))


def check_positive(name: str, module: nn.Module) -> None:
    """Raise ``ModelError`` unless every threshold of a spiking layer is above 0, as scaling it supposes."""
    lowest = float(threshold_of(module).detach().min())
    if not lowest > 0:
        raise ModelError(f"{show(name)}: found a threshold of {lowest:g}, allowed: above 0; raise it")


def check_weights(model: nn.Module) -> None:
    """Refuse a model with weights that hold nothing or are no numbers.

    Raises:
        ModelError: as above; the message names the weights.
    """
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, values in named.items():
        if nn.parameter.is_lazy(values):
            raise ModelError(f"{name}: found a lazy layer that has not run, allowed are weights; run the model once")
        if values.is_meta:
            raise ModelError(
                f"{name}: found on the device 'meta', which holds no values, allowed is a model with weights; make it "
                f"on the CPU, or call model.to_empty(device='cpu') and fill the weights"
            )
        if values.is_inference():
            raise ModelError(
                f"{name}: found a tensor made in torch.inference_mode(), which cannot be trained; make the model "
                f"outside of it"
            )
        if name.rpartition(".")[2] not in STATES and not bool(torch.isfinite(values).all()):
            raise ModelError(f"{name}: found NaN or infinity, allowed are finite weights; make or load the model anew")


def hidden_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the spiking layers without the output layer, by qualified name.

    The output layer is the last spiking layer in order of registration, if no module with weights is registered after
    it; with a plain read-out such as ``nn.Linear`` after it, every spiking layer is hidden.

    Raises:
        ModelError: No spiking layer but the output, or a model whose output layer cannot be told.
    """
    layers = spiking_layers(model)
    output = _output_layer(model, layers)
    hidden = {name: module for name, module in layers.items() if module is not output}
    if not hidden:
        (name,) = layers
        raise ModelError(
            f"{show(name)}: found the output as the only spiking layer, allowed: at least one hidden one; add one, "
            f"or without aspen.fit pass layers='all', or {{{name!r}: scale}} as threshold scale{_not_known(model)}"
        )
    return hidden


def _not_known(model: nn.Module) -> str:
    """For a message: classes of one's own that have a threshold and do not do as ``Leaky``."""
    found = [
        f"{show(name)}: {type(module).__name__}"
        for name, module in model.named_modules()
        if hasattr(module, "threshold") and not (is_theirs(type(module)) or is_spiking(module))
    ]
    told = f"; {', '.join(found)} has a threshold and does not do as Leaky does: say with aspen.add_neuron as what"
    return told if found else ""


def _output_layer(model: nn.Module, layers: dict[str, nn.Module]) -> nn.Module | None:
    """Return the spiking output layer, or ``None`` where the read-out does not spike."""
    first: dict[nn.Module, int] = {}
    last: dict[nn.Module, int] = {}
    for index, (_, module) in enumerate(model.named_modules(remove_duplicate=False)):
        first.setdefault(module, index)
        last[module] = index
    inside = {part for layer in layers.values() for part in layer.modules()}
    weighted = max(
        (index for module, index in first.items() if module not in inside and _has_weights(module)), default=-1
    )
    found = []
    for order in (first, last):
        candidate = max(layers.values(), key=order.__getitem__)
        found.append(candidate if order[candidate] > weighted else None)
    if found[0] is not found[1]:
        names = ", ".join(map(show, layers))
        raise ModelError(
            "cannot tell the output layer, because a spiking layer is registered under two names; allowed: one name "
            f"for each, or naming the layers to change; name them, from {names}"
        )
    return found[0]


def _has_weights(module: nn.Module) -> bool:
    return bool(module._parameters) or getattr(module, "weight", None) is not None


def resolve_layer(model: nn.Module, layers: dict[str, nn.Module], name: str) -> str:
    """Return the name in ``layers`` of the spiking layer that ``model`` knows as ``name``.

    Raises:
        InputError: There is no such spiking layer.
    """
    if isinstance(name, str) and name in layers:
        return name
    aliases = [module for alias, module in model.named_modules(remove_duplicate=False) if alias == name]
    for known, layer in layers.items():
        if layer in aliases:
            return known
    raise InputError(
        f"layer: found {name!r}, allowed: the spiking layers {', '.join(map(show, layers))}; use one of these names"
    )


def select_layers(model: nn.Module, layers: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the spiking layers that ``"hidden"``, ``"all"`` or a sequence of names stands for.

    Raises:
        InputError: Another string, no name, or an unknown one.
        ModelError: No spiking layer that fits.
    """
    known = spiking_layers(model)
    if layers == "all":
        return tuple(known)
    if layers == "hidden":
        return tuple(hidden_layers(model))
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not layers:
        raise InputError(
            f"layers: found {layers!r}, allowed: 'hidden', 'all' or a sequence of layer names; name one or more of "
            f"{', '.join(map(show, known))}"
        )
    return tuple(dict.fromkeys(resolve_layer(model, known, name) for name in layers))


def population_name(module: str) -> str:
    """The population's name for a module's qualified name; ``layer0`` for module ``0`` of a Sequential."""
    stem = module.removesuffix(f".{STEP}")
    return f"layer{stem}" if stem[:1].isdigit() else stem
