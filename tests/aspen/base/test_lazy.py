"""Packages whose names are loaded on first use: what is offered, what type checkers see, and what is not imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

LAZY = ("aspen", "aspen_hardware", "aspen_emulator")


def seen_by_type_checkers(package: str) -> dict[str, str]:
    """Name -> module, as the imports under TYPE_CHECKING say."""
    tree = ast.parse(Path(str(import_module(package).__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("package", LAZY)
def test_what_is_offered_is_there_and_what_type_checkers_see(package: str) -> None:
    module = import_module(package)
    assert seen_by_type_checkers(package) == module._HOMES
    assert {*module._HOMES} <= {*module.__all__} == {*dir(module)}
    for name, home in module._HOMES.items():
        assert getattr(module, name) is getattr(import_module(home), name)
        assert find_spec(f"{package}.{name}") is None  # a module of this name would take its place
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'nonsense'; it offers "):
        module.nonsense  # noqa: B018 - it is the look-up that is tried


@pytest.mark.parametrize("package", LAZY)
def test_importing_a_package_imports_none_of_what_it_offers(package: str) -> None:
    code = f"import sys, {package}; assert not {{'numpy', 'numba', 'scipy', 'torch'}} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
