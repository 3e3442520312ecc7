"""The README: its programs and commands run as they stand there, and its first figures are those of the site; and what
else a repository shows to those who come to it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from aspen._version import __version__
from aspen.errors import TrainingWarning
from tests import ROOT
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.pages import blocks, commands, page

__all__ = ["aspen"]

README = ROOT / "README.md"
FIGURES = re.compile(r"^\| [\d.]+ \| [\d.]+ % \| [\d.]+ µJ \| [\d.]+ years \|$", re.MULTILINE)
pytestmark = pytest.mark.skipif(not README.is_file(), reason="not in a clone; run from the repository")


def test_the_program_and_the_commands_run(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, _ = blocks("../README.md", "python")  # the third is Lava's first line, which has tests of its own
    found: dict[str, object] = {"__name__": "readme"}
    quick = first.replace("epochs=30", "epochs=1, progress=False").replace("600", "120")
    with pytest.warns(TrainingWarning):  # of so short a training
        exec(compile(quick, "README.md", "exec", dont_inherit=True), found)
    exec(compile(second, "README.md", "exec", dont_inherit=True), found)
    out = capsys.readouterr().out
    energies = [float(energy) for energy in re.findall(r"^knob [\d.]+: [\d.]+% right, ([\d.]+) µJ$", out, re.MULTILINE)]
    assert len(energies) == 3
    assert energies[0] > energies[2] > 0
    assert "Profile of Sequential: 24 samples of 25 steps" in out
    np.savez("my.npz", X=found["X"], y=found["y"])  # type: ignore[arg-type]
    lines = [shlex.split(line)[1:] for line in commands("../README.md")]
    assert {"train", "explore", "compile"} <= {name for name, *_ in lines}
    for name, *arguments in lines:
        code, _, err = aspen(name, *arguments, *(("--epochs", "1") if name == "train" else ()))
        assert code == 0, (name, err)
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_the_first_figures_are_those_of_the_first_page_of_the_site() -> None:
    assert FIGURES.findall(README.read_text("utf-8")) == FIGURES.findall(page("index.md")) != []


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.*)$", text, re.MULTILINE) == [__version__]
    assert "doi: 10.48550/arXiv.2508.11689" in text


def test_issue_forms_are_forms() -> None:
    yaml = pytest.importorskip("yaml", reason="the extra docs is not installed: no yaml")
    forms = [file for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]
    assert {form.stem for form in forms} == {"bug", "model", "chip"}
    for form in forms:
        found = yaml.safe_load(form.read_text("utf-8"))
        assert {*found} == {"name", "description", "labels", "body"}
        asked = [part for part in found["body"] if part["type"] != "markdown"]
        assert {part["type"] for part in asked} <= {"textarea", "input", "dropdown", "checkboxes"}
        assert len({part["id"] for part in asked}) == len(asked) > 0
        assert all(part["attributes"]["label"] for part in asked)
