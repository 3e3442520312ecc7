"""Make small mistakes in the numeric core, one at a time, and see whether the tests notice.

python -m tests.mutants [MODULE ...] [--sample N] [--seed S] [--list]: all mutants of a module, or a random sample that
is the same for the same seed, in a copy of the repository. What survives is shown, with the line as it was and as it
is: a test is missing, unless the two mean the same. ``MODULE`` is a path of :data:`TESTS`, or the beginning of one.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

from aspen.calibration.statistics import wilson
from tests.mutant_operators import CHOSEN, OWN, is_code

ROOT = Path(__file__).parents[1]
COPIED = ("aspen", "hardware", "emulator", "tests", "benchmarks", "examples", "pyproject.toml", "setup.cfg")
SOURCES = ("", "hardware", "emulator")
PRELOADED = ["hypothesis", "numba", "pytest", "safetensors.numpy", "scipy.sparse", "torch"]
"""Imported once; each run of the tests is forked from there and imports only the mutated code itself."""
CORE = ("arithmetic", "intrinsics", "kernels", "neurons", "recording", "sums", "windows")
KERNELS = (*(f"emulator/aspen_emulator/engines/fast/core/{name}.py" for name in CORE), "aspen/fused/kernels.py")
"""Compiled code: each of their mutants gets an empty cache of machine code."""
OUTPUT = "output.txt"
PATIENCE = 3.0
"""A run is given up after this many times what the tests of the module take, and a minute for compiling."""

FAST = [
    "test_record",
    "test_fast_parts",
    "test_fast",
    "test_fast_limits",
    "test_fast_stepper",
    "test_fast_windows",
    "test_engines",
    "test_connections",
    "test_readout",
    "test_profiles",
]
COMPILED = [
    "test_rounding",
    "test_hardware",
    "test_grouping",
    "test_graded",
    "test_profiles",
    "test_calibration",
    "test_energy_published",
]
ENERGY = ["test_energy", "test_energy_published", "test_recount", "test_energy_baseline"]
CONTROL = [
    "test_control_bounds",
    "test_choosing",
    "test_control",
    "test_control_units",
    "test_controllers",
    "test_streaming",
]
TABLES = ["test_calibration_table", "test_choosing", "test_sweeps", "test_cli_calibrate"]
TESTS: dict[str, list[str]] = {
    "emulator/aspen_emulator/engines/lif.py": ["test_lif", "test_engines", *FAST],
    "emulator/aspen_emulator/engines/reference.py": ["test_lif", "test_engines", *FAST, "test_calibration"],
    "emulator/aspen_emulator/engines/fast/": FAST,
    "hardware/aspen_hardware/compiling/formats.py": COMPILED,
    "hardware/aspen_hardware/compiling/compile.py": COMPILED,
    "hardware/aspen_hardware/compiling/populations.py": COMPILED,
    "hardware/aspen_hardware/compiling/grouping.py": ["test_grouping", "test_calibration"],
    "hardware/aspen_hardware/energy/hops.py": ENERGY,
    "hardware/aspen_hardware/energy/model.py": ENERGY,
    "hardware/aspen_hardware/energy/costs.py": ENERGY,
    "hardware/aspen_hardware/energy/baseline.py": ["test_energy_baseline", "test_break_even"],
    "hardware/aspen_hardware/energy/break_even.py": ["test_break_even"],
    "hardware/aspen_hardware/energy/cycles.py": ["test_energy_cycles"],
    "hardware/aspen_hardware/energy/prices.py": ["test_prices"],
    "aspen/network/record.py": [
        "test_record",
        "test_recount",
        "test_engines",
        "test_energy",
        "test_readout",
        "test_answers",
    ],
    "aspen/dial/profile.py": ["test_profiles", "test_dialing"],
    "aspen/dial/scale.py": ["test_engines", "test_profiles", "test_torch_knob"],
    "aspen/calibration/storage.py": TABLES,
    "aspen/calibration/table.py": TABLES,
    "aspen/calibration/points.py": TABLES,
    "aspen/calibration/statistics.py": TABLES,
    "aspen/calibration/choosing.py": ["test_choosing", *TABLES],
    "aspen/calibration/early.py": ["test_confidence", "test_sweeps"],
    "aspen/control/": CONTROL,
    "aspen/fused/": ["test_fuse", "test_fuse_models", "test_fuse_thresholds"],
}
"""Module or folder -> names of files of tests that speak of it, the quickest first."""


@dataclass(frozen=True)
class Mutant:
    """One small mistake: the occurrence of an operator in a file, and the line at which it is."""

    path: str
    operator: str
    occurrence: int
    line: int

    def code(self, source: str) -> str:
        """The mutated source."""
        changed = mutate_code(source, operators()[self.operator], self.occurrence)
        assert changed is not None
        return str(changed)

    def shown(self, source: str) -> str:
        """Where it is, and the lines that differ."""
        before, after = source.splitlines(), self.code(source).splitlines()
        start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
        end = next((i for i, (a, b) in enumerate(zip(before[::-1], after[::-1], strict=False)) if a != b), 0)
        old, new = (lines[start : max(len(lines) - end, start + 1)] for lines in (before, after))
        lines = [f"  - {line.strip()}" for line in old] + [f"  + {line.strip()}" for line in new]
        return "\n".join([f"{self.path}:{start + 1} {self.operator}", *lines])


def operators() -> dict[str, Operator]:
    """Name -> operator: those chosen from cosmic-ray, and our own."""
    chosen = {name.partition("/")[2]: name for name in operator_names()}
    return {short: get_operator(chosen[short])() for short in CHOSEN} | {cls.__name__: cls() for cls in OWN}


def modules(prefixes: Sequence[str]) -> Iterator[str]:
    """The modules that mutants are made of, as paths from the root."""
    for place in TESTS:
        found = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).glob("*.py"))
        for path in (file.relative_to(ROOT).as_posix() for file in found):
            if not prefixes or any(path.startswith(prefix) for prefix in prefixes):
                yield path


def files_of(path: str) -> list[str]:
    """Files of tests of a module."""
    names = next(tests for place, tests in TESTS.items() if path.startswith(place))
    found = {file.stem: file.relative_to(ROOT).as_posix() for file in (ROOT / "tests").rglob("test_*.py")}
    return [found[name] for name in dict.fromkeys(names)]


def mutants(path: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    nodes = list(ast_nodes(get_ast((ROOT / path).read_text())))
    found = []
    for name, operator in operators().items():
        positions = [(node, place) for node in nodes for place in operator.mutation_positions(node)]
        found += [Mutant(path, name, i, place[0][0]) for i, (node, place) in enumerate(positions) if is_code(node)]
    return sorted(found, key=lambda mutant: (mutant.line, mutant.operator, mutant.occurrence))


def sample(path: str, most: int | None, seed: int) -> list[Mutant]:
    """At most so many mutants of a module, drawn at random."""
    found = mutants(path)
    if most is None or most >= len(found):
        return found
    return [found[i] for i in sorted(random.Random(f"{seed} {path}").sample(range(len(found)), most))]


class Bench:
    """A copy of the repository in which the tests run, each time in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: ForkServerContext = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(PRELOADED)
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, folder / name)

    def run(self, tests: list[str], most: float | None = None, fresh: bool = False) -> str:
        """``passed``, ``failed`` or ``timed out``; ``fresh``: compile what is compiled anew."""
        with tempfile.TemporaryDirectory() as cache:
            arguments = (self.folder, tests, Path(cache) if fresh else None)
            process = self.processes.Process(target=run_tests, args=arguments)
            process.start()
            process.join(most)
            if process.exitcode is None:
                assert process.pid is not None
                os.killpg(process.pid, signal.SIGKILL)
                process.join()
                return "timed out"
            return "failed" if process.exitcode else "passed"

    def verdict(self, mutant: Mutant, most: float) -> str:
        """``killed``, ``killed (time)`` or ``survived``."""
        file = self.folder / mutant.path
        source = file.read_text()
        try:
            self._write(file, mutant.code(source))
            came = self.run(files_of(mutant.path), most, fresh=mutant.path in KERNELS)
        finally:
            self._write(file, source)
        return {"passed": "survived", "failed": "killed", "timed out": "killed (time)"}[came]

    @staticmethod
    def _write(file: Path, source: str) -> None:
        """With the byte code gone, which knows its source by size and second only."""
        file.write_text(source)
        Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def run_tests(folder: Path, tests: list[str], cache: Path | None) -> None:
    """In a process of its own: run the tests in a copy of the repository up to the first failure, and end."""
    os.setsid()
    with open(folder / OUTPUT, "w") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    os.chdir(folder)
    roots = [str(folder / source) for source in SOURCES]
    os.environ |= {"PYTHONPATH": os.pathsep.join(roots), "CI": "1"}
    if cache is not None:
        import numba

        os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = str(cache)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "aspen")]:
        del sys.modules[name]
    sys.path[:0] = roots
    from hypothesis import Phase, settings

    settings.register_profile("mutants", derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "--assert=plain", "--tb=line"]
    os._exit(int(pytest.main([*options, *tests])))


def try_module(bench: Bench, path: str, chosen: list[Mutant]) -> Counter[str]:
    """Try the mutants of one module; print those that survive."""
    start = time.monotonic()
    if bench.run(files_of(path)) != "passed":
        raise SystemExit(f"{path}: its tests fail without a mutant:\n{(bench.folder / OUTPUT).read_text()[-2000:]}")
    most = 60 + PATIENCE * (time.monotonic() - start)
    found, source = Counter[str](), (bench.folder / path).read_text()
    for mutant in chosen:
        verdict = bench.verdict(mutant, most)
        found[verdict] += 1
        if verdict == "survived":
            print(mutant.shown(source), flush=True)
    seconds = time.monotonic() - start
    print(f"{path}: {dict(found)} of {len(mutants(path))} mutants, {seconds:.0f} s", flush=True)
    return found


def main() -> None:
    """Try what was asked for, and print how many mutants were killed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("modules", nargs="*", help="paths, or the beginnings of paths; default: the whole core")
    parser.add_argument("--sample", type=int, help="mutants of each module; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    options = parser.parse_args()
    chosen = {path: sample(path, options.sample, options.seed) for path in modules(options.modules)}
    if options.list:
        for path, some in chosen.items():
            print("\n".join(mutant.shown((ROOT / path).read_text()) for mutant in some))
        return
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for path, some in chosen.items():
            found += try_module(bench, path, some)
    n = found.total()
    low, high = wilson(n - found["survived"], n)
    print(f"{n - found['survived']} of {n} killed: {1 - found['survived'] / n:.1%} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
