"""How fast does a fused layer train on a GPU? Beside snnTorch's loop, and SpikingJelly's CuPy and Triton kernels.

    python benchmarks/gpu.py [--output FOLDER] [--repeats N] [--width N] [--batch N] [--steps N]

The case that others publish (Open Neuromorphic's benchmark of libraries): one layer of 4,096 leaky neurons behind a
dense product of as many inputs, batch 16, 500 steps, float32; forward and backward, here of the sum of all spikes. The
contenders take turns; what is printed is the median in milliseconds, of time on the GPU from an idle one to an idle
one, after rounds that compile. A contender in half precision takes its input and weights in bfloat16.

Without a GPU that CUDA or ROCm drives, or without Triton, it says what it needs, that no speed was measured, and ends
with 0. SpikingJelly takes part where it is installed: its LIF neurons compute a network of their own kind, of the same
size.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import snntorch
import torch
from common import machine
from torch import Tensor, nn

import aspen
from aspen.fused.loops import has_triton
from aspen.storage.writing import write_atomically

Step = Callable[[], object]
LOOP, FUSED, HALF, PERTURBED = "snnTorch loop", "fused", "fused, bfloat16", "fused, perturbed"
PUBLIC = {"snnTorch": 265.0, "SpikingJelly, CuPy": 10.0, "Spyx": 11.0, "Spyx, half precision": 5.5}
"""Milliseconds that others have published for the case, on a GPU of theirs."""
NEEDS = (
    "no speed on a GPU was measured: found no GPU that this torch can use, or no Triton; needed are one of NVIDIA or "
    'AMD, a torch that drives it, and Triton (pip install ".[gpu]")'
)
DENSITY = 0.2
"""Share of the inputs that spike at a step."""
WARM_UP = 3


@dataclass(frozen=True)
class Setting:
    """One layer.

    Args:
        width: inputs and neurons.
        batch: samples.
        steps: time steps.
    """

    width: int = 4096
    batch: int = 16
    steps: int = 500

    def inputs(self, device: torch.device) -> Tensor:
        """Random spikes (steps, batch, width)."""
        generator = torch.Generator().manual_seed(0)
        return (torch.rand((self.steps, self.batch, self.width), generator=generator) < DENSITY).float().to(device)


class Looped(nn.Module):
    """snnTorch's loop over time, as its tutorials have it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(setting.width, setting.width, bias=False), snntorch.Leaky(beta=0.9)

    def forward(self, inputs: Tensor) -> Tensor:
        """Spikes of all steps."""
        membrane, made = self.lif.reset_mem(), []
        for step in inputs:
            spikes, membrane = self.lif(self.fc(step), membrane)
            made.append(spikes)
        return torch.stack(made)


def step_of(model: nn.Module, run: Callable[[Tensor], Tensor], inputs: Tensor) -> Step:
    """Forward and backward."""

    def step() -> None:
        model.zero_grad(set_to_none=True)
        run(inputs).float().sum().backward()

    return step


def contenders(setting: Setting, device: torch.device) -> dict[str, Step]:
    """snnTorch's loop and the fused layer."""
    inputs = setting.inputs(device)
    looped = Looped(setting).to(device)
    made = {LOOP: step_of(looped, looped, inputs)}
    for name, dtype in ((FUSED, torch.float32), (HALF, torch.bfloat16), (PERTURBED, torch.float32)):
        model = Looped(setting).to(device, dtype)
        if name == PERTURBED:
            aspen.perturb_thresholds(model, seed=0, layers="all")
        given = inputs.to(dtype)
        made[name] = step_of(model, aspen.fuse(model, given[:2]), given)
    return made


def neighbours(setting: Setting, device: torch.device) -> dict[str, Step]:
    """SpikingJelly's kernels, where what they need is installed."""
    if importlib.util.find_spec("spikingjelly") is None:
        return {}
    backends = {"cupy": "CuPy", "triton": "Triton"}
    found = {name: title for name, title in backends.items() if importlib.util.find_spec(name) is not None}
    return {f"SpikingJelly, {title}": jelly_step(setting, device, name) for name, title in found.items()}


def jelly_step(setting: Setting, device: torch.device, backend: str) -> Step:
    """SpikingJelly in multi-step mode: LIF nodes with ATan."""
    from spikingjelly.activation_based import functional, neuron, surrogate

    torch.manual_seed(0)
    lif = neuron.LIFNode(
        10.0, decay_input=False, surrogate_function=surrogate.ATan(), step_mode="m", backend=backend, v_reset=None
    )
    model = nn.Sequential(nn.Linear(setting.width, setting.width, bias=False), lif).to(device)

    def run(inputs: Tensor) -> Tensor:
        functional.reset_net(model)
        made: Tensor = model(inputs)
        return made

    return step_of(model, run, setting.inputs(device))


def measure(steps: dict[str, Step], repeats: int, wait: Callable[[], object]) -> dict[str, float]:
    """The median milliseconds of each, in rounds of another order each; ``wait`` until what was begun is done."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    order = random.Random(0)
    for number in range(repeats + WARM_UP):
        for name, step in order.sample(sorted(steps.items()), len(steps)):
            wait()
            start = time.perf_counter()
            step()
            wait()
            if number >= WARM_UP:
                taken[name].append(time.perf_counter() - start)
    return {name: round(1e3 * median(times), 3) for name, times in taken.items()}


def table(ms: dict[str, float]) -> str:
    """One line for each contender, with how many times as long it takes as the fused layer."""
    return "\n".join(f"{name:<24}{took:>10.2f} ms{took / ms[FUSED]:>10.2f} x" for name, took in ms.items())


def main(given: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmark-gpu"), help="folder for the JSON")
    parser.add_argument("--repeats", type=int, default=31, help="rounds")
    for name, value in asdict(Setting()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args(given)
    if min(options.repeats, options.width, options.batch, options.steps) < 1:
        parser.error("--repeats, --width, --batch, --steps: allowed is 1 and more")
    if not (torch.cuda.is_available() and has_triton()):
        print(NEEDS)
        return
    device, setting = torch.device("cuda"), Setting(options.width, options.batch, options.steps)
    ms = measure(contenders(setting, device) | neighbours(setting, device), options.repeats, torch.cuda.synchronize)
    print(f"{torch.cuda.get_device_name()}: {setting}\n{table(ms)}")
    print(f"\npublished by others for {Setting()}, in ms: {PUBLIC}")
    report: dict[str, Any] = {"machine": machine(gpu=torch.cuda.get_device_name()), "setting": asdict(setting)}
    options.output.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output / "gpu.json", json.dumps(report | {"ms": ms}, indent=1).encode())


if __name__ == "__main__":
    main()
