"""A network for people to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from aspen._base.names import printable
from aspen._base.tables import Table

if TYPE_CHECKING:
    from aspen.network.network import Network, Population


def shown(network: Network) -> Iterator[str | Table]:
    """What it is, its populations, and its connections."""
    kind = "integers" if network.is_integer else "floating point"
    yield f"Network ({kind}): {network.n_neurons:,} neurons, {network.n_synapses:,} synapses"
    yield Table(
        ("population", "shape", "neurons", ""),
        [(p.name, str(p.shape), f"{p.size:,}", _role(network, p)) for p in network.populations],
        left=(0, 1, 3),
    )
    yield Table(
        ("connection", "kind", "synapses", "delay"),
        [(c.name, c.kind, f"{c.n_synapses:,}", str(c.delay)) for c in network.connections],
        left=(0, 1),
    )
    yield from map(printable, network.provenance.get("notes", ()))


def _gate(network: Network, population: Population) -> str:
    """What a gate waits for: whether one synapse is enough for a spike."""
    one = max(float(c.synapses().max()) * 2.0**c.exponent for c in network.incoming(population.name))
    enough = population.neuron is not None and one > float(population.neuron.threshold.min())
    return "gate: any spike" if enough else "gate: both spike"


def _role(network: Network, population: Population) -> str:
    """What a population is given or does, in words."""
    role = "input" if population.neuron is None else f"{population.neuron.kind}, reset {population.neuron.reset}"
    if population.gate:
        alone = all(c.source == population.name for c in network.incoming(population.name))
        role = "spikes at every step" if alone else _gate(network, population)
    role += ", which the knob leaves alone" if population.held else ""
    role += ", takes a current" if population.current else ""
    role += ", the same at every step" if population.static else ""
    role += f", which the host makes of {population.given_shape}" if population.host is not None else ""
    if population.graded is not None:
        role += f" up to {population.graded.peak:.3g}, in {population.graded.bits} bits on a chip"
    return f"{role}; output: {network.readout}" if population.name == network.output else role
