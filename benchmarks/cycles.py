"""How many clock cycles the C program takes for what it does, on each core: the figures of ``[program]`` in chip files.

    python -m benchmarks.cycles
    python -m benchmarks.cycles --core cortex-m4 --check net.aspen
    python -m benchmarks.cycles --write

Random networks become programs, which run in the emulator on random input, some of them at several knobs of a dial that
switches neurons off (:mod:`benchmarks.cycle_networks`); the cycles of their steps are fitted, by
least squares of the relative errors with no figure below 0, to the counts that :mod:`aspen_hardware.energy.program`
prices. What the functions of one part of the program take (its input, rows, updates) is fitted too, to the figures of
that part alone, as a share of the whole. The figures are then tried on networks that were not fitted. ``--write`` puts
them into the chip files.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

import aspen
from aspen._base.arrays import Array
from aspen._base.tables import Table
from aspen.dial.profile import DialProfile
from aspen.network.record import Record
from aspen.storage.writing import write_atomically
from aspen_emulator import cycles, run
from aspen_hardware import Deployment, compile
from aspen_hardware.chips.programs import PROGRAM
from aspen_hardware.chips.ranges import Range
from aspen_hardware.energy.program import cycles_by
from benchmarks.cycle_networks import SAMPLES, STEPS, dialled, drawn

CORES = ("cortex-m4", "cortex-m0plus", "cortex-m33")
FIGURES = tuple(key for key in PROGRAM if key != "spread")
PARTS = {
    "input": ("step", "input", "input_spike", "analog_input"),
    "packed": ("packed_sums", "packed_row", "packed_word"),
    "update": (
        "population", "turn", "neuron", "own", "active_neuron", "current", "owed", "cleared", "wrapped", "clipped",
        
        "output", "spike",
    ),
}  # fmt: skip
"""Part of a program -> its figures; all others are of the rows of connections that are not packed."""
ROWS = "rows"
KNOBS = 3
"""At so many a program with a dial is run."""
CHIPS = Path(__file__).parents[1] / "hardware" / "aspen_hardware" / "chips"


@dataclass(frozen=True)
class Run:
    """A program that ran.

    Args:
        name: what it was.
        counts: (figures,) of each figure in :data:`FIGURES`, how often it is due in all steps.
        cycles: of all steps.
        parts: part of the program, of :data:`PARTS` or :data:`ROWS` -> typical cycles of its functions.
    """

    name: str
    counts: Array
    cycles: Range
    parts: Mapping[str, float] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[Array, float]]:
        """What is fitted, as shares of the whole: counts of the figures, and cycles."""
        whole = self.cycles.typical
        yield self.counts / whole, 1.0
        for part, taken in self.parts.items():
            yield np.where([_part_of(key) == part for key in FIGURES], self.counts, 0.0) / whole, taken / whole


def _part_of(key: str) -> str:
    return next((part for part, keys in PARTS.items() if key in keys), ROWS)


@dataclass(frozen=True)
class Fit:
    """What fits best.

    Args:
        figures: cycles by name, rounded as they are written.
        spread: low and high of a program's cycles over the typical ones of the model: what the emulator's timing leaves
            open, and on top how far off the model is.
    """

    figures: dict[str, float]
    spread: Range

    def widened(self, tried: Sequence[Run]) -> Fit:
        """With a spread that the errors on other programs widen, by their root mean square."""
        off = float(np.sqrt(np.mean([self.error(each) ** 2 for each in tried])))
        low, high = self.spread.low * (1 - off), self.spread.high * (1 + off)
        return replace(self, spread=Range(float(f"{low:.3g}"), 1.0, float(f"{high:.3g}")))

    def error(self, each: Run) -> float:
        """Of a run: predicted over measured, less 1."""
        return float(each.counts @ [self.figures[key] for key in FIGURES]) / each.cycles.typical - 1


def measured(
    name: str,
    deployment: Deployment,
    given: Array,
    core: str,
    profile: DialProfile | None = None,
    knob: float | None = None,
) -> Run:
    """Emulate a program, at a knob of its dial if it has one, and count what it did."""
    report = cycles(deployment, given, core=core, profile=profile, knob=knob)
    record = run(deployment, given, 1.0 if profile is None or knob is None else profile.scale(knob))
    parts: Counter[str] = Counter()
    for function, count in report.functions.items():
        parts[_part_of_function(function)] += count.cycles.typical
    del parts[""]
    return Run(name, counts_of(record), report.calls["step"].cycles, dict(parts))


def _part_of_function(name: str) -> str:
    """Empty for what a reset between samples shares; what is inlined counts as the function that it is written in."""
    if name in ("network_reset", "memset"):
        return ""
    if name in ("network_step", "begin_input", "any_of_four", "put_input", "in_range"):
        return "input"
    if "_packed_" in name or name.startswith("add_row_") or name == "sums_without":
        return "packed"
    return ROWS if name.startswith("add_") or "_to_" in name or name == "recall" else "update"


def counts_of(record: Record) -> Array:
    """(figures,): how often each figure is due in a run."""
    return np.array([cycles_by(record.network, _only(key)).of(record) for key in FIGURES])


def _only(key: str) -> dict[str, float]:
    return {**dict.fromkeys(PROGRAM, 0.0), key: 1.0}


def random_runs(core: str, seeds: Sequence[int]) -> Iterator[Run]:
    """Programs of random networks."""
    for seed in seeds:
        network, given = drawn(seed)
        yield measured(f"random {seed}", compile(network, "cortex-m"), given, core)


def dialled_runs(core: str, seeds: Sequence[int]) -> Iterator[Run]:
    """Programs of random networks at knobs of a dial that switches neurons off, but for kernels that are dearer then:
    of convolutions, of values, and of sparse rows with more than 256 targets."""
    for seed in (seed for seed in seeds if seed % 16 in (0, 4, 5, 8, 9, 12, 13)):
        network, given, profile, knobs = dialled(seed, KNOBS)
        deployment = compile(network, "cortex-m", profile=profile)
        for knob in knobs:
            yield measured(f"random {seed} at {knob:.2g}", deployment, given, core, profile, knob)


def fitted(runs: Sequence[Run]) -> Fit:
    """The figures with the least sum of squared errors, each relative to the cycles of its program."""
    counts, taken = zip(*(row for each in runs for row in each.rows()), strict=True)
    values, _ = nnls(np.array(counts), np.array(taken), maxiter=10_000)
    low = np.mean([each.cycles.low / each.cycles.typical for each in runs])
    high = np.mean([each.cycles.high / each.cycles.typical for each in runs])
    figures = dict(zip(FIGURES, (float(f"{value:.3g}") for value in values), strict=True))
    return Fit(figures, Range(float(f"{low:.3g}"), 1.0, float(f"{high:.3g}")))


def from_file(path: Path, core: str) -> Run:
    """The program of a network in a file, on random input at 20 %."""
    network = aspen.load_network(path)
    shape = (STEPS, SAMPLES, *network.input.given_shape)
    given = (np.random.default_rng(0).random(shape) < 0.2).astype(np.uint8)
    return measured(path.name, compile(network, "cortex-m"), given, core)


def _drawn(core: str, networks: int, dials: int, first: int) -> tuple[list[Run], list[Run]]:
    """So many programs without a dial, and those with one."""
    plain = random_runs(core, range(first, first + networks))
    return list(plain), list(dialled_runs(core, range(2000 + first, 2000 + first + dials)))


def told(core: str, fit: Fit, groups: Mapping[str, Sequence[Run]]) -> str:
    """The figures, and how far off they are."""
    lines = [f"{core}: cycles", str(Table(("figure", "cycles"), [(k, f"{v:g}") for k, v in fit.figures.items()]))]
    lines.append(f"a program's cycles range from {fit.spread.low:g} to {fit.spread.high:g} times the typical ones")
    for what, runs in groups.items():
        if not runs:
            continue
        errors = np.array([fit.error(each) for each in runs])
        lines.append(
            f"{len(runs)} programs {what}: off by {np.abs(errors).mean():.1%} on average, {errors.min():+.1%} to "
            f"{errors.max():+.1%}"
        )
    return "\n".join(lines)


def written(text: str, fit: Fit) -> str:
    """A chip file with the figures of its program replaced."""
    for key, value in fit.figures.items():
        text = re.sub(rf"(?m)^{key} = {{ value = [\d.e+-]+", f"{key} = {{ value = {value:g}", text)
    spread = f"[program.spread]\nvalue = 1.0\nlow = {fit.spread.low:g}\nhigh = {fit.spread.high:g}\n"
    text = re.sub(r"\[program\.spread\]\nvalue = 1\.0\nlow = \S+\nhigh = \S+\n", spread, text)
    told_on = f"compiled with ziglang {version('ziglang')} -O2, {date.today():%d %B %Y}"
    return re.sub(r"(?m)(python -m benchmarks\.cycles)(, compiled [^\"]*)?", rf"\1, {told_on}", text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, fit, print; and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", choices=CORES, action="append", help="which; default: all")
    parser.add_argument("--networks", type=int, default=48, help="how many are fitted; two for each three are tried")
    parser.add_argument("--dials", type=int, default=24, help="of so many seeds, those of dials, at three knobs each")
    parser.add_argument("--check", type=Path, nargs="*", default=[], metavar="NET.aspen", help="try these too")
    parser.add_argument("--write", action="store_true", help="put the figures into the chip files")
    options = parser.parse_args(arguments)
    for core in options.core or CORES:
        runs, turned = _drawn(core, options.networks, options.dials, 0)
        tried, turned_tried = _drawn(core, max(2 * options.networks // 3, 1), options.dials // 2, 1000)
        fit = fitted([*runs, *turned]).widened([*tried, *turned_tried])
        groups = {
            "fitted": runs,
            "not fitted": tried,
            "with dials fitted": turned,
            "with dials not fitted": turned_tried,
        }
        print(told(core, fit, groups), flush=True)
        for path in options.check:
            print(f"{path.name}: off by {fit.error(from_file(path, core)):+.1%}")
        if options.write:
            file = CHIPS / f"{core}.toml"
            write_atomically(file, written(file.read_text(encoding="utf-8"), fit).encode())


if __name__ == "__main__":
    main()
