"""Finding and importing Lava; what is said where it is missing."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import MissingDependencyError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator.cli import main
from aspen_emulator.engines.lava import shim
from aspen_emulator.engines.lava.engine import LavaSession, run_lava
from tests import ROOT
from tests.pages import blocks

NETWORK = Network(
    [Population("in", (1,)), Population("out", (1,), Lif(threshold=1.0, beta=0.5))],
    [Dense("in", "out", np.ones((1, 1)))],
)
needs_lava = pytest.mark.skipif(not shim.lava_available(), reason="lava-nc is not installed")


@pytest.mark.parametrize(("version", "second_command"), [((3, 10), False), ((3, 11), True), ((3, 13), True)])
def test_a_missing_lava_is_said_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], second_command: bool
) -> None:
    monkeypatch.setattr(shim, "lava_available", lambda: False)
    monkeypatch.setattr(sys, "version_info", version)
    calls = [
        shim.import_lava,
        lambda: run_lava(NETWORK, np.ones((1, 1, 1), np.uint8), {"out": np.ones((1, 1, 1))}),
        lambda: LavaSession(NETWORK),
    ]
    for call in calls:
        with pytest.raises(MissingDependencyError, match=r'pip install "\.\[lava\]"') as caught:
            call()
        assert ("--no-deps --ignore-requires-python lava-nc==0.10.0" in str(caught.value)) == second_command


def test_an_unrelated_package_called_lava_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "lava", raising=False)
    sys.path_importer_cache.clear()
    assert not shim.lava_available()
    (tmp_path / "lava.py").write_text("")
    sys.path_importer_cache.clear()
    assert not shim.lava_available()


def test_only_lavas_own_dataclasses_are_changed_and_only_for_a_while() -> None:
    original = dataclasses.dataclass
    body = {"__annotations__": {"x": int}, "x": 0}
    with shim._hashable_lava_dataclasses():
        foreign = dataclasses.dataclass(type("Foreign", (), body | {"__module__": __name__}))
        own = dataclasses.dataclass(order=True)(type("Own", (), body | {"__module__": "lava.somewhere"}))
    assert dataclasses.dataclass is original
    assert foreign.__hash__ is None
    assert hash(own(1)) == hash(own(1))
    assert own(1) < own(2)


def test_dataclasses_are_restored_after_an_error() -> None:
    original = dataclasses.dataclass
    with pytest.raises(ImportError), shim._hashable_lava_dataclasses():
        raise ImportError
    assert dataclasses.dataclass is original


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(120)
def test_lava_is_imported_without_a_trace_in_dataclasses() -> None:
    """In a process of its own, as Lava sets the start method of multiprocessing; warnings are errors there."""
    code = """
import dataclasses, sys
original = dataclasses.dataclass
from aspen_emulator.engines.lava.shim import import_lava, lava_available, lava_version
assert lava_available() and "lava" not in sys.modules
assert lava_version() == "0.10.0", lava_version()
import_lava()
import_lava()
assert dataclasses.dataclass is original
from lava.proc.lif.process import LIF
from lava.magma.core.run_conditions import RunSteps
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(120)
def test_the_documented_first_line_is_all_that_a_program_on_lava_needs() -> None:
    code = f"""
{shim.FIRST_LINE}
from lava.proc.lif.process import LIF
from lava.proc.dense.process import Dense
from lava.magma.core.run_configs import Loihi2SimCfg
import multiprocessing, threading
assert LIF(shape=(2,)).vth.shape == (1,)
assert not multiprocessing.active_children()
assert threading.active_count() == 1
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


@needs_lava
@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("method", "error"), [("fork", ""), ("spawn", "RuntimeError: context has already been set")])
def test_lava_can_be_imported_after_multiprocessing_was_used(method: str, error: str) -> None:
    """As a progress bar uses it. A start method that Lava cannot work with stays its own error."""
    code = f"""
import multiprocessing
multiprocessing.set_start_method({method!r})
original = multiprocessing.set_start_method
{shim.FIRST_LINE}
import lava.magma.runtime.message_infrastructure.multiprocessing
assert multiprocessing.set_start_method == original
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert error in done.stderr
    assert done.returncode == bool(error), done.stderr


@needs_lava
@pytest.mark.skipif(sys.version_info < (3, 11), reason="Lava's own Python needs no line")
@pytest.mark.timeout(120)
def test_without_the_documented_line_lava_cannot_be_imported() -> None:
    code = "from lava.proc.lif.process import LIF"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert "ValueError: mutable default" in done.stderr


def test_the_first_line_stands_in_the_readme() -> None:
    readme = ROOT / "README.md"
    if not readme.is_file():
        pytest.skip("not in a clone; run from the repository")
    assert blocks("../README.md", "python")[-1] == f"{shim.FIRST_LINE}\n"


@pytest.mark.parametrize(("version", "told"), [((3, 10), False), ((3, 11), True), ((3, 13), True)])
def test_the_doctor_says_the_first_line_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: tuple[int, int], told: bool
) -> None:
    monkeypatch.setattr("aspen_emulator.cli.doctor.self_test", lambda engine: "ok")
    monkeypatch.setattr("aspen_emulator.cli.doctor._installed", lambda package: "1.0")
    monkeypatch.setattr(sys, "version_info", version)
    for arguments in ([], ["--json"]):
        with pytest.raises(SystemExit):
            main(["doctor", *arguments])
        assert (shim.FIRST_LINE in capsys.readouterr().out) == told


def test_nothing_of_the_package_imports_lava() -> None:
    code = """
import sys
import aspen_emulator.engines.lava
import aspen_emulator.engines.lava.engine
import aspen_emulator.engines.lava.isolation
import aspen_emulator.engines.lava.schedule
import aspen_emulator.engines.lava.shim, aspen_emulator.engines.lava.worker
import aspen_emulator.lava
assert not [name for name in sys.modules if name.split(".")[0] == "lava"]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=100)
