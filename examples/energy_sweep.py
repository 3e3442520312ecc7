"""Train one network on handwritten digits, put it on Loihi 1's integers, and see what each knob costs.

    python examples/energy_sweep.py [--epochs 45] [--output runs/energy_sweep]

Settings are chosen on validation data; the test data is used once, for the setting that was chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import aspen
from aspen.calibration.sheet import table
from aspen.data import digits
from aspen.models import DenseNet
from aspen_emulator import run, sweep
from aspen_emulator.measuring.plots import plot_dial
from aspen_hardware import chip, compile, deployment_on, energy_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--output", type=Path, default=Path("runs/energy_sweep"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    data = digits()
    torch.manual_seed(0)
    model = DenseNet((64, 128, 64, 10))
    trained = aspen.fit(model, data, "perturbed", epochs=options.epochs).export()

    deployment = compile(trained.network, "loihi1")
    file = trained.file(options.output / "network.aspen")
    file.put(deployment_on("loihi1"), deployment)
    file.save()

    points = sweep(deployment, data.spikes("validation"), data.validation.labels)
    print(table(points))
    plot_dial({"perturbed": [points]}, options.output / "dial.png", "Digits, validation data, loihi1 integers")

    best = max(point.accuracy for point in points)
    chosen = min((p for p in points if p.accuracy >= best - 0.01), key=lambda p: p.hidden_spikes)
    record = run(deployment, data.spikes("test"), chosen.knob)
    accuracy = (record.predictions == data.test.labels).mean()
    print(f"\nchosen on validation data: knob at {chosen.knob:g}; on test data {accuracy:.1%} correct")
    print(energy_model(record, chip("loihi1")))


if __name__ == "__main__":
    main()
