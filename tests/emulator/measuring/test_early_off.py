"""Inferences that end early take with them what fell on neurons that were off."""

from __future__ import annotations

import numpy as np

from aspen.network.record import check_counts
from aspen_emulator import run
from aspen_emulator.measuring.early import cut_short, ended_early
from tests.emulator.engines.off_networks import PARTS
from tests.networks import fixed_network, random_spikes


def test_what_remains_is_what_shorter_runs_count() -> None:
    network, taken = fixed_network(3), np.array([2, 8, 5])
    spikes = random_spikes(3, 8, 3, 6, 0.7)
    scale = {"layer1": np.where(np.arange(8) % 3 == 0, np.inf, 1.0)[None, None]}
    record = run(network, spikes, scale)
    assert record.off.neurons
    shorter = [run(network, spikes[:steps, [k]], scale).off for k, steps in enumerate(taken)]
    for found in (ended_early(record, taken), cut_short(record, taken)):
        check_counts(found)
        for part in PARTS:
            for name, counts in getattr(found.off, part).items():
                assert counts.sum() == sum(getattr(each, part)[name].sum() for each in shorter), (part, name)
    assert ended_early(record, taken).off.who["layer1"].shape == (15, 1, 8)
