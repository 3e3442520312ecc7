"""Round weights so that their errors cancel on the inputs that come together.

Weights rounded one by one leave errors that add up wherever inputs spike together. Rounded in turn, each weight's error
can be made up for by those that are still to be rounded, as far as their inputs spike with its own: optimal brain
quantisation (Hassibi and Stork, 1993; Frantar et al., GPTQ, arXiv:2210.17323). What a layer's rounding should leave
unchanged is its membranes, so the inputs are compared as leaky sums of spikes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Connection, Dense
from aspen_hardware.compiling import formats as quantize

LARGEST = 2048
"""Inputs of a connection that are compared with each other at most; with more, weights are rounded one by one."""
DAMPING = 0.01
"""Added to every input's square, relative to their mean: other data may spike differently."""

Moments = Callable[[Dense], Array]
"""Gives (n_source, n_source): mean products of the inputs' leaky sums of spikes, on sample data."""


class Compensator:
    """Rounds the weights of dense connections with compensation, all others to the nearest.

    Args:
        moments: of the inputs of a connection; asked for once each.
    """

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._solved: dict[str, tuple[Array, Array, Array]] = {}

    def quantize(self, connection: Connection, scale: float) -> Array:
        """Integers near ``connection.weight * scale`` that Loihi can store; weights of zero stay zero."""
        if not isinstance(connection, Dense) or connection.weight.shape[1] > LARGEST:
            return quantize.quantize_weight(connection.weight, scale)
        if connection.name not in self._solved:
            moments = self._moments(connection)
            self._solved[connection.name] = (moments, *_solve(moments))
        moments, *solved = self._solved[connection.name]
        weight = connection.weight
        return _nearer(
            compensated(weight, scale, *solved), quantize.quantize_weight(weight, scale), weight * scale, moments
        )


def _nearer(made: Array, nearest: Array, exact: Array, moments: Array) -> Array:
    """Of each target the weights that change its membranes less: what is cut off can leave too much to the rest."""
    worse = _membrane_errors(made - exact, moments) > _membrane_errors(nearest - exact, moments)
    return np.where(worse[:, None], nearest, made)


def _membrane_errors(errors: Array, moments: Array) -> Array:
    """Mean square of what errors of the weights, (n_target, n_source), change in each target's membrane."""
    return np.einsum("ij,ij->i", errors @ moments, errors)


def _solve(moments: Array) -> tuple[Array, Array]:
    """The order of rounding, busiest inputs first, and the upper factor of the inverse in that order."""
    from scipy.linalg import cholesky, inv  # slow to import, and for calibration alone

    busy = np.diag(moments)
    order = np.argsort(-busy, kind="stable")
    damping = DAMPING * (busy.mean() or 1.0)
    damped = moments[np.ix_(order, order)] + damping * np.eye(len(busy))
    return order, cholesky(inv(damped))


def compensated(weight: Array, scale: float, order: Array, factor: Array) -> Array:
    """Integers near ``weight * scale``, (n_target, n_source) int32.

    Args:
        weight: (n_target, n_source) floats.
        scale: integers per unit.
        order: (n_source,), in which weights are rounded.
        factor: (n_source, n_source), upper triangular: its transpose times it is the inverse of the inputs' moments.
    """
    low, high = quantize.weight_range(weight)
    step = quantize.weight_step(weight)
    rest = weight[:, order].astype(np.float64) * scale
    stored, rounded = rest != 0, np.zeros_like(rest)
    for i in range(len(order)):
        rounded[:, i] = np.clip(step * np.rint(rest[:, i] / step), low, high) * stored[:, i]
        error = (rest[:, i] - rounded[:, i]) / factor[i, i]
        rest[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :])
    integers = np.empty(weight.shape, np.int32)
    integers[:, order] = rounded
    return integers
