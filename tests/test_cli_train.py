"""``aspen train``: models of every kind with their options, what their files hold, and settings that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.data import DeltaEncoder, RateEncoder, WindowEncoder, digits, har, load_encoder
from aspen.errors import InputError
from aspen.network import Conv, load_network
from aspen_emulator import run
from aspen_emulator.training import Architecture
from tests.har_files import har_texts, write_folder
from tests.test_cli import Aspen, aspen

__all__ = ["aspen"]

SMALL = ("--hidden", "12,10", "--channels", "4", "--epochs", "1")


@pytest.mark.parametrize("options", [(), ("--batch-norm", "--learn-beta", "--readout", "linear")], ids=["plain", "all"])
@pytest.mark.parametrize("model", ["dense", "conv", "recurrent"])
def test_every_model_is_trained_and_its_file_takes_raw_values(
    aspen: Aspen, tmp_path: Path, model: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "net.aspen"
    code, out, _ = aspen("train", "--model", model, *SMALL, *options, "--output", path)
    assert code == 0
    assert out.splitlines()[-1] == f"saved: {path}, with its encoder"
    network = load_network(path)
    assert network.provenance["training"] == {
        "data": "digits", "recipe": "perturbed", "epochs": 1, "seed": 0, "model": model, "hidden": [12, 10],
        "channels": [4], "batch_norm": bool(options), "learn_beta": bool(options),
        "readout": "linear" if options else "spikes",
    }  # fmt: skip
    assert network.readout == ("membrane-last" if options else "spikes")
    assert len(network.hidden) == (3 if model == "conv" else 2)
    decays = [network[name].neuron.beta for name in network.hidden]  # type: ignore[union-attr]
    assert all((np.size(beta) > 1) == bool(options) for beta in decays)
    data = digits()
    np.save(tmp_path / "values.npy", data.test.values[:6])
    assert aspen("run", path, "--values", tmp_path / "values.npy", "--float", "--output", tmp_path / "out.npy")[0] == 0
    expected = run(network, data.encoder.encode(data.test.values[:6], 0))
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.output)


def test_signals_are_convolved_in_time(aspen: Aspen, tmp_path: Path) -> None:
    """Each of the windows of the last samples that the encoder gives is what a Conv1d sees."""
    root, path = write_folder(har_texts(6), tmp_path / "data"), tmp_path / "net.aspen"
    given = ("--data", "har", "--data-path", root, "--model", "conv", *SMALL)
    code, _, err = aspen("train", *given, "--recipe", "aspen", "--output", path)
    assert code == 0, err
    encoder, network = load_encoder(path), load_network(path)
    assert isinstance(encoder, WindowEncoder)
    assert isinstance(encoder.inner, DeltaEncoder)
    assert (encoder.flat, len(encoder.inner.thresholds)) == (False, 9)
    assert network.input.shape == (18, 8)
    assert isinstance(network.incoming("lif1")[0], Conv)
    spikes = encoder.encode(har(root).test.values[:3])
    assert run(network, spikes).output.shape == (31, 3, 6)


def test_a_convolution_needs_something_to_convolve_over() -> None:
    data = digits()
    assert Architecture("conv").fitting(data) is data
    with pytest.raises(InputError, match="without neighbours in time or space, allowed for a conv model are images"):
        Architecture("conv").fitting(type(data)("flat", data.train, data.validation, data.test, RateEncoder(), 10))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--hidden", "12,x"), 2, "found '12,x', allowed are sizes such as 128,64"),
        (("--hidden", "12,0"), 2, "found '12,0', allowed are sizes"),
        (("--hidden", "", "--readout", "linear"), 1, "allowed are 3 or more sizes"),
        (("--model", "conv", "--channels", ""), 1, "one convolution or more"),
    ],
)
def test_impossible_sizes_are_refused(
    aspen: Aspen, tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    found, out, err = aspen("train", *options, "--output", tmp_path / "net.aspen")
    assert (found, out) == (code, "")
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "net.aspen").exists()
