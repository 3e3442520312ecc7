"""The house: imports go down, what promises no torch needs none, no module outgrows a reader, and guides are true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests import ROOT

FLOORS = {"aspen": ROOT, "aspen_hardware": ROOT / "hardware", "aspen_emulator": ROOT / "emulator"}
"""Package -> the folder that it lies in, from the lowest floor up."""
ROOMS = [
    "aspen._version", "aspen.errors", "aspen._base", "aspen.units", "aspen.storage", "aspen._figures",
    "aspen.network", "aspen.dial", "aspen.calibration", "aspen.control", "aspen.data", "aspen.exchange",
    "aspen.models", "aspen.thresholds", "aspen.fused", "aspen.exporting", "aspen.training",
    "aspen",
    "aspen_hardware.chips", "aspen_hardware.placing", "aspen_hardware.compiling", "aspen_hardware.c",
    "aspen_hardware.energy",
    "aspen_hardware",
    "aspen_emulator.engines.lif", "aspen_emulator.engines.inputs", "aspen_emulator.engines.replay",
    "aspen_emulator.engines.fast", "aspen_emulator.engines.c", "aspen_emulator.engines.cortex_m",
    "aspen_emulator.engines.lava", "aspen_emulator.engines",
    "aspen_emulator.lava",
    "aspen_emulator.measuring", "aspen_emulator.streaming", "aspen_emulator.exploring", "aspen_emulator.study",
    "aspen_emulator.demo", "aspen_emulator.cli",
    "aspen_emulator",
]  # fmt: skip
"""From the ground up: a module imports from its own room and from those before it. A package comes after its rooms, as
its ``__init__`` shows what they hold."""
NEED_TORCH = {
    "aspen.models", "aspen.thresholds", "aspen.fused", "aspen.exporting", "aspen.training",
    "aspen_hardware.compiling.aware", "aspen_hardware.compiling.models",
}  # fmt: skip
"""Rooms and single modules; all others can be imported where there is no torch."""
LAVA = "aspen_emulator.engines.lava"
NEED_LAVA = {f"{LAVA}.{name}" for name in ("graph", "processes", "runtime", "stock", "stock_network", "worker")}
NEED_LAVA |= {f"{LAVA}.program.{name}" for name in ("kinds", "network")}
"""Imported in Lava's worker process, and by ``to_lava``."""
WRITTEN = ("aspen", "hardware", "emulator", "examples", "benchmarks", "tests", "website")
LONGEST = 400


def module_name(file: Path, root: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file, root): file for name, root in FLOORS.items() for file in (root / name).rglob("*.py")}


def room(module: str) -> str:
    """The innermost room of :data:`ROOMS` that a module is in; a package is its own ``__init__`` only."""
    if module in FLOORS:
        return module
    inside = [name for name in ROOMS if name not in FLOORS and f"{module}.".startswith(f"{name}.")]
    assert inside, f"{module} is in no room: say in ROOMS on which of them its room stands"
    return max(inside, key=len)


def imported(tree: ast.Module, unseen: Callable[[ast.AST], bool]) -> Iterator[str]:
    """Our modules that a module imports, but for what is imported inside of what is ``unseen``."""
    left: deque[ast.AST] = deque(tree.body)
    while left:
        node = left.popleft()
        left += [] if unseen(node) else ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import, which is not seen here"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def later(node: ast.AST) -> bool:
    return for_types_only(node) or isinstance(node, ast.FunctionDef)


@cache
def trees() -> dict[str, ast.Module]:
    return {module: ast.parse(file.read_text("utf-8")) for module, file in MODULES.items()}


@cache
def imports(unseen: Callable[[ast.AST], bool]) -> dict[str, set[str]]:
    return {module: set(imported(tree, unseen)) & set(MODULES) for module, tree in trees().items()}


@pytest.mark.parametrize("name", ROOMS)
def test_imports_go_down(name: str) -> None:
    inside = {module: others for module, others in imports(for_types_only).items() if room(module) == name}
    above = ROOMS[ROOMS.index(name) + 1 :]
    assert [(module, other) for module in inside for other in inside[module] if room(other) in above] == []


def test_one_module_alone_calls_the_floors_above_by_name() -> None:
    above = {"aspen": ("aspen_hardware", "aspen_emulator"), "aspen_hardware": ("aspen_emulator",)}
    found = {
        module
        for module, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args
        if ast.unparse(node.args[0]).strip("f'\"").startswith(above.get(module.split(".")[0], ()) or "no module")
    }
    assert found == {"aspen._base.above"}


def test_every_room_is_there() -> None:
    assert {room(module) for module in MODULES} == set(ROOMS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """But for imports inside of functions, by which a class hands on to modules of its room that are made for it."""
    TopologicalSorter(imports(later)).prepare()


IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    if {"torch", "lava"} & set(sys.modules):
        sys.exit(f"{name} imports torch or Lava")
"""


def test_only_rooms_that_say_so_need_torch_and_none_imports_lava() -> None:
    free = [m for m in MODULES if not any(f"{m}.".startswith(f"{name}.") for name in NEED_TORCH) and m not in NEED_LAVA]
    done = subprocess.run([sys.executable, "-c", IMPORT, *free], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


def test_no_file_outgrows_a_reader() -> None:
    written = [file for folder in WRITTEN for file in (ROOT / folder).rglob("*.py")]
    long = {
        file.relative_to(ROOT).as_posix() for file in written if len(file.read_text("utf-8").splitlines()) > LONGEST
    }
    assert long == set()


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = (ROOT / page).read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


WHERE = {row[0]: (ROOT / row[1].strip("`"), row[2]) for row in rows("docs/architecture.md", "Where is what")[1:]}


def test_every_feature_has_a_room() -> None:
    assert {row[0] for row in rows("docs/features.md", "Features")} - {""} <= {*WHERE}
    assert [feature for feature, (room, _) in WHERE.items() if not room.is_dir()] == []


def named(name: str, room: Path) -> list[Path]:
    """What a module or folder may be that is called in short within its room, and in full elsewhere."""
    return [place / f"{name}{ending}" for place in (room, ROOT) for ending in ("", ".py")]


@pytest.mark.parametrize("feature", WHERE)
def test_what_is_in_a_room_is_there(feature: str) -> None:
    room, inside = WHERE[feature]
    missing = [name for name in re.findall(r"`([\w/]+)`", inside) if not any(map(Path.exists, named(name, room)))]
    assert missing == []


GUIDES = [guide for name, root in FLOORS.items() for guide in (root / name).rglob("README.md")]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.parent.name)
def test_a_guide_names_every_module_of_its_room_and_no_others(guide: Path) -> None:
    named = set(re.findall(r"[\w/.]+\.py\b", guide.read_text("utf-8")))
    places = guide.parent, ROOT
    assert [name for name in named if not any((place / name).is_file() for place in places)] == []
    assert {file.name for file in guide.parent.glob("[!_]*.py")} <= named
