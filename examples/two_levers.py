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

from aspen.calibration import EarlyPoint
from aspen.data import Dataset, load_dataset
from aspen.network import load_network
from aspen.profiles import load_profile, save_profile
from aspen_emulator.sweeps import Bench, make_tables, measure
from aspen_hardware import chip, compile

LEVERS = ("neither", "dial", "early end", "both")


def train(path: Path, epochs: int | None) -> None:
    """A network for digits with a dial."""
    from aspen_emulator.training import train_network

    trained = train_network("aspen", data="digits", epochs=epochs)
    trained.network.save(path)
    if trained.profile is not None:
        save_profile(trained.profile, path)


def bench(path: Path, data: Dataset, part: str, encodings: int) -> Bench:
    """A network of a file on a part of the data, in integers of loihi1."""
    network, profile, samples = load_network(path), load_profile(path), data.part(part)
    encoded = [data.spikes(part)]
    encoded += [data.encoder.encode(samples.values, 1000 + seed) for seed in range(1, encodings)]
    target = compile(network, "loihi1", profile=profile)
    return Bench(target, encoded, samples.labels, [chip("loihi1")], profile=profile)


def levers(path: Path, data: Dataset, encodings: int, within: float) -> list[EarlyPoint]:
    """The four of :data:`LEVERS` on test data."""
    chosen_on = bench(path, data, "validation", encodings)
    measured = measure(chosen_on, np.linspace(0, 1, 21).round(2).tolist())
    (table,) = make_tables(chosen_on, measured, "validation", max_loss=0.005)
    best = table.best
    dialled = next(point for point in table.points if point.accuracy >= best.accuracy - within)
    knobs = [best.threshold_scale, dialled.threshold_scale]
    test = bench(path, data, "test", encodings)
    found = []
    for early in (None, table.early):
        result = measure(test, knobs, early=early)
        found += [EarlyPoint(*pair) for pair in zip(result.points["loihi1"], result.taken, strict=True)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", type=Path)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-path", type=Path)
    parser.add_argument("--encodings", type=int, default=4, help="of each sample; 1 for data that is encoded one way")
    parser.add_argument("--within", type=float, default=1.0, help="points of accuracy that the dial may cost")
    parser.add_argument("--epochs", type=int, help="of the network that is trained where none is given")
    options = parser.parse_args()
    if not options.networks:
        options.networks = [Path("two_levers.aspen")]
        train(options.networks[0], options.epochs)
    data = load_dataset(options.data, options.data_path)
    seeds = [levers(path, data, options.encodings, options.within / 100) for path in options.networks]
    print(f"{options.data}, test data, loihi1, mean of {len(seeds)} networks (half the range)")
    print("| levers | accuracy | steps | hidden spikes | dynamic nJ | static nJ |\n|---|---|---|---|---|---|")
    for k, name in enumerate(LEVERS):
        each = [found[k] for found in seeds]
        cells = [
            ([100 * e.point.accuracy for e in each], ".1f", " %"),
            ([e.steps for e in each], ".1f", ""),
            ([e.point.hidden_spikes for e in each], ".1f", ""),
            ([e.point.dynamic_nj or 0.0 for e in each], ",.0f", ""),
            ([e.point.static_nj or 0.0 for e in each], ",.0f", ""),
        ]
        shown = [f"{mean(v):{form}}{unit} ({(max(v) - min(v)) / 2:{form}})" for v, form, unit in cells]
        print(f"| {name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
