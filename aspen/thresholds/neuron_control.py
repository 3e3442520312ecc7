"""The thresholds of a snnTorch neuron, step by step: what makes them, and the guard that puts them in place.

While a controlled neuron steps, its guard puts the threshold of that step beside it under the name ``threshold``;
attribute look-up finds it before the buffer or parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import snntorch
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from aspen.errors import ModelError
from aspen.models.layers import AT_ONCE, show, threshold_name, threshold_of
from aspen.thresholds.distributions import MIN_FACTOR
from aspen.thresholds.guards import ForwardGuard, find_guard

_ALONE = (snntorch.DeltaLeaky, *AT_ONCE)
"""Neurons that owe no reset from one call to the next."""


class Setting(NamedTuple):
    """What makes a neuron's own threshold into the one of a step.

    Attributes:
        scale: The knob, a factor > 0.
        draw: Random factor (> 0) or offset; first axis batch or 1, the others the features' or 1; ``None`` for none.
        additive: Whether the draw is an offset.
    """

    scale: float = 1.0
    draw: Tensor | None = None
    additive: bool = False

    @property
    def plain(self) -> bool:
        """Whether the threshold is left as it is."""
        return self.draw is None and self.scale == 1.0

    def same(self, other: Setting) -> bool:
        """Whether both give the same threshold."""
        return self.draw is other.draw and self.scale == other.scale

    def fits(self, state: torch.Size, signal: Tensor) -> bool:
        """Whether the draw broadcasts against a membrane of shape ``state`` where ``signal`` lives."""
        if self.draw is None:
            return True
        if self.draw.device != signal.device or self.draw.ndim != len(state):
            return False
        return all(size in (1, wanted) for size, wanted in zip(self.draw.shape, state, strict=True))

    def threshold(self, base: Tensor) -> Tensor:
        """Return ``base * draw * scale``, or ``max(base + draw, MIN_FACTOR * base) * scale`` for an additive draw.

        Args:
            base: The neuron's own threshold (> 0), in units of the membrane; gradients flow back to it.
        """
        theta = base
        if self.draw is not None:
            theta = torch.maximum(base + self.draw, MIN_FACTOR * base) if self.additive else base * self.draw
        return theta if self.scale == 1.0 else theta * self.scale


PLAIN = Setting()


class DrawSource(Protocol):
    """Whatever hands out factors or offsets to controlled neurons: a perturbation, a learned dial.

    Attributes:
        additive: whether these are offsets.
        always: whether they act in evaluation mode too.
    """

    additive: bool
    always: bool

    def draw(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor | None:
        """Return the draw of ``layer`` for a membrane of shape ``state``, or ``None`` if it is not perturbed."""


class NeuronControl(ForwardGuard):
    """Gives one spiking layer the threshold of each step, and its reset the threshold under which it fired.

    snnTorch resets at step t what was above the threshold at t - 1, and compares it again, with the threshold of t.
    So the guarded step begins with the setting of the previous step, and changes to its own when the neuron fires.
    The membrane tells which setting that was, if it is a tensor that this neuron returned (so one module may serve
    two layers); otherwise, as after ``detach()``, it is the one of the last call.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__(module)
        self.name = name
        self.scale = 1.0
        self.source: DrawSource | None = None
        self.previous: Setting | None = None
        self.made = WeakTensorKeyDictionary()
        if _has_stepped(module):
            self._remember(PLAIN)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signal = args[0] if args else kwargs.get("input_")
        if not isinstance(signal, Tensor):
            return self.inner(*args, **kwargs)
        state = state_shape(self.module, signal)
        current = self.setting(state, signal)
        alone = not isinstance(self.module, snntorch.SpikingNeuron) or type(self.module) in _ALONE
        previous = current if alone else self._carried(args, kwargs) or current  # others compare and reset in one go
        if not previous.fits(state, signal):
            previous = current
        if current.plain and previous.plain:
            result = self.inner(*args, **kwargs)
            self.release()
        else:
            with _threshold_of_step(self, previous, current):
                result = self.inner(*args, **kwargs)
        self._remember(current)
        return result

    def release(self) -> None:
        """Uninstall the guard if nothing is left for it to do."""
        if self.source is None and self.scale == 1.0:
            self.uninstall()

    def turn(self, scale: float) -> None:
        """Set the knob; a neuron that stepped under another setting first finishes the reset that belongs to it."""
        self.scale = scale
        if self.previous is None or self.previous.plain:
            self.release()

    def setting(self, state: torch.Size, signal: Tensor) -> Setting:
        """Return what a step with input ``signal`` makes of the threshold, for a membrane of shape ``state``."""
        if self.source is None or not (self.module.training or self.source.always):
            return PLAIN if self.scale == 1.0 else Setting(self.scale)
        draw = self.source.draw(self.name, state, signal)
        return Setting(self.scale, draw, self.source.additive)

    def _carried(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Setting | None:
        """Return the setting under which the membrane that this step starts from was made."""
        membrane = kwargs.get("mem", args[-1] if len(args) > 1 else None)
        if membrane is None:
            membrane = getattr(self.module, "mem", None)
        if not isinstance(membrane, Tensor):
            return self.previous
        return self.made.get(membrane, self.previous)

    def _remember(self, current: Setting) -> None:
        self.previous = current
        membrane = getattr(self.module, "mem", None)
        if isinstance(membrane, Tensor):
            self.made[membrane] = current

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, made=WeakTensorKeyDictionary())


@contextmanager
def _threshold_of_step(control: NeuronControl, before: Setting, after: Setting) -> Iterator[None]:
    """Shadow the neuron's threshold during one step: ``before`` until it fires, ``after`` from then on."""
    module: Any = control.module
    base, own = threshold_of(module), threshold_name(module)
    shadow: dict[str, Any] = {own: after.threshold(base)}
    if not before.same(after):
        shadow = _switch_at_fire(module, before.threshold(base), shadow[own])
    space, at_start = vars(module), shadow[own]
    kept = {name: space[name] for name in shadow if name in space}
    space.update(shadow)
    try:
        yield
        if "fire" in shadow and space[own] is at_start:
            raise ModelError(
                f"{show(control.name)}: {type(module).__name__}.forward spiked without calling fire(), found while the "
                "threshold changed between two steps; allowed: neurons that call fire(); change it between sequences"
            )
    finally:
        for name in shadow:
            space.pop(name, None)
        space.update(kept)


def _switch_at_fire(module: Any, before: Tensor, after: Tensor) -> dict[str, Any]:
    """Return attributes that show the threshold ``before`` until the neuron fires, and ``after`` from then on.

    With ``reset_delay=False`` snnTorch also gives back what it had subtracted from neurons that then do not fire; they
    get back the amount taken.
    """

    def switching(fire: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def fire_with_new_threshold(*args: Any) -> Tensor:
            vars(module)["threshold"] = after
            spikes = fire(*args)
            if not getattr(module, "reset_delay", True):
                given_back = (module.reset != 0) & (spikes == 0)
                vars(module)["threshold"] = torch.where(given_back, before, after).to(args[-1].dtype)
            return spikes

        return fire_with_new_threshold

    return {
        "threshold": before,
        "fire": switching(module.fire),
        "fire_inhibition": switching(module.fire_inhibition),
    }


def state_shape(module: nn.Module, signal: Tensor) -> torch.Size:
    """Return the shape of a neuron's membrane, (batch, *features), for an input of (batch, *input features), or of
    (time, batch, *input features) where it is given all steps at once."""
    if type(module) in AT_ONCE:
        return torch.Size((signal.shape[1], getattr(module, "hidden_size", signal.shape[-1])))
    if isinstance(module, snntorch.SLSTM):
        return torch.Size((signal.shape[0], module.hidden_size))
    if isinstance(module, snntorch.SConv2dLSTM):
        return torch.Size((signal.shape[0], module.out_channels, *signal.shape[2:]))
    return signal.shape


def _has_stepped(module: nn.Module) -> bool:
    membrane = getattr(module, "mem", None)
    return isinstance(membrane, Tensor) and membrane.numel() > 0


def control_of(module: nn.Module, name: str) -> NeuronControl:
    """Return the control of a spiking layer, installed under ``name`` if there is none yet."""
    return find_guard(module, NeuronControl) or NeuronControl(module, name)
