"""Programs as they are written for a microcontroller: they compile without a warning, several in one, knob and all."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop
from aspen.dial import DialProfile
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


@pytest.mark.parametrize("seed", [0, 1, 2, 15])
def test_the_example_compiles_and_runs_with_and_without_counters(tmp_path: Path, seed: int) -> None:
    """On spikes, values and a current, which may be the same at every step; and with a dial and an early end."""
    network = NETWORK if seed == 15 else network_for(seed, True, True, INPUTS[seed])
    network = replace(
        network, populations=tuple(replace(p, static=seed == 2 and p.is_input) for p in network.populations)
    )
    early = EarlyStop(0.5, 0.0, (0.0,), (0.9,), "spikes", 13, 0.005) if seed == 15 else None
    texts = files(Program(network, PROFILE if seed == 15 else None, early=early))
    program = built(tmp_path, texts, *(["-Dnetwork_COUNTERS"] if seed == 1 else []))
    lines = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    assert [line.split()[0] for line in lines].count("answer") == 2
    assert len(lines) == 42 or (early is not None and 3 < len(lines) < 28)


def test_every_byte_of_ram_is_counted(tmp_path: Path) -> None:
    program = Program(network_for(4, True, True, "values"))
    main = '#include "network.c"\n#include <stdio.h>\nint main(void) { printf("%d", (int)sizeof state); return 0; }\n'
    texts = files(program)
    (tmp_path / "network.c").write_text(texts["network.c"])
    ((found,),) = output(built(tmp_path, {"network.h": texts["network.h"], "main.c": main}))
    assert found == program.ram
