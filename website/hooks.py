"""What MkDocs calls: pages that are made, navigation that follows from the files, links that leave ``docs/``."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("emulator", "hardware", ".")]

from website import built, chips, commands, headings, notebooks, outside, reference  # noqa: E402 - found through the path above

log = get_plugin_logger("website")
COMMANDS = "reference/command-line.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Entries of the navigation that end in ``/`` become what there is."""
    entries, docs = config.nav or [], Path(config.docs_dir)
    named = {*_paths(entries)}
    made: dict[str, list[Any]] = {
        "more/": [page.name for page in sorted(docs.glob("*.md")) if page.name not in named],
        "tutorials/": _tutorials(docs),
        "chips/": chips.navigation(),
        "reference/": ["reference/index.md", *reference.navigation()],
        "about/": [outside.page_of(path) for path in outside.WHERE_THERE if (ROOT / path).is_file()],
    }
    config.nav = _filled(entries, made)
    return config


def _paths(entries: list[Any]) -> Iterator[str]:
    """Every page that the navigation names."""
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(value, list):
            yield from _paths(value)
        else:
            yield value


def _tutorials(docs: Path) -> list[str]:
    """The page that lists the tutorials, and each of them, in the order of their numbers."""
    folder = docs / "tutorials"
    pages = [*folder.glob("index.md"), *(file.with_suffix(".md") for file in sorted(folder.glob("*.ipynb")))]
    return [f"tutorials/{page.name}" for page in pages]


def _filled(entries: list[Any], made: dict[str, list[Any]]) -> list[Any]:
    filled: list[Any] = []
    for entry in entries:
        name, value = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        if isinstance(value, list):
            filled.append({name: _filled(value, made)})
        elif value.endswith("/"):
            pages = made[value]
            filled += [{name: pages}] if name and pages else pages
        else:
            filled.append(entry)
    return filled


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is made: the references and what lies outside ``docs/``."""
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    made: dict[str, str | bytes] = {**reference.pages(), **chips.pages(), COMMANDS: commands.page()}
    for file in [each for each in files if each.src_uri.endswith(".ipynb")]:
        text, pictures = notebooks.page(Path(str(file.abs_src_path)))
        beside = {f"{posixpath.dirname(file.src_uri)}/{path}": content for path, content in pictures.items()}
        made |= {file.src_uri.replace(".ipynb", ".md"): text, **beside}
    texts |= {outside.path_of(path): text for path, text in made.items() if isinstance(text, str)}
    for path, content in [*made.items(), *outside.pages(texts).items()]:
        files.append(File.generated(config, path, content=content, inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """One title on each page, and links to files of the repository lead to their pages."""
    return outside.relinked(headings.one_title(markdown), outside.path_of(page.file.src_uri))


def on_post_build(config: MkDocsConfig) -> None:
    """Looks at what was built; in a strict build a problem is an error."""
    for problem in built.problems(Path(config.site_dir)):
        log.warning(problem)
