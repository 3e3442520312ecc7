"""A model as the training sees it: given frames (time, batch, *shape), however its ``forward`` takes its input."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aspen.data import Dataset, RateEncoder, StaticEncoder
from aspen.errors import AspenError, InputError
from aspen.fused.module import Fused
from aspen.models.copying import copy_of
from aspen.models.forms import InputForm
from aspen.models.layers import forget, spiking_layers
from aspen.models.probing import find_form, form_of_frames
from aspen.thresholds.perturbation import get_perturbation

Runner = Callable[[Tensor], Any]
"""Takes frames, and gives what the model answers, with time first where it answers at each step."""
_SAMPLES = 2


def form_for(model: nn.Module, frames: Tensor) -> InputForm:
    """How a model takes frames; time first where that cannot be found out, as of silent input.

    Args:
        model: the model; copies of it run.
        frames: (time, batch, *shape); its first samples count.
    """
    if not bool(frames.any()):
        return InputForm()
    few = frames[:, :_SAMPLES]
    few = few if few.shape[1] == _SAMPLES else few.repeat_interleave(_SAMPLES, dim=1)
    return form_of_frames(model, few) or InputForm()


def framed(model: nn.Module, runner: nn.Module, form: InputForm, frames: Tensor) -> Runner:
    """The model, or its fused self ``runner``, as it is given frames like these.

    Raises:
        InputError: the model repeats one input, and the frames change from step to step.
    """
    if form.kind == "loop" and (form.time_axis, form.batch_axis) == (0, 1) and not form.arguments:
        return runner
    if form.static and not bool((frames == frames[:1]).all()):
        raise InputError(
            f"data: found input that changes from step to step, allowed for {type(model).__name__}, which repeats its "
            f"input, is the same at every step; encode the data by aspen.data.StaticEncoder(steps={form.steps})"
        )
    if form.static and form.steps not in (None, len(frames)):
        raise InputError(
            f"data: found {len(frames)} time steps, allowed for {type(model).__name__} are the {form.steps} that it "
            f"takes; encode the data by aspen.data.StaticEncoder(steps={form.steps})"
        )
    return _Framed(model, runner, form, _turn(model, form, frames))


def held_still(model: nn.Module, data: Dataset) -> Dataset:
    """Own features or images, which would be rate coded, as they are, the same at every step, where the model repeats
    its input."""
    if not isinstance(data.encoder, RateEncoder) or not isinstance(model, nn.Module):
        return data
    first = next(model.parameters(), torch.zeros(()))
    sample = torch.from_numpy(np.array(data.train.values[:_SAMPLES])).to(first.device, first.dtype)
    try:
        form = find_form(model, sample)
    except AspenError:
        return data
    if not form.static or form.steps is None:
        return data
    split = data.told.split("; encoder ")[0]
    why = f"encoder static: {type(model).__name__} repeats its input for {form.steps} steps"
    return replace(data, encoder=StaticEncoder(form.steps), told=f"{split}; {why}")


class _Framed:
    """Lays frames out for a model, and turns its answer so that time is first."""

    def __init__(self, model: nn.Module, runner: nn.Module, form: InputForm, turn: tuple[int, ...]) -> None:
        self.model, self.runner, self.form, self.turn = model, runner, form, turn

    def __call__(self, frames: Tensor) -> Any:
        answer = _first(_answer(self.model, self.runner, self.form, frames))
        return answer.permute(self.turn) if isinstance(answer, Tensor) and answer.ndim == len(self.turn) else answer


def _answer(model: nn.Module, runner: nn.Module, form: InputForm, frames: Tensor) -> Any:
    if form.kind != "step":
        return form.call(runner, form.given(frames))
    if isinstance(runner, Fused):
        return runner(frames)
    forget(spiking_layers(model).values())
    perturbation = get_perturbation(model)
    with nullcontext() if perturbation is None else perturbation.sequence():  # one draw for all steps
        made = form.call(runner, form.given(frames))
    each = len(made) // len(frames)
    return torch.stack(made[::each])


def _turn(model: nn.Module, form: InputForm, frames: Tensor) -> tuple[int, ...]:
    """How a model's answer is turned to (time, batch, classes); found by two runs with batches of other sizes."""
    found: list[tuple[int, ...]] = []
    for size in (len(frames) + 1, len(frames) + 2):
        twin = copy_of(model).eval()
        several = frames[:, :1].repeat_interleave(size, dim=1)
        with torch.no_grad():
            answer = _first(_answer(twin, twin, form, several))
        found.append(tuple(answer.shape) if isinstance(answer, Tensor) else ())
    moved = [axis for axis, (a, b) in enumerate(zip(*found, strict=False)) if a != b]
    if len(found[0]) != 3 or len(moved) != 1 or moved[0] == 1:
        return (0, 1, 2)
    times = [axis for axis in (1, 2) if found[0][axis] == len(frames)] or [1]
    return times[0], 0, 3 - times[0]


def _first(answer: Any) -> Any:
    return answer[0] if isinstance(answer, (tuple, list)) and answer else answer
