"""What a network is: named populations and the connections between them. Needs NumPy only, never torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen._base.checks import as_name, shown
from aspen._base.memory import check_neurons
from aspen._base.tables import Table, Tabled
from aspen.errors import NetworkError
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.graded import GradedInput
from aspen.network.neurons import FixedLif, Lif
from aspen.network.population import Population
from aspen.network.reset import ResetSynapse, reset_synapses
from aspen.storage.json import MAX_DEPTH, parse_json

if TYPE_CHECKING:
    from aspen.storage.file import AspenFile

__all__ = ["Conv", "Dense", "FixedLif", "Lif", "Network", "Population", "Sparse", "load_network"]

READOUTS = ("spikes", "membrane", "membrane-last", "membrane-max")
"""What decides: the output population's spikes, or its membranes summed over time, at the last step, or at their
highest; see :attr:`aspen.network.record.Record.scores`."""
MAX_CURRENT = 2**51
"""Currents of integer networks stay below this: their product with a 12-bit decay then fits 64 bits, and every sum of
weights float64."""


@dataclass(frozen=True, eq=False)
class Network(Tabled, Rebuilt):
    """A spiking network: immutable, in NumPy arrays, in floating point or in a chip's integers (never mixed).

    >>> from aspen.network import Dense, Lif
    >>> populations = Population("input", (2,)), Population("output", (1,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[0.5, 0.7]]),))
    >>> network.n_neurons, network.is_integer
    (1, False)

    Args:
        populations: exactly one input population (``neuron=None`` or ``current=True``), and one or more others.
        connections: each reads one population and drives another or itself. Those with delay 0 form no cycle.
        output: name of the output population; default: the last one.
        readout: one of :data:`READOUTS`: what of the output population is the network's answer.
        provenance: where the network came from (JSON values only); kept in the file.
    """

    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    output: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    readout: str = "spikes"

    def __post_init__(self) -> None:
        self._set_parts()
        names = [population.name for population in self.populations]
        if len(set(names)) != len(names):
            raise NetworkError(
                f"populations: found the names {names}, allowed are unique names; rename the repeated one"
            )
        inputs = [population.name for population in self.populations if population.is_input]
        if len(inputs) != 1 or len(names) < 2:
            raise NetworkError(
                f"populations: found the inputs {inputs} among {names}, allowed is one input and at least one other"
            )
        object.__setattr__(self, "output", as_name("output", self.output or names[-1], error=NetworkError))
        if self.output not in names or self[self.output].neuron is None:
            raise NetworkError(f"output: found {self.output!r}, allowed is a population with neurons; choose one")
        as_name("readout", self.readout, READOUTS, NetworkError)
        self._check_connections()
        self._check_one_arithmetic()
        self._check_currents()
        self.order  # noqa: B018 - raises on a cycle

    def _set_parts(self) -> None:
        for name, kind in (("populations", Population), ("connections", Connection)):
            parts = tuple(getattr(self, name))
            for part in parts:
                if not isinstance(part, kind):
                    raise NetworkError(f"{name}: found {shown(part)}, allowed are those of aspen.network; make one")
            object.__setattr__(self, name, parts)
        object.__setattr__(self, "connections", (*self.summed, *reset_synapses(self.populations)))
        self._set_provenance()
        check_neurons("populations", (sum(population.size for population in self.populations),))

    def _set_provenance(self) -> None:
        if not isinstance(self.provenance, Mapping):
            raise NetworkError(f"provenance: found {shown(self.provenance)}, allowed is a mapping of JSON values")
        try:
            parse_json(json.dumps(dict(self.provenance)), MAX_DEPTH // 2)  # a file's header goes round it
        except (TypeError, ValueError, RecursionError) as error:
            raise NetworkError(
                f"provenance: found values that no file holds ({error}), allowed are numbers, text, lists and "
                f"mappings; convert them"
            ) from error
        self._close("provenance")

    def _check_connections(self) -> None:
        seen = set()
        for connection in self.connections:
            for end in (connection.source, connection.target):
                if end not in self:
                    raise NetworkError(f"{connection.name}: found unknown population {end!r}, allowed are {self.names}")
            if self[connection.target].neuron is None:
                raise NetworkError(
                    f"{connection.name}: drives the input population, which takes spikes from outside only"
                )
            if connection.name in seen:
                raise NetworkError(
                    f"{connection.name}: found twice, allowed is one between two populations; add the weights"
                )
            seen.add(connection.name)
            connection.check(self[connection.source].shape, self[connection.target].shape)
        for population in self.populations:
            if not population.is_input and not self.incoming(population.name):
                raise NetworkError(f"{population.name}: nothing drives this population; connect or remove it")

    def _check_one_arithmetic(self) -> None:
        fixed = {isinstance(p.neuron, FixedLif) for p in self.populations if p.neuron is not None}
        fixed |= {connection.is_integer for connection in self.connections}
        if len(fixed) > 1:
            raise NetworkError(
                "network: found both floating-point and integer parts, allowed is one kind; compile the whole network"
            )

    def _check_currents(self) -> None:
        for name in self.names if self.is_integer else ():
            if (current := self.largest_current(name)) >= MAX_CURRENT:
                raise NetworkError(
                    f"{name}: found weights that add up to currents of {current:.3g} where all inputs are at their "
                    f"largest, allowed are currents below {MAX_CURRENT:.3g} (a chip's have 24 bits); use smaller "
                    f"weights or exponents, a faster current decay, or fewer bits for the input"
                )

    def __contains__(self, name: str) -> bool:
        return any(population.name == name for population in self.populations)

    def __getitem__(self, name: str) -> Population:
        """The population called ``name``."""
        for population in self.populations:
            if population.name == name:
                return population
        raise NetworkError(f"population: found {name!r}, allowed are {self.names}; check the spelling")

    @property
    def names(self) -> list[str]:
        """Names of all populations, the input included."""
        return [population.name for population in self.populations]

    @cached_property
    def input(self) -> Population:
        """The population that is fed from outside."""
        return next(population for population in self.populations if population.is_input)

    @property
    def hidden(self) -> list[str]:
        """Names of the populations that are neither input nor output, in the order in which they are computed."""
        return [name for name in self.order if name != self.output]

    @property
    def dialled(self) -> list[str]:
        """Names of the populations whose thresholds the knob moves: the hidden ones, but for gates and held ones."""
        return [name for name in self.hidden if self[name].is_dialled]

    @property
    def is_integer(self) -> bool:
        """Whether this is a chip's integer network."""
        return isinstance(self[self.output].neuron, FixedLif)

    @property
    def summed(self) -> tuple[Connection, ...]:
        """The connections whose weights are summed: all but the synapses by which neurons reset themselves."""
        return tuple(connection for connection in self.connections if not isinstance(connection, ResetSynapse))

    def incoming(self, name: str) -> list[Connection]:
        """Connections that drive population ``name``: :attr:`summed` ones."""
        return [connection for connection in self.summed if connection.target == name]

    def outgoing(self, name: str) -> list[Connection]:
        """Connections that read population ``name``, the synapses by which its neurons reset themselves among them."""
        return [connection for connection in self.connections if connection.source == name]

    @property
    def input_connections(self) -> list[Connection]:
        """Connections that read what is fed from outside; none where the input has neurons, which spike themselves."""
        return self.outgoing(self.input.name) if self.input.neuron is None else []

    @cached_property
    def weighing(self) -> frozenset[str]:
        """Names of the connections that weigh the values of an analog input; none where the input is spikes."""
        return frozenset(c.name for c in self.outgoing(self.input.name)) if self.input.is_analog else frozenset()

    @property
    def reads_membranes(self) -> bool:
        """Whether the answer is in the output's membranes, not in its spikes."""
        return self.readout != "spikes"

    def drive_bias(self, name: str) -> Array:
        """(n,) float64, or int64 in an integer network: what the connections into population ``name`` add to its
        synaptic current at every step."""
        total = np.zeros(self[name].size, np.int64 if self.is_integer else np.float64)
        for connection in self.incoming(name):
            total = total + connection.bias_currents()
        return total

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Populations with neurons, sorted so that everything acting within a step comes before what it acts on."""
        waiting = {p.name: {c.source for c in self.incoming(p.name) if c.delay == 0} for p in self.populations}
        done: list[str] = []
        while waiting:
            ready = [name for name, sources in waiting.items() if sources <= set(done)]
            if not ready:
                raise NetworkError(
                    f"connections: found a cycle without delay among {sorted(waiting)}; give one of them delay=1"
                )
            done += ready
            for name in ready:
                del waiting[name]
        return tuple(name for name in done if self[name].neuron is not None)

    def largest_current(self, name: str) -> float:
        """A bound on the current of population ``name`` in an integer network, in units of the membrane: all sources
        send the largest values that they can, with the signs of the weights, at every step."""
        neuron, incoming = self[name].neuron, self.incoming(name)
        sums = sum(c.largest_sum * self[c.source].peak * 2.0**c.exponent for c in incoming)
        rounded = sum(c.exponent < 0 for c in incoming)  # shifting right rounds down
        drive = (sums + rounded) * 2**FixedLif.SHIFT
        if not isinstance(neuron, FixedLif) or drive <= 2 * FixedLif.STATE_LIMIT:
            return FixedLif.STATE_LIMIT  # wrapping around once brings back what is left of a current, and this drive
        return drive * 4096 / (1 + int(neuron.current_decay.min()))

    @property
    def n_neurons(self) -> int:
        """Neurons outside the input population."""
        return sum(population.size for population in self.populations if population.neuron is not None)

    @property
    def n_synapses(self) -> int:
        """Synapses with a weight other than zero."""
        return sum(connection.n_synapses for connection in self.connections)

    def with_input_peak(self, peak: float, bits: int = GradedInput.bits) -> Network:
        """The same network, which knows the range of its analog input: what compiling to a chip needs.

        Args:
            peak: largest magnitude of the input in training data; larger values are clipped.
            bits: of the chip's integers, the sign included; 2 to 16.

        Raises:
            NetworkError: the network takes spikes, or is in integers already.
            InputError: peak or bits are not allowed.
        """
        if self.is_integer or not self.input.is_analog:
            raise NetworkError(
                "input: found a network that takes spikes or is in integers, allowed is one in floating point with an "
                "analog input; compile it as it is"
            )
        known = replace(self.input, graded=GradedInput(peak, bits))
        return replace(self, populations=tuple(known if p is self.input else p for p in self.populations))

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.aspen`` file: to a temporary name first, then moved into place."""
        from aspen.network.files import save_network

        save_network(self, path)

    def _shown(self) -> Iterator[str | Table]:
        from aspen.network.text import shown

        return shown(self)


def load_network(path: str | Path | AspenFile) -> Network:
    """Read a network from an ``.aspen`` file, fully validated; needs no torch, and executes nothing.

    >>> from aspen import Dense, Lif
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> load_network("net.aspen").names
    ['input', 'output']

    Args:
        path: of the file, or the open file (:class:`aspen.storage.file.AspenFile`).

    Raises:
        FileFormatError: the file is damaged, incomplete, or of another format.
        InputError: there is no such file.
    """
    from aspen.network.files import load_network as load

    return load(path)
