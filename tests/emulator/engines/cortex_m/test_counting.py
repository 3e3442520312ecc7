"""Counts by stretches of code against counts of every single instruction, and functions against the whole."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from aspen_emulator.engines.cortex_m.cores import CORES
from aspen_emulator.engines.cortex_m.timing import Instruction
from aspen_hardware.c.program import Program
from tests.c_networks import drawn
from tests.emulator.engines.cortex_m.needed import needs_emulator

if TYPE_CHECKING:
    from aspen_emulator.engines.cortex_m.image import Image

pytestmark = needs_emulator


def in_blocks(instructions: dict[int, Instruction]) -> set[int]:
    """Where instructions are that an ``it`` before them makes conditional."""
    return {
        address
        for address, each in instructions.items()
        if each.is_conditional and not (each.name.startswith("b") and each.is_direct) and each.name[:2] != "cb"
    }


def slowly(image: Image, core: str, program: Program, inputs: list[bytes]) -> list[Counter[str]]:
    """Kind -> instructions of each step, one by one; of an ``it`` block all are counted, done or not."""
    from aspen_emulator.engines.cortex_m.instructions import disassembled
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine

    known, ran, found = disassembled(image), Counter[int](), []
    inside, machine = in_blocks(known), Machine(image, CORES[core])
    machine.watch_instructions(lambda address, size: ran.update([address]))
    for given in inputs:
        ran.clear()
        machine.write(EXCHANGE, given)
        machine.call("network_step", EXCHANGE)
        kinds = Counter[str]()
        for address, times in ran.items():
            if address not in inside:
                kinds["jump" if known[address].is_jump else known[address].kind] += times
            if known[address].name.startswith("it"):
                kinds += follow(known, address, len(known[address].name) - 1, times)
        found.append(kinds)
    return found


def follow(known: dict[int, Instruction], address: int, several: int, times: int) -> Counter[str]:
    """Kinds of the instructions after an ``it``."""
    found = Counter[str]()
    for _ in range(several):
        address += known[address].size
        found["jump" if known[address].is_jump else known[address].kind] += times
    return found


@pytest.mark.parametrize(("core", "seed"), [("cortex-m4", 263), ("cortex-m0plus", 39), ("cortex-m33", 68)])
def test_every_instruction_is_counted_once(core: str, seed: int) -> None:
    from aspen_emulator.engines.cortex_m.board import image_of
    from aspen_emulator.engines.cortex_m.counting import Meter, added
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine

    program = Program(drawn(seed))
    image, rng = image_of(program, CORES[core]), np.random.default_rng(seed)
    shape = 2, program.network.input.size
    values = rng.integers(0, 2 if program.spikes_in else program.largest_value + 1, shape)
    inputs = [each.astype(np.uint8 if program.spikes_in else "<i2").tobytes() for each in values]
    machine = Machine(image, CORES[core])
    meter = Meter(machine)
    for given, wanted in zip(inputs, slowly(image, core, program, inputs), strict=True):
        machine.write(EXCHANGE, given)
        _, functions = meter.call("network_step", EXCHANGE)
        whole = added((1, count) for count in functions.values())
        found = Counter(whole.instructions)
        found["jump"] = found.pop("branch taken") + found.pop("branch not taken")
        assert found == wanted
        assert 0 < whole.cycles.low <= whole.cycles.typical <= whole.cycles.high
        assert {"network_step", "advance"} & set(functions)


def test_taken_and_not_taken_branches_add_up_over_functions() -> None:
    from tests.emulator.engines.cortex_m.programs import assembled, machine

    functions = {
        "outer": "push {r4, lr}; movs r4, #7; 1: bl inner; subs r4, #1; bne 1b; pop {r4, pc}",
        "inner": "cmp r4, #3; bhi 1f; bx lr; 1: nop; bx lr",
    }
    from aspen_emulator.engines.cortex_m.counting import Meter

    meter = Meter(machine(assembled(functions), "cortex-m4", *functions))
    for _ in range(2):
        _, found = meter.call("outer")
        assert found["outer"].instructions == {
            "alu": 1 + 7, "branch not taken": 1, "branch taken": 7 + 6 + 1, "stores": 1,
        }  # fmt: skip
        assert found["inner"].instructions == {"alu": 7 + 4, "branch not taken": 3, "branch taken": 4 + 7}
