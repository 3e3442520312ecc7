"""Which neurons fired in a pass, and which were near it, in bits, which are found by the spikes that they tell of.

A linear layer that is given spikes as the neurons wrote them reads bits instead, a 32nd of the memory. It is not given
them any more where a copy was made, which is another storage, or where something was changed in place, which makes
another version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import ref

import torch
from torch import Tensor


class _Spikes(NamedTuple):
    """Of what memory bits tell."""

    storage: Callable[[], torch.UntypedStorage | None]
    version: int
    numel: int
    dtype: torch.dtype
    bits: Tensor
    near: Tensor | None


class Fired:
    """The bits of one pass."""

    def __init__(self) -> None:
        self._known: dict[int, _Spikes] = {}

    def keep(self, spikes: Tensor, bits: Tensor, near: Tensor | None = None) -> None:
        """Remember which of some spikes, 0 or 1 and contiguous, are 1, as :class:`aspen.fused.arrays.Steps` has it; and
        which have a surrogate other than zero, ``None`` where that is not known.

        Their memory is not held. Of what torch's inference mode made nothing is kept, as that has no versions.
        """
        if not spikes.is_inference():
            storage = ref(spikes.untyped_storage())
            self._known[spikes.data_ptr()] = _Spikes(storage, spikes._version, spikes.numel(), spikes.dtype, bits, near)

    def of(self, values: Tensor) -> Tensor | None:
        """The bits of these values, where they are all of some spikes as the neurons wrote them, in any shape."""
        known = self._find(values)
        return None if known is None else known.bits

    def near(self, values: Tensor) -> Tensor | None:
        """The same of which have a surrogate other than zero."""
        known = self._find(values)
        return None if known is None else known.near

    def _find(self, values: Tensor) -> _Spikes | None:
        known = self._known.get(values.data_ptr())
        if known is None or values.untyped_storage() is not known.storage() or not values.is_contiguous():
            return None
        same = values._version == known.version and values.numel() == known.numel and values.dtype == known.dtype
        return known if same else None
