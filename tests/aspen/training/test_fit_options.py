"""Options of a training beside its stages: BatchNorm over time, augmentation, the learning rate's rise, scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen.data import Samples
from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.fused import fuse
from aspen.models.ready import DenseNet
from aspen.training import fit as training
from aspen.training.fit import _on_device, fit
from aspen.training.loss import scores_of, takes_mean
from aspen.training.recipes import DialTraining, Recipe
from aspen.training.stage import Stage, Task
from aspen_emulator import run
from tests.aspen.training.test_fit import DATA

QUICK = Recipe("quick", spike_price=0.05, epochs=8, batch_size=16, average=0.9, scores="mean", learning_rate=2e-2)
DIALLED = replace(QUICK, then=(replace(QUICK, dial=DialTraining(high_price=1.0), patience=5, epochs=3),))


def normed() -> DenseNet:
    torch.manual_seed(0)
    return DenseNet((8, 12, 10, 2), batch_norm=True, learn_beta=True, readout="linear")


class StepByStep(nn.Module):
    """A user's own loop, whose BatchNorm takes the statistics of each step alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.norm1, self.fc2 = nn.Linear(8, 12, bias=False), nn.BatchNorm1d(12), nn.Linear(12, 2)
        self.lif1, self.lif2 = snntorch.Leaky(0.9), snntorch.Leaky(0.9)

    def forward(self, inputs: Tensor) -> Tensor:
        first, second, answers = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for step in inputs:
            hidden, first = self.lif1(self.norm1(self.fc1(step)), first)
            answer, second = self.lif2(self.fc2(hidden), second)
            answers.append(answer)
        return torch.stack(answers)


@pytest.mark.parametrize("recipe", [QUICK, DIALLED], ids=["one stage", "with a dial"])
def test_batch_norm_over_time_learns_and_resumes_to_the_bit(tmp_path: Path, recipe: Recipe) -> None:
    net = normed()
    fitted = fit(net, DATA, recipe, seed=2, batch_norm="over_time")
    assert max(fitted.validation_accuracy) > 0.85
    whole = {name: values.clone() for name, values in net.state_dict().items()}
    path = tmp_path / "half.pt"

    class Broken(Exception):
        pass

    def break_off(entry: Any, total: int) -> None:
        if len(done) == 2:
            raise Broken
        done.append(entry)

    done: list[Any] = []
    net = normed()
    with pytest.raises(Broken):
        fit(net, DATA, recipe, seed=2, batch_norm="over_time", checkpoint=path, progress=break_off)
    net = normed()
    fit(net, DATA, recipe, seed=2, batch_norm="over_time", checkpoint=path, resume=True)
    assert all(torch.equal(values, whole[name]) for name, values in net.state_dict().items())


def test_unless_told_otherwise_batch_norm_is_treated_as_the_model_itself_treats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def asking(model: nn.Module, *given: Any, batch_norm: str) -> nn.Module:
        asked.append(batch_norm)
        return fuse(model, *given, batch_norm=batch_norm)

    monkeypatch.setattr(training, "fuse", asking)
    ours, named = normed(), normed()
    fit(ours, DATA, QUICK, seed=2)
    fit(named, DATA, QUICK, seed=2, batch_norm="over_time")
    assert all(torch.equal(values, named.state_dict()[name]) for name, values in ours.state_dict().items())
    fit(StepByStep(), DATA, replace(QUICK, epochs=1))
    assert asked == ["over_time", "over_time", "refuse"]


def test_the_statistics_are_those_of_the_training_data_with_the_weights_that_are_kept() -> None:
    net = normed()
    fit(net, DATA, replace(QUICK, batch_size=len(DATA.train)), seed=2, batch_norm="over_time")
    inputs = torch.from_numpy(DATA.spikes("train")).float()
    currents = net.fc1(inputs)
    torch.testing.assert_close(net.norm1.running_mean, currents.mean(dim=(0, 1)))
    torch.testing.assert_close(net.norm1.running_var, currents.flatten(0, 1).var(dim=0))


def test_a_trained_network_with_batch_norm_is_exported_with_the_same_answers() -> None:
    net = normed()
    fit(net, DATA, QUICK, seed=2, batch_norm="over_time")
    inputs = DATA.spikes("test")
    with torch.no_grad():
        scores = scores_of(net(torch.from_numpy(inputs).float()))
    record = run(export(net, torch.from_numpy(inputs[:, :2]).float()), inputs)
    np.testing.assert_array_equal(record.predictions, scores.argmax(dim=1))


def test_batch_norm_of_each_step_alone_is_not_fused_unasked() -> None:
    with pytest.raises(ModelError, match="batch_norm='over_time'"):
        fit(StepByStep(), DATA, QUICK, fused=True)


def test_a_dial_of_a_frozen_network_is_learned_alone() -> None:
    net = normed()
    fit(net, DATA, QUICK, seed=2, batch_norm="over_time")
    kept = {name: values.clone() for name, values in net.state_dict().items()}
    alone = replace(QUICK, dial=DialTraining(high_price=1.0, frozen=True), epochs=4)
    fitted = fit(net, DATA, alone, seed=2, batch_norm="over_time")
    assert all(torch.equal(values, kept[name]) for name, values in net.state_dict().items())
    assert fitted.profile is not None
    assert np.ptp(fitted.profile.slopes["lif1"]) > 0.01
    assert fitted.history[-1].spikes[2] < fitted.history[-1].spikes[0]


def test_only_the_training_data_is_augmented_and_anew_in_each_epoch() -> None:
    seen: list[float] = []

    def scaled(samples: Samples, rng: np.random.Generator) -> Any:
        assert samples is DATA.train
        seen.append(float(rng.random()))
        return samples.values * np.float32(seen[-1])

    fit(normed(), replace(DATA, augment=scaled), replace(QUICK, epochs=2), batch_norm="over_time")
    assert len(seen) == len(set(seen)) == 2


def test_the_learning_rate_rises_and_falls() -> None:
    net = normed()
    task = Task(net, fuse(net, batch_norm="over_time"), DATA, torch.zeros(12, 1, 8), 0)
    stage = Stage(task, replace(QUICK, rise=0.5, epochs=3))
    rates = []
    for epoch in range(3):
        rates.append(stage.optimizer.param_groups[0]["lr"])
        stage.run_epoch(epoch)
    assert rates[0] == pytest.approx(QUICK.learning_rate / (stage.total / 2))
    assert rates[1] > 4 * rates[0]
    assert stage.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


def test_label_smoothing_keeps_the_loss_up_and_weight_decay_the_weights_down() -> None:
    losses, norms = [], []
    for change in ({}, {"label_smoothing": 0.5}, {"weight_decay": 1.0}):
        net = normed()
        fitted = fit(net, DATA, replace(QUICK, **change), batch_norm="over_time")  # type: ignore[arg-type]
        losses.append(fitted.loss[-1])
        norms.append(float(net.readout.weight.norm().detach()))
    assert losses[1] > losses[0] + 0.1
    assert norms[2] < 0.8 * norms[0]


def test_scores_are_summed_or_averaged() -> None:
    answer = torch.arange(24.0).reshape(4, 3, 2)
    torch.testing.assert_close(scores_of(answer), answer.sum(dim=0))
    torch.testing.assert_close(scores_of(answer, mean=True), answer.mean(dim=0))
    assert scores_of(answer[0], mean=True) is answer[0] or torch.equal(scores_of(answer[0], mean=True), answer[0])


@pytest.mark.parametrize(("readout", "mean"), [("spikes", False), ("linear", True)])
def test_the_loss_can_follow_the_read_out(readout: str, mean: bool) -> None:
    net, auto = DenseNet((8, 12, 2), readout=readout), replace(QUICK, scores="auto")
    assert takes_mean(auto, net) is mean
    assert Stage(Task(net, net, DATA, torch.ones(12, 1, 8), 0), auto).mean_scores is mean
    assert takes_mean(QUICK, net)
    assert not takes_mean(replace(QUICK, scores="sum"), net)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rise": 2.0}, "rise: found 2.0"),
        ({"weight_decay": -0.1}, "weight_decay: found -0.1"),
        ({"label_smoothing": 1.0}, "label_smoothing: found 1.0"),
        ({"scores": "max"}, "scores: found 'max', allowed are sum, mean"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(QUICK, **settings)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path) -> None:
    net = normed()
    before = {name: values.clone() for name, values in net.state_dict().items()}
    with pytest.raises(InputError, match="nowhere does not exist; create it first"):
        fit(net, DATA, QUICK, checkpoint=tmp_path / "nowhere" / "c.pt")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/log: cannot make this folder \(Not a directory\)"):
        fit(net, DATA, QUICK, log=tmp_path / "file" / "log")
    assert all(torch.equal(values, before[name]) for name, values in net.state_dict().items())


def test_a_training_goes_on_where_checkpoint_and_log_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aspen.storage.writing.begin", refuse)
    with pytest.warns(RuntimeWarning) as told:
        fitted = fit(normed(), DATA, QUICK, epochs=2, checkpoint=tmp_path / "c.pt", log=tmp_path)
    assert len(fitted.history) == 2
    for name in ("c.pt", "epochs.csv"):
        message = (
            f"{name}: cannot write there (No space left on device); make room, or choose another disk; the training"
        )
        assert sum(message in str(warning.message) for warning in told) == 2  # once after each epoch


def test_a_training_elsewhere_than_on_a_cpu_says_what_steps_the_neurons() -> None:
    model, sample = DenseNet((4, 3, 2)), torch.zeros(5, 1, 4)
    assert _on_device(fuse(model), sample) == []
    there = sample.to("meta")
    assert _on_device(model, there) == ["trained on meta: step by step"]
    assert _on_device(fuse(model), there) == ["trained on meta: all time steps at once, by snnTorch's steps"]
