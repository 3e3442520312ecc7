"""What do a chip's integers cost? Accuracy in floating point and in integers, on test data, for every reset.

    python benchmarks/quantisation.py --har-path "UCI HAR Dataset.zip" [--only digits har har-conv] [--output FOLDER]
    python benchmarks/quantisation.py --har-path "UCI HAR Dataset.zip" --test

Trains small networks with ``aspen.fit``, exports them, compiles them for loihi1 (loihi2 where loihi1 does not have the
reset), once as they are and once calibrated on a few training samples, and compares. Each network is one file in the
output folder and is not trained again, so a run can be broken off and gone on with, and several runs with different
``--only`` can share a folder. Without ``--test`` everything is measured on validation data; with it, once all networks
are there, on the test data. Networks, windows, sensitivity and epochs were chosen on validation data (seed 0, plain,
reset to zero).
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import snntorch
import torch
from snntorch import surrogate
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from tqdm import tqdm

import aspen
from aspen.data import Dataset, DeltaEncoder, WindowEncoder, digits, har
from aspen.models.ready import DenseNet
from aspen.network.network import Network, load_network
from aspen.storage.writing import write_atomically
from aspen.training.recipes import RECIPES
from aspen_emulator import observe, run
from aspen_emulator.measuring.parity import parity
from aspen_hardware import Deployment, compile, load_deployment, store_deployment
from aspen_hardware.compiling.deployment import stored_chips

RESETS = (("zero", True), ("zero", False), ("subtract", True), ("subtract", False), ("none", True))
"""snnTorch's reset mechanisms, with ``reset_delay``; without a reset there is nothing to delay."""
RECIPES_COMPARED = ("plain", "perturbed")
CLAIM = 0.5
"""Integers may lose this many percentage points of accuracy."""
WATCHED = 64
"""Samples on which spikes are compared place by place, and overflows counted."""
CALIBRATED_ON = 32
"""Training samples that the calibration sees."""
Row = dict[str, Any]


class ConvNet(nn.Module):
    """Two convolutions over the last samples and a dense read-out: ``conv1, lif1, conv2, lif2, fc, lif3``."""

    def __init__(self, channels: int, window: int, classes: int, reset: str, reset_delay: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, 32, 5, stride=2)
        self.conv2 = nn.Conv1d(32, 32, 3)
        self.fc = nn.Linear(32 * ((window - 5) // 2 - 1), classes)
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)  # spikes are few: the default leaves the first layers silent
        for i in range(1, 4):
            neuron = snntorch.Leaky(
                beta=0.95, reset_mechanism=reset, reset_delay=reset_delay, spike_grad=surrogate.atan(alpha=2.0)
            )
            setattr(self, f"lif{i}", neuron)

    def forward(self, spikes: Tensor) -> Tensor:
        """Output spikes (time, batch, classes) for input spikes (time, batch, channels, window)."""
        first, second, third = self.lif1.reset_mem(), self.lif2.reset_mem(), self.lif3.reset_mem()
        recorded = []
        for step in spikes:
            hidden, first = self.lif1(self.conv1(step), first)
            hidden, second = self.lif2(self.conv2(hidden), second)
            output, third = self.lif3(self.fc(hidden.flatten(1)), third)
            recorded.append(output)
        return torch.stack(recorded)


@dataclass(frozen=True)
class Problem:
    """A data set with a network for it.

    Args:
        name: short name.
        data: loads it, from the path of UCI HAR.
        model: makes the network, from reset mechanism and ``reset_delay``.
        epochs: of training.
        seeds: of weights, order and perturbation.
    """

    name: str
    data: Callable[[Path | None], Dataset]
    model: Callable[[str, bool], nn.Module]
    epochs: int
    seeds: int


def _har(path: Path | None, conv: bool = False) -> Dataset:
    if path is None:
        raise SystemExit(
            "UCI HAR: found no --har-path, allowed is its folder or zip; or leave har out with --only digits"
        )
    delta = DeltaEncoder(sensitivity=0.25)
    return har(path, encoder=WindowEncoder(delta, size=16, every=8, flat=False) if conv else delta)


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("digits", lambda path: digits(), lambda *r: DenseNet((64, 128, 64, 10), 0.9, r[0], False, r[1]), 20, 3),
        Problem("har", _har, lambda *r: DenseNet((18, 128, 128, 6), 0.9, r[0], False, r[1]), 6, 2),
        Problem("har-conv", lambda path: _har(path, True), lambda *r: ConvNet(18, 16, 6, *r), 8, 2),
    )
}


@dataclass(frozen=True)
class Cell:
    """One network of the study."""

    problem: str
    recipe: str
    reset: str
    reset_delay: bool
    seed: int
    epochs: int

    @property
    def stem(self) -> str:
        """Name of its files."""
        delay = "" if self.reset_delay else "-at-once"
        return f"{self.problem}_{self.recipe}_{self.reset}{delay}_{self.epochs}-epochs_{self.seed}"

    @property
    def chip(self) -> str:
        """loihi1 resets to zero or not at all."""
        return "loihi2" if self.reset == "subtract" else "loihi1"


def cells(problem: Problem) -> Iterator[Cell]:
    """All networks of a problem."""
    for seed in range(problem.seeds):
        for recipe in RECIPES_COMPARED:
            for reset, delay in RESETS:
                yield Cell(problem.name, recipe, reset, delay, seed, problem.epochs)


def train(cell: Cell, data: Dataset) -> Network:
    """Train and export one network."""
    torch.manual_seed(cell.seed)
    model = PROBLEMS[cell.problem].model(cell.reset, cell.reset_delay)
    aspen.fit(model, data, replace(RECIPES[cell.recipe], epochs=cell.epochs), seed=cell.seed)
    return aspen.export(model, torch.from_numpy(data.spikes("validation")[:, :8]).float())


def deploy(cell: Cell, network: Network, data: Dataset, path: Path) -> dict[str, Deployment]:
    """The network in a chip's integers: as it is, and calibrated on training samples; this one is kept in its file."""
    if cell.chip not in stored_chips(path):
        every = max(len(data.train) // CALIBRATED_ON, 1)
        sample = data.encoder.encode(data.train.values[::every][:CALIBRATED_ON], cell.seed)
        store_deployment(compile(network, cell.chip, calibration=observe(network, sample)), path)
    return {"integers": compile(network, cell.chip), "calibrated": load_deployment(path, cell.chip)}


def measure(cell: Cell, network: Network, deployments: dict[str, Deployment], data: Dataset, part: str) -> list[Row]:
    """Accuracy in percent before and after rounding on a part of the data, and what happened to the spikes."""
    spikes, labels = data.spikes(part), data.part(part).labels
    before = run(network, spikes)
    right = before.predictions == labels
    rows = []
    for name, deployment in deployments.items():
        after = run(deployment, spikes)
        still = after.predictions == labels
        report = parity(None, network, deployment, spikes[:, :WATCHED])
        counts = np.sort(before.output.sum(axis=0, dtype=np.int64), axis=1)
        rows.append(
            {
                **asdict(cell),
                "chip": cell.chip,
                "compiled": name,
                "part": part,
                "samples": len(labels),
                "float": 100 * float(right.mean()),
                "integers": 100 * float(still.mean()),
                "only_float": int((right & ~still).sum()),
                "only_integers": int((still & ~right).sum()),
                "ties_float": 100 * float((counts[:, -1] == counts[:, -2]).mean()),
                "spikes_float": float(before.hidden_spikes.mean()),
                "spikes_integers": float(after.hidden_spikes.mean()),
                "agreement": {d.population: round(d.agreement, 5) for d in report.differences},
                "overflows": sum(health.wrapped + health.clipped for health in report.health),
                "rounding": {population: asdict(entry) for population, entry in deployment.rounding.items()},
            }
        )
    return rows


def summarise(rows: list[Row]) -> list[Row]:
    """Mean and spread over the seeds: one row for each problem, recipe, reset, chip and way to compile."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        reset = row["reset"] + ("" if row["reset_delay"] else " at once")
        groups.setdefault((row["problem"], row["recipe"], reset, row["chip"], row["compiled"]), []).append(row)
    return [
        {
            **dict(zip(("problem", "recipe", "reset", "chip", "compiled"), key, strict=True)),
            "seeds": len(group),
            **_spread("float", [row["float"] for row in group]),
            **_spread("integers", [row["integers"] for row in group]),
            **_spread("lost", [row["float"] - row["integers"] for row in group]),
            **_lost(group),
            **{name: mean(row[name] for row in group) for name in ("ties_float", "spikes_float", "spikes_integers")},
            "overflows": sum(row["overflows"] for row in group),
        }
        for key, group in groups.items()
    ]


def _spread(name: str, values: list[float]) -> dict[str, float]:
    return {name: mean(values), f"{name}_std": stdev(values) if len(values) > 1 else 0.0}


def _lost(group: list[Row]) -> dict[str, float]:
    """How many classes change for the worse and the better, and the 95 % interval of the mean loss that follows.

    Each network is compared with its own integers on the same samples, so only samples that change count.
    """
    worse, better = (sum(row[name] for row in group) for name in ("only_float", "only_integers"))
    samples = sum(row["samples"] for row in group)
    error = 100 * sqrt(max(worse + better - (worse - better) ** 2 / samples, 1)) / samples
    centre = 100 * (worse - better) / samples
    low, high = centre - 1.96 * error, centre + 1.96 * error
    return {"only_float": worse, "only_integers": better, "lost_low": low, "lost_high": high}


def table(summary: list[Row], part: str) -> str:
    """The summary as text."""
    lines = [
        f"Accuracy on {part} data in percent at knob 1: mean and standard deviation over seeds; 95 % interval of loss.",
        f"worse, better: samples right in floating point only, in integers only. Claim: at most {CLAIM} points lost.",
        f"{'problem':<9} {'recipe':<10}{'reset':<17}{'chip':<7}{'compiled':<11}{'n':>1}{'float':>14}{'in integers':>14}"
        f"{'lost':>7}{'interval':>16}{'worse':>6}{'better':>7}{'spikes':>7}{'in int':>7}",
    ]
    for row in summary:
        pairs = "".join(f"{row[k]:>8.2f} ±{row[f'{k}_std']:>4.2f}" for k in ("float", "integers"))
        interval = f"{row['lost_low']:.2f} to {row['lost_high']:.2f}"
        lines.append(
            f"{row['problem']:<9} {row['recipe']:<10}{row['reset']:<17}{row['chip']:<7}{row['compiled']:<11}"
            f"{row['seeds']:>1}{pairs}{row['lost']:>7.2f}{interval:>16}{row['only_float']:>6}{row['only_integers']:>7}"
            f"{row['spikes_float']:>7.0f}{row['spikes_integers']:>7.0f}"
            + ("  <- more than claimed" if row["lost"] > CLAIM else "")
        )
    return "\n".join(lines)


def verdict(rows: list[Row]) -> str:
    """For each problem and way to compile: what a network loses in the mean, with its standard error over networks.

    The interval above takes samples as independent; a network's samples often change together, so this is the honest
    uncertainty of the mean.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["problem"], row["compiled"]), []).append(row)
    lines = []
    for (problem, compiled), group in groups.items():
        lost = _spread("lost", [row["float"] - row["integers"] for row in group])
        changed = (
            100 * sum(row["only_float"] + row["only_integers"] for row in group) / sum(r["samples"] for r in group)
        )
        ties = mean(row["ties_float"] for row in group)
        error, overflows = lost["lost_std"] / sqrt(len(group)), sum(row["overflows"] for row in group)
        lines.append(
            f"{problem}, {compiled}: {len(group)} networks lose {lost['lost']:.2f} ± {error:.2f} points (deviation "
            f"{lost['lost_std']:.2f}); right or wrong changes in {changed:.1f} % of samples, {ties:.1f} % are ties in "
            f"floating point; {overflows} overflows"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--har-path", type=Path, help="folder or zip of UCI HAR")
    parser.add_argument("--only", nargs="+", choices=list(PROBLEMS), default=list(PROBLEMS), help="which problems")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/quantisation"), help="folder for networks and results"
    )
    parser.add_argument("--epochs", type=int, help="instead of each problem's own")
    parser.add_argument("--seeds", type=int, help="instead of each problem's own number of seeds")
    parser.add_argument("--test", action="store_true", help="measure on test data; the networks must be there")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # networks this small gain nothing from more
    with threadpool_limits(1):  # nor does calibration: on shared cores BLAS threads make it many times slower
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Train what is missing, measure, print and write the results."""
    part = "test" if options.test else "validation"
    rows = []
    for name in options.only:
        problem = PROBLEMS[name]
        problem = replace(problem, epochs=options.epochs or problem.epochs, seeds=options.seeds or problem.seeds)
        data = problem.data(options.har_path)
        for cell in tqdm(list(cells(problem)), desc=f"{name}, {part}", unit="network"):
            path = options.output / f"{cell.stem}.aspen"
            if not path.is_file():
                if options.test:
                    raise SystemExit(f"{path}: not trained yet; run the same command without --test first")
                train(cell, data).save(path)
            network = load_network(path)
            rows += measure(cell, network, deploy(cell, network, data, path), data, part)
    summary = summarise(rows)
    print(table(summary, part))
    print(verdict(rows))
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}",
        "claim_points": CLAIM,
        "summary": summary,
        "networks": rows,
    }
    target = options.output / f"{part}_{'_'.join(options.only)}.json"
    write_atomically(target, json.dumps(result, indent=2).encode())
    print(f"written: {target}")


if __name__ == "__main__":
    main()
