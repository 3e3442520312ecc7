"""A network in a user's own program on Lava. Programs run in processes of their own, with a time-out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DialProfile
from aspen.errors import EngineError, InputError, MissingDependencyError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.engines.lava import shim
from aspen_emulator.lava import to_lava
from tests import ROOT
from tests.networks import float_network

SECONDS = 250.0
"""The example may have to compile the fast engine first."""
STANDINS = str(Path(__file__).parent / "standins")
on_lava = [
    pytest.mark.lava,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not shim.lava_available(), reason="lava-nc is not installed"),
]


def assert_runs(*command: str, path: str = "") -> str:
    """Run Python without a word on standard error; what it printed. Lava warns of files that it could not read."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), path])}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *command],
        capture_output=True, text=True, timeout=SECONDS, check=False, env=variables, cwd=ROOT,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0), done.stderr
    return done.stdout


class TestPrograms:
    pytestmark = on_lava

    @pytest.mark.parametrize(
        "programs",
        [
            ["samples:spikes:float", "samples:current:fixed"],
            ["pipelined", "dial", "stock:cpu"],
            ["mistakes", "endings", "page"],
        ],
        ids=" ".join,
    )
    def test_they_give_the_spikes_of_the_reference(self, programs: list[str]) -> None:
        assert_runs("-m", "tests.emulator.lava.programs", *programs)

    def test_the_way_to_the_chip_with_a_stand_in_for_intels_extension(self) -> None:
        assert_runs("-m", "tests.emulator.lava.programs", "stock:chip", path=STANDINS)

    def test_the_example_gives_the_spikes_of_fast(self) -> None:
        example = ROOT / "examples" / "lava_program" / "sensor_to_tally.py"
        if not example.is_file():
            pytest.skip("no examples folder beside the tests; run from the repository")
        assert "every spike is that of engine='fast'" in assert_runs(str(example))


@pytest.fixture
def without_lava(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lava must not be asked for."""

    def asked() -> None:
        raise AssertionError("Lava was to be imported")

    monkeypatch.setattr("aspen_emulator.lava.import_lava", asked)


RECURRENT = Network(
    [Population("in", (2,)), Population("out", (2,), Lif(threshold=1.0, beta=0.5))],
    [Dense("in", "out", np.eye(2)), Dense("out", "out", np.eye(2), delay=3)],
)
PROFILE = DialProfile({"layer1": 0.5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"knob": 0.5}, "knob: found one without a profile"),
        ({"profile": PROFILE}, "profile: found population 'layer1', allowed are"),
        ({"profile": "net.aspen"}, "profile: found 'net.aspen', allowed is a DialProfile; from a file give"),
        ({"reset_interval": 3}, "reset_interval: found 3, allowed is 0, or 4 steps and more"),
        ({"reset_interval": -1}, "reset_interval: found -1"),
        ({"reset_interval": 9, "stock": True}, "reset_interval: found 9, allowed is none with stock=True"),
        ({"stock": 1}, "stock: found 1"),
        ({"name": ""}, "name: found ''"),
    ],
)
@pytest.mark.usefixtures("without_lava")
def test_what_is_not_allowed_is_refused_before_lava_is_imported(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_lava(RECURRENT, **options)


def test_a_scale_beside_a_profile_is_refused() -> None:
    with pytest.raises(InputError, match="threshold_scale: found one beside a profile"):
        to_lava(float_network(0), 1.5, profile=PROFILE)


@pytest.mark.usefixtures("without_lava")
def test_a_network_that_lava_cannot_run_is_refused_before_it_is_imported() -> None:
    weights = np.eye(2)
    fast = Network(
        [Population("in", (2,)), *(Population(name, (2,), Lif(threshold=1.0, beta=0.5)) for name in "ab")],
        [Dense("in", "a", weights), Dense("a", "b", weights), Dense("b", "a", weights, delay=1)],
    )
    with pytest.raises(EngineError, match=r"a->b->a: found a cycle|b->a->b: found a cycle"):
        to_lava(fast)
    with pytest.raises(EngineError, match="network: found floating point, allowed on Loihi"):
        to_lava(RECURRENT, stock=True)


def test_without_lava_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "lava_available", lambda: False)
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[lava\]"'):
        to_lava(RECURRENT)
