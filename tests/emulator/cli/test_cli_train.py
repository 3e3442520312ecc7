"""``aspen train``: models of every kind with their options, what their files hold, and settings that are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aspen import load_profile
from aspen.data import DeltaEncoder, RateEncoder, WindowEncoder, digits, har, load_encoder
from aspen.errors import InputError
from aspen.network.network import Conv, load_network
from aspen.training.by_name import Architecture, adapted, architecture_for
from aspen.training.recipes import DEFAULT, RECIPES, recipe
from aspen_emulator import run
from aspen_hardware import chip
from aspen_hardware.energy.prices import training_prices
from tests.aspen.data.har_files import har_texts, write_folder
from tests.aspen.data.ts_texts import ts_texts
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]

SMALL = ("--hidden", "12,10", "--channels", "4", "--epochs", "1")


@pytest.mark.parametrize(
    "options",
    [(), ("--no-batch-norm", "--no-learn-beta", "--readout", "spikes", "--surrogate", "triangle")],
    ids=["all", "plain"],
)
@pytest.mark.parametrize("model", ["dense", "conv", "recurrent"])
def test_every_model_is_trained_and_its_file_takes_raw_values(
    aspen: Aspen, tmp_path: Path, model: str, options: tuple[str, ...]
) -> None:
    path = tmp_path / "net.aspen"
    code, out, _ = aspen("train", "--model", model, *SMALL, *options, "--output", path)
    assert code == 0
    assert out.splitlines()[-1] == f"saved: {path}, with its dial and its encoder"
    network = load_network(path)
    assert network.provenance["training"] == {
        "data": "digits", "recipe": "aspen-joules", "epochs": 2, "seed": 0,
        "model": model, "hidden": [12, 10],
        "channels": [4], "batch_norm": not options, "learn_beta": not options,
        "readout": "spikes" if options else "linear", "surrogate": "triangle" if options else "atan",
    }  # fmt: skip
    assert network.readout == ("spikes" if options else "membrane-last")
    assert len(network.hidden) == (3 if model == "conv" else 2)
    decays = [network[name].neuron.beta for name in network.hidden]  # type: ignore[union-attr]
    assert all((np.size(beta) > 1) == (not options) for beta in decays)
    data = digits()
    np.save(tmp_path / "values.npy", data.test.values[:6])
    assert aspen("run", path, "--values", tmp_path / "values.npy", "--float", "--output", tmp_path / "out.npy")[0] == 0
    expected = run(network, data.encoder.encode(data.test.values[:6], 0))
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected.output)


def test_each_recipe_has_the_network_that_it_was_made_with() -> None:
    plain, whole = Architecture(), Architecture(batch_norm=True, learn_beta=True, readout="linear")
    found = {name: architecture_for(name) for name in RECIPES}
    wide = replace(whole, hidden=(192, 128))
    assert found == dict.fromkeys(RECIPES, plain) | {"aspen-norm": whole, "aspen-joules": whole, "aspen-mcu": wide}
    assert architecture_for(DEFAULT, hidden=(8,), learn_beta=False, model=None) == replace(
        whole, hidden=(8,), learn_beta=False
    )


def test_what_a_chip_will_not_take_is_said_before_the_training(aspen: Aspen, tmp_path: Path) -> None:
    signals = np.random.default_rng(0).normal(size=(40, 5, 6))
    np.savez(tmp_path / "my.npz", X=signals * (1 + np.arange(40) % 2)[:, None, None], y=np.arange(40) % 2)
    given = ("train", "--data", tmp_path / "my.npz", "--encoder", "current", "--recipe", "plain", "--hidden", "8",
             "--epochs", "2")  # fmt: skip
    code, _, err = aspen(*given, "--chip", "loihi1", "--output", tmp_path / "a.aspen", "--progress")
    assert (code, err.count("warning: loihi1: found a model that will not go there as it is")) == (0, 1)
    assert err.index("layer  perturb  fuse  export  loihi1") < err.index("train plain, seed 0")
    assert "loihi1: input: found an analog input" in err
    code, _, err = aspen(*given, "--chip", "loihi2", "--output", tmp_path / "a.aspen")
    assert (code, "warning: loihi2" in err) == (0, False)


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
        (("--hidden", "12,x"), 2, "found '12,x', allowed are sizes from 1 to 1048576, such as 128,64"),
        (("--hidden", "12,0"), 2, "found '12,0', allowed are sizes"),
        (("--hidden", "", "--readout", "linear"), 1, "allowed are 3 or more sizes"),
        (("--hidden", "99999999"), 2, "allowed are sizes from 1 to 1048576"),
        (("--model", "conv", "--channels", ""), 1, "one convolution or more"),
        (("--learning-rate", "0"), 2, "found '0', allowed is a finite number above 0"),
        (("--spike-price", "nan"), 2, "found 'nan', allowed is a finite number from 0"),
        (("--density", "fc1=0"), 2, "found '0', allowed is a finite number above 0 to 1"),
        (("--density", "0.5", "--density", "fc1=0.1"), 2, "found 0.5, fc1=0.1, allowed is one number, or one for each"),
        (("--density", "fc1=1", "--density", "fc1=0.1"), 2, "found fc1=1, fc1=0.1, allowed is one number"),
        (("--cost", "energy"), 2, "--cost energy: found the chips none, allowed is one, whose joules"),
        (("--cost", "energy", "--chip", "loihi2"), 1, "loihi2: found no energy of synaptic operations and of active"),
        (("--density", "fc=0.1"), 1, "density: found layer 'fc', allowed are fc1, fc2, readout"),
    ],
)
def test_impossible_settings_are_refused(
    aspen: Aspen, tmp_path: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    found, out, err = aspen("train", *options, "--output", tmp_path / "net.aspen")
    assert (found, out) == (code, "")
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "net.aspen").exists()


def test_only_an_aspen_file_can_hold_it(aspen: Aspen, tmp_path: Path) -> None:
    code, _, err = aspen("train", "--output", tmp_path / "net.txt")
    assert code == 2
    assert "found .txt, allowed is .aspen" in err


DEADLY = ("--recipe", "l1", "--spike-price", "1e5", "--hidden", "12,8")


def test_a_silenced_network_leaves_its_last_good_checkpoint(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    code, out, err = aspen("train", *DEADLY, "--epochs", "12", "--checkpoint", path, "--output", tmp_path / "net.aspen")
    assert (code, out) == (1, "")
    assert "found no hidden spike on validation data for 5 epochs" in err
    assert err.rstrip().endswith(f"{path} holds the last good epoch")
    assert any(torch.load(path, weights_only=True)["history"][-1]["spikes"])
    assert not (tmp_path / "net.aspen").exists()


def test_a_network_that_ends_silent_is_not_saved(aspen: Aspen, tmp_path: Path) -> None:
    code, out, err = aspen("train", *DEADLY, "--epochs", "4", "--output", tmp_path / "net.aspen")
    assert (code, out) == (1, "")
    assert "found no hidden spike on validation data" in err.splitlines()[-1]
    assert not (tmp_path / "net.aspen").exists()


def test_a_pruned_network_says_what_is_left_and_what_it_was_priced_by(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    options = ("--recipe", "l1", "--hidden", "12,8", "--epochs", "1")
    cost = ("--cost", "energy", "--chip", "loihi1")
    code, out, _ = aspen("train", *options, *cost, "--density", "fc1=0.25", "--density", "fc2=0.5", "--output", path)
    assert code == 0
    assert "weights kept: fc1 192 of 768, fc2 48 of 96, fc3 80 of 80\n" in out
    network = load_network(path)
    assert network.n_synapses <= 192 + 48 + 80
    assert network.provenance["training"]["density"] == {"fc1": 0.25, "fc2": 0.5}
    assert network.provenance["training"]["joules"] == asdict(training_prices(chip("loihi1")))


def test_numbers_of_a_recipe_are_replaced_where_they_count() -> None:
    changed = adapted("aspen", "linear", spike_price=0.3, learning_rate=0.01).stages
    assert [stage.spike_price for stage in changed] == [0.3, 0.0, 0.0]
    assert [stage.learning_rate for stage in changed] == [0.01, 0.01, 0.005]
    assert {stage.scores for stage in changed} == {"mean"}
    assert adapted("aspen", "spikes") == recipe("aspen")
    assert [stage.density for stage in adapted("aspen", "spikes", density=0.2).stages] == [0.2, 1.0, 1.0]
    assert [stage.density for stage in adapted("aspen-joules", "spikes", density=0.1).stages] == [1.0, 0.1]
    assert {stage.scores for stage in adapted("aspen-joules", "spikes").stages} == {"sum"}
    assert {stage.scores for stage in adapted("aspen-joules", "linear").stages} == {"mean"}


def test_a_dial_that_switches_neurons_off_says_how_many_are_on(aspen: Aspen, tmp_path: Path) -> None:
    options = ("--left", "0.25", "--hidden", "12,8", "--epochs", "1", "--plot", tmp_path / "plot.svg")
    code, out, _ = aspen("train", *options, "--output", tmp_path / "net.aspen")
    assert code == 0
    ends = [line.rpartition(", ")[2] for line in out.splitlines()[:3]]
    assert ends == ["20 of 20 hidden neurons on", "8 of 20 hidden neurons on", "5 of 20 hidden neurons on"]
    assert load_profile(tmp_path / "net.aspen").is_nested
    assert load_network(tmp_path / "net.aspen").provenance["training"]["left"] == 0.25
    assert "knob at 0.5, 8 of 20 neurons on" in (tmp_path / "plot.svg").read_text()


def test_a_dial_that_switches_neurons_off_gets_the_prices_for_it() -> None:
    dials = [stage.dial for stage in adapted("aspen", "spikes", left=0.125).stages if stage.dial]
    assert [(dial.left, dial.high_price, dial.beyond, dial.groups) for dial in dials] == [
        (0.125, 0.05, 0.5, None),
        (0.125, 0.05, 0.5, 8),
    ]
    (dial, _) = [stage.dial for stage in adapted("aspen", "spikes", left=1, dial_price=2.0).stages if stage.dial]
    assert (dial.left, dial.high_price, dial.beyond) == (1.0, 2.0, 0.1)
    (dial, _) = [stage.dial for stage in adapted("aspen", "spikes", dial_price=1e-4).stages if stage.dial]
    assert dial.low_price == dial.high_price == 1e-4
    with pytest.raises(InputError, match=r"recipe l1: found settings of a dial, .* allowed are recipes that do: aspen"):
        adapted("l1", "spikes", left=0.5)


def one_class(series: str) -> str:
    return series.replace(":Fast", ":Slow")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (one_class, "train: found the one class [0], allowed are two or more"),
        (lambda text: text[: text.index("@data") + 6], "found no series after @data"),
        (lambda text: one_class(text.replace(":Fast", ":F", 1)).replace(":F", ":Fast"), "found one sample of class 1"),
        (lambda text: text.replace("0.", "nan ", 1).replace("nan ", "nan,0.", 1), "of unequal length"),
    ],
)
def test_bad_data_stop_the_training_before_it_begins(
    aspen: Aspen, tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    for name, text in ts_texts().items():
        (tmp_path / name).write_text(damage(text) if "TRAIN" in name else text)
    code, out, err = aspen("train", "--data", "ts", "--data-path", tmp_path, "--output", tmp_path / "net.aspen")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err


def test_an_impossible_split_is_refused(aspen: Aspen, tmp_path: Path) -> None:
    root = write_folder(har_texts(3), tmp_path / "data")
    code, _, err = aspen("train", "--data", "har", "--data-path", root, "--output", tmp_path / "net.aspen")
    assert (code, err.count("\n")) == (1, 1)
    assert "held_out: found 4 of 3 subjects, allowed are 1 to 2" in err
