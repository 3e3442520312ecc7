"""How fast does the fast engine run a network? Beside Lava, the reference, snnTorch and the matrix products alone.

    python benchmarks/emulation.py [--output FOLDER] [--quick | --tiny] [--repeats N] [--full-convolutions]

The network is dense, 18-128-128-6, with random weights that keep 5 to 10 % of the hidden neurons firing, compiled for
loihi1; 128 steps, 1024 samples, 10 % of the inputs spike, counts are recorded. Everything goes through
``aspen_emulator.run`` as a user would call it, after a first call (which loads or makes the machine code).
"Products" are the float32 matrix products of all layers over all steps at once: what a dense implementation cannot
avoid; torch's convolutions in the convolutional network. Lava's time is that of some samples more on a runtime that is
already running: starting it is not counted. The contenders take turns; ratios are medians over the rounds of the ratio
within a round. On the very inputs that are timed, the answers are compared with the reference (the first samples) and,
in floating point, with snnTorch.

Prints tables and writes ``emulation.json`` and ``emulation.png`` to the folder. Lava takes part where it is installed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import machine
from networks import BASE, GROWTH, Setting, pilotnet, size_of
from peak_memory import peak_memory

from aspen._base.arrays import Array
from aspen._figures import save_figure
from aspen.models.ready import DenseNet
from aspen.network.connections import Connection
from aspen.network.network import Conv, Network
from aspen.network.record import Record
from aspen.storage.writing import write_atomically
from aspen_emulator import run, session
from aspen_emulator.engines.c.compiler import compiler_available
from aspen_emulator.engines.c.engine import program_of
from aspen_emulator.engines.c.process import Process
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.engine import run_on
from aspen_emulator.engines.lava.isolation import LavaWorker
from aspen_emulator.engines.lava.shim import lava_available
from aspen_hardware import compile

Step = Callable[[], object]
COMPARED = 8
"""Samples of each timed run that are run on the reference too."""

FLOAT_BATCHES = (16, 128)
IN_A_ROW = 20
"""Runs of one sample, one after the other: a stream of samples, not one after a pause."""
PAUSE = 0.25
"""Seconds before each measurement: the threads of OpenMP and BLAS keep the processors busy for a while after work."""
TINY = 16
"""With ``--tiny``, hidden layers and runs are this much smaller."""


@dataclass(frozen=True)
class Rounds:
    """How often the contenders take turns, after one turn that is not counted, and the seconds before each of them."""

    count: int
    pause: float = PAUSE


def assert_same(record: Record, other: Record) -> None:
    """Output and counts of the other record's samples, all equal."""
    samples = other.output.shape[1]
    np.testing.assert_array_equal(record.output[:, :samples], other.output)
    for field in ("spikes", "synaptic_operations", "active_updates", "awake_updates"):
        for name, wanted in getattr(other, field).items():
            np.testing.assert_array_equal(getattr(record, field)[name][:, :samples], wanted)


def checked(program: Any, spikes: Array) -> Record:
    """A run on the fast engine, compared with the reference."""
    record = run(program, spikes)
    assert_same(record, run(program, spikes[:, :COMPARED], engine="reference"))
    return record


def measure(steps: dict[str, Step], rounds: Rounds) -> dict[str, list[float]]:
    """Seconds of each, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds.count + 1):
        for name, step in steps.items():
            time.sleep(rounds.pause)
            start = time.perf_counter()
            step()
            if round_:
                taken[name].append(time.perf_counter() - start)
    return taken


def ratio(taken: dict[str, list[float]], slow: str, fast: str) -> float:
    """How many times as long: the median over the rounds."""
    return median(a / b for a, b in zip(taken[slow], taken[fast], strict=True))


def products(network: Network, record: Record, spikes: Array) -> Step:
    """The matrix products of all layers alone, in float32 and with spikes as they were."""
    layers = [product(c, record.rasters[c.source].reshape(spikes.shape[0] * spikes.shape[1], -1))
              for c in network.connections]  # fmt: skip

    def step() -> None:
        for layer in layers:
            layer()

    return step


def product(connection: Connection, source: Array) -> Step:
    """That of one layer, dense or a convolution; ``source``: (rows, n) spikes."""
    if not isinstance(connection, Conv):
        matrix, rows = connection.weight.T.astype(np.float32), source.astype(np.float32)
        return lambda: rows @ matrix
    given = torch.from_numpy(source.reshape(-1, *connection.input_shape).astype(np.float32))
    weight = torch.from_numpy(connection.weight.astype(np.float32))

    def step() -> Any:
        with torch.no_grad():
            return torch.nn.functional.conv2d(given, weight, None, connection.stride, connection.padding)

    return step


def snntorch_loop(setting: Setting, network: Network, spikes: Array) -> Step:
    """snnTorch's loop over time in evaluation mode with the same weights."""
    model = DenseNet(setting.sizes, beta=0.875).eval()
    with torch.no_grad():
        for i, connection in enumerate(network.connections, start=1):
            getattr(model, f"fc{i}").weight.copy_(torch.from_numpy(connection.weight.copy()))
    given = torch.from_numpy(spikes).float()

    def step() -> Array:
        with torch.no_grad():
            return model(given).numpy()

    return step


def lava_seconds(network: Network, spikes: Array, samples: int) -> float:
    """Seconds per sample of a Lava runtime that is already running: the difference of two runs."""
    taken = []
    with LavaWorker() as worker:
        for count in (1, 1, 1 + samples):  # the first one warms up
            part = np.ascontiguousarray(spikes[:, :count])
            thresholds = thresholds_for(network, 1.0, *part.shape[:2])
            start = time.perf_counter()
            record = run_on(worker, network, part, thresholds)
            taken.append(time.perf_counter() - start)
            assert_same(run(network, part), record)
    return (taken[2] - taken[1]) / samples


def float_ratio(setting: Setting, batch: int, rounds: Rounds) -> float:
    """How many times as long snnTorch's loop takes as float mode, for a smaller batch; the spikes are the same."""
    smaller = replace(setting, batch=min(batch, setting.batch))
    network, spikes = smaller.network(), smaller.spikes()
    loop = snntorch_loop(smaller, network, spikes)
    np.testing.assert_array_equal(run(network, spikes).output, loop())
    return ratio(measure({"fast": lambda: run(network, spikes), "loop": loop}, rounds), "loop", "fast")


def headline(setting: Setting, rounds: Rounds, lava_samples: int) -> dict[str, Any]:
    """The network of the targets against everything."""
    network, spikes = setting.network(), setting.spikes()
    integers = compile(network, "loihi1").network
    record, rasters = checked(integers, spikes), run(integers, spikes, record="spikes")
    activity = {name: float(rasters.rasters[name].mean()) for name in integers.order}
    dense, few = np.ones_like(spikes), slice(0, min(32, setting.batch))
    checked(integers, dense)
    loop = snntorch_loop(setting, network, spikes)
    agreement = float((run(network, spikes).output == loop()).mean())
    one = np.ascontiguousarray(spikes[:, :1])
    taken = measure(
        {
            "fast": lambda: run(integers, spikes),
            "fast, dense input": lambda: run(integers, dense),
            "products": products(integers, rasters, spikes),
            "fast, float": lambda: run(network, spikes),
            "snntorch": loop,
            "reference": lambda: run(integers, spikes[:, few], engine="reference"),
            "one sample": lambda: [run(integers, one) for _ in range(IN_A_ROW)],
        },
        rounds,
    )
    taken["one sample"] = [seconds / IN_A_ROW for seconds in taken["one sample"]]
    scale = setting.batch / (few.stop - few.start)
    result = {
        "activity": activity,
        "spikes_equal_to_snntorch": agreement,
        "ms": {name: 1e3 * median(times) for name, times in taken.items()},
        "products_over_fast": ratio(taken, "products", "fast"),
        "fast_dense_over_products": ratio(taken, "fast, dense input", "products"),
        "reference_over_fast": scale * ratio(taken, "reference", "fast"),
        "snntorch_over_float": ratio(taken, "snntorch", "fast, float"),
        "snntorch_over_float_by_batch": {n: float_ratio(setting, n, rounds) for n in FLOAT_BATCHES},
        "stream_us": stream(integers, one),
        "one_sample_in_c_ms": in_c(integers, one),
    }
    if lava_samples:
        seconds = lava_seconds(integers, spikes, lava_samples)
        result["lava_ms_per_sample"] = 1e3 * seconds
        result["lava_over_fast"] = seconds * setting.batch / median(taken["fast"])
        result["lava_over_one_sample"] = seconds / median(taken["one sample"])
    assert record.steps == setting.steps
    return result


def on_loihi1(setting: Setting) -> tuple[Network, Array]:
    """The network in loihi1's integers, and its input."""
    return compile(setting.network(), "loihi1").network, setting.spikes()


def stream(integers: Network, one: Array, rounds: int = 20) -> float:
    """Microseconds per step of a session, the median over rounds."""
    taken = []
    with session(integers) as live:
        for _ in range(rounds):
            start = time.perf_counter()
            for now in one:
                live.step(now)
            taken.append((time.perf_counter() - start) / len(one))
    return 1e6 * median(taken)


def in_c(integers: Network, one: Array, rounds: int = 20) -> float | None:
    """Milliseconds of one sample in the program for a microcontroller, in a process that is running here; the median
    over rounds, None without a C compiler."""
    if not compiler_available():
        return None
    process, taken = Process(program_of(integers)), []
    try:
        for _ in range(rounds):
            start = time.perf_counter()
            process.reset()
            process.steps(one[:, 0])
            taken.append(time.perf_counter() - start)
    finally:
        process.close()
    return 1e3 * median(taken)


def convolutions(steps: int, batch: int, rounds: Rounds, lava_samples: int, side: tuple[int, int]) -> dict[str, Any]:
    """The convolutional network against Lava and the products alone."""
    network = pilotnet(side)
    spikes = (np.random.default_rng(3).random((steps, batch, *network.input.shape)) < 0.1).astype(np.uint8)
    record = run(network, spikes)
    assert_same(record, run(network, spikes[:, :1], engine="reference"))
    alone = products(network, run(network, spikes, record="spikes"), spikes)
    taken = measure({"fast": lambda: run(network, spikes), "products": alone}, rounds)
    result: dict[str, Any] = {
        "synapses": network.n_synapses,
        "neurons": network.n_neurons,
        "activity": {n: float(c.mean()) / network[n].size for n, c in record.spikes.items()},
        "ms_per_sample": 1e3 * median(taken["fast"]) / batch,
        "products_over_fast": ratio(taken, "products", "fast"),
        "synaptic_operations_per_second": float(record.total_synaptic_operations.sum()) / median(taken["fast"]),
    }
    if lava_samples:
        seconds = lava_seconds(network, spikes, lava_samples)
        result["lava_ms_per_sample"] = 1e3 * seconds
        result["lava_over_fast"] = seconds * batch / median(taken["fast"])
    return result


def growth(rounds: Rounds, smaller: int, shrink: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Time against batch, steps, width, depth and density, beside the matrix products alone.

    Args:
        rounds: of measuring.
        smaller: by this factor are the batches.
        shrink: by this factor is everything smaller (:meth:`Setting.shrunk`).
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for what, settings in GROWTH.items():
        for full in settings:
            setting = replace(full, batch=max(full.batch // smaller, 8)).shrunk(shrink)
            network, spikes = compile(setting.network(), "loihi2").network, setting.spikes()
            checked(network, spikes)
            rasters = run(network, spikes, record="spikes")
            steps: dict[str, Step] = {
                "fast": lambda n=network, s=spikes: run(n, s),  # type: ignore[misc]
                "products": products(network, rasters, spikes),
            }
            taken = measure(steps, rounds)
            row = {"setting": str(setting), "at": size_of(what, setting)}
            row |= {f"{name}_ms": 1e3 * median(times) for name, times in taken.items()}
            found.setdefault(what, []).append(row | {"products_over_fast": ratio(taken, "products", "fast")})
    return found


def print_results(results: dict[str, Any]) -> None:
    """Tables."""
    head, conv = results["headline"], results["convolutions"]
    print(f"{results['setting']}; activity " + ", ".join(f"{v:.1%}" for v in head["activity"].values()))
    for name, ms in head["ms"].items():
        print(f"  {name:<22}{ms:10.2f} ms")
    by_batch = head["snntorch_over_float_by_batch"]
    lines = [
        ("Lava / fast", head.get("lava_over_fast")),
        ("Lava / fast, one sample", head.get("lava_over_one_sample")),
        ("Lava / fast, convolutions", conv.get("lava_over_fast")),
        ("reference / fast", head["reference_over_fast"]),
        ("snnTorch / fast, float", head["snntorch_over_float"]),
        *((f"snnTorch / fast, float, batch {n}", value) for n, value in by_batch.items()),
        ("products / fast", head["products_over_fast"]),
        ("products / fast, convolutions", conv["products_over_fast"]),
        ("fast, dense input / products", head["fast_dense_over_products"]),
    ]
    for name, value in lines:
        print(f"  {name:<36}{'not measured' if value is None else f'{value:10.1f}'}")
    print(
        f"  a step of a stream: {head['stream_us']:.1f} us; spikes as snnTorch: {head['spikes_equal_to_snntorch']:.4%}"
    )
    if head["one_sample_in_c_ms"] is not None:
        print(f"  one sample in C: {head['one_sample_in_c_ms']:.2f} ms; fast: {head['ms']['one sample']:.2f} ms")
    rate = conv["synaptic_operations_per_second"]
    print(f"convolutions: {conv['ms_per_sample']:.2f} ms per sample, {rate:.3g} synaptic operations per second")
    for what, rows in results["growth"].items():
        for row in rows:
            print(f"  {what:<8}{row['at']:>8g}{row['fast_ms']:12.2f} ms{row['products_over_fast']:10.2f} products/fast")
    print("memory, MiB: " + ", ".join(f"{name} {value:.0f}" for name, value in results["memory"].items()))


def plot(results: dict[str, Any], path: Path) -> None:
    """Milliseconds against batch, steps, width, depth and density."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.2), layout="constrained")
    for axes, (what, rows) in zip(figure.subplots(1, len(results["growth"])), results["growth"].items(), strict=True):
        for name in ("fast", "products"):
            axes.loglog([row["at"] for row in rows], [row[f"{name}_ms"] for row in rows], "o-", label=name)
        axes.set(xlabel=what, ylabel="ms" if what == "batch" else "")
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, path)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="folder for tables and plot")
    parser.add_argument("--quick", action="store_true", help="smaller everything, less than a minute")
    parser.add_argument("--tiny", action="store_true", help="just see that it works; the figures mean nothing")
    parser.add_argument("--repeats", type=int, default=0, help="rounds; default 9, quick 3")
    parser.add_argument("--full-convolutions", action="store_true", help="these in full, however quick the others")
    options = parser.parse_args(arguments)
    small = options.quick or options.tiny
    full = options.full_convolutions or not small
    shrink = TINY if options.tiny else 1
    rounds = Rounds(options.repeats or (1 if options.tiny else 3 if options.quick else 9), 0 if options.tiny else PAUSE)
    setting = BASE.shrunk(shrink)
    described = machine()
    samples = (1 if options.tiny else 2 if small else 8) if lava_available() else 0
    results: dict[str, Any] = {
        "machine": described,
        "setting": str(setting),
        "repeats": rounds.count,
        "headline": headline(setting, rounds, samples),
        "convolutions": convolutions(
            16 if full else 4, 8 if full else 2, replace(rounds, count=min(rounds.count, 3)),
            int(lava_available() and full), (66, 200) if full else (66, 80),
        ),
        "growth": growth(Rounds(1, rounds.pause) if small else Rounds(3), 16 if small else 1, shrink),
        "memory": peak_memory(*on_loihi1(replace(BASE, batch=16 if small else 16384))),
    }  # fmt: skip
    print_results(results)
    options.output.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output / "emulation.json", json.dumps(results, indent=1).encode())
    plot(results, options.output / "emulation.png")


if __name__ == "__main__":
    main()
