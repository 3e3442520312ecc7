"""snnTorch's neurons as LIF populations: parameters, resets, recurrence; or a refusal by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import snntorch
import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.errors import ModelError
from aspen.models.added_neurons import twin_of
from aspen.models.at_once import Rectified
from aspen.models.delta import Changes
from aspen.models.layers import AT_ONCE, threshold_of
from aspen.models.own_neurons import Adopted, read_own
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.neurons import RECTIFIED, Lif
from aspen.thresholds.guards import has_own_forward

NEURONS = (
    snntorch.Leaky,
    snntorch.Synaptic,
    snntorch.RLeaky,
    snntorch.RSynaptic,
    snntorch.Lapicque,
    Rectified,
    Adopted,
    Changes,
)
_RESET_FUNCTIONS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


_REPLACEMENTS = {
    "Alpha": "use Synaptic, which has two decays too; after a spike Alpha forgets the input of a step, as no LIF does",
    "SLSTM": "use RSynaptic",
    "SConv2dLSTM": "use a Conv2d and Synaptic, or RLeaky with conv2d_channels",
}


@dataclass(frozen=True)
class Mapped:
    """A neuron layer as a population: the neuron, and what its input and its spikes are multiplied with.

    ``scale`` (of the input) and ``factor`` (of the spikes) are scalars or have the population's shape.
    """

    lif: Lif
    scale: Array
    factor: Array


def check_neuron(name: str, layer: Any) -> None:
    """Refuse what a LIF population cannot hold."""
    twin = twin_of(name, layer)
    if twin is not None:
        check_neuron(name, twin)
        return
    if read_own(layer) is not None:
        return
    kind = f"{name}: {type(layer).__name__}"
    if type(layer) not in (*NEURONS, *AT_ONCE, snntorch.DeltaLeaky):
        allowed = ", ".join(neuron.__name__ for neuron in NEURONS if neuron not in (Rectified, Adopted, Changes))
        remedy = _REPLACEMENTS.get(type(layer).__name__, "use one of these")
        raise ModelError(f"{kind} cannot be exported, allowed are {allowed}; {remedy}")
    if has_own_forward(layer):
        raise ModelError(f"{kind} has a forward() of its own, allowed is snnTorch's; remove what was put around it")
    if isinstance(layer, snntorch.DeltaLeaky) and not layer.init_hidden:
        raise ModelError(f"{kind} has init_hidden=False, allowed is True: it takes two states; let it keep them itself")
    if isinstance(layer, AT_ONCE):
        _check_at_once(kind, layer)
    elif layer.inhibition:
        raise ModelError(f"{kind} has inhibition=True, which no LIF population does; train with inhibition=False")
    if getattr(layer, "state_quant", False):
        raise ModelError(f"{kind} has state_quant, allowed is False; train without, compile() does the rounding")
    if isinstance(layer, snntorch.RSynaptic) and not layer.reset_delay:
        raise ModelError(
            f"{kind} has reset_delay=False, which snnTorch 1.0 fails to do; use reset_delay=True, which spikes alike"
        )
    lowest = float(threshold_of(layer).detach().min())
    if not lowest > 0:
        raise ModelError(f"{kind} has a threshold of {lowest:g}, allowed is above 0; train with positive thresholds")
    factor = torch.as_tensor(layer.graded_spikes_factor).detach()
    if not bool(((factor != 0) & factor.isfinite()).all()):
        raise ModelError(f"{kind} has a graded_spikes_factor of 0 or not finite; allowed is any other number")
    _check_spikes(kind, layer)
    if not isinstance(layer, (snntorch.DeltaLeaky, *AT_ONCE)):
        _mechanism(kind, layer)


def _check_at_once(kind: str, layer: Any) -> None:
    """Refuse neurons that are given all steps at once and do what no neuron does that is given them one by one."""
    if isinstance(layer, snntorch.StateLeaky):
        if not layer.output or layer.kernel_truncation_steps is not None:
            raise ModelError(
                f"{kind} has output={layer.output} and kernel_truncation_steps={layer.kernel_truncation_steps}, "
                f"allowed are True and None: membranes that forget as they decay, and spikes; leave these options out"
            )
        return
    weights = layer.rnn.weight_hh_l0.detach()
    if not torch.equal(weights, torch.diag(weights.diagonal())):
        raise ModelError(
            f"{kind} has weights between its membranes, allowed is a decay for each (weight_hh_enable=False); train "
            f"with it, or use RLeaky, whose spikes come back"
        )
    if not bool(((weights >= 0) & (weights <= 1)).all()):
        raise ModelError(
            f"{kind} has decays of {float(weights.diagonal().min()):g} to {float(weights.diagonal().max()):g}, allowed "
            f"is 0 to 1; pass beta, which is drawn at random without"
        )


def _check_spikes(kind: str, layer: Any) -> None:
    """Refuse surrogates whose forward pass is not a step."""
    probe = torch.linspace(-2, 2, 513, dtype=torch.as_tensor(layer.threshold).dtype)
    with torch.no_grad():
        made = layer.spike_grad(probe)
    if not torch.equal(made.to(probe.dtype), (probe > 0).to(probe.dtype)):
        raise ModelError(
            f"{kind} has a spike_grad whose spikes are not 0 and 1 above the threshold; use one such as "
            f"snntorch.surrogate.atan()"
        )


def _mechanism(kind: str, layer: Any) -> str:
    name = getattr(layer.state_function, "__name__", "")
    built = _RESET_FUNCTIONS.get(name)
    if built is None:
        raise ModelError(f"{kind} has a state function of its own ({name}); allowed are snnTorch's; use Leaky")
    if built != layer.reset_mechanism or int(layer.reset_mechanism_val) != snntorch.SpikingNeuron.reset_dict[built]:
        raise ModelError(
            f"{kind} was built with reset_mechanism={built!r} and changed later, which snnTorch obeys only in part; "
            f"build it with the reset that it shall have"
        )
    return built


def reset_of(name: str, layer: Any) -> str:
    """How the LIF population of a layer that :func:`check_neuron` lets pass resets: one of ``RESETS``."""
    own = layer.does if isinstance(layer, Adopted) else read_own(layer)
    if own is not None:
        return own.reset
    if isinstance(layer, (Changes, snntorch.DeltaLeaky)):
        return "none"
    if isinstance(layer, (Rectified, *AT_ONCE)):
        return "none" if isinstance(layer, snntorch.StateLeaky) else RECTIFIED
    mechanism, delayed = _mechanism(name, layer), getattr(layer, "reset_delay", True)
    if mechanism == "subtract":
        return "subtract-delayed" if delayed else "subtract-guarded"
    return "zero-delayed" if mechanism == "zero" and delayed and not isinstance(layer, snntorch.Leaky) else mechanism


def map_neuron(name: str, layer: Any, shape: tuple[int, ...]) -> Mapped:
    """The LIF population of ``shape`` that spikes as the layer does."""
    beta, scale = layer.beta.clamp(0, 1), torch.ones(())
    if isinstance(layer, snntorch.Lapicque):
        beta, scale = _lapicque(name, layer)
    alpha = layer.alpha.clamp(0, 1) if hasattr(layer, "alpha") else torch.zeros((), dtype=layer.threshold.dtype)
    parameters = {"threshold": layer.threshold, "beta": beta, "alpha": alpha}
    arrays = {field: spread(f"{name}.{field}", tensor, shape) for field, tensor in parameters.items()}
    factor = torch.as_tensor(layer.graded_spikes_factor)
    return Mapped(
        Lif(reset=reset_of(name, layer), **arrays),
        spread(f"{name}.R", scale, shape),
        spread(f"{name}.graded_spikes_factor", factor, shape),
    )


def _lapicque(name: str, layer: Any) -> tuple[Tensor, Tensor]:
    """Membrane decay and input scale of ``input * R * (1 / (R * C)) * time_step + (1 - time_step / (R * C)) * mem``.

    Both reciprocals are taken in the layer's own precision, as snnTorch takes them.
    """
    decay = 1 - layer.time_step / (layer.R * layer.C)
    scale = layer.R.double() * (1 / (layer.R * layer.C)).double() * layer.time_step.double()
    if not bool(((decay >= 0) & (decay <= 1)).all()):
        raise ModelError(
            f"{name}: Lapicque has a time_step / (R * C) of {float((1 - decay).max()):g}, allowed is 0 to 1; "
            f"use a smaller time step"
        )
    return decay, scale


def spread(what: str, tensor: Tensor, shape: tuple[int, ...]) -> Array:
    """A parameter as a scalar or with the population's ``shape``, spread over it as torch does."""
    array = numpy(tensor)
    if array.size == 1:
        return array.reshape(())
    try:
        return np.broadcast_to(array, (1, *shape)).reshape(shape)
    except ValueError:
        raise ModelError(
            f"{what}: found shape {array.shape}, allowed is a scalar or {shape}; give one value or one for each neuron"
        ) from None


def recurrence(name: str, population: str, layer: Any, shape: tuple[int, ...], mapped: Mapped) -> list[Connection]:
    """The connection of a recurrent neuron layer onto itself; its bias acts at every step, the first one included."""
    if not isinstance(layer, (snntorch.RLeaky, snntorch.RSynaptic)):
        return []
    inner, factor, n = layer.recurrent, mapped.factor, int(np.prod(shape))
    if isinstance(inner, nn.Linear) and len(shape) == 1:
        return [Dense(population, population, times(numpy(inner.weight), factor), _bias(inner), delay=1)]
    if isinstance(inner, nn.Conv2d) and len(shape) == 3 and factor.ndim == 0:
        return [_recurrent_conv(population, inner, shape, factor)]
    if isinstance(inner, (nn.Linear, nn.Conv2d)) or not hasattr(inner, "V"):
        raise ModelError(
            f"{name}: found the recurrence {type(inner).__name__} on neurons of shape {shape}, allowed is a Linear on "
            f"(n,), a Conv2d on (channels, height, width), or one-to-one; flatten the layer's input"
        )
    diagonal = times(np.broadcast_to(spread(f"{name}.V", inner.V, shape), shape).reshape(-1), factor)
    return [Sparse(population, population, diagonal, np.arange(n), np.arange(n), (n, n), delay=1)]


def _recurrent_conv(population: str, inner: nn.Conv2d, shape: tuple[int, ...], factor: Array) -> Conv:
    padding = tuple(int(size) for size in inner.padding)
    weight = times(numpy(inner.weight), factor)
    return Conv(population, population, weight, shape, _bias(inner), padding=padding, delay=1)


def times(weight: Array, factor: Array) -> Array:
    """``weight * factor`` in float64, the factor spread over the last axis; the very weight where the factor is 1."""
    if bool((factor == 1).all()):
        return weight
    return np.asarray(weight.astype(np.float64) * factor.astype(np.float64).reshape(-1 if factor.ndim else ()))


def _bias(layer: Any) -> Array | None:
    return None if layer.bias is None else numpy(layer.bias)


def numpy(tensor: Tensor) -> Array:
    """The tensor as a NumPy array."""
    return np.asarray(tensor.detach().cpu().numpy())
