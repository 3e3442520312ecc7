"""Packages whose names are loaded on first use: what is offered, what type checkers see, and what is not imported."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import aspen

LAZY = ("aspen", "aspen_hardware", "aspen_emulator")


def table(package: str) -> dict[str, str]:
    """Name -> module, as the stub of the package says: read as type checkers do."""
    tree = ast.parse(Path(str(import_module(package).__file__)).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert len(tree.body) == 1 + len(imports)  # its text, and the table
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # else they see nothing offered
    return {alias.name: f"{package}.{node.module}" for node in imports for alias in node.names}


@pytest.mark.parametrize("package", LAZY)
def test_what_is_offered_follows_from_one_table(package: str) -> None:
    module, homes = import_module(package), table(package)
    assert sorted(homes) == sorted(module.__all__) == dir(module)
    for name, home in homes.items():
        assert getattr(module, name) is getattr(import_module(home), name)
        assert find_spec(f"{package}.{name}") is None  # a module of this name would take its place
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'nonsense'; it offers "):
        module.nonsense  # noqa: B018 - it is the look-up that is tried


def test_names_come_by_a_star_and_through_pickle() -> None:
    space: dict[str, object] = {}
    exec("from aspen import *", space)
    assert {*table("aspen")} <= {*space}
    assert pickle.loads(pickle.dumps(aspen.export)) is space["export"]


@pytest.mark.parametrize("package", LAZY)
def test_importing_a_package_imports_none_of_what_it_offers(package: str) -> None:
    code = f"import sys, {package}; assert not {{'numpy', 'numba', 'scipy', 'torch'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
