"""Export: a trained snnTorch model becomes a :class:`aspen.Network`, or is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import snntorch
import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen._base.names import unknown_name
from aspen._version import __version__
from aspen.errors import InputError, ModelError
from aspen.exporting.changes import driven_by_changes
from aspen.exporting.expressions import atoms, check_expression, same_expression, same_values
from aspen.exporting.folding import Folder, merge
from aspen.exporting.forgetting import EACH, any_of_each, note, one_for_each, warn, without_memory
from aspen.exporting.gates import gate
from aspen.exporting.layers import Doubles, check_layer, leaf_modules
from aspen.exporting.membranes import charged, held, without_constant
from aspen.exporting.neurons import NEURONS, Mapped, check_neuron, map_neuron, recurrence
from aspen.exporting.nodes import Node
from aspen.exporting.products import both
from aspen.exporting.readout import (
    INPUT,
    ReadOut,
    as_integrator,
    check_answer,
    check_membranes,
    find_readout,
    fold_over_time,
    membrane_readout,
)
from aspen.exporting.recording import record
from aspen.exporting.traces import Call, Trace
from aspen.exporting.verifying import Wired, Wiring, verify
from aspen.models.at_once import step_by_step
from aspen.models.copying import copy_of, plain_of
from aspen.models.delta import Changes, of_changes
from aspen.models.forms import InputForm
from aspen.models.layers import STEP, check_weights, population_name, spiking_layers
from aspen.models.own_neurons import Adopted, adopted, told
from aspen.models.probing import FIND, read_sample
from aspen.network.connections import Connection
from aspen.network.network import READOUTS, Network, Population
from aspen.network.steady import carried_by_spikes


def export(
    model: nn.Module,
    sample: Tensor,
    readout: str | None = None,
    *,
    time_axis: int | str | None = FIND,
    arguments: Mapping[str, Any] | None = None,
) -> Network:
    """Describe a trained snnTorch model as a network that spikes alike.

    The model runs on the sample, in ``eval()`` mode and on a copy, to see what feeds what; then again, on the sample
    and on random input and spikes, to see that the network's connections give its neurons the same. What hooks make of
    a layer's values is part of the network.

    The model may loop over time, along whichever axis, do one step (keeping its states, or taking and returning them),
    or repeat one input for a number of steps of its own; the network is then given that input at every step, and its
    input is ``static``. Which of these, and which axis is time and which the batch, is found out by running the model
    on samples that differ (:func:`aspen.find_form`), and kept in the network's ``provenance``. Where the model draws
    spikes of its input (``spikegen.rate``), the network begins behind that, and takes spikes.

    Neurons are ``Leaky``, ``Synaptic``, ``RLeaky``, ``RSynaptic`` and ``Lapicque``, and in other forms that spike alike
    ``StateLeaky``, ``LeakyParallel``, ``DeltaLeaky`` and classes of your own that do as ``Leaky`` does. Between them
    lie linear layers, sums and concatenations, of spikes of this step or of earlier ones. A maximum pool over spikes
    becomes neurons that spike where any in their window does, a product of spikes such that spike where both do
    (``Population.gate``). A layer may read another's membranes (``Population.held``). Neurons that are never called are
    left out. Thresholds are exported as trained; the run-time knob of the model (:func:`aspen.set_threshold_scale`) is
    not part of them.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> sample = (torch.rand(10, 2, 4) < 0.5).float()  # (time, batch, inputs)
    >>> network = export(model, sample)
    >>> [(population.name, population.shape) for population in network.populations]
    [('input', (4,)), ('lif1', (3,)), ('lif2', (2,))]

    Args:
        model: the trained model.
        sample: what ``forward`` is given, not all zero; for a model that does one step, its steps stacked, (time,
            batch, *shape). At least 2 steps and more than the longest delay; 2 samples or more, so that what mixes the
            samples of a batch is found. With values other than 0 and 1 the network's input takes a direct current.
        readout: one of :data:`aspen.network.network.READOUTS`, or None to go by what the model returns: the last
            layer's spikes; its membranes, if it returns these alone; or a last linear layer, which becomes a
            population that never fires. That one adds up the layer's values over time, and is read at the last step;
            where the model returns the layer's last step alone, or ``readout`` is given, its membrane is the value of
            each step.
        time_axis: which axis of the sample is time, where you know; None: none of them. Only needed where the sample
            can be read in two ways, which is refused.
        arguments: what ``forward`` is given beside the sample and the states of its neurons, by name, such as
            ``{"num_steps": 25}``.

    Returns:
        the network: one population for each spiking layer, called like the module, and ``input``. A linear layer or
        a convolution alone becomes a ``Dense`` or ``Conv`` connection, anything else the matrix that it amounts to.

    Raises:
        ModelError: something in the model cannot be mapped; the message names the module, the reason and a remedy.
        InputError: the sample has too few steps or dimensions, numbers that are not finite, or zeros alone; an unknown
            readout or argument.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: found {type(model).__name__}, allowed is a trained snnTorch model; pass that")
    model = plain_of(model)
    if readout not in (None, *READOUTS):
        raise InputError(unknown_name("readout", readout, ("None", *READOUTS)))
    check_weights(model)
    for name, layer in spiking_layers(model).items():
        check_neuron(name, layer)
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    model, own = adopted(of_changes(model))
    asked, frames = read_sample(model, sample, time_axis, arguments)
    model, form = step_by_step(model, asked, frames)
    twin = copy_of(model).eval()
    if len(frames) < 2:
        raise InputError(
            f"sample: found 1 time step in {tuple(sample.shape)} ({form}), allowed are 2 or more; give more"
        )
    leaves = leaf_modules(twin)
    traced = record(twin, frames, form, leaves, spiking_layers(twin))
    if traced.encoded:
        frames = torch.stack(traced.encoded)
    builder = _Builder(twin, frames, leaves, traced, readout)
    network = builder.build(traced.form if form is asked else asked)
    output = next(module for module, population in builder.names.items() if population == network.output)
    verify(model, frames, Wiring(builder.wired, builder.names, traced.form, output))
    warn(network.provenance.get("notes", ()))
    notes = [told(population_name(name), kinds[name], does) for name, does in own.items() if name in builder.calls]
    said = [*network.provenance.get("notes", ()), *notes]
    return replace(network, provenance={**network.provenance, "notes": said}) if notes else network


class _Builder:
    """Builds the network of a model that was traced."""

    def __init__(
        self, model: nn.Module, sample: Tensor, leaves: dict[str, nn.Module], traced: Trace, wanted: str | None
    ) -> None:
        self.model, self.leaves, self.traced, self.wanted = model, leaves, traced, wanted
        self.current = not bool(((sample == 0) | (sample == 1)).all())
        self.batch = sample.shape[1]
        self.calls: dict[str, list[Call]] = {}
        for call in traced.calls:
            self.calls.setdefault(call.module, []).append(call)
        self.shapes = {"": tuple(sample.shape[2:])}
        self.shapes |= {name: own[-1].node.shape[1:] for name, own in self.calls.items()}
        self.names = {"": INPUT} | {name: population_name(name) for name in self.calls}
        self.doubles = Doubles()
        self.steps = max(len(own) for own in self.calls.values())
        self.wired: dict[str, Wired] = {}
        self.added: list[Population] = []
        self.parameters = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}

    def build(self, form: InputForm) -> Network:
        """The network; ``form``: how the user's model takes its input."""
        last = self._check_expressions()
        gates = self.traced.gates.keys() | self.traced.products.keys()
        gates |= {name for name in self.calls if isinstance(self.leaves.get(name), Changes)}
        mapped = {name: self._mapped(name) for name in self.calls}
        static = self.traced.form.static
        populations = [Population(INPUT, self.shapes[""], current=self.current, static=static)]
        connections: list[Connection] = []
        for name, neuron in mapped.items():
            populations.append(Population(self.names[name], self.shapes[name], neuron.lif, gate=name in gates))
            connections += self._incoming(name, mapped)
        sources = {how.source: self.names[how.source] for how in self.traced.charged.values()}
        fed = {connection.source for connection in connections}
        unread = {name for name in sources.values() if name not in fed}  # nothing but membranes, which others now have
        connections = [c for c in connections if c.target not in unread]
        mapped = {name: neuron for name, neuron in mapped.items() if self.names[name] not in unread}
        populations = [replace(p, held=p.name in sources.values()) for p in populations if p.name not in unread]
        output, readout = self._output(connections, mapped, last)
        if readout != "spikes":
            populations = [as_integrator(p, connections) if p.name == output else p for p in populations]
        populations += self.added
        if last is not None:
            populations.append(Population(output, last.shape, last.neuron))
            connections += self._fold_readout(last, output, mapped)
        provenance = {
            "made_by": f"aspen {__version__}",
            "model": type(self.model).__name__,
            "snntorch": snntorch.__version__,
            "form": form.to_dict(),
        }
        notes = [note([self.names[name] for name in self.traced.forgetful])] if self.traced.forgetful else []
        notes += [held(p.name, self._readers(p.name)) for p in populations if p.held]
        if notes:
            provenance["notes"] = notes
        return Network(tuple(populations), tuple(connections), output, provenance, readout)

    def _readers(self, population: str) -> list[str]:
        return [self.names[name] for name, how in self.traced.charged.items() if self.names[how.source] == population]

    def _mapped(self, name: str) -> Mapped:
        gates, stem = self.traced.gates, name.removesuffix(EACH)
        if name in self.traced.products:
            return both()
        if (name in gates and name not in self.leaves) or isinstance(self.leaves.get(name), Changes):
            return gate()
        if name not in self.leaves:
            return one_for_each(stem, map_neuron(stem, self.leaves[stem], self.shapes[stem]))
        mapped = map_neuron(name, self.leaves[name], self.shapes[name])
        if name in self.traced.charged:
            mapped = charged(mapped, self.traced.charged[name], self.shapes[name])
        if name in self.traced.forgetful:
            mapped = any_of_each(mapped) if name in gates else without_memory(mapped)
        pooled = {source for source, _ in self.traced.gates.values()}.union(*self.traced.products.values())
        if name in pooled and bool((mapped.factor != 1).any()):
            raise ModelError(
                f"{name}: found a graded_spikes_factor other than 1 in front of a maximum pool or a product of spikes, "
                f"allowed is 1; train without"
            )
        return mapped

    def _incoming(self, name: str, mapped: dict[str, Mapped]) -> list[Connection]:
        last, population, shape = self.calls[name][-1], self.names[name], self.shapes[name]
        folder = self._folder(name, population, shape, last.call, mapped[name].scale, mapped)
        made = folder.fold(last.node)
        is_gate = name in self.traced.gates or name in self.traced.products
        scale = np.broadcast_to(mapped[name].scale, shape).reshape(-1)
        if name.removesuffix(EACH) in self.traced.forgetful and name not in self.leaves:
            (over,) = (over for source, over in self.traced.gates.values() if source == name)
            stem = name.removesuffix(EACH)
            one = np.broadcast_to(mapped[name].scale, prod(self.shapes[stem]))
            self.wired[stem] = Wired(tuple(made), one, pool=over.largest(shape))
            return made
        if is_gate and name in self.leaves:
            return made
        how = self.traced.charged.get(name)
        if how is not None:
            made = without_constant(made, how)
        above = float(mapped[name].lif.threshold.max())
        self.wired[name] = Wired(tuple(made), scale, "gate" if is_gate else "step", above=above, charged=how)
        if is_gate:
            return made
        layer = self.leaves[name]
        if isinstance(layer, Changes):
            spiking = {self.names[other] for other in self.names if other or not self.current}
            added, connections = driven_by_changes(population, shape, layer, made, spiking)
            self.added += added
            return connections
        if isinstance(layer, Adopted) and layer.does.late:
            return self._later(name, made)
        return merge(made + recurrence(name, population, self.leaves[name], shape, mapped[name]))

    def _later(self, name: str, made: list[Connection]) -> list[Connection]:
        """What drives neurons that spike by the membrane of the step before: all of it a step later."""
        population = self.names[name]
        if self.traced.form.static:
            raise ModelError(
                f"{name}: spikes by the membrane of the step before, and its input is the same at every step, allowed "
                f"is input that changes; use snntorch.Leaky"
            )
        biases = sum((c.bias_currents().astype(np.float64) for c in made), np.zeros(prod(self.shapes[name])))
        later = [replace(c, bias=None, delay=c.delay + 1) for c in made]  # type: ignore[type-var]
        if not biases.any():
            return later
        steady, weights = carried_by_spikes(population, biases, delay=1)
        self.added.append(steady)
        return [*later, *weights]

    def _folder(
        self, name: str, population: str, shape: tuple[int, ...], call: int, scale: Array, mapped: dict[str, Mapped]
    ) -> Folder:
        factors = {"": np.ones(())} | {other: neuron.factor for other, neuron in mapped.items()}
        return Folder(name, population, shape, call, scale, self.names, self.shapes, factors, self.doubles)

    def _fold_readout(self, last: ReadOut, population: str, mapped: dict[str, Mapped]) -> list[Connection]:
        folder = self._folder(last.module, population, last.shape, self.steps - 1, np.ones(()), mapped)
        if len(last.calls) > 1 or last.keep == 0:
            made, when = merge(folder.fold(last.calls[-1])), "step" if len(last.calls) > 1 else "last"
        else:
            made, when = fold_over_time(folder, last.calls[0], self.steps), "sum"
        self.names[last.module] = population
        self.wired[last.module] = Wired(tuple(made), np.ones(prod(last.shape)), when)
        return made

    def _check_expressions(self) -> ReadOut | None:
        """Every neuron's input is linear in spikes and input, and made in the same way at every step.

        Returns:
            the linear layer that is the model's answer, checked likewise, or None.
        """
        used = dict(self.traced.multiplied)
        for name, calls in self.calls.items():
            if len(calls[-1].node.shape) < 2 or calls[-1].node.shape[0] != self.batch:
                raise ModelError(
                    f"{name}: found an input of shape {calls[-1].node.shape}, allowed is (batch, *shape) with a batch "
                    f"of {self.batch}; keep the batch as the first dimension"
                )
            check_expression(calls[-1].node, name, self.parameters, used)
        for calls in self.calls.values():
            for call in calls[:-1]:
                self._check_step(call, calls[-1])
        last = find_readout(self.traced, self.leaves, used, self.steps, self.wanted)
        if last is not None:
            check_expression(last.calls[-1], last.module, self.parameters, used)
            made = [Call(last.module, step, node, "") for step, node in enumerate(last.calls)]
            for call in made[:-1]:
                self._check_step(call, made[-1])
        check_answer(self.traced)
        for name in self.traced.ran:
            if name not in used and name not in self.traced.pools and type(self.leaves[name]) not in NEURONS:
                self._refuse_unused(name)
        return last

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
                f"{name} ({type(layer).__name__}) feeds neither a spiking layer nor the last layer, allowed is one "
                f"read-out; remove it, or export one read-out at a time"
            )

    def _output(
        self, connections: list[Connection], mapped: dict[str, Mapped], last: ReadOut | None
    ) -> tuple[str, str]:
        """The output population and how it is read: a last linear layer, or the neurons that feed no other.

        They may feed another with a delay.
        """
        if last is not None:
            return population_name(last.module), last.readout
        targets = [self.names[name] for name in mapped]
        within = {c.source for c in connections if c.delay == 0}
        later = {c.source for c in connections if c.source != c.target}
        ends = [name for name in targets if name not in within]
        ends = ends if len(ends) == 1 else [name for name in ends if name not in later]
        if len(ends) != 1:
            raise ModelError(f"output: found {sorted(ends)}, allowed is one last layer; export one read-out at a time")
        module = next(name for name in mapped if self.names[name] == ends[0])
        if module in self.traced.products:
            raise ModelError(
                "forward(): found a product of spikes as the answer, allowed are the spikes of a layer of neurons; let "
                "one read it"
            )
        readout = self.wanted or membrane_readout(self.traced, module, self.traced.form.kind == "step")
        if module in self.traced.gates:
            if module in self.leaves and readout != "spikes":
                raise ModelError(
                    f"{module}: its membranes are read out, and are the largest of several currents, allowed are its "
                    f"spikes; return these, or use AvgPool"
                )
            readout = "spikes"
        if readout != "spikes" and (module.endswith(f".{STEP}") or isinstance(self.leaves[module], (Adopted, Changes))):
            raise ModelError(
                f"{self.names[module]}: its membranes are read out, allowed are those of snnTorch's neurons that step, "
                f"and the spikes of others; return these, or use Leaky(reset_mechanism='none') in a loop over time"
            )
        if readout != "spikes":
            check_membranes(module, self.leaves[module], mapped[module].lif)
        elif bool((mapped[module].factor != 1).any()):
            raise ModelError(
                f"{module}: the output layer has a graded_spikes_factor other than 1, allowed is 1: no weights follow "
                f"that could take it; scale what the model returns"
            )
        return ends[0], readout


def _reads(node: Node, names: dict[str, str]) -> str:
    found = ", ".join(f"{names[module]} of step {call}" for module, call in atoms(node))
    return f" (it reads {found})" if found else ""
