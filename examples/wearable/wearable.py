"""A wearable that holds an energy budget by itself: human activities from a stream of samples, all of it in C.

    python examples/wearable/wearable.py [--hours 2] [--save 0.3] [--output runs/wearable]
    python examples/wearable/wearable.py --har 'UCI HAR Dataset' --hapt RawData

A network is trained with a dial that switches neurons off, calibrated, and written as C with its early end, its encoder
and the controller of the budget (``wrist.c``, ``wrist_encoder.c``, ``wrist_budget.c``). Beside them, ``firmware.c``
takes one sample of the sensor after the other and sleeps in between, and from an early end to the next window. It runs
on this machine and, where the extra ``microcontroller`` is installed, on an emulated Cortex-M4, where cycles are
counted. Python goes through the same stream: every decision, answer and unit of energy must be the same.

The motion is made up, unless you have UCI HAR to train on and UCI HAPT to stream.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aspen
from aspen.control import Budget, Controller, FixedBudget, ended_early
from aspen.data import CurrentEncoder, Dataset, LevelEncoder, arrays
from aspen.errors import MissingDependencyError
from aspen.models import DenseNet
from aspen.training.recipes import Recipe, recipe
from aspen.units import format_energy, format_power
from aspen_emulator import calibrate
from aspen_emulator.engines.c.compiler import compiled
from aspen_emulator.streaming import Meter, Stream, Window
from aspen_emulator.streaming.plot import plot_stream
from aspen_hardware import Deployment, Sensor, chip, compile, sensor_encoder, to_c
from aspen_hardware.c.budget import in_units
from aspen_hardware.energy.microcontroller import cycle, wake_up

Array = np.ndarray[Any, Any]
HERE = Path(__file__).parent
PREFIX, CHIP = "wrist", "cortex-m4"
RATE, SAMPLES, EVERY = 50.0, 128, 8
"""Samples in a second, in a window, and in a time step."""
STEPS, SECONDS = SAMPLES // EVERY, SAMPLES / RATE
KNOBS = tuple(k / 10 for k in range(11))
SENSOR = Sensor(scale=1 / 8192)
"""An accelerometer of 4 g, 16 bits."""
BESIDE = 28_000
"""Clock cycles of a window beside the network's: encoder, knob, controller and firmware, as counted in the emulator."""
REPORT = np.dtype([("left", "<i8"), ("spent", "<u4"), ("answer", "<i4"),
                   *((name, "<u2") for name in ("setting", "steps", "ran", "cut"))])  # fmt: skip
"""``struct window`` of firmware.h."""
CLASSES = ("resting", "strolling", "walking", "running")
STRIDES = ((0.0, 0.0, 0.03), (1.2, 1.8, 0.12), (1.7, 2.2, 0.3), (2.4, 3.0, 0.8))
"""Of each class: strides a second, at least and at most, and how far they move the sensor, in g."""


@dataclass(frozen=True)
class Wearable:
    """What is trained, and what it has to run on."""

    deployment: Deployment
    profile: aspen.DialProfile
    encoder: LevelEncoder
    table: aspen.CalibrationTable


def motion(label: int, samples: int, rng: np.random.Generator) -> Array:
    """(samples, 3) acceleration in g of someone with the sensor at the wrist, held at any angle."""
    low, high, far = STRIDES[label]
    phase = 2 * np.pi * (rng.uniform(low, high) * np.arange(samples) / RATE + rng.random())
    swing = np.stack([np.sin(phase), np.cos(phase), 0.5 * np.sin(2 * phase)], axis=-1)
    down = np.array([0.9, 0.1, 0.3]) + rng.normal(0, 0.15, 3)
    return down / np.linalg.norm(down) + far * rng.uniform(0.6, 1.4) * swing + rng.normal(0, 0.03, (samples, 3))


def made_up(windows: int, seed: int) -> Dataset:
    """Windows of all activities, as the sensor measures them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), windows)
    values = np.stack([motion(label, SAMPLES, rng) for label in labels])
    encoder = LevelEncoder(CurrentEncoder(), levels=12, every=EVERY)
    measured = SENSOR.values(SENSOR.raw(values))
    return arrays(measured, labels, encoder=encoder, class_names=CLASSES, name="made-up motion")


def made_up_stream(hours: float, seed: int) -> tuple[Array, Array]:
    """(windows, 128, 3) raw integers of a day of rest, with walks and runs; and the activities."""
    rng, raw, labels = np.random.default_rng(seed), list[Array](), list[int]()
    while len(labels) * SECONDS < hours * 3600:
        label, length = int(rng.choice(len(CLASSES), p=(0.5, 0.2, 0.2, 0.1))), int(rng.integers(8, 50))
        raw.append(SENSOR.raw(motion(label, length * SAMPLES, rng)).reshape(length, SAMPLES, -1))
        labels += [label] * length
    count = round(hours * 3600 / SECONDS)
    return np.concatenate(raw)[:count], np.array(labels)[:count]


def recorded(har_path: str, hapt_path: str) -> tuple[Dataset, Array, Array]:
    """UCI HAR to train on, without the people of UCI HAPT, whose recordings are streamed."""
    sys.path.insert(0, str(HERE.parent))
    from hapt_budget import TOTAL, people, windows_of

    recordings = aspen.data.hapt_recordings(hapt_path)
    encoder = LevelEncoder(CurrentEncoder(), levels=16, every=EVERY)
    data = aspen.data.har(har_path, channels=TOTAL, without_subjects=people(recordings), encoder=encoder)
    values, labels = windows_of(recordings)
    return data, SENSOR.raw(values), labels


def method(epochs: int) -> Recipe:
    """The recipe for joules, with so many epochs in each stage. Nothing is pruned: a step has few input spikes."""
    return recipe("aspen-joules").each(lambda stage: replace(stage, epochs=epochs, density=1.0))


def train(data: Dataset, hidden: int, epochs: int, max_loss: float) -> Wearable:
    """Train with a dial, compile for the microcontroller, and measure what each knob costs there, and when inferences
    may end early."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    layers = (*data.input_shape, hidden, hidden, data.classes)
    model = DenseNet(layers, batch_norm=True, learn_beta=True, readout="linear")
    trained = aspen.fit(model, data, method(epochs)).export()
    assert trained.profile is not None  # of the recipe's dial
    assert isinstance(data.encoder, LevelEncoder)
    deployment = compile(trained.network, CHIP, profile=trained.profile)
    shown = sensor_encoder(data.encoder, SENSOR, deployment.network).encode(SENSOR.raw(data.validation.values))
    table = calibrate(
        deployment, shown, data.validation.labels, KNOBS, on=CHIP, profile=trained.profile,
        step_time=EVERY / RATE, max_loss=max_loss,
    )  # fmt: skip
    return Wearable(deployment, trained.profile, data.encoder, table)


def account(wearable: Wearable) -> tuple[Meter, float]:
    """What events cost, in whole units, and the unit: joules of a sixteenth of a clock cycle."""
    unit = cycle(chip(CHIP)).typical / 16
    meter = Meter.of(wearable.deployment, chip(CHIP), STEPS, EVERY / RATE)
    beside = BESIDE * cycle(chip(CHIP)).typical + (SAMPLES - STEPS) * wake_up(chip(CHIP)).typical  # at every sample
    meter = replace(meter, static_watts=meter.static_watts + beside / SECONDS)
    return in_units(meter, meter.network, unit), unit


def controller(wearable: Wearable, meter: Meter, unit: float, allowed: float) -> FixedBudget:
    """Holds ``allowed`` joules a window, beside what sleep, samples and encoder take; windows are skipped only where
    the dial is at its end."""
    watts, table = allowed / SECONDS + meter.static_watts, ended_early(wearable.table)
    held = Budget(table, watts, SECONDS, meter.worst_step, static_watts=meter.static_watts,
                  sparsest=table.cheapest.knob)  # fmt: skip
    return FixedBudget(held, unit, wearable.profile)


def in_python(wearable: Wearable, meter: Meter, held: Controller, raw: Array) -> tuple[list[Window], Array]:
    """The stream through Python's engine, encoder and controller: its windows, and as the firmware reports them."""
    spikes = sensor_encoder(wearable.encoder, SENSOR, wearable.deployment.network).encode(raw).swapaxes(0, 1)
    windows, rows = list[Window](), np.zeros(len(spikes), REPORT)
    with Stream(wearable.deployment, meter, held, profile=wearable.profile, early=wearable.table.early) as running:
        for row, given in zip(rows, spikes, strict=True):
            row["setting"] = held.setting if isinstance(held, FixedBudget) else 0
            windows.append(running.window(given))
            done = windows[-1]
            row["answer"], row["steps"], row["ran"], row["cut"] = done.prediction, done.steps, done.ran, done.cut
            if isinstance(held, FixedBudget):
                row["spent"], row["left"] = round(done.dynamic / held.numbers.unit), held.units_left
    return windows, rows


def sources(folder: Path) -> dict[str, str]:
    """The generated files and the firmware; ``main.c`` comes on top."""
    generated = [path for path in folder.iterdir() if path.suffix in (".c", ".h") and path.name != "example.c"]
    return {path.name: path.read_text() for path in [*generated, HERE / "firmware.c", HERE / "firmware.h"]}


FLAGS = (f"-D{PREFIX}_COUNTERS", f"-DWINDOW={SAMPLES}")


def on_this_machine(folder: Path, raw: Array) -> Array:
    """The stream through the C program: what it reports of each window."""
    program = compiled({**sources(folder), "main.c": (HERE / "main.c").read_text()}, FLAGS)
    done = subprocess.run([program], input=raw.astype("<i2").tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, REPORT)


def on_a_core(folder: Path, raw: Array) -> tuple[Array, Array]:
    """The same on an emulated Cortex-M4; and the clock cycles of each window, samples included."""
    from aspen_emulator.engines.cortex_m.cores import core_named
    from aspen_emulator.engines.cortex_m.counting import Meter as Counter
    from aspen_emulator.engines.cortex_m.image import Image
    from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine
    from aspen_emulator.engines.cortex_m.toolchain import cross_compiled

    core = core_named(CHIP)
    machine = Machine(Image(cross_compiled(sources(folder), core, ("start", "on_sample"), FLAGS)), core)
    counter, rows, cycles = Counter(machine), list[bytes](), np.zeros(len(raw))
    counter.call("start")
    for index, window in enumerate(raw.astype("<i2")):
        for sample in window:
            machine.write(EXCHANGE, sample.tobytes())
            address, parts = counter.call("on_sample", EXCHANGE)
            cycles[index] += sum(part.cycles.typical for part in parts.values())
        rows.append(machine.read(address, REPORT.itemsize))
    return np.frombuffer(b"".join(rows), REPORT), cycles


def check_same(python: Array, found: Array, where: str) -> None:
    """Stop unless every decision, answer and unit of energy is the same."""
    differing = np.flatnonzero(python[: len(found)] != found)
    if differing.size:
        first = int(differing[0])
        raise SystemExit(f"{where}: window {first} is {found[first]}, in Python {python[first]}")
    print(f"{where}: {len(found)} windows, every decision, answer and unit of energy as in Python")


def told(what: str, windows: Sequence[Window], labels: Array, meter: Meter) -> None:
    """What came of it."""
    ran = [window for window in windows if window.ran]
    steps = np.mean([window.steps for window in ran])
    costs, known = np.array([window.dynamic for window in windows]), labels >= 0
    right = np.array([window.prediction for window in windows])[known] == labels[known]
    knob, skipped = np.mean([w.knob for w in ran]), 1 - len(ran) / len(windows)
    print(
        f"{what}: {right.mean():.1%} of the windows right, knob {knob:.2f} on average, {steps:.1f} of {STEPS} steps, "
        f"{skipped:.1%} skipped; {format_energy(costs.mean())} a window, with sleep, samples and encoder "
        f"{format_power(costs.mean() / SECONDS + meter.static_watts)}"
    )


def worst_hour(windows: Sequence[Window]) -> float:
    """Joules of a window in the hour that took most, or in all where there is less than an hour."""
    total = np.concatenate([[0.0], np.cumsum([window.dynamic for window in windows])])
    hour = min(round(3600 / SECONDS), len(windows))
    return float((total[hour:] - total[:-hour]).max()) / hour


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--har", help="UCI HAR, folder or zip as published; needs --hapt")
    parser.add_argument("--hapt", help="UCI HAPT's raw data, folder or zip as published")
    parser.add_argument("--hours", type=float, default=2.0, help="of made-up motion")
    parser.add_argument("--windows", type=int, default=1200, help="of it to train and test with")
    parser.add_argument("--save", type=float, default=0.3,
                        help="of the energy of windows, where the knob is most accurate")  # fmt: skip
    parser.add_argument("--max-loss", type=float, default=0.01, help="of accuracy, by ending inferences early")
    parser.add_argument("--hidden", type=int, default=64, help="neurons of each of two hidden layers")
    parser.add_argument("--epochs", type=int, default=24, help="of each stage")
    parser.add_argument("--emulate", type=int, default=40, help="windows to run on the emulated core")
    parser.add_argument("--output", type=Path, default=Path("runs/wearable"))
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.har is None:
        data = made_up(options.windows, seed=0)
        raw, labels = made_up_stream(options.hours, seed=1)
    else:
        data, raw, labels = recorded(options.har, options.hapt)
    wearable = train(data, options.hidden, options.epochs, options.max_loss)
    print(wearable.table)

    meter, unit = account(wearable)
    free, _ = in_python(wearable, meter, aspen.Manual(wearable.table.best.knob), raw)
    allowed = (1 - options.save) * float(np.mean([window.dynamic for window in free]))
    budget = controller(wearable, meter, unit, allowed)
    folder = options.output / PREFIX
    program = to_c(wearable.deployment, folder, PREFIX, profile=wearable.profile, early=wearable.table.early,
                   encoder=wearable.encoder, sensor=SENSOR, budget=budget, prices=meter)  # fmt: skip
    print(f"{folder}: the network takes {program.ram:,} bytes of RAM and {program.flash:,} of flash for tables")

    told("without a budget", free, labels, meter)
    windows, python = in_python(wearable, meter, budget, raw)
    told(f"held to {format_energy(allowed)} a window", windows, labels, meter)
    worst = worst_hour(windows)
    print(
        f"in the worst hour {format_energy(worst)} a window: the budget is {'held' if worst <= allowed else 'not held'}"
    )
    check_same(python, on_this_machine(folder, raw), "C on this machine")
    try:
        found, cycles = on_a_core(folder, raw[: options.emulate])
    except (MissingDependencyError, ModuleNotFoundError) as error:
        print(f"not run on an emulated core: {error}")
    else:
        check_same(python, found, "C on an emulated Cortex-M4")
        joules = cycle(chip(CHIP)).typical
        priced = float(sum(window.dynamic for window in windows[: len(cycles)])) / joules
        print(
            f"clock cycles of a window: {cycles.mean():,.0f} counted, encoder and controller included; "
            f"{priced / len(cycles) + BESIDE:,.0f} in the account"
        )
    plot_stream(windows, options.output / "stream.png", "a budget held on a wearable", allowed, labels,
                data.class_names, dial=True)  # fmt: skip


if __name__ == "__main__":
    main()
