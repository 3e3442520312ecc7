"""What a program took on a microcontroller: the report, as table and plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from aspen._base.arrays import Array, Rebuilt
from aspen._base.tables import Table, Tabled
from aspen_hardware.chips.ranges import Range

if TYPE_CHECKING:
    from aspen_emulator.engines.cortex_m.counting import Count

NOT_COVERED = ("wait states and caches of the flash", "other masters on the bus", "interrupts")
"""What the cycles leave out."""


@dataclass(frozen=True, eq=False)
class CycleReport(Rebuilt, Tabled):
    """What :func:`aspen_emulator.cycles` found.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_emulator import cycles
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> report = cycles(compile(network, "cortex-m"), np.ones((8, 3, 2), np.uint8), core="cortex-m0plus")
    >>> report.samples, report.cycles.shape, sorted(report.calls)
    (3, (3, 8, 3), ['reset', 'set_knob', 'step'])

    Args:
        core: what it ran on.
        timing: where the cycles of its instructions are from.
        samples, steps: inferences, and time steps of each; with an encoder, samples of the sensor.
        setting: of the program's knob.
        cycles: (samples, steps, 3): low, typical and high cycles of each step.
        calls: ``reset``, ``step`` (with an encoder ``sample``) and ``set_knob`` -> what all calls of it took.
        functions: function of the C source -> what of it ran in all inferences; all together are the calls of ``reset``
            and ``step``.
        code, constants: bytes of flash.
        ram: bytes of RAM; without the stack, and the input, which the caller has.
        stack: bytes that the stack has at most.
        optimisation: of the compiler.
        unit: ``step``, or with an encoder ``sample``.
    """

    core: str
    timing: str
    samples: int
    steps: int
    setting: int
    cycles: Array
    calls: Mapping[str, Count]
    functions: Mapping[str, Count]
    code: int
    constants: int
    ram: int
    stack: int
    optimisation: str = "-O2"
    unit: str = "step"

    def __post_init__(self) -> None:
        self._close("cycles", "calls", "functions")

    @property
    def flash(self) -> int:
        """Bytes of code and constants."""
        return self.code + self.constants

    @property
    def per_inference(self) -> Range:
        """Mean cycles of a reset and all steps."""
        return (self.calls["reset"].cycles + self.calls[self.unit].cycles).times(1 / self.samples)

    @property
    def per_step(self) -> Range:
        """Mean cycles of a step."""
        return self.calls[self.unit].cycles.times(1 / (self.samples * self.steps))

    @property
    def worst_step(self) -> Range:
        """Cycles of the step that took most."""
        return Range(*self.cycles.reshape(-1, 3).max(axis=0).tolist())

    @property
    def instructions(self) -> Mapping[str, float]:
        """Kind -> mean number in an inference."""
        kinds: dict[str, float] = {}
        for call in ("reset", self.unit):
            for kind, number in self.calls[call].instructions.items():
                kinds[kind] = kinds.get(kind, 0) + number / self.samples
        return dict(sorted(kinds.items()))

    def _shown(self) -> Iterator[str | Table]:
        samples = "1 inference" if self.samples == 1 else f"{self.samples} inferences"
        yield f"Cycles on {self.core}: {samples} of {self.steps} {self.unit}s, compiled with {self.optimisation}"
        knob = self.calls["set_knob"].cycles
        rows = [
            ("inference", *_cells(self.per_inference)),
            (f"{self.unit}, mean", *_cells(self.per_step)),
            (f"{self.unit}, most", *_cells(self.worst_step)),
            ("turning the knob", *_cells(knob)),
            *(("functions, per inference",),),
            *((name, *_cells(count.cycles.times(1 / self.samples))) for name, count in self._by_cycles()),
        ]
        yield Table(("cycles", "low", "typical", "high"), rows)
        whole = sum(self.instructions.values())
        told = [(kind, f"{number:,.0f}", f"{number / whole:.1%}") for kind, number in self.instructions.items()]
        yield Table(("instructions, per inference", "number", "share"), [*told, ("all", f"{whole:,.0f}", "")])
        yield self.memory
        yield f"timing: {self.timing}"
        yield f"not covered: {', '.join(NOT_COVERED)}"

    @property
    def brief(self) -> str:
        """Cycles in one line."""
        whole, step = self.per_inference, self.per_step
        return (
            f"cycles on {self.core}: {whole.typical:,.0f} an inference ({whole.low:,.0f} to {whole.high:,.0f}), "
            f"{step.typical:,.0f} a {self.unit}"
        )

    @property
    def memory(self) -> str:
        """Flash, RAM and stack in one line."""
        flash = f"flash {self.flash:,} bytes (code {self.code:,}, constants {self.constants:,})"
        return f"{flash}, RAM {self.ram:,} bytes and a stack of {self.stack:,}"

    def _by_cycles(self) -> list[tuple[str, Count]]:
        return sorted(self.functions.items(), key=lambda each: -each[1].cycles.typical)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; functions and instructions as means over the inferences."""
        return {
            "core": self.core,
            "timing": self.timing,
            "not_covered": list(NOT_COVERED),
            "optimisation": self.optimisation,
            "samples": self.samples,
            "steps": self.steps,
            "unit": self.unit,
            "setting": self.setting,
            "cycles_per_inference": asdict(self.per_inference),
            "cycles_per_step": asdict(self.per_step),
            "cycles_worst_step": asdict(self.worst_step),
            "cycles_set_knob": asdict(self.calls["set_knob"].cycles),
            "instructions": self.instructions,
            "functions": {name: asdict(count.cycles.times(1 / self.samples)) for name, count in self._by_cycles()},
            "flash_bytes": self.flash,
            "code_bytes": self.code,
            "constant_bytes": self.constants,
            "ram_bytes": self.ram,
            "stack_bytes": self.stack,
        }


def _cells(cycles: Range) -> tuple[str, str, str]:
    return f"{cycles.low:,.0f}", f"{cycles.typical:,.0f}", f"{cycles.high:,.0f}"
