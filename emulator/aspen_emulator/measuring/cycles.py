"""Cycles of a network's C program on a Cortex-M, counted in an emulator: by inference, step, function, instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integer, as_name, as_number
from aspen._base.packages import needed_for
from aspen._base.progress import followed
from aspen.data.encoders import StoredEncoder
from aspen.dial.path import AnyDial, dial_knob_of, dial_of, every_of, seen
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.cortex_m.cores import DEFAULT, Core, core_named
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.cycle_report import CycleReport
from aspen_hardware.c.dial import SETTINGS, UNIT, scale_range
from aspen_hardware.c.export import Part, encoder_parts
from aspen_hardware.c.program import Program
from aspen_hardware.c.sensing.sensor import HIGHEST, LOWEST, Sensor
from aspen_hardware.compiling.deployment import Deployment

if TYPE_CHECKING:
    from aspen_emulator.engines.cortex_m.counting import Count, Meter

LEVELS = ("-O2", "-Os")
"""That the cross-compiler tells apart, debugging left out."""


def cycles(
    program: Network | Deployment,
    spikes: Array,
    threshold_scale: float = 1.0,
    *,
    core: str = DEFAULT,
    profile: AnyDial | None = None,
    knob: float | None = None,
    samples: int | None = None,
    optimisation: str = "-O2",
    encoder: StoredEncoder | None = None,
    sensor: Sensor | None = None,
) -> CycleReport:
    """What a network's C program takes on a microcontroller: cycles, instructions, flash, RAM and stack.

    The program that :func:`aspen_hardware.to_c` writes is cross-compiled, without counters and traces, and run in an
    emulator that counts every instruction; cycles are from the core's published timing table. They leave out wait
    states of the flash, caches, what else is on the bus, and interrupts.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> report = cycles(compile(network, "cortex-m"), np.ones((8, 1, 2), np.uint8))
    >>> report.core, report.steps, report.per_step.low <= report.per_step.typical <= report.per_step.high
    ('cortex-m4', 8, True)

    Args:
        program: a deployment, or a network in a chip's integers.
        spikes: (time, batch, *input_shape), 0 and 1; or the current, where the input takes one. With an encoder: raw
            samples of the sensor, int16, as it encodes them: (batch, time, channels), or (batch, channels).
        threshold_scale: factor on the hidden thresholds, put at the program's nearest setting, a multiple of 1/4096.
        core: ``cortex-m4``, ``cortex-m0plus`` or ``cortex-m33``.
        profile: the dial that was learned with the network, whose knob takes the place of the threshold scale.
        knob: where it stands, put at the nearest of the program's 65,536 settings; default: at its accurate end. Time
            steps that it leaves out are not counted.
        samples: run the first so many only; default: all.
        optimisation: of the compiler, ``-O2`` for speed or ``-Os`` for size.
        encoder: what makes the input of a sensor's samples, as a part of the program; needs ``sensor``.
        sensor: what the samples stand for.

    Returns:
        The report.

    Raises:
        InputError: something given is not allowed.
        MissingDependencyError: the cross-compiler or the emulator is not installed.
        EngineError: the program failed.
    """
    as_name("optimisation", optimisation, LEVELS)
    on, written = core_named(core), Program(network_of(program), dial_of(profile))
    setting = setting_of(written, threshold_scale, dial_knob_of(profile, knob))
    parts, every = encoder_parts(written, encoder, sensor), every_of(profile, knob)
    if parts and every > 1:
        raise InputError(
            f"knob: found one of {every} time steps alone at knob {knob}, allowed beside an encoder is each step; give "
            f"the encoder's spikes, or turn the knob less"
        )
    given = as_raw(spikes, parts[0].fixed.channels) if parts else _as_input(written, seen(np.asarray(spikes), every))
    most = None if samples is None else as_integer("samples", samples, low=1)
    return _measured(written, parts, on, given[:, :most], setting, optimisation)


def _as_input(program: Program, spikes: Array) -> Array:
    """(time, batch, inputs), as the program's step takes them."""
    given = check_input(program.network, spikes)
    return given.reshape(*given.shape[:2], -1).astype(np.uint8 if program.spikes_in else "<i2")


def as_raw(raw: Array, channels: int) -> Array:
    """(time, batch, channels): samples of a sensor, in the order in which a program is given them.

    Raises:
        InputError: they are no integers of 16 bits, or of another shape.
    """
    given = np.asarray(raw)
    if given.ndim not in (2, 3) or given.shape[-1] != channels or not given.size:
        raise InputError(
            f"spikes: found shape {given.shape} beside an encoder, allowed is (batch, time, {channels}) or (batch, "
            f"{channels}), raw samples of the sensor; leave the encoder out for spikes"
        )
    if given.dtype.kind not in "iu" or given.min() < LOWEST or given.max() > HIGHEST:
        raise InputError(
            f"spikes: found {given.dtype} from {given.min()} to {given.max()} beside an encoder, allowed are raw "
            f"samples from {LOWEST} to {HIGHEST}; sensor.raw(values) makes these"
        )
    return (given[None] if given.ndim == 2 else given.transpose(1, 0, 2)).astype("<i2")


def setting_of(program: Program, threshold_scale: float, knob: float | None) -> int:
    """The setting of a program's knob that is nearest to a threshold scale, or to where a dial's knob stands.

    Raises:
        InputError: it is out of range, or the program has the other kind of knob.
    """
    profile = program.profile
    if profile is None:
        if knob is not None:
            raise InputError("knob: found one without a profile, allowed is with one; give threshold_scale, or profile")
        low, high = (end / UNIT for end in scale_range(program.network))
        scale = as_number("threshold_scale", threshold_scale)
        if not low <= scale <= high:
            raise InputError(
                f"threshold_scale: found {scale}, allowed in C is from {low:.4g} to {high:.4g}; stay in there"
            )
        return round(scale * UNIT)
    if as_number("threshold_scale", threshold_scale) != 1:
        raise InputError("threshold_scale: found one beside a profile, allowed is one of them; give knob")
    stands = profile.low if knob is None else as_number("knob", knob, profile.low, profile.high, remedy="turn it less")
    return round((stands - profile.low) / (profile.high - profile.low) * (SETTINGS - 1))


def _measured(
    program: Program, parts: Sequence[Part], core: Core, given: Array, setting: int, optimisation: str
) -> CycleReport:
    with needed_for("cycles on a Cortex-M"):
        from aspen_emulator.engines.cortex_m.board import image_of
        from aspen_emulator.engines.cortex_m.counting import Meter
        from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine
    image = image_of(program, core, [optimisation], parts)
    machine = Machine(image, core, given[0, 0].nbytes)
    run, unit = _Run(Meter(machine)), "sample" if parts else "step"
    turn = f"network_set_{'threshold_scale' if program.profile is None else 'knob'}"
    run.call("set_knob", turn, setting)
    each = np.empty((given.shape[1], given.shape[0], 3))
    for sample in followed(range(given.shape[1]), given.shape[1], "cycles", "samples"):
        run.call("reset", "network_reset")
        if parts:
            run.call("reset", "network_encoder_reset")
        for t, values in enumerate(given[:, sample]):
            machine.write(EXCHANGE, values.tobytes())
            each[sample, t] = run.call(unit, f"network_{unit}", EXCHANGE)
    return CycleReport(
        core=core.name,
        timing=core.timing,
        samples=given.shape[1],
        steps=given.shape[0],
        setting=setting,
        cycles=each,
        calls=run.calls,
        functions=run.functions,
        code=image.sizes[".text"],
        constants=image.sizes[".rodata"] + image.sizes[".data"],
        ram=image.ram,
        stack=machine.stack,
        optimisation=optimisation,
        unit=unit,
    )


class _Run:
    """Adds up what calls took."""

    def __init__(self, meter: Meter) -> None:
        from aspen_emulator.engines.cortex_m.counting import added

        self._meter, self._added = meter, added
        self.calls: dict[str, Count] = {}
        self.functions: dict[str, Count] = {}

    def call(self, name: str, function: str, *arguments: int) -> tuple[float, float, float]:
        """Low, typical and high cycles of a call, which counts as ``name``."""
        _, parts = self._meter.call(function, *arguments)
        whole = self._added((1, count) for count in parts.values())
        self._add(self.calls, {name: whole})
        if name != "set_knob":
            self._add(self.functions, parts)
        return whole.cycles.low, whole.cycles.typical, whole.cycles.high

    def _add(self, to: dict[str, Count], parts: Mapping[str, Count]) -> None:
        for name, count in parts.items():
            to[name] = self._added([(1, to[name]), (1, count)]) if name in to else count
