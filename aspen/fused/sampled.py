"""Matrix products of which few results are asked for, compiled: gradients of spikes where their surrogate is not zero.

Known as sampled products (SDDMM). The gradient that arrives at a layer's spikes is multiplied by the derivative of
their surrogate; where that is zero, as away from the threshold of a :class:`aspen.models.surrogates.Triangle`, it need
not be computed. Each result is one sum over the outputs, in the same order whatever the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.compiled import compiled
from aspen._base.compiling import tell_of_compiling
from aspen.fused.events import list_bits
from aspen.fused.vectors import LANES, SURE, copy_vectors, multiply_pair

tell_of_compiling(__name__)
_compiled: Any = partial(compiled, folder=True, error_model="numpy")
PAIR = 2
"""Results whose sums are made at a time."""


@_compiled
def input_gradient(
    lo: int, hi: int, start: int, stop: int, grad: Array, weights: Array, near: Array, made: Array
) -> None:
    """The gradient of the inputs of the rows ``lo`` to ``hi`` where it is asked for, and 0 elsewhere.

    Args:
        lo, hi: rows.
        start, stop: outputs, all n; n is a multiple of LANES.
        grad: of the outputs (rows, n), contiguous.
        weights: of each input, and one row more, (m + 1, n), contiguous.
        near: of which inputs it is asked for, in bits (rows, m / LANES) as :class:`aspen.fused.arrays.Steps` has them.
        made: filled (rows, m), contiguous.
    """
    n, m = grad.shape[1], made.shape[1]
    table, arriving, flat = weights.reshape(-1), grad.reshape(-1), made.reshape(-1)
    row = np.zeros(m + LANES, made.dtype)
    places = np.empty(m + SURE + PAIR, np.int32)
    for r in range(lo, hi):
        found = list_bits(near[r], places, 0)
        places[found] = m  # of an odd number the last pair has one that nobody asked for
        row[:] = 0
        for i in range(0, found, PAIR):
            multiply_pair(arriving, r * n, n, table, places, i, row)
        copy_vectors(row, flat, r * m, m)
