"""Populations in C: the state of their neurons, and the loop that updates them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network, Population
from aspen.network.neurons import BY_SYNAPSE, RECTIFIED, FixedLif
from aspen_hardware.c.connections import Stored, Sums
from aspen_hardware.c.nesting import Nest
from aspen_hardware.c.ranges import Bounds, bounds
from aspen_hardware.c.text import Field, Parameter, Table
from aspen_hardware.c.walking import Walk, Walked

DECAY_UNIT = 4096
"""What keeps all of itself keeps so much."""
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
        sums: where its input is added up.
        depth: the longest delay with which anything reads it.
        listed: whether anything reads its spikes within the step.
        scalar: whether all its thresholds are one number in RAM.
        outgoing: connections that read it.
        own: number of the synapses by which its neurons reset themselves, among the connections; None without.
        nest: which of its neurons are on; None where all always are.
    """

    network: Network
    population: Population
    name: str
    number: int
    offset: int
    exponent: int | None
    sums: Sums
    depth: int
    listed: bool
    scalar: bool
    outgoing: tuple[Stored, ...]
    own: int | None
    nest: Nest | None = None

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
            "keep": Parameter(f"membrane_keep_{name}", 4096 - neuron.voltage_decay, f"{name}: what a membrane keeps "
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
        found = [table for key in ("mantissa", *self._used) for table in self._parameters[key].tables]
        if self.nest is None:
            return found
        about = f"{self.population.name}: settings of the knob from which on fewer neurons are on"
        return [
            *found,
            Table("uint16_t", f"from_{self.name}", self.nest.starts, about),
            Table("uint16_t", f"counts_{self.name}", self.nest.counts, "how many are"),
            *([self.places] if self.reads_places else []),
        ]

    @property
    def places(self) -> Table:
        """Where in the network each neuron of the program stands."""
        assert self.nest is not None  # others are not sorted
        about = f"{self.population.name}: where in the network each neuron stands that stands here"
        return Table("uint16_t", f"place_{self.name}", self.nest.place, about)

    @property
    def reads_places(self) -> bool:
        """Whether the program needs :attr:`places` for its input."""
        return self.nest is not None and self.population.current

    @property
    def _used(self) -> list[str]:
        """The parameters that the update reads, but for thresholds."""
        found = ["keep", "bias"]
        found += ["keep_u"] if self._remembers else []
        return found + (["unit"] if self.population.current else [])

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
        found += [] if self.nest is None else self._nest_fields
        return found + history(name, self.depth, -(-n[0] // 8), "uint8_t", "a bit for each neuron")

    @property
    def _nest_fields(self) -> list[Field]:
        name = self.name
        found = [
            Field("uint16_t", f"on_{name}", (), "how many neurons are on"),
            Field("uint16_t", f"level_{name}", (), "of these, in the tables"),
            Field("uint16_t", f"next_level_{name}", (), "that from the next reset on"),
        ]
        most = Field("uint16_t", f"most_{name}", (), "how many were on in this inference")
        return [*found, *([most] if self.depth else [])]

    @property
    def helpers(self) -> set[str]:
        """Those of :data:`aspen_hardware.c.helpers.HELPERS` that its update calls."""
        end = "_wide" if self.bounds.wide else ""
        found = {"decayed"} if self._leak.value != DECAY_UNIT else set()
        found |= {self._current_decay} if self._remembers else set()
        found |= {f"wrapped{end}"} if self.bounds.wraps and self.exponent is not None else set()
        found |= {f"clipped{end}"} if self.bounds.clips and not self._clips_late else set()
        found |= {"by_synapse"} if self.neuron.reset == BY_SYNAPSE else set()
        found |= {f"halved{end}"} if self.exponent is not None and self.exponent < 0 else set()
        return found

    def update(self, prefix: str) -> str:
        """The functions that advance a neuron, and all of them, by a step."""
        n, name = self.population.size, self.name
        lines = ["(void)i;", *self._current(), *self._membrane(), *self._scores()]
        lines += [*self._trace(prefix, "membranes", self._traced), *self._fire(prefix)]
        lines += [f"*membranes = {'(int16_t)v' if self.bounds.short else 'v'};"]
        body = "\n".join(line if line.startswith("#") else f"    {line}" for line in lines)
        apart = "static" if self.nest is None else "APART"
        arguments = ["uint32_t i", *(["int32_t threshold"] if self.scalar else [])]
        arguments += [f"int32_t {walked.value}" for walked in self._walked if walked.value]
        arguments += [f"{walked.ctype} *{walked.name}" for walked in self._walked if walked.is_used]
        return (
            f"\n/* {self.population.name}: {n} neuron{'' if n == 1 else 's'}, reset {self.neuron.reset} */\n"
            f"INLINE void step_{name}({', '.join(arguments)})\n{{\n{body}\n}}\n"
            f"\n{apart} void update_{name}(void)\n{{\n{self._loop(prefix)}}}\n"
        )

    @cached_property
    def _walked(self) -> list[Walked]:
        """The arrays along which the update goes."""
        name, wide = self.name, self.bounds.wide
        state = "int16_t" if self.bounds.short else "int32_t"
        found = [Walked("membranes", state, f"state.membrane_{name}", "membrane")]
        if not self.scalar:
            found.append(Walked("thresholds", "const int32_t", f"state.threshold_{name}", "threshold", False))
        if self.exponent is not None:
            kind = f"{'const ' if self.sums.are_set else ''}{self.sums.ctype}"
            found.append(
                Walked("sums", kind, f"state.{self.sums.name}", "" if wide else "sum", wide or not self.sums.are_set)
            )
        if self._remembers:
            found.append(Walked("currents", "int64_t" if wide else state, f"state.current_{name}"))
        found += [Walked("owed", "int32_t", f"state.owed_{name}")] if self.neuron.reset in _OWING else []
        found += [Walked("spikes", "uint8_t", f"state.spikes_{name}")] if self.flags else []
        if self.is_output:
            found.append(Walked("scores", self.score_type, "state.scores"))
        if self.population.current:
            found.append(Walked("values", "const int16_t", f"state.values_{name}"))
        for key in self._used:
            table = self._parameters[key].table
            if table is not None:
                value = key if key in ("keep", "bias") else ""
                found.append(Walked(f"{key}_of", f"const {table.ctype}", table.name, value, not value))
        return found

    @property
    def score_type(self) -> str:
        """Of the scores, where it has the answer: membranes add up beyond 32 bits."""
        return "int64_t" if self.network.readout == "membrane" else "int32_t"

    def _parameter(self, key: str) -> str:
        """The C expression of a parameter of the neuron."""
        parameter = self._parameters[key]
        if parameter.table is None:
            return parameter.at("")
        return key if key in ("keep", "bias") else f"*{key}_of"

    def _loop(self, prefix: str) -> str:
        """Over the neurons that are on."""
        name, on = self.name, None if self.nest is None else f"state.on_{self.name}"
        walk = Walk(name, self.population.size, tuple(self._walked), self.scalar, on)
        lines = [f"const int32_t threshold = state.threshold_{name};"] if self.scalar else []
        lines += [f"state.count_{name} = 0;"] if self.listed else []
        lines += [*walk.lines(), *(self._untraced(prefix) if on else [])]
        return "\n".join(line if line.startswith("#") else f"    {line}" for line in lines) + "\n"

    def _untraced(self, prefix: str) -> list[str]:
        """A trace has zeros of neurons that are off."""
        zeros = [f"    trace.{what}[{self._place}] = 0;" for what in ("spikes", "membranes")]
        loop = f"for (uint32_t i = state.on_{self.name}; i < {self.population.size}u; i++) {{"
        return [f"#ifdef {prefix}_TRACE", loop, *zeros, "}", "#endif"]

    @property
    def _place(self) -> str:
        """Of neuron ``i`` among all neurons."""
        place = "i" if self.nest is None else f"place_{self.name}[i]"
        return f"{self.offset}u + {place}" if self.offset else place

    @property
    def _type(self) -> tuple[str, str]:
        return ("int64_t", "_wide") if self.bounds.wide else ("int32_t", "")

    @property
    def _leak(self) -> Parameter:
        return self._parameters["keep"]

    @property
    def _current_decay(self) -> str:
        """The function by which currents decay: a fast one holds 25 bits."""
        return "decayed" if self.bounds.kept < 2 * FixedLif.STATE_LIMIT else f"decay{self._type[1]}"

    def _current(self) -> list[str]:
        """``u``: what is left of the current, and what arrived."""
        if self.exponent is None:
            return []
        ctype, end = self._type
        sums = "*sums" if self.bounds.wide else "sum"
        factor = FixedLif.SHIFT + max(self.exponent, 0)
        arrived = sums if self.exponent >= 0 else f"halved{end}({sums}, {-self.exponent}u)"
        value = f"{arrived} * {2**factor}"
        if self._remembers:
            state, keep = "*currents", self._parameter("keep_u")
            if self._current_decay == "decayed":
                value = f"decayed({value}, {state}, {keep})"
            else:
                value = f"{self._current_decay}({state}, (uint32_t){keep}) + {value}"
        value = f"wrapped{end}({value})" if self.bounds.wraps else value
        lines = [f"const {ctype} u = {value};", *([] if self.sums.are_set else ["*sums = 0;"])]
        stored = "(int16_t)u" if self.bounds.short else "u"
        return [*lines, f"*currents = {stored};"] if self._remembers else lines

    @property
    def _clips_late(self) -> bool:
        """Whether a membrane is clipped only where it is found not to lie within the usual: below, as what is above
        spikes and is reset to zero."""
        plain = not self.is_output or self.network.readout == "spikes"
        return self.bounds.clips and self.neuron.reset == "zero" and not self.bounds.wide and plain

    @property
    def _traced(self) -> str:
        return "v >= LIMIT ? LIMIT - 1 : v <= -LIMIT ? 1 - LIMIT : v" if self._clips_late else "v"

    def _membrane(self) -> list[str]:
        """``v``: the membrane that is compared with the threshold."""
        _, end = self._type
        terms = ["u"] if self.exponent is not None else []
        terms += [self._parameter("bias")] if self._parameters["bias"].value != 0 else []
        terms += [f"*values * {self._parameter('unit')}"] if self.population.current else []
        arrived = " + ".join(terms)
        if self.neuron.reset in _OWING:
            arrived = f"{arrived} - *owed" if arrived else "-*owed"
        value = self._leaked(arrived)
        if self.neuron.reset == "zero-delayed":
            value = f"*spikes != 0 ? 0 : {value}"
        value = f"clipped{end}({value})" if self.bounds.clips and not self._clips_late else value
        if self.bounds.wide:
            value = f"(int32_t){value}" if self.bounds.clips else f"(int32_t)({value})"
        rectified = self.neuron.reset == RECTIFIED
        changes = self._clips_late or rectified or self.neuron.reset in ("zero", "subtract", "subtract-guarded")
        floor = ["v = v < 0 ? 0 : v;"] if rectified else []
        return [f"{'' if changes else 'const '}int32_t v = {value};", *floor]

    def _leaked(self, arrived: str) -> str:
        """What is left of the membrane, and what ``arrived``."""
        state, keep = "membrane", self._parameter("keep")
        if self._leak.value == DECAY_UNIT:
            return f"{state} + {arrived}" if arrived else state
        if self.bounds.wide:
            return f"decayed(0, {state}, {keep}) + {arrived or '0'}"
        return f"decayed({arrived or '0'}, {state}, {keep})"

    def _scores(self) -> list[str]:
        """What a read-out of membranes makes of them."""
        kind = self.network.readout
        if not self.is_output or kind == "spikes":
            return []
        if kind == "membrane":
            return ["*scores += v;"]
        best = "state.begun == 0 || v > *scores ? v : *scores"
        return ["*scores = v;" if kind == "membrane-last" else f"*scores = {best};"]

    def _fire(self, prefix: str) -> list[str]:
        """What is done where the membrane is above the threshold, and what is remembered where it is not."""
        owed, reset = "*owed", self.neuron.reset
        spiking, always = {
            "zero": (["v = 0;"], []),
            "subtract": (["v -= threshold;"], []),
            "subtract-delayed": ([f"{owed} = threshold;"], [f"{owed} = 0;"]),
            BY_SYNAPSE: ([f"{owed} = by_synapse(threshold);"], [f"{owed} = 0;"]),
            "subtract-guarded": (["v -= threshold;"], [f"v += {owed};", f"{owed} = v > threshold ? threshold : 0;"]),
        }.get(reset, ([], []))
        before, after = ([], always) if reset == "subtract-guarded" else (always, [])
        lines = [*before, *(["*spikes = 0;"] if self.flags else [])]
        lines += self._trace(prefix, "spikes", "v > threshold")
        spiking = [f"    {line}" for line in [*spiking, *self._spike()]]
        counted = [f"#ifdef {prefix}_COUNTERS", *(f"    {line}" for line in self._counted()), "#endif"]
        late = ["} else if (RARE(v <= -LIMIT)) {", "    v = 1 - LIMIT;"] if self._clips_late else []
        return [*lines, "if (RARE(v > threshold)) {", *spiking, *counted, *late, "}", *after]

    def _trace(self, prefix: str, what: str, value: str) -> list[str]:
        return [f"#ifdef {prefix}_TRACE", f"trace.{what}[{self._place}] = {value};", "#endif"]

    def _spike(self) -> list[str]:
        """What else a spike leaves behind."""
        lines = [f"state.events_{self.name}[state.count_{self.name}++] = (uint16_t)i;"] if self.listed else []
        lines += ["*spikes = 1;"] if self.flags else []
        if self.depth:
            lines.append(f"state.history_{self.name}[state.slot_{self.name}][i >> 3] |= (uint8_t)(1u << (i & 7u));")
        if self.is_output and self.network.readout == "spikes":
            lines.append("(*scores)++;")
        return lines

    def _counted(self) -> list[str]:
        """What the counters add for a spike."""
        own = [] if self.own is None else [f"counters.operations[{self.own}]++;"]
        return [f"counters.spikes[{self.number}]++;", *(stored.count("i") for stored in self.outgoing), *own]


def history(name: str, depth: int, width: int, ctype: str, what: str) -> list[Field]:
    """What a population keeps of the past for connections with delays: the present step, and ``depth`` before it."""
    if not depth:
        return []
    steps = "step" if depth == 1 else "steps"
    return [
        Field(ctype, f"history_{name}", (depth + 1, width), f"{what}, of this step and {depth} {steps} before"),
        Field("uint8_t", f"slot_{name}", (), "where this step is in the history"),
    ]
