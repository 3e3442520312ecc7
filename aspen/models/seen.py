"""What a model's neurons are given in one run, and how a sample is changed to see what of it moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Seen:
    """What the neurons were given in one run: layer -> its input, call by call; and the ids of states they took."""

    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    states: set[int] = field(default_factory=set)
    problem: str = ""

    @property
    def calls(self) -> int:
        """The largest number of calls of a neuron; 0 where the run failed."""
        return 0 if self.problem else max((len(own) for own in self.inputs.values()), default=0)

    def rows(self) -> int:
        """Size of the first axis of what the neurons are given; 0 where they differ."""
        sizes = {len(given) if given.ndim > 1 else 0 for own in self.inputs.values() for given in own}
        return sizes.pop() if len(sizes) == 1 else 0

    def changes(self, other: Seen) -> tuple[int, set[int], set[int]]:
        """The first call that another run changed, and the rows and columns (axis 1) that it changed in any call.

        The call is -1 where nothing changed, or the runs have other calls or shapes.
        """
        first, rows, columns = -1, set[int](), set[int]()
        for name, own in self.inputs.items():
            for call, (a, b) in enumerate(zip(own, other.inputs.get(name, []), strict=False)):
                if a.shape != b.shape:
                    return -1, set(), set()
                wrong = a != b
                if bool(wrong.any()):
                    first = call if first < 0 else min(first, call)
                    rows |= _indices(wrong, 0)
                    columns |= _indices(wrong, 1) if wrong.ndim > 2 else {-1}
        return first, rows, columns


def _indices(wrong: Tensor, axis: int) -> set[int]:
    return set(wrong.movedim(axis, 0).reshape(wrong.shape[axis], -1).any(1).nonzero().flatten().tolist())


def noting(seen: Seen, name: str) -> Any:
    """A hook on a neuron that notes what it is given."""

    def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
        given = args[0] if args else kwargs.get("input_")
        if isinstance(given, Tensor):
            seen.inputs.setdefault(name, []).append(given.detach().clone())
        seen.states |= {id(value) for value in (*args[1:], *kwargs.values())}

    return hook


def changed(sample: Tensor, axis: int, index: int) -> Tensor:
    """The sample with one slice of an axis changed everywhere, within its range."""
    low, high = (sample.min(), sample.max()) if sample.dtype != torch.bool else (False, True)
    made = sample.clone()
    place = made.select(axis, index)
    mirrored = ~place if sample.dtype == torch.bool else low + high - place
    place.copy_(mirrored if sample.dtype == torch.bool or bool(low != high) else torch.zeros_like(place))
    return made
