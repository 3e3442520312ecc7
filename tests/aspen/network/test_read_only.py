"""Arrays of networks cannot be written to: engines keep plans of a network, which would no longer be true of it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.network.network import Conv, FixedLif, Network, Population
from aspen_emulator import run
from aspen_hardware import Deployment, compile
from tests.networks import float_network

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def parts(network: Network) -> list[Any]:
    """Everything in a network that holds arrays."""
    return [*network.connections, *(p.neuron for p in network.populations if p.neuron is not None)]


def arrays(network: Network) -> list[np.ndarray[Any, Any]]:
    found = [getattr(part, name) for part in parts(network) for name in part.array_fields]
    return [array for array in found if array is not None]


def convolution() -> Network:
    populations = (Population("input", (1, 4)), Population("out", (2, 2), FixedLif(5, 0)))
    return Network(populations, (Conv("input", "out", np.ones((2, 1, 3), int), (1, 4)),))


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("make", [lambda: float_network(1), convolution], ids=["dense and sparse", "conv"])
def test_copies_of_a_network_are_read_only_too(how: str, make: Callable[[], Network]) -> None:
    network = make()
    again = COPIES[how](network)
    assert len(arrays(again)) == len(arrays(network)) > 3
    for one, other in zip(arrays(network), arrays(again), strict=True):
        np.testing.assert_array_equal(one, other)
        assert other.dtype == one.dtype
        with pytest.raises(ValueError, match="read-only"):
            other[...] = 0
    spikes = np.ones((3, 2, *network.input.shape), np.uint8)
    np.testing.assert_array_equal(run(again, spikes).output, run(network, spikes).output)


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_deployments_and_dials_are_read_only_too(how: str) -> None:
    network = float_network(1, bias=False)
    deployment: Deployment = COPIES[how](compile(network, "loihi1"))
    assert all(not array.flags.writeable for array in arrays(deployment.network))
    profile: DialProfile = COPIES[how](DialProfile.uniform(network))
    values = [*profile.slopes.values(), *profile.offsets.values()]
    assert len(values) > 1
    assert all(not array.flags.writeable for array in values)
    assert profile.scale(0.5) == DialProfile.uniform(network).scale(0.5)
    with pytest.raises(TypeError, match="does not support item assignment"):
        profile.slopes["hidden"] = values[0]  # type: ignore[index]


def test_the_order_of_the_populations_stays_as_it_is() -> None:
    network = float_network(1)
    assert isinstance(network.order, tuple)
    assert network.order is network.order  # kept, as it is asked for often
    for given in (network.names, network.hidden, network.incoming(network.output)):
        given.clear()
    assert network.names == ["input", *network.order]
    assert network.hidden == list(network.order[:-1])
    assert network.incoming(network.output)
