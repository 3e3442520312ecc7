"""How many cycles an instruction takes on a core: its published table, as low, typical and high.

An instruction is counted with the one before it, which it can follow without a wait, or has to wait for. Not in here:
wait states and caches of the flash, what else is on the bus, interrupts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aspen_hardware.chips.ranges import Range

KINDS = ("alu", "multiply", "divide", "load", "store", "loads", "stores", "branch")
"""What an instruction does; ``loads`` and ``stores`` move several words."""


@dataclass(frozen=True)
class Instruction:
    """What counts of an instruction.

    Args:
        address, size: in bytes.
        text: as a disassembler writes it.
        kind: one of :data:`KINDS`; whatever writes to the program counter is also a ``jump``.
        words: that it moves, if several.
        reads, writes: registers; those that a store puts into memory are not in ``reads``.
        base: registers that it makes an address of.
        addends: registers that a product, or an extended value, is added to.
        is_conditional: whether it may do nothing, alone or in an ``it`` block.
        is_jump: whether it may go on elsewhere.
        is_direct: whether a jump has its target in it.
        is_plain: whether an address has no register as offset.
        is_late: whether it extends or shifts an operand on the way.
        target: of a direct jump.
    """

    address: int
    size: int
    text: str
    kind: str
    words: int = 0
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    base: frozenset[str] = frozenset()
    addends: frozenset[str] = frozenset()
    is_conditional: bool = False
    is_jump: bool = False
    is_direct: bool = False
    is_plain: bool = True
    is_late: bool = False
    target: int | None = None

    @property
    def name(self) -> str:
        """The mnemonic."""
        return self.text.split()[0]

    @property
    def is_access(self) -> bool:
        """Whether it moves one word, halfword or byte."""
        return self.kind in ("load", "store")


Cost = Callable[[Instruction | None, Instruction], Range]
"""Cycles of an instruction after the one before it, if there is one; of a jump, when it goes on below."""
Refill = Callable[[Instruction | None, Instruction, Instruction | None], Range]
"""Cycles that a jump takes on top when it is taken: after the one before it, and to its target, if that is known."""
_ONE = Range.exactly(1)


def m4(before: Instruction | None, now: Instruction) -> Range:
    """Cortex-M4: loads next to each other overlap, an address that was just computed is waited for."""
    waits = before is not None and before.kind in ("alu", "multiply", "divide") and bool(before.writes & now.base)
    cost = _m4_alone(before, now) + Range.exactly(int(waits))
    if now.is_conditional and not now.is_jump:
        return Range(min(1.0, cost.low), cost.typical, cost.high)
    return cost


def _m4_alone(before: Instruction | None, now: Instruction) -> Range:
    if now.kind == "divide":
        return Range(2, 7, 12)
    if now.kind in ("loads", "stores"):
        return Range.exactly(1 + now.words)
    if now.is_access:
        return _m4_access(before, now)
    if now.name.startswith("it"):
        return Range(0, 1, 1)  # folded into a 16-bit instruction before it
    return Range.exactly(2) if now.name in ("tbb", "tbh") else _ONE


def _m4_access(before: Instruction | None, now: Instruction) -> Range:
    if now.kind == "store" and now.is_plain:
        return _ONE
    follows = before is not None and before.kind == "load" and not before.writes & now.base
    contention = int("pc" in now.base)  # a constant from beside the code, where instructions come from too
    return Range(1 if follows else 2, 1 if follows else 2, 2 + contention)


def m4_taken(before: Instruction | None, now: Instruction, target: Instruction | None) -> Range:
    """Cortex-M4: a refill of 1 to 3 cycles, 3 where the new address is loaded."""
    if now.kind in ("load", "loads") or now.name in ("tbb", "tbh"):
        return Range(1, 3, 3)
    if not now.is_direct:
        return Range(1, 2, 3)
    crosses = target is not None and target.size == 4 and target.address % 4 != 0
    return Range(1, 1 + int(crosses), 3)


def m0plus(before: Instruction | None, now: Instruction) -> Range:
    """Cortex-M0+: the table has one figure for each, but for the multiplier, which a part has fast or small."""
    if now.kind == "multiply":
        return Range(1, 1, 32)
    if now.kind in ("loads", "stores"):
        return Range.exactly(1 + now.words)
    if now.is_access:
        return Range.exactly(2)
    return Range.exactly(3) if now.name in ("mrs", "msr", "dmb", "dsb", "isb") else _ONE


def m0plus_taken(before: Instruction | None, now: Instruction, target: Instruction | None) -> Range:
    """Cortex-M0+: jumps take 2 cycles, calls 3; one that pops its address takes 2 on top, as PC is a word of these."""
    return Range.exactly(2 if now.name == "bl" or now.kind == "loads" else 1)


def m33(before: Instruction | None, now: Instruction) -> Range:
    """Cortex-M33, measured: results of loads, multiplications and shifted operands are there a cycle later.

    High is what a Cortex-M4 takes, or this where it is more.
    """
    found = _m33_typical(before, now)
    low = 0.0 if now.is_jump and now.is_conditional and _is_pair(before, now) else min(found, _m33_alone(now))
    high = max(found, m4(before, now).high)
    return Range(min(1.0, low) if now.is_conditional else low, found, high)


def _m33_alone(now: Instruction) -> float:
    if now.kind == "divide":
        return 7
    if now.kind in ("loads", "stores"):
        return now.words
    return 0 if now.name.startswith("it") else 1


def _m33_typical(before: Instruction | None, now: Instruction) -> float:
    late = before is not None and (before.kind in ("load", "multiply") or before.is_late)
    waits = late and before is not None and bool(before.writes & (now.reads - now.addends))
    return _m33_alone(now) + int(waits)


def m33_taken(before: Instruction | None, now: Instruction, target: Instruction | None) -> Range:
    """Cortex-M33, measured: 2 cycles in all, or 1 in a pair; high as a Cortex-M4."""
    return Range(1, 1, m4_taken(before, now, target).high)


def _is_pair(before: Instruction | None, now: Instruction) -> bool:
    return before is not None and before.size == now.size == 2


TIMING: dict[str, tuple[Cost, Refill]] = {
    "cortex-m4": (m4, m4_taken),
    "cortex-m0plus": (m0plus, m0plus_taken),
    "cortex-m33": (m33, m33_taken),
}
"""Core -> cycles of its instructions."""
