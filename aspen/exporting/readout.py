"""What a model answers with: spikes, membranes, or a linear layer that feeds no neuron.

Such a layer becomes a population that never fires (:class:`aspen.Lif` with an infinite threshold). Where the model's
answer is the layer at the last step, the population's membrane is the layer's value at each step; in all other cases it
adds the values up, so that at the end it holds their sum over time, which ranks the classes as their mean does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from aspen._base.arrays import Array
from aspen.errors import ModelError
from aspen.exporting.expressions import Values, atoms, compute, key
from aspen.exporting.folding import Folder
from aspen.exporting.layers import IDENTITIES, LAYERS, RESHAPING
from aspen.exporting.neurons import NEURONS, numpy
from aspen.exporting.nodes import Node, inside, stacked
from aspen.exporting.traces import Trace
from aspen.models.operations import PICKS
from aspen.network.connections import Connection
from aspen.network.neurons import Lif
from aspen.network.population import Population

INPUT = "input"
"""Name of the population that is given the input."""
LEAST_SCALE = 0.25
_WEIGHING = frozenset({"linear", "matmul", "__matmul__", "__rmatmul__", "mm", "conv1d", "conv2d"})


@dataclass(frozen=True)
class ReadOut:
    """A linear layer whose values are the answer.

    Args:
        module: its name.
        calls: what it made: once per step, or once of what was collected over all steps.
        readout: how the membranes are read, one of :data:`aspen.network.network.READOUTS`.
        keep: membrane decay of the population: 1 adds up, 0 shows each step's value.
    """

    module: str
    calls: tuple[Node, ...]
    readout: str
    keep: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.calls[-1].shape[1:]

    @property
    def neuron(self) -> Lif:
        """The population's neurons."""
        return Lif(threshold=np.inf, beta=self.keep, reset="none")


def find_readout(
    traced: Trace, leaves: Mapping[str, nn.Module], used: Mapping[str, None], steps: int, wanted: str | None
) -> ReadOut | None:
    """The last linear layer that feeds no neuron, or None where there is none.

    Args:
        traced: what the model did.
        leaves: its layers and neurons, by name.
        used: names of the layers that feed neurons.
        steps: time steps of the trace.
        wanted: the read-out asked for, or None.

    Raises:
        ModelError: the layer is not called once per step, or once for all, or cannot be read as ``wanted``.
    """
    free = [name for name in traced.ran if name not in used and _weighs(leaves[name])]
    if not free:
        return None
    name = free[-1]
    calls = _by_step(traced.layers[name], leaves[name])
    title = f"{name} ({type(leaves[name]).__name__})"
    if len(calls) not in (1, steps):
        raise ModelError(
            f"{title} is called {len(calls)} times for {steps} time steps, allowed is once per step, or once for all"
        )
    last_only = _is_last_only(traced, calls, steps)
    if wanted == "spikes" or (wanted is not None and len(calls) == 1):
        allowed = "a read-out on membranes" if wanted == "spikes" else "readout=None: it reads all steps at once"
        raise ModelError(f"readout: found {wanted!r} for {title}, which feeds no spiking layer; allowed is {allowed}")
    keep = 0.0 if last_only or wanted is not None else 1.0
    return ReadOut(name, calls, wanted or "membrane-last", keep)


def _is_last_only(traced: Trace, calls: tuple[Node, ...], steps: int) -> bool:
    """Whether the answer is the layer's value at the last step."""
    if len(calls) == 1:
        return {atom.call for atom in atoms(calls[0]).values()} == {steps - 1}
    made = traced.layers[calls[-1].module]
    if len(made) == 1:  # all steps at once
        return any(_picks_last(node, made[0], steps) for node in inside(traced.returned))
    places = {id(node): k for k, node in enumerate(calls)}
    return {places[id(node)] for node in inside(traced.returned) if id(node) in places} == {len(calls) - 1}


def _by_step(made: list[Node], layer: nn.Module) -> tuple[Node, ...]:
    """The layer's calls, one for each step also where it was given the stack of all steps at once."""
    items = stacked(made[0].args[0]) if len(made) == 1 and isinstance(layer, nn.Linear) else ()
    if len(items) < 2:
        return tuple(made)
    return tuple(replace(made[0], shape=made[0].shape[1:], args=(item,)) for item in items)


def _picks_last(node: Node, made: Node, steps: int) -> bool:
    """Whether ``node`` is the last time step of what a layer made of all steps.

    Raises:
        ModelError: it is another part of it.
    """
    if node.operation not in PICKS or not node.args or node.args[0] is not made:
        return False
    if node.operation == "__getitem__" and node.args[1] in (-1, steps - 1):
        return True
    raise ModelError(
        f"{made.module}: found {node.operation!r} on what it made of all time steps, allowed is all of them, or the "
        f"last by [-1]; return these, or pass readout="
    )


def _weighs(layer: nn.Module) -> bool:
    return isinstance(layer, LAYERS) and not isinstance(layer, (*RESHAPING, *IDENTITIES, *NEURONS))


def check_answer(traced: Trace) -> None:
    """Refuse weights without a name after the last layer: what they do to the answer would be lost."""
    for node in inside(traced.returned):
        if node.kind == "apply" and not node.module and node.operation in _WEIGHING:
            raise ModelError(
                f"forward(): found {node.operation!r} after the last layer, allowed is nn.Linear; use a layer, or "
                f"return the spikes"
            )


def membrane_readout(traced: Trace, module: str, stepped_outside: bool) -> str:
    """How the model's answer reads neuron layer ``module``: ``spikes`` unless it holds its membranes and no spikes.

    Args:
        traced: what the model did.
        module: the output layer.
        stepped_outside: the model does one step, so that what it returns is the answer of a step.
    """
    ends = [node for node in inside(traced.returned) if node.module == module and node.kind in ("spikes", "state")]
    if not ends or any(node.kind == "spikes" or node.operation != "mem" for node in ends):
        return "spikes"
    last = max(call.call for call in traced.calls if call.module == module)
    only_last = {node.call for node in ends} == {last}
    return "membrane-last" if only_last and not stepped_outside else "membrane"


def check_membranes(module: str, layer: Any, lif: Lif) -> None:
    """Refuse membranes that snnTorch shows after a reset: ours are those that are compared with the threshold."""
    if lif.reset != "none" and not getattr(layer, "reset_delay", True):
        raise ModelError(
            f"{module}: its membranes are read out and it has reset_delay=False, allowed is reset_delay=True or "
            f"reset_mechanism='none'; use 'none', which a read-out on membranes wants"
        )


def as_integrator(population: Population, connections: Iterable[Connection]) -> Population:
    """A population whose membranes are read: neurons that never fire, if none of them can reach its threshold.

    Such thresholds stand for no threshold at all, and would take all the room of a chip's integers. None can reach it
    means: not if all that excites a neuron spikes at every step, nor with a knob at :data:`LEAST_SCALE`.
    """
    lif = population.neuron
    incoming = [c for c in connections if c.target == population.name]
    if not isinstance(lif, Lif) or any(c.source == INPUT for c in incoming) or not incoming:
        return population
    highest = sum(abs(c.synapses()).sum(axis=1) + np.abs(c.bias_currents()) for c in incoming)
    kept = np.broadcast_to((1 - lif.alpha) * (1 - lif.beta), population.shape).reshape(-1)
    threshold = np.broadcast_to(lif.threshold, population.shape).reshape(-1)
    if not bool((np.ravel(highest) < LEAST_SCALE * threshold * kept).all()):
        return population
    return replace(population, neuron=replace(lif, threshold=np.array(np.inf), reset="none"))


def fold_over_time(folder: Folder, node: Node, steps: int) -> list[Connection]:
    """The connections of a layer that is applied once to what was collected over all steps, for each single step.

    Raises:
        ModelError: it does not treat all steps alike.
    """
    sources = atoms(node)
    last = {k: atom for k, atom in sources.items() if atom.call == steps - 1}
    zeros = {k: torch.zeros(node.shape[0], _size(folder, atom)).double() for k, atom in sources.items()}
    constant = numpy(compute(node, zeros, folder.doubles))
    _check_alike(folder, node, zeros, constant, steps)
    share: Array = constant.reshape(node.shape[0], -1)[0] / steps
    bias: Array | None = share if share.any() else None
    made: list[Connection] = []
    for atom in last.values():
        made.append(folder.matrix(node, atom, bias))
        bias = None
    return made


def _size(folder: Folder, atom: Node) -> int:
    return int(np.prod(folder.shapes[atom.module]))


def _check_alike(folder: Folder, node: Node, zeros: Values, constant: Array, steps: int) -> None:
    """The value of all steps together is the sum of what each gives alone, put at the last step."""
    generator = torch.Generator().manual_seed(0)
    drawn = {k: torch.randn(zero.shape, generator=generator, dtype=torch.float64) for k, zero in zeros.items()}
    whole = numpy(compute(node, drawn, folder.doubles)) - constant
    total = np.zeros_like(whole)
    modules = {atom.module for atom in atoms(node).values()}
    complete = set(drawn) == {(module, call) for module in modules for call in range(steps)}
    for call in range(steps if complete else 0):
        moved = {key(a): drawn[a.module, call] for a in atoms(node).values() if a.call == steps - 1}
        total += numpy(compute(node, dict(zeros) | moved, folder.doubles)) - constant
    if not complete or not np.allclose(whole, total, rtol=1e-9, atol=1e-9 * (1 + np.abs(whole).max())):
        raise ModelError(
            f"{folder.module}: reads the time steps in different ways, allowed is the sum or the mean over all steps; "
            f"apply it at every step"
        )
