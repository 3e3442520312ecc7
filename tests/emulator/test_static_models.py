"""A model that repeats its input, from own features to a stream on a chip without graded spikes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from snntorch import Leaky
from torch import Tensor, nn

import aspen
from aspen._base.arrays import Array
from aspen.control import Manual
from aspen.data import StaticEncoder, arrays, encoder_from_dict, load_encoder
from aspen.errors import InputError
from aspen.network import load_network
from aspen.training.recipes import Recipe
from aspen_emulator import run
from aspen_emulator.cli.main import main
from aspen_emulator.streaming import Meter, Stream
from aspen_emulator.streaming.sources import from_values
from aspen_hardware import chip, compile, load_deployment

STEPS = 8
QUICK = Recipe("quick", epochs=15, batch_size=12, learning_rate=0.03)
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        return int(done.value.code or 0), *capsys.readouterr()

    return call


class Repeats(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(6, 16), Leaky(0.9), nn.Linear(16, 3), Leaky(0.9)
        nn.init.normal_(self.fc1.weight, 0.0, 0.8)
        nn.init.normal_(self.fc2.weight, 0.2, 0.5)

    def forward(self, x: Tensor, num_steps: int = STEPS) -> Tensor:
        mem1, mem2, record = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for _ in range(num_steps):
            s1, mem1 = self.lif1(self.fc1(x), mem1)
            s2, mem2 = self.lif2(self.fc2(s1), mem2)
            record.append(s2)
        return torch.stack(record)


def own() -> tuple[Array, Array]:
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    return (np.eye(3).repeat(2, axis=1)[labels] + 0.2 * rng.random((60, 6))).astype(np.float32), labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("static") / "net.aspen"
    fitted = aspen.fit(Repeats(), own(), QUICK, progress=False)
    assert "encoder static: Repeats repeats its input for 8 steps" in str(fitted.data)
    assert fitted.validation_accuracy[-1] > 0.8
    fitted.export().save(path)
    return path


def test_fused_or_not_it_learns_the_same() -> None:
    losses = [
        aspen.fit(Repeats(), own(), "plain", epochs=1, fused=fused, progress=False).history[-1].loss
        for fused in (True, False)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_file_has_all_that_a_run_on_the_chip_needs(trained: Path) -> None:
    network, encoder = load_network(trained), load_encoder(trained)
    assert encoder == StaticEncoder(STEPS) == encoder_from_dict(encoder.to_dict())
    assert network.input.static
    values, labels = own()
    deployment = compile(network, "loihi1")
    record = run(deployment, values, steps=STEPS)
    assert (record.predictions == labels).mean() > 0.8
    frames = run(deployment, encoder.encode(values))
    np.testing.assert_array_equal(frames.output, record.output)


def test_each_window_of_a_stream_is_a_new_static_input(trained: Path) -> None:
    values, _ = own()
    deployment = compile(load_network(trained), "loihi1")
    expected = run(deployment, values[:5], steps=STEPS)
    for engine in ("fast", "reference"):
        meter = Meter.of(deployment, chip("loihi1"), STEPS)
        with Stream(deployment, meter, Manual(1.0), engine=engine) as stream:
            windows = list(stream.run(from_values(load_encoder(trained), values[:5], STEPS).windows()))
        assert [window.prediction for window in windows] == expected.predictions.tolist()
        for name, count in expected.awake_updates.items():
            assert stream.totals.awake[name] == count.sum()
        assert stream.totals.operations == {n: c.sum() for n, c in expected.synaptic_operations.items()}


def test_the_command_line_runs_it(command: Command, trained: Path, tmp_path: Path) -> None:
    values, labels = own()
    x, y, out = tmp_path / "x.npy", tmp_path / "y.npy", tmp_path / "out.npy"
    np.save(x, values)
    np.save(y, labels)
    assert command("compile", trained, "--chip", "loihi1")[0] == 0
    expected = run(load_deployment(trained, "loihi1"), values, steps=STEPS)
    on: list[Any] = ["--chip", "loihi1"]
    for given in (["--values", x], ["--input", x, "--steps", STEPS]):
        code, text, _ = command("run", trained, *on, *given, "--labels", y, "--output", out, "--json")
        assert (code, json.loads(text)["predictions"]) == (0, expected.predictions.tolist())
        np.testing.assert_array_equal(np.load(out), expected.output)
    code, _, err = command("run", trained, *on, "--input", x, "--output", out)
    assert (code, "as the input is static; give --steps 25" in err) == (2, True)
    options = ["--values", x, "--labels", y, "--knobs", "0.8,1"]
    assert command("calibrate", trained, *on, *options, "--max-energy", "1J")[0] == 0
    code, text, _ = command("stream", trained, *on, "--values", x, "--labels", y, "--json", "--knob", "1")
    assert code == 0
    assert json.loads(text)["windows"] == 60


def test_other_data_are_refused_with_the_encoder_that_suits() -> None:
    values, labels = own()
    with pytest.raises(InputError, match=r"changes from step to step.*StaticEncoder\(steps=8\)"):
        aspen.fit(Repeats(), arrays(values, labels, encoder="rate"), "plain", progress=False)
    with pytest.raises(InputError, match=r"found 25 time steps, allowed for Repeats are the 8.*StaticEncoder\(steps=8"):
        aspen.fit(Repeats(), arrays(values, labels, encoder="static"), "plain", progress=False)
