"""Inferences that end early, in C: the calibrated doubt of :class:`aspen.calibration.early.EarlyStop` in integers.

An inference ends where its doubt is below a level: where ``sum(exp(-gain * t**power * lead))`` over all outputs but the
winner is below ``level / (1 - level)``. In powers of two: where ``sum(2**-(halvings(t, lead) - halvings(level)))`` is
below 1. Halvings are counted in units of 2**-48 and shares in 63 bits, so the program decides as floating point does,
but for doubts within about 1e-12 of the level; calibrated levels stand 1e-9 beside those that were seen. Mostly two
bounds in 32 bits decide: above and below, 2**-x is near a straight line.
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import shown
from aspen.calibration.early import EarlyStop
from aspen.dial.path import AnyDial
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_hardware.c.dial import SETTINGS, UNIT, knobs_of, scale_range
from aspen_hardware.c.text import Table, filled

NEVER = 2**63 - 1
"""The level of a doubt of 0, which none is below."""
ALWAYS = -(2**61)
"""That of a doubt of 1, which each is below."""
MOST_STEPS = 2**16 - 1
_EXACT = Context(prec=60)
_LN2 = _EXACT.ln(Decimal(2))

NARROW = """
/* By how many halvings the share of an output that is `lead` spikes behind is below the winner's, times 2**48. */
static int64_t halvings(int32_t lead)
{
    return (int64_t)(early_gain[@step@] * (uint32_t)lead);
}
"""
WIDE = """
/* By how many halvings the share of an output that is `lead` behind is below the winner's, times 2**48. */
static int64_t halvings(int64_t lead)
{
    const uint64_t gain = early_gain[@step@];
    const uint32_t shift = early_shift[@step@];
    const uint64_t high = high_product((uint64_t)lead, gain);
    const uint64_t value = high << (64u - shift) | ((uint64_t)lead * gain) >> shift;
    return high >> shift != 0 || value >> 62 != 0 ? (int64_t)1 << 62 : (int64_t)value;
}
"""
DONE = """
/* The same of what all others may have together, as the knob stood in the first step since the reset. */
static int64_t allowed(void)
{
    uint32_t k = 0, end = @levels@;
    while (end - k > 1u) {
        const uint32_t middle = (k + end) / 2u;
        if (early_from[middle] <= state.began_at) {
            k = middle;
        } else {
            end = middle;
        }
    }
    return early_level[k];
}

/* Whether all others together have less than they may, to the last bit. */
static int below(int winner, int64_t level)
{
    uint64_t others = 0; /* in units of 2**-63 of what they may have */
    for (int i = 0; i < @p@_OUTPUTS && others >> 63 == 0; i++) {
        const int64_t over = halvings((@lead@)state.scores[winner] - state.scores[i]) - level;
        if (i != winner && over >> 48 < 64) {
            others += lowered((uint64_t)1 << 63, (uint64_t)over << 16) >> (over >> 48);
        }
    }
    return others >> 63 == 0;
}

int @p@_done(void)
{
    const int answer = @p@_winner();
    const int winner = answer < 0 ? 0 : answer;
    uint32_t least = 0, most = 0; /* what the others have, in units of 2**-30 of what they may have */
    if (state.taken == 0 || @last@) {
        return state.taken != 0;
    }
    const int64_t level = allowed();
    for (int i = 0; i < @p@_OUTPUTS; i++) {
        const int64_t over = halvings((@lead@)state.scores[winner] - state.scores[i]) - level;
        if (i == winner) {
            continue;
        }
        if (over <= 0) {
            return 0;
        }
        if (over >> 48 < 30) { /* 2**-x lies below a straight line from 1 to 1/2, and not by more than 0.0431 */
            const uint32_t line = 0x40000000u - ((uint32_t)(over >> 32 & 0xFFFF) << 13);
            least += (line - 46400000u) >> (over >> 48);
            most += line >> (over >> 48);
        }
        most++;
        if (least >> 30 != 0) {
            return 0;
        }
    }
    return @alone@;
}
"""


def check_early(early: object, network: Network) -> None:
    """Raise InputError unless ``early`` is an early end for the answers of this network, or None."""
    if early is None:
        return
    if not isinstance(early, EarlyStop):
        raise InputError(
            f"early: found {shown(early)}, allowed is an EarlyStop or None; take that of a table: "
            f"aspen.load_table(path).early"
        )
    if early.readout != network.readout or early.steps > MOST_STEPS:
        raise InputError(
            f"early: found one for the read-out {early.readout} in {early.steps} steps, allowed are {network.readout} "
            f"and {MOST_STEPS} steps at most; calibrate the network that is written"
        )


def early_tables(early: EarlyStop, network: Network, profile: AnyDial | None) -> list[Table]:
    """Gain of each step, and the level of each setting of the knob."""
    starts, levels = _levels(early, network, profile)
    return [
        *_gain_tables(early),
        Table("uint16_t", "early_from", starts, "settings of the knob from which on each of the levels below holds"),
        Table("int64_t", "early_level", levels, "halvings that all but the winner must be behind, times 2**48"),
    ]  # fmt: skip


def _gain_tables(early: EarlyStop) -> list[Table]:
    about = "halvings of a share for each unit of the scores, after each step, times 2**48"
    if _narrow(early):
        return [
            Table("uint64_t", "early_gain", np.array([_rounded(g * 2**48) for g in _gains(early)], np.uint64), about)
        ]
    gains = [_scaled(gain) for gain in _gains(early)]
    return [
        Table("uint64_t", "early_gain", np.array([g for g, _ in gains], np.uint64), f"{about} and the shift"),
        Table("uint8_t", "early_shift", np.array([shift for _, shift in gains]), "the shifts"),
    ]


def _narrow(early: EarlyStop) -> bool:
    """Whether scores are so small, as counts of spikes are, that a product with a gain has 62 bits."""
    return early.readout == "spikes" and early.steps * max(_gains(early)) < 2**14


def early_code(early: EarlyStop, network: Network, profile: AnyDial | None, prefix: str, skips: bool = False) -> str:
    """The function that says whether an inference may end. ``skips``: whether the knob leaves out time steps."""
    outputs, decided = network[network.output].size, "most >> 30 == 0 || below(winner, level)"
    values = {
        "p": prefix,
        "step": "0" if early.power == 0 else "state.taken - 1u",
        "levels": len(_levels(early, network, profile)[0]),
        "lead": "int32_t" if _narrow(early) else "int64_t",
        "last": f"(state.taken + 1u) * state.one_in > {prefix}_STEPS" if skips else f"state.taken == {prefix}_STEPS",
        "alone": decided if outputs > 1 else f"level != INT64_MAX && ({decided})",
    }
    return filled((NARROW if _narrow(early) else WIDE) + DONE, values)


def _gains(early: EarlyStop) -> list[Decimal]:
    """Halvings for each unit of the scores, after each step; one for all steps where they are the same."""
    if early.power == 0:
        return [Decimal(early.gain) / _LN2]
    times = np.arange(1, early.steps + 1)
    return [Decimal(early.gain * float(time) ** early.power) / _LN2 for time in times]


def _scaled(gain: Decimal) -> tuple[int, int]:
    """A number as 64 bits, and by how much these are to be shifted to the right to give units of 2**-48."""
    power = int((_EXACT.ln(gain) / _LN2).to_integral_value("ROUND_FLOOR"))
    shift = min(max(63 - power - 48, 1), 63)
    return min(_rounded(gain * 2 ** (48 + shift)), 2**64 - 1), shift


def _rounded(number: Decimal) -> int:
    return int(number.to_integral_value("ROUND_HALF_UP"))


def _levels(early: EarlyStop, network: Network, profile: AnyDial | None) -> tuple[Array, Array]:
    """Settings of the knob from which on another level holds, and these levels."""
    if profile is None:
        low, high = scale_range(network)
        knobs = np.clip(np.arange(SETTINGS), low, high) / UNIT
    else:
        knobs = knobs_of(profile)
    edges = [np.searchsorted(knobs, early.knobs, side) for side in ("left", "right")]
    starts = np.unique(np.concatenate([[0], *edges]))
    starts = starts[starts < SETTINGS]
    levels = np.array([_level(early.level(float(knobs[start]))) for start in starts.tolist()], np.int64)
    other = np.append(True, levels[1:] != levels[:-1])
    return starts[other], levels[other]


def _level(doubt: float) -> int:
    """Halvings of what all but the winner may have together, where the winner has 1."""
    if doubt in (0, 1):
        return ALWAYS if doubt else NEVER
    share = Decimal(doubt) / (1 - Decimal(doubt))
    return int((-_EXACT.ln(share) / _LN2 * 2**48).to_integral_value())
