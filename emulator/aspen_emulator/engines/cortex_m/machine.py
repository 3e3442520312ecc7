"""An emulated core with flash, RAM and a stack of its own, on which a program's functions are called."""

from __future__ import annotations

import struct
from collections.abc import Callable

import unicorn
from unicorn import arm_const
from unicorn.unicorn_py3 import Uc, UcError

from aspen.errors import EngineError
from aspen_emulator.engines.cortex_m.cores import Core
from aspen_emulator.engines.cortex_m.image import Image
from aspen_emulator.engines.cortex_m.toolchain import RAM, STACK

PAGE = 4096
EXCHANGE = 0x60000000
"""Where arguments lie that are handed over by address: outside of the program's RAM."""
_STOP = 0x1FFF0000
"""Where functions return to."""
SECONDS = 60.0
"""After which a call counts as endless."""
_UNTOUCHED = 0xA5A5A5A5
"""What the stack is filled with, so that one sees how deep it went."""
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "reads", unicorn.UC_MEM_READ_PROT: "reads",
    unicorn.UC_MEM_WRITE_UNMAPPED: "writes", unicorn.UC_MEM_WRITE_PROT: "writes",
    unicorn.UC_MEM_FETCH_UNMAPPED: "jumps to", unicorn.UC_MEM_FETCH_PROT: "jumps to",
}  # fmt: skip

_EXCEPTIONS = {
    2: "a supervisor call",
    3: "a jump to where no code is",
    7: "a breakpoint",
}


class Machine:
    """A program on an emulated core.

    The emulator runs instructions that the core lacks; that there are none is up to the compiler and its assembler.

    Args:
        image: the program.
        core: what it was compiled for.
        exchange: bytes for arguments that are handed over by address.
    """

    def __init__(self, image: Image, core: Core, exchange: int = PAGE) -> None:
        self.image, self.core = image, core
        self._uc = Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core.emulator}"))
        self._load()
        self._map(EXCHANGE, exchange, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._map(_STOP, PAGE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._refused = ""
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._note)
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupted)

    def _load(self) -> None:
        flash = [each for each in self.image.segments if each.address < RAM]
        end = max(each.address + each.size for each in self.image.segments)
        start = min(each.address for each in flash)
        top = max(each.address + each.size for each in flash)
        self._map(start, top - start, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._map(RAM, max(STACK, end - RAM), unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        for each in self.image.segments:
            self._uc.mem_write(each.address, each.data)
        self._uc.mem_write(RAM, struct.pack("<I", _UNTOUCHED) * (STACK // 4))

    def _map(self, address: int, size: int, allowed: int) -> None:
        self._uc.mem_map(address, -(-size // PAGE) * PAGE, allowed)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory."""
        self._uc.mem_write(address, data)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        return bytes(self._uc.mem_read(address, size))

    def watch_blocks(self, entered: Callable[[int, int], None]) -> None:
        """Have ``entered`` called with address and size of every stretch of code without a branch before it runs."""
        self._watch(unicorn.UC_HOOK_BLOCK, lambda uc, address, size, _: entered(address, size))

    def watch_instructions(self, entered: Callable[[int, int], None]) -> None:
        """The same of every instruction; ten times slower."""
        self._watch(unicorn.UC_HOOK_CODE, lambda uc, address, size, _: entered(address, size))

    def refuse_unaligned(self) -> None:
        """Have words and halfwords at odd places refused, as a Cortex-M0+ does; ten times slower."""
        self._watch(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._aligned)

    def _watch(self, what: int, called: Callable[..., None]) -> None:
        self._uc.hook_add(what, called)
        self._uc.ctl_flush_tb()  # what ran before was translated without it

    def _aligned(self, uc: Uc, access: int, address: int, size: int, value: int, _: object) -> None:
        if address % size:
            self._refused = f"moves {size} bytes at {address:#010x} (a fault on a Cortex-M0+)"
            uc.emu_stop()

    def call(self, function: str, *arguments: int, bits: int = 32) -> int:
        """Call a function with at most four integers or addresses.

        Returns:
            what it returns, as an unsigned integer of so many bits, 32 or 64.

        Raises:
            EngineError: there is no such function, it leaves its memory, or it does not end.
        """
        if function not in self.image.symbols:
            raise EngineError(f"engine cortex-m: found no function {function}, allowed are those that were linked")
        registers = (arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R1, arm_const.UC_ARM_REG_R2, arm_const.UC_ARM_REG_R3)
        for register, value in zip(registers, arguments, strict=False):
            self._uc.reg_write(register, value)
        self._uc.reg_write(arm_const.UC_ARM_REG_SP, RAM + STACK)
        self._uc.reg_write(arm_const.UC_ARM_REG_LR, _STOP | 1)
        self._refused = ""
        try:
            self._uc.emu_start(self.image.symbols[function] | 1, _STOP, timeout=int(SECONDS * 1_000_000))
        except UcError as error:
            raise self._failed(function, self._refused or f"stops ({error})") from error
        if self._refused or self._pc != _STOP:
            raise self._failed(function, self._refused or f"does not end in {SECONDS:g} s")
        low, high = (int(self._uc.reg_read(register)) for register in registers[:2])
        return low if bits == 32 else low | high << 32

    @property
    def stack(self) -> int:
        """Bytes of the stack that were ever used."""
        words = struct.unpack(f"<{STACK // 4}I", self.read(RAM, STACK))
        return STACK - 4 * next((i for i, word in enumerate(words) if word != _UNTOUCHED), STACK // 4)

    @property
    def _pc(self) -> int:
        return int(self._uc.reg_read(arm_const.UC_ARM_REG_PC)) & ~1

    def _note(self, uc: Uc, access: int, address: int, size: int, value: int, _: object) -> bool:
        self._refused = f"{_ACCESS.get(access, 'touches')} {address:#010x}, where it has no such memory,"
        return False

    def _interrupted(self, uc: Uc, number: int, _: object) -> None:
        self._refused = f"comes to {_EXCEPTIONS.get(number, f'exception {number}')} (a fault on the core)"
        uc.emu_stop()

    def _failed(self, function: str, what: str) -> EngineError:
        place = f"pc {self._pc:#010x}, in {self.image.function_at(self._pc)}"
        return EngineError(f"engine cortex-m: {function} {what} at {place}; use engine='c' to look for the cause")
