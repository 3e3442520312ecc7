"""Dials that switch neurons off, by step, by sample, or for good; and what fell on those, counted once more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen.network.off import Off

Array = np.ndarray[Any, np.dtype[Any]]
PARTS = ("neurons", "active_updates", "awake_updates", "synaptic_operations", "multiply_accumulates")


def nested_scales(seed: int, network: Network, steps: int, batch: int) -> dict[str, Array]:
    """Factors (steps or 1, batch or 1, n) of some populations: each neuron is off above a knob of its own, and the knob
    moves by step, by sample, by both or not at all; or each neuron is off by chance."""
    rng = np.random.default_rng(seed)
    scales = {}
    for name in network.order:
        if rng.random() < 0.3 or not network[name].is_dialled:
            continue
        n = network[name].size
        shape = (int(rng.choice([1, steps])), int(rng.choice([1, batch])))
        until = rng.choice([0.0, 0.25, 0.5, np.inf], n)
        knob = rng.choice([-1.0, 0.1, 0.3, 0.7], shape)
        off = knob[..., None] > until if rng.random() < 0.7 else rng.random((*shape, n)) < 0.4
        neuron, low, high = network[name].neuron, 0.5, 2.0
        if isinstance(neuron, FixedLif):
            high = min(high, (neuron.largest_threshold - 1) / int(neuron.threshold.max()))
            low = high / 2
        scales[name] = np.where(off, np.inf, rng.uniform(low, high))
    return scales


def gated(network: Network, seed: int) -> Network:
    """The same network, in integers perhaps as on a chip that leaves neurons out that are off."""
    if not network.is_integer or seed % 2:
        return network
    populations = tuple(
        replace(p, neuron=replace(p.neuron, gated=True)) if isinstance(p.neuron, FixedLif) else p
        for p in network.populations
    )
    return replace(network, populations=populations)


def same(found: Off, wanted: Off) -> None:
    """Both say the same of the same places."""
    for part in PARTS:
        mine, others = getattr(found, part), getattr(wanted, part)
        assert set(mine) == set(others), part
        for name, counts in others.items():
            np.testing.assert_array_equal(mine[name], counts, err_msg=f"{part} of {name}")
