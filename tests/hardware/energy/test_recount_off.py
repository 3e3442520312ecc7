"""What falls on neurons that a knob has switched off, against the recount."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from aspen_emulator import run
from tests.hardware.energy.recount import Array, simulate
from tests.hardware.energy.test_recount import BATCH, EVERY, STEPS, as_given, given, network_of, same


@cache
def turned(name: str, arithmetic: str) -> dict[str, Array]:
    """A nested dial: factors (steps, batch or 1, n), infinite where a neuron is off; the knob turns at each step."""
    network, rng = network_of(name, arithmetic), np.random.default_rng(11)
    knobs = rng.choice([-1.0, 0.2, 0.8], (STEPS, BATCH))[:, : 1 if name == "dense" else BATCH]
    untils = {key: rng.random(network[key].size) for key in network.order if network[key].is_dialled}
    return {key: np.where(knobs[..., None] > until, np.inf, 1.0) for key, until in untils.items()}


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize(("name", "arithmetic"), EVERY)
def test_a_record_says_what_fell_on_neurons_that_were_off(name: str, arithmetic: str, engine: str) -> None:
    network, scale = network_of(name, arithmetic), turned(name, arithmetic)
    off = {key: np.broadcast_to(np.isinf(factors), (STEPS, BATCH, network[key].size)) for key, factors in scale.items()}
    record = run(network, given(name), scale, engine=engine, record="membranes")
    counts = simulate(network, as_given(name, arithmetic), off)
    same({key: raster.reshape(STEPS, BATCH, -1) for key, raster in record.rasters.items()}, counts.rasters)
    same({key: values.reshape(STEPS, BATCH, -1) for key, values in record.membranes.items()}, counts.membranes)
    same(record.active_updates, counts.active)
    same(record.off.neurons, counts.off)
    same(record.off.active_updates, counts.off_active)
    same(record.off.awake_updates, counts.off_awake)
    same(record.off.synaptic_operations, counts.off_operations)
    same(record.off.multiply_accumulates, counts.off_multiplications)
    totals = (sum(int(n.sum()) for n in each.values()) for each in (counts.off_active, counts.off_awake))
    assert all(total > 0 for total in totals) or not off
    if network.weighing:
        assert sum(n.sum() for n in counts.off_multiplications.values()) > 0
