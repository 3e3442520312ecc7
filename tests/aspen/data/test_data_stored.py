"""The encoder beside the network in a file: what it encodes, who keeps it, and which files are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as encode_tensors

from aspen.data import (
    CurrentEncoder,
    DeltaEncoder,
    RateEncoder,
    StoredEncoder,
    WindowEncoder,
    find_encoder,
    load_encoder,
    save_encoder,
)
from aspen.errors import FileFormatError, InputError
from aspen.network.network import Dense, Lif, Network, Population, load_network
from aspen.storage.container import Container, read_container, write_container
from aspen_emulator import run
from aspen_hardware import load_deployment
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network

__all__ = ["aspen"]

ENCODER = WindowEncoder(DeltaEncoder((0.2, 0.1)), 4, 2)


def small(n_in: int = 16, current: bool = False) -> Network:
    rng = np.random.default_rng(0)
    populations = (Population("input", (n_in,), current=current), Population("out", (3,), Lif(1.0, 0.9)))
    return Network(populations, (Dense("input", "out", rng.normal(size=(3, n_in)).astype(np.float32)),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    small().save(tmp_path / "net.aspen")
    save_encoder(ENCODER, tmp_path / "net.aspen")
    return tmp_path / "net.aspen"


def signals(samples: int = 5) -> np.ndarray:
    return np.cumsum(np.random.default_rng(1).normal(0, 0.1, (samples, 20, 2)), axis=1).astype(np.float32)


@pytest.mark.parametrize("encoder", [ENCODER, RateEncoder(9, -1.0, 2.5, True)], ids=lambda e: str(e.kind))
def test_an_encoder_comes_back_beside_the_network(path: Path, encoder: StoredEncoder) -> None:
    save_encoder(encoder, path)
    assert find_encoder(path) == load_encoder(path) == encoder
    assert load_network(path).input.shape == (16,)


def test_a_file_without_an_encoder(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    small().save(path)
    assert find_encoder(path) is None
    with pytest.raises(InputError, match="found no encoder, allowed is a file with one"):
        load_encoder(path)


def test_a_file_is_read_without_torch(path: Path) -> None:
    script = (
        "import sys; from aspen.data import load_encoder; import numpy as np; "
        f"print(load_encoder({str(path)!r}).encode(np.ones((1, 9, 2))).shape, 'torch' in sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (made.stdout, made.stderr) == ("(3, 1, 16) False\n", "")


def change(path: Path, how: Callable[[Container], None]) -> None:
    container = read_container(path)
    how(container)
    write_container(container, path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda c: c.put("encoder", {}, {}), "encoder is malformed .*found kind 'None'"),
        (lambda c: c.put("encoder", {**ENCODER.to_dict(), "size": -1}, {}), "size: found -1"),
        (lambda c: c.put("encoder", ENCODER.to_dict(), {"x": np.zeros(2)}), "found 1 tensors, allowed are none"),
        (lambda c: c.put("encoder", CurrentEncoder().to_dict(), {}), "found current, which gives current, the network"),
        (lambda c: c.headers.update(encoder=["delta"]), "found a malformed ASPEN header"),
    ],
)
def test_malformed_encoders_are_refused(path: Path, how: Callable[[Container], None], message: str) -> None:
    change(path, how)
    with pytest.raises(FileFormatError, match=message):
        load_encoder(path)


def test_encoders_that_do_not_fit_are_not_saved(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match="found current, which gives current, the network takes spikes"):
        save_encoder(CurrentEncoder(), path)
    with pytest.raises(InputError, match="encoder: found object, allowed are those of"):
        save_encoder(object(), path)  # type: ignore[arg-type]
    assert path.read_bytes() == before
    small(2, current=True).save(path)
    save_encoder(CurrentEncoder(), path)
    assert load_encoder(path) == CurrentEncoder()


@pytest.mark.parametrize("options", [(), ("--float",), ("--chip", "loihi2", "--steps", "5")])
def test_raw_values_are_encoded_and_run(aspen: Aspen, path: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    np.save(tmp_path / "values.npy", signals())
    np.save(tmp_path / "spikes.npy", ENCODER.encode(signals()))
    for way in ("values", "spikes"):
        given = ("--values" if way == "values" else "--input", tmp_path / f"{way}.npy")
        code, _, err = aspen("run", path, *given, "--output", tmp_path / f"{way}-out.npy", *options)
        assert (code, err) == (0, "")
    one, two = np.load(tmp_path / "values-out.npy"), np.load(tmp_path / "spikes-out.npy")
    np.testing.assert_array_equal(one, two)
    assert one.sum() > 0


def test_the_seed_is_that_of_a_random_encoder(aspen: Aspen, tmp_path: Path) -> None:
    path, values = tmp_path / "net.aspen", np.full((4, 16), 0.5, np.float32)
    network = small()
    network.save(path)
    save_encoder(RateEncoder(9), path)
    np.save(tmp_path / "values.npy", values)
    for seed in (0, 3):
        options = ("--values", tmp_path / "values.npy", "--seed", seed, "--output", tmp_path / "out.npy", "--float")
        assert aspen("run", path, *options)[0] == 0
        expected = run(network, RateEncoder(9).encode(values, seed)).output
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


def test_values_and_input_exclude_each_other(aspen: Aspen, path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", signals())
    out = ("--output", tmp_path / "out.npy")
    for given, message in (
        ((), "found neither --input nor --values"),
        (("--values", tmp_path / "values.npy", "--input", tmp_path / "values.npy"), "found both --input and --values"),
    ):
        code, _, err = aspen("run", path, *given, *out)
        assert code == 2
        assert message in err


def test_values_that_do_not_fit_are_refused(aspen: Aspen, path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "values.npy", signals()[:, :, :1])
    code, _, err = aspen("run", path, "--values", tmp_path / "values.npy", "--output", tmp_path / "out.npy")
    assert (code, err.count("\n")) == (1, 1)
    assert "sample: found shape (5, 1), the encoder's thresholds are for 2 channels" in err
    small().save(path)
    code, _, err = aspen("run", path, "--values", tmp_path / "values.npy", "--output", tmp_path / "out.npy")
    assert code == 1
    assert "found no encoder, allowed is a file with one" in err
    assert not (tmp_path / "out.npy").exists()


def test_compiling_into_another_file_keeps_the_encoder(aspen: Aspen, tmp_path: Path) -> None:
    source, output = tmp_path / "net.aspen", tmp_path / "compiled.aspen"
    float_network(1, bias=False).save(source)
    save_encoder(RateEncoder(5), source)
    code, out, _ = aspen("compile", source, "--output", output, "--json")
    assert code == 0
    assert json.loads(out)["chip"] == "loihi1"
    assert load_encoder(output) == RateEncoder(5)
    assert load_deployment(output, "loihi1").chip == "loihi1"
    assert load_encoder(source) == RateEncoder(5)


def test_a_header_nested_too_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.aspen"
    path.write_bytes(encode_tensors({"a": np.zeros(1)}, metadata={"aspen": "[" * 100_000}))
    with pytest.raises(FileFormatError, match="without an ASPEN header"):
        load_encoder(path)


def test_a_current_of_fractions_becomes_graded_spikes_where_a_chip_has_them(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    small(2, current=True).with_input_peak(1.5).save(path)
    save_encoder(CurrentEncoder((0.0, 0.0), (0.5, 0.5)), path)
    np.save(tmp_path / "values.npy", signals())
    command = ("run", path, "--values", tmp_path / "values.npy", "--output", tmp_path / "out.npy")
    code, _, err = aspen(*command)
    assert (code, "graded spikes of 8 bits, loihi1 allows spikes of 1; encode the data" in err) == (1, True)
    for where in (("--float",), ("--chip", "loihi2")):
        assert aspen(*command, *where)[0] == 0
        assert np.load(tmp_path / "out.npy").shape == (20, 5, 3)
