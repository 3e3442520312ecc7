"""``aspen doctor``: what is installed, and whether it works."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import click
import numpy as np

from aspen._version import __version__
from aspen.data.encoder_values import ENCODERS
from aspen.errors import AspenError
from aspen.network.network import Dense, FixedLif, Network, Population
from aspen_emulator.cli.common import json_option
from aspen_emulator.cli.helping import Command
from aspen_emulator.cli.shown import show
from aspen_emulator.engines.c.compiler import compiler_available
from aspen_emulator.engines.cortex_m.engine import emulator_available
from aspen_emulator.engines.lava.loihi import loihi_available
from aspen_emulator.engines.lava.shim import FIRST_LINE
from aspen_emulator.engines.run import ENGINES, run

PACKAGES = {
    "numpy": "everything",
    "numba": "the fast engine, fused training",
    "scipy": "sparse connections, placement",
    "safetensors": "everything",
    "click": "the command line",
    "tqdm": "progress bars",
    "torch": "training and export",
    "snntorch": "training and export",
    "scikit-learn": "the digits",
    "matplotlib": "plots",
    "h5py": "NIR and netx files",
    "nir": "NIR files",
    "tonic": "event data",
    "lava-nc": "the lava engine",
    "ziglang": "the engine cortex-m: compiles for it",
    "unicorn": "the engine cortex-m: runs it",
    "capstone": "the engine cortex-m: its cycles",
    "pyelftools": "the engine cortex-m: its programs",
}


def tiny_network() -> Network:
    """Two integer neurons that spike when they are fed."""
    neuron = FixedLif(threshold=10, voltage_decay=410)
    populations = (Population("input", (2,)), Population("output", (2,), neuron))
    return Network(populations, (Dense("input", "output", np.array([[20, 2], [2, 20]])),))


def self_test(engine: str) -> str:
    """Run one step on an engine: ``ok``, or why not."""
    try:
        spikes = np.array([[[1, 0]]], np.uint8)
        output = run(tiny_network(), spikes, engine=engine).output
    except AspenError as error:
        return str(error)
    return "ok" if output.tolist() == [[[1, 0]]] else f"wrong answer: {output.tolist()}, expected [[[1, 0]]]"


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@click.command("doctor", cls=Command)
@json_option
def doctor_command(as_json: bool) -> None:
    """Show versions, what is installed, and a one-step self-test of every engine, those of installed packages too.

    Exit code 1 if a test fails.

    Lava, a C compiler or the extra microcontroller that is not installed is reported and is no failure; nor is Intel's
    extension, which the loihi engine needs.
    """
    found = {package: _installed(package) for package in PACKAGES}
    tried = ("reference", "fast", "c", "cortex-m", "lava", *ENGINES.added)
    engines = {engine: self_test(engine) for engine in tried}
    encoders = {kind: _known(kind) for kind in ENCODERS.added}
    extension = loihi_available()
    absent = {
        "lava": not found["lava-nc"],
        "c": not compiler_available(),
        "cortex-m": not emulator_available(),
    }
    answers = {**engines, **encoders}
    failed = [name for name, answer in answers.items() if answer != "ok" and not absent.get(name, False)]
    first_line = FIRST_LINE if found["lava-nc"] and sys.version_info >= (3, 11) else None
    if as_json:
        report = {"aspen": __version__, "python": platform.python_version(), "packages": found, "engines": engines}
        more = {"added_encoders": encoders, "loihi_extension": extension, "lava_first_line": first_line}
        click.echo(json.dumps(report | more))
    else:
        show(*_lines(found, engines, encoders), _on_chip(extension), *_in_programs(first_line))
    if failed:
        raise click.exceptions.Exit(1)


def _on_chip(extension: bool) -> str:
    """Whether the loihi engine could run; no test, as that would wait for a chip."""
    told = (
        "found, not tested here" if extension else "missing: only members of Intel's research community (INRC) get it"
    )
    return f"Intel's extension of Lava, for the loihi engine: {told}"


def _in_programs(first_line: str | None) -> list[str]:
    """What a program that imports Lava itself needs on this Python, if anything."""
    if first_line is None:
        return []
    why = f"your own programs on Lava: Python {platform.python_version()} needs this line before they import it"
    return [why, f"  {first_line}"]


def _known(kind: str) -> str:
    """``ok`` where the encoder of an installed package is one, or why not."""
    try:
        ENCODERS[kind]
    except AspenError as error:
        return str(error)
    return "ok"


def _lines(found: dict[str, str | None], engines: dict[str, str], encoders: dict[str, str]) -> list[str]:
    pad: Callable[[str], str] = lambda text: f"  {text:<14}"  # noqa: E731 - one format for both lists
    lines = [f"aspen {__version__}, Python {platform.python_version()} on {sys.platform}", "packages:"]
    lines += [f"{pad(name)}{number or 'missing':<12}{PACKAGES[name]}" for name, number in found.items()]
    lines += ["engines, one step each:", *[f"{pad(name)}{answer}" for name, answer in engines.items()]]
    added = [f"{pad(kind)}{answer}" for kind, answer in encoders.items()]
    return [*lines, *(["encoders of installed packages:"] if added else []), *added]
