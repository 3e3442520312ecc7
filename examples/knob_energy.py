"""What a microcontroller takes from a battery over the knob: cycles in the emulator, sleep, wake-ups.

    pip install "aspen-snn[microcontroller]"
    python examples/knob_energy.py
    python examples/knob_energy.py net.aspen --data har-levels --data-path "UCI HAR Dataset.zip" --window-time 2.56

Without a network one is trained on handwritten digits, with a dial that switches neurons off: the program's loops end
before these. Without the extra the cycles are those of the chip file's model.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

import aspen
from aspen._base.tables import Table
from aspen.data import load_dataset
from aspen.errors import MissingDependencyError
from aspen.models import DenseNet
from aspen.units import format_energy
from aspen_emulator import run, sweep
from aspen_emulator.measuring.plots import plot_dial
from aspen_emulator.measuring.programs import counted_cycles
from aspen_emulator.measuring.sheets import points_to_rows, write_csv
from aspen_hardware import chip, compile, energy_model

HEAD = ("knob", "neurons off", "accuracy", "hidden spikes", "cycles", "running", "wake-ups", "asleep", "total",
        "a coin cell lasts")  # fmt: skip


def trained(options: argparse.Namespace) -> Path:
    """The network that was given, or one trained just now."""
    if options.network is not None:
        return Path(options.network)
    torch.manual_seed(0)
    model = DenseNet((64, 128, 64, 10), batch_norm=True, learn_beta=True, readout="linear")
    fitted = aspen.fit(model, load_dataset("digits"), "aspen-joules", epochs=options.epochs)
    fitted.export().save(options.output / "network.aspen")
    return options.output / "network.aspen"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", help=".aspen, with a learned dial; default: train one")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-path")
    parser.add_argument("--chip", default="cortex-m4", help="cortex-m4, cortex-m0plus, cortex-m33, or a file")
    parser.add_argument("--window-time", type=float, default=1.0, help="seconds from inference to inference")
    parser.add_argument("--knobs", type=float, nargs="*", default=[k / 10 for k in range(11)])
    parser.add_argument("--epochs", type=int, help="of each stage of the training; default: the recipe's")
    parser.add_argument("--output", type=Path, default=Path("runs/knob_energy"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    path, data, on = trained(options), load_dataset(options.data, options.data_path), chip(options.chip)
    network, profile = aspen.load_network(path), aspen.load_profile(path)
    deployment = compile(network, on, profile=profile)
    spikes, labels = data.spikes("test"), data.test.labels
    points, rows, how = [], [], ""
    for point in sweep(deployment, spikes, labels, options.knobs, profile=profile, step_time=1.0):
        record = run(deployment, spikes, profile.scale(point.knob))
        try:
            counted = counted_cycles(record, deployment, spikes, on, profile=profile, knob=point.knob)
        except MissingDependencyError:
            counted = {}  # those of the model
        how = counted.get("how", "the model")
        report = energy_model(record, on, step_time=options.window_time / record.steps, **counted)
        dynamic, asleep = (getattr(report.per_inference, part).typical for part in ("dynamic", "static"))
        waking = sum(e.joules.typical for e in report.entries if e.event == "wake_up") / record.batch
        cycles, years = report.cycles.typical / record.batch, report.lasts("225mAh@3V").typical / (365.25 * 86400)
        joules = [format_energy(part) for part in (dynamic - waking, waking, asleep, dynamic + asleep)]
        off = sum(int(counts.max()) for counts in record.off.neurons.values())
        first = (f"{point.knob:.2g}", f"{off}", f"{point.accuracy:.1%}", f"{point.hidden_spikes:.1f}", f"{cycles:,.0f}")
        rows.append((*first, *joules, f"{years:.2g} years"))
        points.append(replace(point, dynamic_nj=1e9 * dynamic, static_nj=1e9 * asleep))
    part = on.scenarios[on.usual].title
    print(f"{data.name}, test data, {part}; {options.window_time:g} s a window, cycles by {how}")
    print(Table(HEAD, rows))
    write_csv(options.output / "knob_energy.csv", points_to_rows(points, chip=on.name))
    plot_dial({on.name: [points]}, options.output / "knob_energy.png", f"{data.name} on {on.name}", dial=True)


if __name__ == "__main__":
    main()
