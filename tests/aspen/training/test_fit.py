"""Training as a whole: stages, dials, checkpoints that resume to the bit, and failures that lose nothing."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.data import Dataset, RateEncoder, Samples
from aspen.errors import FileFormatError, InputError, TrainingError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.models.surrogates import Triangle
from aspen.thresholds.settings import PerturbationSettings
from aspen.training.fit import Fitted, fit
from aspen.training.loss import draw_knobs
from aspen.training.penalties import costs_of
from aspen.training.recipes import RECIPES, DialTraining, Recipe
from aspen_emulator import run
from tests import ROOT


def halves(samples: int = 240) -> Dataset:
    """Two classes that differ in which half of the inputs is busy."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, samples)
    values = np.full((samples, 8), 0.1, np.float32)
    values[labels == 0, :4] = values[labels == 1, 4:] = 0.6
    thirds = [Samples(values[i::3], labels[i::3].astype(np.int64)) for i in range(3)]
    return Dataset("halves", *thirds, RateEncoder(12), classes=2)


DATA = halves()
QUICK = Recipe("quick", spike_price=0.05, epochs=3, batch_size=16, average=0.9)
DIALLED = replace(QUICK, then=(replace(QUICK, name="dial", dial=DialTraining(high_price=3.0)),))
PRUNED = replace(DIALLED, name="pruned", density={"fc1": 0.3, "fc2": 0.6})
OFF = replace(QUICK, epochs=2, dial=DialTraining(high_price=0.3, left=0.25, beyond=0.5))
NESTED = replace(QUICK, name="nested", epochs=2, then=(OFF, replace(OFF, dial=replace(OFF.dial, groups=8))))
LAST = replace(QUICK, epochs=2, dial=DialTraining(high_price=3.0, groups=2))
GROUPED = replace(DIALLED, name="groups", epochs=2, then=(replace(DIALLED.stages[1], epochs=2), LAST))


def model() -> DenseNet:
    torch.manual_seed(0)
    return DenseNet((8, 12, 10, 2))


def weights(net: DenseNet, fitted: Fitted) -> list[np.ndarray]:
    arrays = [parameter.detach().numpy() for parameter in net.parameters()]
    if fitted.profile is not None:
        arrays += [*fitted.profile.slopes.values(), *fitted.profile.offsets.values()]
    return arrays


class Interrupted(Exception):
    """As a user does it, or a machine."""


PERTURBED = replace(RECIPES["perturbed"], epochs=3, batch_size=16)
FUSED = [(recipe, True) for recipe in (QUICK, DIALLED, GROUPED, PRUNED, NESTED, PERTURBED)]
SNNTORCH = [(QUICK, False), (PRUNED, False)]  # its loop is slow, and what is kept and taken up again is the same


@pytest.mark.parametrize(("recipe", "fused"), [*FUSED, *SNNTORCH], ids=lambda each: getattr(each, "name", each))
def test_an_interrupted_training_resumes_to_the_bit(tmp_path: Path, recipe: Recipe, fused: bool) -> None:
    """Within the first epoch, the second and the last, by how often a layer was called."""
    net, calls, ends = model(), [0], [0]

    def count(*_: Any) -> None:
        calls[0] += 1

    net.fc2.register_forward_hook(count)
    whole = weights(net, fit(net, DATA, recipe, seed=5, fused=fused, progress=lambda *_: ends.append(calls[0])))
    for number, moment in enumerate((ends[1] - 2, (ends[1] + ends[2]) // 2, (ends[-2] + ends[-1]) // 2)):
        net, path, left = model(), tmp_path / f"{number}.pt", iter(range(moment))

        def interrupt(*_: Any, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Interrupted

        handle = net.fc2.register_forward_hook(interrupt)
        with pytest.raises(Interrupted):
            fit(net, DATA, recipe, seed=5, fused=fused, checkpoint=path)
        handle.remove()
        assert path.is_file() == (number > 0)  # which is written after each epoch
        net = model()
        again = weights(net, fit(net, DATA, recipe, seed=5, fused=fused, checkpoint=path, resume=True))
        for one, two in zip(whole, again, strict=True):
            np.testing.assert_array_equal(one, two)


SCRIPT = """
import sys, torch
from aspen.training.fit import fit
from tests.aspen.training.test_fit import DATA, DIALLED, model, weights
torch.set_num_threads(1)
net = model()
report = lambda *_: print("epoch", flush=True)
fit(net, DATA, DIALLED, seed=5, epochs=8, checkpoint=sys.argv[1], resume=True, progress=report)
torch.save(net.state_dict(), sys.argv[2])
"""


def test_a_killed_process_resumes_to_the_bit(tmp_path: Path) -> None:
    """SIGKILL, at moments that differ; what is left is resumed until it is done."""
    command = [sys.executable, "-c", SCRIPT]
    whole = subprocess.Popen(
        [*command, tmp_path / "a", tmp_path / "a.out"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # beside the others
    rng = np.random.default_rng(0)
    for kills in (1, 3):
        with subprocess.Popen(
            [*command, tmp_path / "b", tmp_path / "b.out"], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            for _ in range(kills):
                process.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.05)))
            os.kill(process.pid, signal.SIGKILL)
    last = subprocess.run([*command, tmp_path / "b", tmp_path / "b.out"], cwd=ROOT, timeout=120, capture_output=True)
    assert last.returncode == 0
    epochs, trouble = whole.communicate(timeout=120)
    assert whole.returncode == 0, trouble.decode()
    assert 0 < last.stdout.count(b"epoch") < epochs.count(b"epoch")
    one, two = (torch.load(tmp_path / f"{name}.out", weights_only=True) for name in "ab")
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_learned_dial_fits_the_exported_network() -> None:
    torch.manual_seed(0)
    net = DenseNet((8, 12, 2))
    first, second = (replace(stage, batch_size=8, spike_price=0.01) for stage in DIALLED.stages)
    fitted = fit(net, DATA, replace(first, epochs=12, then=(replace(second, epochs=25),)), seed=0)
    assert fitted.profile is not None
    assert {entry.stage for entry in fitted.history} == {0, 1}
    assert fitted.history[-1].settings == (0.0, 0.5, 1.0)
    assert fitted.validation_spikes[-1] == fitted.history[-1].spikes[0] > 0
    network = export(net, torch.from_numpy(DATA.spikes("train")[:, :2]).float())
    fitted.profile.check(network)
    spikes = DATA.spikes("test")
    ends = [run(network, spikes, fitted.profile.scale(knob)) for knob in (0.0, 0.5)]
    assert ends[0].hidden_spikes.mean() > 1.3 * ends[1].hidden_spikes.mean()
    assert all((record.predictions == DATA.test.labels).mean() > 0.9 for record in ends)


def test_knobs_are_spread_over_the_batch() -> None:
    knobs = draw_knobs(np.random.default_rng(0), 120)
    assert (knobs == 0).sum() == (knobs == 1).sum() == 10
    counts, _ = np.histogram(knobs[(knobs > 0) & (knobs < 1)], 10, (0, 1))
    assert counts.tolist() == [10] * 10


def test_logs_hold_one_line_for_each_epoch(tmp_path: Path) -> None:
    fit(model(), DATA, DIALLED, log=tmp_path / "log")
    with (tmp_path / "log" / "epochs.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["stage"], row["epoch"]) for row in rows] == [(str(s), str(e)) for s in (0, 1) for e in (0, 1, 2)]
    assert rows[0]["accuracy at 0.7"]
    assert rows[-1]["spikes at 0.5"]


def test_patience_stops_early_and_keeps_the_best() -> None:
    net = model()
    fitted = fit(net, DATA, replace(QUICK, epochs=60, patience=4))
    accuracy = fitted.validation_accuracy
    assert len(accuracy) < 60
    assert int(np.argmax(accuracy)) == len(accuracy) - 5


def bad(**change: Any) -> Dataset:
    return replace(DATA, **change)


@pytest.mark.parametrize(
    ("data", "recipe", "error", "message"),
    [
        (bad(train=DATA.train.select(np.arange(0))), QUICK, InputError, "train: found no samples"),
        (bad(train=DATA.train.select(DATA.train.labels == 1)), QUICK, InputError, r"train: found the one class \[1\]"),
        (bad(classes=1), QUICK, InputError, "train labels: found labels 0 to 1, allowed are 0 to 0"),
        (DATA, replace(QUICK, spike_price=1e4, epochs=12, warm_up=0.0), TrainingError, "no hidden spike on validation"),
        (DATA, replace(QUICK, spike_price=1e38, warm_up=0.0), TrainingError, "loss: found inf in epoch 1"),
    ],
)
def test_bad_data_and_lost_trainings_stop_with_an_error(data: Any, recipe: Any, error: Any, message: str) -> None:
    net = model()
    with pytest.raises(error, match=message):
        fit(net, data, recipe)
    assert all(bool(p.isfinite().all()) for p in net.parameters())
    assert "forward" not in vars(net)


def test_bad_checkpoints_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    fit(model(), DATA, QUICK, checkpoint=path)
    with pytest.raises(InputError, match="found a checkpoint of another training, which differs in seed"):
        fit(model(), DATA, QUICK, seed=1, checkpoint=path, resume=True)
    with pytest.raises(InputError, match=r"differs in recipe \(clip: found 1.0, now 2.0\); resume with the same"):
        fit(model(), DATA, replace(QUICK, clip=2.0), checkpoint=path, resume=True)
    with pytest.raises(InputError, match=r"differs in recipe \(epochs: found 3, now 5\); seed: found 0, now 1; resume"):
        fit(model(), DATA, QUICK, epochs=5, seed=1, checkpoint=path, resume=True)
    other_surrogate = model()
    other_surrogate.lif2.spike_grad = Triangle(0.5)
    with pytest.raises(InputError, match="differs in surrogates;"):
        fit(other_surrogate, DATA, QUICK, checkpoint=path, resume=True)
    swapped = replace(DATA.train, labels=1 - DATA.train.labels)
    for other in (bad(encoder=RateEncoder(7)), bad(train=swapped)):
        with pytest.raises(InputError, match="differs in input;"):
            fit(model(), other, QUICK, checkpoint=path, resume=True)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match="not readable as tensors"):
        fit(model(), DATA, QUICK, checkpoint=path, resume=True)
    torch.save({"x": 1}, path)
    with pytest.raises(FileFormatError, match="found no checkpoint of this ASPEN"):
        fit(model(), DATA, QUICK, checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"penalty": "l3"}, "penalty: found 'l3', allowed are l1, l2"),
        ({"cost": "joules"}, "cost: found 'joules', allowed are spikes, operations, energy"),
        ({"average": 1.0}, "average: found 1.0"),
        ({"learning_rate": 0.0}, "learning_rate: found 0.0"),
        ({"dial": DialTraining(), "perturbation": PerturbationSettings()}, "found a perturbation beside a dial"),
    ],
)
def test_bad_recipes_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe("bad", **settings)
    with pytest.raises(InputError, match=r"found prices from 2\.0 to 1\.0"):
        DialTraining(low_price=2, high_price=1)


def test_synaptic_operations_can_be_the_cost() -> None:
    """A neuron of the first hidden layer feeds ten, one of the second two: its spike costs five times as much."""
    costs = costs_of(model(), torch.ones(2, 1, 8)).spikes
    mean = (12 * 10 + 10 * 2) / 22
    torch.testing.assert_close(costs["lif1"], torch.full((12,), 10 / mean).double())
    torch.testing.assert_close(costs["lif2"], torch.full((10,), 2 / mean).double())
    spikes = []
    for prices in ({"lif1": 0.0, "lif2": 1.0}, {"lif1": 1.0, "lif2": 0.0}):
        net = model()
        fit(net, DATA, replace(QUICK, cost="operations", spike_price=1.0, prices=prices, epochs=6))
        network = export(net, torch.from_numpy(DATA.spikes("train")[:, :2]).float())
        spikes.append(run(network, DATA.spikes("train")).spikes["lif1"].sum())
    assert spikes[1] < 0.5 * spikes[0]
