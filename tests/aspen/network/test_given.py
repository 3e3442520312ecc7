"""A PyTorch model, a path or a record where a network belongs, and the other way round: refused with what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aspen.dial.profile import DialProfile
from aspen.errors import AspenError, InputError
from aspen.exporting import export
from aspen.fused import fuse
from aspen.models.ready import DenseNet
from aspen_emulator import observe, run, session, sweep
from aspen_emulator.measuring.parity import parity
from aspen_hardware import ann_baseline, check, chip, compile, energy_model, place
from tests.networks import random_spikes
from tests.spiking_models import leaky, settle, spikes

SPIKES = random_spikes(0, 12, 4, 6)
MODEL = DenseNet((6, 5, 3))
NETWORK = export(MODEL, torch.from_numpy(SPIKES).float())
TAKERS: dict[str, Callable[[Any], Any]] = {
    "compile": lambda given: compile(given, "loihi1"),
    "run": lambda given: run(given, SPIKES),
    "sweep": lambda given: sweep(given, SPIKES, np.zeros(4, np.int64)),
    "session": session,
    "observe": lambda given: observe(given, SPIKES),
    "place": lambda given: place(given, chip("loihi1")),
    "check": lambda given: check(given, chip("loihi1")),
    "ann_baseline": ann_baseline,
    "parity": lambda given: parity(None, given, None, SPIKES),
    "uniform": DialProfile.uniform,
}


@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
def test_a_model_is_not_a_network(take: Callable[[Any], Any]) -> None:
    for given in (MODEL, fuse(DenseNet((6, 5, 3)))):
        with pytest.raises(InputError, match=r"found \w+, allowed is aspen.Network; export it first: aspen.export"):
            take(given)
    with pytest.raises(InputError, match=r"found str, allowed is aspen.Network; load it first: aspen.load_network"):
        take("network.aspen")
    with pytest.raises(InputError, match=r"found NoneType, allowed is aspen.Network; pass a network"):
        take(None)


def test_a_network_is_not_a_model_and_no_record() -> None:
    sample = torch.from_numpy(SPIKES).float()
    for given in (NETWORK, compile(NETWORK, "loihi1"), None):
        with pytest.raises(InputError, match=r"model: found \w+, allowed is a trained snnTorch model; pass that"):
            export(given, sample)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=r"record: found \w+, allowed is the aspen.Record of a run; run the net"):
            energy_model(given, chip("loihi1"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"network: found Deployment, .* pass its network, the attribute .network"):
        compile(compile(NETWORK, "loihi1"), "loihi1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="model: found Network"):
        parity(NETWORK, NETWORK, None, SPIKES)  # type: ignore[arg-type]


def test_what_runs_networks_does_not_import_torch_to_refuse_a_model() -> None:
    code = (
        "import sys\nfrom aspen.errors import InputError\nfrom aspen_hardware import compile\n"
        "try:\n    compile(3, 'loihi1')\nexcept InputError as error:\n    print(error, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "network: found int, allowed is aspen.Network; pass a network False"


def test_a_fused_model_is_exported_and_compared_as_the_one_behind_it() -> None:
    model = DenseNet((6, 5, 3)).double()
    network = export(fuse(model), torch.from_numpy(SPIKES).double())
    report = parity(fuse(model), network, None, SPIKES)
    assert sum(d.different for d in report.differences) == 0


class Repeating(nn.Module):
    """One input, the same at every step of its own, as snnTorch's tutorial 5 has it."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.fc1, self.lif1 = nn.Linear(6, 5), leaky()
        self.fc2, self.lif2 = nn.Linear(5, 3), leaky()

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2, made = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for _ in range(self.steps):
            spikes1, mem1 = self.lif1(self.fc1(x), mem1)
            spikes2, mem2 = self.lif2(self.fc2(spikes1), mem2)
            made.append(spikes2)
        return torch.stack(made)


class Stepping(Repeating):
    """One step, its states given and returned."""

    def forward(self, x: Tensor, mem1: Tensor, mem2: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        spikes1, mem1 = self.lif1(self.fc1(x), mem1)
        spikes2, mem2 = self.lif2(self.fc2(spikes1), mem2)
        return spikes2, mem1, mem2


@pytest.mark.parametrize("steps", [8, 3], ids=["more steps than samples", "as many"])
def test_parity_calls_every_model_as_it_is_written(steps: int) -> None:
    still = spikes(6)[:1].expand(steps, -1, -1)
    moving = spikes(6)[:steps]
    for model, sample in ((settle(Repeating(steps)), still), (settle(Stepping(steps)), moving)):
        report = parity(model, export(model, sample, time_axis=0), None, sample.numpy().astype(np.uint8))
        assert [(d.population, d.different) for d in report.differences] == [("lif1", 0), ("lif2", 0)]
        assert all(d.spikes_before for d in report.differences)


def test_parity_says_what_a_model_that_repeats_its_input_needs() -> None:
    model = settle(Repeating(8))
    network = export(model, spikes(6)[0])
    refused = {
        "found other values at other steps": spikes(6),
        r"parity: Repeating.forward\(\) calls its neurons \[.*\] times on 5 steps": spikes(6)[:1].expand(5, -1, -1),
    }
    for message, sample in refused.items():
        with pytest.raises(AspenError, match=message):
            parity(model, network, None, sample.numpy().astype(np.uint8))
