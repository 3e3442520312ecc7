"""Names that are nearly right."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aspen._base.names import close_names, did_you_mean, unknown_name
from aspen.data import digits, load_dataset, tonic_events
from aspen.errors import AspenError, InputError
from aspen.fused import fuse
from aspen.models import DenseNet
from aspen.network.neurons import FixedLif
from aspen.training.by_name import Architecture
from aspen.training.recipes import Recipe, recipe
from aspen_emulator import cycles, run
from aspen_emulator.cli import main
from aspen_emulator.cli.doctor import tiny_network
from aspen_emulator.engines.cortex_m.cores import core_named
from aspen_emulator.streaming import Meter
from aspen_hardware import chip


@pytest.mark.parametrize(
    ("found", "allowed", "close"),
    [
        ("swep", ["run", "sweep", "stream"], ["sweep"]),
        ("pertubed", ["plain", "perturbed"], ["perturbed"]),
        ("LOIHI1", ["loihi1", "loihi2"], ["loihi1"]),
        ("loihi", ["loihi1", "loihi2", "odin"], ["loihi1", "loihi2"]),
        ("xyz", ["run", "sweep"], []),
        ("", ["run", "sweep"], []),
        ("run", [], []),
        (3, ["run"], []),
        (None, ["none"], []),
    ],
)
def test_only_the_closest_names_are_offered(found, allowed, close):
    assert close_names(found, allowed) == close


def test_the_remedy_names_what_was_meant_or_says_what_else_to_do():
    assert did_you_mean("digist", iter(["digits", "har"])) == "did you mean 'digits'?"
    assert did_you_mean("zzz", ["digits"]) == "choose one of these"
    assert did_you_mean("zzz", ["digits"], "give a path") == "give a path"


def test_the_whole_message():
    names = (name for name in ("loihi1", "loihi2"))
    wanted = "chip: found 'loihi', allowed are loihi1, loihi2; did you mean 'loihi1' or 'loihi2'?"
    assert unknown_name("chip", "loihi", names) == wanted


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: recipe("pertubed"), "recipe: found 'pertubed', allowed are .*; did you mean 'perturbed'"),
        (lambda: chip("loihi"), "chip: found 'loihi', allowed are .*; did you mean 'loihi1' or 'loihi2'"),
        (lambda: load_dataset("digist"), "data: found 'digist', allowed are .*; did you mean 'digits'"),
        (lambda: tonic_events("nmist", "data"), "events: found 'nmist', .*; did you mean 'nmnist'"),
        (lambda: digits().part("tests"), "part: found 'tests', .*; did you mean 'test'"),
        (lambda: tiny_run(engine="fst"), "engine: found 'fst', allowed are .*; did you mean 'fast'"),
        (lambda: tiny_run(record="spike"), "record: found 'spike', allowed are .*; did you mean 'spikes'"),
        (lambda: tiny_run({"ouput": 2}), "found population 'ouput', .*; did you mean 'output'"),
        (lambda: Architecture("desne"), "model: found 'desne', allowed are .*; did you mean 'dense'"),
        (lambda: Recipe("own", penalty="L1"), "penalty: found 'L1', allowed are .*; did you mean 'l1'"),
        (lambda: FixedLif(1, 0, reset="substract"), "reset: found 'substract', .*; did you mean 'subtract'"),
    ],
)
def test_names_in_python_that_are_nearly_right(call, meant):
    with pytest.raises(AspenError, match=meant):
        call()


@pytest.mark.parametrize("value", [[], {}, np.zeros(2)], ids=["list", "dict", "array"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (recipe, "recipe: found .*, allowed are plain, "),
        (core_named, "core: found .*, allowed are cortex-m4, "),
        (lambda value: digits().spikes(value), "part: found .*, allowed are train, validation, test"),
        (lambda value: tiny_run(engine=value), "engine: found .*, allowed are reference, "),
        (lambda value: tiny_run(record=value), "record: found .*, allowed are counts, "),
        (lambda value: fuse(DenseNet((2, 2)), batch_norm=value), "batch_norm: found .*, allowed are refuse, "),
        (lambda value: Meter.of(tiny_network(), value, 5), "chip: found .*, allowed is a Chip; look it up"),
        (lambda value: cycles(None, None, optimisation=value), "optimisation: found .*, allowed are -O2, -Os"),
    ],
)
def test_what_is_no_name_is_refused_as_one_that_is_unknown(call, message, value):
    with pytest.raises(InputError, match=message):
        call(value)


def tiny_run(threshold_scale=1.0, **options):
    return run(tiny_network(), np.zeros((1, 1, 2), np.uint8), threshold_scale, **options)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["swep", "net.aspen"], "aspen: command: found 'swep', allowed are demo, .*; did you mean 'sweep'"),
        (["trian"], "did you mean 'train'"),
        (["xyz"], "command: found 'xyz', allowed are demo, .*; choose one of these"),
        (["chips", "loihi"], "did you mean 'loihi1' or 'loihi2'"),
        (["train", "--output", "x.aspen", "--data", "digist"], "found 'digist', .*; did you mean 'digits'"),
        (["train", "--output", "x.aspen", "--recipe", "apsen"], "found 'apsen', .*; did you mean 'aspen'"),
        (["train", "--output", "x.aspen", "--sed", "1"], "--sed.*Did you mean.*--seed"),
        (["doctor", "--jsno"], "--jsno.*Did you mean.*--json"),
    ],
)
def test_names_on_the_command_line_that_are_nearly_right(arguments, meant, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert re.search(meant, told), told
    assert told.count("\n") == 1
