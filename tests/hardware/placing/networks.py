"""Chips with other figures, and networks to be placed on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen_hardware.chips.description import Chip, chip

LOIHI1 = chip("loihi1")
ONE_POPULATION = chip("loihi2").figures["limits.populations_per_core"]


def with_figures(base: Chip, **values: int) -> Chip:
    """A chip with some limits or widths changed, or with a limit on the populations of a core."""
    figures = {"limits.populations_per_core": ONE_POPULATION, **base.figures}
    if "populations_per_core" not in values and "limits.populations_per_core" not in base.figures:
        del figures["limits.populations_per_core"]
    for name, value in values.items():
        key = next(key for key in figures if key.split(".")[0] in ("limits", "formats") and key.endswith(f".{name}"))
        figures[key] = replace(figures[key], value=value, low=value, high=value)
    return replace(base, figures=figures)


APART = with_figures(LOIHI1, populations_per_core=1)
"""Loihi 1, as if no core could hold two populations."""


def floats(sizes: list[int], density: float = 1.0, seed: int = 0, **neuron: Any) -> Network:
    """A chain of dense layers in floating point."""
    rng = np.random.default_rng(seed)
    names = ["input", *(f"hidden{i}" for i in range(1, len(sizes) - 1)), "output"]
    options = {"threshold": 1.0, "beta": 0.9, **neuron}
    populations = [Population(names[0], (sizes[0],))]
    populations += [Population(name, (n,), Lif(**options)) for name, n in zip(names[1:], sizes[1:], strict=True)]
    connections = []
    for i in range(len(sizes) - 1):
        weight = rng.normal(size=(sizes[i + 1], sizes[i])) * (rng.random((sizes[i + 1], sizes[i])) < density)
        connections.append(Dense(names[i], names[i + 1], weight))
    return Network(tuple(populations), tuple(connections))


def analog(bits: int) -> Network:
    """Two values into one neuron, as graded spikes of so many bits."""
    populations = (Population("input", (2,), current=True), Population("output", (1,), Lif(1.0, 0.9)))
    return Network(populations, (Dense("input", "output", np.ones((1, 2))),)).with_input_peak(2.0, bits)


def integers(weight: Any = 2, **neuron: Any) -> Network:
    """One neuron in integers, driven by two inputs."""
    options = {"threshold": 100, "voltage_decay": 400, **neuron}
    weights = np.broadcast_to(np.asarray(weight, dtype=np.int32), (1, 2))
    populations = (Population("input", (2,)), Population("output", (1,), FixedLif(**options)))
    return Network(populations, (Dense("input", "output", weights),))


# ---------------------------------------------------------------- placement
