"""Mistakes that users of the command line make: each gives one line that says what, and the right exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.storage import save_table
from aspen.data import CurrentEncoder, LevelEncoder, save_encoder
from aspen.dial.profile import DialProfile, save_profile
from aspen_emulator.cli.main import main
from tests.control_tables import made_table
from tests.emulator.cli.test_cli_dial import wide_network
from tests.networks import float_network, random_spikes

STEPS, INPUTS = 16, 12
CHANNELS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks: bare, with a table and an encoder, with a dial; good and bad arrays; other files."""
    path = tmp_path_factory.mktemp("mistakes")
    rng = np.random.default_rng(0)
    float_network(1, (INPUTS, 8, 4), bias=False).save(path / "net.aspen")
    float_network(1, (INPUTS, 8, 4), bias=False).save(path / "table.aspen")
    save_table(made_table("scale", step_time=1e-3), path / "table.aspen")
    values = rng.normal(size=(1, 64, CHANNELS)).astype(np.float32)
    save_encoder(LevelEncoder(CurrentEncoder(), 4, 1).fit(values), path / "table.aspen")
    wide = wide_network()
    wide.save(path / "dial.aspen")
    save_profile(DialProfile({"layer1": np.linspace(0.5, 1.5, wide["layer1"].size)}), path / "dial.aspen")
    spikes = random_spikes(0, STEPS, 8, INPUTS)
    arrays = {
        "x": spikes, "y": np.arange(8) % 4, "x6": random_spikes(0, STEPS, 8, 6), "one": spikes[:, 0],
        "first": spikes.swapaxes(0, 1), "middle": spikes.swapaxes(1, 2), "floats": spikes * 0.5, "empty": spikes[:0],
        "twos": spikes * 2, "y5": np.arange(5) % 4, "day": np.zeros((100, CHANNELS), np.float32), "raw": values[0],
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(path / f"{name}.npy", array)
    (path / "csv.npy").write_text("0,1,0\n1,1,0\n")
    (path / "state.json").write_text("{}")
    (path / "bad.toml").write_text("hello")
    (path / "folder").mkdir()
    return path


RUN = "--output out.npy"
OWN = "--input x.npy --labels y.npy"
DAY = "--values day.npy"
MISTAKES = [
    # arguments in the wrong order, and wrong files
    (f"run x.npy --input net.aspen {RUN}", 1, "found a network or other safetensors"),
    (f"run net.aspen x.npy {RUN}", 2, "unexpected extra argument (x.npy); leave it out, or name it by its option"),
    (f"run folder --input x.npy {RUN}", 2, "'folder' is a directory"),
    (f"run net.aspen --input folder {RUN}", 2, "'folder' is a directory"),
    (f"run net.aspen --input gone.npy {RUN}", 2, "'gone.npy' does not exist"),
    (f"run net.aspen --input csv.npy {RUN}", 1, "found text, as in a .csv file"),
    ("compile x.npy", 1, "x.npy: found .npy, allowed are .aspen, .nir and .net"),
    (f"stream x.npy {DAY} --knob 1", 2, "x.npy: found .npy, allowed is .aspen, which holds the table"),
    # shapes and types
    (f"run net.aspen --input one.npy {RUN}", 1, "(time, batch, 12); for one sample add the batch: spikes[:, None]"),
    (f"run net.aspen --input middle.npy {RUN}", 1, "axis 1 has the 12 inputs, which come last: np.moveaxis(spikes, 1"),
    (f"run net.aspen --input floats.npy {RUN}", 1, "found 0.5, allowed are 0 and 1; encode the values first, by "
                                                   "an encoder of aspen.data or by --values"),
    (f"run net.aspen --input day.npy {RUN}", 1, "spikes: found shape (100, 3)"),
    (f"run net.aspen --input twos.npy {RUN}", 1, "found values from 0 to 2"),
    (f"run net.aspen --input empty.npy {RUN}", 1, "give at least one step and one sample"),
    (f"run table.aspen --values raw.npy {RUN}", 1, "for one recording add the batch: values[None]"),
    (f"run net.aspen --values raw.npy {RUN}", 1, "found no encoder"),
    ("sweep net.aspen --input first.npy --labels y.npy", 1, "it looks as if the batch came first"),
    ("sweep net.aspen --input y.npy --labels x.npy", 1, "--input, --labels: found shapes (8,) and (16, 8, 12)"),
    ("sweep net.aspen --input x.npy --labels y5.npy", 1, "labels: found 5 for 8 samples"),
    # dials and knobs
    (f"run net.aspen --input x.npy {RUN} --dial --knob 0.5", 1, "net.aspen: found no dial, allowed is a file with one: "
                                                                "`aspen train` makes one"),
    (f"sweep net.aspen {OWN} --dial", 1, "found no dial"),
    ("report net.aspen --input x.npy --dial --knob 0.5", 1, "found no dial"),
    (f"run dial.aspen --input x6.npy {RUN} --dial --knob 1.5", 1, "knob: found 1.5, allowed is a number from 0 to 1"),
    (f"run dial.aspen --input x6.npy {RUN} --dial --knob nan", 2, "found 'nan', allowed is a finite number from 0"),
    (f"run dial.aspen --input x6.npy {RUN} --dial 0.4", 2, "found --dial 0.4, allowed is the flag alone; write --dial "
                                                           "--knob 0.4"),
    (f"run --dial=0.4 dial.aspen --input x6.npy {RUN}", 2, "found --dial 0.4, allowed is the flag alone; write"),
    ("report dial.aspen --input x6.npy --dial 0.4 --knob 1", 2, "write --dial --knob 0.4"),
    ("sweep dial.aspen --input x6.npy --labels y.npy --dial 0.4", 2, "write --dial --knobs 0.4"),
    ("calibrate dial.aspen --min-accuracy 0.5 --dial 0.4", 2, "write --dial --knobs 0.4"),
    (f"stream table.aspen {DAY} --dial 0.4", 2, "write --dial --knob 0.4"),
    (f"run dial.aspen --input x6.npy {RUN} --dial", 2, "found --dial without --knob, allowed are both; write"),
    (f"run dial.aspen --input x6.npy {RUN} --knob 1.5", 1, "knob: found 1.5, allowed is a number from 0 to 1"),
    ("report dial.aspen --input x6.npy --knob 2", 1, "knob: found 2.0, allowed is a number from 0 to 1"),
    ("sweep dial.aspen --input x6.npy --labels y.npy --scales 0,1", 2, "finite and above 0 (with --dial from 0), such"),
    (f"run dial.aspen --input x6.npy {RUN} --dial --knob 0.4 --threshold-scale 2", 2, "found --dial beside "
                                                                                      "--threshold-scale"),
    (f"run net.aspen --input x.npy {RUN} --knob 2 --threshold-scale 2", 2, "found --knob beside --threshold-scale"),
    (f"run net.aspen --input x.npy {RUN} --knob 0", 2, "found --knob 0, allowed without a dial is a factor above 0"),
    (f"run net.aspen --input x.npy {RUN} --knob -1", 2, "found '-1', allowed is a finite number from 0"),
    ("sweep dial.aspen --input x6.npy --labels y.npy --dial --knobs 0,2", 1, "knob: found 2.0"),
    (f"sweep net.aspen {OWN} --knobs 1,2 --scales 1,2", 2, "found --knobs beside --scales, allowed is one"),
    (f"sweep net.aspen {OWN} --knobs 1,,2", 2, "--knobs: found '1,,2', allowed are numbers such as 0.5,1,2"),
    (f"run net.aspen --input x.npy {RUN} --threshold-scale =2", 2, "found '=2', allowed is a number above 0"),
    (f"run net.aspen --input x.npy {RUN} --threshold-scale layr1=2", 2, "did you mean 'layer1'?"),
    (f"sweep net.aspen {OWN} --knobs 1,nan", 2, "found '1,nan', allowed are factors on the thresholds, finite"),
    (f"sweep net.aspen {OWN} --knobs 0,1", 2, "allowed are factors on the thresholds, finite and above 0"),
    (f"sweep net.aspen {OWN} --scales 1e9", 1, "17-bit thresholds allow about"),
    (f"stream table.aspen {DAY} --knob 0", 1, "found 0.0, allowed are finite numbers above 0"),
    # numbers
    (f"run net.aspen --input x.npy {RUN} --steps 0", 2, "found '0', allowed is a whole number from 1"),
    (f"run net.aspen --input x.npy {RUN} --steps 2.5", 2, "found '2.5', allowed is a whole number from 1"),
    (f"run net.aspen --input x.npy {RUN} --seed -1", 2, "found '-1', allowed is a whole number from 0"),
    ("train --output t.aspen --seed -1", 2, "found '-1', allowed is a whole number from 0"),
    ("train --output t.aspen --learning-rate nan", 2, "found 'nan', allowed is a finite number above 0 to 1000"),
    ("sweep net.aspen --data digits --seeds -3", 2, "found '-3', allowed is a whole number from 1"),
    (f"sweep net.aspen {OWN} --early --max-loss 100", 2, "allowed is a finite number above 0 to below 100"),
    ("compile net.aspen --max-threshold-scale inf", 2, "found 'inf', allowed is a finite number from 1"),
    ("report net.aspen --input x.npy --step-time x", 2, "found 'x', allowed is a finite number above 0"),
    ("calibrate table.aspen --stored --min-accuracy 90", 2, "found '90', allowed is a finite number above 0 to 1"),
    ("calibrate table.aspen --stored --battery 5kJ --hours nan --rate 1/s", 2, "found 'nan', allowed is"),
    ("calibrate table.aspen --stored --battery 5kJ --hours 2 --rate 0/s", 1, "rate: found '0/s'"),
    (f"stream table.aspen {DAY} --confidence 85", 2, "found '85', allowed is a finite number from 0 to 1"),
    # units
    (f"stream table.aspen {DAY} --budget 1.9uJ/windw", 1, "allowed is an energy per window or hour, such"),
    (f"stream table.aspen {DAY} --budget 1.9uj/window", 1, "did you mean 'uJ'?"),
    (f"stream table.aspen {DAY} --battery 1e200Ah@1e200V --hours 1", 1, "allowed is more than 0, and up to 1e+18"),
    (f"stream table.aspen {DAY} --knob 1 --window-time 2.56", 1, "found no unit in '2.56'"),
    # data sets
    ("sweep net.aspen --data har", 1, "name it by --data-path"),
    ("study har", 1, "name it by --data-path"),
    ("train --output t.aspen --data har", 1, "name it by --data-path"),
    ("sweep net.aspen --data digts", 2, "did you mean 'digits'?"),
    # options that would do nothing
    ("sweep net.aspen --input x.npy", 2, "found --input without --labels"),
    ("sweep net.aspen --labels y.npy", 2, "found --labels without --input"),
    (f"sweep net.aspen {OWN} --data-path folder", 2, "found --data-path without --data, allowed are both"),
    (f"sweep net.aspen {OWN} --part test", 2, "found --part without --data"),
    (f"sweep net.aspen {OWN} --max-loss 2", 2, "found --max-loss without --early"),
    ("report net.aspen --input x.npy --part test", 2, "found --part without --data"),
    ("report net.aspen --input x.npy --clock 100", 2, "found --clock, allowed with a chip whose power rises with it"),
    ("calibrate table.aspen --stored --min-accuracy 0.5 --labels y.npy --seeds 3", 2, "beside --labels, --seeds"),
    (f"calibrate net.aspen --min-accuracy 0.5 {OWN} --max-loss 2", 2, "found --max-loss without --early"),
    (f"stream table.aspen {DAY} --knob 1 --dynamic", 2, "found --dynamic without --budget"),
    (f"stream table.aspen {DAY} --confidence 0.5 --total", 2, "found --total without --budget, allowed are both"),
    # chips, tables and states
    (f"run net.aspen --input x.npy {RUN} --chip loihi3", 2, "did you mean 'loihi1' or 'loihi2'?"),
    ("chips bad.toml", 2, "bad.toml: found no valid TOML"),
    (f"stream net.aspen {DAY} --knob 1", 1, "found no calibration table"),
    (f"stream table.aspen {DAY} --knob 1 --state state.json", 1, "state.json: state: found one of no stream"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "message"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_gives_one_line_that_says_what(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(SystemExit) as caught:
        main(line.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (code, ""), err
    assert message in err
    assert err.startswith("aspen")
    assert err.count("\n") == 1, err
    assert not any(word in err for word in ("Traceback", "internal error", "unsafely"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
