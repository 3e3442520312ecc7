"""Which setting of a program's own knob gives the thresholds that are asked for, if one does."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile
from aspen.errors import RoundedSettingWarning
from aspen.network.neurons import FixedLif
from aspen_emulator.engines.inputs import thresholds_for
from aspen_hardware.c.dial import SETTINGS, UNIT, knob_at, scaled_at
from aspen_hardware.c.program import Program


def setting_for(program: Program, wanted: Array) -> int | None:
    """The setting of the dial, or of the threshold scale, at which all thresholds are those ``wanted``.

    Warns where they are those of one knob that lies between two settings.

    Args:
        program: whose knob it is.
        wanted: (n_neurons,) thresholds by population in the order of updates, in units of the membrane.

    Returns:
        The setting; None where none gives these thresholds.
    """
    trained = _flat(program, {name: _neuron(program, name).threshold for name in program.network.order})
    find = _of_scale if program.profile is None else _of_dial
    return find(program, trained.astype(np.int64), wanted >> FixedLif.SHIFT)


def _of_scale(program: Program, trained: Array, wanted: Array) -> int | None:
    """Thresholds are multiplied by ``setting / 4096`` in the populations that are dialled."""
    names = [p.population.name for p in program.populations]
    moved = _flat(program, {name: np.array(name in program.network.dialled) for name in names})
    if not np.array_equal(trained[~moved], wanted[~moved]):
        return None
    if not moved.any():
        return UNIT
    lowest = float(((2 * wanted[moved] - 1) / (2 * trained[moved])).max())
    beyond = float(((2 * wanted[moved] + 1) / (2 * trained[moved])).min())
    if lowest >= beyond:
        return None  # these are different factors
    setting = int(np.ceil(lowest * UNIT - 1e-9))
    if setting < SETTINGS and np.array_equal(scaled_at(trained[moved], setting), wanted[moved]):
        return setting
    _warn("threshold_scale", (lowest, beyond), f"{setting - 1}/{UNIT} and {setting}/{UNIT}")
    return None


def _of_dial(program: Program, trained: Array, wanted: Array) -> int | None:
    """Thresholds are multiplied by ``exp(offset + knob * slope)``."""
    profile = program.profile
    assert profile is not None  # a program without one has a threshold scale
    none = np.zeros(())
    offsets, slopes = (
        _flat(program, {p.population.name: part.get(p.population.name, none) for p in program.populations})
        for part in (profile.offsets, profile.slopes)
    )
    low, high, is_off = _nested(program, profile, wanted)
    moved = (slopes != 0) & ~is_off
    ends = [(np.log((wanted + half) / trained) - offsets)[moved] / slopes[moved] for half in (-0.5, 0.5)]
    lowest, beyond = float(np.minimum(*ends).max(initial=low)), float(np.maximum(*ends).min(initial=high))
    if lowest > beyond:
        return None  # of no knob
    near = int((lowest - profile.low) / (profile.high - profile.low) * (SETTINGS - 1))
    around = [setting for setting in range(near - 1, near + 3) if 0 <= setting < SETTINGS]
    for setting in around:
        if np.array_equal(_dialled(program, profile, knob_at(profile, setting)), wanted):
            return setting
    if np.array_equal(_dialled(program, profile, (lowest + beyond) / 2), wanted):
        first = max(setting for setting in around if knob_at(profile, setting) <= lowest or setting == around[0])
        two = ", ".join(f"{knob_at(profile, setting):.7g} (setting {setting})" for setting in (first, first + 1))
        _warn("knob", (lowest, beyond), two)
    return None


def _nested(program: Program, profile: DialProfile, wanted: Array) -> tuple[float, float, Array]:
    """Between which knobs those neurons are on that have other thresholds ``wanted`` than neurons that are off; and
    (n_neurons,) which these are."""
    always = np.full((), np.inf)
    until = _flat(program, {name: profile.on_until.get(name, always) for name in program.network.order})
    is_off = wanted << FixedLif.SHIFT == thresholds_off(program)
    lowest = until[is_off].max(initial=profile.low)
    return float(lowest), float(until[~is_off].min(initial=profile.high)), is_off


def _dialled(program: Program, profile: DialProfile, knob: float) -> Array:
    """(n_neurons,) mantissas at a knob; the program has the same where a setting stands for that knob."""
    return _flat(program, thresholds_for(program.network, profile.scale(knob), 1, 1)) >> FixedLif.SHIFT


def thresholds_off(program: Program) -> Array:
    """(n_neurons,): the threshold of each neuron while the dial has it off; 0 where it never has."""
    profile = program.profile
    if profile is None or not profile.is_nested:
        return np.zeros(program.n_neurons, np.int64)
    highest = profile.scale(profile.high)
    goes = {name: np.isinf(highest[name]) if name in highest else np.zeros((), bool) for name in program.network.order}
    return _flat(program, thresholds_for(program.network, highest, 1, 1)) * _flat(program, goes)


def _neuron(program: Program, name: str) -> FixedLif:
    neuron = program.network[name].neuron
    assert isinstance(neuron, FixedLif)  # a program is of integers
    return neuron


def _flat(program: Program, values: Mapping[str, Array]) -> Array:
    """(n_neurons,): numbers of all neurons, by population in the order of updates."""
    sizes = [(each.population.name, each.population.size) for each in program.populations]
    return np.concatenate([np.broadcast_to(values[name].reshape(-1), size) for name, size in sizes])


def _warn(what: str, between: tuple[float, float], settings: str) -> None:
    warnings.warn(
        f"{what}: found one between {between[0]:.7g} and {between[1]:.7g}, a program in C has {settings}; it is run as "
        f"it is, and on a microcontroller would be rounded",
        RoundedSettingWarning,
        stacklevel=2,
    )
