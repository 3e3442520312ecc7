"""Find out whether a model may be given all time steps as one, by a rehearsal on a copy.

In the rehearsal the neurons answer with random spikes and states, drawn beforehand for every step. The model runs
twice: step by step, as it was written, and once with all steps merged into the batch. If every neuron then gets the
same input for every step and sample, and if what the model returns is the same, the model is made of parts that treat
each step and each sample alone. Whatever reads an earlier step, mixes samples or counts steps gives itself away, as the
answers are random and have nothing to do with the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aspen.errors import ModelError, one_line
from aspen.fused.neurons import Neuron
from aspen.fused.passes import given_states, replaced, shown
from aspen.fused.repeating import Replay, counted
from aspen.fused.restoring import Restore, close, find_restore
from aspen.models.copying import copy_of
from aspen.models.forms import InputForm, required_arguments
from aspen.models.operations import DROPOUTS, LOOKS, operation_name, parts

BATCH = 3


@dataclass(frozen=True)
class Form:
    """How a model is written.

    Args:
        loops: whether ``forward`` loops over time; otherwise it does one step.
        states: how many states ``forward`` asks for, beside the input.
        restore: what turns the merged return value into the loop's.
        layout: where a loop has time and batch, and what ``forward`` is given beside.
        layers: of a model with a number of steps of its own: names of the layers that it calls once in each round.
    """

    loops: bool
    states: int
    restore: Restore | None
    layout: InputForm
    layers: tuple[str, ...] = ()

    def call(self, model: nn.Module, frames: Tensor) -> Any:
        """What the model makes of all steps as one, its neurons running them in one call; :attr:`restore` follows."""
        return call_merged(model, frames, self.loops, self.states, self.layout)


def call_merged(model: nn.Module, frames: Tensor, loops: bool, states: int, layout: InputForm) -> Any:
    """What the model returns when all steps are given as one, in a batch of time x batch."""
    merged = frames.flatten(0, 1)
    if loops:
        return model(*layout.given(merged.unsqueeze(0)), **layout.arguments)
    return model(merged, *_empty_states(frames, states), **layout.arguments)


def _empty_states(inputs: Tensor, states: int) -> list[Tensor]:
    return InputForm(states=states).empty_states(inputs)


class _OtherForm(ModelError):
    """The model was not meant to be called like this."""


class _Watch(TorchFunctionMode):
    """Switches dropout off, and refuses looks at values."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.own = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
        self.rests = False
        self.dropouts = 0

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Let everything pass until the block ends."""
        self.rests = True
        try:
            yield
        finally:
            self.rests = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.rests:
            return func(*args, **kwargs)
        name = operation_name(func)
        if name in DROPOUTS:
            self.dropouts += 1
            return args[0] if args else kwargs["input"]
        if name in LOOKS and any(id(tensor) not in self.own for tensor in parts(args, Tensor)):
            raise ModelError(
                f"forward(): found {name!r} on values, allowed is control flow that does not depend on data; "
                f"remove it, or use the plain loop"
            )
        return func(*args, **kwargs)


@dataclass
class _Rehearsal:
    """What the neurons are given and answer."""

    steps: int
    neurons: list[Neuron]
    watch: _Watch
    looped: bool = True
    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    answers: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    left: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def start(self, looped: bool) -> None:
        """Begin a run, step by step or merged."""
        self.looped, self.inputs, self.left = looped, {}, {}
        if looped:
            self.answers = {}
        for neuron in self.neurons:
            for state in {"spk", "syn", "mem"} & neuron.layer._buffers.keys():
                neuron.layer._buffers[state] = torch.zeros(0)

    def forwards(self) -> dict[nn.Module, Callable[..., Any]]:
        """What the neurons run."""
        return {neuron.layer: self._forward(neuron) for neuron in self.neurons}

    def _forward(self, neuron: Neuron) -> Callable[..., Any]:
        def forward(input_: Tensor, *args: Any, **kwargs: Any) -> Any:
            with self.watch.resting():
                return self._answer(neuron, input_, given_states(neuron, args, kwargs))

        return forward

    def _answer(self, neuron: Neuron, signal: Tensor, given: dict[str, Tensor]) -> Any:
        seen = self.inputs.setdefault(neuron.name, [])
        if self.looped:
            self._check_states(neuron, given, len(seen))
        seen.append(signal.detach())
        index = len(seen) - 1
        size = BATCH if self.looped else BATCH * self.steps
        if signal.ndim == 0 or signal.shape[0] != size or index >= (self.steps if self.looped else 1):
            raise _OtherForm(
                f"{neuron.what}: found call {index + 1} with an input of shape {tuple(signal.shape)} where one for "
                f"each step and ({size}, *features) was expected"
            )
        answers = self._answers(neuron, signal)
        chosen = {key: value[index] if self.looped else value.flatten(0, 1) for key, value in answers.items()}
        chosen = {key: value.clone().requires_grad_() for key, value in chosen.items()}
        self.left[neuron.name] = chosen
        for state, value in chosen.items():
            if state in neuron.layer._buffers:
                neuron.layer._buffers[state] = value
        return shown(neuron.layer, chosen["spk"], tuple(chosen[state] for state in neuron.states))

    def _answers(self, neuron: Neuron, signal: Tensor) -> dict[str, Tensor]:
        """Random spikes and states (time, batch, *features) where and as the neuron would make them."""
        if neuron.name not in self.answers:
            shape = (self.steps, BATCH, *signal.shape[1:])
            fired = torch.rand(shape, generator=self.generator) < 0.5
            answers = {"spk": fired.to(signal.device, neuron.spike_dtype(signal))}
            for state in neuron.states:
                drawn = torch.randn(shape, generator=self.generator)
                answers[state] = drawn.to(signal.device, signal.dtype)
            self.answers[neuron.name] = answers
        return self.answers[neuron.name]

    def _check_states(self, neuron: Neuron, given: dict[str, Tensor], call: int) -> None:
        states = [state for state in ("spk", "syn", "mem") if state in neuron.layer._buffers]
        for state in states:
            value = given.get(state, neuron.layer._buffers[state])
            if call == 0 and bool((value != 0).any()):
                self._refuse_state(neuron, state, "starts with other values than zero")
            left = self.left[neuron.name][state] if call else value
            if value is not left or (call and not value.requires_grad):
                self._refuse_state(neuron, state, f"is not, at step {call}, what the neuron made a step before")

    def _refuse_state(self, neuron: Neuron, state: str, problem: str) -> None:
        raise ModelError(
            f"{neuron.what}: its state {state!r} {problem}, which cannot be fused; start from zero, and pass the "
            f"states on as they are: not detached, reset or changed between steps"
        )


def rehearse(
    model: nn.Module, neurons: list[str], inputs: Tensor, hooks: bool = False, layout: InputForm | None = None
) -> Form:
    """Find the model's form, in the mode (training or not) in which it is.

    Args:
        model: the model; a copy of it runs.
        neurons: names of its spiking layers.
        inputs: frames (time, batch, *shape), whose number of steps, shape, type and device count.
        hooks: whether forward hooks run too; those that only look would see what is made up here.
        layout: where a loop has time and batch, and what ``forward`` is given beside; default: time first.

    Raises:
        ModelError: the model cannot be fused.
    """
    twin = twin_of(model, hooks)
    layers = dict(twin.named_modules())
    steps = max(len(inputs), 2)
    sample = _sample(inputs, steps)
    watch = _Watch(twin)
    run = _Rehearsal(steps, [Neuron(name, layers[name]) for name in neurons], watch)
    layout = layout or InputForm()
    wanted = len(required_arguments(twin, layout.arguments))
    with torch.random.fork_rng(devices=[]), replaced(run.forwards()), watch:
        loops, looped, expected = _run_loop(twin, run, sample, wanted, inputs, layout)
        made = _run_merged(twin, run, sample, loops, wanted, layout)
    _compare(run, expected)
    restore = find_restore(f"{type(model).__name__}.forward()", looped, made, steps, BATCH)
    return Form(loops, wanted, restore, layout)


def rehearse_repeating(model: nn.Module, neurons: list[str], given: Tensor, hooks: bool, layout: InputForm) -> Form:
    """As :func:`rehearse`, for what ``forward`` of a model with steps of its own is ``given``; see
    :mod:`aspen.fused.repeating`.

    Raises:
        ModelError: the model cannot be fused.
    """
    twin, steps = twin_of(model, hooks), layout.steps or 1
    layers = dict(twin.named_modules())
    frames = given.movedim(layout.batch_axis, 0).unsqueeze(0) if layout.time_axis is None else layout.frames(given)
    sample = layout.given(_sample(frames, len(frames)))[0]
    watch = _Watch(twin)
    run = _Rehearsal(steps, [Neuron(name, layers[name]) for name in neurons], watch)
    title = f"{type(model).__name__}.forward()"
    with torch.random.fork_rng(devices=[]), watch:
        run.start(looped=True)
        with replaced(run.forwards()), counted(twin, [layers[name] for name in neurons]) as counts:
            looped = twin(sample, **layout.arguments)
        expected = run.inputs
        calls = {name: len(seen) for name, seen in expected.items()}
        if set(calls.values()) != {steps} or watch.dropouts % steps:
            raise ModelError(
                f"{title}: found neurons called {calls} times and dropout {watch.dropouts} times in {steps} steps, "
                f"allowed is once in each step, which can be fused; draw dropout within the loop"
            )
        once = tuple(name for name, count in counts.items() if count == steps)
        run.start(looped=False)
        made = Replay(twin, run.forwards(), once, steps).run(sample, layout)
    _compare(run, expected)
    same = [close(a, b) for a, b in zip(parts(looped, Tensor), parts(made, Tensor), strict=True)]
    if not all(same):
        raise ModelError(
            f"{title}: returns something else when its steps are handed out one by one, which cannot be fused; look "
            f"for layers that keep what they saw, or use the plain loop"
        )
    return Form(True, 0, None, layout, once)


def _run_loop(
    twin: nn.Module, run: _Rehearsal, sample: Tensor, states: int, inputs: Tensor, layout: InputForm
) -> tuple[bool, Any, dict[str, list[Tensor]]]:
    """Step by step: whether the model loops itself, what it returned, and the inputs of its neurons."""
    problems, reached = [], False
    for loops in (True, False):
        run.start(looped=True)
        try:
            if loops:
                returned = twin(*layout.given(sample), **layout.arguments)
            else:
                returned = _step_through(twin, run, sample, states, layout)
        except _OtherForm as error:
            problems.append(str(error))
            continue
        except ModelError:
            raise
        except Exception as error:
            problems.append(one_line(error))
            continue
        finally:
            reached = reached or bool(run.inputs)
        counts = {name: len(seen) for name, seen in run.inputs.items()}
        if counts and set(counts.values()) == {run.steps}:
            return loops, returned, run.inputs
        problems.append(f"neurons were called {counts} times for {run.steps} steps")
    if not reached and _repeats_one_input(twin, run, inputs):
        raise ModelError(
            f"{type(twin).__name__}.forward(): found one input that is repeated for a number of steps of the model's "
            f"own, allowed is input with time first, (time, batch, *features); loop over it (for step in x), or use "
            f"the plain loop"
        )
    raise ModelError(
        f"{type(twin).__name__}.forward(): found neither a loop over the first dimension of its input ({problems[0]}) "
        f"nor one step of it ({problems[1]}), which cannot be fused; let it do one of these, each neuron once per step"
    )


def _repeats_one_input(twin: nn.Module, run: _Rehearsal, inputs: Tensor) -> bool:
    """Whether the model takes ``inputs`` for a batch that has no time, and runs its neurons on it repeatedly."""
    run.start(looped=True)
    with suppress(Exception):  # whatever the model raises, it does not take it
        twin(torch.zeros(BATCH, *inputs.shape[1:], dtype=inputs.dtype, device=inputs.device))
    return any(len(seen) > 1 for seen in run.inputs.values())


def _run_merged(twin: nn.Module, run: _Rehearsal, sample: Tensor, loops: bool, states: int, layout: InputForm) -> Any:
    """What the model returns for all steps as one."""
    run.start(looped=False)
    try:
        return call_merged(twin, sample, loops, states, layout)
    except ModelError as error:
        if not isinstance(error, _OtherForm):
            raise
        problem = str(error)
    except Exception as error:
        problem = one_line(error)
    raise ModelError(
        f"{type(twin).__name__}.forward(): takes {run.steps} steps, but not all of them as one step of a larger batch "
        f"({problem}), which cannot be fused; loop over the steps that the input has (for step in x) instead of a "
        f"fixed number, and treat each step and sample alone"
    )


def _step_through(twin: nn.Module, run: _Rehearsal, sample: Tensor, states: int, layout: InputForm) -> Any:
    given = _empty_states(sample, states)
    returned: list[Any] = []
    for step in sample:
        made = twin(step, *given, **layout.arguments)
        if len(returned) == 0 and any(len(seen) > 1 for seen in run.inputs.values()):
            raise _OtherForm("it calls neurons several times; let it loop over an input (time, batch, *shape)")
        returned.append(made)
        found = parts(made, Tensor)
        if len(found) < states:
            raise _OtherForm(f"it takes {states} states and returns {len(found)} tensors")
        given = found[len(found) - states :]
    return _stack(returned)


def _stack(values: list[Any]) -> Any:
    """What was returned at each step, stacked."""
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(values)
    if isinstance(first, (list, tuple)):
        stacked = [_stack(list(entry)) for entry in zip(*values, strict=True)]
        return type(first)(*stacked) if hasattr(first, "_fields") else type(first)(stacked)
    if isinstance(first, dict):
        return {key: _stack([value[key] for value in values]) for key in first}
    return first


def _compare(run: _Rehearsal, expected: dict[str, list[Tensor]]) -> None:
    for name, looped in expected.items():
        what = next(neuron.what for neuron in run.neurons if neuron.name == name)
        merged = run.inputs.get(name, [])
        if len(merged) != 1:
            raise ModelError(f"{what}: found {len(merged)} calls when all steps were given as one, allowed is one")
        if not close(merged[0], torch.stack(looped).flatten(0, 1)):
            raise ModelError(
                f"{what}: its input at a step does not come from that step and sample alone, or is made at random, "
                f"which cannot be fused; look for earlier steps' values, counters, statistics over the batch and noise "
                f"before it, or use the plain loop"
            )


def _sample(inputs: Tensor, steps: int) -> Tensor:
    """Random values shaped like the input; whole numbers stay what they are."""
    if not inputs.is_floating_point():
        return inputs[:1, :1].expand(1, BATCH, *inputs.shape[2:]).repeat(steps, *[1] * (inputs.ndim - 1))
    generator = torch.Generator().manual_seed(1)
    shape = (steps, BATCH, *inputs.shape[2:])
    return torch.rand(shape, generator=generator, dtype=inputs.dtype).to(inputs.device)


def twin_of(model: nn.Module, hooks: bool) -> nn.Module:
    """A copy with forward hooks or without, without those of gradients, and with BatchNorm as it is after training."""
    twin = copy_of(model)
    for module in twin.modules():
        module._backward_hooks.clear()
        module._backward_pre_hooks.clear()
        if not hooks:
            module._forward_hooks.clear()
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return twin
