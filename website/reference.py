"""The pages of the API reference: every public name, on the page of the room that it comes from.

Public is what the ``__init__.pyi`` of a package names, what the ``__init__.py`` of a room shows, and what the modules
in :data:`MODULES` define.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = {"aspen": ROOT, "aspen_hardware": ROOT / "hardware", "aspen_emulator": ROOT / "emulator"}
ROOMS = {
    "aspen.training": "Training",
    "aspen.thresholds": "Thresholds: perturbation, knob, learned dial",
    "aspen.fused": "All time steps at once",
    "aspen.models": "Models",
    "aspen.data": "Data and encoders",
    "aspen.exporting": "Export",
    "aspen.network": "Networks and records",
    "aspen.dial": "Dials",
    "aspen.calibration": "Calibration",
    "aspen.control": "Controllers",
    "aspen.exchange": "NIR and netx",
    "aspen.storage": "Files",
    "aspen.units": "Units",
    "aspen.errors": "Errors and warnings",
    "aspen_hardware.chips": "Chips",
    "aspen_hardware.compiling": "Compiling to integers",
    "aspen_hardware.placing": "Cores and design rules",
    "aspen_hardware.energy": "Energy",
    "aspen_hardware.c": "C for microcontrollers",
    "aspen_emulator.engines": "Running",
    "aspen_emulator.measuring": "Measuring",
    "aspen_emulator.streaming": "Streams",
    "aspen_emulator.lava": "Lava",
}
"""Room -> the title of its page, in the order of the navigation."""
MODULES = {
    "aspen.training": ["aspen.training.recipes", "aspen.training.fitted"],
    "aspen.exchange": ["aspen.exchange.nir", "aspen.exchange.netx", "aspen.exchange.netx_writer"],
    "aspen.storage": ["aspen.storage.file"],
    "aspen.units": ["aspen.units"],
    "aspen.errors": ["aspen.errors"],
    "aspen_emulator.lava": ["aspen_emulator.lava"],
}
"""Room -> modules whose own public names are shown with it, beside those that a package or a room offers."""
INTRODUCTION = """# API reference

Every public name, by the room that it lives in. Most are imported from the three packages themselves: `import aspen`,
`import aspen_hardware`, `import aspen_emulator`; the others from where their name says. What is not here is not public.
"""


@dataclass(frozen=True)
class Name:
    """One public name: where it is offered, where it is defined, and the first sentence of its docstring."""

    offered: str
    home: str
    summary: str = ""

    @property
    def room(self) -> str:
        """The room whose page shows it."""
        module = self.offered.rpartition(".")[0]
        asked = [room for room, modules in MODULES.items() if module in modules]
        return asked[0] if asked else max((room for room in ROOMS if f"{self.home}.".startswith(f"{room}.")), key=len)


def public_names() -> list[Name]:
    """Every public name once, where it is offered the highest."""
    offered = [*_of_packages(), *_of_rooms(), *_of_modules()]
    first: dict[str, Name] = {}
    for name in offered:
        first.setdefault(name.home, name)
    return [name for name in first.values() if name.offered != "aspen.__version__"]


def _of_packages() -> Iterator[Name]:
    for package, source in SOURCES.items():
        for module, name in _shown(source / package / "__init__.pyi", package):
            yield _defined(f"{package}.{name}", module, name)


def _of_rooms() -> Iterator[Name]:
    for room in ROOMS:
        file = _file(room)
        if file.name == "__init__.py":
            for module, name in _shown(file, room):
                yield _defined(f"{room}.{name}", module, name)


def _of_modules() -> Iterator[Name]:
    for modules in MODULES.values():
        for module in modules:
            for name in _own(module):
                yield _defined(f"{module}.{name}", module, name)


def _file(module: str) -> Path:
    """The file of one of our modules."""
    path = SOURCES[module.partition(".")[0]].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


def _shown(file: Path, package: str) -> Iterator[tuple[str, str]]:
    """Module and name of all that a package shows: ``from module import name as name``."""
    for node in _tree(file).body:
        if isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level else str(node.module)
            yield from ((module, alias.name) for alias in node.names if alias.asname == alias.name)


def _own(module: str) -> Iterator[str]:
    """Public functions, classes and documented values that a module defines, and what its ``__all__`` adds."""
    body = _tree(_file(module)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        name = _assigned(node)
        if name == "__all__" and isinstance(node, ast.Assign):
            yield from ast.literal_eval(node.value)
        elif name and not name.startswith("_") and _text(after):
            yield name


def _assigned(node: ast.AST | None) -> str:
    """The name that a statement gives a value, if it gives one to one name."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else ""


def _text(node: ast.AST | None) -> str:
    """The string that a statement is, if it is one."""
    string = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.value.value if string else ""  # type: ignore[union-attr]


def _defined(offered: str, module: str, name: str) -> Name:
    """A name with its home, which is found through the modules that hand it on."""
    body = _tree(_file(module)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return Name(offered, f"{module}.{name}", _first_sentence(ast.get_docstring(node) or ""))
        if _assigned(node) == name:
            return Name(offered, f"{module}.{name}", _first_sentence(_text(after)))
    for node in body:
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names):
            return _defined(offered, str(node.module), name)
    raise LookupError(f"{offered}: {module} neither defines nor imports {name}")


def _first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph)[0]


def pages() -> dict[str, str]:
    """Path below ``docs/`` -> Markdown of every page of the reference."""
    names = public_names()
    found = {room: [name for name in names if name.room == room] for room in ROOMS}
    return {"reference/index.md": _index(found)} | {_path(room): _page(room, found[room]) for room in ROOMS}


def _path(room: str) -> str:
    return f"reference/{room}.md"


def navigation() -> list[dict[str, list[dict[str, str]] | str]]:
    """The pages under their packages, as ``nav`` of mkdocs.yml would have them."""
    return [
        {package: [{ROOMS[room]: _path(room)} for room in ROOMS if room.partition(".")[0] == package]}
        for package in SOURCES
    ]


def _index(found: dict[str, list[Name]]) -> str:
    lines = [INTRODUCTION]
    for room, names in found.items():
        lines += [f"\n## {ROOMS[room]}\n", "| | |", "|---|---|"]
        lines += [f"| [`{name.offered}`][{name.offered}] | {_plain(name.summary)} |" for name in names]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """A docstring's sentence as a cell of a table."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`").replace("|", r"\|")


def _page(room: str, names: list[Name]) -> str:
    about = _plain(ast.get_docstring(_tree(_file(room))) or "")
    return "\n\n".join([f"# {ROOMS[room]}", about, *(f"::: {name.offered}" for name in names)]) + "\n"
