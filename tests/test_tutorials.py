"""The tutorials run, put out what is stored, and what they say of it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="the package nbclient is not installed: pip install '.[dev]'")
pytest.importorskip("ipykernel", reason="the package ipykernel is not installed: pip install '.[dev]'")
pytest.importorskip("snntorch")
pytest.importorskip("matplotlib")

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output

from aspen_emulator.engines.c.compiler import compiler_available
from tests import notebooks

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning:zmq")
LARGEST = 300_000
CLAIMS = {
    "01": (
        "plain_points[-1].accuracy < 0.65 and plain_points[2].accuracy > 0.9",  # falls apart
        "all(point.accuracy > 0.85 for point in moved_points)",  # hardly notices
        "all(cheap.hidden_spikes < 0.3 * dear.hidden_spikes for cheap, dear in zip(priced_points, moved_points))",
    ),
    "02": (
        "set(counts := np.unique(data.test.labels, return_counts=True)[1].tolist()) == {20}",  # the same mix
        "data.encoder.kind == 'delta' and spikes.shape[2] == 4",
        "[str(data.class_names[answer]) for answer in answers] == y[:5].tolist()",
        "found.total_synaptic_operations.mean() < 0.5 * record.total_synaptic_operations.mean()",  # levels cost a third
        "(found.predictions == levels.test.labels).mean() < (record.predictions == data.test.labels).mean()",
    ),
    "03": (
        "report.exact",
        "(loihi := report.energy['loihi1'].per_inference) and loihi.dynamic.typical < 0.005 * loihi.total.typical",
        "costs[0] * 4.5 < costs[-1] < costs[0] * 5.5",  # goes with the steps
        "report.energy['generic-45nm'].per_inference.total is None",
    ),
    "04": (
        "all(d.different == 0 for d in report.between('snntorch', 'float'))",  # exact
        "all(0.75 < d.agreement < 1 for d in report.between('float', 'integers'))",  # most are, some are not
        "report.accuracy['integers'] > report.accuracy['float'] - 0.02",
        "1 - found.differences[0].agreement < 0.5 * (1 - report.between('float', 'integers')[0].agreement)",
    ),
    "05": (
        "points[0].accuracy > 0.92 and points[5].accuracy > 0.88",
        "points[0].total_nj > 1.4 * points[5].total_nj",
        "len({round(point.static_nj) for point in points}) == 1",  # sleep, which no knob moves
    ),
    "06": (
        "left['knob at 0'][-1] < 0 < left['controller'][-1] < 0.05 * CHARGE < 0.1 * CHARGE < left['knob at 1'][-1]",
        "np.mean([w.knob for w in days['controller'][240:]]) > np.mean([w.knob for w in days['controller'][20:240]])",
        "0.9 * 13e-6 < spent <= 13e-6",
    ),
    "07": (
        "same",
        "fired[10] < 0.5 * fired[0] and fired[0] == fired[-1]",
        "cycles[-1] < 0.6 * cycles[0]",
        "sorted(path.suffix for path in Path('watch').iterdir()) == ['.c', '.c', '.h', '.md']",
    ),
    "08": (
        "all(np.array_equal(expected[name], aligned[name]) for name in aligned)",
        "(answers == labels).sum() >= 10",
        "aligned['lif1'][60:].sum() < 0.6 * aligned['lif1'][:60].sum()",  # half
    ),
}
"""Number of a tutorial -> what its text says, as expressions over its names at its end."""
MARKS = {
    "07": [pytest.mark.skipif(not compiler_available(), reason="no C compiler found")],
    "08": [
        pytest.mark.lava,
        pytest.mark.timeout(240),
        pytest.mark.skipif(find_spec("lava") is None, reason="the package lava is not installed"),
    ],
}
TUTORIALS = [pytest.param(path, id=path.stem, marks=MARKS.get(path.stem[:2], ())) for path in notebooks.tutorials()]
FIGURE = re.compile(r"(\d[\d,.]*)\s?(%|[nµm]J|[µm]W|times)")


@pytest.fixture(scope="module")
def client() -> Iterator[NotebookClient]:
    with notebooks.kernel() as made:
        yield made


@pytest.mark.parametrize("path", TUTORIALS)
def test_a_tutorial_puts_out_what_is_stored_and_what_it_says_holds(path: Path, client: NotebookClient) -> None:
    stored = notebooks.read(path)
    now = notebooks.executed(client, notebooks.read(path))
    assert notebooks.stale(stored, now) == []
    for claim in CLAIMS[path.stem[:2]]:
        notebooks.tell(client, f"assert {claim}")


@pytest.mark.parametrize("path", notebooks.tutorials(), ids=lambda path: path.stem)
def test_a_stored_tutorial_is_small_whole_and_of_no_machine(path: Path) -> None:
    text, notebook = path.read_text("utf-8"), notebooks.read(path)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in codes for output in cell.outputs]
    assert len(text) < LARGEST
    assert 10 <= len(notebook.cells) <= 24
    assert [cell.execution_count for cell in codes] == [*range(1, len(codes) + 1)]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}, "a warning or an error is stored"
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)


@pytest.mark.parametrize("path", notebooks.tutorials(), ids=lambda path: path.stem)
def test_a_tutorial_begins_with_its_number_and_ends_with_what_to_try_next(path: Path) -> None:
    notebook = notebooks.read(path)
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert prose[0].startswith(f"# {int(path.stem[:2])}. ")
    assert "## What to try next" in prose[-1]
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", "\n".join(prose)):
        assert link.startswith("https://") or (path.parent / link).is_file(), link


@pytest.mark.parametrize("path", notebooks.tutorials(), ids=lambda path: path.stem)
def test_figures_in_the_text_of_a_tutorial_are_in_its_code_or_outputs(path: Path) -> None:
    cells = notebooks.read(path).cells
    codes = [[cell.source, *notebooks.texts(cell)] for cell in cells if cell.cell_type == "code"]
    shown = re.sub(r"\s", "", "".join(map("".join, codes)).replace("uJ", "µJ"))
    told = {match[0] for cell in cells if cell.cell_type == "markdown" for match in FIGURE.finditer(cell.source)}
    assert {figure for figure in told if re.sub(r"\s", "", figure) not in shown} == set()


def test_every_tutorial_is_in_the_index() -> None:
    index = (notebooks.FOLDER / "index.md").read_text("utf-8")
    assert re.findall(r"\((\d\d-[\w-]+\.ipynb)\)", index) == [path.name for path in notebooks.tutorials()]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stdout: 93.1% correct", "stdout: 90.0% correct"),
        ("stdout: total  17.9 uJ", "stdout: total 19.2 uJ"),
        ("stdout: 1,204 spikes", "stdout: 998 spikes"),
        ("stdout: 81.9%  step 0, sample 57, neuron 2", "stdout: 83.4%  step 1, sample 0, neuron 8"),
    ],
)
def test_what_another_processor_rounds_differently_is_alike(old: str, new: str) -> None:
    assert notebooks.alike(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("stdout: 93.1% correct", "stdout: 84.0% correct"),
        ("stdout: total  17.9 uJ", "stdout: total 17.9 nJ"),
        ("stdout: total 17.9 uJ", "stdout: sum 17.9 uJ"),
        ("stdout: total 17.9 uJ", "stdout: total 29.0 uJ"),
        ("stdout: 57 samples, neurons 2", "stdout: 0 samples, neurons 2"),
        ("image/png, text/plain: ", "text/plain: 3"),
    ],
)
def test_other_words_and_numbers_far_off_are_not_alike(old: str, new: str) -> None:
    assert not notebooks.alike(old, new)


def test_a_notebook_that_puts_out_something_else_is_stale(client: NotebookClient) -> None:
    stored = new_notebook(cells=[new_code_cell("a = 2"), new_code_cell("print(a)\na + 1")])
    now = notebooks.executed(client, stored)
    assert [notebooks.texts(cell) for cell in now.cells] == [[], ["stdout: 2\n", "text/plain: 3"]]
    before = new_notebook(cells=[new_code_cell("a = 2"), new_code_cell("print(a)\na + 1")])
    before.cells[1].outputs = [new_output("stream", name="stdout", text="2\n")]
    assert len(notebooks.stale(before, now)) == 1
    before.cells[1].outputs.append(new_output("execute_result", {"text/plain": "3"}, execution_count=2))
    assert notebooks.stale(before, now) == []


def test_a_notebook_begins_without_the_names_of_the_one_before(client: NotebookClient) -> None:
    notebooks.executed(client, new_notebook(cells=[new_code_cell("left_behind = 1")]))
    with pytest.raises(CellExecutionError, match="left_behind"):
        notebooks.executed(client, new_notebook(cells=[new_code_cell("left_behind")]))
