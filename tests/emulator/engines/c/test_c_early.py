"""Inferences that end early in C: after the same steps as in Python, wherever the knob stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen._base.arrays import Array
from aspen.calibration.early import EarlyStop
from aspen.dial import DialProfile
from aspen.errors import InputError
from aspen.network import Network
from aspen_emulator import run
from aspen_hardware.c.dial import SETTINGS, UNIT, knob_at, scale_range
from aspen_hardware.c.early import early_tables
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program
from tests.c_networks import STRICT, started
from tests.emulator.engines.c.programs import built, in_c, needs_compiler, output
from tests.networks import fixed_network, random_spikes

STEPS = 24
PROFILE = DialProfile({"layer1": 0.7}, low=0.2, high=1.4)
STOP = EarlyStop(0.4, -0.3, (0.3, 0.5, 1.0, 1.25), (0.02, 0.3, 0.1, 0.05), "spikes", STEPS, 0.005)
DECIDES = """
#include "network.c"
#include <stdio.h>
int main(void)
{
    long long steps, setting, score;
    while (scanf("%lld %lld", &steps, &setting) == 2) {
        state.taken = (uint16_t)steps;
        state.began_at = (uint16_t)setting;
        for (int i = 0; i < network_OUTPUTS; i++) {
            if (scanf("%lld", &score) != 1) {
                return 1;
            }
            state.scores[i] = (network_score)score;
        }
        printf("%d\\n", network_done());
    }
    return 0;
}
"""


def network(readout: str = "spikes", outputs: int = 4) -> Network:
    return replace(fixed_network(15, (6, 8, outputs)), readout=readout)


def decisions(program: Program, taken: Array, settings: Array, scores: Array, tmp_path: Path) -> list[int]:
    """What the program says of scores (cases, n) after so many steps of inferences that began at such settings."""
    (tmp_path / "network.c").write_text(files(program)["network.c"])
    texts = {"network.h": files(program)["network.h"], "main.c": DECIDES}
    given = "\n".join(" ".join(map(str, case)) for case in np.column_stack([taken, settings, scores]).tolist())
    return [line[0] for line in output(built(tmp_path, texts, "-Wconversion", "-Wshadow"), given)]


@needs_compiler
@pytest.mark.parametrize(
    ("readout", "outputs", "power", "profile"),
    [
        ("spikes", 4, -0.3, PROFILE),
        ("membrane", 10, 0.0, None),
        ("membrane-max", 2, -1.0, None),
        ("spikes", 1, 0.5, None),
    ],
)
def test_any_scores_at_any_setting(
    readout: str, outputs: int, power: float, profile: DialProfile | None, tmp_path: Path
) -> None:
    """Levels stand 1e-9 beside doubts that occur, on either side, as those that are calibrated do."""
    rng = np.random.default_rng(outputs)
    unit = STEPS if readout == "spikes" else 2**20
    scores = rng.integers(0 if readout == "spikes" else -unit, unit + 1, (2000, outputs))
    scores[:20] = 0
    taken, settings = rng.integers(1, STEPS + 1, 2000), rng.integers(1000, 16000, 2000)
    stop = replace(STOP, gain=8 / unit, power=power, readout=readout)
    doubts = np.array([stop.doubt(each, int(t)) for each, t in zip(scores, taken, strict=True)])
    levels = np.quantile(doubts, [0.3, 0.1, 0.6], method="nearest") * (1 + 1e-9 * np.array([1, -1, 1]))
    stop = replace(stop, doubts=(0.0 if outputs < 4 else 1.0, *levels.tolist()))
    knobs = [s / UNIT if profile is None else knob_at(profile, s) for s in settings.tolist()]
    wanted = [int(doubt < stop.level(knob) or t == STEPS) for doubt, knob, t in zip(doubts, knobs, taken, strict=True)]
    found = decisions(Program(network(readout, outputs), profile, early=stop), taken, settings, scores, tmp_path)
    assert found == wanted
    assert 0 < sum(wanted) < 2000


@in_c
def test_the_level_is_that_of_the_knob_in_the_first_step_and_a_reset_begins_another_inference(name: str) -> None:
    given = random_spikes(3, STEPS, 1, 6)
    stop = replace(STOP, gain=2.0, knobs=(0.75, 1.0), doubts=(0.3, 0.02))
    taken = set()
    process = started(Program(network(), early=stop), STRICT, name)
    try:
        for scale, later in ((1.0, 0.75), (0.75, 1.0), (1.0, 0.75)):
            process.reset()
            assert not process.done()
            process.turn(int(scale * UNIT))  # the first step is yet to come
            scales = np.array([scale] + [later] * (STEPS - 1))
            record = run(network(), given, scales, engine="reference")
            ends, running = [], stop.start(scale)
            for step, each in zip(given[:, 0], record.readings[:, 0], strict=True):
                process.steps(step[None])
                process.turn(int(later * UNIT))
                ends.append(process.done())
                assert ends[-1] == running.update(each)
            taken.add(ends.index(True))
    finally:
        process.close()
    assert len(taken) == 2


@pytest.mark.parametrize("profile", [PROFILE, None])
def test_every_setting_has_the_level_of_its_knob(profile: DialProfile | None) -> None:
    low, high = scale_range(network())
    *_, starts, levels = (table.values for table in early_tables(STOP, network(), profile))
    of_doubt = {}
    for setting in [*range(0, SETTINGS, 37), *(s + i for s in starts.tolist() for i in (-1, 0, 1))]:
        at = min(max(setting, 0), SETTINGS - 1)
        knob = min(max(at, low), high) / UNIT if profile is None else knob_at(profile, at)
        level = levels[np.searchsorted(starts, at, "right") - 1]
        assert of_doubt.setdefault(STOP.level(knob), level) == level
    assert len(set(of_doubt.values())) == len(of_doubt) > 2


def test_an_early_end_of_another_network_is_refused() -> None:
    for stop, message in (
        (replace(STOP, readout="membrane"), "found one for the read-out membrane in 24 steps, allowed are spikes"),
        (replace(STOP, steps=2**16), "in 65536 steps, allowed are spikes and 65535 steps at most"),
        (0.5, "early: found 0.5, allowed is an EarlyStop or None"),
    ):
        with pytest.raises(InputError, match=message):
            Program(network(), early=stop)  # type: ignore[arg-type]
