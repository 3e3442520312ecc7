"""The tutorials, run as Jupyter runs them, and what they put out.

    python -m tests.notebooks            what of it differs from what is stored
    python -m tests.notebooks --write    stores it
    python -m tests.notebooks --write 01 05

All run in one process, one after the other: each begins without names and without pictures, in an empty folder.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from tests import ROOT

FOLDER = ROOT / "docs" / "tutorials"
SECONDS = 300
"""A cell may take."""
BEFORE_ALL = """
%matplotlib inline
%config InlineBackend.print_figure_kwargs = {"dpi": 80, "bbox_inches": "tight"}
import aspen._base.compiling
aspen._base.compiling.tell = lambda line: None  # whether machine code was on disk before is no part of a tutorial
"""
BEFORE_EACH = """
%reset -f
import matplotlib.pyplot, random, numpy, tempfile, os
matplotlib.pyplot.close("all"), matplotlib.rcdefaults(), random.seed(0), numpy.random.seed(0)
get_ipython().run_line_magic("matplotlib", "inline")
os.chdir(tempfile.mkdtemp(dir=os.environ["TUTORIALS"]))
%reset -f
"""
NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
PLACE = re.compile(r"\b(?:step|sample|neuron) $")
"""Before a number that says where, not how much: another place is not near or far."""
RELATIVE, POINTS = 0.25, 4.0
"""How far a number may be from the stored one, of itself, and one in percent: another processor rounds a training
differently, and from there on it goes another way."""


def tutorials(*beginnings: str) -> list[Path]:
    """The notebooks in their order; those whose names begin so, where any are given."""
    return sorted(path for path in FOLDER.glob("*.ipynb") if path.name.startswith(beginnings or ""))


def read(path: Path) -> NotebookNode:
    """A stored notebook."""
    return nbformat.read(path, as_version=4)


@contextmanager
def kernel() -> Iterator[NotebookClient]:
    """A process that runs notebooks, for :func:`executed`."""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            new_notebook(),
            timeout=SECONDS,
            startup_timeout=SECONDS,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/socket"}}),  # no port
        )
        with client.setup_kernel(cwd=folder, env={**_environment(), "TUTORIALS": folder}):
            tell(client, BEFORE_ALL)
            yield client


def _environment() -> dict[str, str]:
    """This process's, with its own path to modules; in one thread, so that sums are added up in one order."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}


def tell(client: NotebookClient, code: str) -> list[NotebookNode]:
    """Outputs of code that runs after what ran before.

    Raises:
        CellExecutionError: it failed.
    """
    client.nb = new_notebook(cells=[new_code_cell(code)])
    return list(client.execute_cell(client.nb.cells[0], 0).outputs)


def executed(client: NotebookClient, stored: NotebookNode) -> NotebookNode:
    """A notebook with what it puts out now; its names are left in the kernel.

    Raises:
        CellExecutionError: a cell failed.
    """
    tell(client, BEFORE_EACH)
    client.nb = nbformat.from_dict(stored)
    client.reset_execution_trackers()
    codes = [(at, cell) for at, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    for count, (at, cell) in enumerate(codes, 1):
        client.execute_cell(cell, at)
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    client.nb.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return client.nb


def texts(cell: NotebookNode) -> list[str]:
    """What a cell puts out, one line of kind and text for each output; of pictures the kind."""
    return [_text(output) for output in cell.get("outputs", ())]


def _text(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return f"{output.name}: {output.text}"
    data: dict[str, Any] = output.data
    return f"{', '.join(sorted(data))}: {data.get('text/html', '' if 'image/png' in data else data['text/plain'])}"


def stale(stored: NotebookNode, now: NotebookNode) -> list[str]:
    """What two runs of a notebook put out differently: other words, or numbers too far apart."""
    found = []
    for at, (before, after) in enumerate(zip(stored.cells, now.cells, strict=True)):
        old, new = texts(before), texts(after)
        if len(old) != len(new) or not all(map(alike, old, new)):
            found.append(f"cell {at}: stored {old}, now {new}")
    return found


def alike(old: str, new: str) -> bool:
    """Whether two texts have the same words, and numbers that are near each other."""
    if _words(old) != _words(new):
        return False
    pairs = zip(NUMBER.finditer(old), NUMBER.finditer(new), strict=True)
    return all(
        PLACE.search(old[: a.start()]) or _near(a[0], b[0], old[a.end() : a.end() + 2].strip().startswith("%"))
        for a, b in pairs
    )


def _words(text: str) -> list[str]:
    return NUMBER.sub("#", re.sub(r"-{2,}", "-", text)).split()


def _near(old: str, new: str, percent: bool) -> bool:
    a, b = (float(text.replace(",", "")) for text in (old, new))
    return abs(a - b) <= POINTS if percent else math.isclose(a, b, rel_tol=RELATIVE)


def write(path: Path, notebook: NotebookNode) -> None:
    """Store it as Jupyter would."""
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("beginnings", nargs="*", help="of their names, as 01; default: all")
    parser.add_argument("--write", action="store_true", help="store what they put out")
    options = parser.parse_args()
    differs = False
    with kernel() as client:
        for path in tutorials(*options.beginnings):
            stored = read(path)
            now = executed(client, read(path))
            lines = stale(stored, now)
            differs |= bool(lines)
            print(path.name, *(lines or ["as stored"]), sep="\n  ", flush=True)
            if options.write:
                write(path, now)
    sys.exit(differs and not options.write)


if __name__ == "__main__":
    main()
