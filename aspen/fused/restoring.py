"""From what a model returns when it takes all steps for one, to what its loop returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from aspen.errors import ModelError

Restore = Callable[[Any, int], Any]
"""Takes what the fused pass returned, and the number of steps."""


def _stacked_second(made: Tensor, steps: int) -> Tensor:
    return made.squeeze(1).unflatten(0, (steps, -1)).transpose(0, 1)


_FORMS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "steps first": lambda made, steps: made.squeeze(0).unflatten(0, (steps, -1)),
    "steps second": _stacked_second,
    "steps last": lambda made, steps: made.squeeze(-1).unflatten(0, (steps, -1)).movedim(0, -1),
    "each step": lambda made, steps: made.unflatten(0, (steps, -1)),
    "sum": lambda made, steps: made.unflatten(0, (steps, -1)).sum(0),
    "mean": lambda made, steps: made.unflatten(0, (steps, -1)).mean(0),
    "last": lambda made, steps: made.unflatten(0, (steps, -1))[-1],
}


def find_restore(what: str, looped: Any, made: Any, steps: int, batch: int) -> Restore:
    """How the pass's return value becomes the loop's.

    Args:
        what: the model, for messages.
        looped: what the loop returned.
        made: what the pass returned, with all steps taken for one.
        steps, batch: of both.

    Raises:
        ModelError: no way is known.
    """
    if isinstance(looped, Tensor) and isinstance(made, Tensor):
        return _restore_tensor(what, looped, made, steps, batch)
    if isinstance(looped, (list, tuple)) and type(looped) is type(made):
        if len(looped) == len(made):
            return _restore_parts(what, looped, made, steps, batch)
        if len(looped) == steps and len(made) == 1 and all(isinstance(part, Tensor) for part in looped):
            inner = _restore_tensor(what, torch.stack(list(looped)), made[0], steps, batch)
            return lambda value, count: type(looped)(inner(value[0], count).unbind(0))
    if isinstance(looped, dict) and isinstance(made, dict) and looped.keys() == made.keys():
        inside = {key: find_restore(f"{what}[{key!r}]", looped[key], made[key], steps, batch) for key in looped}
        return lambda value, count: {key: restore(value[key], count) for key, restore in inside.items()}
    if not isinstance(looped, Tensor) and looped == made:
        return lambda value, count: value
    raise ModelError(_refusal(what))


def _restore_parts(what: str, looped: Any, made: Any, steps: int, batch: int) -> Restore:
    pairs = enumerate(zip(looped, made, strict=True))
    inside = [find_restore(f"{what}[{i}]", one, other, steps, batch) for i, (one, other) in pairs]
    kind = type(looped)

    def restore(value: Any, count: int) -> Any:
        parts = [part(entry, count) for part, entry in zip(inside, value, strict=True)]
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)

    return restore


def _restore_tensor(what: str, looped: Tensor, made: Tensor, steps: int, batch: int) -> Restore:
    for name, form in _FORMS.items():
        if _applies(name, made, steps * batch):
            found = form(made, steps)
            if found.dtype == looped.dtype and close(found, looped):
                return form
    raise ModelError(_refusal(what))


def _applies(form: str, made: Tensor, merged: int) -> bool:
    if form == "steps first":
        return made.ndim > 1 and made.shape[:2] == (1, merged)
    if form == "steps second":
        return made.ndim > 1 and made.shape[:2] == (merged, 1)
    if form == "steps last":
        return made.ndim > 1 and (made.shape[0], made.shape[-1]) == (merged, 1)
    return made.ndim > 0 and made.shape[0] == merged


def close(one: Tensor, other: Tensor) -> bool:
    """Whether both are the same up to rounding."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    scale = float(other.detach().abs().max()) if other.numel() else 0.0
    tolerance = (1e-9 if one.dtype == torch.float64 else 1e-4) * max(scale, 1e-3)
    return torch.allclose(one, other, rtol=0.0, atol=tolerance, equal_nan=True)


def _refusal(what: str) -> str:
    return (
        f"{what}: found a return value that is not the steps' values, stacked, summed, averaged or the last, which "
        f"cannot be fused; return all steps (torch.stack) and compute the rest outside"
    )
