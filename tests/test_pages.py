"""Every page: its blocks run in the tests as they stand there, or are named here with the reason why not.

What is between fences of ``text`` is shown and not run. The pages in ``WALKED`` run here, their programs and commands
one after the other; others have a test of their own, which asks for their blocks by ``blocks(page, language)``.
"""

from __future__ import annotations

import ast
import builtins
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from os.path import relpath
from pathlib import Path
from types import CodeType
from typing import Any

import click
import numpy as np
import pytest
import torch

from aspen import DialProfile, load_network, load_profile
from aspen.data import digits
from aspen.exchange.nir import save_nir
from aspen_emulator.cli.main import aspen as group
from aspen_emulator.cli.main import main
from aspen_emulator.engines.c.compiler import compiled, compiler_available
from aspen_hardware import chip, compile
from tests import ROOT
from tests.pages import blocks, commands, page, parts
from tests.real_models.static import Fcn

HISTORY = ("CHANGELOG.md", "decisions.md")
"""Pages that say what was; their words need not hold today."""
PLACES = ("*.md", "docs/**/*.md", "examples/**/*.md", "*/aspen*/**/*.md", "aspen/**/*.md", "hardware/*.md")
PAGES = sorted(
    relpath(path, ROOT / "docs") for place in PLACES for path in ROOT.glob(place) if path.name not in HISTORY
)
NOT_RUN = {
    "make ": "installs, or measures for minutes; that the Makefile has it is looked at here",
    "python3 -m venv ": "fetches packages; tests/plain_install.py does it in CI",
    "pip install ": "fetches packages; tests/plain_install.py does it in CI",
    ".venv/bin/pip install ": "fetches packages; `make dev` does it in CI",
    "python benchmarks/": "measures for minutes; tests/emulator/test_benchmarks_*.py run it on little",
    "aspen --install-completion": "changes files at home; tests/emulator/cli/test_cli_completion.py has another home",
    "aspen sweep net.aspen --data digits --seeds 4 --scheduler ": "needs a scheduler at that address; "
    "tests/emulator/measuring/test_cluster.py starts one",
}
"""How a line begins -> why it does not run."""
READ = ("demo", "study", "doctor")
"""Commands that take minutes, or start every engine: their options are read; they have tests of their own."""
QUICK = {
    "train ": "--epochs 1 --output quick.aspen",  # what is there already is a better network
    "calibrate ": "--knobs 0,0.5,1",
    "--windows ": "--windows 200",
}
"""Where this is in a line -> what is added."""


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages name: networks that were trained for a moment, and the digits as data of one's own."""
    folder, data = tmp_path_factory.mktemp("pages"), digits()
    for name, recipe in (("net", "perturbed"), ("dial", "aspen")):
        ran(f"aspen train --recipe {recipe} --epochs 3 --hidden 32 --output {folder / name}.aspen")
    given = data.spikes("validation")[:, :4]
    for name, array in {"raw": data.validation.values[:4], "spikes": given, "X": given, "long": given[:, 0]}.items():
        np.save(folder / f"{name}.npy", array)
    np.savez(folder / "my.npz", X=data.train.values, y=data.train.labels)
    wave = np.sin(np.arange(40)[:, None] * np.arange(1, 5)).round(3)
    rows = [":".join(",".join(map(str, axis)) for axis in (wave * (1 + n)).T) + f":{n % 2}\n" for n in range(16)]
    (folder / "my_TRAIN.ts").write_text(f"@equalLength true\n@classLabel true 0 1\n@data\n{''.join(rows)}", "utf-8")
    return folder


def ran(line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line)[1:])
    assert caught.value.code == 0, line


def follow(line: str) -> None:
    """Do what a line of a page says."""
    words, _, piped = line.partition(" < ")
    _, asked, *arguments = shlex.split(words)
    if asked in READ:
        command = group.get_command(click.Context(group), asked)
        assert command is not None, line
        command.make_context(asked, arguments, parent=click.Context(group))
    elif piped:
        given, _, made = piped.partition(" > ")
        code = "from aspen_emulator.cli import main; main()"
        with Path(given).open("rb") as source, Path(made).open("wb") as sink:
            subprocess.run(
                [sys.executable, "-c", code, asked, *arguments], stdin=source, stdout=sink, check=True, timeout=60
            )
    else:
        ran(" ".join([words, *(added for mark, added in QUICK.items() if mark in words)]))


def network(file: str, target: str) -> dict[str, Any]:
    """A network of a file, what runs it on a chip, its dial, and samples, by the names that pages have for them."""
    found, dial = load_network(file), load_profile(file)
    spikes = digits().spikes("validation")[:, :40]
    return {
        "network": found, "profile": dial, "dial": dial, "deployment": compile(found, target, profile=dial),
        "spikes": spikes, "labels": digits().validation.labels[:40], "step": spikes[0, :1],
        "windows": spikes.swapaxes(0, 1)[:3], "raw": np.full((2, 64), 4096, np.int16),
    }  # fmt: skip


def control() -> dict[str, Any]:
    """Its network has a dial, and was compiled and calibrated."""
    shutil.copy("dial.aspen", "net.aspen")
    ran("aspen compile net.aspen --chip loihi1")
    ran("aspen calibrate net.aspen --data digits --scales 0.7,1,1.4")
    return network("net.aspen", "loihi1")


def energy() -> dict[str, Any]:
    """Its dial switches neurons off."""
    return {
        **network("dial.aspen", "loihi1"),
        "profile": DialProfile({"lif1": 0.0}, on_until={"lif1": np.linspace(0, 1, 32)}),
    }


def exchange() -> dict[str, Any]:
    found = load_network("net.aspen")
    save_nir(found, "model.nir")
    return {"network": found}


def models() -> dict[str, Any]:
    """A model that repeats its input, and data for it."""
    rng = np.random.default_rng(0)
    X = rng.random((90, 12)).astype(np.float32)
    return {"model": Fcn(), "X": X, "y": rng.integers(0, 4, 90), "sample": torch.from_numpy(X[:4])}


WALKED: dict[str, Callable[[], dict[str, Any]]] = {
    "features.md": dict, "explore.md": dict, "training.md": dict, "your-data.md": dict, "command-line.md": dict,
    "microcontroller.md": lambda: network("dial.aspen", "cortex-m"), "control.md": control, "exchange.md": exchange,
    "energy.md": energy, "models.md": models,
    "../hardware/README.md": lambda: network("dial.aspen", "loihi1"),
}  # fmt: skip
"""Page -> what its programs are given, where the files of ``learned`` are."""
C_AROUND = """
#include <stdlib.h>
#include "wrist_encoder.h"
#include "wrist_budget.h"

static void next_sample(uint8_t *input) { input[0] = 1; }
static int battery_is_low(void) { return 0; }
"""
C_WITHIN = """
static int left = 300;
static int16_t raw[wrist_CHANNELS];
static void wait_for_sample(int16_t *into) { into[0] = 7; if (--left == 0) { exit(0); } }

int main(void)
{
    if (classify() < -1) { return 1; }
"""


def asked() -> Iterator[tuple[str, str, bool]]:
    """Page and language of the blocks that tests ask for, and whether they take all."""
    for file in (ROOT / "tests").rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        taken = {node.value for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("blocks", "commands"):
                told = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
                if told:
                    yield told[0], *(told[1:] or ["commands"]), node not in taken


ASKED = {(name, language) for name, language, whole in asked() if whole}


@pytest.mark.parametrize("name", WALKED)
def test_the_programs_and_commands_of_a_page_run_one_after_the_other(
    name: str, learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(learned, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "page", **WALKED[name]()}
    for part in parts(name):
        if (name, part.language) in ASKED:
            continue
        if part.language == "python":
            quick = part.text.replace("fit(model, (X, y))", "fit(model, (X, y), epochs=1, progress=False)")
            exec(compile_program(quick, name), space)
        elif part.language == "toml":
            (tmp_path / "mine.toml").write_text(part.text, "utf-8")
            assert chip("mine.toml").name in part.text
        for line in part.commands:
            if not line.startswith((*NOT_RUN,)):
                follow(line)


@pytest.mark.skipif(not compiler_available(), reason="no C compiler found")
def test_the_programs_in_c_run(learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(learned / "dial.aspen", tmp_path)
    monkeypatch.chdir(tmp_path)
    typed = "aspen calibrate dial.aspen --data digits --dial --chip cortex-m4 --window-time 1s"
    assert typed in commands("microcontroller.md")
    follow(f"{typed} --early")
    ran(next(line for line in commands("microcontroller.md") if "--budget" in line))
    declared, loop = blocks("microcontroller.md", "c")
    sources = {path.name: path.read_text("utf-8") for path in Path("wearable").glob("wrist*")}
    text = f"{C_AROUND}{declared}{C_WITHIN}{loop}}}\n"
    subprocess.run(
        [compiled({**sources, "main.c": text}, ("-Wall", "-Werror", "-Dwrist_COUNTERS"))], check=True, timeout=60
    )


def compile_program(text: str, name: str) -> CodeType:
    return builtins.compile(text, name, "exec", dont_inherit=True)


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_a_page_runs_or_it_is_said_why_not(name: str) -> None:
    for part in parts(name):
        where = f"{name}, line {part.line}"
        if part.language == "text" or (name, part.language) in ASKED:
            continue
        lines = [line for line in part.text.splitlines() if not line.startswith((*NOT_RUN,))]
        if part.language in ("indented", "sh"):
            assert [line for line in lines if not line.startswith("aspen ")] == [], f"{where}: add to NOT_RUN"
            lines = [] if (name, "commands") in ASKED else lines
        assert not lines or name in WALKED, f"{where}: no test runs it; add the page to WALKED"
        assert part.language in ("python", "toml", "c", "sh", "indented"), f"{where}: how is {part.language!r} run?"


def inline(name: str) -> list[str]:
    """What stands within a line as code; code that goes on in the next one is one."""
    shown = re.sub(r"^```.*?^```", "", page(name), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", shown)]


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_names_is_there(name: str) -> None:
    """Commands and their options, targets of make, scripts, extras: within its lines, and where nothing runs them."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    extras = re.findall(r"^([a-z]+) =$", (ROOT / "setup.cfg").read_text("utf-8"), re.MULTILINE)
    for line in [*inline(name), *(line for part in parts(name) for line in part.text.splitlines())]:
        line = line.removeprefix(".venv/bin/")
        words = line.split()
        if re.match(r"aspen [a-z]+\b", line):
            command = group.get_command(click.Context(group), words[1])
            assert command is not None, line
            known = {each for option in command.params for each in (*option.opts, *option.secondary_opts)}
            assert set(re.findall(r"(?<!\S)--[a-z][\w-]*", line)) <= {*known, *EVERYWHERE}, line
        elif re.match(r"make [a-z]", line):
            assert words[1] in targets, line
        elif re.match(r"python (?:-m )?[\w./]+", line):
            script = words[2].replace(".", "/") if words[1] == "-m" else words[1].removesuffix(".py")
            places = [ROOT / f"{script}{end}" for end in (".py", "/__main__.py")]
            assert script in FOREIGN or any(place.is_file() for place in places), line
        elif re.match(r"pip install\b.*\[", line):
            assert {*line.partition("[")[2].partition("]")[0].split(",")} <= {*extras}, line


EVERYWHERE = ("--debug", "--progress", "--no-progress", "--help")
FOREIGN = ("pytest", "venv")
