"""Own data on the command line: files by --data, values wherever spikes may come, and spikes made to be looked at."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from aspen.data import DeltaEncoder, RateEncoder, arrays, digits, load_encoder, save_encoder
from aspen.network.network import load_network
from aspen_emulator import run
from aspen_hardware import compile
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network

__all__ = ["aspen"]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 20, 3)).astype(np.float32)
Y = np.array(["a", "b", "c", "d"])[np.arange(60) % 4]
DATA = arrays(X, Y)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with the encoder of the data and what it was trained on, the data, values alone, and their spikes."""
    monkeypatch.chdir(tmp_path)
    network = float_network(1, bias=False)  # 6 inputs, 4 outputs
    provenance = {**network.provenance, "training": {"samples": dict(DATA.provenance)}}
    type(network)(network.populations, network.connections, provenance=provenance).save("net.aspen")
    assert isinstance(DATA.encoder, DeltaEncoder)
    save_encoder(DATA.encoder, "net.aspen")
    np.savez("my.npz", X=X, y=Y)
    np.save("values.npy", DATA.validation.values)
    np.save("spikes.npy", DATA.spikes("validation"))
    np.save("floats.npy", DATA.spikes("validation").astype(np.float32))
    np.save("labels.npy", DATA.validation.labels)
    return tmp_path


def test_values_data_and_their_spikes_measure_the_same(aspen: Aspen, folder: Path) -> None:
    ways = (
        ("--data", "my.npz"),
        ("--values", "values.npy", "--labels", "labels.npy"),
        ("--input", "spikes.npy", "--labels", "labels.npy"),
        ("--input", "floats.npy", "--labels", "labels.npy"),
    )
    swept = [aspen("sweep", "net.aspen", *way, "--knobs", "0.5,1", "--json") for way in ways]
    assert {(code, "warning" in err) for code, _, err in swept} == {(0, False)}
    assert len({out for _, out, _ in swept}) == 1
    reports = [aspen("report", "net.aspen", *way[:2], "--json")[1] for way in ways]
    assert len(set(reports)) == 1
    checks = [aspen("check", "net.aspen", *way) for way in ways[1:]]
    assert len({out for _, out, _ in checks}) == 1
    assert "spikes differ" in checks[0][1] or "accuracy" in checks[0][1]
    for way in (("--calibrate", "spikes.npy"), ("--calibrate-values", "values.npy")):
        assert aspen("compile", "net.aspen", *way, "--output", f"{way[0][2:]}.aspen")[0] == 0
    compiled = [Path(f"{name}.aspen").read_bytes() for name in ("calibrate", "calibrate-values")]
    assert compiled[0] == compiled[1]


def test_a_data_set_is_streamed_sample_by_sample(aspen: Aspen, folder: Path) -> None:
    assert aspen("sweep", "net.aspen", "--data", "my.npz", "--knobs", "0.5,1", "--save")[0] == 0
    part = ("--data", "my.npz", "--part", "test")
    code, out, err = aspen("stream", "net.aspen", *part, "--knob", 0.5, "--json", "--log", "log.csv")
    assert code == 0, err
    log = np.genfromtxt("log.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    answers = run(compile(load_network("net.aspen"), "loihi1"), DATA.spikes("test"), 0.5).predictions
    np.testing.assert_array_equal(log["prediction"], answers)
    assert json.loads(out)["accuracy"] == (answers == DATA.test.labels).mean()
    np.savez("short.npz", X=X[:, :10], y=Y)
    for wrong, message in (
        (("--data", "my.npz", "--values", "values.npy"), "found --values and --data"),
        (("--data", "my.npz", "--labels", "labels.npy"), "found --labels beside --data"),
        (("--values", "values.npy", "--part", "test"), "found --part without --data"),
        (("--data", "short.npz"), "short.npz: found samples of 10 steps, allowed are those of a window, 20"),
    ):
        code, _, err = aspen("stream", "net.aspen", *wrong, "--knob", 1)
        assert (code in (1, 2), message in err) == (True, True), err


def test_samples_that_may_have_been_trained_on_are_not_measured_in_silence(aspen: Aspen, folder: Path) -> None:
    np.savez("more.npz", X=np.concatenate([X, X[:20]]), y=np.concatenate([Y, Y[:20]]))
    for command in (("sweep", "--knobs", 1), ("calibrate", "--knobs", 1, "--min-accuracy", 0.001), ("report",)):
        name, *options = command
        _, _, err = aspen(name, "net.aspen", "--data", "more.npz", *options)
        assert "net.aspen was trained on other samples, so that its validation samples may be among them" in err
        assert "among them" not in aspen(name, "net.aspen", "--data", "my.npz", *options)[2]
    assert "among them" not in aspen("report", "net.aspen", "--data", "more.npz", "--part", "train")[2]
    float_network(1, bias=False).save("silent.aspen")
    assert "does not say which samples it was trained on" in aspen("report", "silent.aspen", "--data", "my.npz")[2]


def test_a_network_is_trained_on_own_data_and_says_on_which(aspen: Aspen, folder: Path) -> None:
    options = ("--data", "my.npz", "--recipe", "plain", "--hidden", "5", "--epochs", 1, "--seed", 3)
    code, _, err = aspen("train", *options, "--output", "new.aspen")
    assert code == 0
    assert "my.npz: 36 training, 12 validation and 12 test samples of (20, 3), 4 classes (a, b, c, d); drawn by" in err
    said = load_network("new.aspen").provenance["training"]
    assert (said["data"], dict(said["samples"])) == ("my.npz", dict(DATA.provenance))
    assert load_encoder("new.aspen") == DATA.encoder
    code, _, err = aspen("train", *options, "--encoder", "current", "--output", "current.aspen")
    assert (code, load_encoder("current.aspen").kind, "encoder current: as asked for" in err) == (0, "current", True)


def test_encode_makes_what_a_network_is_given(aspen: Aspen, folder: Path) -> None:
    code, out, _ = aspen("encode", "net.aspen", "--values", "values.npy", "--output", "made.npy")
    assert (code, "(time, samples, *shape) = (20, 12, 6), encoder delta" in out) == (0, True)
    np.testing.assert_array_equal(np.load("made.npy"), DATA.spikes("validation"))
    ways = (("net.aspen",), ("--encoder", "delta"), ())
    for way in ways:
        part = ("--data", "my.npz", "--part", "test", "--samples", 5)
        assert aspen("encode", *way, *part, "--output", "made.npy", "--labels-output", "y.npy")[0] == 0
        np.testing.assert_array_equal(np.load("made.npy"), DATA.spikes("test")[:, :5])
        np.testing.assert_array_equal(np.load("y.npy"), DATA.test.labels[:5])
    assert aspen("encode", "--encoder", "none", "--values", "values.npy", "--output", "made.npy")[0] == 0
    np.testing.assert_array_equal(np.load("made.npy"), DATA.validation.values.swapaxes(0, 1))
    assert aspen("encode", "--data", "digits", "--seed", 2, "--output", "made.npy")[0] == 0  # what the README runs on
    np.testing.assert_array_equal(np.load("made.npy"), digits().encode(digits().validation.values, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("encode --output a.npy", "found no samples, allowed is one of --values and --data"),
        ("encode --values values.npy --output a.npy", "found --values alone, allowed is with NETWORK"),
        ("encode net.aspen --encoder rate --values values.npy --output a.npy", "found --encoder rate beside net.aspen"),
        ("encode net.aspen --values values.npy --part test --output a.npy", "found --part without --data"),
        ("encode net.aspen --values values.npy --output values.npy", "which is the input --values"),
        ("encode --encoder rat --values values.npy --output a.npy", "did you mean 'rate'"),
        ("sweep net.aspen --values values.npy", "found --values without --labels"),
        ("sweep net.aspen --values values.npy --input spikes.npy --labels labels.npy", "found --input and --values"),
        ("sweep net.aspen --values values.npy --labels labels.npy --seeds 2", "allowed is 1: DeltaEncoder encodes"),
        ("sweep net.aspen --data nope", "found 'nope', allowed are digits, har, "),
        ("sweep net.aspen --data nope.npz", "'nope.npz' does not exist"),
        ("sweep net.aspen --data my.npz --data-path .", "found the path . beside it"),
        ("train --data my.npz --output my.npz", "allowed is .aspen"),
        ("report net.aspen --values values.npy --data my.npz", "found --values and --data"),
        ("check net.aspen --values values.npy --input spikes.npy", "found both --input and --values"),
        ("compile net.aspen --calibrate spikes.npy --calibrate-values values.npy", "both"),
        ("calibrate net.aspen --stored --values values.npy --max-energy 1mJ", "found --stored beside --values"),
    ],
)
def test_what_does_not_go_together_is_refused(aspen: Aspen, folder: Path, arguments: str, message: str) -> None:
    code, out, err = aspen(*arguments.split())
    assert (code in (1, 2), out, message in err) == (True, "", True), err
    assert err.count("\n") == 1


def test_values_of_another_shape_are_told_as_they_were_given(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    float_network(1, bias=False).save("net.aspen")  # of 6 inputs
    rng = np.random.default_rng(0)
    save_encoder(RateEncoder(steps=5).fit(rng.random((9, 6))), "net.aspen")
    np.save("few.npy", rng.random((3, 5)))
    np.save("right.npy", rng.random((3, 6)))
    np.savez("few.npz", X=rng.random((30, 5)), y=np.arange(30) % 3)
    message = r"found samples of shape \(5,\), which are encoded as \(5,\), allowed is what is encoded as \(6,\), the"
    np.save("y.npy", np.arange(3))
    for name, *arguments in (
        ("few.npy", "run", "net.aspen", "--values", "few.npy", "--output", "out.npy"),
        ("few.npy", "report", "net.aspen", "--values", "few.npy"),
        ("few.npy", "sweep", "net.aspen", "--values", "few.npy", "--labels", "y.npy"),
        ("own data|few.npz", "sweep", "net.aspen", "--data", "few.npz"),
        ("own data|few.npz", "report", "net.aspen", "--data", "few.npz"),
    ):
        code, _, err = aspen(*arguments)
        assert code == 1
        assert re.search(f"(?:{name}): {message}", err), err
        assert err.count("\n") == 1
    code, _, err = aspen("run", "net.aspen", "--input", "right.npy", "--output", "out.npy")
    assert code == 1
    assert "right.npy: found values (3, 6), allowed after --input are spikes or currents (time, batch, 6); give" in err
