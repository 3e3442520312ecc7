"""A knob that runs along stops of a calibration, in C: the whole numbers of :class:`aspen.dial.path.KnobPath`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aspen._base.checks import shown
from aspen.calibration.early import EarlyStop
from aspen.calibration.table import CalibrationTable
from aspen.dial.path import SETTINGS, KnobPath
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_hardware.c.text import Table, filled

ALONG = """
/* The dial's setting for one of the knob: even between two stops. */
static uint32_t along(uint32_t knob)
{
    uint32_t k = 0;
    while (k + @before@u < @stops@u && along_from[k + 1u] <= knob) {
        k++;
    }
    const uint32_t start = along_from[k], span = along_from[k + 1u] - start;
    const uint32_t rise = (uint32_t)along_to[k + 1u] - along_to[k];
    return along_to[k] + (rise * (knob - start) + span / 2u) / span;
}
"""
STANDS = """
/* The dial's setting, which no knob changes. */
static uint32_t along(uint32_t knob)
{
    (void)knob;
    return along_to[0];
}
"""

EVERY = """
/* One time step in how many runs at a setting of the knob: as at the stop there, or the one before it. */
static uint8_t one_in(uint32_t knob)
{
    uint32_t k = 0;
    while (k + 1u < @stops@u && along_from[k + 1u] <= knob) {
        k++;
    }
    return along_every[k];
}
"""
EVERY_ALIKE = """
/* One time step in how many runs, wherever the knob stands. */
static uint8_t one_in(uint32_t knob)
{
    (void)knob;
    return along_every[0];
}
"""
SKIPS = """
/* Whether the knob leaves out this time step: one in so many runs, as the knob stood in the first since the reset. */
static int left_out(void)
{
    const int out = @p@_skips();
    if (state.one_in == 0) {
        state.one_in = state.every;
    }
    state.passed = out ? (uint8_t)(state.passed + 1u) : 0;
    return out;
}
"""
SKIPS_NEXT = """
int @p@_skips(void)
{
    if (state.dialled == 0) {
        @first@;
    }
    return state.passed + 1u < (state.one_in == 0 ? state.every : state.one_in);
}
"""


def along_tables(path: KnobPath | None) -> list[Table]:
    """The stops of a knob."""
    if path is None:
        return []
    starts, places = (np.array(each, np.uint16) for each in zip(*path.stops, strict=True))
    found = [Table("uint16_t", "along_to", places, "the dial's setting at each stop of the knob")]
    if path.skips:
        found.append(Table("uint8_t", "along_every", np.array(path.every, np.uint8), "one time step in how many runs"))
    if len(starts) == 1:
        return found
    return [Table("uint16_t", "along_from", starts, "settings of the knob at its stops"), *found]


def along_code(path: KnobPath | None) -> str:
    """The functions that find the dial's setting, and which time steps run, where a knob runs along stops."""
    if path is None:
        return ""
    alone = len(path.knobs) == 1
    every = "" if not path.skips else EVERY_ALIKE if alone else filled(EVERY, {"stops": len(path.knobs)})
    return (STANDS if alone else filled(ALONG, {"stops": len(path.knobs), "before": 2})) + every


def skip_code(path: KnobPath | None, prefix: str, first: str) -> str:
    """The functions that say which time steps the knob leaves out; ``first`` sets the thresholds as trained."""
    skips = path is not None and path.skips
    return filled(SKIPS_NEXT + SKIPS, {"p": prefix, "first": first}) if skips else ""


def levers_of(
    calibration: CalibrationTable | None, network: Network, profile: DialProfile | None, early: EarlyStop | None
) -> tuple[DialProfile | None, KnobPath | None, EarlyStop | None]:
    """What turns a program and ends its inferences: as given, or as a calibration of it says.

    Args:
        calibration: a table of one lever, whose early end is taken, or a front, whose knob is.
        network: what is written.
        profile: its dial.
        early: an early end that is given by itself.

    Raises:
        InputError: the calibration is none, is given beside an early end, or is of another dial.
    """
    if calibration is None:
        return profile, None, early
    if not isinstance(calibration, CalibrationTable):
        raise InputError(
            f"calibration: found {shown(calibration)}, allowed is a CalibrationTable; see aspen.load_table"
        )
    if early is not None:
        raise InputError("early: found one beside a calibration, which has its own, allowed is one; leave one out")
    if not calibration.is_front:
        if (calibration.dial == "profile") != (profile is not None):
            raise InputError(
                f"calibration: found the table {calibration.key} for a program {'with' if profile else 'without'} a "
                f"learned dial, allowed is one of what turns it; load the other, or the front"
            )
        return profile, None, calibration.early
    path = calibration.along(network, profile)
    return path.dial, path, None if calibration.early is None else _on_settings(calibration.early)


def _on_settings(early: EarlyStop) -> EarlyStop:
    """The same levels from the knob's nearest settings on, as the program knows no others; of two the laxer."""
    nearest = {round(k * (SETTINGS - 1)) / (SETTINGS - 1): d for k, d in zip(early.knobs, early.doubts, strict=True)}
    return replace(early, knobs=tuple(nearest), doubts=tuple(nearest.values()))
