"""The whole mission on real data in a few minutes: train, compile, sweep, and check against the real Lava runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aspen._base.arrays import Array
from aspen.calibration.points import OperatingPoint
from aspen.errors import InputError, MissingDependencyError
from aspen.storage.outputs import make_folder
from aspen.storage.writing import write_atomically
from aspen.training.by_name import train_by_name
from aspen_emulator.engines.lava.shim import require_lava
from aspen_emulator.engines.run import run
from aspen_emulator.measuring.bench import SCALES, sweep
from aspen_emulator.measuring.plots import Runs, plot_dial, spread
from aspen_emulator.measuring.sheets import points_to_rows, write_csv
from aspen_hardware.compiling.compile import compile
from aspen_hardware.compiling.deployment import Deployment, deployment_on

CHIP = "loihi1"
RECIPES = ("plain", "perturbed")
PARITY_SAMPLES = 8
PARITY_SCALES = (1.0, 2.0)


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured: sweeps and float accuracies by recipe, one for each seed, and the check on Lava."""

    sweeps: dict[str, list[list[OperatingPoint]]]
    float_accuracy: dict[str, list[float]]
    parity: dict[str, Any]


def run_demo(
    folder: Path, *, seeds: int = 3, epochs: int | None = None, lava: bool = True, say: Callable[[str], None] = print
) -> DemoResult:
    """Train a plain and a perturbed network for each seed, compile, sweep the dial on the test set, compare with Lava.

    Leaves ``network.aspen`` (the first seed's perturbed network with its integers), ``sweep.csv``, ``dial.png``,
    ``parity.json`` and ``summary.md`` in ``folder``.

    Args:
        folder: where the results go; made if missing.
        seeds: networks of each kind.
        epochs: of training; default: the recipes'.
        lava: whether to run the comparison on Lava.
        say: prints a line of progress.

    Raises:
        InputError: the folder cannot be made, or ``seeds`` is below 1.
        MissingDependencyError: Lava is wanted and not installed, or torch, snnTorch or scikit-learn is missing.
    """
    if seeds < 1:
        raise InputError(f"seeds: found {seeds}, allowed is 1 and more")
    if lava:
        _require_lava()
    make_folder(folder)
    from aspen.data import digits

    data = digits()
    spikes, labels = data.spikes("test"), data.test.labels
    sweeps: dict[str, list[list[OperatingPoint]]] = {name: [] for name in RECIPES}
    float_accuracy: dict[str, list[float]] = {name: [] for name in RECIPES}
    kept: Deployment | None = None
    say(f"1/4  Train {seeds} plain and {seeds} perturbed networks on {len(data.train)} handwritten digits")
    for name in RECIPES:
        for seed in range(seeds):
            fitted = train_by_name(name, seed=seed, epochs=epochs)
            if fitted.warning:
                say(f"     {name}, seed {seed}: {fitted.warning}")
            trained = fitted.export()
            deployment = compile(trained.network, CHIP)
            if name == "perturbed" and kept is None:
                kept = deployment
                file = trained.file(folder / "network.aspen")
                file.put(deployment_on(CHIP), deployment)
                file.save()
            exact = run(trained.network, spikes)
            float_accuracy[name].append(float((exact.predictions == labels).mean()))
            sweeps[name].append(_sweep(deployment, spikes, labels, f"sweep {name}, seed {seed}"))
    say(f"2/4  Compiled for {CHIP}, swept the knob over {len(SCALES)} settings on {len(labels)} test digits")
    assert kept is not None  # seeds is at least 1
    turned = "from {:g} to {:g}".format(*PARITY_SCALES)
    say(f"3/4  Run {PARITY_SAMPLES} test digits on Lava, the knob turned {turned} half way")
    parity = compare_with_lava(kept, spikes[:, :PARITY_SAMPLES]) if lava else {"skipped": "asked to leave Lava out"}
    say(f"     {parity_line(parity)}")
    result = DemoResult(sweeps, float_accuracy, parity)
    write_results(result, folder)
    say(f"4/4  Wrote {folder}/: summary.md, dial.png, sweep.csv, network.aspen, parity.json")
    return result


def _require_lava() -> None:
    """Ask for Lava before minutes are spent on training."""
    try:
        require_lava()
    except MissingDependencyError as error:
        raise MissingDependencyError(f"{error}; or leave the comparison out with --no-lava") from error


def _sweep(deployment: Deployment, spikes: Array, labels: Array, title: str) -> list[OperatingPoint]:
    with tqdm(total=len(SCALES), desc=title, unit="setting", leave=False, dynamic_ncols=True) as bar:
        return sweep(deployment, spikes, labels, SCALES, progress=lambda point: bar.update(1))


def compare_with_lava(deployment: Deployment, spikes: Array) -> dict[str, Any]:
    """Run on Lava and on our integer engine with the knob turned half way; compare every spike of every population.

    Args:
        deployment: what to run.
        spikes: (time, samples, *input_shape).

    Returns:
        plain values for ``parity.json``.

    Raises:
        MissingDependencyError: Lava is not installed.
        EngineError: Lava failed, or did not answer in time.
    """
    steps = len(spikes)
    knob = np.where(np.arange(steps) < steps // 2, *PARITY_SCALES)
    ours, lava = (run(deployment, spikes, knob, engine=engine, record="spikes").rasters for engine in ("fast", "lava"))
    populations = {
        name: {
            "places": int(ours[name].size),
            "spikes_aspen": int(ours[name].sum()),
            "spikes_lava": int(lava[name].sum()),
            "different": int((ours[name] != lava[name]).sum()),
        }
        for name in deployment.network.names
    }
    return {
        "samples": int(spikes.shape[1]),
        "steps": steps,
        "threshold_scale": [float(s) for s in knob],
        "populations": populations,
        "identical": all(entry["different"] == 0 for entry in populations.values()),
    }


def parity_line(parity: dict[str, Any]) -> str:
    """One line about the comparison with Lava."""
    if "identical" not in parity:
        return f"Lava: skipped ({parity['skipped']})"
    total = sum(entry["spikes_lava"] for entry in parity["populations"].values())
    places = sum(entry["places"] for entry in parity["populations"].values())
    different = sum(entry["different"] for entry in parity["populations"].values())
    return f"Lava against our integer engine: {different} of {places} places differ ({total} spikes)"


def write_results(result: DemoResult, folder: Path) -> None:
    """Write the table, the plot, the comparison and the summary."""
    rows = [
        row
        for name, runs in result.sweeps.items()
        for seed, points in enumerate(runs)
        for row in points_to_rows(points, network=name, seed=seed)
    ]
    write_csv(folder / "sweep.csv", rows)
    write_atomically(folder / "parity.json", json.dumps(result.parity, indent=2).encode())
    seeds = len(result.sweeps["plain"])
    title = (
        f"Trained once, run at any threshold scale: handwritten digits in {CHIP} integers "
        f"({seeds} seed{'s' * (seeds > 1)}, bands from the lowest to the highest)"
    )
    plot_dial(result.sweeps, folder / "dial.png", title)
    write_atomically(folder / "summary.md", summary(result).encode())


def headline(result: DemoResult) -> list[str]:
    """What the numbers say, in words, computed from the sweeps."""
    plain, perturbed = result.sweeps["plain"], result.sweeps["perturbed"]
    at_one = _mean_at(plain, 1.0)
    frugal = _cheapest(perturbed, at_one.accuracy - 0.02)
    lines = [
        f"- {name}: best accuracy {max(_accuracies(runs)):.1%}, "
        f"worst for a knob from 0.5 to 2: {min(_accuracies(runs, 0.5, 2.0)):.1%}; "
        f"floating point {np.mean(result.float_accuracy[name]):.1%} at 1, integers {_mean_at(runs, 1.0).accuracy:.1%}"
        for name, runs in result.sweeps.items()
    ]
    if frugal is not None:
        ratio = at_one.hidden_spikes / frugal.hidden_spikes
        lines.append(
            f"- within 2 points of the plain network at 1 ({at_one.accuracy:.1%}), the perturbed one needs "
            f"{frugal.hidden_spikes:.0f} hidden spikes (knob at {frugal.knob:g}) where the plain one spends "
            f"{at_one.hidden_spikes:.0f}: {ratio:.1f}x fewer"
        )
    return [*lines, _battery_line(perturbed), f"- {parity_line(result.parity)}"]


def _battery_line(runs: Runs) -> str:
    totals = [point.total_nj or 0.0 for point in _mean_points(runs)]
    moved, at_one = (max(totals) - min(totals)) / max(totals), (_mean_at(runs, 1.0).total_nj or 0.0) / 1e3
    return (
        f"- a battery sees {at_one:,.0f} µJ per inference: the whole chip, powered for steps as long as measured; the "
        f"knob moves {moved:.2%} of that"
    )


def _accuracies(runs: Runs, low: float = 0.0, high: float = np.inf) -> list[float]:
    mean = spread(runs, lambda p: p.accuracy)[0]
    return [float(a) for a, p in zip(mean, runs[0], strict=True) if low <= p.knob <= high]


def _mean_points(runs: Runs) -> list[OperatingPoint]:
    """Each setting's mean over the seeds."""

    def mean(column: Sequence[float | None]) -> float:
        return float(np.mean([value for value in column if value is not None]))

    return [
        replace(
            points[0],
            accuracy=mean([p.accuracy for p in points]),
            hidden_spikes=mean([p.hidden_spikes for p in points]),
            synaptic_operations=mean([p.synaptic_operations for p in points]),
            hidden_synaptic_operations=mean([p.hidden_synaptic_operations for p in points]),
            dynamic_nj=mean([p.dynamic_nj for p in points]),
            static_nj=mean([p.static_nj for p in points]),
            unanswered=mean([p.unanswered for p in points]),
        )
        for points in zip(*runs, strict=True)
    ]


def _mean_at(runs: Runs, scale: float) -> OperatingPoint:
    return next(point for point in _mean_points(runs) if point.knob == scale)


def _cheapest(runs: Runs, accuracy: float) -> OperatingPoint | None:
    fitting = [point for point in _mean_points(runs) if point.accuracy >= accuracy]
    return min(fitting, key=lambda point: point.hidden_spikes, default=None)


def summary(result: DemoResult) -> str:
    """The summary as Markdown: headline and one table for each network."""
    seeds = len(result.sweeps["plain"])
    lines = [
        "# ASPEN demo",
        "",
        f"Handwritten digits, test set, {CHIP} integers; means over {seeds} seeds.",
        "",
        *headline(result),
    ]
    for name, runs in result.sweeps.items():
        lines += ["", f"## {name}", "", *_table(runs)]
    return "\n".join([*lines, "", "![the dial](dial.png)", ""])


def _table(runs: Runs) -> list[str]:
    low, high = (spread(runs, lambda p: p.accuracy)[i] for i in (1, 2))
    rows = [
        "| knob | accuracy (seeds) | no answer | spikes | synaptic operations (hidden) | total µJ | dynamic nJ |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for i, p in enumerate(_mean_points(runs)):
        rows.append(
            f"| {p.knob:g} | {p.accuracy:.1%} ({low[i]:.1%} to {high[i]:.1%}) | {p.unanswered:.1%} | "
            f"{p.hidden_spikes:.1f} | "
            f"{p.synaptic_operations:.0f} ({p.hidden_synaptic_operations:.0f}) | "
            f"{(p.total_nj or 0.0) / 1e3:.1f} | {p.dynamic_nj:.0f} |"
        )
    return rows
