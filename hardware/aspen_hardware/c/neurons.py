"""Populations in C: the state of their neurons, and the loop that updates them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network, Population
from aspen.network.neurons import BY_SYNAPSE, RECTIFIED, FixedLif
from aspen_hardware.c.connections import Stored
from aspen_hardware.c.ranges import Bounds, bounds
from aspen_hardware.c.text import Field, Parameter, Table

HELPERS = {
    "decay": """
/* What is left of `x` after a step that keeps `keep` of 4096, rounded towards zero. */
static int32_t decay(int32_t x, uint32_t keep)
{
    const uint32_t magnitude = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const int32_t left = (int32_t)(((uint64_t)magnitude * keep) >> 12);
    return x < 0 ? -left : left;
}
""",
    "decay_wide": """
/* What is left of `x` after a step that keeps `keep` of 4096, rounded towards zero. */
static int64_t decay_wide(int64_t x, uint32_t keep)
{
    const uint64_t magnitude = x < 0 ? 0u - (uint64_t)x : (uint64_t)x;
    const int64_t left = (int64_t)((magnitude * keep) >> 12);
    return x < 0 ? -left : left;
}
""",
    "wrapped": """
/* A current that leaves 24 bits wraps around, once. */
static int32_t wrapped(int32_t u)
{
    return u > LIMIT ? u - 2 * LIMIT : u <= -LIMIT ? u + 2 * LIMIT : u;
}
""",
    "wrapped_wide": """
/* A current that leaves 24 bits wraps around, once. */
static int64_t wrapped_wide(int64_t u)
{
    return u > LIMIT ? u - 2 * LIMIT : u <= -LIMIT ? u + 2 * LIMIT : u;
}
""",
    "clipped": """
/* A membrane stays within 24 bits. */
static int32_t clipped(int32_t v)
{
    return v >= LIMIT ? LIMIT - 1 : v <= -LIMIT ? 1 - LIMIT : v;
}
""",
    "clipped_wide": """
/* A membrane stays within 24 bits. */
static int64_t clipped_wide(int64_t v)
{
    return v >= LIMIT ? LIMIT - 1 : v <= -LIMIT ? 1 - LIMIT : v;
}
""",
    "halved": """
/* `x` divided by two to the power of `bits`, rounded down. */
static int32_t halved(int32_t x, uint32_t bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}
""",
    "halved_wide": """
/* `x` divided by two to the power of `bits`, rounded down. */
static int64_t halved_wide(int64_t x, uint32_t bits)
{
    return x < 0 ? ~(~x >> bits) : x >> bits;
}
""",
    "by_synapse": """
/* What a synapse of a neuron onto itself subtracts: its threshold, rounded to 8 significant bits, halves up. */
static int32_t by_synapse(int32_t threshold)
{
    const uint32_t mantissa = (uint32_t)threshold >> 6;
    uint32_t exponent = 0;
    while (mantissa >> exponent > 255u) {
        exponent++;
    }
    return (int32_t)((mantissa + (1u << exponent >> 1)) >> exponent << (exponent + 6u));
}
""",
}
"""Functions that the updates call, by name; only those that are called are written."""
_OWING = ("subtract-delayed", BY_SYNAPSE, "subtract-guarded")


@dataclass(frozen=True)
class Neurons:
    """One population with neurons, as the program holds it.

    Args:
        network: what it is a part of.
        population: itself.
        name: in C.
        number: its place among all populations of the network.
        offset: index of its first neuron among all neurons.
        exponent: of the sum of its input that the update takes; None where nothing drives it.
        depth: the longest delay with which anything reads it.
        listed: whether anything reads its spikes within the step.
        scalar: whether all its thresholds are one number in RAM.
        outgoing: connections that read it.
        own: number of the synapses by which its neurons reset themselves, among the connections; None without.
    """

    network: Network
    population: Population
    name: str
    number: int
    offset: int
    exponent: int | None
    depth: int
    listed: bool
    scalar: bool
    outgoing: tuple[Stored, ...]
    own: int | None

    @property
    def neuron(self) -> FixedLif:
        """Its parameters."""
        neuron = self.population.neuron
        assert isinstance(neuron, FixedLif)  # to_c() refuses others
        return neuron

    @cached_property
    def bounds(self) -> Bounds:
        """How large its integers can become."""
        return bounds(self.network, self.population.name)

    @property
    def is_output(self) -> bool:
        """Whether it has the answer."""
        return self.population.name == self.network.output

    @property
    def flags(self) -> bool:
        """Whether there is a byte for each neuron that says whether it spiked."""
        return self.is_output or self.neuron.reset == "zero-delayed"

    @property
    def _remembers(self) -> bool:
        """Whether anything of a current is left in the next step."""
        return self.exponent is not None and bool((self.neuron.current_decay < 4095).any())

    @cached_property
    def _parameters(self) -> dict[str, Parameter]:
        neuron, name = self.neuron, self.name
        return {
            "mantissa": Parameter(f"mantissa_{name}", neuron.threshold, f"{name}: thresholds as trained, without the "
                                  f"shift by {FixedLif.SHIFT}", unsigned=True),
            "keep_u": Parameter(f"current_keep_{name}", 4095 - neuron.current_decay, f"{name}: what a current keeps of "
                                f"itself at each step, of 4096", unsigned=True),
            "keep_v": Parameter(f"membrane_keep_{name}", 4096 - neuron.voltage_decay, f"{name}: what a membrane keeps "
                                f"of itself at each step, of 4096", unsigned=True),
            "bias": Parameter(f"bias_{name}", neuron.bias, f"{name}: added to the membrane at each step"),
            "unit": Parameter(f"unit_{name}", self._units, f"{name}: what a unit of the given current adds to the "
                              f"membrane"),
        }  # fmt: skip

    @property
    def _units(self) -> Array:
        return np.left_shift(1, self.neuron.bias_exponent.astype(np.int64))

    @property
    def mantissa(self) -> Parameter:
        """The thresholds as trained."""
        return self._parameters["mantissa"]

    @property
    def tables(self) -> list[Table]:
        """What it keeps in flash."""
        used = ["mantissa", "keep_v", "bias"]
        used += ["keep_u"] if self._remembers else []
        used += ["unit"] if self.population.current else []
        return [table for key in used for table in self._parameters[key].tables]

    @property
    def fields(self) -> list[Field]:
        """What it keeps in RAM."""
        n, name, short = (self.population.size,), self.name, self.bounds.short
        state, wide = "int16_t" if short else "int32_t", "int64_t" if self.bounds.wide else "int32_t"
        found = [Field(state, f"membrane_{name}", n, "after the reset of the last step")]
        found.append(
            Field(
                "int32_t", f"threshold_{name}", () if self.scalar else n, "as the knob stands, in units of the membrane"
            )
        )
        if self._remembers:
            found.append(Field(state if short else wide, f"current_{name}", n, "synaptic current"))
        if self.neuron.reset in _OWING:
            found.append(Field("int32_t", f"owed_{name}", n, "what the last reset still asks for"))
        if self.flags:
            found.append(Field("uint8_t", f"spikes_{name}", n, "1 where a neuron spiked in the last step"))
        if self.listed:
            found.append(Field("uint16_t", f"events_{name}", n, "the neurons that spiked in this step"))
            found.append(Field("uint16_t", f"count_{name}", (), "how many these are"))
        return found + history(name, self.depth, -(-n[0] // 8), "uint8_t", "a bit for each neuron")

    @property
    def helpers(self) -> set[str]:
        """Those of :data:`HELPERS` that its update calls."""
        end = "_wide" if self.bounds.wide else ""
        found = {"decay"}
        found |= {f"decay{end}"} if self._remembers else set()
        found |= {f"wrapped{end}"} if self.bounds.wraps and self.exponent is not None else set()
        found |= {f"clipped{end}"} if self.bounds.clips else set()
        found |= {"by_synapse"} if self.neuron.reset == BY_SYNAPSE else set()
        found |= {f"halved{end}"} if self.exponent is not None and self.exponent < 0 else set()
        return found

    def update(self, prefix: str) -> str:
        """The function that advances its neurons by a step."""
        n, reset, name = self.population.size, self.neuron.reset, self.name
        threshold = f"state.threshold_{name}{'' if self.scalar else '[i]'}"
        lines = [f"const int32_t threshold = {threshold};", *self._current(), *self._membrane(), *self._scores()]
        lines += [f"#ifdef {prefix}_TRACE", f"trace.membranes[{self._place}] = v;", "#endif"]
        lines += ["const int spike = v > threshold;", *self._reset()]
        lines += [f"state.spikes_{name}[i] = (uint8_t)spike;"] if self.flags else []
        stored = "(int16_t)v" if self.bounds.short else "v"
        lines += [f"state.membrane_{name}[i] = {stored};", *self._spike(prefix)]
        body = "\n".join(line if line.startswith("#") else f"        {line}" for line in lines)
        start = f"    state.count_{name} = 0;\n" if self.listed else ""
        return (
            f"\n/* {self.population.name}: {n} neuron{'' if n == 1 else 's'}, reset {reset} */\n"
            f"static void update_{name}(void)\n{{\n{start}"
            f"    for (uint32_t i = 0; i < {n}u; i++) {{\n{body}\n    }}\n}}\n"
        )

    @property
    def _place(self) -> str:
        """Of neuron ``i`` among all neurons."""
        return f"{self.offset}u + i" if self.offset else "i"

    @property
    def _type(self) -> tuple[str, str]:
        return ("int64_t", "_wide") if self.bounds.wide else ("int32_t", "")

    def _current(self) -> list[str]:
        """``u``: what is left of the current, and what arrived."""
        if self.exponent is None:
            return []
        ctype, end = self._type
        sums = "wide_sum" if self.bounds.wide else "sum"
        factor = FixedLif.SHIFT + max(self.exponent, 0)
        arrived = f"state.{sums}[i]" if self.exponent >= 0 else f"halved{end}(state.{sums}[i], {-self.exponent}u)"
        value = f"{arrived} * {2**factor}"
        if self._remembers:
            value = f"decay{end}(state.current_{self.name}[i], {self._parameters['keep_u'].at('i')}) + {value}"
        value = f"wrapped{end}({value})" if self.bounds.wraps else value
        lines = [f"const {ctype} u = {value};", f"state.{sums}[i] = 0;"]
        stored = "(int16_t)u" if self.bounds.short else "u"
        return [*lines, f"state.current_{self.name}[i] = {stored};"] if self._remembers else lines

    def _membrane(self) -> list[str]:
        """``v``: the membrane that is compared with the threshold."""
        _, end = self._type
        bias = self._parameters["bias"]
        terms = [f"decay(state.membrane_{self.name}[i], {self._parameters['keep_v'].at('i')})"]
        terms += ["u"] if self.exponent is not None else []
        terms += [bias.at("i")] if bias.value != 0 else []
        terms += (
            [f"state.values_{self.name}[i] * {self._parameters['unit'].at('i')}"] if self.population.current else []
        )
        value = " + ".join(terms)
        value += f" - state.owed_{self.name}[i]" if self.neuron.reset in _OWING else ""
        if self.neuron.reset == "zero-delayed":
            value = f"state.spikes_{self.name}[i] != 0 ? 0 : {value}"
        value = f"clipped{end}({value})" if self.bounds.clips else value
        if self.bounds.wide:
            value = f"(int32_t){value}" if self.bounds.clips else f"(int32_t)({value})"
        rectified = self.neuron.reset == RECTIFIED
        changes = rectified or self.neuron.reset in ("zero", "subtract", "subtract-guarded")
        floor = ["v = v < 0 ? 0 : v;"] if rectified else []
        return [f"{'' if changes else 'const '}int32_t v = {value};", *floor]

    def _scores(self) -> list[str]:
        """What a read-out of membranes makes of them."""
        kind = self.network.readout
        if not self.is_output or kind == "spikes":
            return []
        if kind == "membrane":
            return ["state.scores[i] += v;"]
        best = "state.begun == 0 || v > state.scores[i] ? v : state.scores[i]"
        return ["state.scores[i] = v;" if kind == "membrane-last" else f"state.scores[i] = {best};"]

    def _reset(self) -> list[str]:
        """What a spike does to the membrane, now or in the next step."""
        owed, reset = f"state.owed_{self.name}[i]", self.neuron.reset
        return {
            "zero": ["v = spike ? 0 : v;"],
            "subtract": ["v -= spike ? threshold : 0;"],
            "subtract-delayed": [f"{owed} = spike ? threshold : 0;"],
            BY_SYNAPSE: [f"{owed} = spike ? by_synapse(threshold) : 0;"],
            "subtract-guarded": [
                f"v -= (spike ? threshold : 0) - {owed};",
                f"{owed} = v > threshold ? threshold : 0;",
            ],
        }.get(reset, [])

    def _spike(self, prefix: str) -> list[str]:
        """What else a spike leaves behind."""
        lines = []
        if self.listed:
            lines.append(f"state.events_{self.name}[state.count_{self.name}++] = (uint16_t)i;")
        if self.depth:
            lines.append(f"state.history_{self.name}[state.slot_{self.name}][i >> 3] |= (uint8_t)(1u << (i & 7u));")
        if self.is_output and self.network.readout == "spikes":
            lines.append("state.scores[i]++;")
        lines = [f"    {line}" for line in lines]
        counted = [f"    counters.spikes[{self.number}]++;"]
        counted += [f"    {stored.count('i')}" for stored in self.outgoing]
        counted += [] if self.own is None else [f"    counters.operations[{self.own}]++;"]
        lines = [f"#ifdef {prefix}_COUNTERS", *counted, "#endif", *lines]
        traced = [f"#ifdef {prefix}_TRACE", f"trace.spikes[{self._place}] = (uint8_t)spike;", "#endif"]
        return [*traced, "if (spike) {", *lines, "}"]


def history(name: str, depth: int, width: int, ctype: str, what: str) -> list[Field]:
    """What a population keeps of the past for connections with delays: the present step, and ``depth`` before it."""
    if not depth:
        return []
    steps = "step" if depth == 1 else "steps"
    return [
        Field(ctype, f"history_{name}", (depth + 1, width), f"{what}, of this step and {depth} {steps} before"),
        Field("uint8_t", f"slot_{name}", (), "where this step is in the history"),
    ]
