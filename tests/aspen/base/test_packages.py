"""Optional packages that are not installed: one line says what needs them and how to get them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aspen._base.packages import EXTRAS, needed_for
from aspen.errors import MissingDependencyError
from tests import ROOT

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from aspen_emulator.cli import main
main(sys.argv[1:])
"""


def test_the_error_names_package_purpose_and_a_command_that_works() -> None:
    wanted = (
        r'^scikit-learn: not installed, needed for the digits; run pip install "\.\[train\]" in your clone of ASPEN$'
    )
    with pytest.raises(MissingDependencyError, match=wanted), needed_for("the digits"):
        raise ModuleNotFoundError("No module named 'sklearn.datasets'", name="sklearn.datasets")


def test_a_package_that_is_damaged_is_not_called_missing() -> None:
    wanted = r"h5py: cannot be imported \(libhdf5.so\), needed for files"
    with pytest.raises(MissingDependencyError, match=wanted), needed_for("files"):
        raise ImportError("libhdf5.so", name="h5py._errors")


def test_what_an_optional_package_needs_itself_comes_with_the_same_extra() -> None:
    wanted = r'^loris: not installed, .*"\.\[events\]"'
    with pytest.raises(MissingDependencyError, match=wanted), needed_for("event data", "tonic"):
        raise ModuleNotFoundError("No module named 'loris'", name="loris")


def test_other_import_errors_stay_what_they_are() -> None:
    with pytest.raises(ModuleNotFoundError, match="numpi"), needed_for("numbers"):
        raise ModuleNotFoundError("No module named 'numpi'", name="numpi")


def test_a_name_of_the_library_says_which_package_it_lacks() -> None:
    code = "import sys; sys.modules['torch'] = None; import aspen; aspen.Network; aspen.fit"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    wanted = (
        'MissingDependencyError: torch: not installed, needed for aspen.fit; run pip install ".[train]" in your clone'
    )
    assert wanted in told.stderr


@pytest.mark.parametrize("arguments", [["train"], ["export", "models:net", "--sample", __file__]])
def test_commands_that_need_torch_say_so(arguments: list[str], tmp_path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments, "--output", str(tmp_path / "net.aspen")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 1, told
    assert told.stderr.startswith("aspen: torch: not installed, needed for ")
    assert told.stderr.count("\n") == 1


def test_every_optional_package_stands_in_setup_cfg() -> None:
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = dict(setup["options.extras_require"])
    for module, extra in EXTRAS.items():
        assert {"sklearn": "scikit-learn", "lava": "lava-nc"}.get(module, module) in extras[extra]
