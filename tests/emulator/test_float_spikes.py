"""Spikes in whatever type they come: floats of 0 and 1, as snnTorch's spikegen makes them, are spikes everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from snntorch import spikegen

from aspen.errors import InputError
from aspen_emulator import run, session, sweep
from aspen_emulator.engines.inputs import check_spikes
from aspen_emulator.measuring.observing import observe
from aspen_emulator.measuring.parity import parity
from tests.networks import float_network

NETWORK = float_network(1, bias=False)
MADE = spikegen.rate(torch.full((4, 6), 0.5), num_steps=10)
SPIKES = MADE.numpy().astype(np.uint8)


@pytest.mark.parametrize(
    "given",
    [MADE, MADE.clone().requires_grad_(), MADE.numpy(), MADE.double().numpy(), SPIKES.astype(bool), SPIKES.tolist()],
    ids=["tensor", "gradients", "float32", "float64", "bool", "lists"],
)
def test_spikes_of_any_type_are_spikes(given: object) -> None:
    checked = check_spikes(NETWORK, given)
    assert checked.dtype == np.uint8
    np.testing.assert_array_equal(checked, SPIKES)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_floats_of_0_and_1_run_like_spikes_everywhere(kind: type) -> None:
    floats, labels = SPIKES.astype(kind), np.arange(4) % 4
    np.testing.assert_array_equal(run(NETWORK, floats).output, run(NETWORK, SPIKES).output)
    with session(NETWORK, batch=4) as one, session(NETWORK, batch=4) as other:
        for step in range(10):
            np.testing.assert_array_equal(one.step(floats[step]), other.step(SPIKES[step]))
    assert sweep(NETWORK, floats, labels, [1.0]) == sweep(NETWORK, SPIKES, labels, [1.0])
    assert parity(None, NETWORK, None, floats).to_dict() == parity(None, NETWORK, None, SPIKES).to_dict()
    np.testing.assert_array_equal(observe(NETWORK, floats).sample, SPIKES)


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, np.nan, np.inf, 1e-300])
@pytest.mark.parametrize("call", [lambda x: run(NETWORK, x), lambda x: observe(NETWORK, x)], ids=["run", "observe"])
def test_other_floats_are_refused_with_the_remedy(call: Callable[[np.ndarray], object], value: float) -> None:
    floats = SPIKES.astype(np.float64)
    floats[7, 2, 3] = value
    with pytest.raises(InputError, match=r"found .*, allowed are 0 and 1; encode the values first"):
        call(floats)
