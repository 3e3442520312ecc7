"""Find out how a model takes its input: it runs on the sample, and on samples that differ in one place.

If what the neurons are given changes from step k on where slice k of an axis is changed, that axis is time; if it
changes in row k alone, that axis is the batch. So nothing is concluded from sizes: a batch is never taken for time
because it happens to be as long. Copies of the model run, each from a fresh start.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from aspen._base.checks import shown
from aspen.errors import AspenError, InputError, ModelError, one_line
from aspen.models.copying import OF_THE_MODEL, copy_of, known_to_snntorch, plain_of
from aspen.models.forms import InputForm, required_arguments
from aspen.models.layers import at_once_layers, forget, spiking_layers
from aspen.models.seen import Seen, changed, noting

FIND = "find"
"""``time_axis`` is to be found out."""
REPEATS = 4
"""Steps for which one step's input is repeated where the sample has no time."""


def find_form(
    model: nn.Module, sample: Tensor, time_axis: int | str | None = FIND, arguments: Mapping[str, Any] | None = None
) -> InputForm:
    """How the model takes its input, found out by running copies of it.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> form = find_form(DenseNet((6, 4, 2)), torch.ones(10, 3, 6))
    >>> form.kind, form.time_axis, form.batch_axis
    ('loop', 0, 1)

    Args:
        model: a snnTorch model.
        sample: what ``forward`` is given; for a model that does one time step, its steps stacked, time first.
        time_axis: which axis of ``sample`` is time, where you know; None: none of them, the model repeats its input or
            is given it at every step.
        arguments: what ``forward`` is given beside the sample and the states of its neurons, by name.

    Raises:
        ModelError: no axis is the batch, or the sample can be read in two ways; the message says which.
        InputError: an argument is not allowed.
    """
    return read_sample(model, sample, time_axis, arguments)[0]


def read_sample(
    model: nn.Module, sample: Tensor, time_axis: int | str | None = FIND, arguments: Mapping[str, Any] | None = None
) -> tuple[InputForm, Tensor]:
    """The form as in :func:`find_form`, and the sample as frames (time, batch, *shape)."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model: found {shown(model)}, allowed is a snnTorch model; pass that")
    model = plain_of(model)
    check_sample(sample)
    if time_axis not in (FIND, None) and not (isinstance(time_axis, int) and -sample.ndim <= time_axis < sample.ndim):
        raise InputError(
            f"time_axis: found {time_axis!r} for a sample {tuple(sample.shape)}, allowed is the number of an axis, or "
            f"None where the sample has no time"
        )
    axis = time_axis % sample.ndim if isinstance(time_axis, int) else time_axis
    if not isinstance(arguments, (Mapping, type(None))):
        raise InputError(
            f"arguments: found {shown(arguments)}, allowed is a mapping from name to value; write {{'num_steps': 25}}"
        )
    given = dict(arguments or {})
    asked = required_arguments(model, given)
    prober = _Prober(model, InputForm(arguments=given, states=len(asked)), asked)
    form, frames = prober.read(sample, axis)
    _check_flags(model, sample, axis, form)
    return form, frames


def form_of_frames(model: nn.Module, frames: Tensor, arguments: Mapping[str, Any] | None = None) -> InputForm | None:
    """The form in which a model takes frames (time, batch, *shape), laid out in one way or another; None if in none.

    Raises:
        InputError: an argument is not allowed.
    """
    tries: list[tuple[InputForm, int | str | None]] = [(InputForm(), FIND), (InputForm("step", None, 0), 0)]
    tries += [(InputForm("loop", axis, 0), FIND) for axis in sorted({1, frames.ndim - 1})]
    tries.append((InputForm("static", None, 0), None))
    for wanted, axis in tries:
        sample = wanted.sample(frames)
        if not bool(sample.any()):  # one frame of spikes may be silent, which says nothing of a model that repeats it
            continue
        try:
            found = find_form(model, sample, axis, arguments)
        except ModelError:
            continue
        if (found.kind, found.time_axis, found.batch_axis) == (wanted.kind, wanted.time_axis, wanted.batch_axis):
            return found
    return None


def check_sample(sample: object) -> None:
    """Refuse what is no sample.

    Raises:
        InputError: no tensor of two axes or more, empty, not finite, or all zero.
    """
    if not isinstance(sample, Tensor) or sample.ndim < 2 or 0 in sample.shape:
        found = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
        raise InputError(
            f"sample: found {found}, allowed is a tensor as forward() takes it, with a batch; time first, (time, "
            f"batch, *shape), where forward() does one step"
        )
    if not bool(sample.isfinite().all()):
        raise InputError("sample: found NaN or infinity, allowed are finite numbers; clean the data")
    if not bool(sample.any()):
        raise InputError(
            f"sample: found zeros alone in {tuple(sample.shape)}, allowed is input as the model will see it: spikes, "
            f"or the values of a current, of which silence tells neither; give a few real samples"
        )


class _Prober:
    """Runs copies of one model; ``form`` has the arguments and the number of states, ``asked`` names these."""

    def __init__(self, model: nn.Module, form: InputForm, asked: list[str]) -> None:
        self.model, self.form, self.asked = model, form, asked
        self.title = f"{type(model).__name__}.forward()"

    def read(self, sample: Tensor, axis: int | str | None) -> tuple[InputForm, Tensor]:
        """The form, and the sample as frames."""
        whole = self.run([sample])
        if whole.calls and at_once_layers(self.model):
            return self._at_once(sample, axis, whole)
        if whole.calls > 1:
            return self._repeating(sample, axis, whole)
        return self._stepping(sample, axis, whole)

    def run(self, given: Iterable[Tensor], form: InputForm | None = None) -> Seen:
        """What the neurons of a fresh copy are given."""
        twin = copy_of(self.model).eval()
        seen, form, steps = Seen(), form or self.form, list(given)
        layers = spiking_layers(twin)
        forget(layers.values())
        handles = [layer.register_forward_pre_hook(noting(seen, n), with_kwargs=True) for n, layer in layers.items()]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)  # of encoders within the model
            try:
                self._call(twin, seen, form, steps)
            except AspenError as error:
                seen.problem = str(error)
            except OF_THE_MODEL as error:
                seen.problem = one_line(error)
        for handle in handles:
            handle.remove()
        return seen

    def _call(self, twin: nn.Module, seen: Seen, form: InputForm, steps: list[Tensor]) -> None:
        if form.kind == "step" and len(steps) > 1:
            form.call(twin, steps)
            return
        states = form.empty_states(steps[0])
        with known_to_snntorch(twin):
            twin(steps[0], *states, **form.arguments)
        unused = [name for name, state in zip(self.asked, states, strict=True) if id(state) not in seen.states]
        if unused:
            raise ModelError(f"{self.title} asks for {unused[0]!r}, which is no state of a neuron; {_pass(unused)}")

    def _repeating(self, sample: Tensor, axis: int | str | None, whole: Seen) -> tuple[InputForm, Tensor]:
        """A model that loops over time, or repeats its input."""
        if isinstance(axis, int) and self._is_frames_of_static(sample, whole, axis):
            step = sample.movedim(axis, 0)[0]
            form = self._static(step, self.run([step]))
            return form, form_frames(form, step)
        time = axis if isinstance(axis, int) else self._time(sample, whole) if axis == FIND else None
        if time is None:
            form = self._static(sample, whole)
            if axis == FIND and form.batch_axis == 0 and sample.ndim > 2 and self._apart(sample, whole, 1):
                raise ModelError(
                    f"{self.title} repeats its input for {whole.calls} steps and takes axis 0 or 1 of the sample "
                    f"{tuple(sample.shape)} for the batch, allowed is one batch; give the input of one step, (batch, "
                    f"*shape), or pass time_axis=0 (each step is the same) or time_axis=None (axis 0 is the batch)"
                )
            return form, form_frames(form, sample)
        batch = self._batch(sample, whole, without=time)
        if sample.ndim < 3 or batch is None:
            raise ModelError(self._no_batch(sample))
        fixed = None if self._follows(sample, whole, time) else whole.calls
        form = replace(self.form, kind="loop", time_axis=time, batch_axis=batch, steps=fixed)
        return form, sample.movedim((time, batch), (0, 1))

    def _at_once(self, sample: Tensor, axis: int | str | None, whole: Seen) -> tuple[InputForm, Tensor]:
        """A model whose neurons are given all steps at once, (time, batch, n)."""
        steps = {len(own) if len(own) > 1 else len(own[0]) for own in whole.inputs.values()}
        found: dict[str, int] = {}
        for each in range(sample.ndim):
            _, rows, columns = whole.changes(self.run([changed(sample, each, -1)]))
            is_time = rows == {max(steps) - 1} and columns != {-1}
            found.setdefault("time" if is_time else "batch" if len(columns) == 1 < len(rows) else "other", each)
        time = axis if isinstance(axis, int) else found.get("time")
        if time is None or "batch" not in found or len(steps) > 1:
            raise ModelError(
                f"{self.title}: found no axes of the sample {tuple(sample.shape)} that are time and batch of what its "
                f"neurons are given all steps of at once, allowed is (time, batch, n); give 2 steps and 2 samples or "
                f"more, each treated alone"
            )
        form = replace(self.form, kind="loop", time_axis=time, batch_axis=found["batch"], steps=None)
        return form, sample.movedim((time, found["batch"]), (0, 1))

    def _is_frames_of_static(self, sample: Tensor, whole: Seen, axis: int) -> bool:
        """Whether the model, though told that an axis is time, does not read it as such, but repeats each step."""
        if sample.ndim < 3 or self._moves(sample, whole, axis, -1) == whole.calls - 1:
            return False
        return self.run([sample.movedim(axis, 0)[0]]).calls > 1

    def _static(self, step: Tensor, seen: Seen) -> InputForm:
        batch = self._batch(step, seen)
        if batch is None:
            raise ModelError(self._no_batch(step))
        return replace(self.form, kind="static", time_axis=None, batch_axis=batch, steps=seen.calls)

    def _stepping(self, sample: Tensor, axis: int | str | None, whole: Seen) -> tuple[InputForm, Tensor]:
        """A model that does one step; or one that does not take the sample as it is, but a step of it."""
        for short in range(sample.ndim) if whole.calls == 1 else ():
            if sample.shape[short] == 1 and self._follows(sample, whole, short):
                raise InputError(
                    f"sample: found 1 time step in {tuple(sample.shape)}, whose axis {short} {self.title} loops over, "
                    f"allowed are 2 or more; give more"
                )
        first = 0 if axis == FIND else axis
        stepped = self._steps_of(sample, first) if isinstance(first, int) else None
        alone = None
        if axis in (FIND, None) and whole.calls == 1:
            batch = self._batch(sample, whole)
            if batch is not None and not (axis == FIND and stepped and self._apart(sample, whole, 1)):
                alone = replace(self.form, kind="step", time_axis=None, batch_axis=batch)
        if stepped and alone:
            raise ModelError(
                f"{self.title} does one time step and takes the sample {tuple(sample.shape)} both for one step of "
                f"{sample.shape[0]} samples and for {sample.shape[0]} steps of {sample.shape[1]}, allowed is a sample "
                f"that says which; pass time_axis=0 where time is first, time_axis=None where it has no time"
            )
        if stepped:
            return stepped
        if alone:
            return alone, form_frames(alone, sample)
        raise ModelError(self._takes_none(sample, whole))

    def _steps_of(self, sample: Tensor, axis: int) -> tuple[InputForm, Tensor] | None:
        """The sample as steps along ``axis``, or None where the model takes none of them alone."""
        steps = sample.movedim(axis, 0)
        if steps.ndim < 3:
            return None
        seen = self.run([steps[0]])
        batch = self._batch(steps[0], seen) if seen.calls else None
        if batch is None:
            return None
        if seen.calls > 1:
            form = replace(self.form, kind="static", time_axis=None, batch_axis=batch, steps=seen.calls)
            return form, form_frames(form, steps[0])
        form = replace(self.form, kind="step", time_axis=None, batch_axis=batch)
        return form, steps.movedim(batch + 1, 1)

    def _time(self, sample: Tensor, whole: Seen) -> int | None:
        """The axis whose last slice the neurons are given last; or, read backwards, its first."""
        last = whole.calls - 1
        axes = [(a, end) for end in (-1, 0) for a in range(sample.ndim)]
        return next((a for a, end in axes if self._moves(sample, whole, a, end) == last), None)

    def _moves(self, sample: Tensor, whole: Seen, axis: int, index: int) -> int:
        """The first call that changes with a slice of an axis."""
        return whole.changes(self.run([changed(sample, axis, index)]))[0] if sample.shape[axis] > 1 else -1

    def _batch(self, sample: Tensor, whole: Seen, without: int | None = None) -> int | None:
        """The axis that the rows of what the neurons are given follow."""
        rows = whole.rows()
        fitting = [a for a in range(sample.ndim) if a != without and sample.shape[a] == rows]
        apart = [a for a in fitting if rows > 1 and self._changes_rows(sample, whole, a) == {rows - 1}]
        if apart:
            return apart[0]
        grows = [a for a in fitting if self._grows(sample, whole, a)]
        return next(iter(grows or (fitting if without is not None else [])), None)

    def _changes_rows(self, sample: Tensor, whole: Seen, axis: int) -> set[int]:
        return whole.changes(self.run([changed(sample, axis, -1)]))[1]

    def _grows(self, sample: Tensor, whole: Seen, axis: int) -> bool:
        """Whether a sample that is one longer along an axis gives the neurons one row more, at as many steps."""
        seen = self.run([torch.cat([sample, sample.narrow(axis, 0, 1)], axis)])
        return (seen.rows(), seen.calls) == (whole.rows() + 1, whole.calls)

    def _apart(self, sample: Tensor, whole: Seen, axis: int) -> bool:
        """Whether the model treats the slices of an axis apart, like a second batch."""
        last = sample.shape[axis] - 1
        if last == 0:
            return whole.rows() == sample.shape[0] and all(
                given.ndim > 2 and given.shape[1] == 1 for own in whole.inputs.values() for given in own
            )
        return whole.changes(self.run([changed(sample, axis, last)]))[2] == {last}

    def _follows(self, sample: Tensor, whole: Seen, axis: int) -> bool:
        """Whether a sample that is a step longer is read for a step longer."""
        longer = torch.cat([sample, sample.narrow(axis, 0, 1)], axis)
        return self.run([longer]).calls == whole.calls + 1

    def _no_batch(self, sample: Tensor) -> str:
        return (
            f"{self.title}: found no axis of the sample {tuple(sample.shape)} that is the batch of its neurons, "
            f"allowed is (batch, *shape) as what each neuron is given, each sample alone; keep the batch apart, and "
            f"the first dimension"
        )

    def _takes_none(self, sample: Tensor, whole: Seen) -> str:
        if self.asked:
            return (
                f"{self.title} does not take {self.asked} as the states of its neurons "
                f"({whole.problem or 'it calls no neuron'}); {_pass(self.asked)}"
            )
        step = self.run([sample[0]]) if sample.ndim > 2 else whole
        if whole.calls or step.calls:
            return self._no_batch(sample)
        return (
            f"{self.title} failed on the sample {tuple(sample.shape)}: {_reason(whole)}; and on one step of it, time "
            f"first: {_reason(step)}; correct the model, or give a sample as it takes it"
        )


def _reason(seen: Seen) -> str:
    return seen.problem[:80] or "it calls no neuron"


def _pass(names: list[str]) -> str:
    return f"pass arguments={{{', '.join(f'{name!r}: ...' for name in names)}}}"


def form_frames(form: InputForm, step: Tensor) -> Tensor:
    """(time, batch, *shape): one step's input at every step of the model, or at :data:`REPEATS`."""
    once = step.movedim(form.batch_axis, 0)
    return once.unsqueeze(0).repeat(form.steps or REPEATS, *[1] * once.ndim)


def _check_flags(model: nn.Module, sample: Tensor, axis: int | str | None, form: InputForm) -> None:
    """Refuse a model that reads other axes where one of its flags, which was not given, is the other way."""
    parameters = inspect.signature(model.forward).parameters
    for name, parameter in list(parameters.items())[1:]:
        if not isinstance(parameter.default, bool) or name in form.arguments:
            continue
        other = {**form.arguments, name: not parameter.default}
        prober = _Prober(model, InputForm(arguments=other, states=form.states), required_arguments(model, other))
        try:
            found, _ = prober.read(sample, axis)
        except AspenError:
            continue
        if (found.kind, found.time_axis, found.batch_axis) != (form.kind, form.time_axis, form.batch_axis):
            raise ModelError(
                f"{prober.title} reads the sample {tuple(sample.shape)} otherwise with {name}={not parameter.default} "
                f"({found}) than with {name}={parameter.default} ({form}), allowed is one way; pass "
                f"arguments={{{name!r}: ...}} as you train it"
            )
