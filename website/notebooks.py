"""The tutorials: notebooks as pages, with the outputs that are stored in them; nothing is run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

_FENCE = "````"
_PICTURES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}
_TEXTS = ("text/markdown", "text/html", "text/plain")


def page(file: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures: path beside the page -> contents.

    Raises:
        PluginError: it is no notebook of format 4, or an error is stored in it.
    """
    notebook = json.loads(file.read_text("utf-8"))
    if notebook.get("nbformat") != 4:
        raise PluginError(f"{file.name}: found notebook format {notebook.get('nbformat')}, allowed is 4; store it anew")
    pictures: dict[str, bytes] = {}
    parts = [part for cell in notebook["cells"] for part in _cell(cell, file, pictures)]
    title, _, rest = "\n\n".join(parts).partition("\n")
    return f"{title}\n\n*A notebook: [download it]({file.name}) and run it.*\n{rest}\n", pictures


def _cell(cell: dict[str, Any], file: Path, pictures: dict[str, bytes]) -> Iterator[str]:
    source = _joined(cell["source"])
    if cell["cell_type"] != "code":
        yield source
        return
    if source.strip():
        yield f"{_FENCE}python\n{source.rstrip()}\n{_FENCE}"
    for output in cell["outputs"]:
        yield from _output(output, file, pictures)


def _output(output: dict[str, Any], file: Path, pictures: dict[str, bytes]) -> Iterator[str]:
    if output["output_type"] == "error":
        raise PluginError(f"{file.name}: found a stored {output['ename']}, allowed are outputs; run the notebook anew")
    if output["output_type"] == "stream":
        yield _printed(_joined(output["text"]))
        return
    data = {kind: _joined(value) for kind, value in output["data"].items()}
    for kind, ending in _PICTURES.items():
        if kind in data:
            path = f"{file.stem}/{len(pictures) + 1}.{ending}"
            pictures[path] = data[kind].encode() if ending == "svg" else base64.b64decode(data[kind])
            yield f"![What the cell above draws]({path})"
            return
    kind = next(kind for kind in _TEXTS if kind in data)
    yield _printed(data[kind]) if kind == "text/plain" else data[kind]


def _printed(text: str) -> str:
    return f"{_FENCE} {{.text .output}}\n{text.rstrip()}\n{_FENCE}"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)
