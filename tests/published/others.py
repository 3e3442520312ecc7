"""Xylo, TrueNorth, ODIN, and microcontrollers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from aspen._base.arrays import Array
from aspen_hardware import chip
from aspen_hardware.chips.ranges import Range
from aspen_hardware.energy.costs import energy_of_counts, static_power
from aspen_hardware.energy.cycles import Shape, step_cycles
from tests.published.table import Case

XYLO, TRUENORTH, ODIN = chip("xylo"), chip("truenorth"), chip("odin")
STM32L476 = chip("cortex-m4").only("stm32l476")

CYCLES = {key: figure.value for key, figure in XYLO.section("cycles").items()}
NOTEBOOK = Shape(inputs=15, hidden=8, outputs=2, input_targets=4, synapses=32, output_sources=4, aliases=4)
"""The network of Rockpool's introduction: 15 inputs, a residual block of twice 4 neurons, 2 outputs."""

READINGS = {11.58: 68.0, 20.07: 71.0, 95.93: 94.0}
"""TrueNorth: mean rate in Hz -> mW, of 2^20 neurons with 128 synapses each."""
SYNAPSES = 128 * 2**20
ROUNDING = 0.5
"""mW by which a reading may be off."""


def truenorth_lines() -> tuple[Array, Array]:
    """The lines (joules of a synaptic event, watts) of least squares: through the readings, and (8, 2) through them
    with each off by its rounding, up or down."""
    design = np.column_stack([np.array(list(READINGS)) * SYNAPSES, np.ones(len(READINGS))])
    powers = np.array(list(READINGS.values()))
    corners = powers + ROUNDING * np.array(list(product((-1, 1), repeat=len(READINGS))))
    fits = np.linalg.lstsq(design, 1e-3 * np.vstack([powers, corners]).T, rcond=None)[0].T
    return fits[0], fits[1:]


def cases() -> Iterator[Case]:
    """Of all of them."""
    yield from _xylo()
    yield from _truenorth()
    yield from _odin()
    yield from _microcontrollers()


def _xylo() -> Iterator[Case]:
    cycles = step_cycles(NOTEBOOK, CYCLES)
    name = "Xylo IMU, Rockpool's first network"
    yield Case(f"{name}, a step in which everything spikes", 757, "cycles", _exactly(cycles), "yes", "rockpool")
    static = static_power(XYLO)
    assert static is not None
    yield Case(f"{name}, core and pins, idle", 188.17 + 334.31, "µW", static.times(1e6), "yes", "rockpool")
    yield Case(f"{name}, core and pins, running", 201.12 + 332.59, "µW", static.times(1e6), "partly", "rockpool")


def _truenorth() -> Iterator[Case]:
    for rate, power in READINGS.items():
        second = energy_of_counts({"synaptic_operation": rate * SYNAPSES}, TRUENORTH, 1.0).total
        assert second is not None
        yield Case(f"TrueNorth, 2^20 neurons at {rate} Hz", power, "mW", second.times(1e3), "yes", "akopyan2015")
    static = static_power(TRUENORTH)
    assert static is not None
    name = "TrueNorth, objects in 30 frames a second, static power alone"
    yield Case(name, 63, "mW", static.times(1e3), "no", "merolla2014")


def _odin() -> Iterator[Case]:
    for clock, operations, power in ((75.0, 37.5e6, 477), (1.3, 0.65e6, 35)):
        second = energy_of_counts({"crossbar_operation": operations}, ODIN, 1.0, clock=clock).total
        assert second is not None
        name = f"ODIN at {clock:g} MHz, {operations:,.0f} operations a second"
        yield Case(name, power, "µW", second.times(1e6), "yes", "frenkel2019")


def _microcontrollers() -> Iterator[Case]:
    """ULPBench: each second 20,000 clock cycles of work, then sleep; its score is 1000 over a second's microjoules."""
    second = energy_of_counts({"clock_cycle": 20_000}, STM32L476, 1.0).total
    assert second is not None
    name = "STM32L476 (cortex-m4), ULPBench, a second of 20,000 cycles"
    yield Case(name, 1000 / 176.7, "µJ", second.times(1e6).range, "no", "st-an4621")


def _exactly(value: float) -> Range:
    return Range(value, value, value)
