"""Every public name says what it is, what it takes and, by an example that runs, what it gives."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.test_house import MODULES

SHOWN = [module for module, file in MODULES.items() if ">>> " in file.read_text("utf-8")]
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
FACES = (
    "aspen", "aspen_hardware", "aspen_emulator", "aspen.network", "aspen.control", "aspen.data", "aspen.models",
    "aspen.exchange.nir", "aspen.exchange.netx", "aspen.exchange.netx_writer", "aspen_emulator.lava",
)  # fmt: skip
"""What users import from: the packages, and the rooms that the README and the guides name."""
ELSEWHERE = {"har", "hapt", "hapt_recordings", "tonic_events"}
"""Without an example: they read files that are had from their publishers only."""


@pytest.mark.parametrize("module", SHOWN)
def test_examples_in_docstrings_give_what_they_say(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where they keep their files
    assert doctest.testmod(import_module(module)).failed == 0


def offered(face: str) -> Iterator[tuple[str, Any]]:
    """Name -> class or function, of those that are ASPEN's."""
    module = import_module(face)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "").startswith(face)]
    for name in getattr(module, "__all__", own):
        value = getattr(module, name)
        if callable(value) and not name.startswith("_"):
            yield f"{value.__module__}.{name}", value


PUBLIC = dict(sorted(pair for face in FACES for pair in offered(face)))


def parameters(value: Any) -> dict[str, inspect.Parameter]:
    if inspect.isclass(value) and issubclass(value, Exception):
        return {}
    found = inspect.signature(value.__init__ if inspect.isclass(value) else value).parameters
    return {name: each for name, each in found.items() if name != "self"}


def listed(text: str) -> set[str]:
    """What stands before the colons under ``Args``."""
    args = re.search(r"^Args:\n((?:(?: .*)?\n)*)", f"{text}\n", re.MULTILINE)
    lines = re.findall(r"^    (\w[\w, ]*):", args[1], re.MULTILINE) if args else []
    return {name.strip() for names in lines for name in names.split(",")}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_what_it_is_and_what_it_takes(name: str) -> None:
    text, taken = inspect.getdoc(PUBLIC[name]) or "", parameters(PUBLIC[name])
    assert text.partition("\n")[0], "it has no summary"
    told = listed(text) | {*re.findall(r"``(\w+)``", text)}
    assert [each for each, kind in taken.items() if each not in told and kind.kind not in VARIADIC] == []
    assert listed(text) - {*taken} == set(), "told, but not taken"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    shown = ">>> " in (inspect.getdoc(PUBLIC[name]) or "")
    assert shown != (name.rpartition(".")[2] in ELSEWHERE)
