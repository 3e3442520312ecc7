"""Neurons that a dial switches off together, on chips that can switch off a core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen_hardware.chips.description import Chip
from aspen_hardware.placing.placement import Placement, place
from tests.hardware.placing.networks import APART, LOIHI1, floats, with_figures

NETWORK = floats([4, 40, 40, 6])
NAMES = ("hidden1", "hidden2")
SCATTERED = np.where(np.random.default_rng(0).permutation(40) < 20, 0.5, np.inf)
PROFILE = DialProfile(dict.fromkeys(NAMES, np.zeros(40)), on_until=dict.fromkeys(NAMES, SCATTERED))


def gated(base: Chip, neurons: int) -> Chip:
    return replace(with_figures(base, neurons_per_core=neurons), gating={**base.gating, "unit": "core"})


def cores_off(placement: Placement) -> int:
    """Cores of which no neuron is on at the end of the dial."""
    off = dict.fromkeys(NAMES, SCATTERED <= 0.5) | {"output": np.zeros(6, bool)}
    return sum(all(off[p.population][placement.members(p)].all() for p in core.slices) for core in placement.cores)


CASES = [(LOIHI1, 23, 4, 2), (LOIHI1, 20, 5, 2), (APART, 20, 5, 2), (LOIHI1, 60, 2, 1)]


@pytest.mark.parametrize(("base", "neurons", "cores", "off"), CASES)
def test_groups_lie_on_cores_of_their_own_where_that_takes_no_more(
    base: Chip, neurons: int, cores: int, off: int
) -> None:
    scattered = place(NETWORK, with_figures(base, neurons_per_core=neurons), PROFILE)
    sorted_ = place(NETWORK, gated(base, neurons), PROFILE)
    assert sorted_.cores_used == scattered.cores_used == cores
    assert cores_off(scattered) == 0
    assert cores_off(sorted_) == off
    for name in NETWORK.order:
        held = np.concatenate([sorted_.members(part) for _, part in sorted_.slices(name)])
        assert sorted(held.tolist()) == list(range(NETWORK[name].size))


def test_without_a_nested_dial_gating_changes_nothing() -> None:
    for profile in (None, DialProfile(dict.fromkeys(NAMES, np.zeros(40)))):
        gates, plain = (
            place(NETWORK, chip, profile) for chip in (gated(LOIHI1, 23), with_figures(LOIHI1, neurons_per_core=23))
        )
        assert gates == plain
