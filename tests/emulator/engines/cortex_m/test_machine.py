"""Programs on an emulated core: what they need is there, and an error names the place where one goes wrong."""

from __future__ import annotations

import pytest

from aspen.errors import EngineError, InputError, MissingDependencyError
from aspen_emulator.engines.cortex_m import engine, toolchain
from aspen_emulator.engines.cortex_m.cores import CORES, core_named
from tests.emulator.engines.cortex_m.needed import needs_emulator

SOURCE = r"""
#include <stdint.h>
#include <string.h>
static uint32_t begun = 41;
static uint32_t zero[3];
static const uint8_t constant[] __attribute__((aligned(4))) = {1, 2, 3, 4, 5, 6, 7};
static volatile uint8_t bytes[16] __attribute__((aligned(4)));
uint32_t sum(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a + 10 * b + 100 * c + 1000 * d; }
uint32_t next(void) { return ++begun + zero[begun % 3]; }
int64_t divided(uint32_t low, uint32_t high, int32_t by) { return (int64_t)((uint64_t)high << 32 | low) / by; }
uint32_t copied(uint32_t at, uint32_t n)
{
    memset((void *)bytes, 9, sizeof bytes);
    memcpy((void *)&bytes[at], constant, n);
    uint32_t all = 0;
    for (uint32_t i = 0; i < 8; i++) {
        all = all * 10 + bytes[i];
    }
    return all;
}
uint32_t deep(uint32_t n)
{
    volatile uint8_t room[100];
    memset((void *)room, (int)n, sizeof room);
    return n == 0 ? 0 : deep(n - 1) + room[n % 100];
}
uint32_t reads(const uint32_t *at) { return *at; }
void writes(uint32_t *at) { *at = 1; }
void calls(void (*at)(void)) { at(); }
void traps(void) { __asm__ volatile("udf #0"); }
void supervisor(void) { __asm__ volatile("svc #0"); }
void endless(void) { for (volatile int i = 0;; i++) { } }
"""
NAMES = ("sum", "next", "divided", "copied", "deep", "reads", "writes", "calls", "traps", "supervisor", "endless")
cores = pytest.mark.parametrize("core", CORES)


@needs_emulator
@cores
def test_a_program_has_its_arguments_its_variables_and_its_library(core: str) -> None:
    from tests.emulator.engines.cortex_m.programs import machine

    running = machine(SOURCE, core, *NAMES)
    assert running.call("sum", 1, 2, 3, 4) == 4321
    assert [running.call("next") for _ in range(3)] == [42, 43, 44]
    assert running.call("divided", 5, 7, 2**32 - 3, bits=64) == 2**64 - (7 * 2**32 + 5) // 3
    assert running.call("copied", 1, 5) == 91234599
    assert running.call("copied", 0, 7) == 12345679
    assert running.image.sizes[".data"] == 4
    assert running.image.ram == 4 + 16  # zero is never written, and left out


@needs_emulator
def test_the_stack_is_measured_at_its_deepest() -> None:
    from tests.emulator.engines.cortex_m.programs import machine

    running = machine(SOURCE, "cortex-m4", *NAMES)
    assert running.stack == 0
    running.call("deep", 0)
    one = running.stack
    running.call("deep", 1)
    each = running.stack - one
    assert 100 < each <= one < 200
    running.call("deep", 9)
    running.call("sum", 1, 2, 3, 4)
    assert running.stack == one + 9 * each


@needs_emulator
@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("reads", 0x50000000, r"reads reads 0x50000000, where it has no such memory, at pc 0x08\w+, in reads"),
        ("writes", 0, r"writes writes 0x00000000, where it has no such memory, .*, in writes"),
        ("writes", 0x08000000, r"writes writes 0x08000000, .*, in writes"),
        ("calls", 0x40000001, r"calls comes to a jump to where no code is .* at pc 0x40000000, in no function"),
        ("calls", 0x20000001, r"calls jumps to 0x20000000, .* at pc 0x20000000, in no function"),
        ("deep", 1000, r"deep writes 0x1fff\w+, where it has no such memory, .*, in (deep|memset)"),
        ("traps", 0, r"traps stops \(Invalid instruction .*, in traps"),
        ("supervisor", 0, r"supervisor comes to a supervisor call .*, in supervisor"),
        ("nothing", 0, r"found no function nothing"),
    ],
)
def test_what_goes_wrong_names_the_place(function: str, argument: int, message: str) -> None:
    from tests.emulator.engines.cortex_m.programs import machine

    running = machine(SOURCE, "cortex-m4", *NAMES)
    with pytest.raises(EngineError, match=f"^engine cortex-m: {message}"):
        running.call(function, argument)
    assert running.call("sum", 1, 1, 1, 1) == 1111


@needs_emulator
def test_a_program_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from aspen_emulator.engines.cortex_m import machine as machines
    from tests.emulator.engines.cortex_m.programs import machine

    monkeypatch.setattr(machines, "SECONDS", 0.05)
    running = machine(SOURCE, "cortex-m4", *NAMES)
    with pytest.raises(EngineError, match=r"endless does not end in 0.05 s at pc .*, in endless"):
        running.call("endless")


@needs_emulator
def test_instructions_that_a_core_lacks_are_refused_by_the_assembler() -> None:
    from tests.emulator.engines.cortex_m.programs import assembled, machine

    source = assembled({"divides": "udiv r0, r0, r1; bx lr"})
    assert machine(source, "cortex-m4", "divides").call("divides", 7, 2) == 3
    with pytest.raises(EngineError, match=r"the compiler .* refuses the program .*instruction requires"):
        machine(source, "cortex-m0plus", "divides")


@needs_emulator
def test_a_word_at_an_odd_place_is_refused_where_that_is_asked_for() -> None:
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE
    from tests.emulator.engines.cortex_m.programs import machine

    running = machine(SOURCE, "cortex-m0plus", *NAMES)
    assert running.call("reads", EXCHANGE + 2) == 0
    running.refuse_unaligned()
    assert running.call("reads", EXCHANGE + 4) == 0
    with pytest.raises(
        EngineError, match=r"reads moves 4 bytes at 0x60000002 \(a fault on a Cortex-M0\+\) at pc .*reads"
    ):
        running.call("reads", EXCHANGE + 2)


def test_a_core_that_is_unknown_is_named() -> None:
    with pytest.raises(InputError, match=r"core: found 'cortex-m7', allowed are cortex-m4, .*; did you mean"):
        core_named("cortex-m7")


def test_without_the_cross_compiler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (toolchain.importlib.util, engine):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert not engine.emulator_available()
    with pytest.raises(
        MissingDependencyError, match=r"ziglang: not installed, .*pip install \"\.\[microcontroller\]\""
    ):
        toolchain.find_cross_compiler()


def test_without_the_emulator_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from aspen_emulator import run
    from tests.networks import fixed_network, random_spikes

    for module in [name for name in sys.modules if name.startswith("aspen_emulator.engines.cortex_m.board")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "aspen_emulator.engines.cortex_m.machine", None)
    monkeypatch.setitem(sys.modules, "unicorn", None)
    monkeypatch.delitem(sys.modules, "aspen_emulator.engines.cortex_m.machine")
    with pytest.raises(MissingDependencyError, match=r"unicorn: .*needed for the engine cortex-m; run pip install"):
        run(fixed_network(15), random_spikes(15, 9, 2, 6), engine="cortex-m")
