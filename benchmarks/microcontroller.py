"""How fast is the C program on a microcontroller? Cycles per operation, update and inference, beside an int8 ANN.

    python benchmarks/microcontroller.py
    python benchmarks/microcontroller.py net.aspen --data har-levels --data-path "UCI HAR Dataset.zip"

Programs are cross-compiled and run in the emulator, which counts every instruction; cycles are from the core's
published timing table, typical with low and high in brackets, without wait states of the flash.

A synaptic operation is what a step of a dense layer of 128 on 128 with a spike from every input takes more than one
without, over all operations: input, event list and rows are in it. An update is what a silent step takes more for each
of 128 neurons more. So these are shares of whole steps, not of inner loops.

The ANN (``int8_ann.py``) has the spiking network's layers, weights and zeros, and rectified linear units. It runs once
per inference, on how often each input spiked: compiled by the same compiler, in the same emulator. How inputs are
encoded, or counted, is in neither.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from int8_ann import Ann
from networks import Setting

import aspen
from aspen._base.arrays import Array
from aspen._base.tables import Table
from aspen.data import load_dataset
from aspen.dial.profile import DialProfile, find_profile
from aspen.network import Dense, FixedLif, Network, Population
from aspen.storage.writing import write_atomically
from aspen_emulator import cycles, run
from aspen_emulator.engines.cortex_m.cores import CORES, Core
from aspen_hardware import Deployment, compile
from aspen_hardware.c.program import Program
from aspen_hardware.chips.ranges import Range

LAYER = 128
DENSITIES = (1.0, 0.1)
"""Shares of the weights that the networks without a file keep."""
SPARSE = 0.2
"""Share of the weights of the sparse layer."""
MEASURED = ("cortex-m4", "cortex-m0plus")
Row = dict[str, Any]
Given = tuple[str, Deployment, DialProfile | None, Array]


def layer(neurons: int, own: bool, density: float = 1.0) -> Network:
    """A dense layer of int8 weights behind :data:`LAYER` inputs, and a small one behind it; no neuron fires.

    Args:
        neurons: of the layer.
        own: whether each has a decay, a bias and a threshold of its own.
        density: share of its weights other than zero.
    """
    rng = np.random.default_rng(0)
    weight = np.clip(np.rint(rng.normal(0, 30, (neurons, LAYER))), -127, 127).astype(int)
    weight[weight == 0] = 1
    weight *= rng.random(weight.shape) < density
    neuron = FixedLif(100_000, 410)
    if own:
        thresholds, decays = rng.integers(90_000, 110_000, neurons), rng.integers(200, 800, neurons)
        neuron = FixedLif(thresholds, decays, bias_mantissa=rng.integers(-50, 50, neurons))
    last = Population("out", (4,), FixedLif(100_000, 410))
    populations = Population("in", (LAYER,)), Population("layer", (neurons,), neuron), last
    return Network(populations, (Dense("in", "layer", weight), Dense("layer", "out", np.ones((4, neurons), int))))


def steps(network: Network, core: Core, optimisation: str) -> tuple[Range, Range]:
    """Cycles of a step without input, and of one with a spike from every input; after a first step, which sets the
    thresholds."""
    given = np.zeros((3, 1, LAYER), np.uint8)
    given[2] = 1
    found = cycles(network, given, core=core.name, optimisation=optimisation).cycles[0]
    return Range(*found[1].tolist()), Range(*found[2].tolist())


def difference(more: Range, less: Range, count: int) -> Range:
    """What each of ``count`` takes."""
    ends = zip(asdict(more).values(), asdict(less).values(), strict=True)
    return Range(*((a - b) / count for a, b in ends))


def kernels(core: Core, optimisation: str) -> Iterator[Row]:
    """Cycles of an operation and an update."""
    for own in (False, True):
        silent, busy = steps(layer(LAYER, own), core, optimisation)
        larger, _ = steps(layer(2 * LAYER, own), core, optimisation)
        yield {"what": "operation, dense", "own": own, "cycles": difference(busy, silent, LAYER * LAYER)}
        yield {"what": "update", "own": own, "cycles": difference(larger, silent, LAYER)}
    pruned = layer(LAYER, False, SPARSE)
    silent, busy = steps(pruned, core, optimisation)
    yield {"what": f"operation, {SPARSE:.0%} of the weights", "own": False,
           "cycles": difference(busy, silent, pruned.connections[0].n_synapses)}  # fmt: skip


def made_up(density: float) -> Given:
    """A network with random weights and its input, and so much of it kept."""
    setting = Setting((64, 128, 64, 10), batch=4, steps=25)
    network, kept = setting.network(), []
    for connection in network.connections:
        least = np.quantile(np.abs(connection.weight), 1 - density)
        scale = density**-0.5 if density < 1 else 1.0
        kept.append(
            replace(connection, weight=np.where(np.abs(connection.weight) >= least, connection.weight, 0) * scale)
        )
    network = replace(network, connections=tuple(kept))
    return f"random {setting.sizes}, {density:.0%} kept", compile(network, "cortex-m"), None, setting.spikes()


def from_file(path: Path, data: str, data_path: str | None, count: int) -> Given:
    """A network in a file, with its dial, and test data."""
    network = aspen.load_network(path)
    profile = find_profile(path)
    spikes = load_dataset(data, data_path).spikes("test")[:, :count]
    return path.stem, compile(network, "cortex-m", profile=profile), profile, spikes


def inference(given: Given, core: Core, optimisation: str) -> Row:
    """A spiking network's inference and the ANN's."""
    name, deployment, profile, spikes = given
    report = cycles(deployment, spikes, core=core.name, profile=profile, optimisation=optimisation)
    scale = 1.0 if profile is None else profile.scale(profile.low)
    record = run(deployment, spikes, scale)
    samples = np.minimum(spikes.sum(axis=0, dtype=np.int64), 127).reshape(spikes.shape[1], -1)
    ann = Ann.of(Program(deployment.network, profile), samples)
    taken, flash = ann.measured(list(samples), core, optimisation)
    return {
        "network": name,
        "steps": record.steps,
        "operations": float(record.total_synaptic_operations.mean()),
        "updates": record.steps * deployment.network.n_neurons,
        "cycles": report.per_inference,
        "flash": report.flash,
        "ram": report.ram,
        "ann_operations": ann.operations,
        "ann_cycles": taken,
        "ann_flash": flash,
        "ratio": report.per_inference.typical / taken.typical,
    }


def shown(value: Range, digits: int = 0) -> str:
    """Typical, with low and high in brackets."""
    return f"{value.typical:,.{digits}f} ({value.low:,.{digits}f} to {value.high:,.{digits}f})"


def print_results(core: Core, small: Sequence[Row], whole: Sequence[Row]) -> None:
    """Tables."""
    rows = [(row["what"], "its own" if row["own"] else "shared", shown(row["cycles"], 2)) for row in small]
    print(Table((f"{core.name}, layer of {LAYER}", "parameters", "cycles"), rows))
    head = ("inference", "operations", "updates", "cycles", "flash", "ANN: products", "cycles", "flash", "SNN / ANN")
    cells = [
        (
            row["network"], f"{row['operations']:,.0f}", f"{row['updates']:,}", shown(row["cycles"]),
            f"{row['flash']:,}",
            f"{row['ann_operations']:,}", shown(row["ann_cycles"]), f"{row['ann_flash']:,}", f"{row['ratio']:.2f}",
        )
        for row in whole
    ]  # fmt: skip
    print(Table(head, cells), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", type=Path, help=".aspen, chains of dense layers; default: random ones")
    parser.add_argument("--data", default="digits", help="what their input is")
    parser.add_argument("--data-path", help="where that lies")
    parser.add_argument("--samples", type=int, default=4, help="inferences that are counted")
    parser.add_argument("--core", choices=sorted(CORES), action="append", help="default: cortex-m4, cortex-m0plus")
    parser.add_argument("--optimisation", default="-O2", help="of the compiler")
    parser.add_argument("--output", type=Path, help="folder for microcontroller.json")
    options = parser.parse_args(arguments)
    given = [from_file(path, options.data, options.data_path, options.samples) for path in options.networks]
    given = given or [made_up(density) for density in DENSITIES]
    results: dict[str, Any] = {}
    for name in options.core or MEASURED:
        core = CORES[name]
        small = list(kernels(core, options.optimisation))
        whole = [inference(each, core, options.optimisation) for each in given]
        print_results(core, small, whole)
        results[name] = {"kernels": small, "inferences": whole}
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results, indent=1, default=asdict)
        write_atomically(options.output / "microcontroller.json", text.encode())


if __name__ == "__main__":
    main()
