"""What is attached to a model until it is removed: the common part of a perturbation and a learned dial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import nn

from aspen._base.closed import Closed
from aspen.errors import ModelError
from aspen.models.layers import show, spiking_layers
from aspen.thresholds.guards import ForwardGuard, find_guard
from aspen.thresholds.neuron_control import DrawSource, NeuronControl, control_of


class Attachment(Closed):
    """A source of factors that is attached to a model until it is removed; copies and pickles with it."""

    _guard: ForwardGuard | None
    _controls: dict[str, NeuronControl]
    _generator: torch.Generator | None

    def _attach(self, model: nn.Module, layers: Iterable[str], guard: Callable[[], ForwardGuard]) -> None:
        """Steer ``layers`` of ``model``; ``guard`` makes the guard around its passes, outside of the neurons' own."""
        spiking = spiking_layers(model)
        self._controls = {name: control_of(spiking[name], name) for name in layers}
        for name, control in self._controls.items():
            control.name, control.source = name, cast(DrawSource, self)
        self._guard = guard()

    def remove(self) -> None:
        """Take it off the model, leaving no trace; call it between sequences. May be repeated."""
        if self._guard is None:
            return
        self._guard.uninstall()
        self._guard = None
        for control in self._controls.values():
            control.source = None
            control.release()
        self._controls = {}

    def _stored(self, **fresh: Any) -> dict[str, Any]:
        """The state for copies and pickles, with ``fresh`` in place of what belongs to one pass."""
        generator = self._generator
        kept = None if generator is None else (str(generator.device), generator.get_state())
        return vars(self) | {"_generator": kept, **fresh}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if state["_generator"] is not None:
            device, numbers = state["_generator"]
            self._generator = torch.Generator(device)
            self._generator.set_state(numbers)


def check_unattached(layers: Mapping[str, nn.Module]) -> None:
    """Raise ``ModelError`` where one of some spiking layers, by name, has a perturbation or a dial already."""
    for name, module in layers.items():
        control = find_guard(module, NeuronControl)
        if control is not None and control.source is not None:
            raise ModelError(
                f"{show(name)}: found a perturbation or dial attached already, to this model or one above or below it; "
                "allowed: one; remove() the earlier handle, or get_perturbation(model).remove()"
            )
