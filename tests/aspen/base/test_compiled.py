"""Stored machine code: what is damaged is compiled anew, and what cannot be kept is done without; one line says so."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

from aspen._base import compiled as _compiled

SOURCE = """from functools import partial
from aspen._base.compiled import compiled

@compiled
def double(x):
    return 2 * x
"""


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[], ModuleType]]:
    """Imports a module with a compiled function anew, as another process would."""
    path = tmp_path / "doubling.py"
    path.write_text(SOURCE)

    def loaded() -> ModuleType:
        _compiled._SAID.clear()
        _compiled._stamp_of_folder.cache_clear()
        spec = importlib.util.spec_from_file_location("doubling", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield loaded
    sys.modules.pop("doubling", None)


def stored(folder: Path, suffix: str) -> Path:
    (path,) = (folder / "__pycache__").glob(f"doubling.double*{suffix}")
    return path


def outcome(module: ModuleType) -> tuple[int, int]:
    """The result of the function for 21, and how often it was compiled."""
    found: Any = module.double
    return found(21), sum(found.stats.cache_misses.values())


def test_code_is_compiled_once(load: Callable[[], ModuleType], capsys: pytest.CaptureFixture[str]) -> None:
    assert [outcome(load()), outcome(load())] == [(42, 1), (42, 0)]
    assert capsys.readouterr().err == ""


def test_code_is_compiled_anew_when_a_module_beside_it_changes(load: Callable[[], ModuleType], tmp_path: Path) -> None:
    """Where a function is put together from several modules; others are left alone."""
    (tmp_path / "beside.py").write_text("TWO = 1\n")
    assert [outcome(load()), outcome(load())] == [(42, 1), (42, 0)]
    (tmp_path / "beside.py").write_text("TWO = 2\n")
    assert outcome(load()) == (42, 0)
    (tmp_path / "doubling.py").write_text(SOURCE.replace("@compiled", "@partial(compiled, folder=True)") + "\n")
    assert [outcome(load()), outcome(load())] == [(42, 1), (42, 0)]
    (tmp_path / "beside.py").write_text("TWO = 3\n")
    assert outcome(load()) == (42, 1)


MAKING = """
import sys
import numpy as np
from aspen._base.compiled import compiled

@compiled
def squares(n):
    made = np.zeros(n)
    for i in range(n):
        made[i] = i * i
    return made

print(squares(4).tolist(), sum(squares.stats.cache_misses.values()), "numba.np.linalg" in sys.modules)
"""


def test_stored_code_runs_without_what_compiles_it(tmp_path: Path) -> None:
    """Arrays are made in it, which ends the process where numba's runtime was not started."""
    (tmp_path / "making.py").write_text(MAKING)
    command = [sys.executable, "-c", "import making"]
    first, second = (subprocess.run(command, cwd=tmp_path, capture_output=True, text=True) for _ in range(2))
    assert first.stdout == "[0.0, 1.0, 4.0, 9.0] 1 True\n", first.stderr
    loads = not numba.__version__.startswith(_compiled.LOADS_ALONE)
    assert second.stdout == f"[0.0, 1.0, 4.0, 9.0] 0 {loads}\n", second.stderr


def test_other_versions_of_numba_load_as_they_do(
    load: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome(load())
    monkeypatch.setattr(_compiled, "LOADS_ALONE", ("0.0.",))
    assert outcome(load()) == (42, 0)


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "text", "a folder"])
def test_damaged_code_is_compiled_anew(
    tmp_path: Path, load: Callable[[], ModuleType], capsys: pytest.CaptureFixture[str], suffix: str, damage: str
) -> None:
    outcome(load())
    path = stored(tmp_path, suffix)
    data = path.read_bytes()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
        bad = {"cut": data[:-7], "emptied": b"", "flipped": flipped, "text": b"not a pickle"}
        path.write_bytes(bad[damage])
    assert outcome(load()) == (42, 1)
    err = capsys.readouterr().err
    assert err.count("\n") in ((0, 1) if (damage, suffix) == ("flipped", ".nbi") else (1, 2))
    if damage != "a folder":
        assert outcome(load()) == (42, 0)
        assert capsys.readouterr().err == ""


def test_code_of_other_arguments_is_compiled_anew(
    tmp_path: Path, load: Callable[[], ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes that keep code of one function at a time may give both codes one name."""
    module: Any = load()
    assert (module.double(21), module.double(1.5)) == (42, 3.0)
    one, other = sorted((tmp_path / "__pycache__").glob("doubling.double*.nbc"))
    other.write_bytes(one.read_bytes())
    module = load()
    assert (module.double(21), module.double(1.5)) == (42, 3.0)
    assert sum(module.double.stats.cache_misses.values()) == 1
    assert capsys.readouterr().err.count("\n") == 1
    module = load()
    assert (module.double(1.5), sum(module.double.stats.cache_misses.values())) == (3.0, 0)


def test_a_full_disk_costs_the_cache_only(
    load: Callable[[], ModuleType], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert outcome(module) == (42, 1)
        assert module.double(1.5) == 3.0
    err = capsys.readouterr().err
    assert "cannot keep machine code there (No space left on device); it will be compiled again" in err
    assert err.count("\n") == 1
    assert outcome(load()) == (42, 1)
