"""The product of spikes with spikes: neurons without memory that spike where both do.

Spikes are 0 or 1, so the product of two is 1 where their sum is above one and a half. A product of sums of spikes, such
as a matrix product, is a sum of such products: a gate with one neuron for each two spikes that meet, and weights on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, hstack, vstack
from torch import Tensor

from aspen._base.arrays import Array
from aspen.errors import ModelError
from aspen.exporting.expressions import atoms, check_expression, compute, key, same_expression
from aspen.exporting.folding import columns
from aspen.exporting.layers import Doubles
from aspen.exporting.neurons import Mapped
from aspen.exporting.nodes import EVERY_STEP, Node
from aspen.exporting.traces import Call, Trace
from aspen.models.operations import convert
from aspen.network.neurons import Lif

BOTH = ".both"
"""What is added to the name of the first neurons whose spikes are multiplied."""
MATRICES = frozenset({"matmul", "__matmul__", "bmm"})
ELEMENTWISE = frozenset({"mul", "__mul__", "__rmul__", "multiply"})
MAX_PAIRS = 100_000
"""Most neurons of one gate."""
MAX_TERMS = 50 * MAX_PAIRS
"""Most terms of one product: several values of it may be made of the same two spikes."""


def both() -> Mapped:
    """The neurons of such a gate, which spike on two weights of 1 and remember nothing."""
    return Mapped(Lif(threshold=1.5, beta=0.0, reset="zero"), np.ones(()), np.ones(()))


@dataclass(frozen=True, eq=False)
class _Sum:
    """For each pair the sum of its two spikes; of (batch, *shape) values for each source, (batch, pairs)."""

    sides: tuple[Array, Array]

    def __call__(self, *sources: Tensor) -> Tensor:
        whole = torch.cat([source.flatten(1) for source in sources], 1)
        return whole[:, self.sides[0]] + whole[:, self.sides[1]]


@dataclass(frozen=True, eq=False)
class _Weighed:
    """The product, (batch, *shape), of the spikes of all pairs, (batch, pairs), and of the sources, which count where
    the other side is a constant.

    Args:
        weights: of the pairs, of the values of all sources, and what is always there.
        shape: of the product.
    """

    weights: csr_array
    shape: tuple[int, ...]

    def __call__(self, *given: Tensor) -> Tensor:
        whole = torch.cat([*(part.flatten(1) for part in given), torch.ones_like(given[0].flatten(1)[:, :1])], 1)
        made = self.weights @ whole.detach().cpu().double().numpy().T
        return torch.from_numpy(np.ascontiguousarray(made.T)).reshape(len(whole), *self.shape)


@dataclass(frozen=True, eq=False)
class _Site:
    """A product as it was found at its first step: its gate's name or nothing, sides, step, and how it is made.

    ``alone``: which of its sources count where the other side is a constant.
    """

    name: str
    sides: tuple[Node, Node]
    step: int
    sums: _Sum
    weighed: _Weighed
    alone: tuple[int, ...]


def split_products(traced: Trace, sizes: dict[str, int], parameters: set[int]) -> None:
    """Put gates in the place of products of spikes in what neurons and layers are given.

    Args:
        traced: what a model did; changed.
        sizes: neuron layer -> neurons, ``""`` -> values of the input.
        parameters: ids of the model's parameters and buffers.

    Raises:
        ModelError: a product takes too many neurons, or is one of more than sums of spikes.
    """
    splitter = _Splitter(traced, dict(sizes), parameters)
    for made in traced.calls:
        node = splitter.rebuilt(made.node, made.module)
        splitter.calls.append(made if node is made.node else replace(made, node=node))
    for name, nodes in traced.layers.items():
        nodes[:] = [splitter.rebuilt(node, name) for node in nodes]
    splitter.closed = True
    traced.returned[:] = [splitter.rebuilt(node, "forward()") for node in traced.returned]
    traced.calls[:] = splitter.calls


class _Splitter:
    def __init__(self, traced: Trace, sizes: dict[str, int], parameters: set[int]) -> None:
        self.traced, self.sizes, self.parameters = traced, sizes, parameters
        self.calls: list[Call] = []
        self.sites: list[_Site] = []
        self.done: dict[int, tuple[Node, Node]] = {}
        self.doubles = Doubles()
        self.closed = False

    def rebuilt(self, node: Node, reader: str) -> Node:
        """The node with gates in the place of products; itself where it has none."""
        if id(node) not in self.done:
            self.done[id(node)] = node, self._made(node, reader)  # the node too, so that its id is not given away
        return self.done[id(node)][1]

    def _made(self, node: Node, reader: str) -> Node:
        args, kwargs = convert((node.args, node.kwargs), Node, lambda part: self.rebuilt(part, reader))
        if not same_expression((args, kwargs), (node.args, node.kwargs), 0):
            node = replace(node, args=args, kwargs=kwargs)
        is_product = node.kind == "mixed" and node.operation in MATRICES | ELEMENTWISE and len(node.args) == 2
        return (self._product(node, args, reader) if is_product else None) or node

    def _product(self, node: Node, sides: tuple[Node, Node], reader: str) -> Node | None:
        """The weighed spikes of a gate; None where a side is no sum of spikes, or the samples of a batch would mix."""
        found = [source for side in sides for source in atoms(side).values()]
        pairs = _meeting(node.operation, *(side.shape[1:] for side in sides))
        if pairs is None or not found or not all(self._is_spikes(source) for source in found):
            return None
        step = max(source.call for source in found)
        site = next((s for s in self.sites if same_expression(s.sides, sides, s.step - step)), None)
        if site is None and not self.closed:
            site = self._site(node, sides, step, pairs, reader)
        if site is None:
            return None
        sources = tuple({(s.module, step - s.call): s for s in found}.values())
        given = tuple(source for number, source in enumerate(sources) if number in site.alone)
        if site.name:
            given = (self._spikes(site, node.shape[0], step, sources), *given)
        return Node("apply", node.shape, operation="weighed", function=site.weighed, args=given)

    def _spikes(self, site: _Site, batch: int, step: int, sources: tuple[Node, ...]) -> Node:
        """The spikes of a site's gate at a step, which is noted as a call of neurons."""
        spikes = Node("spikes", (batch, self.sizes[site.name]), site.name, step)
        if not any((made.module, made.call) == (site.name, step) for made in self.calls):
            summed = Node("apply", spikes.shape, operation="both", function=site.sums, args=sources)
            self.calls.append(Call(site.name, step, summed, ""))
        return spikes

    def _is_spikes(self, source: Node) -> bool:
        return source.kind == "spikes" or (self.traced.spiking_input and source.call != EVERY_STEP)

    def _site(self, node: Node, sides: Any, step: int, pairs: tuple[Array, Array], reader: str) -> _Site:
        for side in sides:
            check_expression(side, reader, self.parameters, self.traced.multiplied)
        sources = {(s.module, step - s.call): s for side in sides for s in atoms(side).values()}
        first, second = (self._matrix(side, list(sources.values())) for side in sides)
        left, right, rows, weights = _expanded(first, second, *pairs, self._limit(node, reader))
        one = first.shape[1] - 1  # the index of what is always there
        low, high = np.minimum(left, right), np.maximum(left, right)
        met_here = (high < one) & (low != high)  # the square of a spike is the spike
        met, place = np.unique((low * (one + 1) + high)[met_here], return_inverse=True)
        if len(met) > MAX_PAIRS:
            raise ModelError(self._limit(node, reader))
        places = len(met) + low
        places[met_here] = place
        made = csr_array((weights, (rows, places)), (prod(node.shape[1:]), len(met) + one + 1))
        ends = np.cumsum([len(met), *(self.sizes[source.module] for source in sources.values())])
        alone = tuple(k for k, (start, end) in enumerate(pairwise(ends)) if made[:, start:end].nnz)
        kept = [made[:, : len(met)], *(made[:, ends[k] : ends[k + 1]] for k in alone), made[:, -1:]]
        stem = f"{next(iter(sources.values())).module or 'input'}{BOTH}"
        taken = {site.name for site in self.sites}
        name = (
            ""
            if not len(met)
            else next(n for n in (stem, *(f"{stem}{k}" for k in range(2, len(taken) + 3))) if n not in taken)
        )
        sums = _Sum((met // (one + 1), met % (one + 1)))
        if name:
            self.sizes[name] = len(met)
            self.traced.products[name] = tuple(dict.fromkeys(source.module for source in sources.values()))
        self.sites.append(_Site(name, sides, step, sums, _Weighed(csr_array(hstack(kept)), node.shape[1:]), alone))
        return self.sites[-1]

    def _matrix(self, side: Node, sources: list[Node]) -> csr_array:
        """(values of the side, values of all sources and what is always there)."""
        known = atoms(side)
        given = {k: torch.zeros(side.shape[0], self.sizes[s.module]).double() for k, s in known.items()}
        constant = compute(side, given, self.doubles)[0].reshape(1, -1).numpy()
        rows = [
            vstack(list(columns(side, known[key(source)], self.sizes, self.doubles)), format="csr")
            if key(source) in known
            else csr_array((self.sizes[source.module], prod(side.shape[1:])))
            for source in sources
        ]
        made = csr_array(vstack([*rows, csr_array(constant)], format="csr").T)
        made.eliminate_zeros()
        return made

    def _limit(self, node: Node, reader: str) -> str:
        return (
            f"{reader}: found a product of spikes {node.operation!r} that takes more than {MAX_PAIRS} neurons, one for "
            f"each two spikes that meet, allowed are so many; make the layers smaller, or feed it without the product"
        )


def _meeting(operation: str, left: tuple[int, ...], right: tuple[int, ...]) -> tuple[Array, Array] | None:
    """Which values of two sides, without the batch, are multiplied: (n_out, k) indices of either; None where samples
    of a batch would mix."""
    if not left or len(left) != len(right) or (operation in MATRICES and len(left) < 2):
        return None
    one, two = (np.arange(prod(shape)).reshape(shape) for shape in (left, right))
    if operation in MATRICES:
        one, two = one[..., :, None, :], np.swapaxes(two, -1, -2)[..., None, :, :]
    one, two = np.broadcast_arrays(one, two)
    terms = one.shape[-1] if operation in MATRICES else 1
    return one.reshape(-1, terms), two.reshape(-1, terms)


def _expanded(
    left: csr_array, right: csr_array, one: Array, two: Array, limit: str
) -> tuple[Array, Array, Array, Array]:
    """Each product of two spikes in it: their indices, the value that it is a part of, and its weight."""
    rows = np.repeat(np.arange(len(one)), one.shape[1])
    one, two = one.reshape(-1), two.reshape(-1)
    n_left, n_right = (np.diff(matrix.indptr)[own] for matrix, own in ((left, one), (right, two)))
    sizes = n_left * n_right
    if sizes.sum() > MAX_TERMS:
        raise ModelError(limit)
    term = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(term)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at_left = left.indptr[one[term]] + within // np.maximum(n_right[term], 1)
    at_right = right.indptr[two[term]] + within % np.maximum(n_right[term], 1)
    weights = left.data[at_left] * right.data[at_right]
    return left.indices[at_left].astype(np.int64), right.indices[at_right].astype(np.int64), rows[term], weights
