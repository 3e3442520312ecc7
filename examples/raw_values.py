"""From raw values to an answer: a convolutional network, its encoder in the same file, and a run without torch.

python examples/raw_values.py [--epochs 8] [--output FOLDER]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import aspen
from aspen.data import digits, load_encoder
from aspen.models import ConvNet
from aspen.storage.file import AspenFile
from aspen.training.recipes import RECIPES
from aspen_emulator import run
from aspen_hardware import compile


def train(path: Path, epochs: int) -> None:
    """A network with BatchNorm over time, learned decays and a linear read-out, which the export folds and maps."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # a network this small loses time with more
    data = digits()
    model = ConvNet((1, 8, 8), (16, 32), (64,), 10, batch_norm=True, learn_beta=True, readout="linear")
    recipe = replace(RECIPES["perturbed"], scores="mean")  # a read-out that is no spikes
    trained = aspen.fit(model, data, recipe, epochs=epochs).export()
    trained.save(path)
    print(trained.network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--output", type=Path, default=Path("raw-values"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "network.aspen"
    train(path, options.epochs)

    values, labels = digits().test.values, digits().test.labels  # from here on torch is not needed
    file = AspenFile.open(path)
    encoder, deployment = load_encoder(file), compile(aspen.load_network(file), "loihi1")
    for scale in (0.7, 1.0, 1.5):
        record = run(deployment, encoder.encode(values, seed=0), scale)
        accuracy = np.mean(record.predictions == labels)
        print(f"knob {scale}: {accuracy:.1%} correct, {record.hidden_spikes.mean():.0f} hidden spikes per digit")


if __name__ == "__main__":
    main()
