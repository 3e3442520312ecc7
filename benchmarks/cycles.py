"""How many clock cycles the C program takes for what it does, on each core: the figures of ``[program]`` in chip files.

    python -m benchmarks.cycles
    python -m benchmarks.cycles --core cortex-m4 --check net.aspen
    python -m benchmarks.cycles --write

Random networks become programs, which run in the emulator on random input; the cycles of their steps are fitted, by
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
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

import aspen
from aspen._base.arrays import Array
from aspen._base.tables import Table
from aspen.network.network import Conv, Dense, Lif, Network, Population
from aspen.network.record import Record
from aspen.storage.writing import write_atomically
from aspen_emulator import cycles, run
from aspen_hardware import Deployment, compile
from aspen_hardware.chips.programs import PROGRAM
from aspen_hardware.chips.ranges import Range
from aspen_hardware.energy.program import cycles_by

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
CHIPS = Path(__file__).parents[1] / "hardware" / "aspen_hardware" / "chips"
STEPS, SAMPLES = 8, 2


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


def drawn(seed: int) -> tuple[Network, Array]:
    """A random network of one of four kinds and its input, (steps, samples, *shape)."""
    rng = np.random.default_rng(seed)
    kind = ("dense", "sparse", "convolution", "analog")[seed % 4]
    readout = str(rng.choice(["spikes", "spikes", "membrane"]))
    if kind == "convolution":
        return _convolution(rng, readout)
    sizes = [*_sizes(rng), int(rng.integers(2, 13))]
    populations = [Population("input", (sizes[0],), current=kind == "analog")]
    if seed % 16 == 1:
        sizes[1] = int(rng.integers(257, 400))  # more targets than a byte can name
    connections = []
    for index, (before, size) in enumerate(pairwise(sizes)):
        populations.append(Population(f"layer{index}", (size,), _neuron(rng, (size,))))
        there = rng.random((size, before)) < (rng.uniform(0.03, 0.3) if kind == "sparse" else 1.0)
        there[0] = True
        scale = rng.choice([0.7, 1.5]) / np.sqrt(max(there.mean() * before * 0.2, 1.0))
        delay = int(rng.integers(0, 3)) if index and rng.random() < 0.3 else 0
        weight = rng.normal(0.1, 1.0, there.shape) * there * scale
        connections.append(Dense(populations[index].name, f"layer{index}", weight, delay=delay))
    network = Network(tuple(populations), tuple(connections), readout=readout)
    spikes = (rng.random((STEPS, SAMPLES, sizes[0])) < rng.choice([0.02, 0.05, 0.1, 0.2, 0.3, 0.6])).astype(np.uint8)
    if kind == "analog":
        return network.with_input_peak(3.0), spikes * rng.normal(size=spikes.shape).clip(-3, 3)
    return network, spikes


def _convolution(rng: np.random.Generator, readout: str) -> tuple[Network, Array]:
    channels, side, kernels, out = (int(rng.integers(*ends)) for ends in ((1, 4), (6, 13), (2, 9), (2, 11)))
    conv = Conv("input", "layer0", rng.normal(0.1, 0.6, (kernels, channels, 3, 3)), (channels, side, side))
    populations = (
        Population("input", (channels, side, side)),
        Population("layer0", conv.output_shape, _neuron(rng, conv.output_shape)),
        Population("layer1", (out,), _neuron(rng, (out,))),
    )
    size = int(np.prod(conv.output_shape))
    last = Dense("layer0", "layer1", rng.normal(0.1, 1.5 / np.sqrt(size * 0.2), (out, size)))
    spikes = (rng.random((STEPS, SAMPLES, channels, side, side)) < rng.choice([0.05, 0.2, 0.5])).astype(np.uint8)
    return Network(populations, (conv, last), readout=readout), spikes


def _sizes(rng: np.random.Generator) -> list[int]:
    """Of the input and one or two hidden layers: any, or as people choose them."""
    count = int(rng.integers(2, 4))
    if rng.random() < 0.5:
        return [int(n) for n in rng.integers(8, 161, count)]
    return [int(n) for n in rng.choice([64, 96, 128, 192, 256], count)]


def _neuron(rng: np.random.Generator, shape: tuple[int, ...]) -> Lif:
    """The neurons of a layer; in one of four, each has a threshold of its own, and so for decays and biases."""
    alpha = float(rng.choice([0.0, 0.0, 0.6]))
    reset = str(rng.choice(["zero", "subtract", "subtract-delayed"]))
    threshold, beta = rng.uniform(0.7, 1.3, shape), rng.uniform(0.5, 0.97, shape)
    own = rng.random(3) < 0.25
    return Lif(
        threshold if own[0] else 1.0,
        beta if own[1] else float(beta.flat[0]),
        alpha=alpha,
        bias=rng.normal(0, 0.05, shape) if own[2] else 0.0,
        reset=reset,
    )


def measured(name: str, deployment: Deployment, given: Array, core: str) -> Run:
    """Emulate a program, and count what it did."""
    report = cycles(deployment, given, core=core)
    record = run(deployment, given)
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


def told(core: str, fit: Fit, tried: Sequence[Run], fitted_on: Sequence[Run]) -> str:
    """The figures, and how far off they are."""
    lines = [f"{core}: cycles", str(Table(("figure", "cycles"), [(k, f"{v:g}") for k, v in fit.figures.items()]))]
    lines.append(f"a program's cycles range from {fit.spread.low:g} to {fit.spread.high:g} times the typical ones")
    for what, runs in (("fitted", fitted_on), ("not fitted", tried)):
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
    parser.add_argument("--networks", type=int, default=64, help="how many are fitted; half as many more are tried")
    parser.add_argument("--check", type=Path, nargs="*", default=[], metavar="NET.aspen", help="try these too")
    parser.add_argument("--write", action="store_true", help="put the figures into the chip files")
    options = parser.parse_args(arguments)
    for core in options.core or CORES:
        count = options.networks
        runs = list(random_runs(core, range(count)))
        tried = list(random_runs(core, range(1000, 1000 + max(count // 2, 1))))
        fit = fitted(runs).widened(tried)
        print(told(core, fit, tried, runs), flush=True)
        for path in options.check:
            print(f"{path.name}: off by {fit.error(from_file(path, core)):+.1%}")
        if options.write:
            file = CHIPS / f"{core}.toml"
            write_atomically(file, written(file.read_text(encoding="utf-8"), fit).encode())


if __name__ == "__main__":
    main()
