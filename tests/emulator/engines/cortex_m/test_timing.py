"""The timing tables on sequences whose cycles were added up by hand, the manuals' own examples among them.

Every function ends with ``bx lr``, which takes 2, 3 or 4 cycles on a Cortex-M4 and 2 on the others (up to 4 on an M33).
"""

from __future__ import annotations

import pytest

from aspen_hardware.chips.ranges import Range
from tests.emulator.engines.cortex_m.needed import needs_emulator

pytestmark = needs_emulator
RETURN = "bx lr"
M4 = {
    "nops": ("nop; nop; bx lr", (4, 5, 6)),
    "loop": ("movs r0, #5; 1: subs r0, #1; bne 1b; bx lr", (6 + 4 * 2 + 1 + 2, 6 + 4 * 2 + 1 + 3, 6 + 4 * 4 + 1 + 4)),
    "wide_target": ("b 1f; nop; nop; 1: add.w r1, r1, r2; bx lr", (2 + 1 + 2, 3 + 1 + 3, 4 + 1 + 4)),
    "aligned_target": ("b 1f; nop; 1: add.w r1, r1, r2; bx lr", (2 + 1 + 2, 2 + 1 + 3, 4 + 1 + 4)),
    "narrow_target": ("b 1f; nop; nop; 1: adds r1, r1, r2; bx lr", (2 + 1 + 2, 2 + 1 + 3, 4 + 1 + 4)),
    # three examples of the manual, "normally" 3, 3 and 4 cycles
    "two_loads": ("ldr r1, [r0]; ldr r2, [r3]; bx lr", (3 + 2, 3 + 3, 4 + 4)),
    "load_store": ("ldr r0, [r1, r2]; str r0, [r3, #20]; bx lr", (3 + 2, 3 + 3, 3 + 4)),
    "three_loads": ("ldr r0, [r1, r2]; ldr r1, [r3]; ldr r2, [r3, #4]; bx lr", (4 + 2, 4 + 3, 6 + 4)),
    "load_of_load": ("ldr r1, [r0]; ldr r2, [r1]; bx lr", (4 + 2, 4 + 3, 4 + 4)),
    "store_with_offset": ("nop; str r0, [r1, r2]; bx lr", (3 + 2, 3 + 3, 3 + 4)),
    "two_stores": ("str r0, [r1, r2]; str r0, [r3]; bx lr", (3 + 2, 3 + 3, 3 + 4)),
    "address_just_made": ("adds r0, #4; ldr r1, [r0]; bx lr", (1 + 3 + 2, 1 + 3 + 3, 1 + 3 + 4)),
    "stack": ("push {r4-r6, lr}; pop {r4-r6, pc}", (5 + 5 + 1, 5 + 5 + 3, 5 + 5 + 3)),
    "several": ("ldm r0, {r1, r2, r3}; ldrd r1, r2, [r0]; strd r1, r2, [r0]; bx lr", (4 + 3 + 3 + 2, 13, 14)),
    "divide": ("udiv r1, r0, r2; bx lr", (2 + 2, 7 + 3, 12 + 4)),
    "multiply": ("umull r0, r1, r2, r3; mla r0, r1, r2, r3; smlad r0, r1, r2, r3; sadd16 r0, r1, r2; bx lr", (6, 7, 8)),
    "skipped": ("cmp r0, #0; it eq; ldreq r1, [r0]; bx lr", (1 + 0 + 1 + 2, 1 + 1 + 2 + 3, 1 + 1 + 2 + 4)),
    "not_taken": ("cbz r0, 1f; nop; 1: bx lr", (1 + 1 + 2, 1 + 1 + 3, 1 + 1 + 4)),
    "taken": ("cbnz r0, 1f; nop; nop; 1: bx lr", (2 + 2, 2 + 3, 4 + 4)),
    "call": ("push {r4, lr}; bl 1f; pop {r4, pc}; 1: bx lr", (3 + 2 + 2 + 3 + 1, 3 + 2 + 3 + 3 + 3, 3 + 4 + 4 + 3 + 3)),
    "constant": ("ldr r0, =0x12345678; bx lr; .ltorg", (2 + 2, 2 + 3, 3 + 4)),
}  # fmt: skip
M0PLUS = {
    "nops": ("nop; nop; bx lr", (4, 4, 4)),
    "loop": ("movs r0, #5; 1: subs r0, #1; bne 1b; bx lr", (1 + 5 + 4 * 2 + 1 + 2,) * 3),
    "jump": ("b 1f; nop; 1: bx lr", (4, 4, 4)),
    "memory": ("ldr r1, [r0]; ldrb r2, [r3]; str r1, [r0]; bx lr", (8, 8, 8)),
    "stack": ("push {r4, r5, lr}; pop {r4, r5, pc}", ((1 + 3) + (3 + 3),) * 3),
    "several": ("ldm r0!, {r1, r2}; stm r3!, {r1, r2}; bx lr", (8, 8, 8)),
    "multiply": ("muls r1, r2, r1; bx lr", (1 + 2, 1 + 2, 32 + 2)),
    "call": ("push {r4, lr}; bl 1f; pop {r4, pc}; 1: bx lr", (3 + 3 + 2 + 5,) * 3),
}
M33 = {
    "nops": ("nop; nop; bx lr", (4, 4, 6)),
    "loop": ("movs r0, #5; 1: subs r0, #1; bne 1b; bx lr", (1 + 5 + 4 * 1 + 0 + 2, 1 + 5 + 4 * 2 + 1 + 2, 27)),
    "load_used": ("ldr r1, [r0]; adds r1, #1; bx lr", (1 + 1 + 2, 1 + 2 + 2, 2 + 2 + 4)),
    "load_stored": ("ldr r1, [r0]; str r1, [r3]; bx lr", (1 + 1 + 2, 1 + 1 + 2, 2 + 1 + 4)),
    "several": ("ldm r0, {r1, r2, r3}; ldrd r1, r2, [r0]; bx lr", (3 + 2 + 2, 3 + 2 + 2, 4 + 3 + 4)),
    "accumulated": ("mla r0, r1, r2, r3; mla r0, r1, r2, r0; adds r0, #1; bx lr", (3 + 2, 4 + 2, 4 + 4)),
    "shifted": ("add r0, r1, r2, lsl #3; adds r0, #1; bx lr", (2 + 2, 3 + 2, 3 + 4)),
}


@pytest.mark.parametrize(
    ("core", "sequences"),
    [("cortex-m4", M4), ("cortex-m0plus", M0PLUS), ("cortex-m33", M33)],
    ids=lambda x: str(x)[:13],
)
def test_cycles_are_those_added_up_by_hand(core: str, sequences: dict[str, tuple[str, tuple[float, ...]]]) -> None:
    from tests.emulator.engines.cortex_m.programs import counted

    found = counted({name: code for name, (code, _) in sequences.items()}, core)
    assert {name: count.cycles for name, count in found.items()} == {
        name: Range(*cycles) for name, (_, cycles) in sequences.items()
    }


def test_instructions_are_counted_by_kind() -> None:
    from tests.emulator.engines.cortex_m.programs import counted

    found = counted({name: code for name, (code, _) in M4.items()}, "cortex-m4")
    assert found["loop"].instructions == {"alu": 6, "branch not taken": 1, "branch taken": 5}
    assert found["several"].instructions == {"branch taken": 1, "loads": 2, "stores": 1}
    assert found["multiply"].instructions == {"alu": 1, "branch taken": 1, "multiply": 3}
    assert found["load_store"].instructions == {"branch taken": 1, "load": 1, "store": 1}
    assert found["call"].instructions == {"branch taken": 3, "stores": 1}
    assert found["divide"].total == 2
