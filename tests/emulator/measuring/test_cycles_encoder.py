"""Cycles of a program that begins at the sensor: its encoder is counted too, and gives what Python's gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aspen.data import DeltaEncoder, RateEncoder
from aspen.errors import InputError
from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator import cycles, run
from aspen_emulator.engines.cortex_m.cores import CORES
from aspen_hardware import Sensor, sensor_encoder
from aspen_hardware.c.export import encoder_parts
from aspen_hardware.c.program import Program
from tests.emulator.engines.cortex_m.needed import needs_emulator

RNG = np.random.default_rng(7)
NETWORK = Network(
    (Population("input", (6,)), Population("output", (4,), FixedLif(60, 410))),
    (Dense("input", "output", 2 * RNG.integers(-20, 60, (4, 6))),),
)
ENCODER, SENSOR = DeltaEncoder((0.05, 0.1, 0.02)), Sensor(1 / 16384)
RAW = SENSOR.raw(np.cumsum(RNG.normal(0, 0.06, (2, 12, 3)), axis=1))


@needs_emulator
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
def test_the_sensors_samples_give_the_spikes_of_the_definition(core: str) -> None:
    from aspen_emulator.engines.cortex_m.board import image_of
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine

    program = Program(NETWORK)
    machine = Machine(image_of(program, CORES[core], [], encoder_parts(program, ENCODER, SENSOR)), CORES[core])
    wanted = run(NETWORK, sensor_encoder(ENCODER, SENSOR, NETWORK).encode(RAW), engine="reference").output
    assert 0.1 < wanted.mean() < 0.9
    for sample in range(2):
        machine.call("network_reset")
        machine.call("network_encoder_reset")
        for t in range(12):
            machine.write(EXCHANGE, RAW[sample, t].astype("<i2").tobytes())
            assert machine.call("network_sample", EXCHANGE) == 1
            found = machine.read(machine.call("network_spikes"), 4)
            assert list(found) == wanted[t, sample].tolist()


@needs_emulator
def test_the_encoder_is_counted_with_the_network() -> None:
    whole = cycles(NETWORK, RAW, encoder=ENCODER, sensor=SENSOR)
    assert (whole.samples, whole.steps, whole.unit) == (2, 12, "sample")
    assert {"encode", "network_sample", "network_step_events"} <= whole.functions.keys()
    alone = cycles(NETWORK, sensor_encoder(ENCODER, SENSOR, NETWORK).encode(RAW))
    assert whole.ram > alone.ram
    update = "update_output"
    assert whole.functions[update].cycles == alone.functions[update].cycles
    assert "sample, most" in str(whole)


@needs_emulator
def test_a_sample_may_be_a_whole_inference() -> None:
    network = Network(
        (Population("input", (3,)), Population("output", (4,), FixedLif(60, 410))),
        (Dense("input", "output", 2 * RNG.integers(-20, 60, (4, 3))),),
    )
    report = cycles(network, RAW[:, 0], encoder=RateEncoder(steps=6, low=-2.0, high=1.0), sensor=SENSOR)
    assert (report.samples, report.steps) == (2, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cycles(NETWORK, RAW, encoder=ENCODER), r"encoder: found an encoder without a sensor"),
        (
            lambda: cycles(NETWORK, RAW[..., :2], encoder=ENCODER, sensor=SENSOR),
            r"spikes: found shape \(2, 12, 2\) beside",
        ),
        (lambda: cycles(NETWORK, RAW / 2, encoder=ENCODER, sensor=SENSOR), r"spikes: found float64 from .*sensor\.raw"),
        (lambda: cycles(NETWORK, RAW.astype(int) * 99, encoder=ENCODER, sensor=SENSOR), r"from -32768 to 32767"),
    ],
)
def test_what_is_no_sample_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
