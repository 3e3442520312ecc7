"""The instructions of a program, disassembled once."""

from __future__ import annotations

import capstone
from capstone import arm
from capstone import arm_const as names

from aspen_emulator.engines.cortex_m.image import Image
from aspen_emulator.engines.cortex_m.timing import Instruction

_SEVERAL = {"ldm": "loads", "pop": "loads", "ldrd": "loads", "stm": "stores", "push": "stores", "strd": "stores"}
_MULTIPLY = ("mul", "mla", "mls", "smul", "umul", "smla", "umla", "umaal", "smls", "smm", "smua", "smus")
_EXTEND_AND_ADD = ("sxta", "uxta")
_ALWAYS = (names.ARM_CC_AL, names.ARM_CC_INVALID)
_NO_REGISTERS = {"pc", "cpsr", "itstate"}


def disassembled(image: Image) -> dict[int, Instruction]:
    """Address -> instruction, of all that the program holds."""
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True
    found = {}
    for start, end in image.code:
        for each in decoder.disasm(image.bytes_at(start, end), start):
            found[each.address] = instruction(each)
    return found


def instruction(found: capstone.CsInsn) -> Instruction:
    """What counts of a disassembled instruction."""
    name = found.insn_name()
    reads, writes = (frozenset(map(found.reg_name, registers)) for registers in found.regs_access())
    kind, base, operands = kind_of(name), _base(found, name), found.operands
    direct = name in ("b", "bl", "cbz", "cbnz")
    stored = _stored(found, name, kind)
    return Instruction(
        address=found.address,
        size=found.size,
        text=f"{found.mnemonic} {found.op_str}".strip(),
        kind=kind,
        words=_words(found, name) if kind in ("loads", "stores") else 0,
        reads=(reads - stored | base) - _NO_REGISTERS,
        writes=writes - _NO_REGISTERS,
        base=base,
        addends=_addends(found, name),
        is_conditional=(found.cc not in _ALWAYS and not name.startswith("it")) or name in ("cbz", "cbnz"),
        is_jump=kind == "branch" or "pc" in writes,
        is_direct=direct,
        is_plain=not any(each.mem.index for each in operands if each.type == arm.ARM_OP_MEM),
        is_late=name.startswith(_EXTEND_AND_ADD) or (any(each.shift.type for each in operands[1:]) and kind == "alu"),
        target=operands[-1].imm & 0xFFFFFFFF if direct else None,
    )


def kind_of(name: str) -> str:
    """The kind of an instruction, one of :data:`aspen_emulator.engines.cortex_m.timing.KINDS`."""
    if name in ("sdiv", "udiv"):
        return "divide"
    if name in ("b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh"):
        return "branch"
    if name.startswith(_MULTIPLY):
        return "multiply"
    several = next((kind for begin, kind in _SEVERAL.items() if name.startswith(begin)), "")
    return several or ("load" if name.startswith("ldr") else "store" if name.startswith("str") else "alu")


def _base(found: capstone.CsInsn, name: str) -> frozenset[str]:
    """Registers that an address is made of."""
    if name in ("push", "pop"):
        return frozenset({"sp"})
    if name.startswith(("ldm", "stm")):
        return frozenset({found.reg_name(found.operands[0].reg)})
    memory = [each.mem for each in found.operands if each.type == arm.ARM_OP_MEM]
    return frozenset(found.reg_name(number) for each in memory for number in (each.base, each.index) if number)


def _registers(found: capstone.CsInsn) -> list[str]:
    return [found.reg_name(each.reg) for each in found.operands if each.type == arm.ARM_OP_REG]


def _stored(found: capstone.CsInsn, name: str, kind: str) -> frozenset[str]:
    """Registers whose contents go into memory."""
    if kind not in ("store", "stores"):
        return frozenset()
    return frozenset(_registers(found)[1:] if name.startswith("stm") else _registers(found))


def _words(found: capstone.CsInsn, name: str) -> int:
    return len(_registers(found)) - int(name.startswith(("ldm", "stm")))


def _addends(found: capstone.CsInsn, name: str) -> frozenset[str]:
    """Registers that a product, or an extended value, is added to."""
    registers = _registers(found)
    if name.startswith(_EXTEND_AND_ADD):
        return frozenset(registers[1:2])
    if name.startswith(("smlal", "umlal", "umaal", "smlsl")):
        return frozenset(registers[:2])
    return (
        frozenset(registers[3:]) if name.startswith(("mla", "mls", "smla", "smls", "smmla", "smmls")) else frozenset()
    )
