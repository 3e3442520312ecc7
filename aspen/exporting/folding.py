"""From the expression of a neuron's input to its connections.

A neuron's input is a sum of terms. A term that is a single ``Linear`` becomes a
:class:`~aspen.network.connections.Dense`, or where it is pruned far enough a ``Sparse``; a single convolution (with a
``BatchNorm`` after it) a :class:`~aspen.network.connections.Conv`. Any other term is computed on every basis vector of
its sources, in float64 and without the constants, which gives its exact matrix; and on zeros, which gives the
constants. At the end the expression and the connections are computed on random numbers and
must agree: so an operation that is not linear, or that mixes the samples of a batch, is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.errors import AspenError, ModelError, one_line
from aspen.exporting.expressions import atoms, compute, key, operations, widest
from aspen.exporting.layers import CONVS, NORMS, RESHAPING, Doubles
from aspen.exporting.neurons import numpy, times
from aspen.exporting.nodes import EVERY_STEP, Node
from aspen.models.operations import RESHAPES, SUMS
from aspen.network.connections import MAX_DELAY, Connection, Conv, Dense, Sparse

MAX_ENTRIES = 200_000_000
"""Largest matrix that is made, in entries, zeros included."""
DENSE_FROM = 1 / 3
"""Share of entries other than zero from which a matrix becomes Dense and not Sparse: a synapse of the latter takes a
weight and two indices, all of 32 bit."""
_CHUNK_VALUES = 2**22


class Folder:
    """Makes the connections of one population.

    Args:
        module: name of the neuron layer, for messages.
        target: name of the population.
        shape: shape of the population.
        call: the call of the neuron layer whose input is folded.
        scale: what the input is multiplied with; a scalar or ``shape``.
        names: module -> population, ``""`` -> the input.
        shapes, factors: module -> shape of the source, and what its spikes are multiplied with.
    """

    def __init__(
        self,
        module: str,
        target: str,
        shape: tuple[int, ...],
        call: int,
        scale: Array,
        names: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        factors: Mapping[str, Array],
        doubles: Doubles,
    ) -> None:
        self.module, self.target, self.shape, self.call, self.scale = module, target, shape, call, scale
        self.names, self.shapes, self.factors, self.doubles = names, shapes, factors, doubles

    def fold(self, node: Node) -> list[Connection]:
        """The connections that carry the expression ``node``."""
        try:
            return self._fold(node)
        except AspenError:
            raise
        except (RuntimeError, ValueError, IndexError, TypeError) as error:  # of somebody's hooks
            raise ModelError(
                f"{self.module}: what makes its input fails when it is computed again: {one_line(error)}; look for "
                f"hooks that remember what they were given"
            ) from error

    def _fold(self, node: Node) -> list[Connection]:
        made: list[Connection] = []
        rest: list[Node] = []
        for term in _terms(node):
            connection = self._simple(term)
            if connection is None:
                rest.append(term)
            else:
                made.append(connection)
        for term in rest:
            made += self._matrices(term)
        made = merge(made)
        self._verify(node, made)
        return made

    def delay(self, atom: Node) -> int:
        """Time steps between the atom and the call that is folded."""
        delay = 0 if atom.call == EVERY_STEP else self.call - atom.call
        if not 0 <= delay <= MAX_DELAY:
            raise ModelError(
                f"{self.module}: reads {self.names[atom.module]} {delay} steps later, allowed is 0 to {MAX_DELAY}; "
                f"read the input and the spikes in the order of time"
            )
        return delay

    def _simple(self, term: Node) -> Connection | None:
        """The connection of a single Linear or convolution, or None for any other term."""
        norm, inner = None, term
        if isinstance(inner.function, NORMS):
            norm, inner = inner.function, inner.args[0]
        if norm is None and isinstance(_unshaped(inner).function, nn.Linear):
            inner = _unshaped(inner)
        source = inner.args[0] if inner.kind == "apply" and isinstance(inner.args[0], Node) else inner
        atom = _unshaped(source)
        if not atom.is_atom or inner.kwargs or _hooked(inner.function) or _hooked(norm):
            return None
        if norm is None and type(inner.function) is nn.Linear and len(source.shape) == 2:
            return self._dense(inner.function, atom)
        if type(inner.function) in CONVS and source.shape[1:] == self.shapes[atom.module]:
            return self._conv(inner.function, norm, atom)
        return None

    def _dense(self, layer: nn.Linear, atom: Node) -> Connection:
        bias = None if layer.bias is None else times(numpy(layer.bias), self.scale)
        weight = times(times(numpy(layer.weight), self.factors[atom.module]).T, self.scale).T
        if np.count_nonzero(weight) < DENSE_FROM * weight.size:
            return Sparse.from_matrix(self.names[atom.module], self.target, weight, bias, self.delay(atom))
        return Dense(self.names[atom.module], self.target, weight, bias, self.delay(atom))

    def _conv(self, layer: Any, norm: Any, atom: Node) -> Conv | None:
        factor, padding = self.factors[atom.module], _padding(layer)
        if padding is None or factor.ndim or self.scale.ndim:
            return None
        weight, bias = numpy(layer.weight), None if layer.bias is None else numpy(layer.bias)
        if norm is not None:
            weight, bias = _normed(weight, bias, norm)
        weight = times(times(weight, factor), self.scale)
        bias = None if bias is None else times(bias, self.scale)
        return Conv(
            self.names[atom.module], self.target, weight, self.shapes[atom.module], bias,
            layer.stride, padding, layer.dilation, layer.groups, self.delay(atom),
        )  # fmt: skip

    def _matrices(self, term: Node) -> list[Connection]:
        """Connections by the matrices of a term, one for each of its sources; the first has the constants."""
        sources = atoms(term)
        if not sources:
            raise ModelError(
                f"{self.module}: part of its input depends on no spikes and no input; put the constant into a bias"
            )
        zeros = {k: torch.zeros(term.shape[0], prod(self.shapes[a.module])).double() for k, a in sources.items()}
        rows = numpy(compute(term, zeros, self.doubles)).reshape(term.shape[0], -1)
        constant = times(rows[0], self.scale)
        bias: Array | None = constant if constant.any() else None
        made: list[Connection] = []
        for atom in sources.values():
            made.append(self.matrix(term, atom, bias))
            bias = None
        return made

    def matrix(self, term: Node, atom: Node, bias: Array | None) -> Connection:
        """The connection that carries what ``term`` makes of one of its sources, with the given bias."""
        n_source, n_target = prod(self.shapes[atom.module]), prod(self.shape)
        source, delay = self.names[atom.module], self.delay(atom)
        if n_source * n_target > MAX_ENTRIES:
            raise ModelError(
                f"{self.module}: its input from {source} makes a matrix of {n_target} x {n_source}, allowed are "
                f"{MAX_ENTRIES} entries; use a plain Linear or convolution, or smaller layers"
            )
        sizes = {module: prod(shape) for module, shape in self.shapes.items()}
        made = vstack(list(columns(term, atom, sizes, self.doubles)), format="csr")  # (n_source, n_target)
        factor = np.broadcast_to(np.ravel(self.factors[atom.module]), n_source).astype(np.float64)
        scale = np.broadcast_to(np.ravel(self.scale), n_target).astype(np.float64)
        matrix = csr_array((made.multiply(factor[:, None]).multiply(scale[None, :])).T)
        return from_matrix(source, self.target, matrix, bias, delay)

    def _verify(self, node: Node, made: list[Connection]) -> None:
        """Raise unless the connections carry what the expression computes, on random numbers."""
        generator = torch.Generator().manual_seed(0)
        batch = node.shape[0]
        values = {
            k: torch.randn(batch, prod(self.shapes[a.module]), generator=generator, dtype=torch.float64)
            for k, a in atoms(node).items()
        }
        scaled = {k: values[k] * _tensor(self.factors[k[0]]) for k in values}
        expected = compute(node, scaled, self.doubles).reshape(batch, -1) * _tensor(self.scale)
        found: Array = np.zeros((batch, prod(self.shape)))
        by_source = {(self.names[a.module], self.delay(a)): k for k, a in atoms(node).items()}
        for connection in made:
            drive = connection.drive(numpy(values[by_source[connection.source, connection.delay]]))
            found = found + drive + connection.bias_currents()
        if not np.allclose(found, numpy(expected), rtol=1e-9, atol=1e-9 * (1 + np.abs(found).max())):
            raise ModelError(
                f"{self.module}: its input is no linear function of spikes, or mixes the samples of a batch "
                f"({', '.join(operations(node))}); feed it from linear layers only"
            )


def columns(term: Node, atom: Node, sizes: Mapping[str, int], doubles: Doubles) -> Iterator[csr_array]:
    """A term's value on each basis vector of an atom, without constants: sparse (some, values of the term) at a time.

    Args:
        term: the expression.
        atom: one of those in it.
        sizes: module -> values of a source.
        doubles: the layers in float64.
    """
    batch, sources, n_source = term.shape[0], atoms(term), sizes[atom.module]
    chunk = max(batch, min(n_source, 1024, _CHUNK_VALUES // (widest(term) + n_source) + 1))

    def push(start: int, size: int) -> Tensor:
        values = {k: torch.zeros(size, sizes[a.module]).double() for k, a in sources.items()}
        rest = compute(term, values, doubles, constants=False)
        count = min(size, n_source - start)
        basis = torch.zeros(size, n_source, dtype=torch.float64)
        basis[torch.arange(count), torch.arange(start, start + count)] = 1
        image = compute(term, values | {key(atom): basis}, doubles, constants=False)
        if image.shape != (size, *term.shape[1:]):
            raise ValueError("the batch is not free")
        return (image - rest)[:count]

    try:
        push(0, chunk)
    except (RuntimeError, ValueError, IndexError):
        chunk = batch  # the model names the size of its batch, so keep to it
    for start in range(0, n_source, chunk):
        image = numpy(push(start, chunk)).reshape(-1, prod(term.shape[1:]))
        yield csr_array(image)


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.array(values, np.float64).reshape(-1 if values.ndim else ()))


def _terms(node: Node) -> list[Node]:
    """The addends of a sum of currents of one shape."""
    operands = [part for part in node.args if isinstance(part, Node) and part.shape == node.shape]
    if node.operation in SUMS and len(node.args) == len(operands) == 2 and not node.kwargs:
        return [term for operand in operands for term in _terms(operand)]
    return [node]


def _unshaped(node: Node) -> Node:
    """The node before any reshaping that leaves the samples of a batch apart."""
    while node.operation in RESHAPES or isinstance(node.function, RESHAPING):
        inner = node.args[0] if node.args else None
        if not isinstance(inner, Node) or inner.shape[0] != node.shape[0]:
            break
        node = inner
    return node


def _hooked(layer: Any) -> bool:
    """Whether somebody's hooks may change what the layer does."""
    return isinstance(layer, nn.Module) and bool(layer._forward_hooks or layer._forward_pre_hooks)


def _padding(layer: Any) -> tuple[int, ...] | None:
    """The padding of a convolution, or None where it differs between the sides."""
    if layer.padding == "valid":
        return (0,) * len(layer.kernel_size)
    if layer.padding != "same":
        return tuple(layer.padding)
    total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    return None if any(size % 2 for size in total) else tuple(size // 2 for size in total)


def _normed(weight: Array, bias: Array | None, norm: Any) -> tuple[Array, Array]:
    """A convolution's weight and bias with the BatchNorm that follows it."""
    mean, variance = numpy(norm.running_mean).astype(np.float64), numpy(norm.running_var).astype(np.float64)
    gain = 1 / np.sqrt(variance + norm.eps)
    shift = -mean if bias is None else bias.astype(np.float64) - mean
    if norm.affine:
        gain = gain * numpy(norm.weight)
    shifted = shift * gain + (numpy(norm.bias) if norm.affine else 0)
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1)), shifted


def from_matrix(source: str, target: str, matrix: csr_array, bias: Array | None, delay: int) -> Connection:
    """The connection of a matrix (n_target, n_source): Sparse where few entries are other than zero, else Dense."""
    matrix.eliminate_zeros()
    if matrix.nnz < DENSE_FROM * prod(matrix.shape):
        return Sparse.from_matrix(source, target, matrix, bias, delay)
    return Dense(source, target, matrix.toarray(), bias, delay)


def merge(connections: list[Connection]) -> list[Connection]:
    """Connections between the same populations added up."""
    merged: dict[str, Connection] = {}
    for connection in connections:
        other = merged.get(connection.name)
        merged[connection.name] = connection if other is None else _added(other, connection)
    return list(merged.values())


def _added(one: Connection, two: Connection) -> Connection:
    if one.delay != two.delay:
        raise ModelError(
            f"{one.name}: found delays of {one.delay} and {two.delay} steps between the same populations, allowed is "
            f"one; put a layer of neurons between"
        )
    matrix = csr_array(one.synapses().astype(np.float64) + two.synapses().astype(np.float64))
    currents = [c.bias_currents().astype(np.float64) for c in (one, two) if c.bias is not None]
    bias = np.asarray(sum(currents)) if currents else None
    return from_matrix(one.source, one.target, matrix, bias, one.delay)
