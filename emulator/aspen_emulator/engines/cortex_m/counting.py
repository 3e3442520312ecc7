"""What ran on a core, counted by stretches of code without a branch, and what that makes in instructions and cycles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from aspen.errors import EngineError
from aspen_emulator.engines.cortex_m.instructions import disassembled
from aspen_emulator.engines.cortex_m.machine import Machine
from aspen_emulator.engines.cortex_m.timing import TIMING, Instruction
from aspen_hardware.chips.ranges import NOTHING, Range


@dataclass(frozen=True)
class Count:
    """Instructions and their cycles.

    Args:
        instructions: kind -> how many; see :data:`aspen_emulator.engines.cortex_m.timing.KINDS`. Jumps, returns from
            functions among them, are of the kinds ``branch taken`` and ``branch not taken``.
        cycles: low, typical and high.
    """

    instructions: Mapping[str, int] = field(default_factory=dict)
    cycles: Range = NOTHING

    @property
    def total(self) -> int:
        """Instructions of all kinds."""
        return sum(self.instructions.values())


def added(counts: Iterable[tuple[int, Count]]) -> Count:
    """The sum of counts, each so many times."""
    kinds: Counter[str] = Counter()
    low = typical = high = 0.0
    for times, count in counts:
        for kind, number in count.instructions.items():
            kinds[kind] += number * times
        cycles = count.cycles
        low, typical, high = low + times * cycles.low, typical + times * cycles.typical, high + times * cycles.high
    return Count(dict(sorted(kinds.items())), Range(low, typical, high))


class Meter:
    """Counts what a machine runs, call by call.

    Args:
        machine: what is counted from here on.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine, self._image = machine, machine.image
        self._instructions = disassembled(machine.image)
        self._cost, self._refill = TIMING[machine.core.name]
        self._sizes: dict[int, int] = {}
        self._edges: Counter[tuple[int, int]] = Counter()
        self._known: dict[tuple[int, int], dict[str, Count]] = {}
        self._last = 0
        machine.watch_blocks(self._entered)

    def _entered(self, address: int, size: int) -> None:
        self._edges[self._last, address] += 1
        self._last = address
        self._sizes[address] = size

    def call(self, function: str, *arguments: int) -> tuple[int, dict[str, Count]]:
        """Call a function.

        Returns:
            what it returns, as :meth:`Machine.call`; and function of the source -> what of it ran.
        """
        self._edges.clear()
        self._last = 0
        value = self._machine.call(function, *arguments)
        self._edges[self._last, 0] += 1
        return value, self._counted()

    def _counted(self) -> dict[str, Count]:
        parts: dict[str, list[tuple[int, Count]]] = {}
        for (start, after), times in self._edges.items():
            if start:  # before the first there was none
                for name, count in self._stretch(start, after).items():
                    parts.setdefault(name, []).append((times, count))
        return {name: added(counts) for name, counts in parts.items()}

    def _stretch(self, start: int, after: int) -> dict[str, Count]:
        """Function -> what of it ran in a stretch of code, after which another came."""
        known = self._known.get((start, after))
        if known is None:
            parts: dict[str, list[tuple[int, Count]]] = {}
            for before, now in pairwise([None, *self._inside(start)]):
                assert now is not None  # only the first is none
                name = self._image.function_at(now.address)
                parts.setdefault(name, []).append((1, self._one(before, now, after)))
            known = self._known[start, after] = {name: added(counts) for name, counts in parts.items()}
        return known

    def _one(self, before: Instruction | None, now: Instruction, after: int) -> Count:
        cycles = self._cost(before, now)
        if not now.is_jump:
            return Count({now.kind: 1}, cycles)
        if after == now.address + now.size:
            return Count({"branch not taken": 1}, cycles)
        refill = self._refill(before, now, self._instructions.get(after))
        return Count({"branch taken": 1}, cycles + refill)

    def _inside(self, start: int) -> list[Instruction]:
        found, address = [], start
        while address < start + self._sizes[start]:
            if address not in self._instructions:
                raise EngineError(f"engine cortex-m: found no instruction at {address:#010x}, where one ran")
            found.append(self._instructions[address])
            address += found[-1].size
        return found
