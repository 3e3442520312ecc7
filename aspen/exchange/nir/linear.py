"""Linear nodes of NIR as connections: each by itself, and chains of them folded into one.

A map is held as a :class:`~aspen.network.connections.Connection` without names, or ``None`` for the identity. What
adds a
constant is told apart: the constant of a chain is worked out on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from aspen._base.arrays import Array
from aspen._base.memory import MAX_NEURONS
from aspen.errors import FileFormatError, NetworkError
from aspen.exchange.nir.neurons import read_field
from aspen.network.connections import Connection, Conv, Dense, Sparse

MAX_SYNAPSES = 2**26
"""Most synapses that are written out one by one."""
DENSE_FROM = 0.25
"""A folded map with at least this share of synapses other than zero becomes Dense, one with fewer Sparse."""


@dataclass(frozen=True)
class Operation:
    """What one linear node does.

    Args:
        shape: of its output.
        link: its linear map; ``None`` for the identity.
        bias: (n_target,) or None.
        delay: in time steps.
    """

    shape: tuple[int, ...]
    link: Connection | None = None
    bias: Array | None = None
    delay: int = 0


def read_sizes(where: str, values: Any) -> tuple[int, ...]:
    """A shape of positive sizes, small enough to work with."""
    try:
        array = np.atleast_1d(np.asarray(values)).reshape(-1)
        sizes = tuple(int(n) for n in array) if array.dtype.kind in "iuf" else ()
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise FileFormatError(f"{where}: found no shape ({error}); write the graph again") from error
    if not sizes or len(sizes) > 8 or min(sizes) < 1 or prod(sizes) > MAX_NEURONS:
        raise FileFormatError(f"{where}: found shape {sizes[:8]}, allowed are sizes from 1, {MAX_NEURONS} in all")
    return sizes


def _read_numbers(name: str, node: Any, field: str, count: int) -> tuple[int, ...]:
    """``count`` whole numbers; one stands for all."""
    array = np.atleast_1d(read_field(name, node, field)).reshape(-1)
    if len(array) not in (1, count) or not (array == np.rint(array)).all() or np.abs(array).max() > MAX_NEURONS:
        raise FileFormatError(f"{name}.{field}: found {array[:4]}, allowed are {count} whole numbers")
    return tuple(int(n) for n in np.broadcast_to(array, count))


def _read_weight(name: str, node: Any, field: str = "weight") -> Array:
    weight = read_field(name, node, field)
    return weight if weight.dtype.kind == "f" else weight.astype(np.float64)  # integers would be a chip's


def _affine(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    weight = _read_weight(name, node)
    if weight.ndim != 2 or shape != (weight.shape[1],):
        raise FileFormatError(
            f"{name}.weight: found shape {weight.shape} for an input of shape {shape}, allowed is "
            f"(n_target, n_source) for (n_source,); put a Flatten before it"
        )
    bias = _read_weight(name, node, "bias") if type(node).__name__ == "Affine" else None
    if bias is not None and bias.size != weight.shape[0]:
        raise FileFormatError(f"{name}.bias: found shape {bias.shape}, allowed is ({weight.shape[0]},)")
    link = Dense(name, name, weight)
    return Operation((weight.shape[0],), link, None if bias is None else bias.reshape(-1))


def _scale(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    scale = _read_weight(name, node, "scale")
    if scale.size != 1 and scale.shape != shape:
        raise FileFormatError(f"{name}.scale: found shape {scale.shape}, allowed is {shape}")
    n = np.arange(prod(shape))
    return Operation(shape, Sparse(name, name, np.broadcast_to(scale.reshape(-1), n.shape), n, n, (len(n), len(n))))


def _padding(name: str, node: Any, span: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    """Zeros on each side; ``span`` is the kernel with its dilation."""
    given = node.padding
    given = given.decode("utf8", "replace") if isinstance(given, bytes) else given
    if not isinstance(given, str):
        return _read_numbers(name, node, "padding", len(span))
    if given == "valid":
        return (0,) * len(span)
    if given != "same" or any(n % 2 == 0 for n in span) or set(stride) != {1}:
        raise NetworkError(
            f"{name}.padding: found {given!r} with a kernel spanning {span} and stride {stride}, allowed is "
            f"'same' with odd spans and stride 1; give the padding in numbers"
        )
    return tuple((n - 1) // 2 for n in span)


def _check_padded(name: str, size: tuple[int, ...], padding: tuple[int, ...], channels: int) -> None:
    if min(padding) < 0 or channels * prod(n + 2 * p for n, p in zip(size, padding, strict=True)) > MAX_NEURONS:
        raise FileFormatError(f"{name}.padding: found {padding}, allowed is 0 and more, {MAX_NEURONS} values in all")


def _need_dimensions(name: str, node: Any, shape: tuple[int, ...], dimensions: int) -> None:
    if len(shape) != dimensions + 1:
        raise FileFormatError(
            f"{name} ({type(node).__name__}): found an input of shape {shape}, allowed is (channels, *size) with "
            f"{dimensions} sizes; check the Input node"
        )


def _conv(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    weight = _read_weight(name, node)
    dimensions = int(type(node).__name__[4])
    _need_dimensions(name, node, shape, dimensions)
    if weight.ndim != dimensions + 2:
        raise FileFormatError(f"{name}.weight: found shape {weight.shape}, allowed is (out, in, *kernel)")
    if getattr(node, "input_shape", None) is not None and read_sizes(name, node.input_shape) != shape[1:]:
        raise FileFormatError(f"{name}.input_shape: found {node.input_shape}, what arrives has the shape {shape[1:]}")
    stride, dilation = (_read_numbers(name, node, field, dimensions) for field in ("stride", "dilation"))
    span = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    padding = _padding(name, node, span, stride)
    _check_padded(name, shape[1:], padding, shape[0])
    (groups,) = _read_numbers(name, node, "groups", 1)
    link = Conv(
        name, name, weight, shape, stride=stride, padding=padding, dilation=dilation, groups=groups
    )  # fmt: skip
    bias = _read_weight(name, node, "bias").reshape(-1) if node.bias is not None else np.zeros(1, weight.dtype)
    if bias.size not in (1, weight.shape[0]):
        raise FileFormatError(f"{name}.bias: found {bias.size} values, allowed is one for each of {weight.shape[0]}")
    places = prod(read_sizes(name, link.output_shape)[1:])
    return Operation(link.output_shape, link, np.repeat(np.broadcast_to(bias, weight.shape[0]), places))


def _pool(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    """Pooling is a convolution of each channel by itself; the average counts the padding, as PyTorch's does."""
    _need_dimensions(name, node, shape, 2)
    kernel, stride, padding = (_read_numbers(name, node, field, 2) for field in ("kernel_size", "stride", "padding"))
    _check_padded(name, shape[1:], padding, shape[0])
    if min(kernel) < 1 or shape[0] * prod(kernel) > MAX_NEURONS:
        raise FileFormatError(f"{name}.kernel_size: found {kernel}, allowed are sizes from 1")
    value = 1.0 if type(node).__name__ == "SumPool2d" else 1.0 / prod(kernel)
    weight = np.full((shape[0], 1, *kernel), value)
    link = Conv(name, name, weight, shape, stride=stride, padding=padding, groups=shape[0])
    return Operation(read_sizes(name, link.output_shape), link)


def _flatten(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    (start,), (end,) = (_read_numbers(name, node, field, 1) for field in ("start_dim", "end_dim"))
    start, end = (n + len(shape) if n < 0 else n for n in (start, end))
    if not 0 <= start <= end < len(shape):
        raise FileFormatError(f"{name}: found dimensions {start} to {end}, allowed are those of {shape}")
    return Operation((*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


def _delay(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    delay = read_field(name, node, "delay").astype(np.float64).reshape(-1)
    steps = float(np.rint(delay[0] / dt)) if abs(delay[0]) < 1e6 * dt else -1.0
    if steps < 0 or (np.abs(delay / dt - steps) > 1e-4).any():
        raise NetworkError(
            f"{name} (Delay): found {delay.min():g} to {delay.max():g} s, allowed is one whole number of time steps of "
            f"{dt:g} s for all; use one Delay node for each, and give the time step (dt) of the network"
        )
    return Operation(shape, delay=int(steps))


def _identity(name: str, node: Any, shape: tuple[int, ...], dt: float) -> Operation:
    return Operation(shape)


OPERATIONS: dict[str, Callable[[str, Any, tuple[int, ...], float], Operation]] = {
    "Affine": _affine,
    "Linear": _affine,
    "Scale": _scale,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
    "Delay": _delay,
    "Input": _identity,
    "Output": _identity,
}
"""How to read each linear type of node: (name, node, shape of what arrives, time step) -> Operation."""


def written_out(link: Connection) -> csr_array:
    """The map as a matrix, unless that is too large."""
    if isinstance(link, Conv):
        size = prod(link.output_shape) * prod(link.weight.shape[1:])
        if size > MAX_SYNAPSES:
            raise NetworkError(
                f"{link.name}: folding needs {size} synapses, allowed are {MAX_SYNAPSES}; spike in between"
            )
    return link.synapses()


def from_matrix(name: str, matrix: csr_array) -> Connection:
    """Dense or Sparse, whichever is smaller."""
    if matrix.nnz < DENSE_FROM * prod(matrix.shape):
        return Sparse.from_matrix(name, name, matrix)
    return Dense(name, name, matrix.toarray())


def chain(name: str, first: Connection | None, then: Connection | None) -> Connection | None:
    """The map ``then`` after ``first``. One that scales all by the same keeps a convolution a convolution."""
    if first is None or then is None:
        return then if first is None else first
    factor = _uniform(then)
    if factor is not None:
        with np.errstate(over="ignore"):
            return replace(first, weight=first.weight * factor)  # type: ignore[type-var]
    one, two = written_out(first), written_out(then)
    products = int(np.diff(one.indptr)[two.indices].sum())
    if products > 4 * MAX_SYNAPSES:
        raise NetworkError(
            f"{name}: folding needs {products} products, allowed are {4 * MAX_SYNAPSES}; spike in between"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return from_matrix(name, two.astype(np.float64) @ one.astype(np.float64))


def _uniform(link: Connection) -> Any:
    """The factor, where ``link`` multiplies everything by the same."""
    if not isinstance(link, Sparse) or len(link.weight) != link.shape[0] or link.shape[0] != link.shape[1]:
        return None
    same = np.array_equal(link.rows, link.columns) and (link.weight == link.weight[0]).all()
    return link.weight[0] if same else None


def add(name: str, one: Connection | None, two: Connection | None, size: int) -> Connection:
    """The sum of two maps between the same populations."""
    total = written_out(one or identity(name, size)) + written_out(two or identity(name, size))
    return from_matrix(name, csr_array(total))


def identity(name: str, size: int) -> Sparse:
    """Each neuron to the one at the same place, with weight 1."""
    n = np.arange(size)
    return Sparse(name, name, np.ones(size), n, n, (size, size))
