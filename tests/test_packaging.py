"""What a wheel holds, without building one: every package, every data file, and what makes an editable install work."""

from __future__ import annotations

import base64
import configparser
import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import pytest

from tests.plain_install import FILES, PACKAGES

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="not in a clone; run from the repository")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The build backend, in the folder that pip calls it in."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    import setup_editable

    return setup_editable


@pytest.fixture
def given(backend: ModuleType, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``setup.py`` gives to setuptools."""
    found: dict[str, Any] = {}
    monkeypatch.setattr("setuptools.setup", found.update)
    runpy.run_path("setup.py")
    return found


def test_every_folder_with_modules_is_a_package(given: dict[str, Any]) -> None:
    wanted = {
        ".".join(file.parent.relative_to((ROOT / package).parent).parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
    }
    assert {"aspen.control", "aspen_emulator.streaming"} <= wanted
    assert set(given["packages"]) == wanted


def test_packages_lie_where_setuptools_is_told(given: dict[str, Any]) -> None:
    assert given["package_dir"].keys() == {Path(package).name for package in PACKAGES}
    for name, folder in given["package_dir"].items():
        assert (ROOT / folder / "__init__.py").is_file(), name


def test_every_other_file_is_package_data(given: dict[str, Any]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for package in PACKAGES:
        top = ROOT / package
        patterns = setup["options.package_data"][top.name].split(", ")
        declared = {file for pattern in patterns for file in top.glob(pattern)}
        others = {f for f in top.rglob("*") if f.is_file() and f.suffix != ".py" and "__pycache__" not in f.parts}
        assert others <= declared, package
        assert declared, package


def test_what_a_build_reads_is_copied_for_a_plain_install() -> None:
    assert all((ROOT / name).exists() for name in (*PACKAGES, *FILES))


def test_a_source_distribution_has_the_licences_and_no_tests(tmp_path: Path) -> None:
    for name in (*PACKAGES, *FILES, "MANIFEST.in"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("")  # which setuptools takes along by itself, without its helpers
    code = "import setup_editable; print(setup_editable.build_sdist('.'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / done.stdout.splitlines()[-1]) as file:
        held = {name.partition("/")[2] for name in file.getnames()}
        (about,) = (name for name in file.getnames() if name.endswith("-0.1.0/PKG-INFO"))
        metadata = file.extractfile(about).read().decode().splitlines()  # type: ignore[union-attr]
    assert not [name for name in held if name.startswith("tests")]
    assert {"LICENSE", "constraints.txt", "setup_editable.py"} <= held
    licences = [line.partition(": ")[2] for line in metadata if line.startswith(("License: ", "License-File: "))]
    assert licences == ["BSD-3-Clause AND MIT", "LICENSE", "emulator/aspen_emulator/exploring/page/plotly.LICENSE"]


@pytest.fixture
def editable(backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what an editable install unpacks, made from a wheel with an import hook as setuptools makes it."""

    def build(folder: str, settings: object, metadata: object) -> str:
        with ZipFile(Path(folder, "a.whl"), "w") as wheel:
            wheel.writestr("__editable__.aspen_snn-1.pth", "import __editable___finder")
            wheel.writestr("__editable___finder.py", "")
            wheel.writestr("aspen_snn-1.dist-info/METADATA", "Name: aspen-snn\n")
            wheel.writestr("aspen_snn-1.dist-info/RECORD", "__editable___finder.py,,\n")
        return "a.whl"

    monkeypatch.setattr(backend.build_meta, "build_editable", build)
    assert backend.build_editable(str(tmp_path)) == "a.whl"
    with ZipFile(tmp_path / "a.whl") as wheel:
        wheel.extractall(tmp_path / "site")
    return tmp_path / "site"


def test_an_editable_wheel_has_the_source_roots_and_a_true_record(editable: Path) -> None:
    names = {str(file.relative_to(editable)) for file in editable.rglob("*") if file.is_file()}
    info = "aspen_snn-1.dist-info"
    assert names == {"__editable__.aspen_snn.pth", f"{info}/METADATA", f"{info}/RECORD"}
    folders = (editable / "__editable__.aspen_snn.pth").read_text().splitlines()
    assert folders == [str((ROOT / package).parent) for package in PACKAGES]
    lines = dict(line.split(",", 1) for line in (editable / info / "RECORD").read_text().splitlines())
    assert lines.pop(f"{info}/RECORD") == ","
    for name, rest in lines.items():
        content = (editable / name).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert rest == f"sha256={digest},{len(content)}"
    assert names == {*lines, f"{info}/RECORD"}


def test_a_folder_called_like_the_package_does_not_hide_an_editable_install(editable: Path, tmp_path: Path) -> None:
    """As in the folder above a clone that is called ``aspen``."""
    (tmp_path / "above" / "aspen" / "aspen").mkdir(parents=True)
    code = f"import site; site.addsitedir({str(editable)!r}); import aspen, aspen_hardware; print(aspen.Network)"
    without = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "above", env=without, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "<class 'aspen.network.network.Network'>\n", done.stderr


def test_a_mode_of_setuptools_that_is_asked_for_stays_its_own(
    backend: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.build_meta, "build_editable", lambda *given: "untouched.whl")
    assert backend.build_editable(str(tmp_path), {"editable_mode": "strict"}) == "untouched.whl"
