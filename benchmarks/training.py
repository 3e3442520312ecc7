"""How fast does a fused model train? Beside snnTorch's loop, the matrix products alone, and other libraries.

    python benchmarks/training.py [--output FOLDER] [--quick] [--threads N] [--repeats N] [--har UCI_HAR]

A training step is: forward over all time steps, cross-entropy of the summed output spikes, backward, Adam. The network
is dense, of Leaky neurons with ATan surrogates; the input is random spikes, and the hidden layers spike at 5 to 10 % of
the steps, as trained ones do ("activity": other shares). "Products" are the matrix products of that step alone, forward
and backward, dense, of all time steps in one call each (the gradient of the input is not needed and not computed).
"Fused" multiplies by spikes where these are few, "fused, dense" never; "fused, Triangle(0.25)" trains with a surrogate
that is zero away from the threshold, which trains another network. The contenders take turns, so that whatever else
the machine does hits all of them alike; ratios are those of the first quartiles, as interruptions only ever lengthen a
step.

Prints tables and writes ``training.json`` and ``training.png`` to the folder. spikingjelly, norse and sinabs take part
where they are installed: ``pip install --no-deps spikingjelly norse sinabs nir nirtorch loguru pbr einops`` (what else
they ask for would replace torch). Each runs in its fastest way on a CPU, with weights drawn alike; their neurons and
surrogates are their own: spikingjelly's LIF with ATan over all steps, norse's LIFBox with its default surrogate step by
step, sinabs' LIF with its default surrogate over all steps.

``--har`` trains ``har-levels`` with the default recipe (fewer epochs), by turns with products by spikes and with dense
ones: two whole trainings of the same code, seconds of the wall clock with encoding and validation. No release before
products by spikes takes part: dense products stand for it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import torch
from common import machine
from torch import Tensor, nn
from torch.nn import functional

import aspen
from aspen._figures import save_figure
from aspen.data import load_dataset
from aspen.models.layers import hidden_layers
from aspen.models.ready import DenseNet
from aspen.models.spikes import count_spikes
from aspen.models.surrogates import Triangle
from aspen.storage.writing import write_atomically
from aspen.training import fit as fit_module
from aspen.training.recipes import DEFAULT, RECIPES

Step = Callable[[], object]
LOOP, FUSED, PERTURBED, PRODUCTS = "snnTorch loop", "fused", "fused, perturbed", "products"
DENSE, COMPACT = "fused, dense", "fused, Triangle(0.25)"
DENSITY = 0.2
"""Share of the inputs that spike at a step."""


@dataclass(frozen=True)
class Setting:
    """One network and batch.

    Args:
        sizes: neurons per layer, the inputs first.
        batch: samples.
        steps: time steps.
        drive: mean of the weights, which sets how much the hidden layers spike.
    """

    sizes: tuple[int, ...] = (18, 128, 128, 6)
    batch: int = 128
    steps: int = 128
    drive: float = 0.1

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}, {self.steps} steps"

    def inputs(self) -> Tensor:
        """Random spikes (steps, batch, inputs)."""
        generator = torch.Generator().manual_seed(0)
        return (torch.rand((self.steps, self.batch, self.sizes[0]), generator=generator) < DENSITY).float()

    def labels(self) -> Tensor:
        """A class for each sample."""
        return torch.randint(0, self.sizes[-1], (self.batch,), generator=torch.Generator().manual_seed(1))


BASE = Setting()
GROWTH = {
    "batch": [replace(BASE, batch=n) for n in (16, 32, 64, 128, 256)],
    "steps": [replace(BASE, steps=n) for n in (16, 32, 64, 128, 256)],
    "width": [replace(BASE, sizes=(18, n, n, 6)) for n in (32, 64, 128, 256, 512)],
    "depth": [replace(BASE, sizes=(18, *[128] * n, 6)) for n in (1, 2, 4, 8)],
    "activity": [replace(BASE, drive=drive) for drive in (0.0, 0.1, 0.2, 0.3)],
}


def training_step(model: nn.Module, run: Callable[[Tensor], Tensor], setting: Setting) -> Step:
    """A step with Adam; ``run`` maps the inputs to the output spikes (time, batch, classes)."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    inputs, labels = setting.inputs(), setting.labels()

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(run(inputs).sum(0), labels).backward()
        optimizer.step()

    return step


def draw_weights(model: nn.Module, setting: Setting) -> None:
    """Weights under which all layers spike, alike in networks of any library."""
    generator = torch.Generator().manual_seed(0)
    for linear in (module for module in model.modules() if isinstance(module, nn.Linear)):
        n = linear.in_features
        mean = setting.drive * min(1 / n**0.5, 128**0.5 / n)  # wide layers do not spike more
        nn.init.normal_(linear.weight, mean, 1.0 / n**0.5, generator=generator)


def lively(setting: Setting, spike_grad: Callable[[Tensor], Tensor] | None = None) -> DenseNet:
    """The network, with ATan if no other surrogate is given."""
    model = DenseNet(setting.sizes, beta=0.9, spike_grad=spike_grad)
    draw_weights(model, setting)
    return model


def activity(setting: Setting) -> float:
    """Share of the hidden neurons that spike at a step, in percent."""
    model = lively(setting)
    with torch.no_grad(), count_spikes(hidden_layers(model)) as spikes:
        aspen.fuse(model)(setting.inputs())
    return 100 * float(torch.cat([steps[0].flatten() for steps in spikes.values()]).mean())


def products(setting: Setting) -> Step:
    """The matrix products of one training step."""
    generator = torch.Generator().manual_seed(0)
    rows = setting.steps * setting.batch
    pairs = list(zip(setting.sizes, setting.sizes[1:], strict=False))
    signals = [setting.inputs().reshape(rows, -1)]
    signals += [(torch.rand((rows, n), generator=generator) < DENSITY).float() for n in setting.sizes[1:-1]]
    grads = [torch.randn((rows, n), generator=generator) for n in setting.sizes[1:]]
    weights = [torch.randn((two, one), generator=generator) for one, two in pairs]

    def step() -> None:
        made = [signal @ weight.T for signal, weight in zip(signals, weights, strict=True)]
        made += [grad.T @ signal for grad, signal in zip(grads, signals, strict=True)]
        made += [grad @ weight for grad, weight in zip(grads[1:], weights[1:], strict=True)]

    return step


def contenders(setting: Setting) -> dict[str, Step]:
    """What is measured on a setting: aspen and snnTorch."""
    looped, fused, perturbed, dense = (lively(setting) for _ in range(4))
    aspen.perturb_thresholds(perturbed, seed=0)
    steps = {LOOP: training_step(looped, looped, setting), PRODUCTS: products(setting)}
    for name, model in ((FUSED, fused), (PERTURBED, perturbed)):
        steps[name] = training_step(model, aspen.fuse(model, setting.inputs()), setting)
    steps[DENSE] = training_step(dense, aspen.fuse(dense, setting.inputs(), products="dense"), setting)
    return steps


def compact(setting: Setting) -> dict[str, Step]:
    """The fused model with another surrogate."""
    model = lively(setting, Triangle(0.25))
    return {COMPACT: training_step(model, aspen.fuse(model, setting.inputs()), setting)}


def neighbours(setting: Setting) -> dict[str, Step]:
    """Other libraries, where they are installed."""
    makers = {"spikingjelly": spikingjelly_step, "norse": norse_step, "sinabs": sinabs_step}
    return {name: make(setting) for name, make in makers.items() if importlib.util.find_spec(name) is not None}


def _layers(setting: Setting, neuron: Callable[[], nn.Module]) -> list[nn.Module]:
    pairs = zip(setting.sizes, setting.sizes[1:], strict=False)
    made = [module for one, two in pairs for module in (nn.Linear(one, two, bias=False), neuron())]
    draw_weights(nn.ModuleList(made), setting)
    return made


def spikingjelly_step(setting: Setting) -> Step:
    """spikingjelly in multi-step mode: LIF nodes with ATan."""
    from spikingjelly.activation_based import functional as jelly
    from spikingjelly.activation_based import neuron, surrogate

    model = nn.Sequential(
        *_layers(
            setting, lambda: neuron.LIFNode(10.0, decay_input=False, surrogate_function=surrogate.ATan(), step_mode="m")
        )
    )

    def run(inputs: Tensor) -> Tensor:
        jelly.reset_net(model)
        made: Tensor = model(inputs)
        return made

    return training_step(model, run, setting)


def norse_step(setting: Setting) -> Step:
    """norse: LIFBox cells, whose only state is the membrane."""
    import norse.torch as norse

    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(100.0))
    layers = _layers(setting, lambda: norse.LIFBoxCell(parameters))
    model = norse.SequentialState(*layers)

    def run(inputs: Tensor) -> Tensor:
        state, made = None, []
        for step in inputs:
            spikes, state = model(step, state)
            made.append(spikes)
        return torch.stack(made)

    return training_step(model, run, setting)


def sinabs_step(setting: Setting) -> Step:
    """sinabs: LIF layers, which run over all steps of (batch, time, n)."""
    import sinabs.layers as sinabs

    model = nn.Sequential(*_layers(setting, lambda: sinabs.LIF(tau_mem=10.0, norm_input=False)))

    def run(inputs: Tensor) -> Tensor:
        for layer in model:
            if isinstance(layer, sinabs.LIF):
                layer.reset_states()
        made: Tensor = model(inputs.transpose(0, 1))
        return made.transpose(0, 1)

    return training_step(model, run, setting)


def measure(steps: dict[str, Step], repeats: int) -> dict[str, list[float]]:
    """Seconds of each contender in each round, after a first round that is not counted; each round in another order."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    order = random.Random(0)
    for number in range(repeats + 1):
        for name, step in order.sample(sorted(steps.items()), len(steps)):
            start = time.perf_counter()
            step()
            if number:
                taken[name].append(time.perf_counter() - start)
    return taken


def ratio(taken: dict[str, list[float]], one: str, other: str) -> float:
    """How many times as long one takes as the other."""
    return quartile(taken[one]) / quartile(taken[other])


def quartile(times: list[float]) -> float:
    """The time that a quarter of the rounds stay below."""
    return sorted(times)[len(times) // 4]


def summary(taken: dict[str, list[float]]) -> dict[str, Any]:
    """Milliseconds (median and fastest) of each, and the ratios that are claimed."""
    return {
        "ms": {name: round(1e3 * median(times), 3) for name, times in taken.items()},
        "fastest_ms": {name: round(1e3 * min(times), 3) for name, times in taken.items()},
        "loop_over_fused": round(ratio(taken, LOOP, FUSED), 3),
        "fused_over_products": round(ratio(taken, FUSED, PRODUCTS), 3),
        "dense_over_fused": round(ratio(taken, DENSE, FUSED), 3),
        "perturbed_over_fused": round(ratio(taken, PERTURBED, FUSED), 4),
    }


def whole_trainings(path: Path, epochs: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of trainings of ``har-levels`` by the default recipe, ``epochs`` in each stage, in turns."""
    data = load_dataset("har-levels", path)
    recipe = RECIPES[DEFAULT].each(lambda stage: replace(stage, epochs=epochs))
    taken: dict[str, list[float]] = {FUSED: [], DENSE: []}
    for number in range(repeats + 1):
        for name in taken:
            torch.manual_seed(0)
            model = DenseNet((168, 128, 128, 6), batch_norm=True, learn_beta=True, readout="linear")
            products = "dense" if name == DENSE else "auto"
            start = time.perf_counter()
            with mock.patch.object(fit_module, "fuse", partial(aspen.fuse, products=products)):
                aspen.fit(model, data, recipe=recipe, progress=False)
            if number:
                taken[name].append(time.perf_counter() - start)
    return taken


def print_row(title: str, result: dict[str, Any]) -> None:
    """One line of the table."""
    ms = result["ms"]
    times = "".join(f"{ms[name]:>12.2f}" for name in (LOOP, FUSED, PRODUCTS))
    print(
        f"{title:<44}{times}{result['loop_over_fused']:>12.2f}{result['fused_over_products']:>12.2f}"
        f"{result['dense_over_fused']:>12.2f}{result['activity']:>12.1f}"
        f"{100 * (result['perturbed_over_fused'] - 1):>+12.1f}"
    )


def plot(results: dict[str, Any], path: Path) -> None:
    """Milliseconds against batch, steps, width and depth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 3.6), dpi=120, sharey=True, squeeze=False)
    for axis, (what, rows) in zip(axes[0], results.items(), strict=True):
        for name, style in ((LOOP, "o-"), (FUSED, "s-"), (PRODUCTS, "^:")):
            axis.plot([row["at"] for row in rows], [row["ms"][name] for row in rows], style, label=name)
        axis.set(xscale="log", yscale="log", xlabel=what)
        axis.grid(alpha=0.3, which="both")
    axes[0][0].set_ylabel("training step (ms)")
    axes[0][0].legend()
    figure.tight_layout()
    save_figure(figure, path)
    plt.close(figure)


def size_of(what: str, setting: Setting) -> int:
    """The number that grows."""
    sizes = {"batch": setting.batch, "steps": setting.steps, "width": setting.sizes[1], "depth": len(setting.sizes) - 2}
    return sizes[what] if what in sizes else round(activity(setting))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmark-training"), help="folder for JSON and plot")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and only the ends of each growth")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch; all cores unless told")
    parser.add_argument("--har", type=Path, help="UCI HAR as a folder or zip: time whole trainings of har-levels too")
    parser.add_argument("--repeats", type=int, help="rounds; 31, with --quick 9")
    options = parser.parse_args()
    if options.threads < 1 or (options.repeats is not None and options.repeats < 1):
        parser.error("--threads and --repeats: allowed is 1 and more")
    torch.set_num_threads(options.threads)
    repeats = options.repeats or (9 if options.quick else 31)
    report: dict[str, Any] = {"machine": machine(threads=options.threads), "repeats": repeats, "quick": options.quick}
    print(json.dumps(report["machine"], indent=1))
    columns = ("loop ms", "fused ms", "products ms", "loop/fused", "fused/prod.", "dense/fused", "activity %")
    columns += ("perturb. %",)
    print(f"\n{'training step':<44}" + "".join(f"{column:>12}" for column in columns))
    taken = measure(contenders(BASE) | compact(BASE) | neighbours(BASE), repeats)
    report["base"] = {"setting": asdict(BASE), "activity": activity(BASE), **summary(taken)}
    print_row(str(BASE), report["base"])
    report["growth"] = {}
    for what, settings in GROWTH.items():
        rows = report["growth"][what] = []
        for setting in settings[:: len(settings) - 1] if options.quick else settings:
            result = {"activity": activity(setting), **summary(measure(contenders(setting), max(3, repeats // 3)))}
            rows.append({"at": size_of(what, setting), "setting": asdict(setting), **result})
            print_row(f"{what} {size_of(what, setting)}", rows[-1])
    print("\nall contenders, ms (median, fastest):")
    for name, ms in report["base"]["ms"].items():
        print(f"{name:<24}{ms:>10.2f}{report['base']['fastest_ms'][name]:>10.2f}")
    if options.har is not None:
        seconds = whole_trainings(options.har, 2 if options.quick else 8, 1 if options.quick else 3)
        share = median(seconds[FUSED]) / median(seconds[DENSE])
        report["har"] = {"seconds": seconds, "fused_over_dense": round(share, 3)}
        print(f"\nhar-levels, whole trainings by spikes / with dense products: {share:.2f}")
    options.output.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output / "training.json", json.dumps(report, indent=1).encode())
    plot(report["growth"], options.output / "training.png")
    print(f"\nwritten: {options.output / 'training.json'}, {options.output / 'training.png'}")


if __name__ == "__main__":
    main()
