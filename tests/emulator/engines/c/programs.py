"""Compilers for the tests of programs in C: those here, or a reason why not."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from aspen_emulator.engines.c.compiler import compiler_available, find_compiler
from tests.c_networks import STRICT
from tests.emulator.engines.cortex_m.needed import needs_emulator

needs_compiler = pytest.mark.skipif(not compiler_available(), reason="there is no C compiler")
in_c = pytest.mark.parametrize(
    "name", [pytest.param("c", marks=needs_compiler), pytest.param("cortex-m", marks=needs_emulator)]
)
"""``name`` of an engine that runs the program in C: here, or on an emulated core."""


def built(folder: Path, texts: Mapping[str, str], *flags: str) -> Path:
    """The program that the ``.c`` files among ``texts`` make, without a warning."""
    for name, text in texts.items():
        (folder / name).write_text(text)
    names = [name for name in texts if name.endswith(".c")]
    command = [*find_compiler(), "-std=c99", *STRICT, *flags, "-o", "program", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder / "program"


def output(program: Path, given: str = "") -> list[list[int]]:
    """What it prints, numbers in lines."""
    done = subprocess.run([program], input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
