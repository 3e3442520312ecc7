"""Loihi 2: PilotNet as lava-dl measured it, with no prediction, as no energy of an operation is published.

What Loihi 1's figures would say stands beside it, and is no prediction either: it is another chip in another process.
The counts are those of lava-dl's own test frame over the 16 steps of an inference: ASPEN ran ``network.net`` on
``image.npy`` with the engine "fast", and every spike of its nine spiking layers was that of lava-dl's ground truth (in
layer i, i steps later). The frame that was measured is another one of the same drive.
"""

from __future__ import annotations

from collections.abc import Iterator

from aspen_hardware import chip
from aspen_hardware.chips.ranges import ByScenario, Range
from tests.published.table import Case

LOIHI1, LOIHI2 = chip("loihi1"), chip("loihi2")

CONVOLVED, DENSE = 40_765_506, 105_761
"""Synaptic operations in the five convolutions and the four dense layers."""
SPIKES = 741_321
UPDATES, ACTIVE = 2_536_144, {"input": 1_747_960, "awake": 2_531_540}
"""Neuron updates, and those of them that are active by each definition."""


def with_loihi1() -> Range:
    """mJ of the events of an inference but packets, whose number the placement decides, by Loihi 1's figures."""
    operations = [("conv", CONVOLVED), ("dense", DENSE)]
    parts = [_energy("synaptic_operation", kind).times(count) for kind, count in operations]
    parts += [_energy("spike").times(SPIKES), *_updates()]
    first, *others = parts
    return sum(others, first).range.times(1e3)


def _energy(event: str, kind: str = "dense") -> ByScenario:
    found = LOIHI1.energy(event, kind)
    assert found is not None
    return found


def _updates() -> Iterator[ByScenario]:
    for event in ("neuron_update_active", "neuron_update_inactive"):
        counts = {name: ACTIVE[scenario.active] for name, scenario in LOIHI1.scenarios.items()}
        if event.endswith("inactive"):
            counts = {name: UPDATES - count for name, count in counts.items()}
        yield ByScenario({name: each.times(counts[name]) for name, each in _energy(event).of.items()}, LOIHI1.usual)


def cases() -> Iterator[Case]:
    """Of PilotNet, a frame of 16 steps on 74 cores at 408.9 frames a second."""
    name, why = "Loihi 2, PilotNet, a frame", "no energy of an operation is published"
    assert not LOIHI2.energies
    yield Case(name, 1.661, "mJ", None, "no", "lava-dl", why)
    yield Case(f"{name} above static", 1.094, "mJ", None, "no", "lava-dl", why)
    yield Case(
        f"{name} above static, with another chip's figures (Loihi 1)", 1.094, "mJ", with_loihi1(), "no", "lava-dl"
    )
