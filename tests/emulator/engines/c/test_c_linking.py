"""Programs in others' programs: several in one, from C and C++, two compilers, no warning; and mistreated."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop
from aspen.dial import DialProfile
from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator import run
from aspen_hardware import chip
from aspen_hardware.c.dial import UNIT, knob_at, scale_range
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program
from aspen_hardware.compiling.off import gated
from tests.c_networks import STRICT
from tests.emulator.engines.c.programs import built, needs_compiler, output
from tests.emulator.engines.fast_networks import input_for, network_for
from tests.networks import fixed_network

pytestmark = needs_compiler
STRICTER = (*STRICT, "-std=c99", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wcast-qual", "-Wundef",
            "-Wmissing-prototypes", "-Wstrict-prototypes")  # fmt: skip
COMPILERS = {
    "cc": ["cc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "clang": [sys.executable, "-m", "ziglang", "cc", "-fsanitize=undefined", "-fsanitize-trap=undefined"],
}
"""The second one's objects are linked by the first: its own linker takes seconds."""
PROFILE = DialProfile({"layer1": 0.7}, low=-0.5)
STOP = EarlyStop(0.5, -0.1, (0.0, 0.5), (0.3, 0.2), "spikes", 9, 0.01)
LEFT = Program(fixed_network(15), PROFILE, "left", early=STOP)
RIGHT = Program(network_for(3, True, True, "values"), prefix="right")
COUNTED = Program(fixed_network(16), prefix="counted")
THREE = """
#include "left.h"
#include "right.h"
#include "counted.h"
#include <stdio.h>
int main(void)
{
    static const uint8_t ones[6] = {1, 1, 1, 1, 1, 1};
    static const int16_t values[9][right_INPUTS] = {@values@};
    left_set_knob(20000);
    for (int t = 0; t < 9; t++) {
        left_step(ones);
        right_step(values[t]);
        counted_step(ones);
        for (int i = 0; i < left_OUTPUTS; i++) {
            printf("%d ", left_spikes()[i]);
        }
        for (int i = 0; i < right_OUTPUTS; i++) {
            printf("%d ", right_spikes()[i]);
        }
        for (int i = 0; i < counted_OUTPUTS; i++) {
            printf("%d ", counted_spikes()[i]);
        }
        printf("%d %lu\\n", left_done(), (unsigned long)counted_counted()->operations[0]);
    }
    return 0;
}
"""


def objects(folder: Path, texts: dict[str, str], compiler: list[str], *flags: str) -> list[str]:
    """Compile each ``.c`` of ``texts`` by itself, without a warning."""
    names = [name for name in texts if name.endswith(".c")]
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name in names:
        command = [*compiler, *flags, "-O1", "-c", "-o", f"{name}.o", name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
    return [f"{name}.o" for name in names]


def sources(*programs: Program) -> dict[str, str]:
    """The sources and headers of several programs."""
    made = [files(program) for program in programs]
    return {name: text for each in made for name, text in each.items() if name not in ("example.c", "README.md")}


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc to link with")
@pytest.mark.parametrize("compiler", COMPILERS)
def test_three_networks_stand_in_one_program(tmp_path: Path, compiler: str) -> None:
    if compiler == "clang" and importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no clang: pip install ziglang")
    given = input_for(3, RIGHT.network, 9, 1)
    values = ", ".join("{" + ", ".join(map(str, step)) + "}" for step in given.reshape(9, -1).tolist())
    texts = {**sources(LEFT, RIGHT, COUNTED), "main.c": THREE.replace("@values@", values)}
    made = objects(tmp_path, texts, COMPILERS[compiler], *STRICTER, "-Dcounted_COUNTERS")
    sanitizers = COMPILERS["cc"][1:] if compiler == "cc" else []
    subprocess.run(["cc", *sanitizers, "-o", "program", *made], cwd=tmp_path, check=True, timeout=60)
    found = np.array(output(tmp_path / "program"))
    ones = np.ones((9, 1, 6), np.uint8)
    left = run(LEFT.network, ones, PROFILE.scale(knob_at(PROFILE, 20000)), engine="reference")
    counted = run(COUNTED.network, ones, engine="reference")
    outputs = [left.output, run(RIGHT.network, given, engine="reference").output, counted.output]
    np.testing.assert_array_equal(found[:, :-2], np.concatenate([each.reshape(9, -1) for each in outputs], axis=1))
    ends = STOP.start(knob_at(PROFILE, 20000))
    assert found[:, -2].tolist() == [ends.update(each) for each in left.readings[:, 0]]
    np.testing.assert_array_equal(found[:, -1], counted.synaptic_operations["input->layer1"][:, 0].cumsum())


def test_programs_whose_neurons_go_off_give_no_warning_in_clang_either(tmp_path: Path) -> None:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("there is no clang: pip install ziglang")
    rng = np.random.default_rng(0)
    layers = (
        Population("input", (8,)),
        Population("wide", (32,), FixedLif(20, 1000)),
        Population("output", (3,), FixedLif(60, 1000)),
    )
    weights = (("input", "wide", (32, 8)), ("wide", "output", (3, 32)))
    network = Network(layers, tuple(Dense(a, b, rng.integers(-40, 41, shape)) for a, b, shape in weights))
    profile = DialProfile({"wide": 0.0}, on_until={"wide": np.linspace(0, 1, 32)})
    program = Program(gated(network, chip("cortex-m")), profile)
    assert program.connections[0].form == "packed"
    assert objects(tmp_path, sources(program), COMPILERS["clang"], *STRICTER)


FROM_CPP = """
#include "left.h"
#include "right.h"
int main()
{
    static const unsigned char ones[left_INPUTS] = {1};
    static const int16_t values[right_INPUTS] = {1};
    left_step(ones);
    right_step(values);
    left_set_knob(1);
    right_set_threshold_scale(right_SCALE_LOW);
    return left_done() + right_winner() > 1;
}
"""


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")
def test_the_header_serves_c_plus_plus(tmp_path: Path) -> None:
    made = objects(tmp_path, sources(LEFT, RIGHT), ["cc"], *STRICTER)
    (tmp_path / "main.cpp").write_text(FROM_CPP)
    command = ["c++", "-std=c++98", *STRICT, "-o", "program", "main.cpp", *made]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert subprocess.run([tmp_path / "program"], timeout=60).returncode == 0


MISTREATED = """
#include "network.h"
#include <stdio.h>
#include <stdlib.h>
static uint16_t listed[3 * 65536];
static void told(void)
{
    for (int i = 0; i < network_OUTPUTS; i++) {
        printf("%d ", network_spikes()[i]);
    }
    printf("%d %d\\n", network_winner(), (int)network_refused());
}
int main(void)
{
    uint8_t *input = malloc(network_INPUTS); /* what is read beyond it is found */
    if (input == NULL) {
        return 1;
    }
    for (int i = 0; i < network_INPUTS; i++) {
        input[i] = (uint8_t)(i % 2 ? 255 : 0); /* any byte but 0 is a spike */
    }
    for (unsigned k = 0; k < 3 * 65536; k++) {
        listed[k] = (uint16_t)k; /* each index three times, the most out of range */
    }
    network_step(input); /* before any reset */
    told();
    network_set_threshold_scale(0); /* knob out of range, in mid-run */
    network_step_events(listed, 3 * 65536);
    told();
    network_set_threshold_scale(65535);
    network_step_events(NULL, 0);
    told();
    network_set_threshold_scale(4096);
    network_reset();
    network_reset();
    told();
    network_step_events(&listed[1], 1);
    network_reset(); /* in mid-run */
    network_step(input);
    told();
    free(input);
    return 0;
}
"""


def test_what_an_interface_should_bear(tmp_path: Path) -> None:
    """Steps before a reset, lists longer than the input, empty ones, settings that no threshold bears, resets."""
    network = fixed_network(15)
    odd, every, none = (np.array([[0, 1] * 3]), np.ones((1, 6)), np.zeros((1, 6)))
    low, high = (setting / UNIT for setting in scale_range(network))
    given = np.stack([odd, every, none]).astype(np.uint8)
    first = run(network, given, np.array([1, low, high]), engine="reference")
    spikes = [step.tolist() for step in first.output[:, 0]]
    answers = [int(run(network, given[:n], np.array([1, low, high])[:n]).predictions[0]) for n in (1, 2, 3)]
    refused = 3 * (2**16 - 6)
    texts = {**sources(Program(network)), "main.c": MISTREATED}
    found = output(built(tmp_path, texts, *COMPILERS["cc"][1:], "-g"))
    wanted = [[*s, a, r] for s, a, r in zip(spikes, answers, (0, refused, refused), strict=True)]
    assert found == [*wanted, [0, 0, 0, 0, -1, 0], wanted[0]]
    assert any(map(any, spikes))
