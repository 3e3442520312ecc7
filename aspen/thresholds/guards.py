"""The thresholds of snnTorch neurons, turned from outside while the model runs: which layers spike, and the knob.

A controlled neuron carries a guard around its ``forward``: one entry in the module's ``__dict__`` and nothing else.
While the neuron steps, the guard puts the threshold of that step beside it under the name ``threshold``; attribute
look-up finds it before the buffer or parameter, so the model's ``state_dict`` and parameters stay those of the plain
model. A guard rather than hooks: it also clears away after ``KeyboardInterrupt`` (which skips even ``always_call``
hooks), it cannot be passed by ``module.forward(x)``, and everybody else's hooks see the plain neuron.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol, cast

import snntorch
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from aspen._base.closed import Closed
from aspen.dial.scale import check_scale
from aspen.errors import InputError, ModelError
from aspen.models.layers import check_positive, hidden_layers, resolve_layer, show, spiking_layers
from aspen.thresholds.distributions import MIN_FACTOR


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


class ForwardGuard:
    """Runs instead of one module's ``forward`` until uninstalled; copies and pickles together with the module."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.replaced: Callable[..., Any] | None = vars(module).get("forward")
        vars(module)["forward"] = self

    @property
    def inner(self) -> Callable[..., Any]:
        """The ``forward`` that the guard stands in for."""
        return type(self.module).forward.__get__(self.module) if self.replaced is None else self.replaced

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.inner(*args, **kwargs)

    def uninstall(self) -> None:
        """Take the guard off the module, unless somebody has wrapped it since: then it stays, doing nothing."""
        if vars(self.module).get("forward") is not self:
            return
        del vars(self.module)["forward"]
        if self.replaced is not None:
            vars(self.module)["forward"] = self.replaced

    def __getattr__(self, name: str) -> inspect.Signature:
        """Show tools that ask for the signature of ``module.forward`` the module's own."""
        if name == "__signature__":
            return inspect.signature(self.inner)
        raise AttributeError(name)


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
        previous = self._carried(args, kwargs) or current
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
    base: Tensor = module.threshold
    shadow: dict[str, Any] = {"threshold": after.threshold(base)}
    if not before.same(after):
        shadow = _switch_at_fire(module, before.threshold(base), shadow["threshold"])
    space, at_start = vars(module), shadow["threshold"]
    kept = {name: space[name] for name in shadow if name in space}
    space.update(shadow)
    try:
        yield
        if "fire" in shadow and space["threshold"] is at_start:
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
    """Return the shape of a neuron's membrane, (batch, *features), for an input of (batch, *input features)."""
    if isinstance(module, snntorch.SLSTM):
        return torch.Size((signal.shape[0], module.hidden_size))
    if isinstance(module, snntorch.SConv2dLSTM):
        return torch.Size((signal.shape[0], module.out_channels, *signal.shape[2:]))
    return signal.shape


def _has_stepped(module: nn.Module) -> bool:
    membrane = getattr(module, "mem", None)
    return isinstance(membrane, Tensor) and membrane.numel() > 0


def find_guard(module: nn.Module, kind: type[Any]) -> Any:
    """Return the guard of class ``kind`` around the module's ``forward``, or ``None``."""
    guard = vars(module).get("forward")
    while isinstance(guard, ForwardGuard) and not isinstance(guard, kind):
        guard = guard.replaced
    return guard if isinstance(guard, kind) else None


def has_own_forward(module: nn.Module) -> bool:
    """Whether somebody put another ``forward`` on this very module than the guards of this package."""
    inner = vars(module).get("forward")
    while isinstance(inner, ForwardGuard):
        inner = inner.replaced
    return inner is not None


def control_of(module: nn.Module, name: str) -> NeuronControl:
    """Return the control of a spiking layer, installed under ``name`` if there is none yet."""
    return find_guard(module, NeuronControl) or NeuronControl(module, name)


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
