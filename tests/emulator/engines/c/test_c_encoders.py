"""Encoders in C against their definition in Python, on random samples and at the ends of 16 bits, under sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from aspen.data import (
    CurrentEncoder,
    DeltaEncoder,
    HarFeatures,
    LatencyEncoder,
    LevelEncoder,
    RateEncoder,
    StaticEncoder,
    WindowEncoder,
    digits,
)
from aspen.network import Dense, Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.engines.c.compiler import compiled
from aspen_hardware import Deployment, Sensor, compile, sensor_encoder, to_c
from aspen_hardware.c.sensing.encoders import EncoderProgram
from aspen_hardware.c.sensing.fixed import FixedEncoder
from tests.c_networks import SANITIZED, STRICT
from tests.emulator.engines.c.programs import needs_compiler
from tests.hardware.c.sensing.test_c_encoders import fixed
from tests.networks import fixed_network

UNLIKE = Sensor((0.001, 0.002, 0.0005), (0.5, -0.25, 0.0))
LEVELS = LevelEncoder(CurrentEncoder(), 3, 2, (-9.0, 0.1, 0.0, 0.0, -0.3, 20.0))
SCALED = CurrentEncoder((0.1, 0.0, -0.2), (0.5, 0.25, 1.0))
NINE = Sensor((1 / 8192,) * 3 + (0.001,) * 3 + (1 / 4096,) * 3, (0.0, 0.01, -0.02, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0))
EDGES = tuple(np.linspace(-1.5, 2.5, 42).reshape(2, 21).T.reshape(-1).tolist())
CASES = [
    (fixed(DeltaEncoder((0.05, 0.1, 0.02)), 6), Sensor(1 / 16384)),
    (fixed(DeltaEncoder((0.05, 0.05, 0.05), from_first=True), 6, UNLIKE), UNLIKE),
    (fixed(DeltaEncoder((4.0, 4.0, 4.0)), 6, Sensor(1 / 16384, 4.0)), Sensor(1 / 16384, 4.0)),
    (fixed(LEVELS, 9, UNLIKE), UNLIKE),
    (fixed(CurrentEncoder(), 3), Sensor(1 / 16384)),
    (fixed(SCALED, 3, UNLIKE), UNLIKE),
    (fixed(WindowEncoder(DeltaEncoder((0.05, 0.1, 0.02)), 5, 3), 30), Sensor(1 / 16384)),
    (fixed(WindowEncoder(SCALED, 4, 1), 12, UNLIKE), UNLIKE),
    (fixed(WindowEncoder(CurrentEncoder(), 2, 7), 6), Sensor(1 / 16384)),
    (fixed(LatencyEncoder(steps=5, low=-1.0, high=1.5, clip=True), 3), Sensor(1 / 16384)),
    (fixed(RateEncoder(steps=6, low=-2.0, high=1.0), 3), Sensor(1 / 16384)),
    (fixed(RateEncoder(steps=6, low=-2.0, high=1.0), 3, UNLIKE), UNLIKE),
    (fixed(StaticEncoder(steps=3), 3), Sensor(1 / 16384)),
    (fixed(LevelEncoder(HarFeatures(), 3, 2, EDGES), 63, NINE), NINE),
    (fixed(HarFeatures(), 21, NINE), NINE),
    (fixed(WindowEncoder(HarFeatures(), 4, 2), 84), Sensor(1 / 16384)),
]
ENDING = [(fixed(StaticEncoder(steps=5), 3), Sensor(1 / 16384)), (fixed(RateEncoder(steps=5), 3), Sensor(1 / 16384))]
"""Beside networks that end an inference after two steps."""
STUB = """#include <stdint.h>
void {p}_step(const {type} *input);
void {p}_step_events(const uint16_t *indices, unsigned count);
int {p}_done(void);
"""
SPIKES = """
void {p}_step_events(const uint16_t *indices, unsigned count)
{{
    int16_t row[{n}] = {{0}};
    for (unsigned k = 0; k < count; k++) {{
        row[indices[k]]++;
    }}
    steps++;
    fwrite(row, sizeof row, 1, stdout);
}}
"""
VALUES = """
void {p}_step(const int16_t *input)
{{
    steps++;
    fwrite(input, 2, {n}, stdout);
}}
"""
CASE = """
    case {i}:
        if (sample == 0) {{
            {p}_encoder_reset();
            break;
        }}
        made = {p}_sample(raw);
        break;
"""
MAIN = """#include <stdio.h>
#include <stdlib.h>
{includes}
static unsigned steps;
{stubs}
static int ended(void)
{{
    return steps >= 2;
}}
{ends}
int main(int count, char **arguments)
{{
    const int which = count > 1 ? atoi(arguments[1]) : -1;
    const size_t channels = count > 2 ? (size_t)atoi(arguments[2]) : 0;
    int16_t raw[9] = {{0}};
    for (int sample = 0; sample == 0 || fread(raw, 2 * channels, 1, stdin) == 1; sample++) {{
        unsigned made = 0;
        steps = 0;
        switch (which) {{{cases}        default:
            return 2;
        }}
        if (made != steps) {{
            return 3;
        }}
    }}
    return 0;
}}
"""


def sources() -> dict[str, str]:
    """All cases in one program, each with a stub in the place of its network."""
    texts, includes, stubs, cases, ends = {}, "", "", "", ""
    for i, (each, sensor) in enumerate([*CASES, *ENDING]):
        p, spikes = f"e{i}", each.gives == "spikes"
        texts |= EncoderProgram(p, each, sensor, i >= len(CASES)).files()
        texts[f"{p}.h"] = STUB.format(p=p, type="uint8_t" if spikes else "int16_t")
        includes += f'#include "{p}_encoder.h"\n#include "{p}.h"\n'
        stubs += (SPIKES if spikes else VALUES).format(p=p, n=each.outputs)
        cases += CASE.format(i=i, p=p)
        ends += f"int {p}_done(void)\n{{\n    return ended();\n}}\n"
    return {**texts, "main.c": MAIN.format(includes=includes, stubs=stubs, cases=cases, ends=ends)}


@pytest.fixture(scope="module")
def program() -> Path:
    return compiled(sources(), (*SANITIZED, "-Wtype-limits", "-O0"))


def samples(channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    walk = np.clip(np.cumsum(rng.normal(0, 900, (150, channels)), axis=0), -(2**15), 2**15 - 1)
    wild = rng.choice([-(2**15), -1, 0, 1, 2**15 - 1, 16384], (60, channels))
    return np.concatenate([walk, wild, rng.integers(-(2**15), 2**15, (90, channels))]).astype(np.int16)


def encoded(program: Path, case: int, raw: np.ndarray, outputs: int) -> np.ndarray:
    """(steps, outputs): what the program gives to its network."""
    done = subprocess.run([program, str(case), str(raw.shape[1])], input=raw.tobytes(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    return np.frombuffer(done.stdout, np.int16).reshape(-1, outputs)


@needs_compiler
@pytest.mark.parametrize("case", range(len(CASES)), ids=[each.kind for each, _ in CASES])
def test_the_program_encodes_as_its_definition(case: int, program: Path) -> None:
    each: FixedEncoder = CASES[case][0]
    raw, stream = samples(each.channels), each.stream()
    wanted = np.concatenate([stream.step(sample) for sample in raw])
    np.testing.assert_array_equal(encoded(program, case, raw, each.outputs), wanted)
    assert wanted.any()


@needs_compiler
@pytest.mark.parametrize("case", range(len(ENDING)), ids=[each.kind for each, _ in ENDING])
def test_a_sample_that_is_an_inference_ends_with_it(case: int, program: Path) -> None:
    each, raw = ENDING[case][0], samples()[:1]
    found = encoded(program, len(CASES) + case, raw, each.outputs)
    np.testing.assert_array_equal(found, each.stream().step(raw[0])[:2])


ANSWERS = """#include "wrist.h"
#include "wrist_encoder.h"

#include <stdio.h>

int main(void)
{
    int16_t raw[WINDOW][wrist_CHANNELS];
    while (fread(raw, sizeof raw, 1, stdin) == 1) {
        wrist_reset();
        wrist_encoder_reset();
        for (int i = 0; i < WINDOW; i++) {
            (void)wrist_sample(raw[i]);
        }
        int32_t row[wrist_OUTPUTS + 1] = {wrist_winner()};
        for (int i = 0; i < wrist_OUTPUTS; i++) {
            row[i + 1] = (int32_t)wrist_scores()[i];
        }
        fwrite(row, sizeof row, 1, stdout);
    }
    return 0;
}
"""


def answers(folder: Path, window: int, raw: np.ndarray) -> np.ndarray:
    """(samples, 1 + outputs): the answer and the scores of each, by the files as they were written."""
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.name != "example.c"}
    path = compiled({**texts, "main.c": f"#define WINDOW {window}\n{ANSWERS}"}, STRICT)
    done = subprocess.run([path], input=raw.tobytes(), capture_output=True, timeout=60, check=True)
    return np.frombuffer(done.stdout, np.int32).reshape(len(raw), -1)


@needs_compiler
@pytest.mark.parametrize("encoder", [RateEncoder(steps=12), LatencyEncoder(steps=12)])
def test_digits_are_answered_as_the_engines_do(encoder: RateEncoder | LatencyEncoder, tmp_path: Path) -> None:
    """Real data: pixels of 0 to 16 as raw integers, each image a whole inference."""
    data, rng, sensor = digits(steps=2), np.random.default_rng(0), Sensor(1 / 16)
    lif = Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (64,)), Population("hidden", (24,), lif), Population("output", (10,), lif)
    weights = rng.normal(0.05, 0.2, (24, 64)), rng.normal(0.1, 0.5, (10, 24))
    network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    deployed, raw = compile(network, "cortex-m"), sensor.raw(data.test.values)
    to_c(deployed, tmp_path / "made", "wrist", encoder=encoder, sensor=sensor)
    wanted = run(deployed, sensor_encoder(encoder, sensor, deployed.network).encode(raw))
    found = answers(tmp_path / "made", 1, raw)
    np.testing.assert_array_equal(found[:, 0], wanted.predictions)
    np.testing.assert_array_equal(found[:, 1:], wanted.scores)
    assert len(set(found[:, 0])) > 3


@needs_compiler
def test_raw_samples_give_the_answers_of_the_engines(tmp_path: Path) -> None:
    """The files as they are written, encoder and network together, from the sensor's integers to the answer."""
    network, sensor, rng = fixed_network(15), Sensor(0.001), np.random.default_rng(2)
    encoder = DeltaEncoder((0.3, 0.2, 0.1))
    to_c(Deployment(network, "cortex-m", {}), tmp_path / "made", "wrist", encoder=encoder, sensor=sensor)
    raw = np.cumsum(rng.integers(-300, 301, (30, 40, 3)), axis=1).astype(np.int16)
    wanted = run(network, sensor_encoder(encoder, sensor, network).encode(raw), engine="reference")
    found = answers(tmp_path / "made", 40, raw)
    np.testing.assert_array_equal(found[:, 0], wanted.predictions)
    np.testing.assert_array_equal(found[:, 1:], wanted.scores)
    assert len(np.unique(found, axis=0)) > 5
