"""Export: a trained snnTorch model becomes a :class:`aspen.Network`, or is refused by name."""

from __future__ import annotations

import copy
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen._arrays import Array
from aspen._version import __version__
from aspen.connections import Dense
from aspen.errors import InputError, ModelError
from aspen.layers import spiking_layers
from aspen.network import Network, Population
from aspen.neurons import Lif
from aspen.tracing import Call, trace

_IDENTITIES = (nn.Identity, nn.Dropout, nn.Flatten)
_INPUT = "input"


def export(model: nn.Module, sample: Tensor) -> Network:
    """Describe a trained feed-forward model of ``nn.Linear`` and ``snntorch.Leaky`` as a network.

    The model runs once on the sample, in ``eval()`` mode and on a copy, to see what feeds what: a model whose
    ``forward`` loops over time, or one with ``init_hidden=True`` that does one step. Thresholds are exported as
    trained; the run-time knob of the model (:func:`aspen.set_threshold_scale`) is not part of them.

    Args:
        model: the trained model. ``Dropout``, ``Flatten`` and ``Identity`` between layers are fine.
        sample: input spikes (time, batch, *shape), at least 2 steps; any values, but not all zero.

    Returns:
        the network: one population for each ``Leaky``, called like the module, and ``input``.

    Raises:
        ModelError: something in the model cannot be mapped; the message names the module, the reason and a remedy.
        InputError: the sample has too few steps or dimensions.
    """
    if not isinstance(sample, Tensor) or sample.ndim < 3 or sample.shape[0] < 2:
        found = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
        raise InputError(f"sample: found {found}, allowed is a tensor (time, batch, *shape) of 2 steps or more")
    twin = _copy(model).eval()
    spiking = spiking_layers(twin)
    for name, layer in spiking.items():
        _check_neuron(name, layer)
    leaves = _leaves(twin)
    calls = _run(twin, sample, leaves, spiking)
    sources = _sources(calls, leaves, sample)
    return _build(twin, sources, leaves, sample)


def _copy(model: nn.Module) -> nn.Module:
    """A copy of the model; membranes still in an autograd graph, which torch cannot copy, are detached."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in (*module._buffers.values(), *vars(module).values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)


def _check_neuron(name: str, layer: Any) -> None:
    """Refuse what a LIF population cannot hold."""
    kind = f"{name}: {type(layer).__name__}"
    if type(layer) is not snntorch.Leaky:
        raise ModelError(f"{kind} cannot be exported yet, allowed is snntorch.Leaky; use Leaky")
    if layer.inhibition:
        raise ModelError(f"{kind} has inhibition=True, which no LIF population does; train with inhibition=False")
    if layer.state_quant:
        raise ModelError(f"{kind} has state_quant; allowed is False: compile() does the rounding")
    if bool((torch.as_tensor(layer.graded_spikes_factor) != 1).any()):
        raise ModelError(
            f"{kind} has a graded_spikes_factor other than 1; fold the factor into the next layer's weights"
        )


def _leaves(model: nn.Module) -> dict[str, nn.Module]:
    """Modules whose insides are not looked into: those of torch and snnTorch that have no children but parts."""
    leaves: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        inside_leaf = any(name.startswith(f"{leaf}.") for leaf in leaves)
        if not inside_leaf and (isinstance(module, snntorch.SpikingNeuron) or not list(module.children())):
            leaves[name] = module
    return leaves


def _run(model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], spiking: dict[str, nn.Module]) -> list[Call]:
    steps = sample.shape[0]

    def whole() -> None:
        model(sample)

    def stepwise() -> None:
        for t in range(steps):
            model(sample[t])

    one_step = all(layer.init_hidden for layer in spiking.values()) and _calls_per_forward(model, sample, spiking) == 1
    for layer in spiking.values():
        layer.reset_mem()  # type: ignore[operator]
    calls = trace(model, stepwise if one_step else whole, sample, leaves)
    for name in spiking:
        found = sum(call.module == name for call in calls)
        if found != steps:
            raise ModelError(
                f"{name}: called {found} times for {steps} time steps, allowed is once per step; "
                f"let forward() loop over the first dimension, or use init_hidden=True"
            )
    return calls


def _calls_per_forward(model: nn.Module, sample: Tensor, spiking: dict[str, nn.Module]) -> int:
    """How often a spiking layer is called when the model is given a single step."""
    count = 0

    def hook(*_: object) -> None:
        nonlocal count
        count += 1

    handle = next(iter(spiking.values())).register_forward_hook(hook)
    try:
        with torch.no_grad():
            model(sample[0])
    except (RuntimeError, ValueError, IndexError):
        return 0  # this model wants all steps at once
    finally:
        handle.remove()
    return count


def _sources(calls: list[Call], leaves: dict[str, nn.Module], sample: Tensor) -> dict[str, str]:
    """Module -> the module (or the input) that feeds it, the same at every step."""
    sources: dict[str, str] = {}
    for call in calls:
        source = _source(call, sample)
        if sources.setdefault(call.module, source) != source:
            raise ModelError(
                f"{call.module}: fed by {sources[call.module]} and then by {source}, allowed is one source; "
                f"use a module of its own for each"
            )
    return sources


def _source(call: Call, sample: Tensor) -> str:
    origin = call.origin
    if origin.kind == "mixed":
        raise ModelError(
            f"{call.module}: its input comes from {origin.operation!r}, which cannot be exported; "
            f"feed it straight from a layer or from the input"
        )
    if origin.kind == "module":
        if origin.call != call.call:
            raise ModelError(
                f"{call.module}: reads {origin.module} of another time step, which cannot be exported yet; "
                f"use the same step"
            )
        return origin.module
    if not torch.equal(call.value.reshape(-1), sample[call.call].reshape(-1)):
        raise ModelError(
            f"{call.module}: at call {call.call} its input is not the sample's step {call.call}; "
            f"read the input step by step, in order, unchanged"
        )
    return _INPUT


def _build(model: nn.Module, sources: dict[str, str], leaves: dict[str, nn.Module], sample: Tensor) -> Network:
    populations = [Population(_INPUT, tuple(sample.shape[2:]))]
    connections = []
    for name, layer in leaves.items():
        if name not in sources or not isinstance(layer, snntorch.Leaky):
            continue
        linear = _skip_identities(sources[name], sources, leaves)
        weights = leaves.get(linear)
        if not isinstance(weights, nn.Linear):
            raise ModelError(f"{name}: fed by {_title(linear, leaves)}, allowed is nn.Linear; put one before it")
        source = _skip_identities(sources[linear], sources, leaves)
        if source != _INPUT and not isinstance(leaves[source], snntorch.Leaky):
            raise ModelError(f"{linear}: fed by {_title(source, leaves)}, allowed is a Leaky layer or the input")
        size = weights.out_features
        populations.append(Population(population_name(name), (size,), _lif(name, layer, size)))
        bias = None if weights.bias is None else _numpy(weights.bias)
        connections.append(Dense(population_name(source), population_name(name), _numpy(weights.weight), bias))
    _check_all_used(sources, leaves)
    ends = {c.target for c in connections} - {c.source for c in connections}
    if len(ends) != 1:
        raise ModelError(f"output: found {sorted(ends)}, allowed is one last layer; export one read-out at a time")
    provenance = {"made_by": f"aspen {__version__}", "model": type(model).__name__, "snntorch": snntorch.__version__}
    return Network(tuple(populations), tuple(connections), ends.pop(), provenance)


def _skip_identities(name: str, sources: dict[str, str], leaves: dict[str, nn.Module]) -> str:
    while isinstance(leaves.get(name), _IDENTITIES):
        name = sources[name]
    return name


def _check_all_used(sources: dict[str, str], leaves: dict[str, nn.Module]) -> None:
    """Every module that ran must be part of the network."""
    used = set(sources.values())
    for name in sources:
        if isinstance(leaves[name], snntorch.Leaky):
            continue
        if not isinstance(leaves[name], (nn.Linear, *_IDENTITIES)):
            raise ModelError(f"{_title(name, leaves)} cannot be exported yet, allowed are Linear and Leaky; replace it")
        if name not in used and isinstance(leaves[name], nn.Linear):
            raise ModelError(f"{_title(name, leaves)} feeds no Leaky layer; a read-out must end in spikes, add one")


def _title(name: str, leaves: dict[str, nn.Module]) -> str:
    return f"{name} ({type(leaves[name]).__name__})" if name in leaves else f"the {name}"


def population_name(module: str) -> str:
    """The population's name for a module's qualified name; ``layer0`` for module ``0`` of a Sequential."""
    return f"layer{module}" if module[:1].isdigit() else module


def _lif(name: str, layer: Any, size: int) -> Lif:
    parameters = {"threshold": layer.threshold, "beta": layer.beta.clamp(0, 1)}
    arrays = {}
    for field, tensor in parameters.items():
        array = _numpy(tensor)
        arrays[field] = array.reshape(()) if array.size == 1 else array.reshape(-1)
        if arrays[field].shape not in ((), (size,)):
            raise ModelError(f"{name}.{field}: found shape {array.shape}, allowed is a scalar or ({size},)")
    return Lif(reset=_reset(layer), **arrays)


def _reset(layer: Any) -> str:
    """Our name for snnTorch's reset; with reset to zero the delay changes no spike: Leaky zeroes before it decays."""
    if layer.reset_mechanism == "subtract":
        return "subtract-delayed" if layer.reset_delay else "subtract-guarded"
    return str(layer.reset_mechanism)


def _numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy()
