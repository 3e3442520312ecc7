"""What the tests need of compiled code, made before the first of them: where several processes run them, each compiles
a part, instead of each the same. What is on disk already is only loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from aspen.network.network import Dense, FixedLif, Network, Population
from tests.networks import float_network, random_spikes

LONGEST_WAIT = 300.0
"""Seconds for the parts of others; a process that waited in vain compiles them itself."""


def _runs_of_floats() -> None:
    from aspen_emulator import run

    run(float_network(0), random_spikes(0, 2, 1, 6))


def _runs_of_integers(inputs: int, exponent: int = 0) -> None:
    from aspen_emulator import run

    neuron = FixedLif(threshold=1000, voltage_decay=0, current_decay=0)
    layers = Population("in", (inputs,)), Population("out", (2,), neuron)
    network = Network(layers, (Dense("in", "out", np.full((2, inputs), 255), exponent=exponent),))
    run(network, random_spikes(0, 2, 1, inputs))


def _training(double: bool) -> None:
    import torch

    from aspen.fused import fuse
    from aspen.models.ready import DenseNet

    dtype = torch.float64 if double else torch.float32
    model, spikes = DenseNet((6, 5, 3)).to(dtype), torch.ones(3, 2, 6, dtype=dtype)
    fuse(model, spikes, products="events")(spikes).sum().backward()  # and the loops, which are the same


PARTS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("sums of 16 bits", lambda: _runs_of_integers(6)),
    ("sums of 32 bits", lambda: _runs_of_integers(300)),
    ("states of 64 bits", lambda: _runs_of_integers(16, exponent=7)),
    ("floats", _runs_of_floats),
    ("single", lambda: _training(double=False)),
    ("double", lambda: _training(double=True)),
)
"""The first four take longer than the last two: process i of n makes every n-th from the i-th on, so that two have
as much to do."""


def make(number: int, processes: int, folder: Path) -> None:
    """Make the parts of process ``number``, and wait for those of the others.

    Args:
        number: from 0.
        processes: how many share the work.
        folder: where they tell one another what is done.
    """
    for name, part in PARTS[number::processes]:
        with suppress(Exception):  # what is broken is for the tests to say
            part()
        (folder / f"compiled-{name}").touch()
    end = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < end and not all((folder / f"compiled-{name}").exists() for name, _ in PARTS):
        time.sleep(0.1)
