"""Models with a number of steps of their own, such as those that repeat one input: all steps at once, in two passes.

Such a model runs its loop whatever it is given. In the first pass it is given all steps as one batch; each layer then
computes all of them in the first round of the loop, which is left as soon as a layer is called again. In the second
pass the model runs its whole loop, and the layers hand out what they made, step by step: whatever the model returns is
put together by itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from aspen.fused.passes import replaced
from aspen.models.forms import InputForm
from aspen.models.operations import parts

_STATES = ("spk", "syn", "mem")
_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


class _RoundDone(BaseException):
    """The first round of the loop is done. No exception of the model's, which might catch it."""


def in_every_step(given: Tensor, layout: InputForm) -> Tensor:
    """What ``forward`` is given, with all steps as a batch of time x batch in every step that it reads."""
    steps = layout.steps or 1
    if layout.time_axis is None:
        return torch.cat([given] * steps, layout.batch_axis)
    merged = layout.frames(given)[:steps].flatten(0, 1)
    return merged.expand(steps, *merged.shape).movedim((0, 1), (layout.time_axis, layout.batch_axis))


class Replay:
    """What layers make in a first pass, handed out step by step in a second.

    Args:
        model: what runs.
        forwards: neuron -> what it runs: all steps in one call.
        layers: names of other layers that the model calls once in each round.
        steps: rounds of the loop.
    """

    def __init__(
        self, model: nn.Module, forwards: Mapping[nn.Module, Callable[..., Any]], layers: Collection[str], steps: int
    ) -> None:
        modules = dict(model.named_modules())
        self.model, self.steps = model, steps
        self._forwards = {**{modules[name]: modules[name].forward for name in layers}, **forwards}
        self._made: dict[nn.Module, tuple[Any, dict[str, Any]]] = {}

    def run(self, given: Tensor, layout: InputForm) -> Any:
        """What the model returns for one input of ``forward``."""
        once = {module: _once(own) for module, own in self._forwards.items()}
        with replaced(once), self._kept(), suppress(_RoundDone):
            self.model(in_every_step(given, layout), **layout.arguments)
        again = {module: self._again(module) for module in self._made}
        with replaced(again), _without_hooks(self.model):
            return self.model(given, **layout.arguments)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep what the layers make while the block runs, behind all other hooks, which may change it."""
        handles = [module.register_forward_hook(self._keep) for module in self._forwards]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, module: nn.Module, args: Any, made: Any) -> None:
        states = {name: self._steps(module._buffers[name]) for name in _STATES if name in module._buffers}
        self._made[module] = self._steps(made), states

    def _steps(self, made: Any) -> Any:
        """Its steps, one after the other, of a tensor or several."""
        if isinstance(made, Tensor):
            return made.unflatten(0, (self.steps, -1)).unbind(0)
        return tuple(zip(*(self._steps(part) for part in parts(made, Tensor)), strict=True))

    def _again(self, module: nn.Module) -> Callable[..., Any]:
        outputs, states = self._made[module]
        call = 0

        def forward(*args: Any, **kwargs: Any) -> Any:
            nonlocal call
            for name, values in states.items():
                module._buffers[name] = values[call]
            call += 1
            return outputs[call - 1]

        return forward


def _once(own: Callable[..., Any]) -> Callable[..., Any]:
    """``own``, which ends the pass where it is called again."""
    called = False

    def forward(*args: Any, **kwargs: Any) -> Any:
        nonlocal called
        if called:
            raise _RoundDone
        called = True
        return own(*args, **kwargs)

    return forward


@contextmanager
def _without_hooks(model: nn.Module) -> Iterator[None]:
    """Without the hooks of submodules, and those before the model, which the first pass has run."""
    kept = {module: {name: getattr(module, name) for name in _HOOKS} for module in model.modules()}
    for module, hooks in kept.items():
        for name in hooks:
            if module is not model or name == "_forward_pre_hooks":
                setattr(module, name, OrderedDict())
    try:
        yield
    finally:
        for module, hooks in kept.items():
            for name, own in hooks.items():
                setattr(module, name, own)


@contextmanager
def counted(model: nn.Module, neurons: Collection[nn.Module]) -> Iterator[dict[str, int]]:
    """How often each layer without parts is called that answers with one tensor, while the block runs; neurons not."""
    counts: dict[str, int] = {}
    handles = []
    for name, module in model.named_modules():
        if module not in neurons and not any(module.children()) and module is not model:
            handles.append(module.register_forward_hook(_counting(counts, name)))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _counting(counts: dict[str, int], name: str) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> None:
        counts[name] = counts.get(name, 0) + 1 if isinstance(output, Tensor) else -1

    return hook
