"""The cross-compiler, from the Python package ``ziglang``: C sources become a program for a core, in flash and RAM."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from aspen._base.packages import how_to_install
from aspen.errors import MissingDependencyError
from aspen_emulator.engines.c.compiler import compiled
from aspen_emulator.engines.cortex_m.cores import Core

FLASH = 0x08000000
RAM = 0x20000000
STACK = 16 * 1024
"""Bytes at the start of RAM: a stack that outgrows them leaves the memory that there is."""
_FLAGS = (
    "-target", "thumb-freestanding-eabi", "-g", "-ffunction-sections", "-fdata-sections", "-nostdlib", "-I.",
    "-Wl,-T,program.ld", "-Wl,--gc-sections", "-lcompiler_rt",
)  # fmt: skip
_LINKER_SCRIPT = """EXTERN({names})
MEMORY {{
    FLASH (rx) : ORIGIN = {flash:#x}, LENGTH = 64M
    RAM (rw) : ORIGIN = {ram:#x}, LENGTH = 64M
}}
SECTIONS {{
    .text : {{ *(.text .text.*) }} > FLASH
    .rodata : {{ *(.rodata .rodata.*) }} > FLASH
    .stack (NOLOAD) : {{ . += {stack}; }} > RAM
    .data : {{ *(.data .data.*) }} > RAM AT> FLASH
    .bss (NOLOAD) : {{ *(.bss .bss.*) *(COMMON) }} > RAM
    /DISCARD/ : {{ *(.ARM.*) *(.comment) }}
}}
"""
_STRING_H = """#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *left, const void *right, size_t n);

#endif
"""
_STRING_C = """/* What a program needs of the C library: by words where both ends lie on them, else by bytes. */

#include <stdint.h>
#include <string.h>

static int on_words(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0;
}

void *memcpy(void *to, const void *from, size_t n)
{
    unsigned char *put = to;
    const unsigned char *get = from;
    if (on_words(to, from)) {
        for (; n >= 4; n -= 4, put += 4, get += 4) {
            *(uint32_t *)(void *)put = *(const uint32_t *)(const void *)get;
        }
    }
    while (n-- > 0) {
        *put++ = *get++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *put = to;
    const unsigned char *get = from;
    if (put <= get) {
        return memcpy(to, from, n);
    }
    while (n-- > 0) {
        put[n] = get[n];
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *put = to;
    if (on_words(to, to)) {
        const uint32_t word = 0x01010101u * (unsigned char)value;
        for (; n >= 4; n -= 4, put += 4) {
            *(uint32_t *)(void *)put = word;
        }
    }
    while (n-- > 0) {
        *put++ = (unsigned char)value;
    }
    return to;
}

int memcmp(const void *left, const void *right, size_t n)
{
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}
"""


def find_cross_compiler() -> list[str]:
    """The command of the cross-compiler.

    Raises:
        MissingDependencyError: ``ziglang`` is not installed.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise MissingDependencyError(
            f"ziglang: not installed, needed for the engine cortex-m (it has the cross-compiler); "
            f"{how_to_install('microcontroller')}"
        )
    return [sys.executable, "-m", "ziglang", "cc"]


def cross_compiled(sources: Mapping[str, str], core: Core, names: Iterable[str], flags: Sequence[str] = ()) -> Path:
    """The program that ``sources`` make for a core, as an ELF file; compiled if it was not before.

    Args:
        sources: file name -> text; those that end in ``.c`` are compiled. What they need of ``<string.h>`` and for
            arithmetic in 64 bits is linked to them.
        core: what it runs on.
        names: functions that will be called; whatever these do not need is left out.
        flags: for the compiler, beside its own.

    Raises:
        MissingDependencyError: there is no cross-compiler.
        EngineError: it refuses the sources, or nothing can be kept on disk.
    """
    script = _LINKER_SCRIPT.format(names=" ".join(sorted(names)), flash=FLASH, ram=RAM, stack=STACK)
    texts = {**sources, "string.h": _STRING_H, "string.c": _STRING_C, "program.ld": script}
    command = find_cross_compiler()
    own = [*_FLAGS, f"-mcpu={core.compiler}", f"-Wl,-e,{min(names)}"]
    return compiled(texts, [*own, *flags], command, f"ziglang {version('ziglang')}")
