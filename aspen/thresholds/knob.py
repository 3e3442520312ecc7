"""The knob in PyTorch: one factor on the thresholds of spiking layers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from aspen.dial.scale import check_scale
from aspen.errors import InputError
from aspen.models.layers import check_positive, hidden_layers, resolve_layer, show, spiking_layers
from aspen.thresholds.guards import find_guard
from aspen.thresholds.neuron_control import NeuronControl, control_of


def set_threshold_scale(model: nn.Module, scale: float | Mapping[str, float]) -> None:
    """Turn the knob: multiply the thresholds of spiking layers by ``scale``, in training and evaluation alike.

    May be called between the steps of a running sequence: each spike is reset with the threshold under which it was
    fired. Works together with ``perturb_thresholds``, in any order (the factors multiply). A layer back at 1 without a
    perturbation is a plain snnTorch neuron again; one that has stepped at another scale finishes its reset first, so
    there the guard goes with the next two steps.

    >>> from aspen.models import DenseNet
    >>> model = DenseNet((64, 32, 10))
    >>> set_threshold_scale(model, 1.5)
    >>> get_threshold_scale(model)  # the last layer is left alone
    {'lif1': 1.5, 'lif2': 1.0}

    Args:
        model: A model with snnTorch neurons; its parameters and ``state_dict`` are not touched.
        scale: A factor > 0 for all hidden layers (the output layer is left alone), or a mapping from layer name, as in
            ``get_threshold_scale``, to factor; layers not named keep what they have.

    Raises:
        InputError: A factor that is not above 0 and finite, or an unknown layer name.
        ModelError: No spiking layer, or one that cannot be dialled.
    """
    layers = spiking_layers(model)
    if isinstance(scale, Mapping):
        wanted = {resolve_layer(model, layers, name): _check_factor(name, value) for name, value in scale.items()}
    else:
        wanted = dict.fromkeys(hidden_layers(model), _check_factor("hidden layers", scale))
    fresh = {name for name in wanted if find_guard(layers[name], NeuronControl) is None}
    changes = {name: factor for name, factor in wanted.items() if factor != 1.0 or name not in fresh}
    for name in fresh & changes.keys():
        check_positive(name, layers[name])
    for name, factor in changes.items():
        control_of(layers[name], name).turn(factor)


def get_threshold_scale(model: nn.Module) -> dict[str, float]:
    """Return the knob's factor of every spiking layer of ``model``, by qualified name; 1.0 where it was never turned.

    >>> from aspen.models import DenseNet
    >>> get_threshold_scale(DenseNet((64, 32, 10)))
    {'lif1': 1.0, 'lif2': 1.0}

    Raises:
        ModelError: No spiking layer, or one that cannot be dialled.
    """
    controls = {name: find_guard(module, NeuronControl) for name, module in spiking_layers(model).items()}
    return {name: 1.0 if control is None else control.scale for name, control in controls.items()}


def _check_factor(name: str, value: object) -> float:
    factor = check_scale(f"threshold_scale of {show(name)}", value)
    if isinstance(value, (bool, str)) or factor.ndim:
        raise InputError(
            f"threshold_scale of {show(name)}: found {value!r}, allowed is one number above 0; give a float such as 1.5"
        )
    return float(factor)
