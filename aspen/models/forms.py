"""How a model takes its input: which axis is time, which the batch, and what else ``forward`` is given.

People write ``forward`` in a few ways: it loops over an axis of its input, does one time step, or repeats one input for
a number of steps of its own. An :class:`InputForm` says which, and turns the one layout that networks know, *frames*
(time, batch, \\*shape), into what such a model takes. :func:`aspen.models.probing.find_form` finds it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aspen._base.names import unknown_name
from aspen.errors import InputError, ModelError
from aspen.models.copying import known_to_snntorch
from aspen.models.operations import operation_name, parts

KINDS = {
    "loop": "forward() loops over time",
    "step": "forward() does one time step",
    "static": "forward() repeats its input for a number of steps of its own",
}
ENCODERS = frozenset({"bernoulli"})
"""Functions by which models draw spikes of their input."""
_PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class InputForm:
    """How a model takes its input.

    >>> frames = torch.ones(25, 4, 64)  # (time, batch, inputs)
    >>> batch_first = InputForm("loop", time_axis=1, batch_axis=0)
    >>> [tuple(given.shape) for given in batch_first.given(frames)]
    [(4, 25, 64)]

    Args:
        kind: ``loop`` (``forward`` is given all steps), ``step`` (one) or ``static`` (one input, which it repeats).
        time_axis: of what ``forward`` is given; None unless it loops.
        batch_axis: of what ``forward`` is given.
        arguments: what else ``forward`` is given, by name.
        states: how many states of neurons ``forward`` asks for beside.
        encoder: one of :data:`ENCODERS`, by which the model makes spikes of its input. The network begins behind it,
            and so do frames: they are the spikes.
        steps: where the model's own number of time steps does not follow from its input, how many; else None.

    Raises:
        InputError: an unknown kind, or axes that do not fit it.
    """

    kind: str = "loop"
    time_axis: int | None = 0
    batch_axis: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)
    states: int = 0
    steps: int | None = None
    encoder: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(unknown_name("kind", self.kind, KINDS))
        if (self.kind == "loop") != (self.time_axis is not None) or self.time_axis == self.batch_axis:
            raise InputError(
                f"form: found kind {self.kind!r}, time_axis={self.time_axis} and batch_axis={self.batch_axis}, allowed "
                f"are two axes where forward() loops over time, and time_axis=None elsewhere"
            )

    @property
    def static(self) -> bool:
        """Whether every time step has the same input."""
        return self.kind == "static" and not self.encoder

    @property
    def sample_axis(self) -> int | None:
        """Which axis of a sample is time: of what ``forward`` is given, or of its steps stacked; None: it has none."""
        return 0 if self.kind == "step" else self.time_axis

    def sample(self, frames: Tensor) -> Tensor:
        """Frames as :func:`aspen.export` and :func:`aspen.fuse` take a sample."""
        return frames if self.kind == "step" else self.given(frames)[0]

    def given(self, frames: Tensor) -> list[Tensor]:
        """What ``forward`` is given, call by call, for frames (time, batch, *shape); last what its encoder makes."""
        if self.encoder:
            return [*replace(self, encoder="").given(frames), frames]
        if self.kind == "loop":
            axes = (self.time_axis, self.batch_axis)
            return [frames if axes == (0, 1) else frames.movedim((0, 1), axes).contiguous()]  # type: ignore[arg-type]
        steps = list(frames[:1] if self.kind == "static" else frames)
        return steps if self.batch_axis == 0 else [step.movedim(0, self.batch_axis).contiguous() for step in steps]

    def frames(self, given: Tensor) -> Tensor:
        """Frames (time, batch, *shape) of what ``forward`` is given where it loops; elsewhere ``given`` is that."""
        if self.kind != "loop" or (self.time_axis, self.batch_axis) == (0, 1):
            return given
        return given.movedim((self.time_axis, self.batch_axis), (0, 1))  # type: ignore[arg-type]

    def call(self, model: nn.Module, given: Sequence[Tensor]) -> Any:
        """What the model returns for what :meth:`given` made.

        Where it is called for each step, that is a list of what it returned at each, without its states.

        Raises:
            ModelError: it does not return the states that it takes.
        """
        if self.encoder:
            with _Encoded(self.encoder, given[-1]):
                return replace(self, encoder="").call(model, given[:-1])
        with known_to_snntorch(model):
            return self._call(model, given)

    def _call(self, model: nn.Module, given: Sequence[Tensor]) -> Any:
        if self.kind != "step":
            return model(given[0], *self.empty_states(given[0]), **self.arguments)
        answers: list[Tensor] = []
        states = self.empty_states(given[0])
        for step in given:
            made = parts(model(step, *states, **self.arguments), Tensor)
            if len(made) < self.states:
                raise ModelError(
                    f"{type(model).__name__}.forward() takes {self.states} states and returns {len(made)} tensors, "
                    f"allowed is to return all states, last and in the order in which they are taken"
                )
            answers += made[: len(made) - self.states]
            states = made[len(made) - self.states :]
        return answers

    def empty_states(self, like: Tensor) -> list[Tensor]:
        """States as ``forward`` takes them before the first step, each of them a tensor of its own."""
        dtype = like.dtype if like.is_floating_point() else torch.get_default_dtype()
        return [torch.zeros(0, dtype=dtype, device=like.device) for _ in range(self.states)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; arguments that it cannot hold are named only."""
        kept = {name: value for name, value in self.arguments.items() if isinstance(value, _PLAIN)}
        made = {"kind": self.kind, "time_axis": self.time_axis, "batch_axis": self.batch_axis, "steps": self.steps}
        made["encoder"] = self.encoder
        left = sorted(set(self.arguments) - set(kept))
        return {**made, "states": self.states, "arguments": kept, **({"unnamed": left} if left else {})}

    @classmethod
    def from_dict(cls, made: Mapping[str, Any], arguments: Mapping[str, Any] | None = None) -> InputForm:
        """From :meth:`to_dict`; ``arguments`` come beside and before those that were kept.

        Raises:
            InputError: an argument was not kept, and is not given.
        """
        kept = {**made["arguments"], **(arguments or {})}
        for name in made.get("unnamed", ()):
            if name not in kept:
                raise InputError(
                    f"arguments: found no {name!r}, which forward() was given at export and no file holds; pass "
                    f"arguments={{{name!r}: ...}}"
                )
        names = ("kind", "time_axis", "batch_axis", "states", "steps")
        return cls(**{name: made[name] for name in names}, arguments=kept, encoder=made.get("encoder", ""))

    def __str__(self) -> str:
        where = f"the batch is axis {self.batch_axis}"
        if self.time_axis is not None:
            where = f"time is axis {self.time_axis}, {where}"
        steps = "" if self.steps is None else f", {self.steps} steps"
        given = f"; with {', '.join(f'{name}={value!r}' for name, value in self.arguments.items())}"
        steps += f", as spikes by its own {self.encoder}, which is cut off" if self.encoder else ""
        return f"{KINDS[self.kind]}{steps}: {where}{given if self.arguments else ''}"


class _Encoded(TorchFunctionMode):
    """Gives a model these spikes (time, batch, *shape) instead of what its encoder draws, at once or step by step."""

    def __init__(self, encoder: str, frames: Tensor) -> None:
        super().__init__()
        self.encoder, self.frames, self.step = encoder, frames, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if operation_name(func) != self.encoder:
            return func(*args, **(kwargs or {}))
        self.step += 1
        return self.frames if args[0].ndim == self.frames.ndim else self.frames[self.step - 1]


def required_arguments(model: nn.Module, arguments: Mapping[str, Any]) -> list[str]:
    """Names of what ``forward`` asks for beside its input and ``arguments``.

    Raises:
        InputError: ``forward`` has no such argument.
    """
    parameters = inspect.signature(model.forward).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    allowed, given = list(parameters)[1:], next(iter(parameters), "")
    for name in arguments:
        if not allowed and not takes_any:
            raise InputError(
                f"arguments: found {name!r}, allowed are none, as {type(model).__name__}.forward({given}) takes its "
                f"input alone; leave them out"
            )
        if name == given or (name not in allowed and not takes_any):
            raise InputError(unknown_name("arguments", name, allowed))
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    asked = [n for n, p in parameters.items() if p.kind in positional and p.default is inspect.Parameter.empty]
    return [name for name in asked[1:] if name not in arguments]
