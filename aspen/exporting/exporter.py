"""Export: a trained snnTorch model becomes a :class:`aspen.Network`, or is refused by name."""

from __future__ import annotations

import copy
from math import prod
from typing import Any

import numpy as np
import snntorch
from torch import Tensor, nn

from aspen._version import __version__
from aspen.connections import Connection
from aspen.errors import InputError, ModelError
from aspen.exporting.expressions import atoms, check_expression, same_expression, same_values
from aspen.exporting.folding import Folder, merge
from aspen.exporting.forms import record
from aspen.exporting.layers import Doubles, check_layer, leaf_modules
from aspen.exporting.neurons import NEURONS, Mapped, check_neuron, map_neuron, recurrence
from aspen.exporting.nodes import Node
from aspen.exporting.tracing import Call
from aspen.layers import spiking_layers
from aspen.network import Network, Population

_INPUT = "input"


def export(model: nn.Module, sample: Tensor) -> Network:
    """Describe a trained snnTorch model as a network that spikes alike.

    The model runs on the sample, in ``eval()`` mode and on a copy, to see what feeds what. It may loop over time, do
    one step (keeping its states, or taking and returning them), or repeat one input for a number of steps of its own;
    the network is then given that input at every step. Neurons are ``Leaky``, ``Synaptic``, ``RLeaky``, ``RSynaptic``
    and ``Lapicque``; between them lie linear layers, sums and concatenations, of spikes of this step or of earlier
    ones. Thresholds are exported as trained; the run-time knob of the model (:func:`aspen.set_threshold_scale`) is not
    part of them.

    Args:
        model: the trained model.
        sample: input (time, batch, *shape), not all zero: at least 2 steps and more than the longest delay; 2 samples
            or more, so that what mixes the samples of a batch is found. With values other than 0 and 1 the network's
            input takes a direct current.

    Returns:
        the network: one population for each spiking layer, called like the module, and ``input``. A linear layer or
        a convolution alone becomes a ``Dense`` or ``Conv`` connection, anything else the matrix that it amounts to.

    Raises:
        ModelError: something in the model cannot be mapped; the message names the module, the reason and a remedy.
        InputError: the sample has too few steps or dimensions, or numbers that are not finite.
    """
    if not isinstance(sample, Tensor) or sample.ndim < 3 or sample.shape[0] < 2:
        found = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample).__name__
        raise InputError(f"sample: found {found}, allowed is a tensor (time, batch, *shape) of 2 steps or more")
    if not bool(sample.isfinite().all()):
        raise InputError("sample: found NaN or infinity, allowed are finite numbers; clean the data")
    twin = _copy(model).eval()
    spiking = spiking_layers(twin)
    for name, layer in spiking.items():
        check_neuron(name, layer)
    leaves = leaf_modules(twin)
    traced = record(twin, sample, leaves, spiking)
    return _Builder(twin, sample, leaves, traced.calls, list(traced.ran)).build()


def _copy(model: nn.Module) -> nn.Module:
    """A copy of the model; membranes still in an autograd graph, which torch cannot copy, are detached."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in (*module._buffers.values(), *vars(module).values()):
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)


class _Builder:
    """Builds the network of a model that was traced."""

    def __init__(
        self, model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], calls: list[Call], ran: list[str]
    ) -> None:
        self.model, self.leaves, self.ran = model, leaves, ran
        self.current = not bool(((sample == 0) | (sample == 1)).all())
        self.batch = sample.shape[1]
        self.calls: dict[str, list[Call]] = {}
        for call in calls:
            self.calls.setdefault(call.module, []).append(call)
        self.shapes = {"": tuple(sample.shape[2:])}
        self.shapes |= {name: own[-1].node.shape[1:] for name, own in self.calls.items()}
        self.names = {"": _INPUT} | {name: population_name(name) for name in self.calls}
        self.doubles = Doubles()

    def build(self) -> Network:
        """The network."""
        self._check_expressions()
        mapped = {name: map_neuron(name, self.leaves[name], self.shapes[name]) for name in self.calls}
        populations = [Population(_INPUT, self.shapes[""], current=self.current)]
        connections: list[Connection] = []
        for name, neuron in mapped.items():
            populations.append(Population(self.names[name], self.shapes[name], neuron.lif))
            connections += self._incoming(name, mapped)
        output = self._output(connections, mapped)
        provenance = {
            "made_by": f"aspen {__version__}",
            "model": type(self.model).__name__,
            "snntorch": snntorch.__version__,
        }
        return Network(tuple(populations), tuple(connections), output, provenance)

    def _incoming(self, name: str, mapped: dict[str, Mapped]) -> list[Connection]:
        last = self.calls[name][-1]
        one = np.ones(())
        factors = {"": one} | {other: neuron.factor for other, neuron in mapped.items()}
        population, shape, scale = self.names[name], self.shapes[name], mapped[name].scale
        folder = Folder(
            name, population, shape, last.call, scale, self.names, self.shapes, factors, self.doubles
        )  # fmt: skip
        return merge(folder.fold(last.node) + recurrence(name, population, self.leaves[name], shape, mapped[name]))

    def _check_expressions(self) -> None:
        """Every neuron's input is linear in spikes and input, and made in the same way at every step."""
        parameters = {id(tensor) for tensor in (*self.model.parameters(), *self.model.buffers())}
        used: dict[str, None] = {}
        for name, calls in self.calls.items():
            if len(calls[-1].node.shape) < 2 or calls[-1].node.shape[0] != self.batch:
                raise ModelError(
                    f"{name}: found an input of shape {calls[-1].node.shape}, allowed is (batch, *shape) with a batch "
                    f"of {self.batch}; keep the batch as the first dimension"
                )
            check_expression(calls[-1].node, name, parameters, used)
        for name in self.ran:
            if name not in used and type(self.leaves[name]) not in NEURONS:
                self._refuse_unused(name)
        for calls in self.calls.values():
            for call in calls[:-1]:
                self._check_step(call, calls[-1])

    def _check_step(self, call: Call, last: Call) -> None:
        sizes = {name: prod(shape) for name, shape in self.shapes.items()}
        if same_expression(last.node, call.node, last.call - call.call):
            return
        if not same_values(last.node, call.node, last.call, call.call, sizes, self.doubles):
            raise ModelError(
                f"{call.module}: at step {call.call} its input is made otherwise than at step {last.call}"
                f"{_reads(call.node, self.names)}; do the same at every step, and read the input in order"
            )

    def _refuse_unused(self, name: str) -> None:
        layer = self.leaves[name]
        check_layer(name, layer)
        if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            raise ModelError(
                f"{name} ({type(layer).__name__}) feeds no spiking layer; a read-out must end in spikes, add one"
            )

    def _output(self, connections: list[Connection], mapped: dict[str, Mapped]) -> str:
        """The population that feeds no other, unless it does so with a delay only."""
        targets = [self.names[name] for name in mapped]
        within = {c.source for c in connections if c.delay == 0}
        later = {c.source for c in connections if c.source != c.target}
        ends = [name for name in targets if name not in within]
        ends = ends if len(ends) == 1 else [name for name in ends if name not in later]
        if len(ends) != 1:
            raise ModelError(f"output: found {sorted(ends)}, allowed is one last layer; export one read-out at a time")
        module = next(name for name in mapped if self.names[name] == ends[0])
        if bool((mapped[module].factor != 1).any()):
            raise ModelError(
                f"{module}: the output layer has a graded_spikes_factor other than 1, allowed is 1: no weights follow "
                f"that could take it; scale what the model returns"
            )
        return ends[0]


def _reads(node: Node, names: dict[str, str]) -> str:
    found = ", ".join(f"{names[module]} of step {call}" for module, call in atoms(node))
    return f" (it reads {found})" if found else ""


def population_name(module: str) -> str:
    """The population's name for a module's qualified name; ``layer0`` for module ``0`` of a Sequential."""
    return f"layer{module}" if module[:1].isdigit() else module
