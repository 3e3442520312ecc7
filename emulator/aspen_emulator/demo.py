"""The whole mission on real data in a few minutes: train, compile, sweep, and check against the real Lava runtime."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.packages import needed_for
from aspen._base.progress import bar
from aspen.calibration.points import OperatingPoint
from aspen.control import sparsest_worth_running
from aspen.data import Dataset
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, MissingDependencyError
from aspen.storage.outputs import make_folder
from aspen.storage.writing import write_atomically
from aspen.training.by_name import train_by_name
from aspen_emulator.engines.lava.shim import require_lava
from aspen_emulator.engines.run import run
from aspen_emulator.exploring.explored import Exploration
from aspen_emulator.exploring.measuring import Told, explore
from aspen_emulator.exploring.page import write_page
from aspen_emulator.exploring.streams import streamed
from aspen_emulator.measuring.bench import KNOBS, SCALES, Bench, sweep
from aspen_emulator.measuring.plots import Runs, plot_trained_once, spread
from aspen_emulator.measuring.sheets import points_to_rows, write_csv
from aspen_emulator.measuring.tables import calibrate
from aspen_emulator.streaming.goals import Goal
from aspen_emulator.streaming.opening import stream
from aspen_hardware.chips.description import chip
from aspen_hardware.compiling.compile import compile
from aspen_hardware.compiling.deployment import Deployment, deployment_on

if TYPE_CHECKING:
    from aspen.training.trained import Trained

CHIP, BOARD = "loihi1", "cortex-m4"
RECIPES = {"plain": "plain", "perturbed": "perturbed", "dialled": "aspen-joules"}
"""Network's name -> the recipe that it is trained by."""
DIALLED = "dialled"
WINDOW_SECONDS = 1.0
"""From digit to digit; a microcontroller sleeps in between."""
WORTH = 0.02
"""Accuracy that is given for energy in the headline."""
PARITY_SAMPLES = 8
PARITY_KNOBS = (0.0, 1.0)


@dataclass(frozen=True)
class DemoResult:
    """What the demo measured: sweeps by chip and network and float accuracies by network, one for each seed; and the
    check on Lava."""

    sweeps: dict[str, dict[str, list[list[OperatingPoint]]]]
    float_accuracy: dict[str, list[float]]
    parity: dict[str, Any]


def run_demo(
    folder: Path, *, seeds: int = 3, epochs: int | None = None, lava: bool = True, say: Callable[[str], None] = print
) -> DemoResult:
    """Train three kinds of networks for each seed, compile, turn their knobs on the test set, compare with Lava.

    Leaves ``network.aspen`` (the first seed's dialled network with its integers), ``explore.html`` (a page in which its
    knob can be turned), ``sweep.csv``, ``dial.png``, ``parity.json`` and ``summary.md`` in ``folder``.

    Args:
        folder: where the results go; made if missing.
        seeds: networks of each kind.
        epochs: of training; default: the recipes'.
        lava: whether to run the comparison on Lava.
        say: prints a line of progress.

    Raises:
        InputError: the folder cannot be made, or ``seeds`` is below 1.
        MissingDependencyError: torch, snnTorch, scikit-learn or matplotlib is missing, or Lava, which is wanted.
    """
    if seeds < 1:
        raise InputError(f"seeds: found {seeds}, allowed is 1 and more")
    for package in ("snntorch", "sklearn", "matplotlib"):
        with needed_for("the demo", package):
            import_module(package)
    if lava:
        _require_lava()
    make_folder(folder)
    from aspen.data import digits

    data = digits()
    spikes, labels = data.spikes("test"), data.test.labels
    sweeps: dict[str, dict[str, list[list[OperatingPoint]]]] = {on: {n: [] for n in RECIPES} for on in (CHIP, BOARD)}
    float_accuracy: dict[str, list[float]] = {name: [] for name in RECIPES}
    kept: Trained | None = None
    say(f"1/4  Train {seeds} plain, {seeds} perturbed and {seeds} dialled networks on {len(data.train)} digits")
    for name, how in RECIPES.items():
        for seed in range(seeds):
            trained = _trained(name, how, seed, epochs, say)
            if name == DIALLED and kept is None:
                kept = trained
            exact = run(trained.network, spikes)
            float_accuracy[name].append(float((exact.predictions == labels).mean()))
            for on in (CHIP, BOARD):
                sweeps[on][name].append(_sweep(trained, on, data, f"sweep {name}, seed {seed}, {on}"))
    say(f"2/4  Compiled for {CHIP} and {BOARD}, turned each knob over its range on {len(labels)} test digits")
    assert kept is not None  # seeds is at least 1
    deployments = _save(kept, folder)
    turned = "from {:g} to {:g}".format(*PARITY_KNOBS)
    say(f"3/4  Run {PARITY_SAMPLES} test digits on Lava, the knob of the dial turned {turned} half way")
    few = spikes[:, :PARITY_SAMPLES]
    assert kept.profile is not None  # of its recipe
    parity = compare_with_lava(deployments[CHIP], few, kept.profile) if lava else {"skipped": "asked to leave Lava out"}
    say(f"     {parity_line(parity)}")
    result = DemoResult(sweeps, float_accuracy, parity)
    write_results(result, folder)
    write_page(_page(kept, deployments[BOARD], data), folder / "explore.html")
    say(f"4/4  Wrote {folder}/: summary.md, dial.png, sweep.csv, network.aspen, parity.json, and explore.html: open it "
        f"in a browser and turn the knob")  # fmt: skip
    return result


def _trained(name: str, how: str, seed: int, epochs: int | None, say: Callable[[str], None]) -> Trained:
    fitted = train_by_name(how, seed=seed, epochs=epochs)
    if fitted.warning:
        say(f"     {name}, seed {seed}: {fitted.warning}")
    return fitted.export()


def _save(trained: Trained, folder: Path) -> dict[str, Deployment]:
    """Keep the network with its integers for both chips, and give these."""
    file = trained.file(folder / "network.aspen")
    deployments = {on: compile(trained.network, on, profile=trained.profile) for on in (CHIP, BOARD)}
    for on, deployment in deployments.items():
        file.put(deployment_on(on), deployment)
    file.save()
    return deployments


def _page(trained: Trained, deployment: Deployment, data: Dataset) -> Exploration:
    """What the page shows: the test digits on the microcontroller at every knob, and with a budget to hold."""
    spikes = data.spikes("test")
    step = WINDOW_SECONDS / len(spikes)
    bench = Bench(
        deployment, [spikes], data.test.labels, [chip(BOARD)], profile=trained.profile, step_time=step
    )  # fmt: skip
    told = Told("digits, dialled", f"{BOARD} integers", "digits test", "learned dial", data.class_names)
    with bar("page", 2 * len(KNOBS), "runs") as shown:
        found = explore(bench, KNOBS, told, original=trained.network, progress=shown.advance)
    held, labels = data.spikes("validation"), data.validation.labels
    table = calibrate(deployment, held, labels, KNOBS, profile=trained.profile, step_time=step)
    ends = table.best.knob, sparsest_worth_running(table)  # between which a controller turns it; beyond, it skips
    dear, cheap = (table.dynamic_nj(knob) / 1e3 for knob in ends)
    budget = f"{_total(table.best) - (dear - cheap) / 2:.3g}uJ/window"
    with stream(
        deployment, table, budget=budget, profile=trained.profile, window_seconds=WINDOW_SECONDS
    ) as running:  # fmt: skip
        allowed = Goal(budget=budget).dynamic_per_window(running.meter)
        windows = spikes.swapaxes(0, 1)
        recording = streamed(running, windows, f"a budget of {budget}", allowed=allowed, labels=data.test.labels)
    return replace(found, stream=recording)


def _require_lava() -> None:
    """Ask for Lava before minutes are spent on training."""
    try:
        require_lava()
    except MissingDependencyError as error:
        raise MissingDependencyError(f"{error}; or leave the comparison out with --no-lava") from error


def _sweep(trained: Trained, on: str, data: Dataset, title: str) -> list[OperatingPoint]:
    """At threshold scales, or at knobs of the learned dial; on the microcontroller with sleep between windows."""
    knobs = SCALES if trained.profile is None else KNOBS
    spikes, labels = data.spikes("test"), data.test.labels
    deployment = compile(trained.network, on, profile=trained.profile)
    step_time = WINDOW_SECONDS / len(spikes) if chip(on).powered.get("rule") == "sleep" else None
    with bar(title, len(knobs), "knobs") as shown:
        return list(
            sweep(deployment, spikes, labels, knobs, profile=trained.profile, step_time=step_time,
                  progress=lambda point: shown.advance())
        )  # fmt: skip


def compare_with_lava(deployment: Deployment, spikes: Array, profile: DialProfile) -> dict[str, Any]:
    """Run on Lava and on our integer engine with the knob turned half way; compare every spike of every population.

    Args:
        deployment: what to run.
        spikes: (time, samples, *input_shape).
        profile: the network's dial, which is turned from its accurate end to its frugal one.

    Returns:
        plain values for ``parity.json``.

    Raises:
        MissingDependencyError: Lava is not installed.
        EngineError: Lava failed, or did not answer in time.
    """
    steps = len(spikes)
    knob = np.where(np.arange(steps) < steps // 2, *PARITY_KNOBS)
    scales = [profile.scale(k) for k in knob]
    turned = {name: np.concatenate([each[name] for each in scales]) for name in profile.slopes}
    ours, lava = (
        run(deployment, spikes, turned, engine=engine, record="spikes").rasters for engine in ("fast", "lava")
    )
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
        "knob": [float(k) for k in knob],
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
        for on, networks in result.sweeps.items()
        for name, runs in networks.items()
        for seed, points in enumerate(runs)
        for row in points_to_rows(points, chip=on, network=name, seed=seed)
    ]
    write_csv(folder / "sweep.csv", rows)
    write_atomically(folder / "parity.json", json.dumps(result.parity, indent=2).encode())
    _draw(result, folder / "dial.png")
    write_atomically(folder / "summary.md", summary(result).encode())


def _draw(result: DemoResult, path: Path) -> None:
    on_chip, on_board = result.sweeps[CHIP], result.sweeps[BOARD]
    seeds = len(on_chip["plain"])
    title = (
        f"Trained once, run at any knob: handwritten digits in integers ({seeds} seed{'s' * (seeds > 1)}, bands from "
        f"the lowest to the highest)"
    )
    scaled = {name: runs for name, runs in on_chip.items() if name != DIALLED}
    dialled = {("Cortex-M4", "with sleep"): on_board[DIALLED], ("Loihi 1", "the whole chip"): on_chip[DIALLED]}
    plot_trained_once(scaled, on_board, dialled, path, title, on="a Cortex-M4")


def headline(result: DemoResult) -> list[str]:
    """What the numbers say, in words, computed from the sweeps."""
    on_chip = result.sweeps[CHIP]
    plain, perturbed, dialled = (on_chip[name] for name in RECIPES)
    at_one = _mean_at(plain, 1.0)
    frugal = _cheapest(perturbed, at_one.accuracy - WORTH, lambda point: point.hidden_spikes)
    lines = [
        f"- {name}: best accuracy {max(_accuracies(runs)):.1%}, "
        f"worst for a threshold scale from 0.5 to 2: {min(_accuracies(runs, 0.5, 2.0)):.1%}; "
        f"floating point {np.mean(result.float_accuracy[name]):.1%} at 1, integers {_mean_at(runs, 1.0).accuracy:.1%}"
        for name, runs in on_chip.items()
        if name != DIALLED
    ]
    lines.append(
        f"- {DIALLED}: {_mean_at(dialled, 0.0).accuracy:.1%} at knob 0, {_mean_at(dialled, 1.0).accuracy:.1%} at 1; "
        f"floating point {np.mean(result.float_accuracy[DIALLED]):.1%} at 0"
    )
    if frugal is not None:
        ratio = at_one.hidden_spikes / frugal.hidden_spikes
        lines.append(
            f"- within 2 points of the plain network at 1 ({at_one.accuracy:.1%}), the perturbed one needs "
            f"{frugal.hidden_spikes:.0f} hidden spikes (threshold scale {frugal.knob:g}) where the plain one spends "
            f"{at_one.hidden_spikes:.0f}: {ratio:.1f}x fewer"
        )
    return [*lines, *_battery_lines(result), f"- {parity_line(result.parity)}"]


def _battery_lines(result: DemoResult) -> list[str]:
    """What a battery sees on the microcontroller, which sleeps, and on the chip, which does not."""
    board, whole = (_mean_points(result.sweeps[on][DIALLED]) for on in (BOARD, CHIP))
    plain = _mean_at(result.sweeps[BOARD]["plain"], 1.0)
    frugal = _cheapest(result.sweeps[BOARD][DIALLED], board[0].accuracy - WORTH, _total)
    assert frugal is not None  # knob 0 itself is
    return [
        f"- a battery on a Cortex-M4 (one digit in {WINDOW_SECONDS:g} s, sleep included) sees {_total(board[0]):.1f} "
        f"µJ per digit at knob 0 of the dial ({board[0].accuracy:.1%}), {_total(frugal):.1f} at {frugal.knob:g} "
        f"({frugal.accuracy:.1%}) and {_total(board[-1]):.1f} at 1 ({board[-1].accuracy:.1%}), of it "
        f"{(plain.static_nj or 0.0) / 1e3:.1f} asleep; with the plain network {_total(plain):.1f}",
        f"- on Loihi 1 it sees {_total(whole[0]):,.0f} µJ: the whole chip, powered for steps as long as measured; the "
        f"dial moves {1 - _total(whole[-1]) / _total(whole[0]):.2%} of that, and {_dynamic(whole[0]):.2f} to "
        f"{_dynamic(whole[-1]):.2f} µJ of dynamic energy",
    ]


def _total(point: OperatingPoint) -> float:
    """µJ per inference."""
    return (point.total_nj or 0.0) / 1e3


def _dynamic(point: OperatingPoint) -> float:
    return (point.dynamic_nj or 0.0) / 1e3


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


def _cheapest(runs: Runs, accuracy: float, cost: Callable[[OperatingPoint], float]) -> OperatingPoint | None:
    fitting = [point for point in _mean_points(runs) if point.accuracy >= accuracy]
    return min(fitting, key=cost, default=None)


def summary(result: DemoResult) -> str:
    """The summary as Markdown: headline and one table for each network."""
    seeds = len(result.sweeps[CHIP]["plain"])
    lines = [
        "# ASPEN demo",
        "",
        f"Handwritten digits, test set, integers; means over {seeds} seeds.",
        "",
        *headline(result),
    ]
    for on, networks in result.sweeps.items():
        for name, runs in networks.items():
            lines += ["", f"## {name} on {on}", "", *_table(runs)]
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
            f"{_total(p):.1f} | {p.dynamic_nj:.0f} |"
        )
    return rows
