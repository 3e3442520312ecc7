"""Connections between populations. Each kind is one class; :data:`CONNECTION_KINDS` lists them by name.

Every connection is a linear map from the source's spikes to the target's synaptic current, with a delay. With integer
weights the sum of the arriving weights is then shifted by the exponent, as Lava's ``weight_exp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from aspen._base.arrays import Array, check_range, check_shape, frozen
from aspen._base.checks import as_integers
from aspen._base.memory import MAX_NEURONS, check_memory, check_neurons
from aspen.errors import NetworkError
from aspen.network.connection import MAX_DELAY as MAX_DELAY
from aspen.network.connection import Connection as Connection

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """All-to-all synapses, as in ``torch.nn.Linear``.

    >>> Dense("input", "hidden", [[0.5, -1.0], [0.0, 2.0], [1.0, 1.0]]).fan_out()
    array([2, 3])

    Args:
        source, target: names of the populations that it reads and drives.
        weight: (n_target, n_source).
        bias: (n_target,) or None.
        delay, exponent: see :class:`Connection`.
    """

    kind: ClassVar[str] = "dense"
    array_fields: ClassVar[tuple[str, ...]] = ("weight", "bias")
    value_fields: ClassVar[tuple[str, ...]] = ("source", "target", "delay", "exponent")

    source: str
    target: str
    weight: Array
    bias: Array | None = None
    delay: int = 0
    exponent: int = 0

    if TYPE_CHECKING:

        def __init__(
            self,
            source: str,
            target: str,
            weight: ArrayLike,
            bias: ArrayLike | None = None,
            delay: int = 0,
            exponent: int = 0,
        ) -> None: ...

    def _check_weight(self) -> None:
        if self.weight.ndim != 2:
            raise NetworkError(
                f"{self.name}.weight: found shape {self.weight.shape}, allowed is (n_target, n_source); reshape it"
            )

    def _check_ends(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        check_shape(f"{self.name}.weight", self.weight, [(prod(target_shape), prod(source_shape))])

    @property
    def _n_biases(self) -> int:
        return self.weight.shape[0]

    def accumulate(self, values: Array) -> Array:
        """See :meth:`Connection.accumulate`."""
        return np.asarray(values @ self.weight.T.astype(values.dtype))

    def synapses(self) -> csr_array:
        """See :meth:`Connection.synapses`."""
        from scipy.sparse import csr_array

        return csr_array(self.weight)

    def fan_out(self) -> Array:
        """See :meth:`Connection.fan_out`."""
        return np.count_nonzero(self.weight, axis=0)


@dataclass(frozen=True, eq=False)
class Sparse(Connection):
    """Any linear map, by its synapses: synapse i leads from ``columns[i]`` to ``rows[i]`` with ``weight[i]``.

    >>> Sparse("input", "output", [0.5, -1.0], rows=[0, 2], columns=[1, 0], shape=(3, 2)).shape
    (3, 2)

    Args:
        source, target: names of the populations that it reads and drives.
        weight: (n_synapses,).
        rows: (n_synapses,) indices of target neurons.
        columns: (n_synapses,) indices of source neurons; no pair of row and column stands twice.
        shape: (n_target, n_source).
        bias: (n_target,) or None.
        delay, exponent: see :class:`Connection`.
    """

    kind: ClassVar[str] = "sparse"
    array_fields: ClassVar[tuple[str, ...]] = ("weight", "rows", "columns", "bias")
    value_fields: ClassVar[tuple[str, ...]] = ("source", "target", "shape", "delay", "exponent")

    source: str
    target: str
    weight: Array
    rows: Array
    columns: Array
    shape: tuple[int, int]
    bias: Array | None = None
    delay: int = 0
    exponent: int = 0

    if TYPE_CHECKING:

        def __init__(
            self,
            source: str,
            target: str,
            weight: ArrayLike,
            rows: ArrayLike,
            columns: ArrayLike,
            shape: tuple[int, int],
            bias: ArrayLike | None = None,
            delay: int = 0,
            exponent: int = 0,
        ) -> None: ...

    @classmethod
    def from_matrix(cls, source: str, target: str, matrix: Array, bias: Array | None = None, delay: int = 0) -> Sparse:
        """The connection whose synapses are the entries other than zero of ``matrix`` (n_target, n_source)."""
        from scipy.sparse import coo_array

        entries = coo_array(matrix)
        n_target, n_source = matrix.shape
        return cls(source, target, entries.data, entries.row, entries.col, (n_target, n_source), bias, delay)

    def _check_weight(self) -> None:
        self._set_integers("shape", 1, 2)
        for size in self.shape:
            check_neurons(f"{self.name}.shape", (size,))
        for field, limit in (("rows", self.shape[0]), ("columns", self.shape[1])):
            indices = frozen(f"{self.name}.{field}", getattr(self, field), "int")
            check_range(f"{self.name}.{field}", indices, 0, limit - 1)
            check_shape(f"{self.name}.{field}", indices, [self.weight.shape])
            object.__setattr__(self, field, indices)
        places = self.rows.astype(np.int64) * self.shape[1] + self.columns
        if self.weight.ndim != 1 or len(np.unique(places)) != len(places):
            raise NetworkError(f"{self.name}: found two weights at one place, allowed is one; add them up")

    def _check_ends(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        if self.shape != (prod(target_shape), prod(source_shape)):
            raise NetworkError(
                f"{self.name}.shape: found {self.shape}, allowed is {(prod(target_shape), prod(source_shape))}; "
                f"give (n_target, n_source)"
            )

    @property
    def _n_biases(self) -> int:
        return self.shape[0]

    @cached_property
    def largest_sum(self) -> float:
        """See :attr:`Connection.largest_sum`."""
        return float(np.bincount(self.rows, np.abs(self.weight.astype(np.float64)), minlength=1).max())

    def accumulate(self, values: Array) -> Array:
        """See :meth:`Connection.accumulate`."""
        from scipy.sparse import coo_array

        matrix = coo_array((self.weight.astype(values.dtype), (self.rows, self.columns)), self.shape).tocsr()
        return np.asarray((matrix @ values.T).T)

    def synapses(self) -> csr_array:
        """See :meth:`Connection.synapses`."""
        from scipy.sparse import coo_array

        matrix = coo_array((self.weight, (self.rows, self.columns)), self.shape).tocsr()
        matrix.eliminate_zeros()
        return matrix

    def fan_out(self) -> Array:
        """See :meth:`Connection.fan_out`."""
        return np.bincount(self.columns[self.weight != 0], minlength=self.shape[1]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Conv(Connection):
    """A convolution over one or two dimensions, as ``torch.nn.Conv1d`` and ``Conv2d`` (a cross-correlation).

    >>> import numpy as np
    >>> Conv("input", "hidden", np.ones((4, 1, 3, 3)), input_shape=(1, 8, 8), padding=(1, 1)).stride
    (1, 1)

    Args:
        source, target: names of the populations that it reads and drives.
        weight: (channels_out, channels_in / groups, *kernel).
        input_shape: shape of the source: (channels_in, *size).
        bias: (channels_out,) or None.
        stride, padding, dilation: one number for each dimension; the padding is zeros, the same on both sides.
        groups: as in PyTorch.
        delay, exponent: see :class:`Connection`.
    """

    kind: ClassVar[str] = "conv"
    array_fields: ClassVar[tuple[str, ...]] = ("weight", "bias")
    value_fields: ClassVar[tuple[str, ...]] = (
        "source", "target", "input_shape", "stride", "padding", "dilation", "groups", "delay", "exponent",
    )  # fmt: skip

    source: str
    target: str
    weight: Array
    input_shape: tuple[int, ...]
    bias: Array | None = None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    delay: int = 0
    exponent: int = 0

    if TYPE_CHECKING:

        def __init__(
            self,
            source: str,
            target: str,
            weight: ArrayLike,
            input_shape: tuple[int, ...],
            bias: ArrayLike | None = None,
            stride: tuple[int, ...] = (),
            padding: tuple[int, ...] = (),
            dilation: tuple[int, ...] = (),
            groups: int = 1,
            delay: int = 0,
            exponent: int = 0,
        ) -> None: ...

    def _check_weight(self) -> None:
        shape = as_integers(f"{self.name}.input_shape", self.input_shape, 1, error=NetworkError)
        size, kernel = shape[1:], self.weight.shape[2:]
        if len(size) not in (1, 2) or len(kernel) != len(size):
            raise NetworkError(
                f"{self.name}: found an input of shape {shape} and a weight of shape {self.weight.shape}, allowed are "
                f"(channels, length) or (channels, height, width), and its kernel"
            )
        if 0 in self.weight.shape:
            raise NetworkError(
                f"{self.name}.weight: found shape {self.weight.shape}, allowed are sizes from 1; give it a kernel"
            )
        object.__setattr__(self, "input_shape", shape)
        for field, default, low in (("stride", 1, 1), ("padding", 0, 0), ("dilation", 1, 1)):
            self._set_integers(field, low, len(size), (default,) * len(size))
        self._set_integer("groups", 1, MAX_NEURONS)
        channels_out, channels = self.weight.shape[0], self.input_shape[0]
        if channels % self.groups or channels_out % self.groups:
            raise NetworkError(
                f"{self.name}.groups: found {self.groups}, allowed is a divisor of {channels} and {channels_out}"
            )
        if self.weight.shape[1] * self.groups != channels:
            raise NetworkError(
                f"{self.name}.weight: found shape {self.weight.shape}, allowed is (channels_out, "
                f"{channels // self.groups}, *kernel) for {channels} channels in {self.groups} groups"
            )
        if min(self.output_shape) < 1:
            raise NetworkError(f"{self.name}: the kernel is larger than the padded input; make the kernel smaller")
        padded = (n + 2 * p for n, p in zip(size, self.padding, strict=True))
        check_neurons(f"{self.name}: input with its padding", (channels, *padded))
        check_neurons(f"{self.name}: target", self.output_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(channels_out, *size) of the target."""
        geometry = zip(
            self.input_shape[1:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True
        )
        return (self.weight.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in geometry))

    def _check_ends(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        for what, found, wanted in (
            ("source", source_shape, self.input_shape),
            ("target", target_shape, self.output_shape),
        ):
            if found != wanted:
                raise NetworkError(f"{self.name}: found a {what} of shape {found}, allowed is {wanted}; reshape it")

    @property
    def _n_biases(self) -> int:
        return self.weight.shape[0]

    def _windows(self, values: Array, fill: float) -> Array:
        """(batch, channels, *size) -> (batch, channels, *output size, *kernel): a view of the padded input."""
        dims = len(self.stride)
        padded = np.pad(values, [(0, 0), (0, 0), *[(p, p) for p in self.padding]], constant_values=fill)
        span = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True))
        axes: Any = tuple(range(2, 2 + dims))  # the stubs of NumPy 1.26 know one axis only
        windows = sliding_window_view(padded, span, axis=axes)
        steps = [slice(None, None, s) for s in self.stride] + [slice(None, None, d) for d in self.dilation]
        return windows[(slice(None), slice(None), *steps)]

    def accumulate(self, values: Array) -> Array:
        """See :meth:`Connection.accumulate`."""
        batch = len(values)
        size = batch * prod(self.output_shape[1:]) * prod(self.weight.shape[1:]) * self.groups * values.itemsize
        check_memory(f"{self.name}: inputs of a step", size, "run fewer samples at a time")
        windows = self._windows(values.reshape(batch, *self.input_shape), 0)
        patches = np.moveaxis(windows, 1, 1 + len(self.stride)).reshape(
            batch * prod(self.output_shape[1:]), self.groups, -1
        )
        weight = self.weight.reshape(self.groups, -1, prod(self.weight.shape[1:])).astype(values.dtype)
        sums = np.stack([patches[:, g] @ weight[g].T for g in range(self.groups)], axis=1)
        sums = sums.reshape(batch, *self.output_shape[1:], -1)
        return np.moveaxis(sums, -1, 1).reshape(batch, -1)

    def _taps(self) -> Array:
        """(channels_in, *kernel): synapses of a source neuron by place in the kernel, were it far from the edges."""
        shape = (self.groups, -1, *self.weight.shape[1:])
        return np.count_nonzero(self.weight.reshape(shape), axis=1).reshape(self.input_shape[0], *self.weight.shape[2:])

    def _hit(self, axis: int, tap: Array) -> tuple[Array, Array]:
        """For places ``tap`` of the kernel along an axis: the first source that they meet, and how many they meet."""
        size, stride = self.input_shape[1 + axis], self.stride[axis]
        offset = tap.astype(np.int64) * self.dilation[axis] - self.padding[axis]
        first = np.maximum(-(offset // stride), 0)
        last = np.minimum((size - 1 - offset) // stride, self.output_shape[1 + axis] - 1)
        return first * stride + offset, np.maximum(last - first + 1, 0)

    @property
    def n_synapses(self) -> int:
        """See :attr:`Connection.n_synapses`; counted without writing them out."""
        total = self._taps().sum(axis=0)
        for axis in range(len(self.stride)):
            total = np.tensordot(self._hit(axis, np.arange(total.shape[0]))[1], total, axes=1)
        return int(total)

    def fan_out(self) -> Array:
        """See :meth:`Connection.fan_out`."""
        taps, total = self._taps(), np.zeros(self.input_shape, np.int64)
        dims = tuple(range(1, taps.ndim))
        for tap in np.argwhere(taps.any(axis=0)):
            places = [slice(None)]
            for axis, (first, count) in enumerate(self._hit(axis, tap[axis]) for axis in range(len(tap))):
                places.append(slice(int(first), int(first + count * self.stride[axis]), self.stride[axis]))
            total[tuple(places)] += np.expand_dims(taps[(slice(None), *tap)], dims)
        return total.reshape(-1)

    def synapses(self) -> csr_array:
        """See :meth:`Connection.synapses`.

        Raises:
            InputError: they do not fit in memory.
        """
        from scipy.sparse import coo_array

        n_source, n_target, places = prod(self.input_shape), prod(self.output_shape), prod(self.output_shape[1:])
        size = n_target * prod(self.weight.shape[1:]) * (16 + 2 * self.weight.itemsize)  # indices and values, twice
        check_memory(f"{self.name}: its synapses one by one", size, "make the convolution smaller")
        indices = np.arange(n_source, dtype=np.int32).reshape(1, *self.input_shape)
        windows = np.moveaxis(self._windows(indices, -1)[0], 0, len(self.stride))  # (*size, channels, *kernel)
        sources = windows.reshape(places, self.groups, -1)
        weight = self.weight.reshape(self.groups, -1, sources.shape[2])  # (groups, channels out per group, fan-in)
        per_group = weight.shape[1]
        columns = np.broadcast_to(sources[:, :, None, :], (places, self.groups, per_group, sources.shape[2]))
        channels = np.arange(self.groups * per_group, dtype=np.int32).reshape(1, self.groups, per_group, 1)
        place = np.arange(places, dtype=np.int32).reshape(-1, 1, 1, 1)
        rows = np.broadcast_to(channels * np.int32(places) + place, columns.shape)
        values = np.broadcast_to(weight[None], columns.shape)
        inside = (columns >= 0) & (values != 0)
        return coo_array((values[inside], (rows[inside], columns[inside])), (n_target, n_source)).tocsr()

    def bias_currents(self) -> Array:
        """See :meth:`Connection.bias_currents`: the same in all places of a channel."""
        if self.bias is None:
            return np.zeros((), np.int64)
        return np.repeat(self.bias, prod(self.output_shape[1:]))


CONNECTION_KINDS: dict[str, type[Dense] | type[Sparse] | type[Conv]] = {
    kind.kind: kind for kind in (Dense, Sparse, Conv)
}
