"""Membranes that are handed on: a layer that reads another's membranes has a synaptic current that decays as they do.

A membrane is linear in what it is given and in its own spikes, where these subtract the threshold in the next step::

    mem[t] = beta * mem[t-1] + I[t] - threshold * spikes[t-1]

So what a layer makes of it by weights W is a current that keeps beta of itself at each step, driven by W I[t], and by
-threshold * W from the first layer's spikes of the step before. That threshold then lies in weights, which no knob
turns: the knob leaves that layer alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import snntorch
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from aspen.exporting.expressions import compute
from aspen.exporting.folding import from_matrix
from aspen.exporting.layers import Doubles
from aspen.exporting.neurons import Mapped
from aspen.exporting.nodes import Node, inside
from aspen.exporting.traces import Call, Charged, Trace
from aspen.models.operations import convert
from aspen.network.connections import Connection


def follow_membranes(traced: Trace, spiking: Mapping[str, nn.Module]) -> None:
    """Where a layer reads another's membranes, let it be driven by what drives and resets these.

    Args:
        traced: what a model did; changed.
        spiking: its neurons, by name.
    """
    calls = {(made.module, made.call): made for made in traced.calls}
    for name in dict.fromkeys(made.module for made in traced.calls):
        own = [made for made in traced.calls if made.module == name]
        source = _read_by(own)
        if source is None or not _fits(spiking.get(name), spiking.get(source), name in traced.forgetful):
            continue
        driven = {id(made): _driven(made, source, calls, spiking[source]) for made in own}
        if None in driven.values():
            continue
        last = own[-1].node
        beta = float(torch.as_tensor(spiking[source].beta).clamp(0, 1).flatten()[0])
        traced.charged[name] = Charged(source, beta, _at_rest(last))
        traced.calls[:] = [replace(made, node=driven.get(id(made)) or made.node) for made in traced.calls]


def _read_by(calls: list[Call]) -> str | None:
    """The layer whose membranes of the same step are all that a layer reads, or None."""
    read = [[node for node in inside([made.node]) if node.kind not in ("apply",)] for made in calls]
    found = {node.module if (node.kind, node.operation) == ("state", "mem") else "" for own in read for node in own}
    same = all(node.call == made.call for own, made in zip(read, calls, strict=True) for node in own)
    return found.pop() if len(found) == 1 and "" not in found and same and all(read) else None


def _fits(reader: Any, source: Any, forgets: bool) -> bool:
    if type(reader) is not snntorch.Leaky or type(source) is not snntorch.Leaky or forgets:
        return False
    delayed = source.reset_mechanism == "none" or (source.reset_mechanism == "subtract" and source.reset_delay)
    plain = bool((torch.as_tensor(source.graded_spikes_factor) == 1).all())
    return delayed and plain and len(torch.as_tensor(source.beta).unique()) == 1


def _driven(made: Call, source: str, calls: Mapping[tuple[str, int], Call], layer: Any) -> Node | None:
    """What a reader is given, with what the membranes gained in the step in their place; None where these read others'
    membranes in turn."""
    given = calls[source, made.call].node
    if any(node.kind == "state" for node in inside([given])):
        return None
    gained = given
    if layer.reset_mechanism == "subtract" and made.call > 0:
        fired = Node("spikes", given.shape, source, made.call - 1)
        lost = Node("apply", given.shape, operation="mul", function=torch.mul, args=(fired, layer.threshold))
        gained = Node("apply", given.shape, operation="sub", function=torch.sub, args=(given, lost))
    return _instead(made.node, gained, {})


def _instead(node: Node, gained: Node, done: dict[int, Node]) -> Node:
    """An expression with ``gained`` in the place of membranes."""
    if node.kind == "state":
        return gained
    if id(node) not in done:
        args, kwargs = convert((node.args, node.kwargs), Node, lambda part: _instead(part, gained, done))
        done[id(node)] = replace(node, args=args, kwargs=kwargs)
    return done[id(node)]


def _at_rest(node: Node) -> Tensor:
    """What a reader is given where the membranes are zero."""
    state = next(part for part in inside([node]) if part.kind == "state")
    zero = Node("apply", state.shape, operation="zeros", function=lambda: torch.zeros(state.shape, dtype=torch.float64))
    return compute(_instead(node, zero, {}), {}, Doubles())


def charged(mapped: Mapped, how: Charged, shape: tuple[int, ...]) -> Mapped:
    """The neurons of such a reader."""
    bias = how.constant[0].reshape(shape).numpy()
    lif = replace(mapped.lif, alpha=np.asarray(how.beta), bias=bias if bias.any() else np.zeros(()))
    return replace(mapped, lif=lif)


def without_constant(connections: list[Connection], how: Charged) -> list[Connection]:
    """The connections of such a reader, without what its neurons have as their bias."""
    constant = how.constant[0].reshape(-1).numpy()
    if not constant.any():
        return connections
    first = next((c for c in connections if c.bias is not None), connections[0])
    bias = first.bias_currents().astype(np.float64) - constant
    kept = bias if np.abs(bias).max() > 1e-12 * np.abs(constant).max() else None
    made = from_matrix(first.source, first.target, csr_array(first.synapses()), kept, first.delay)
    return [made if c is first else c for c in connections]


def held(name: str, readers: Sequence[str]) -> str:
    """What to say of a layer whose threshold lies in its readers' weights."""
    return (
        f"{name}: its membranes are read by {', '.join(readers)}, whose weights hold its threshold: the knob leaves it "
        f"alone; leave it out of perturb_thresholds(layers=...) too, or feed them with its spikes"
    )
