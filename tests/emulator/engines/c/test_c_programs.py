"""Programs as they are written for a microcontroller: they compile without a warning, several in one, knob and all."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.dial import DialProfile
from aspen_emulator import run
from aspen_emulator.engines.inputs import thresholds_for
from aspen_hardware.c import program as programs
from aspen_hardware.c.dial import SETTINGS, UNIT, Dialled, dialled, knob_at, scale_range
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program
from tests.emulator.engines.c.programs import built, needs_compiler, output
from tests.emulator.engines.fast_networks import INPUTS, network_for
from tests.networks import fixed_network

pytestmark = needs_compiler
NETWORK = fixed_network(15)
PROFILE = DialProfile(
    {"layer1": np.array([0.3, 1.2, 1.2, 0.3, 0, 1.9, 1.2, 0.3]), "layer2": -0.5},
    {"layer1": np.array([0.1, 0, 0, 0.1, 0, 0, 0, 0.1])},
    low=-0.25,
    high=1.5,
)
THRESHOLDS = """
#include "network.c"
#include <stdio.h>
int main(void)
{
    unsigned setting;
    while (scanf("%u", &setting) == 1) {
        TURN((uint16_t)setting);
        for (int i = 0; i < 8; i++) {
            printf("%d ", (int)state.threshold_layer1[i]);
        }
        for (int i = 0; i < 4; i++) {
            printf("%d ", (int)state.threshold_layer2[i]);
        }
        printf("\\n");
    }
    return network_spikes() == 0;
}
"""
SETTING = [*range(300), *np.random.default_rng(5).integers(0, SETTINGS, 500).tolist(), *range(SETTINGS - 300, SETTINGS)]


def thresholds(program: Program, tmp_path: Path, turn: str) -> np.ndarray:
    """(settings, 12) all thresholds at every one of :data:`SETTING`, from the program."""
    texts = {"network.h": files(program)["network.h"], "main.c": THRESHOLDS}
    (tmp_path / "network.c").write_text(files(program)["network.c"])
    return np.array(output(built(tmp_path, texts, f"-DTURN={turn}"), " ".join(map(str, SETTING))))


def test_the_dial_has_the_engines_thresholds_and_corrects_what_would_round_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = np.array([[5, 2, 1], [299, 7, -2]])

    def corrected(*given: Any) -> list[Dialled]:
        return [replace(dial, corrections=made_up) if dial.name == "layer1" else dial for dial in dialled(*given)]

    monkeypatch.setattr(programs, "dialled", corrected)
    found = thresholds(Program(NETWORK, PROFILE), tmp_path, "network_set_knob")
    for setting, row in zip(SETTING, found, strict=True):
        scaled = thresholds_for(NETWORK, PROFILE.scale(knob_at(PROFILE, setting)), 1, 1)
        wanted = np.concatenate([scaled[name][0, 0] for name in ("layer1", "layer2")])
        for _, neuron, change in made_up[made_up[:, 0] == setting]:
            wanted[neuron] += 64 * change
        np.testing.assert_array_equal(row, wanted)
    assert len(np.unique(found[:, 5])) > 600


def test_the_threshold_scale_has_the_engines_thresholds_and_stops_at_its_ends(tmp_path: Path) -> None:
    found = thresholds(Program(NETWORK), tmp_path, "network_set_threshold_scale")
    low, high = scale_range(NETWORK)
    assert low == 23
    for setting, row in zip(SETTING, found, strict=True):
        wanted = thresholds_for(NETWORK, min(max(setting, low), high) / UNIT, 1, 1)
        np.testing.assert_array_equal(row, np.concatenate([wanted[name][0, 0] for name in ("layer1", "layer2")]))


@pytest.mark.parametrize(("seed", "profile"), [(0, False), (4, False), (15, True)])
def test_the_example_compiles_and_runs_with_and_without_counters(tmp_path: Path, seed: int, profile: bool) -> None:
    network = NETWORK if profile else network_for(seed, True, True, INPUTS[seed % 3])
    texts = files(Program(network, PROFILE if profile else None))
    program = built(tmp_path, texts, *(["-Dnetwork_COUNTERS"] if seed == 4 else []))
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == 21
    assert "answer " in done.stdout


def test_two_networks_stand_in_one_program(tmp_path: Path) -> None:
    both = {name: Program(fixed_network(seed), prefix=name) for name, seed in (("left", 15), ("right", 16))}
    texts = {k: t for name, p in both.items() for k, t in files(p).items() if k.startswith(name)}
    main = """
#include "left.h"
#include "right.h"
#include <stdio.h>
int main(void)
{
    static const uint8_t ones[6] = {1, 1, 1, 1, 1, 1};
    for (int t = 0; t < 9; t++) {
        left_step(ones);
        right_step(ones);
        for (int i = 0; i < 4; i++) {
            printf("%d %d ", left_spikes()[i], right_spikes()[i]);
        }
        printf("\\n");
    }
    return 0;
}
"""

    found = np.array(output(built(tmp_path, {**texts, "main.c": main})))
    for i, program in enumerate(both.values()):
        wanted = run(program.network, np.ones((9, 1, 6), np.uint8), engine="reference").output[:, 0]
        np.testing.assert_array_equal(found[:, i::2], wanted)


def test_every_byte_of_ram_is_counted(tmp_path: Path) -> None:
    program = Program(network_for(4, True, True, "values"))
    main = '#include "network.c"\n#include <stdio.h>\nint main(void) { printf("%d", (int)sizeof state); return 0; }\n'
    texts = files(program)
    (tmp_path / "network.c").write_text(texts["network.c"])
    ((found,),) = output(built(tmp_path, {"network.h": texts["network.h"], "main.c": main}))
    assert found == program.ram
