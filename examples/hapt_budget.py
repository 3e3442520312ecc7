"""Hold an energy budget on a stream of human motion: train on UCI HAR, stream UCI HAPT, with the dial in a closed loop.

    python examples/hapt_budget.py --har 'UCI HAR Dataset' --hapt RawData [--chip cortex-m4] [--seeds 3]

The network sees total acceleration only, and nobody of the recordings that it is judged on. It is trained and
calibrated on UCI HAR, with a dial that switches neurons off, compiled to the integers of a chip, and streamed over HAPT
in windows of 128 samples, each begun at rest as in training. Energies are dynamic (on a microcontroller those of the
core while it runs, and of waking up) unless said otherwise; static power (there: asleep) does not depend on the dial.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aspen
from aspen.calibration import CALIBRATION, CalibrationTable, find_table
from aspen.control import Battery, Budget, Controller, Manual, Spent, ended_early, sparsest_worth_running
from aspen.data import (
    CurrentEncoder,
    Dataset,
    LevelEncoder,
    MotionAugmentation,
    Recording,
    hapt_recordings,
    har,
    load_encoder,
)
from aspen.models import DenseNet
from aspen.storage.file import AspenFile
from aspen.storage.writing import write_atomically
from aspen.training.recipes import Recipe, recipe
from aspen_emulator import calibrate
from aspen_emulator.streaming import Meter, Stream, Window
from aspen_hardware import Deployment, chip, compile, deployment_on, load_deployment

SAMPLES, EVERY, RATE = 128, 8, 50.0
"""Samples of a window, samples of a time step, samples in a second."""
STEPS = SAMPLES // EVERY
STEP_TIME = EVERY / RATE
FACTORS = (1.3, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
TOTAL_FACTORS = (1.2, 1.5, 2.0)
KNOBS = tuple(k / 20 for k in range(21))
ACTIVITIES = 6
TOTAL = ("total_acc_x", "total_acc_y", "total_acc_z")


@dataclass(frozen=True, eq=False)
class Setup:
    """What is streamed, on what: (windows, steps, inputs) spikes; (windows,) labels, -1 where there is none."""

    deployment: Deployment
    profile: aspen.DialProfile
    table: CalibrationTable
    meter: Meter
    spikes: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Result:
    """One way through the stream."""

    windows: list[Window]
    accuracy: float
    joules: float
    static: float

    @property
    def skipped(self) -> int:
        return sum(not window.ran for window in self.windows)

    @property
    def alarms(self) -> int:
        return sum(bool(window.alarm) for window in self.windows)


def method(epochs: int | None) -> Recipe:
    """The recipe for joules. Nothing is pruned: where a step has three input spikes there is little to save by it."""
    return recipe("aspen-joules").each(lambda stage: replace(stage, epochs=epochs or 40, density=1.0))


def people(recordings: Sequence[Recording]) -> set[int]:
    return {recording.subject for recording in recordings}


def train(data: Dataset, path: Path, seed: int, epochs: int | None) -> None:
    """Train, and keep the network with its dial and its encoder."""
    torch.manual_seed(seed)
    model = DenseNet((*data.input_shape, 128, 128, ACTIVITIES), batch_norm=True, learn_beta=True, readout="linear")
    aspen.fit(model, data, method(epochs), seed=seed).export().save(path)


def compiled(path: Path, data: Dataset, on: str, max_loss: float) -> None:
    """Compile for a chip and calibrate there; that goes into the same file."""
    profile, spikes = aspen.load_profile(path), data.spikes("validation")
    deployment = compile(aspen.load_network(path), on, profile=profile)
    table = calibrate(
        deployment, spikes, data.validation.labels, KNOBS, profile=profile, max_loss=max_loss, step_time=STEP_TIME,
        data="har validation",
    )  # fmt: skip
    file = AspenFile.open(path)
    file.put(deployment_on(on), deployment)
    file.put(CALIBRATION, [table])
    file.save()


def windows_of(recordings: Sequence[Recording]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(windows, 128, 3) values without overlap, and labels: one of the six activities throughout, or -1."""
    values, labels = [], []
    for recording in recordings:
        count = len(recording) // SAMPLES
        values.append(recording.values[: count * SAMPLES].reshape(count, SAMPLES, -1))
        each = recording.labels[: count * SAMPLES].reshape(count, SAMPLES)
        single = (each == each[:, :1]).all(axis=1) & (each[:, 0] < ACTIVITIES)
        labels.append(np.where(single, each[:, 0], -1))
    return np.concatenate(values), np.concatenate(labels)


def load(path: Path, recordings: Sequence[Recording], on: str) -> Setup:
    file = AspenFile.open(path)
    deployment, table = load_deployment(file, on), find_table(file)
    assert table is not None  # compiled() saves one
    values, labels = windows_of(recordings)
    spikes = load_encoder(file).encode(values).swapaxes(0, 1)
    meter = Meter.of(deployment, chip(on), STEPS, STEP_TIME)
    return Setup(deployment, aspen.load_profile(file), table, meter, spikes, labels)


def stream(setup: Setup, controller: Controller, early: bool = False, spikes: Any = None) -> Result:
    """Run the whole stream, or other ``spikes``."""
    options = {"profile": setup.profile, "table": setup.table, "early": setup.table.early if early else None}
    with Stream(setup.deployment, setup.meter, controller, **options) as running:
        found = list(running.run(setup.spikes if spikes is None else spikes))
    known = setup.labels >= 0
    answers = np.array([window.prediction for window in found])
    right = float((answers == setup.labels)[known].mean()) if spikes is None else float("nan")
    return Result(found, right, running.dynamic, running.static)


def budget(setup: Setup, joules: float, early: bool, *, total: bool = False, whole_dial: bool = True) -> Budget:
    """A controller for ``joules`` per window, dynamic or in total; it turns the dial to its end before it skips."""
    seconds = setup.meter.window_seconds
    table = ended_early(setup.table) if early else setup.table
    end = table.cheapest.knob if whole_dial else None
    static = setup.meter.static_watts if total else 0.0
    return Budget(table, joules / seconds, seconds, setup.meter.worst_step, static_watts=static, count_static=total,
                  sparsest=end)  # fmt: skip


def fixed_dials(setup: Setup, early: bool) -> dict[float, Result]:
    """The whole stream at fixed settings."""
    return {knob: stream(setup, Manual(knob), early) for knob in KNOBS}


def thin_out(setup: Setup, found: Result, joules: float) -> float:
    """Accuracy where a share of the windows is skipped, evenly spread, so that only ``joules`` are spent.

    Windows do not depend on each other, so this needs no other run.
    """
    controller, answers, last = Manual(0.0, min(1.0, joules / found.joules)), [], -1
    for window in found.windows:
        last = window.prediction if controller.decision.run else last
        answers.append(last)
        controller.update(Spent(1.0, 0.0, 0.0))
    known = setup.labels >= 0
    return float((np.array(answers) == setup.labels)[known].mean())


def hold_budgets(setup: Setup) -> list[dict[str, Any]]:
    """Budgets below what the network spends at the accurate end of its dial: dynamic energy with the dial alone and
    with early ends, and total energy with the dial alone.

    They are compared with fixed dials: ``best``, the most accurate of those that spend no more; and ``oracle``, the
    best of all settings with and without skipping. Both are chosen on the stream's own labels.
    """
    whole, rows = stream(setup, Manual(0.0)), []
    asleep = setup.meter.static_watts * setup.meter.window_seconds
    for early in (False, True):
        fixed, table = fixed_dials(setup, early), ended_early(setup.table) if early else setup.table
        for total, factors in ((False, FACTORS), (True, () if early else TOTAL_FACTORS)):
            full = whole.joules / len(whole.windows) + (asleep if total else 0.0)
            for factor in factors:
                allowed = full / factor
                if allowed - (asleep if total else 0.0) < 0.1 * table.cheapest.dynamic_nj * 1e-9:
                    continue  # static power alone takes it
                if early and allowed > table.best.dynamic_nj * 1e-9:
                    continue  # ending early saves more than is asked for
                found = stream(setup, budget(setup, allowed, early, total=total), early)
                spent = found.joules / len(found.windows) + (asleep if total else 0.0)
                rows.append({"early": early, "total": total, "factor": factor, "spent": spent / allowed,
                             **_compared(setup, found, fixed, whole)})  # fmt: skip
    return rows


def _compared(setup: Setup, found: Result, fixed: dict[float, Result], whole: Result) -> dict[str, Any]:
    """A way through the stream beside the fixed dials that spend no more."""
    cheap = [each.accuracy for each in fixed.values() if each.joules <= found.joules * 1.005]
    ran = [window for window in found.windows if window.ran]
    return {
        "accuracy": found.accuracy,
        "best": max(cheap, default=None),
        "oracle": max(thin_out(setup, each, found.joules) for each in fixed.values()),
        "uncontrolled": whole.accuracy,
        "skipped": found.skipped / len(found.windows),
        "knob": float(np.mean([window.knob for window in ran])),
        "steps": float(np.mean([window.steps for window in ran])),
        "alarms": found.alarms,
    }


def levers(setup: Setup) -> dict[str, Any]:
    """What a window costs at the accurate end, and what each lever alone takes away from it."""
    table = setup.table
    sparse = sparsest_worth_running(table)
    cases = {"none": (0.0, False), "dial": (sparse, False), "early": (0.0, True), "both": (sparse, True)}
    found = {name: stream(setup, Manual(knob), early) for name, (knob, early) in cases.items()}
    costs = np.array([window.dynamic for window in found["none"].windows])
    by_activity = [float(costs[setup.labels == each].mean()) for each in np.unique(setup.labels) if each >= 0]
    return {name: (each.joules / len(each.windows) * 1e9, each.accuracy) for name, each in found.items()} | {
        "activities_nj": (min(by_activity) * 1e9, max(by_activity) * 1e9)
    }


def empty_battery(setup: Setup) -> dict[str, float]:
    """A battery that is to be empty at the end of the stream, half the dynamic energy of the uncontrolled network."""
    whole, seconds = stream(setup, Manual(0.0)), len(setup.spikes) * setup.meter.window_seconds
    dynamic, static = whole.joules / 2, setup.meter.static_watts * seconds
    controller = Battery(setup.table, dynamic + static, seconds, setup.meter.window_seconds, setup.meter.worst_step,
                         static_watts=setup.meter.static_watts)  # fmt: skip
    found = stream(setup, controller)
    return {"left": controller.state_of_charge, "dynamic_left": controller.free / dynamic, "accuracy": found.accuracy}


def thinned(setup: Setup, share: float) -> Any:
    """The stream with each input spike kept at random with probability ``share``."""
    rng = np.random.default_rng(0)
    return setup.spikes & (rng.random(setup.spikes.shape) < share).astype(np.uint8)


def jump(setup: Setup) -> dict[str, float]:
    """Inputs five times denser from one window to the next: windows until the budget is held again."""
    spikes, half = thinned(setup, 0.2), len(setup.spikes) // 2
    spikes[half:] = setup.spikes[half:]
    allowed = stream(setup, Manual(0.0)).joules / len(setup.spikes) / 1.3
    found = stream(setup, budget(setup, allowed, early=False), spikes=spikes)
    costs = np.array([window.dynamic for window in found.windows])
    mean = np.convolve(costs[half:], np.ones(10) / 10, "valid")  # of ten windows, as they differ
    return {
        "before": float(costs[max(half - 50, 0) : half].mean() / allowed),
        "first": float(costs[half] / allowed),
        "settled_after": int(np.argmax(mean <= 1.2 * allowed)),
        "hour": worst_hour(setup, costs) / (allowed * 3600 / setup.meter.window_seconds),
    }


def worst_hour(setup: Setup, costs: Any) -> float:
    """The most that any hour took."""
    total, hour = np.concatenate([[0.0], np.cumsum(costs)]), int(3600 / setup.meter.window_seconds)
    return float((total[hour:] - total[:-hour]).max()) if len(costs) >= hour else float(total[-1])


def drained(setup: Setup, hours: float = 3.0) -> dict[str, Any]:
    """Attacks by dense noise, and by inputs optimised to make the network spike, after a while of the stream."""
    from drain import optimised

    count, calm = int(hours * 3600 / setup.meter.window_seconds), len(setup.spikes) // 4
    allowed = stream(setup, Manual(0.0)).joules / len(setup.spikes) / 1.5
    noise = np.random.default_rng(0).integers(0, 2, (16, *setup.spikes.shape[1:]), np.uint8)
    levels = setup.spikes.shape[2] // len(TOTAL)
    attacks = {
        "noise": noise,
        "optimised": optimised(setup.deployment.network, STEPS, count=4),
        "optimised, possible for the sensor": optimised(setup.deployment.network, STEPS, count=4, one_of=levels),
    }
    rows = {}
    for name, attack in attacks.items():
        spikes = np.concatenate([setup.spikes[:calm], np.resize(attack, (count, *attack.shape[1:]))])
        free = stream(setup, Manual(0.0), spikes=attack)
        found = stream(setup, budget(setup, allowed, early=False), spikes=spikes)
        costs = np.array([window.dynamic for window in found.windows])
        rows[name] = {
            "uncontrolled": free.joules / len(attack) / allowed,
            "hour": worst_hour(setup, costs) / (allowed * 3600 / setup.meter.window_seconds),
            "mean": float(costs[calm:].mean() / allowed),
            "reported": sum(bool(w.alarm) for w in found.windows[calm:]) / sum(w.ran for w in found.windows[calm:]),
        }
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--har", required=True, help="UCI HAR, folder or zip as published")
    parser.add_argument("--hapt", required=True, help="HAPT's raw data, folder or zip as published")
    parser.add_argument("--chip", default="cortex-m4", help="loihi1, for one that switches nothing off")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="of each stage, for a quick try")
    parser.add_argument("--max-loss", type=float, default=0.01, help="of accuracy, by ending inferences early")
    parser.add_argument("--output", type=Path, default=Path("runs/hapt_budget"))
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    recordings = hapt_recordings(options.hapt)
    data = har(
        options.har, channels=TOTAL, without_subjects=people(recordings),
        encoder=LevelEncoder(CurrentEncoder(), levels=16, every=EVERY), augment=MotionAugmentation(moving=0),
    )  # fmt: skip
    found = []
    for seed in range(options.seeds):
        path = options.output / f"network-{seed}.aspen"
        if not path.is_file():
            train(data, path, seed, options.epochs)
        compiled(path, data, options.chip, options.max_loss)
        setup = load(path, recordings, options.chip)
        found.append({
            "seed": seed, "chip": options.chip,
            "windows": len(setup.spikes), "labelled": int((setup.labels >= 0).sum()),
            "asleep": setup.meter.static_watts * setup.meter.window_seconds,
            "budgets": hold_budgets(setup), "levers": levers(setup), "battery": empty_battery(setup),
            "jump": jump(setup), "drain": drained(setup),
        })  # fmt: skip
        print(json.dumps(found[-1], indent=1))
    write_atomically(options.output / f"results-{options.chip}.json", json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
