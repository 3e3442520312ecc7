"""The layers between populations that an export understands: all of them are linear, up to a constant."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from aspen.errors import ModelError
from aspen.models.layers import is_spiking

IDENTITIES = (nn.Identity, nn.modules.dropout._DropoutNd)
RESHAPING = (nn.Flatten, nn.Unflatten)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
CONVS = (nn.Conv1d, nn.Conv2d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
_PADS = (nn.ConstantPad1d, nn.ConstantPad2d)  # ZeroPad1d and ZeroPad2d derive from these
LAYERS = (nn.Linear, *CONVS, *TRANSPOSED, *NORMS, *_POOLS, *_PADS, *RESHAPING, *IDENTITIES)
_ALLOWED = "Linear, convolutions, AvgPool, BatchNorm, ConstantPad, Flatten, Unflatten and Dropout"
MAX_REMEDY = "pool behind the neurons, where a maximum of spikes is exact, or use AvgPool"
_REMEDIES = {
    "MaxPool": MAX_REMEDY,
    "ConvTranspose": "use ConvTranspose1d or ConvTranspose2d",
    "ReLU": "remove it: spikes are 0 or 1",
    "LayerNorm": "use BatchNorm, whose statistics are constant after training",
}


def leaf_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Modules whose insides are not looked into: spiking ones, and layers of torch that have no children."""
    leaves: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if any(name.startswith(f"{leaf}.") or leaf == "" for leaf in leaves):
            continue
        own = type(module).__module__.startswith("torch.nn.modules.") and not list(module.children())
        if is_spiking(module) or (own and type(module) not in (nn.Sequential, nn.ModuleList)):
            leaves[name] = module
    return leaves


def check_layer(name: str, layer: nn.Module) -> None:
    """Refuse a layer that is not linear, by name, with a remedy."""
    title = f"{name} ({type(layer).__name__})"
    if not isinstance(layer, LAYERS):
        remedy = next((text for part, text in _REMEDIES.items() if part in type(layer).__name__), "replace it")
        raise ModelError(f"{title} cannot be exported, allowed between neurons are {_ALLOWED}; {remedy}")
    if "forward" in vars(layer):
        raise ModelError(f"{title} has a forward() of its own, allowed is the class's; remove it, or register a hook")
    if isinstance(layer, NORMS) and layer.running_mean is None:
        raise ModelError(
            f"{title} has track_running_stats=False and so depends on the batch; train with track_running_stats=True"
        )
    if isinstance(layer, CONVS) and layer.padding_mode != "zeros":
        raise ModelError(f"{title} has padding_mode={layer.padding_mode!r}, allowed is 'zeros'; train with zeros")


class Doubles:
    """Copies of layers in float64, each made once, with or without what they add to their input's image."""

    def __init__(self) -> None:
        self._copies: dict[tuple[nn.Module, bool], nn.Module] = {}

    def __call__(self, layer: nn.Module, constants: bool) -> nn.Module:
        if (layer, constants) not in self._copies:
            twin = copy.deepcopy(layer).cpu().double().eval()
            self._copies[layer, constants] = twin if constants else _without_constants(twin)
        return self._copies[layer, constants]


def _without_constants(layer: Any) -> Any:
    """The linear part of a layer."""
    if isinstance(layer, (nn.Linear, *CONVS, *TRANSPOSED)):
        layer.register_parameter("bias", None)
    elif isinstance(layer, NORMS) and layer.running_mean is not None:
        layer.running_mean.zero_()
        layer.register_parameter("bias", None)
    elif isinstance(layer, _PADS):
        layer.value = 0.0
    return layer
