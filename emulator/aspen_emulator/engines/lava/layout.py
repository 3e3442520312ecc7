"""Whether Lava can run a network, and how its time steps are laid out there.

Lava takes one time step per connection: a spike that is emitted at Lava step ``t`` drives its target at ``t + 1``.
Every population is therefore ``depth`` Lava steps late, and a connection with a delay has
``depth[target] - depth[source] + delay`` Lava steps. The first of them is the connection's own, the others are spent
in a delay line before it. The depths are the smallest, from 0 on, that leave every connection at least one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from aspen.errors import EngineError
from aspen.network.connections import Connection, Conv
from aspen.network.network import Network

WEIGHT_LIMITS = {"mixed": (-256, 254), "excitatory": (0, 255), "inhibitory": (-255, 0)}
"""Integer weights that Lava's ``Dense`` and ``Sparse`` take unchanged; where signs are mixed, even ones only."""


def check_network(network: Network) -> dict[str, int]:
    """The depth of every population: Lava steps by which it is late.

    Raises:
        EngineError: the network has cycles faster than Lava, weights that Lava would change, or an analog input
            in integers.
    """
    if network.is_integer and network.input.is_analog:
        raise EngineError(
            f"{network.input.name}: found an input of analog values in an integer network, allowed on Lava are spikes, "
            "or a current into a population with neurons; run it in floating point, or use engine='fast'"
        )
    for connection in network.summed:
        if connection.is_integer:
            _check_weights(connection)
    return _depths(network)


def longest_delay(network: Network) -> int:
    """Steps after which every spike has arrived."""
    return max((connection.delay for connection in network.summed), default=0)


def waiting_steps(connection: Connection, depths: Mapping[str, int]) -> int:
    """Lava steps that spikes have to wait before they enter the connection."""
    return depths[connection.target] - depths[connection.source] + connection.delay - 1


def synapse_count(connection: Connection) -> int:
    """Synapses, with those of weight zero and those from the padding."""
    places = prod(connection.output_shape[1:]) if isinstance(connection, Conv) else 1
    return connection.weight.size * places


def _depths(network: Network) -> dict[str, int]:
    """The longest ways in a graph, as by Bellman and Ford; a connection is ``1 - delay`` long."""
    depths = dict.fromkeys(network.names, 0)
    reached_by: dict[str, Connection] = {}
    raised = ""
    for _ in range(len(depths) + 1):
        raised = ""
        for connection in network.summed:
            if waiting_steps(connection, depths) < 0:
                raised = connection.target
                depths[raised] = depths[connection.source] + 1 - connection.delay
                reached_by[raised] = connection
        if not raised:
            return depths
    raise _too_fast(_cycle(reached_by, raised))


def _cycle(reached_by: Mapping[str, Connection], name: str) -> list[Connection]:
    """The cycle found when the connections are followed backwards from population ``name``."""
    path: list[Connection] = []
    while reached_by[name] not in path:
        path.append(reached_by[name])
        name = path[-1].source
    return path[path.index(reached_by[name]) :][::-1]


def _too_fast(cycle: list[Connection]) -> EngineError:
    names = "->".join([cycle[0].source, *(connection.target for connection in cycle)])
    delay = sum(connection.delay for connection in cycle)
    return EngineError(
        f"{names}: found a cycle of {len(cycle)} connections with a delay of {delay} steps in all, allowed on Lava are "
        f"{len(cycle)} and more, as it takes a step per connection; lengthen a delay, or use engine='fast'"
    )


def _check_weights(connection: Connection) -> None:
    """Lava clips and truncates integer weights, and cuts sums to 32 bits, without a word; refuse what it changes."""
    weight = connection.weight.astype(np.int64).ravel()
    lowest, highest = int(weight.min(initial=0)), int(weight.max(initial=0))
    sign_mode = "excitatory" if lowest >= 0 else "inhibitory" if highest <= 0 else "mixed"
    low, high = WEIGHT_LIMITS[sign_mode]
    odd = weight[(weight & 1 == 1) & (sign_mode == "mixed")]
    if lowest < low or highest > high or odd.size:
        found = f"the odd weight {odd[0]}" if odd.size else f"weights from {lowest} to {highest}"
        even = "even " if sign_mode == "mixed" else ""
        raise EngineError(
            f"{connection.name}: found {found}, allowed on Lava are {even}integers from {low} to {high} where signs "
            f"are {sign_mode}; compile the network for loihi1, or use engine='fast'"
        )
    largest = int(connection.largest_sum) << max(connection.exponent, 0)
    if largest >= 2**31:
        raise EngineError(
            f"{connection.name}: found sums up to {largest}, allowed on Lava are 32 bits; use engine='fast'"
        )
