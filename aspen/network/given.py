"""What was given instead of a network, and what its giver should do; torch is not imported for it."""

from __future__ import annotations

from pathlib import Path

from aspen.errors import InputError
from aspen.network.network import Network


def as_network(value: object, what: str = "network") -> Network:
    """``value``, if it is a network.

    Raises:
        InputError: it is something else, such as a PyTorch model; the message says how to make a network of it.
    """
    if isinstance(value, Network):
        return value
    raise InputError(f"{what}: found {type(value).__name__}, allowed is aspen.Network; {_remedy(value)}")


def is_torch_model(value: object) -> bool:
    """Whether ``value`` is a ``torch.nn.Module``."""
    return any(f"{kind.__module__}.{kind.__name__}" == "torch.nn.modules.module.Module" for kind in type(value).__mro__)


def _remedy(value: object) -> str:
    if is_torch_model(value):
        return "export it first: aspen.export(model, samples)"
    if isinstance(value, (str, Path)):
        return "load it first: aspen.load_network(path)"
    if isinstance(getattr(value, "network", None), Network):
        return "pass its network, the attribute .network"
    return "pass a network"
