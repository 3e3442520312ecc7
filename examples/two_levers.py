"""What the dial saves, what ending inferences early saves, and what both save together.

    python examples/two_levers.py [NETWORK.aspen ...] [--data digits] [--data-path PATH] [--encodings 4] [--within 1]

Networks have a learned dial; several are averaged. Without any, one is trained on handwritten digits. The settings and
when to end are chosen on validation data; then the test data is measured once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

import numpy as np
import torch

import aspen
from aspen.calibration import EarlyPoint
from aspen.data import Dataset, digits, load_dataset
from aspen.dial import load_profile
from aspen.models import DenseNet
from aspen.network import load_network
from aspen.storage.file import AspenFile
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.tables import make_tables
from aspen_hardware import chip, compile

LEVERS = ("neither", "dial", "early end", "both")


def train(path: Path, epochs: int | None) -> Path:
    """A network for digits with a dial."""
    torch.manual_seed(0)
    model = DenseNet((64, 128, 64, 10))
    aspen.fit(model, digits(), "aspen", epochs=epochs).export().save(path)
    return path


def bench(path: Path, data: Dataset, part: str, encodings: int) -> Bench:
    """A network of a file on a part of the data, in integers of loihi1."""
    file, samples = AspenFile.open(path), data.part(part)
    network, profile = load_network(file), load_profile(file)
    more = [data.encoder.encode(samples.values, 1000 + seed) for seed in range(1, encodings)]
    deployment = compile(network, "loihi1", profile=profile)
    return Bench(deployment, [data.spikes(part), *more], samples.labels, [chip("loihi1")], profile=profile)


def levers(path: Path, data: Dataset, encodings: int, within: float) -> list[EarlyPoint]:
    """The four of :data:`LEVERS` on test data; the dial may cost ``within`` of the accuracy on validation data."""
    validation = bench(path, data, "validation", encodings)
    measured = measure(validation, np.linspace(0, 1, 21).round(2).tolist())
    (table,) = make_tables(validation, measured, "validation", max_loss=0.005)
    dialled = next(point for point in table.points if point.accuracy >= table.best.accuracy - within)
    test, found = bench(path, data, "test", encodings), []
    for early in (None, table.early):
        result = measure(test, [table.best.knob, dialled.knob], early=early)
        found += [EarlyPoint(*pair) for pair in zip(result.points["loihi1"], result.taken, strict=True)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", type=Path)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-path", type=Path)
    parser.add_argument("--encodings", type=int, default=4, help="of each sample; 1 where the encoder is not random")
    parser.add_argument("--within", type=float, default=1.0, help="points of accuracy that the dial may cost")
    parser.add_argument("--epochs", type=int, help="of the network that is trained where none is given")
    options = parser.parse_args()
    networks = options.networks or [train(Path("two_levers.aspen"), options.epochs)]
    data = load_dataset(options.data, options.data_path)
    seeds = [levers(path, data, options.encodings, options.within / 100) for path in networks]
    print(f"{options.data}, test data, loihi1, mean of {len(seeds)} networks (half the range)")
    print("| levers | accuracy (%) | steps | hidden spikes | total µJ | dynamic nJ |\n|---|---|---|---|---|---|")
    for k, name in enumerate(LEVERS):
        points = [(e[k].point, e[k].steps) for e in seeds]
        cells = ([100 * p.accuracy for p, _ in points], [steps for _, steps in points],
                 [p.hidden_spikes for p, _ in points], [(p.total_nj or 0.0) / 1e3 for p, _ in points],
                 [p.dynamic_nj or 0.0 for p, _ in points])  # fmt: skip
        print(f"| {name} | {' | '.join(f'{mean(v):,.1f} ({(max(v) - min(v)) / 2:,.1f})' for v in cells)} |")


if __name__ == "__main__":
    main()
