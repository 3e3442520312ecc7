"""Nothing but :mod:`aspen.storage` writes files, so that what holds of its files holds of all."""

from __future__ import annotations

import ast

import pytest

from tests import ROOT

FOLDERS = ("aspen", "hardware", "emulator", "benchmarks", "examples")
OWNER = ROOT / "aspen" / "storage"
SOURCES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py") if OWNER not in path.parents)
SCRATCH = {"benchmarks/peak_memory.py", "emulator/aspen_emulator/engines/c/compiler.py"}
"""Write only what they read themselves, in a temporary folder or a cache."""
WRITERS = {"write_text", "write_bytes", "tofile", "savetxt", "savez", "savez_compressed"}
MOVERS = {"replace", "rename", "move", "copy", "copyfile", "link", "symlink"}
SAVERS = {"np", "numpy", "torch", "figure"}
"""Whose ``save`` and ``savefig`` write into a file or, as everywhere here, into memory."""


def strays(source: str) -> list[int]:
    """Lines of a module that write to a path."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _writes(node)]


def _writes(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if isinstance(call.func, ast.Name):
        return call.func.id == "open" and any(_is_mode(value) for value in given)
    if not isinstance(call.func, ast.Attribute):
        return False
    name, owner = call.func.attr, getattr(call.func.value, "id", "")
    if name in ("save", "savefig") and owner in SAVERS:
        return not any(isinstance(value, ast.Name) and value.id in ("buffer", "stream") for value in given)
    return (
        (name in WRITERS and owner != "formatter")  # click's, of help texts
        or (name in MOVERS and owner in ("os", "shutil"))
        or (name == "open" and any(_is_mode(value) for value in given))
    )


def _is_mode(value: ast.expr) -> bool:
    """Whether it is a mode of :func:`open` in which a file is written."""
    text = value.value if isinstance(value, ast.Constant) else None
    return isinstance(text, str) and len(text) < 4 and bool(set(text) & set("wax+"))


@pytest.mark.parametrize(
    "line",
    ['open(path, "w")', 'path.open("ab")', 'path.open(mode="w")', "path.write_text(x)", "np.save(path, x)",
     "torch.save(x, path)", "figure.savefig(path)", "os.replace(a, b)"],
)  # fmt: skip
def test_what_writes_is_found(line: str) -> None:
    assert strays(line) == [1]


def test_what_reads_or_stays_in_memory_is_not_found() -> None:
    lines = ['open(path, "rb")', "path.open()", "np.save(buffer, x)", "torch.save(x, buffer)", "network.save(path)"]
    assert strays("\n".join([*lines, "replace(x, y=1)", "text.replace(a, b)", "formatter.write_text(x)"])) == []


def test_only_the_storage_writes() -> None:
    found = {str(path.relative_to(ROOT)): strays(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: lines for name, lines in found.items() if lines and name not in SCRATCH} == {}
