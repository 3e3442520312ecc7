"""The command line as a user types it: output, exit codes, and errors of one line with nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen_emulator import run
from aspen_emulator.cli.main import COMMANDS, main
from aspen_hardware import compile, load_deployment
from tests.networks import float_network, random_spikes

Aspen = Callable[..., tuple[int, str, str]]


@pytest.fixture
def aspen(capsys: pytest.CaptureFixture[str]) -> Aspen:
    """Runs a command line; returns exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a network, spikes and labels."""
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, 20, 8, 6))
    np.save(tmp_path / "y.npy", np.arange(8) % 4)
    return tmp_path


def run_arguments(files: Path, *more: object) -> list[object]:
    return ["run", files / "net.aspen", "--input", files / "x.npy", "--output", files / "out.npy", *more]


def test_run_writes_the_output_spikes_of_the_compiled_network(aspen: Aspen, files: Path) -> None:
    code, out, err = aspen(*run_arguments(files))
    assert (code, err) == (0, "")
    network, spikes = load_network(files / "net.aspen"), np.load(files / "x.npy")
    expected = run(compile(network, "loihi1"), spikes).output
    written = np.load(files / "out.npy")
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written, expected)
    assert "8 samples, 20 steps, engine fast\n" in out
    assert "synaptic operations" in out


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_run_in_floating_point_with_the_knob_as_number_and_by_name(aspen: Aspen, files: Path, engine: str) -> None:
    network, spikes = load_network(files / "net.aspen"), np.load(files / "x.npy")
    cases = [
        (["--threshold-scale", "1.5"], 1.5),
        (["--threshold-scale", "layer1=1.5", "layer2=0.7"], {"layer1": 1.5, "layer2": 0.7}),
        (["--threshold-scale", "layer1=1.5", "--threshold-scale", "layer2=0.7"], {"layer1": 1.5, "layer2": 0.7}),
        (["--threshold-scale=2", "--threshold-scale", "layer2=0.7"], {"layer1": 2.0, "layer2": 0.7}),
    ]
    for options, scale in cases:
        code, _, err = aspen(*run_arguments(files, "--float", "--engine", engine, *options))
        assert (code, err) == (0, "")
        np.testing.assert_array_equal(np.load(files / "out.npy"), run(network, spikes, scale).output)


def test_run_json_and_record_hold_counts_and_energy(aspen: Aspen, files: Path) -> None:
    code, out, _ = aspen(*run_arguments(files, "--json", "--record", files / "record.json", "--steps", "30"))
    assert code == 0
    printed = json.loads(out)
    assert printed == json.loads((files / "record.json").read_text())
    assert (printed["steps"], printed["samples"], printed["chip"]) == (30, 8, "loihi1")
    assert printed["populations"]["input"]["spikes"] == np.load(files / "x.npy").sum()
    assert printed["energy"]["chip"] == "loihi1"
    assert np.load(files / "out.npy").shape == (30, 8, 4)


def test_run_writes_the_membranes_of_the_output(aspen: Aspen, files: Path) -> None:
    assert aspen(*run_arguments(files, "--float", "--membranes", files / "v.npy"))[0] == 0
    membranes = np.load(files / "v.npy")
    assert membranes.shape == np.load(files / "out.npy").shape
    assert membranes.dtype == np.float64
    threshold = load_network(files / "net.aspen")["layer2"].neuron.threshold  # type: ignore[union-attr]
    np.testing.assert_array_equal(np.load(files / "out.npy"), membranes > threshold)


def test_run_can_cut_the_input(aspen: Aspen, files: Path) -> None:
    aspen(*run_arguments(files))
    whole = np.load(files / "out.npy")
    assert aspen(*run_arguments(files, "--steps", "7"))[0] == 0
    np.testing.assert_array_equal(np.load(files / "out.npy"), whole[:7])


def test_run_takes_a_users_chip_file(aspen: Aspen, files: Path) -> None:
    text = (resources.files("aspen_hardware") / "chips/loihi1.toml").read_text()
    (files / "mine.toml").write_text(text.replace('name = "loihi1"', 'name = "mine"'))
    code, out, err = aspen(*run_arguments(files, "--chip", files / "mine.toml", "--json"))
    assert (code, err) == (0, "")
    assert json.loads(out)["chip"] == "mine"


def test_compile_stores_the_integers_and_run_uses_them(aspen: Aspen, files: Path) -> None:
    path = files / "net.aspen"
    code, out, _ = aspen("compile", path, "--chip", "loihi1", "--max-threshold-scale", "50")
    assert code == 0
    assert "Compiled for loihi1" in out
    stored = load_deployment(path, "loihi1")
    assert stored.rounding["layer1"].largest_scale >= 50
    assert aspen(*run_arguments(files, "--threshold-scale", "40"))[0] == 0  # too much for the default of 4
    np.testing.assert_array_equal(np.load(files / "out.npy"), run(stored, np.load(files / "x.npy"), 40.0).output)
    report = json.loads(aspen("compile", path, "--json")[1])
    assert report["chip"] == "loihi1"
    assert set(report["rounding"]) == {"layer1", "layer2"}


def test_check_says_whether_it_fits(aspen: Aspen, files: Path) -> None:
    code, out, _ = aspen("check", files / "net.aspen")
    assert code == 0
    assert "fits" in out
    float_network(1, reset="subtract").save(files / "soft.aspen")
    code, out, _ = aspen("check", files / "soft.aspen", "--chip", "loihi1")
    assert code == 1
    assert "does not fit" in out
    assert json.loads(aspen("check", files / "soft.aspen", "--json")[1])["findings"][0]["level"] == "error"
    code, out, _ = aspen("check", files / "net.aspen", "--chip", "spinnaker2")
    assert (code, "spinnaker2 is for energies only, by aspen report: compile makes no integers" in out) == (0, True)
    assert "energies only" not in aspen("check", files / "net.aspen", "--chip", "loihi1")[1]


def test_check_and_compile_say_that_synapses_will_reset_the_neurons(aspen: Aspen, files: Path) -> None:
    float_network(1, reset="subtract-delayed", bias=False).save(files / "soft.aspen")
    said = "layer1: subtract-delayed by a synapse of each neuron onto itself"
    for command in ("check", "compile"):
        code, out, _ = aspen(command, files / "soft.aspen", "--chip", "loihi1")
        assert (code, said in out) == (0, True)
        assert said not in aspen(command, files / "soft.aspen", "--chip", "loihi2")[1]


def test_check_with_sample_input_compares_spikes_and_accuracy(aspen: Aspen, files: Path) -> None:
    options = ["--input", files / "x.npy", "--labels", files / "y.npy"]
    code, out, _ = aspen("check", files / "net.aspen", *options)
    assert code == 0
    assert "Parity on 8 samples of 20 steps" in out
    assert "accuracy, integers" in out
    report = json.loads(aspen("check", files / "net.aspen", *options, "--json")[1])["parity"]
    assert [d["population"] for d in report["differences"]] == ["layer1", "layer2"]
    code, _, err = aspen("check", files / "net.aspen", "--lava")
    assert (code, "without --input" in err) == (2, True)


def test_compile_can_write_elsewhere(aspen: Aspen, files: Path) -> None:
    before = (files / "net.aspen").read_bytes()
    assert aspen("compile", files / "net.aspen", "--output", files / "other.aspen")[0] == 0
    assert (files / "net.aspen").read_bytes() == before
    assert load_deployment(files / "other.aspen", "loihi1").chip == "loihi1"
    code, _, err = aspen("compile", files / "net.aspen", "--to", "netx")
    assert (code, "found no --output" in err) == (2, True)


def test_sweep_prints_writes_and_draws(aspen: Aspen, files: Path) -> None:
    options = ["--input", files / "x.npy", "--labels", files / "y.npy", "--knobs", "0.5,1,2"]
    code, out, _ = aspen("sweep", files / "net.aspen", *options, "--output", files / "s.csv", "--plot", files / "s.png")
    assert code == 0
    assert out.count("%") >= 9
    assert len((files / "s.csv").read_text().splitlines()) == 4
    assert (files / "s.png").read_bytes().startswith(b"\x89PNG")
    points = json.loads(aspen("sweep", files / "net.aspen", *options, "--json")[1])
    assert [point["knob"] for point in points] == [0.5, 1.0, 2.0]
    assert points[0]["hidden_spikes"] > points[2]["hidden_spikes"]
    assert json.loads(aspen("sweep", files / "net.aspen", *options, "--float", "--json")[1])[0]["dynamic_nj"] is None


def test_train_then_export_give_the_same_network(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = aspen(
        "train", "--recipe", "perturbed", "--output", tmp_path / "a.aspen", "--hidden", "10", "--epochs", "1",
        "--state-dict", tmp_path / "w.pt", "--plot", tmp_path / "history.svg",
    )  # fmt: skip
    assert code == 0
    assert "saved:" in out
    assert "digits, recipe perturbed" in (tmp_path / "history.svg").read_text()
    (tmp_path / "toymodels.py").write_text(
        "from aspen.models.ready import DenseNet\ndef make():\n    return DenseNet((64, 10, 10))\n"
    )
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "x.npy", random_spikes(0, 3, 1, 64))
    code, out, err = aspen(
        "export", "toymodels:make", "--sample", "x.npy", "--state-dict", "w.pt", "--output", "b.aspen"
    )
    assert (code, err) == (0, "")
    assert "snntorch" in out
    assert "integers" in out
    code, _, err = aspen("export", "toymodels:make", "--sample", "x.npy", "--state-dict", "w.pt", "--output", "b.nir")
    assert (code, err) == (0, "")
    for name in ("b.aspen", "b.nir"):
        assert aspen("run", name, "--input", "x.npy", "--output", f"{name}.npy", "--float")[0] == 0
    np.testing.assert_array_equal(np.load("b.aspen.npy"), np.load("b.nir.npy"))
    a, b = load_network(tmp_path / "a.aspen"), load_network(tmp_path / "b.aspen")
    for left, right in zip(a.connections, b.connections, strict=True):
        np.testing.assert_array_equal(left.weight, right.weight)


def test_sweep_of_bundled_data(aspen: Aspen, tmp_path: Path) -> None:
    export(DenseNet((64, 8, 10)), torch.ones(3, 1, 64)).save(tmp_path / "a.aspen")
    points = json.loads(aspen("sweep", tmp_path / "a.aspen", "--data", "digits", "--knobs", "1", "--json")[1])
    assert points[0]["samples"] == 360


def test_chips_lists_and_shows_sources(aspen: Aspen) -> None:
    code, out, _ = aspen("chips")
    assert code == 0
    assert all(name in out for name in ("loihi1", "loihi2", "generic-45nm"))
    out = aspen("chips", "loihi1")[1]
    assert "23.6" in out
    assert "Davies" in out
    assert json.loads(aspen("chips", "loihi1", "--json")[1])["name"] == "loihi1"


def test_help_of_every_command_and_version(aspen: Aspen) -> None:
    out = aspen("--help")[1]
    assert all(f"\n  {name} " in out for name in COMMANDS)
    for name in COMMANDS:
        code, out, _ = aspen(name, "--help")
        assert code == 0
        assert f"Usage: aspen {name}" in out
    assert "aspen, version" in aspen("--version")[1]


def test_the_help_needs_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from aspen_emulator.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: assert not {'numpy', 'numba', 'scipy', 'torch'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"options": ["--threshold-scale", "0"]}, 2, "found '0', allowed is a number above 0"),
        ({"options": ["--threshold-scale", "-1"]}, 2, "found '-1', allowed is a number above 0"),
        ({"options": ["--threshold-scale", "nan"]}, 2, "found 'nan', allowed is a number above 0"),
        ({"options": ["--threshold-scale", "lif9=1"]}, 2, "found population 'lif9', allowed are layer1, layer2"),
        ({"options": ["--threshold-scale", "1e9"]}, 1, "17-bit thresholds allow about"),
        ({"options": ["--engine", "magic"]}, 2, "found 'magic', allowed are reference, fast, c, "),
        ({"options": ["--chip", "loihi9"]}, 2, "loihi9"),
        ({"options": ["--chip", "gone.toml"]}, 2, "gone.toml"),
        ({"options": ["--float", "--chip", "loihi1"]}, 2, "found both --float and --chip"),
        ({"options": ["--steps", "0"]}, 2, "found '0', allowed is a whole number from 1"),
        ({"options": ["--bogus"]}, 2, "No such option"),
        ({"options": ["--output", "nowhere/out.npy"]}, 2, "nowhere does not exist; create it first"),
        ({"network": "gone.aspen"}, 2, "gone.aspen' does not exist"),
        ({"network": "cut.aspen"}, 1, "cut.aspen: not a readable .aspen file"),
        ({"network": "x.npy"}, 1, "x.npy: found .npy, allowed are .aspen, .nir and .net"),
        ({"input": "gone.npy"}, 2, "gone.npy' does not exist"),
        ({"input": "text.npy"}, 1, "text.npy: found text, as in a .csv file, allowed is a .npy file with one array"),
        ({"input": "pickle.npy"}, 1, "pickle.npy: not a readable .npy array"),
        ({"input": "wide.npy"}, 1, "spikes: found shape (20, 8, 7), allowed is (time, batch, 6)"),
        ({"input": "nan.npy"}, 1, "spikes: found nan, allowed are 0 and 1"),
        ({"input": "float.npy"}, 1, "spikes: found 0.5, allowed are 0 and 1"),
    ],
)
def test_bad_input_gives_one_clear_line_and_leaves_nothing(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch, change: dict, code: int, message: str
) -> None:
    monkeypatch.chdir(files)
    good = Path("net.aspen").read_bytes()
    Path("cut.aspen").write_bytes(good[: len(good) // 2])
    Path("text.npy").write_text("hello")
    np.save("pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save("wide.npy", random_spikes(0, 20, 8, 7))
    np.save("nan.npy", np.full((20, 8, 6), np.nan))
    np.save("float.npy", np.full((20, 8, 6), 0.5))
    before = set(Path().iterdir())
    arguments = ["run", change.get("network", "net.aspen"), "--input", change.get("input", "x.npy")]
    options = change.get("options", [])
    output = [] if "--output" in options else ["--output", "out.npy"]
    found, out, err = aspen(*arguments, *output, *options)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert set(Path().iterdir()) == before


def test_debug_shows_the_traceback(aspen: Aspen, files: Path) -> None:
    (files / "net.aspen").write_text("hello")
    code, _, err = aspen("--debug", *run_arguments(files))
    assert code == 1
    assert "Traceback" in err


def test_an_unexpected_error_is_one_line_too(aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("aspen_emulator.cli.run.run", fail)
    code, _, err = aspen(*run_arguments(files))
    assert code == 1
    assert err == "aspen: internal error: ZeroDivisionError: oops (add --debug for the traceback)\n"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nothing", "found 'nothing', allowed is MODULE:NAME"),
        ("no_such_module:x", "cannot load 'no_such_module:x'"),
        ("math:pi_squared", "cannot load 'math:pi_squared'"),
        ("os:getcwd", "os:getcwd gave a str, allowed is a torch model"),
    ],
)
def test_export_says_what_is_wrong_with_the_model(aspen: Aspen, files: Path, model: str, message: str) -> None:
    code, _, err = aspen("export", model, "--sample", files / "x.npy", "--output", files / "b.aspen")
    assert code == 2
    assert message in err
    assert not (files / "b.aspen").exists()


def test_export_refuses_weights_that_are_no_state_dict(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    Path("own.py").write_text("from aspen.models.ready import DenseNet\nnet = DenseNet((6, 5, 3))\n")
    Path("w.pt").write_text("hello")
    code, _, err = aspen("export", "own:net", "--sample", "x.npy", "--output", "b.aspen", "--state-dict", "w.pt")
    assert code == 1
    assert "w.pt: not readable as tensors" in err


def test_the_file_holds_no_pickle(files: Path) -> None:
    with safe_open(files / "net.aspen", framework="np") as stream:
        assert set(stream.metadata()) == {"aspen"}
    assert b"pickle" not in (files / "net.aspen").read_bytes()


def test_without_lava_its_engine_says_how_to_install_it(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aspen_emulator.engines.lava.shim.lava_available", lambda: False)
    code, out, err = aspen(*run_arguments(files, "--engine", "lava"))
    assert (code, out) == (1, "")
    assert "engine 'lava': lava-nc is not installed; run pip install" in err
    assert err.count("\n") == 1
    assert not (files / "out.npy").exists()
    assert "lava          engine 'lava': lava-nc is not installed" in aspen("doctor")[1]


def test_an_output_that_cannot_be_written_loses_nothing(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files / "out.npy").write_bytes(b"precious")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # what a read-only folder answers to anybody but root

    monkeypatch.setattr("aspen.storage.writing.begin", refuse)
    code, _, err = aspen(*run_arguments(files))
    assert code == 1
    assert "out.npy: cannot write there (Permission denied)" in err
    assert (files / "out.npy").read_bytes() == b"precious"


def test_a_network_goes_to_netx_and_back_and_runs_alike(aspen: Aspen, files: Path) -> None:
    torch.manual_seed(0)
    export(DenseNet((6, 30, 4), bias=True), torch.ones(3, 1, 6)).save(files / "net.aspen")
    code, out, err = aspen("compile", files / "net.aspen", "--to", "netx", "--output", files / "net.net")
    assert (code, err) == (0, "")
    assert "Stored in" in out
    arguments = ["--input", files / "x.npy", "--output", files / "out.npy"]
    code, out, err = aspen("run", files / "net.net", *arguments)
    assert (code, err) == (0, "")
    network = load_network(files / "net.aspen")
    expected = run(compile(network, "loihi1", netx=True), np.load(files / "x.npy")).output
    np.testing.assert_array_equal(np.load(files / "out.npy"), expected)
    assert expected.sum() > 5
