"""The documentation site: it is built without a warning, nothing public is missing, nothing comes from elsewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from aspen.errors import TrainingWarning
from aspen_emulator.cli.main import COMMANDS, aspen
from aspen_hardware import chip_names
from tests import ROOT
from tests.emulator.exploring.browser import browser, opened
from tests.pages import blocks, page
from tests.test_examples import PUBLIC
from website import outside, reference
from website.built import problems
from website.commands import MarkdownFormatter
from website.headings import one_title

LACKING = [name for name in ("mkdocs", "material", "mkdocstrings") if find_spec(name) is None]
needs_mkdocs = pytest.mark.skipif(bool(LACKING), reason=f"the extra docs is not installed: no {', '.join(LACKING)}")
pytestmark = pytest.mark.xdist_group("site")
PACKAGES = {"aspen": ROOT, "aspen_hardware": ROOT / "hardware", "aspen_emulator": ROOT / "emulator"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a page, link, anchor, picture or docstring that is wrong fails here, and is named."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    calm = os.environ | {"NO_MKDOCS_2_WARNING": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=calm, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("WARNING|ERROR", done.stdout + done.stderr), done.stdout + done.stderr
    return folder


def anchors(pages: list[Path]) -> set[str]:
    return {found for page in pages for found in re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))}


def offered(package: str) -> set[str]:
    """What a package says that it offers."""
    tree = ast.parse((PACKAGES[package] / package / "__init__.pyi").read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {f"{package}.{alias.name}" for node in imports for alias in node.names if alias.name != "__version__"}


def test_no_page_stands_twice_in_the_navigation() -> None:
    """MkDocs takes the second place for the page's own, and shows it in the list of pages twice."""
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"([\w/.-]+\.md)$", nav, re.MULTILINE)
    assert len(named) > 20
    assert sorted(set(named)) == sorted(named)


@needs_mkdocs
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    there, names = anchors([*(site / "reference").glob("*.html")]), reference.public_names()
    assert sorted({*PUBLIC} - {name.home for name in names}) == []  # what users import, by where it is defined
    assert sorted({name.offered for name in names} - there) == []
    assert [name for package in PACKAGES for name in sorted(offered(package) - there)] == []


@needs_mkdocs
def test_no_docstring_is_shown_as_it_is_written(site: Path) -> None:
    """Roles became links, and prompts blocks of code."""
    left = [
        (page.name, found)
        for page in (site / "reference").glob("aspen*.html")
        for found in re.findall(r":(?:class|func|meth|data|attr|mod):|<blockquote>", page.read_text("utf-8"))
    ]
    assert left == []


@needs_mkdocs
def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    text = (site / "reference" / "command-line.html").read_text("utf-8")
    group = click.Context(aspen, info_name="aspen")
    commands = {name: aspen.get_command(group, name) for name in COMMANDS}
    options = {
        (name, option)
        for name, command in commands.items()
        for parameter in command.params  # type: ignore[union-attr]
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in parameter.opts
    }
    sections = dict(re.findall(r'<h2 id="aspen-([\w-]+)">(.*?)(?=<h2|</article>)', text, re.DOTALL))
    assert {*sections} >= {*COMMANDS}
    assert [(name, option) for name, option in options if option not in sections[name]] == []


WIDE = ("energy", "chips/loihi1")
"""Pages with wide tables."""


@needs_mkdocs
def test_in_a_browser_the_search_finds_and_no_page_is_wider_than_a_phone(site: Path) -> None:
    """Opened from the disk, where nothing else may be asked for."""
    first, *others = (site / f"{name}.html" for name in WIDE)
    with browser() as started, opened(started, first, (390, 844), "dark") as shown:
        assert shown.tab.evaluate("document.documentElement.scrollWidth") <= 390, first
        for other in others:
            shown.tab.goto(other.as_uri(), wait_until="domcontentloaded")
            assert shown.tab.evaluate("document.documentElement.scrollWidth") <= 390, other
        shown.tab.goto((site / "lava.html").as_uri() + "?q=envelope", wait_until="domcontentloaded")
        shown.tab.locator(".md-search-result__item", has_text="Glossary").first.wait_for(state="attached")
        assert shown.tab.locator("body").get_attribute("data-md-color-scheme") == "slate"
        assert [url for url in shown.asked if not url.startswith(("file:", "blob:", "data:"))] == []
        assert shown.complaints == []


@needs_mkdocs
def test_every_chip_has_a_page(site: Path) -> None:
    assert {page.stem for page in (site / "chips").glob("*.html")} == {"index", *chip_names()}


def test_the_first_page_runs_and_its_figures_are_those_of_the_microcontroller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = blocks("index.md", "python")
    quick = program.replace("fit(model, data)", "fit(model, data, epochs=1, progress=False)")
    with pytest.warns(TrainingWarning):  # of two epochs
        exec(quick.replace("digits()", "digits(steps=5)"), {"__name__": "page"})
    energies = [float(line.split()[-2]) for line in capsys.readouterr().out.splitlines()]
    assert len(energies) == 3
    assert energies[0] > energies[1] > energies[2] > 0
    shown = re.findall(
        r"^\| ([\d.]+) \| ([\d.]+) % \| ([\d.]+) µJ \| ([\d.]+) years \|$", page("index.md"), re.MULTILINE
    )
    rows = [[cell.strip() for cell in line.split("|")] for line in page("microcontroller.md").splitlines()]
    measured = {(row[2], row[3], row[8], row[11]) for row in rows if row[1:2] == ["har-levels"] and len(row) == 13}
    assert len(shown) == 4
    assert {*shown} <= measured


def test_how_far_to_trust_each_chip_is_said_at_the_top_of_the_energy_page() -> None:
    section = page("energy.md").partition("\n## Chip by chip\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in section.splitlines() if "| `" in line]
    assert sorted(row[0].strip("`| ") for row in rows) == sorted(chip_names())
    ratios = [found for row in rows for found in re.findall(r"\d\.\d\d \([\d.]+ to [\d.]+\)", row[3])]
    silicon = page("energy.md").partition("\n## How far from silicon\n")[2]
    assert len(ratios) == 6
    assert [ratio for ratio in ratios if f"| {ratio} |" not in silicon] == []
    fitted = [found for row in rows if "cortex" in row[0] for found in re.findall(r"[\d.]+ %", row[3])]
    assert len(fitted) == 4
    assert [share for share in fitted if share not in page("microcontroller.md")] == []


GOOD = '<html><body><h1 id="top">A</h1><a href="b.html#part">b</a><img src="a.png" alt="a"></body></html>'
OTHER = '<html><body><h2 id="part">B</h2><a href="https://example.org">out</a></body></html>'


def written(folder: Path, page: str) -> Path:
    (folder / "a.html").write_text(page)
    (folder / "b.html").write_text(OTHER)
    (folder / "a.png").write_bytes(b"")
    return folder


def test_pages_that_hold_together_have_no_problems(tmp_path: Path) -> None:
    assert problems(written(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("b.html#part", "c.html", "a.html leads to c.html, which is not there"),
        ("b.html#part", "b.html#other", "a.html leads to b.html#other, which is not there"),
        ("b.html#part", "#other", "a.html leads to #other, which is not there"),
        ("a.png", "images/a.png", "a.html leads to images/a.png, which is not there"),
        (">A<", ">A\n| b | c |\n<", "a.html shows Markdown as it was written: | b | c |"),
        (">A<", ">A [b](c)<", "a.html shows Markdown as it was written: ]("),
        ('alt="a"', "", "a.html shows a.png without a word for those who do not see it"),
        ("a.png", "https://example.org/a.png", "a.html loads https://example.org/a.png, which is not on the site"),
    ],
)
def test_what_leads_nowhere_is_a_problem(tmp_path: Path, right: str, wrong: str, problem: str) -> None:
    assert problems(written(tmp_path, GOOD.replace(right, wrong))) == [problem]


@pytest.mark.parametrize(
    ("path", "link", "relinked"),
    [
        ("docs/lava.md", "energy.md#chips", "energy.md#chips"),
        ("docs/lava.md", "../hardware/README.md#limits", "outside/hardware.md#limits"),
        ("docs/lava.md", "../examples", "outside/examples.md"),
        ("docs/lava.md", "../examples/drain.py", "outside/examples/drain.py.md"),
        ("docs/lava.md", "tutorials/08-lava.ipynb", "tutorials/08-lava.md"),
        ("README.md", "docs/energy.md", "../energy.md"),
        ("hardware/README.md", "../docs/energy.md#chips", "../energy.md#chips"),
        ("docs/lava.md", "../README.md#installing-by-hand", "outside/readme.md#installing-by-hand"),
        ("docs/lava.md", "https://example.org", "https://example.org"),
    ],
)
def test_links_of_the_repository_become_those_of_the_site(path: str, link: str, relinked: str) -> None:
    assert outside.relinked(f"See [it]({link}).", path) == f"See [it]({relinked})."
    fenced = f"```\n[it]({link})\n```\n"
    assert outside.relinked(fenced, path) == fenced


class Exemplary(click.Command):
    """A command that writes an example by itself."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            formatter.write("  aspen tune --x 1\n")


def test_the_help_of_a_command_becomes_markdown() -> None:
    option = click.Option(["--x"], metavar="A|B", help="Which <one>.")
    command = Exemplary("tune", params=[option], help="Tune it.\n\n\b\nLike:\n  this", add_help_option=False)
    formatter = MarkdownFormatter()
    command.format_help(click.Context(command, info_name="tune"), formatter)
    assert [line for line in formatter.getvalue().splitlines() if line] == [
        "```text", "tune [OPTIONS]", "```", "Tune it.", "Like:", "```text", "  this", "```", "**Options**", "| | |",
        "|---|---|", r"| `--x A\|B` | Which &lt;one>. |", "**Examples**", "      aspen tune --x 1",
    ]  # fmt: skip


def test_a_page_has_one_title() -> None:
    text = "# A\n## B\n```sh\n# no heading\n```\n# C\n## D\n"
    assert one_title(text) == "# A\n## B\n```sh\n# no heading\n```\n## C\n### D\n"


@pytest.mark.parametrize("path", ["README.md", "CHANGELOG.md", "hardware/README.md", "LICENSE", "examples/drain.py"])
def test_a_page_knows_where_its_text_lies(path: str) -> None:
    assert outside.path_of(outside.page_of(path)) in (path, f"{path}.md")


def notebook(folder: Path, outputs: list[dict[str, object]], number: int = 4) -> Path:
    """A notebook of a title and a cell that has these outputs."""
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text."]},
        {"cell_type": "code", "source": "1 + 1", "outputs": outputs},
    ]
    file = folder / "01-title.ipynb"
    file.write_text(json.dumps({"nbformat": number, "cells": cells}))
    return file


@needs_mkdocs
def test_a_notebook_is_a_page_with_its_outputs(tmp_path: Path) -> None:
    from website.notebooks import page as page_of

    printed = {"output_type": "stream", "text": ["two\n", "lines\n"]}
    drawn = {"output_type": "display_data", "data": {"image/png": "UE5H", "text/plain": "<Figure>"}}
    text, pictures = page_of(notebook(tmp_path, [printed, drawn]))
    assert text.startswith("# Title\n\n*A notebook: [download it](01-title.ipynb)")
    assert "````python\n1 + 1\n````\n\n```` {.text .output}\ntwo\nlines\n````" in text
    assert "![What the cell above draws](01-title/1.png)" in text
    assert pictures == {"01-title/1.png": b"PNG"}


@needs_mkdocs
@pytest.mark.parametrize(
    ("outputs", "number", "message"),
    [([{"output_type": "error", "ename": "ValueError"}], 4, "a stored ValueError"), ([], 3, "notebook format 3")],
)
def test_a_notebook_with_an_error_is_refused(
    tmp_path: Path, outputs: list[dict[str, object]], number: int, message: str
) -> None:
    from mkdocs.exceptions import PluginError

    from website.notebooks import page as page_of

    with pytest.raises(PluginError, match=message):
        page_of(notebook(tmp_path, outputs, number))


LITTLE = '''"""A package: :func:`help_me`, :meth:`~Tool.use`, :func:`the one <little.help_me>` and :data:`NOTHING`."""


def help_me() -> None:
    """As :class:`Tool` does."""


class Tool:
    """A tool."""

    def use(self) -> None:
        """See :func:`help_me`."""
'''


@needs_mkdocs
def test_roles_become_links_and_what_is_not_in_the_code_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import griffe

    from website import docstrings

    (tmp_path / "little").mkdir()
    (tmp_path / "little" / "__init__.py").write_text(LITTLE)
    monkeypatch.setattr(docstrings, "PACKAGES", ("little",))
    loader = griffe.GriffeLoader(search_paths=[tmp_path], extensions=griffe.load_extensions(docstrings.Roles))
    package = loader.load("little")
    link = '<autoref optional identifier="little.{}"><code>{}</code></autoref>'.format
    one, two, three = link("help_me", "help_me"), link("Tool.use", "use"), link("help_me", "the one")
    assert package.docstring.value.startswith(f"A package: {one}, {two}, {three} and ")
    assert package["Tool.use"].docstring.value == f"See {one}."
    assert [record.message for record in caplog.records] == [
        "little: its docstring refers to NOTHING, which is not in the code"
    ]


@needs_mkdocs
def test_docstrings_become_markdown() -> None:
    from website.docstrings import fenced, one_by_one

    assert one_by_one("Args:\n    low, high: the\n        range.\n    k: knob") == (
        "Args:\n    low: the\n        range.\n    high: the\n        range.\n    k: knob"
    )
    assert fenced("Twice.\n>>> 2 * 2\n4\n\nDone.") == "Twice.\n\n```pycon\n>>> 2 * 2\n4\n```\n\nDone."
