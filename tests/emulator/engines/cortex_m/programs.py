"""Small programs in assembler, on an emulated core."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from aspen_emulator.engines.cortex_m.cores import CORES
from aspen_emulator.engines.cortex_m.counting import Count, Meter, added
from aspen_emulator.engines.cortex_m.image import Image
from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine
from aspen_emulator.engines.cortex_m.toolchain import cross_compiled

FUNCTION = """
__attribute__((naked, aligned(4))) void {name}(void)
{{
    __asm__ volatile("{lines}");
}}
"""


def assembled(functions: Mapping[str, str]) -> str:
    """Functions in assembler, instructions apart by semicolons, as a C source; each begins at a word."""
    texts = (FUNCTION.format(name=name, lines=r"\n".join(code.split(";"))) for name, code in functions.items())
    return "".join(texts)


@cache
def image(source: str, core: str, *names: str) -> Image:
    """A source, linked for a core."""
    return Image(cross_compiled({"program.c": source}, CORES[core], names))


def machine(source: str, core: str, *names: str) -> Machine:
    """A source on an emulated core."""
    return Machine(image(source, core, *names), CORES[core])


def counted(functions: Mapping[str, str], core: str) -> Mapping[str, Count]:
    """What each function takes; its first argument is an address of memory that holds addresses of itself."""
    running = machine(assembled(functions), core, *functions)
    running.write(EXCHANGE, EXCHANGE.to_bytes(4, "little") * 64)
    meter = Meter(running)
    found = {}
    for name in functions:
        _, parts = meter.call(name, EXCHANGE, EXCHANGE, 4, EXCHANGE)
        found[name] = added((1, count) for count in parts.values())
    return MappingProxyType(found)
