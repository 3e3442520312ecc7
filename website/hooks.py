"""What MkDocs calls: pages that are made, navigation that follows from the files, links that leave ``docs/``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("emulator", "hardware", ".")]

from website import commands, outside, reference  # noqa: E402 - found through the path above

COMMANDS = "reference/command-line.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Entries of the navigation that end in ``/`` become what there is."""
    made: dict[str, list[Any]] = {
        "reference/": ["reference/index.md", *reference.navigation()],
    }
    config.nav = _filled(config.nav or [], made)
    return config


def _filled(entries: list[Any], made: dict[str, list[Any]]) -> list[Any]:
    filled: list[Any] = []
    for entry in entries:
        name, value = next(iter(entry.items())) if isinstance(entry, dict) else ("", entry)
        if isinstance(value, list):
            filled.append({name: _filled(value, made)})
        elif value.endswith("/"):
            filled += [{name: made[value]}] if name else made[value]
        else:
            filled.append(entry)
    return filled


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is made: the references and what lies outside ``docs/``."""
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    made = reference.pages() | {COMMANDS: commands.page()} | outside.pages(texts)
    for path, text in made.items():
        file = File.generated(config, path, content=text, inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to files of the repository lead to their pages."""
    return outside.relinked(markdown, outside.path_of(page.file.src_uri))
