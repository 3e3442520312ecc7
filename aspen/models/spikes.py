"""The spikes of a snnTorch model's layers, collected while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from aspen.models.layers import AT_ONCE


@contextmanager
def count_spikes(layers: dict[str, nn.Module]) -> Iterator[dict[str, list[Tensor]]]:
    """Collect the spikes of spiking layers while the block runs: name -> list of (batch, *shape), one for each step.

    These are what the neurons fire, whatever other hooks make of it. A fused model (:func:`aspen.fuse`) adds all steps
    of a layer at once, (time x batch, *shape).
    """
    spikes: dict[str, list[Tensor]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            fired = output if isinstance(output, Tensor) else output[0]
            spikes[name] += fired.unbind(0) if type(module) in AT_ONCE else [fired]

        return hook

    handles = [layer.register_forward_hook(keep(name), prepend=True) for name, layer in layers.items()]
    try:
        yield spikes
    finally:
        for handle in handles:
            handle.remove()
