"""Convolutions from the targets' side: each target's window of the source, and the weights of what spiked in it.

The rows of :mod:`aspen_emulator.engines.fast.connections` go from a spike to all that it reaches, and so load and store
a target's sums as often as spikes reach it. Here a target's sums stay in registers until they are whole; what it costs
to look for the spikes of every window is worth it from some spikes on. Two ways to find them, by how the source is
numbered: with channels last, the spikes of a line of a window stand side by side in the list of spikes (``LISTED``);
with channels first, a few neighbouring neurons of a line are bits that say which sum of weights to add (``LOOKED_UP``).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from aspen._base.arrays import Array
from aspen.network.connections import Conv
from aspen_emulator.engines.fast.connections import reached, runs
from aspen_emulator.engines.fast.core.columns import LANES, LISTED, LOOKED_UP, PAD, QUARTER

RUN_NS = 8.0
"""Measured cost of adding the weights of a spike to the targets side by side on one line, ns."""
RUN_BYTE_NS = 0.02
"""... and of each byte of them."""
PLACE_NS = 1.4
"""Measured cost of counting the spikes before each place of the source, ns."""
PART_NS = 3.6
"""... of finding a window's spikes on one line."""
ADD_NS, ADD_BYTE_NS = 0.4, 0.005
"""... and of adding the weights of a spike, or of a few neighbours, to the sums of one window, in all and per byte."""
MOST_BITS = 5
"""Neighbours whose sums of weights are made beforehand: 32 sums."""
LARGEST = 2**18
"""Most bytes of such sums for a connection: they are worth it where they stay in a cache close by."""
NEVER = 2**31 - 1
"""Spikes that no population has in a step."""


@dataclass(frozen=True)
class Windows:
    """A convolution as tables of windows, or nothing of it where ``least`` is ``NEVER``.

    Args:
        least: spikes of the source in a step from which on windows cost less than rows.
        weights: (rows, numbers in a row), the first row zero: the rows that windows add up.
        index: what :func:`aspen_emulator.engines.fast.core.windows.add_windows` reads, flat.
        longest: rows that one window, or one line of them, adds up at most.
    """

    least: int
    weights: Array
    index: Array
    longest: int


NONE = Windows(NEVER, np.zeros((0, 0), np.int64), np.zeros(0, np.int64), 0)


def windows_of(connection: Conv, channels_last: bool, kind: type) -> Windows:
    """The windows of a convolution.

    Args:
        connection: which.
        channels_last: how its source is numbered; its targets are, channels last.
        kind: type of the sums of weights.
    """
    if connection.groups > 1:
        return NONE
    size = np.dtype(kind).itemsize
    width = -(-connection.weight.shape[0] * size // QUARTER) * QUARTER // size
    made = (_listed if channels_last else _looked_up)(connection, width, width * size)
    if made is None or len(made.weights) * width >= 2**31 or prod(connection.input_shape) * width >= 2**31:
        return NONE
    return made


def _listed(connection: Conv, width: int, row_bytes: int) -> Windows:
    channels, fronts = connection.weight.shape[1], _fronts(connection)
    columns = connection.weight.shape[-1]
    from_lines = _read(connection, slice(0, -1), fronts)
    from_columns = _read(connection, slice(-1, None), [(k,) for k in range(columns)])
    taps = connection.weight.reshape(connection.weight.shape[0], channels, -1).transpose(2, 1, 0)  # (taps, in, out)
    weights = np.zeros((1 + taps.shape[0] * channels, width), taps.dtype)
    weights[1:, : taps.shape[2]] = taps.reshape(-1, taps.shape[2])
    lines = runs(from_lines, connection.input_shape[-1], columns, joined=False)
    places = prod(connection.input_shape[1:])
    header = [LISTED, len(from_lines), len(from_columns), connection.weight.shape[0], width, channels, places]
    index = np.concatenate([header, [len(lines)], lines, runs(from_columns, 1, 1, joined=True)])
    inside = int((from_lines >= 0).sum()) * int((from_columns >= 0).sum())  # places of all windows
    parts = int((from_lines >= 0).sum()) * len(from_columns)
    fixed = PLACE_NS * places + PART_NS * parts
    by_window = (ADD_NS + ADD_BYTE_NS * row_bytes) * inside / places
    return Windows(_least(connection, fixed, by_window, row_bytes), weights, index, len(weights))


def _looked_up(connection: Conv, width: int, row_bytes: int) -> Windows | None:
    outputs, channels, *kernel = connection.weight.shape
    fronts, stride, padding = _fronts(connection), connection.stride[-1], connection.padding[-1]
    pieces = np.array_split(np.arange(kernel[-1]), -(-kernel[-1] // MOST_BITS))
    rows = sum(2 ** len(piece) for piece in pieces)
    far = (LANES - 1) * stride + MOST_BITS > PAD or padding > PAD
    if connection.dilation[-1] > 1 or far or channels * len(fronts) * rows * row_bytes > LARGEST:
        return None
    weights = np.zeros((1 + channels * len(fronts) * rows, width), connection.weight.dtype)
    taps = connection.weight.reshape(outputs, channels, len(fronts), kernel[-1]).transpose(1, 2, 3, 0)
    sums = np.concatenate([_subsets(taps[:, :, piece]) for piece in pieces], axis=2)
    weights[1:, :outputs] = sums.reshape(-1, outputs)
    one = _read(connection, slice(0, -1), fronts)
    of_channel = prod(connection.input_shape[1:-1])
    from_lines = np.concatenate([np.where(one >= 0, one + c * of_channel, -1) for c in range(channels)], axis=1)
    lines = runs(from_lines, connection.input_shape[-1], 1, joined=False)
    described, row = [], 0
    for piece in pieces:
        described += [PAD - padding + int(piece[0]), 2 ** len(piece) - 1, row]
        row += 2 ** len(piece)
    columns, most = connection.output_shape[-1], 4 * -(-from_lines.shape[1] * len(pieces) // 4)
    header = [LOOKED_UP, len(from_lines), columns, outputs, width, stride, connection.input_shape[-1]]
    index = np.concatenate([header, [len(lines)], lines, [rows, len(pieces)], described])
    adds = int((from_lines >= 0).sum()) * len(pieces) * columns
    fixed = (ADD_NS + ADD_BYTE_NS * row_bytes) * adds
    return Windows(_least(connection, fixed, 0.0, row_bytes), weights, index, most * (columns + LANES))


def _subsets(taps: Array) -> Array:
    """(..., n, outputs) -> (..., 2^n, outputs): the sums of the taps whose bits are set."""
    n = taps.shape[-2]
    chosen = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return np.asarray(np.matmul(chosen.astype(taps.dtype), taps))


def _fronts(connection: Conv) -> list[tuple[int, ...]]:
    """The taps of the kernel along all dimensions but the last."""
    return list(product(*(range(n) for n in connection.weight.shape[2:-1])))


def _least(connection: Conv, fixed: float, by_window: float, row_bytes: int) -> int:
    """Spikes from which on windows, which cost something fixed and something for each spike, cost less than rows."""
    kernel, shape, out = connection.weight.shape[2:], connection.input_shape[1:], connection.output_shape[1:]
    lines = prod(k * o / n for k, o, n in zip(kernel[:-1], out[:-1], shape[:-1], strict=True))
    by_rows = lines * (RUN_NS + RUN_BYTE_NS * row_bytes * kernel[-1] * out[-1] / shape[-1])
    return max(1, int(min(NEVER, np.ceil(fixed / (by_rows - by_window))))) if by_rows > by_window else NEVER


def _read(connection: Conv, dims: slice, taps: list[tuple[int, ...]]) -> Array:
    """(targets, taps), counted along some of the spatial dimensions: the place that each tap reads, or -1."""
    leads = reached(connection, dims, taps)
    place, tap = np.nonzero(leads >= 0)
    read = np.full((prod(connection.output_shape[1:][dims]), len(taps)), -1, np.int64)
    read[leads[place, tap], tap] = place
    return read
