"""How the spikes of a recurrent layer come back to it: through a matrix, a convolution, or each to its own neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.grad import conv2d_input

from aspen.errors import ModelError
from aspen.fused.linear import linear


@dataclass(frozen=True)
class Recurrence:
    """The recurrent connection of an ``RLeaky`` or ``RSynaptic``.

    Args:
        layer: a ``Linear``, a ``Conv2d`` or snnTorch's one-to-one connection.
        shape: of the layer's neurons for all samples of a batch, (batch, *features).
        parameters: of the layer.
    """

    layer: nn.Module
    shape: tuple[int, ...]
    parameters: tuple[Tensor, ...]

    def apply(self, spikes: Tensor) -> Tensor:
        """What the spikes (n,) of one step bring at the next one, (batch, *features)."""
        with torch.no_grad():
            made: Tensor = self.layer(spikes.reshape(self.shape))
        return made

    def back(self, grad: Tensor) -> Tensor:
        """The gradient of the spikes of one step for the gradient (n,) of what they brought."""
        layer: Any = self.layer
        given = grad.reshape(self.shape)
        if isinstance(layer, nn.Linear):
            return given @ layer.weight.detach()
        if isinstance(layer, nn.Conv2d):
            return conv2d_input(
                self.shape, layer.weight.detach(), given, layer.stride, layer.padding, layer.dilation, layer.groups
            )
        scaled: Tensor = given * layer.V.detach()
        return scaled

    def gradients(self, spikes: Tensor, grad: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        """The gradients of the parameters, over all steps in one call.

        Args:
            spikes: those that came back at each step (time, n).
            grad: gradient of what they brought (time, n).
            wanted: for each parameter, whether its gradient is wanted.
        """
        chosen = [parameter for parameter, want in zip(self.parameters, wanted, strict=True) if want]
        if not chosen:
            return [None] * len(wanted)
        merged = (-1, *self.shape[1:])
        with torch.enable_grad():
            made = self._all_steps(spikes.reshape(merged))
            found = iter(torch.autograd.grad(made, chosen, grad.reshape(merged).to(made.dtype)))
        return [next(found) if want else None for want in wanted]

    def _all_steps(self, spikes: Tensor) -> Any:
        layer: Any = self.layer
        return linear(spikes, layer.weight, layer.bias)[0] if isinstance(layer, nn.Linear) else layer(spikes)


def read_recurrence(what: str, layer: Any, shape: tuple[int, ...]) -> Recurrence:
    """The recurrence of a snnTorch neuron.

    Args:
        what: the neuron, for messages.
        layer: the neuron.
        shape: of its input at one step, (batch, *features).

    Raises:
        ModelError: it is none that snnTorch makes.
    """
    inner = layer.recurrent
    known = type(inner) in (nn.Linear, nn.Conv2d) or (
        hasattr(inner, "V") and type(inner).__name__ == "RecurrentOneToOne"
    )
    if not known:
        raise ModelError(
            f"{what}: found the recurrence {type(inner).__name__}, which cannot be fused; allowed are a Linear, a "
            f"Conv2d, or all_to_all=False"
        )
    return Recurrence(inner, shape, tuple(inner.parameters()))
