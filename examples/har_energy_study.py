"""One network for UCI HAR, dialled from its accurate to its frugal end on a chip's integers: what each setting costs.

    python examples/har_energy_study.py "UCI HAR Dataset.zip" [--input levels|current|delta] [--chip loihi1]
        [--epochs N] [--seed 0] [--output runs/har]

The data set is read as published (zip or folder): https://archive.ics.uci.edu/dataset/240. Settings are chosen on
people who are held out of the training; the test people are used once, for the settings that were chosen.
Many seeds, and the comparison with networks that are each trained for one energy: aspen study har har-levels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import aspen
from aspen.calibration import pareto_front
from aspen.calibration.sheet import table
from aspen.data import load_dataset
from aspen.models import DenseNet
from aspen_emulator import run, sweep
from aspen_emulator.measuring.plots import plot_dial
from aspen_hardware import chip, compile, energy_model, place

KNOBS = [k / 20 for k in range(21)]
INPUTS = {"levels": "har-levels", "current": "har-current", "delta": "har"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="UCI HAR, folder or zip as published")
    parser.add_argument("--input", choices=INPUTS, default="levels", help="features as spikes, as a current, or delta")
    parser.add_argument("--chip", default="loihi1")
    parser.add_argument("--epochs", type=int, help="of each stage; default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/har"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    data = load_dataset(INPUTS[options.input], options.path)
    features = options.input != "delta"
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    sizes = (*data.input_shape, 128, 128, data.classes)
    model = DenseNet(sizes, batch_norm=True, learn_beta=features, readout="linear" if features else "spikes")
    recipe = "aspen-norm" if features else "aspen"
    trained = aspen.fit(model, data, recipe, seed=options.seed, epochs=options.epochs).export()
    trained.save(options.output / "network.aspen")
    dial = trained.profile
    assert dial is not None  # both recipes learn one

    deployment = compile(trained.network, options.chip, profile=dial)
    points = sweep(deployment, data.spikes("validation"), data.validation.labels, KNOBS, profile=dial)
    print(table(points, dial=True))
    name = f"UCI HAR, {options.input}, validation data, {options.chip} integers"
    plot_dial({"learned dial": [points]}, options.output / "dial.png", name, dial=True)

    kept = pareto_front(points)
    frugal = next(point for point in kept if point.accuracy >= kept[-1].accuracy - 0.03)
    placement = place(deployment.network, chip(options.chip))
    for what, point in (("accurate", kept[-1]), ("frugal, within 3 points", frugal)):
        record = run(deployment, data.spikes("test"), dial.scale(point.knob), record="spikes")
        accuracy = (record.predictions == data.test.labels).mean()
        spikes = record.hidden_spikes.mean()
        print(f"\n{what}: knob {point.knob:g}, {spikes:.0f} hidden spikes; test data {accuracy:.1%} correct")
        print(energy_model(record, chip(options.chip), placement))


if __name__ == "__main__":
    main()
