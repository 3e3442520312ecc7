"""What is frozen cannot be written to: engines keep plans of a network, which would no longer be true of it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.network.network import Conv, FixedLif, Network, Population
from aspen_emulator import run
from aspen_emulator.streaming import Meter
from aspen_hardware import Deployment, chip, compile, place
from aspen_hardware.energy.prices import prices as energy_prices
from tests.networks import float_network

COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}
COUNTS = ("spikes", "synaptic_operations", "active_updates", "awake_updates", "rasters", "membranes")


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


def mappings() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Frozen objects, and their mappings that have something in them."""
    network = float_network(1, bias=False)
    deployment = compile(network, "loihi1")
    assert deployment.placement is not None
    kept = run(replace(network, provenance={"from": "test"}), np.ones((3, 2, 6), np.uint8), record="membranes")
    prices = ("spike", "active", "awake", "operation")
    return {
        "network": (kept.network, ("provenance",)),
        "record": (kept, COUNTS),
        "chip": (chip("loihi1"), ("figures", "resets", "missing", "sources", "scenarios", "powered", "energies")),
        "deployment": (deployment, ("rounding",)),
        "placement": (place(float_network(1, (6, 60, 30)), chip("loihi1")), ("orders",)),
        "prices": (energy_prices(network, chip("loihi1"), place(network, chip("loihi1"))), prices),
        "meter": (Meter.of(network, chip("loihi1"), 3), prices),
    }


@pytest.mark.parametrize("how", ["itself", *COPIES])
@pytest.mark.parametrize("kind", ["network", "record", "chip", "deployment", "placement", "prices", "meter"])
def test_mappings_of_frozen_objects_cannot_be_changed(kind: str, how: str) -> None:
    made, names = mappings()[kind]
    again = made if how == "itself" else COPIES[how](made)
    for name in names:
        found = getattr(again, name)
        assert list(found) == list(getattr(made, name)) != []
        with pytest.raises(TypeError, match="does not support item assignment"):
            found["other"] = None
        assert not hasattr(found, "update")


def held(kind: str, made: Any) -> list[np.ndarray[Any, Any]]:
    """All arrays of a record or a placement."""
    mapped = COUNTS if kind == "record" else ("orders",)
    own = [made.output] if kind == "record" else []
    return own + [each for name in mapped for each in getattr(made, name).values()]


@pytest.mark.parametrize("how", ["itself", *COPIES])
@pytest.mark.parametrize("kind", ["record", "placement"])
def test_arrays_of_records_and_placements_are_read_only(kind: str, how: str) -> None:
    made = mappings()[kind][0]
    again = made if how == "itself" else COPIES[how](made)
    assert len(held(kind, again)) == len(held(kind, made)) > 0
    for one, other in zip(held(kind, made), held(kind, again), strict=True):
        np.testing.assert_array_equal(one, other)
        with pytest.raises(ValueError, match="read-only"):
            other += 1


def test_whoever_made_the_arrays_of_a_record_goes_on_filling_them() -> None:
    record = mappings()["record"][0]
    filled = record.output.copy()
    again = replace(record, output=filled)
    filled[...] = 1
    assert again.output.all()
    assert not again.output.flags.writeable


def test_what_was_given_is_copied() -> None:
    given = {"from": "test"}
    network = replace(float_network(1), provenance=given)
    given["from"] = "elsewhere"
    assert network.provenance == {"from": "test"}


def test_the_order_of_the_populations_stays_as_it_is() -> None:
    network = float_network(1)
    assert isinstance(network.order, tuple)
    assert network.order is network.order  # kept, as it is asked for often
    for given in (network.names, network.hidden, network.incoming(network.output)):
        given.clear()
    assert network.names == ["input", *network.order]
    assert network.hidden == list(network.order[:-1])
    assert network.incoming(network.output)
