"""The knob in C: functions that set the thresholds of a running program, in integers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aspen.dial.path import KnobPath
from aspen_hardware.c.along import along_code
from aspen_hardware.c.dial import LN2, POWERS, SETTINGS, Dialled, Factor
from aspen_hardware.c.neurons import Neurons
from aspen_hardware.c.text import Table, filled, type_of

SCALED = """
/* A threshold times scale/4096, rounded to the nearest integer of the chip, halves up. */
static int32_t scaled(uint32_t mantissa, uint32_t scale)
{
    return (int32_t)((((uint64_t)mantissa * scale + 2048u) >> 12) * 64u);
}
"""
SET_SCALE = """
void @p@_set_threshold_scale(uint16_t q12)
{
@clamp@
@body@
    state.dialled = 1;
@kept@}
"""
HALVING = """
/* A product of 32 bits each. */
INLINE uint64_t product(uint32_t a, uint32_t b)
{
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB < 2
    const uint32_t low = (a & 65535u) * (b & 65535u); /* no product of 64 bits on such a core */
    const uint32_t middle = (a >> 16) * (b & 65535u) + (low >> 16);
    const uint32_t other = (a & 65535u) * (b >> 16) + (middle & 65535u);
    const uint32_t high = (a >> 16) * (b >> 16) + (middle >> 16) + (other >> 16);
    return (uint64_t)high << 32 | (other << 16 | (low & 65535u));
#else
    return (uint64_t)a * b;
#endif
}

/* The upper 64 bits of a product. */
static uint64_t high_product(uint64_t a, uint64_t b)
{
    const uint32_t a_low = (uint32_t)a, a_high = (uint32_t)(a >> 32), b_low = (uint32_t)b, b_high = (uint32_t)(b >> 32);
    const uint64_t middle = product(a_high, b_low) + (product(a_low, b_low) >> 32);
    const uint64_t other = product(a_low, b_high) + (uint32_t)middle;
    return product(a_high, b_high) + (middle >> 32) + (other >> 32);
}

/* value * 2**-y, where y is below 1 and given in units of 2**-64. */
static uint64_t lowered(uint64_t value, uint64_t y)
{
    const uint64_t small = high_product(y & 0xFFFFFFFFFFu, @ln2@ull);
    for (uint32_t i = 0; i < @bits@u; i++) {
        if (y >> 63 != 0) {
            value = high_product(value, halving[i]);
        }
        y <<= 1;
    }
    return value - high_product(value, small) + high_product(value, high_product(small, small) >> 1);
}
"""
DIAL = """
/* One offset and slope of the dial: the highest factor on a threshold is top * 2**(46 - shift) * 2**-64, and each
 * setting away from it (its end of the range) halves it slope * 2**-74 times. */
struct factor {
    uint64_t top, slope;
    uint16_t end; /* of its neurons, in the order of factors */
    uint8_t shift, rising;
};

/* top * 2**-y for a setting, where y = slope * distance; the whole part of y is added to the shift. */
static uint64_t factor_at(const struct factor *factor, uint32_t setting, uint32_t *shift)
{
    const uint32_t distance = factor->rising ? 65535u - setting : setting;
    const uint64_t low = product((uint32_t)factor->slope, distance);
    const uint64_t high = product((uint32_t)(factor->slope >> 32), distance) + (low >> 32);
    const uint64_t rest = (high & 0x3FFFFFFFFFFu) << 22 | (low & 0xFFFFFFFFu) >> 10; /* of y, in units of 2**-64 */
    *shift = factor->shift + (uint32_t)(high >> 42);
    return lowered(factor->top, rest);
}

/* A threshold times a factor, rounded to the nearest integer of the chip. */
static int32_t dialled(uint32_t mantissa, uint64_t value, uint32_t shift)
{
    const uint64_t low = product((uint32_t)value, mantissa);
    const uint64_t whole = (product((uint32_t)(value >> 32), mantissa) << 14) + (low >> 18); /* less 18 bits */
    if (RARE(shift <= 32u)) {
        return (int32_t)((((whole >> (shift - 1u)) + 1u) >> 1) * 64u);
    }
    return (int32_t)(((((uint32_t)(whole >> 32) >> (shift - 33u)) + 1u) >> 1) * 64u);
}
"""
NESTED = """
/* Switches neurons off at this setting, and on with the next reset; at once before the first step since one. */
static void nest_@name@(uint32_t setting)
{
    uint32_t level = 0;
    while (level + 1u < @levels@u && from_@name@[level + 1u] <= setting) {
        level++;
    }
    state.next_level_@name@ = (uint16_t)level;
    if (state.begun == 0) {
@begins@    } else if (level > state.level_@name@) {
        state.level_@name@ = (uint16_t)level;
        state.on_@name@ = counts_@name@[level];
    }
}
"""
DIAL_POPULATION = """
static void dial_@name@(uint32_t setting)
{
@start@    for (uint32_t c = 0; c < @classes@u; c++) {
@skipped@        uint32_t shift;
        const uint64_t value = factor_at(&factors_@name@[c], setting, &shift);
@body@
    }
@corrections@}
"""
CORRECTIONS = """    for (uint32_t k = 0; k < @count@u; k++) {
        if (correction_setting_@name@[k] == setting) {
            state.threshold_@name@@at@ += correction_@name@[k] * 64;
        }
    }
"""
SET_KNOB = """
void @p@_set_knob(uint16_t @given@)
{
@along@@body@
    state.dialled = 1;
@kept@}
"""


def halving_code() -> str:
    """Powers of two with exponents that are fractions, for :data:`halving_table`."""
    return filled(HALVING, {"ln2": LN2, "bits": len(POWERS)})


def halving_table() -> Table:
    """What :func:`halving_code` multiplies."""
    return Table("uint64_t", "halving", np.array(POWERS, np.uint64), "2**-(1/2), 2**-(1/4), ... times 2**64")


def _kept(setting: str, early: bool) -> str:
    """Notes where the knob stands, where that decides when an inference may end."""
    return f"    state.setting = {setting};\n" if early else ""


def _as_trained(neurons: Neurons, value: str) -> str:
    """Sets all thresholds of a population; ``value`` has MANTISSA where a neuron's stands."""
    if neurons.scalar:
        return f"    state.threshold_{neurons.name} = {value.replace('MANTISSA', neurons.mantissa.at('0'))};"
    return (
        f"    for (uint32_t i = 0; i < {neurons.population.size}u; i++) {{\n"
        f"        state.threshold_{neurons.name}[i] = {value.replace('MANTISSA', neurons.mantissa.at('i'))};\n    }}"
    )


def scale_code(
    prefix: str, populations: Sequence[Neurons], turned: Sequence[str], limits: tuple[int, int], early: bool
) -> str:
    """The threshold scale: what it sets, for the populations in ``turned``; others stay as trained. ``early``: whether
    it is noted where the knob stands."""
    body = "\n".join(
        _as_trained(each, "scaled(MANTISSA, scale)" if each.population.name in turned else "(int32_t)(MANTISSA * 64u)")
        for each in populations
    )
    clamp = _clamp(prefix, limits) if turned else "    const uint32_t scale = q12;" if early else "    (void)q12;"
    values = {"p": prefix, "body": body, "clamp": clamp, "kept": _kept("(uint16_t)scale", early)}
    return filled(SCALED + SET_SCALE if turned else SET_SCALE, values)


def _clamp(prefix: str, limits: tuple[int, int]) -> str:
    """Settings beyond which a threshold would leave 17 bits, or be 0, become the last that is allowed."""
    value = "q12"
    if limits[1] < SETTINGS - 1:
        value = f"{value} > {prefix}_SCALE_HIGH ? {prefix}_SCALE_HIGH : {value}"
    return f"    const uint32_t scale = q12 < {prefix}_SCALE_LOW ? {prefix}_SCALE_LOW : {value};"


def dial_tables(dials: Sequence[Dialled], names: dict[str, str]) -> list[Table]:
    """The tables of a learned dial, but for its factors."""
    found = []
    for dial in dials:
        name = names[dial.name]
        if len(dial.factors) > 1:
            order, about = (
                np.argsort(dial.classes, kind="stable"),
                f"{dial.name}: neurons in the order of their factors",
            )
            found.append(Table(type_of(order, True), f"order_{name}", order, about))
        if len(dial.corrections):
            settings, neurons, changes = dial.corrections.T
            about = f"{dial.name}: settings at which a threshold ends on a half, and is rounded as the engines do"
            found += [
                Table("uint16_t", f"correction_setting_{name}", settings, about),
                Table("uint16_t", f"correction_neuron_{name}", neurons, f"{dial.name}: the neurons"),
                Table(type_of(changes), f"correction_{name}", changes, f"{dial.name}: what is added there"),
            ]
    return found


def factors_size(dials: Sequence[Dialled]) -> int:
    """Bytes of the factors in flash, with their padding."""
    return sum(24 * len(dial.factors) for dial in dials)


def dial_code(
    prefix: str, populations: Sequence[Neurons], dials: Sequence[Dialled], early: bool, path: KnobPath | None = None
) -> str:
    """A learned dial: its factors, and the function that sets every threshold. ``early``: see :func:`scale_code`.
    ``path``: what the knob runs along, where it is not the dial's own."""
    by_name = {dial.name: dial for dial in dials}
    parts = [DIAL]
    parts += [
        _population(each, by_name[each.population.name]) for each in populations if each.population.name in by_name
    ]
    lines = [f"    nest_{each.name}(setting);" for each in populations if each.nest is not None]
    lines += [
        f"    dial_{each.name}(setting);"
        if each.population.name in by_name
        else _as_trained(each, "(int32_t)(MANTISSA * 64u)")
        for each in populations
    ]
    given = "setting" if path is None else "knob"
    values = {
        "p": prefix, "body": "\n".join(lines), "kept": _kept(given, early), "given": given,
        "along": "" if path is None else "    const uint32_t setting = along(knob);\n" + _noted(path),
    }  # fmt: skip
    return "".join([*parts, along_code(path), filled(SET_KNOB, values)])


def _noted(path: KnobPath) -> str:
    """Notes which time steps the knob lets run."""
    return "    state.every = one_in(knob);\n" if path.skips else ""


def _population(neurons: Neurons, dial: Dialled) -> str:
    name, several = neurons.name, len(dial.factors) > 1
    ends = np.cumsum(np.bincount(dial.classes, minlength=len(dial.factors)))
    rows = ",\n".join(f"    {_factor(factor, end)}" for factor, end in zip(dial.factors, ends.tolist(), strict=True))
    about = f"{dial.name}: the different offsets and slopes of its dial"
    table = f"\n/* {about} */\nstatic const struct factor factors_{name}[{len(dial.factors)}] = {{\n{rows},\n}};\n"
    mantissa = neurons.mantissa.at("0" if neurons.scalar else "i")
    at = "" if neurons.scalar else "[i]"
    line = f"state.threshold_{name}{at} = dialled({mantissa}, value, shift);"
    index = f"order_{name}[k]" if several else "k"
    start, body, skipped = "", f"        {line}", ""
    if not neurons.scalar:
        start, until, skipped = _up_to_those_on(neurons, index)
        body = (
            f"        for (; k < factors_{name}[c].end{until}; k++) {{\n            const uint32_t i = {index};\n"
            f"            {line}\n        }}"
        )
    corrections = ""
    if len(dial.corrections):
        where = "" if neurons.scalar else f"[correction_neuron_{name}[k]]"
        corrections = filled(CORRECTIONS, {"name": name, "count": len(dial.corrections), "at": where})
    values = {
        "name": name, "classes": len(dial.factors), "start": start, "body": body, "corrections": corrections,
        "skipped": skipped,
    }  # fmt: skip
    return table + _nested(neurons) + filled(DIAL_POPULATION, values)


def _up_to_those_on(neurons: Neurons, index: str) -> tuple[str, str, str]:
    """C of the loops over neurons that get thresholds: what stands before them, until when each goes on, and what skips
    factors of which all neurons are off. Those of a factor ascend."""
    start, name = "    uint32_t k = 0;\n", neurons.name
    if neurons.nest is None:
        return start, "", ""
    on = f"    const uint32_t on = counts_{name}[state.next_level_{name}];\n"
    first = f"c == 0 ? 0u : factors_{name}[c - 1u].end"
    skip = f"        k = {first};\n        if ({index} >= on) {{\n            continue;\n        }}\n"
    return start + on, f" && {index} < on", skip


def _nested(neurons: Neurons) -> str:
    if neurons.nest is None:
        return ""
    begins = begins_nested(neurons, "        ")
    return filled(NESTED, {"name": neurons.name, "levels": len(neurons.nest.starts), "begins": begins})


def begins_nested(neurons: Neurons, pad: str = "    ") -> str:
    """Has as many neurons on as at the setting of the knob."""
    name = neurons.name
    lines = [f"state.level_{name} = state.next_level_{name};", f"state.on_{name} = counts_{name}[state.level_{name}];"]
    lines += [f"state.most_{name} = state.on_{name};"] if neurons.depth else []
    return "".join(f"{pad}{line}\n" for line in lines)


def _factor(factor: Factor, end: int) -> str:
    return f"{{{factor.top}ull, {factor.slope}ull, {end}, {factor.shift}, {int(factor.rising)}}}"
