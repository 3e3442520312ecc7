"""Whether a network can fit the memories of a microcontroller, before its program is written."""

from __future__ import annotations

from collections.abc import Iterator

from aspen.network.connections import Conv
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.parts import Part, parts_of

NEURON = 2
"""Bytes of RAM that a neuron takes at least: its membrane."""
OF_NEURON = 16
"""Bytes of its membrane, current, threshold and sum."""
OF_INPUT = 4
"""Bytes of an input: its value, or whether it is listed and where."""
BESIDE = 2048
"""Bytes beside the program: stack, encoder, and what the firmware keeps."""


def least_flash(network: Network) -> int:
    """Bytes that the weights take at least: one for each cell of a matrix, or two for each synapse of sparse rows."""
    total = 0
    for connection in network.summed:
        cells = network[connection.source].size * network[connection.target].size
        synapses = connection.n_synapses
        total += synapses if isinstance(connection, Conv) else min(cells, 2 * synapses)
    return total


def least_ram(network: Network) -> int:
    """Bytes that the state takes at least."""
    return NEURON * network.n_neurons + network.input.size


def kept_ram(network: Network) -> int:
    """Bytes of RAM that are kept asleep: what a program of this network takes, rather more than less, and
    :data:`BESIDE`."""
    neurons = OF_NEURON * network.n_neurons + OF_INPUT * network.input.size
    past = sum((connection.delay + 2) * 2 * network[connection.source].size for connection in network.connections
               if connection.delay)  # fmt: skip
    return neurons + past + BESIDE


def too_small(chip: Chip, ram: int, flash: int) -> Iterator[tuple[str, Part]]:
    """The parts of a chip file that have less memory than that; none where a part's memory is not known."""
    for name, part in parts_of(chip).items():
        if (part.ram is not None and part.ram < ram) or (part.flash is not None and part.flash < flash):
            yield name, part


def refused(chip: Chip, ram: int, flash: int, least: str = "") -> tuple[str, bool]:
    """What is to be said of so much memory on these parts, and whether none of them has it; empty where all have.

    Args:
        chip: whose parts.
        ram, flash: bytes.
        least: such as ``"at least "``, where the figures are lower bounds.
    """
    small = dict(too_small(chip, ram, flash))
    if not small:
        return "", False
    have = ", ".join(f"{_memories(part)} ({name})" for name, part in small.items())
    needed = f"found {least}{ram:,} bytes of RAM and {flash:,} of flash needed, without code, {chip.name} allows {have}"
    nowhere = len(small) == len(chip.scenarios)
    remedy = "use a smaller network, prune its weights, or give the file of a larger part"
    return f"{needed}; {remedy if nowhere else 'take another part, or a smaller network'}", nowhere


def _memories(part: Part) -> str:
    ram, flash = ("?" if size is None else f"{size:,}" for size in (part.ram, part.flash))
    return f"{ram} and {flash}"
