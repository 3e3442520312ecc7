"""A network in a chip's integers as one C program: which parts it has, and the text of its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from aspen._base.checks import shown
from aspen._version import __version__
from aspen.calibration.early import EarlyStop
from aspen.dial.path import AnyDial, KnobPath
from aspen.dial.profile import DialProfile
from aspen.errors import ChipError, InputError
from aspen.network.connection import Connection
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen.network.reset import ResetSynapse
from aspen_hardware.c.along import along_tables, skip_code
from aspen_hardware.c.connections import SUMS, Source, Stored, Sums, with_sums
from aspen_hardware.c.dial import Dialled, dialled, scale_range
from aspen_hardware.c.early import check_early, early_code, early_tables
from aspen_hardware.c.helpers import HELPERS, INLINE
from aspen_hardware.c.kernels import CONV_SHAPE, RECALL
from aspen_hardware.c.knob import dial_code, dial_tables, factors_size, halving_code, halving_table, scale_code
from aspen_hardware.c.nesting import Nest, check_nested, nests_of, sorted_network, sorted_profile
from aspen_hardware.c.neurons import Neurons, history
from aspen_hardware.c.packing import BLOCKS_ON, IN_BLOCKS, PACKED_SUMS, padded
from aspen_hardware.c.ranges import bounds, largest_value
from aspen_hardware.c.steps import answer_code, gather_code, step_code
from aspen_hardware.c.text import Field, Table, check_prefix, identifiers, widest_first

MOST_NEURONS = 2**16 - 1
"""Of a population: its neurons have indices of 16 bits."""


@dataclass(frozen=True)
class Program:
    """What is written for a network.

    Args:
        network: in integers.
        profile: its dial, if it has one.
        prefix: what the names of its functions begin with.
        tables_only: keep a threshold in RAM for each neuron, where one for a population would do.
        early: when an inference may end early, if that was calibrated.
        path: what the knob runs along, where it is not the dial's own; its dial is the profile.

    Raises:
        InputError: the network is in floating point, or the prefix, the profile or the early end is not allowed.
        ChipError: a population is too large, a threshold leaves 17 bits on the dial, or the dial switches outputs off,
            or neurons that could still fire on the chip that the network is for.
    """

    network: Network
    profile: DialProfile | None = None
    prefix: str = "network"
    tables_only: bool = False
    early: EarlyStop | None = None
    path: KnobPath | None = None

    def __post_init__(self) -> None:
        check_prefix(self.prefix)
        if not self.network.is_integer:
            raise InputError(
                "to_c: found a network in floating point, allowed is one in a chip's integers; compile it, e.g. for "
                "cortex-m"
            )
        if not isinstance(self.profile, (DialProfile, type(None))):
            raise InputError(
                f"profile: found {shown(self.profile)}, allowed is a DialProfile; from a file give "
                f"aspen.load_profile(path)"
            )
        if self.profile is not None:
            self.profile.check(self.network)
            check_nested(self.network, self.profile)
        check_early(self.early, self.network)
        for population in self.network.populations:
            if population.size > MOST_NEURONS:
                raise ChipError(
                    f"{population.name}: found {population.size} neurons, allowed in C are {MOST_NEURONS}, as events "
                    f"are indices of 16 bits; use a smaller layer"
                )
        self.dials  # noqa: B018 - raises where a threshold does not fit

    @cached_property
    def names(self) -> dict[str, str]:
        """Population -> its name in C."""
        return identifiers(self.network.names)

    @cached_property
    def nests(self) -> dict[str, Nest]:
        """Of each population of which the dial switches neurons off."""
        return nests_of(self.network, self.profile)

    @cached_property
    def sorted(self) -> Network:
        """The network with its neurons in the program's order."""
        return sorted_network(self.network, self.nests)

    @cached_property
    def dials(self) -> list[Dialled]:
        """What the learned dial moves."""
        if self.profile is None:
            return []
        last_on = {name: nest.last[nest.place] for name, nest in self.nests.items()}
        found = dialled(self.sorted, sorted_profile(self.profile, self.nests), last_on)
        return [self._of_one(dial) if self._scalar(dial.name, found) else dial for dial in found]

    @staticmethod
    def _of_one(dial: Dialled) -> Dialled:
        return replace(dial, corrections=dial.corrections[dial.corrections[:, 1] == 0])

    def _scalar(self, name: str, dials: Sequence[Dialled]) -> bool:
        """Whether all thresholds of a population are the same, wherever the knob stands."""
        neuron = self.network[name].neuron
        assert isinstance(neuron, FixedLif)  # only these have thresholds
        several = any(len(dial.factors) > 1 for dial in dials if dial.name == name)
        return not (self.tables_only or several) and int(neuron.threshold.min()) == int(neuron.threshold.max())

    def _depth(self, name: str) -> int:
        return max((c.delay for c in self._busy if c.source == name), default=0)

    @cached_property
    def _busy(self) -> list[Connection]:
        """Connections with a weight other than zero."""
        return [connection for connection in self.sorted.summed if connection.n_synapses]

    @cached_property
    def connections(self) -> list[Stored]:
        """Those that add anything up, in the network's order."""
        network, names = self.sorted, self.names
        found = [
            Stored(
                connection,
                network.connections.index(connection),
                Source(
                    names[connection.source],
                    network[connection.source].size,
                    network[connection.source].is_analog,
                    self._depth(connection.source),
                    network[connection.source].peak,
                    network[connection.source].static,
                    connection.source in self.nests,
                ),
                names[connection.target],
                bounds(network, connection.target).wide,
                self.nests.get(connection.target),
            )
            for connection in self._busy
        ]
        return with_sums(found)

    def out_of(self, name: str) -> tuple[Stored, ...]:
        """Connections that read population ``name``."""
        return tuple(stored for stored in self.connections if stored.source.name == self.names[name])

    def into(self, name: str) -> list[list[Stored]]:
        """Connections into population ``name``, together where their sums are shifted together; first what sets
        them."""
        groups: dict[object, list[Stored]] = {}
        for stored in self.connections:
            if stored.target == self.names[name]:
                key = stored.exponent if stored.exponent >= 0 else stored.name
                groups.setdefault(key, []).append(stored)
        return [sorted(group, key=lambda stored: not stored.sets) for group in groups.values()]

    def _own(self, name: str) -> int | None:
        """The number of the synapses by which neurons reset themselves, if they do."""
        connections = enumerate(self.sorted.connections)
        return next((i for i, c in connections if isinstance(c, ResetSynapse) and c.source == name), None)

    @cached_property
    def populations(self) -> list[Neurons]:
        """Those with neurons, in the order in which they are updated."""
        found, offset = [], 0
        for name in self.network.order:
            groups = self.into(name)
            exponent = groups[0][0].exponent if len(groups) == 1 else (0 if groups else None)
            listed = any(c.delay == 0 for c in self._busy if c.source == name)
            found.append(
                Neurons(
                    self.sorted, self.sorted[name], self.names[name], self.network.names.index(name), offset,
                    exponent, self._sums(name), self._depth(name), listed, self._scalar(name, self.dials),
                    self.out_of(name), self._own(name), self.nests.get(name),
                )
            )  # fmt: skip
            offset += self.network[name].size
        return found

    def _sums(self, name: str) -> Sums:
        """Where what arrives at population ``name`` is added up."""
        into, given = self.into(name), {stored.target: stored.sum_type for stored in self.connections}
        ctype = given.get(self.names[name], "int32_t")
        others = [self.into(other) for other in self.network.order if given.get(self.names[other]) == ctype]
        return Sums(ctype, all(len(groups) == 1 and groups[0][0].sets for groups in [*others, into] if groups))

    @property
    def n_neurons(self) -> int:
        """Neurons outside the input."""
        return self.network.n_neurons

    @property
    def spikes_in(self) -> bool:
        """Whether the input is spikes, and no values."""
        return not self.network.input.current

    @cached_property
    def fields(self) -> list[Field]:
        """Everything in RAM."""
        given, name = self.network.input, self.names[self.network.input.name]
        outputs = (self.network[self.network.output].size,)
        found = [field for each in self.populations for field in each.fields]
        found += self._input_fields(name, given.size)
        found += [field for stored in self.connections for field in stored.fields]
        found += self._sum_fields()
        found.append(Field(self.score_type, "scores", outputs, "what the read-out says of each output so far"))
        found += [Field("uint32_t", "refused", (), "input that was out of range"),
                  Field("uint8_t", "dialled", (), "whether the thresholds were set"),
                  Field("uint8_t", "begun", (), "whether there was a step since the reset")]  # fmt: skip
        return widest_first(found + self._early_fields + self._skip_fields)

    @property
    def _skip_fields(self) -> list[Field]:
        if not self.skips:
            return []
        return [
            Field("uint8_t", "every", (), "one time step in how many runs, as the knob stands"),
            Field("uint8_t", "one_in", (), "the same, as it stood in the first step since the reset; 0 before"),
            Field("uint8_t", "passed", (), "steps that were left out since the last that ran"),
        ]

    @property
    def _early_fields(self) -> list[Field]:
        if self.early is None:
            return []
        return [
            Field("uint16_t", "taken", (), "steps since the reset, up to those of an inference"),
            Field("uint16_t", "setting", (), "of the knob"),
            Field("uint16_t", "began_at", (), "the setting in the first step since the reset"),
        ]

    def _sum_fields(self) -> list[Field]:
        found = []
        for ctype, called in SUMS.items():
            those = [e for e in self.populations if e.exponent is not None and e.sums.ctype == ctype]
            parted = [e.population.size for e in those if len(self.into(e.population.name)) > 1]
            if those:
                about = "of arriving weights" + ("" if those[0].sums.are_set else "; zero between updates")
                found.append(Field(ctype, called, (padded(max(e.population.size for e in those)),), about))
            if parted:
                found.append(Field(ctype, f"{called}_part", (padded(max(parted)),), "of those of one exponent"))
        if any(stored.recalls for stored in self.connections):
            sizes = [stored.source.size for stored in self.connections if stored.recalls]
            found.append(Field("uint16_t", "recalled", (max(sizes),), "which neurons spiked in a past step"))
        return found

    def _input_fields(self, name: str, n: int) -> list[Field]:
        depth = self._depth(self.network.input.name)
        if self.spikes_in:
            return [
                Field("uint8_t", f"listed_{name}", (n,), "1 where the input was listed already"),
                Field("uint16_t", f"events_{name}", (n,), "where the input spikes in this step"),
                Field("uint16_t", f"count_{name}", (), "how many these are"),
                *history(name, depth, -(-n // 8), "uint8_t", "a bit for each input"),
            ]
        if self.network.input.neuron is not None or not depth:
            return [Field("int16_t", f"values_{name}", (n,), "the values of this step")]
        return [
            Field("int16_t", f"values_{name}", (n,), "the values of this step"),
            *history(name, depth, n, "int16_t", "values"),
        ]

    @property
    def score_type(self) -> str:
        """Of the scores: membranes add up beyond 32 bits."""
        return next(each.score_type for each in self.populations if each.is_output)

    @cached_property
    def tables(self) -> list[Table]:
        """Everything in flash but the code and the dial's factors."""
        found = [table for each in self.populations for table in each.tables]
        found += [table for stored in self.connections for table in stored.tables]
        found += [halving_table()] if self._halves else []
        found += [] if self.early is None else early_tables(self.early, self.network, self.turned)
        found += along_tables(self.path)
        return found + (dial_tables(self.dials, self.names) if self.dials else [])

    @property
    def _halves(self) -> bool:
        """Whether anything is multiplied by powers of two whose exponents are fractions."""
        return self.profile is not None or self.early is not None

    @property
    def ram(self) -> int:
        """Bytes of the state."""
        return -(-sum(field.size for field in self.fields) // 8) * 8

    @property
    def flash(self) -> int:
        """Bytes of the tables; the code comes on top."""
        shapes = sum(14 * 4 for stored in self.connections if stored.form == "conv")
        return sum(table.size for table in self.tables) + shapes + factors_size(self.dials)

    def source(self) -> str:
        """The text of ``PREFIX.c``."""
        return "".join(self._parts())

    def _parts(self) -> Iterator[str]:
        prefix = self.prefix
        lines = "\n".join(f" * {line}" for line in str(self.network).splitlines())
        yield f"/* {mark(prefix)}\n *\n{lines}\n */\n"
        yield f'\n#include "{prefix}.h"\n\n#include <string.h>\n'
        for table in self.tables:
            yield f"\n{table}\n"
        yield f"\n#ifdef {prefix}_COUNTERS\n"
        yield "\n".join(str(stored.fan_out) for stored in self.connections)
        yield f"\nstatic {prefix}_counts counters;\n#endif\n"
        traced = "".join(f"{each.places}\n" for each in self.populations if each.nest and not each.reads_places)
        yield f"#ifdef {prefix}_TRACE\n{traced}static {prefix}_trace trace;\n#endif\n"
        fields = "\n".join(str(field) for field in self.fields)
        yield f"\nstatic struct {{\n{fields}\n}} state;\n"
        counting = "".join(f"\n{stored.counting}" for stored in self.connections if stored.nest is not None)
        yield f"\n#ifdef {prefix}_COUNTERS{counting}#endif\n" if counting else ""
        yield from self._functions()

    def _functions(self) -> Iterator[str]:
        used = set().union(*(each.helpers for each in self.populations))
        gathered, gather_helpers = gather_code(self)
        used |= gather_helpers
        yield INLINE
        if any(each.bounds.clips or each.bounds.wraps for each in self.populations):
            yield f"\nenum {{ LIMIT = {FixedLif.STATE_LIMIT} }}; /* currents and membranes have 24 bits */\n"
        yield from (text for name, text in HELPERS.items() if name in used)
        if any(stored.form == "conv" for stored in self.connections):
            yield CONV_SHAPE
            yield from (f"\n{stored.shape}\n" for stored in self.connections if stored.form == "conv")
        if any(stored.form == "packed" for stored in self.connections):
            yield PACKED_SUMS
        yield from {name: text for stored in self.connections for name, text in stored.functions.items()}.values()
        if any(stored.recalls for stored in self.connections):
            yield RECALL
        if any(stored.form == "packed" and stored.nest for stored in self.connections):
            yield BLOCKS_ON
        steps = step_code(self)
        if "in_blocks(" in steps:  # clang warns of functions that nothing calls
            yield IN_BLOCKS
        yield from (stored.loop() for stored in self.connections)
        yield gathered
        yield from (each.update(self.prefix) for each in self.populations)
        yield halving_code() if self._halves else ""
        yield self._knob()
        yield skip_code(self.path, self.prefix, self.first_setting)
        yield steps
        yield answer_code(self)
        if self.early is not None:
            yield early_code(self.early, self.network, self.turned, self.prefix, self.skips)

    @property
    def turned(self) -> AnyDial | None:
        """What the knob turns: the path, or the dial itself; None: a threshold scale."""
        return self.profile if self.path is None else self.path

    @property
    def skips(self) -> bool:
        """Whether the knob leaves out time steps."""
        return self.path is not None and self.path.skips

    def _knob(self) -> str:
        early = self.early is not None
        if self.profile is not None:
            return dial_code(self.prefix, self.populations, self.dials, early, self.path)
        return scale_code(self.prefix, self.populations, self.network.dialled, scale_range(self.network), early)

    @property
    def first_setting(self) -> str:
        """The call that sets the thresholds as trained."""
        return f"{self.prefix}_set_{'threshold_scale(4096)' if self.profile is None else 'knob(0)'}"

    @property
    def largest_value(self) -> int:
        """Largest magnitude of an input value."""
        return largest_value(self.network)


def mark(prefix: str) -> str:
    """What the program's source begins with, by which it is known again."""
    return f"{prefix}.c: written by ASPEN {__version__}. Do not edit: write it again."
