"""What would a small int8 ANN take that is as accurate? Cycles and energy beside a spiking network with a dial.

    python benchmarks/small_ann.py net.aspen --data digits --window-time 1
    python benchmarks/small_ann.py net.aspen --data har-levels --data-path "UCI HAR Dataset.zip" --window-time 2.56

The ANN is trained on what the spiking network's encoder begins with: values of each time step (for levels, the features
before they become levels), all of a window at once. Forms are a layer of rectified linear units, over the whole window
or over eighths of it with the same weights, and a layer of scores; dense, and pruned as magnitudes say. Each is trained
with several seeds, made int8, and measured in integers. At every knob the ANN is the one with the fewest cycles that is
as accurate as the spiking network on the validation data, both compiled by the same compiler and counted in the same
emulator; accuracies shown are of the test data. The values of the whole window are given to it for nothing.

It gives its answer once, at the end of a window, and so does the spiking network here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from int8_ann import SHIFT, Ann, Layer
from torch import nn

import aspen
from aspen._base.arrays import Array
from aspen._base.tables import Table
from aspen.data import load_dataset
from aspen.data.levels import LevelEncoder
from aspen.dial.profile import DialProfile
from aspen.storage.writing import write_atomically
from aspen_emulator import cycles, run
from aspen_emulator.engines.cortex_m.cores import CORES, Core
from aspen_hardware import Deployment, chip, compile, energy_model
from aspen_hardware.chips.description import Chip
from aspen_hardware.chips.ranges import Range
from aspen_hardware.energy.costs import static_power
from aspen_hardware.energy.microcontroller import cycle, wake_up
from aspen_hardware.placing.memory import BESIDE

PARTS = ("train", "validation", "test")
Row = dict[str, Any]
Given = dict[str, tuple[Array, Array]]
"""Part -> values (samples, steps, inputs) and labels."""


@dataclass(frozen=True)
class Form:
    """Of an ANN.

    Args:
        places: parts of the window that share weights.
        units: rectified linear units for each.
        density: share of the weights that are kept.
    """

    places: int
    units: int
    density: float

    def __str__(self) -> str:
        kept = "" if self.density == 1 else f", {self.density:.0%} kept"
        return f"{self.units} units{f' x {self.places} parts' if self.places > 1 else ''}{kept}"


class Net(nn.Module):
    """What is trained: its layers see the windows one behind the other."""

    def __init__(self, form: Form, inputs: int, classes: int) -> None:
        super().__init__()
        self.places = form.places
        self.first = nn.Linear(inputs // form.places, form.units)
        self.last = nn.Linear(form.units * form.places, classes)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Scores (samples, classes) of (samples, steps * inputs)."""
        parts = values.reshape(len(values), self.places, -1)
        scores: torch.Tensor = self.last(torch.relu(self.first(parts)).flatten(1))
        return scores


def values_of(data: Any) -> Given:
    """What there is before anything spikes, standardised by the training data."""
    found = {}
    for part in PARTS:
        values = np.asarray(getattr(data, part).values, np.float32)
        if isinstance(data.encoder, LevelEncoder) and data.encoder.inner is not None:
            values = np.moveaxis(np.asarray(data.encoder.inner.encode(values), np.float32), 0, 1)
            values = values.reshape(len(values), -1, data.encoder.every, values.shape[-1]).mean(axis=2)
        found[part] = values.reshape(len(values), -1, values.shape[-1]), np.asarray(getattr(data, part).labels)
    mean, spread = (getattr(found["train"][0], of)(axis=(0, 1)) for of in ("mean", "std"))
    return {
        part: ((values - mean) / np.where(spread > 0, spread, 1), labels) for part, (values, labels) in found.items()
    }


def forms_for(steps: int, units: Sequence[int], densities: Sequence[float]) -> list[Form]:
    """One layer over all, and, where there is time, over eighths of it."""
    places = [1, 8] if steps % 8 == 0 else [1]
    return [Form(parts, n, density) for parts in places for n in units for density in densities]


def trained(form: Form, given: Given, classes: int, seed: int, epochs: int) -> Net:
    """AdamW, cosine, noise on the input; from half of the epochs on the smallest weights are 0."""
    torch.manual_seed(seed)
    values, labels = (torch.as_tensor(each) for each in (given["train"][0].reshape(len(given["train"][1]), -1),
                                                         given["train"][1].astype(np.int64)))  # fmt: skip
    net = Net(form, values.shape[1], classes)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    masks = [torch.ones_like(layer.weight) for layer in (net.first, net.last)]
    for epoch in range(epochs):
        if epoch == epochs // 2:
            masks = [kept(layer.weight, form.density) for layer in (net.first, net.last)]
        for batch in torch.randperm(len(labels)).split(64):
            noisy = values[batch] + 0.1 * torch.randn_like(values[batch])
            loss = nn.functional.cross_entropy(net(noisy), labels[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                for layer, mask in zip((net.first, net.last), masks, strict=True):
                    layer.weight *= mask
        schedule.step()
    return net.eval()


def kept(weight: torch.Tensor, density: float) -> torch.Tensor:
    """1 where a weight is among the largest."""
    least = weight.detach().abs().flatten().kthvalue(max(round((1 - density) * weight.numel()), 1)).values
    return (weight.detach().abs() > least if density < 1 else torch.ones_like(weight)).float()


def as_int8(values: Array) -> Array:
    """Four standard deviations fill 8 bits; flat."""
    return np.clip(np.rint(values.reshape(len(values), -1) * (127 / 4)), -127, 127).astype(np.int64)


def quantised(net: Net, form: Form, values: Array) -> Ann:
    """In integers: each layer has one scale, so that its weights, and on ``values`` what it gives on, fill 8 bits."""
    layers: list[Layer] = []
    scale = 127 / 4  # integers of one unit of what goes in
    for module, places in ((net.first, form.places), (net.last, 1)):
        weight, bias = (each.detach().numpy().astype(float) for each in (module.weight, module.bias))
        step = 127 / np.abs(weight).max()
        integers = np.rint(weight * step).astype(np.int64)
        biases = np.rint(bias * step * scale).astype(np.int64)
        layer = Layer(integers, form.density < 1, 0, biases, places, integers.shape[1] if places > 1 else 0)
        factor = (127 << SHIFT) // max(int(layer.sums(values).max()), 1)
        layers.append(Layer(integers, layer.is_sparse, factor, biases, layer.places, layer.stride))
        values, scale = layers[-1].given_on(values), step * scale * factor / 2**SHIFT
    return Ann(layers)


def accuracy(scores: Array, labels: Array) -> float:
    """Share that is right."""
    return float((scores.argmax(axis=-1) == labels).mean())


def candidate(form: Form, given: Given, classes: int, options: argparse.Namespace, core: Core) -> Row:
    """An ANN of this form: accuracies in integers, mean over the seeds, and the cycles of the first seed's."""
    integers = {part: as_int8(values) for part, (values, _) in given.items()}
    anns = [
        quantised(trained(form, given, classes, seed, options.epochs), form, integers["train"])
        for seed in range(options.seeds)
    ]
    found: Row = {
        part: float(np.mean([accuracy(ann.scores(integers[part]), given[part][1]) for ann in anns])) for part in PARTS
    }
    taken, flash = anns[0].measured(list(integers["test"][: options.samples]), core, options.optimisation)
    return {"form": str(form), "products": anns[0].operations, "cycles": taken, "flash": flash, **found}


def ann_energy(taken: Range, wakings: int, seconds: float, on: Chip) -> float:
    """Joules of a window on the chip's typical part, with the RAM kept that is beside a program."""
    asleep = static_power(on, ram=BESIDE)
    assert asleep is not None
    return cycle(on).typical * taken.typical + wake_up(on).typical * wakings + asleep.typical * seconds


def spiking(
    deployment: Deployment, profile: DialProfile, data: Any, knob: float, options: argparse.Namespace, on: Chip
) -> Row:
    """The spiking network at a knob: accuracies, cycles, energy of a window."""
    records = {part: run(deployment, data.spikes(part), profile.scale(knob)) for part in PARTS[1:]}
    right = {part: float((record.predictions == getattr(data, part).labels).mean()) for part, record in records.items()}
    spikes, record = data.spikes("test"), records["test"]
    report = cycles(deployment, spikes[:, : options.samples], core=on.name, profile=profile, knob=knob,
                    optimisation=options.optimisation)  # fmt: skip
    whole = report.per_inference.times(record.batch)
    account = energy_model(record, on, step_time=options.window_time / record.steps, cycles=whole)
    assert account.total is not None
    return {"knob": knob, "cycles": report.per_inference, "energy": account.total.typical / record.batch, **right}


def compared(row: Row, candidates: Sequence[Row], wakings: int, seconds: float, on: Chip) -> Row:
    """The cheapest ANN that is as accurate on the validation data; where none is, the most accurate."""
    as_good = [each for each in candidates if each["validation"] >= row["validation"]]
    best = (
        min(as_good, key=lambda each: each["cycles"].typical)
        if as_good
        else max(candidates, key=lambda each: each["validation"])
    )
    energy = ann_energy(best["cycles"], wakings, seconds, on)
    return {**row, "ann": best, "ann_energy": energy, "ratio": best["cycles"].typical / row["cycles"].typical}


def print_results(rows: Sequence[Row], candidates: Sequence[Row], on: Chip) -> None:
    """Two tables."""
    head = ("ANN", "products", f"cycles, {on.name}", "flash", "validation", "test")
    cells = [
        (c["form"], f"{c['products']:,}", f"{c['cycles'].typical:,.0f}", f"{c['flash']:,}", f"{c['validation']:.1%}",
         f"{c['test']:.1%}") for c in sorted(candidates, key=lambda c: float(c["cycles"].typical))
    ]  # fmt: skip
    print(Table(head, cells))
    head = ("knob", "test", "cycles", "uJ", "ANN as accurate", "test", "cycles", "uJ", "ANN / ours", "in uJ")
    cells = [
        (f"{r['knob']:.2g}", f"{r['test']:.1%}", f"{r['cycles'].typical:,.0f}", f"{r['energy'] * 1e6:.3g}",
         r["ann"]["form"], f"{r['ann']['test']:.1%}", f"{r['ann']['cycles'].typical:,.0f}",
         f"{r['ann_energy'] * 1e6:.3g}", f"{r['ratio']:.2f}", f"{r['ann_energy'] / r['energy']:.2f}") for r in rows
    ]  # fmt: skip
    print(Table(head, cells), flush=True)


def plain(value: object) -> Mapping[str, float]:
    """A range, for JSON."""
    assert isinstance(value, Range)
    return asdict(value)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("network", type=Path, help=".aspen, with a learned dial")
    parser.add_argument("--data", default="digits", help="what both were trained on")
    parser.add_argument("--data-path", help="where that lies")
    parser.add_argument("--window-time", type=float, default=1.0, help="seconds from inference to inference")
    parser.add_argument("--knobs", type=float, nargs="*", default=[0, 0.25, 0.5, 0.75, 1])
    parser.add_argument("--units", type=int, nargs="*", default=[4, 8, 16, 32, 64], help="sizes of the ANN's layer")
    parser.add_argument("--densities", type=float, nargs="*", default=[1.0, 0.2], help="shares of its weights kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each ANN")
    parser.add_argument("--epochs", type=int, default=30, help="of each training")
    parser.add_argument("--samples", type=int, default=4, help="inferences whose cycles are counted")
    parser.add_argument("--chip", choices=sorted(CORES), default="cortex-m4")
    parser.add_argument("--optimisation", default="-O2", help="of the compiler")
    parser.add_argument("--output", type=Path, help="folder for small_ann.json")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)

    data, on = load_dataset(options.data, options.data_path), chip(options.chip)
    profile = aspen.load_profile(options.network)
    deployment = compile(aspen.load_network(options.network), on, profile=profile)
    given, classes = values_of(data), len(data.class_names)
    forms = forms_for(given["train"][0].shape[1], options.units, options.densities)
    candidates = [candidate(form, given, classes, options, CORES[on.name]) for form in forms]
    steps = len(data.spikes("test"))
    rows = [
        compared(spiking(deployment, profile, data, knob, options, on), candidates, steps, options.window_time, on)
        for knob in options.knobs
    ]
    print_results(rows, candidates, on)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"anns": candidates, "knobs": rows}, indent=1, default=plain)
        write_atomically(options.output / "small_ann.json", text.encode())


if __name__ == "__main__":
    main()
