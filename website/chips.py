"""A page for each chip: every figure of its file, with unit, source and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from aspen_hardware.chips.description import Chip, Figure, chip, chip_names
from aspen_hardware.chips.figures import TRUST
from aspen_hardware.chips.gating import GATING
from aspen_hardware.chips.schema import ACTIVE, POWER_RULES

INTRODUCTION = """# The chips' figures

Every figure that ASPEN reckons with, as it stands in the chips' files; `aspen chips NAME` prints the same. How they
become joules, and how near that comes, is on the page [Energy](../energy.md);
[a file of your own](../../hardware/README.md#chip-files) has the same form.

A mark says how far a figure can be trusted:
"""


def pages() -> dict[str, str]:
    """Path below ``docs/`` -> Markdown: the list of chips, and each of them."""
    known = [chip(name) for name in chip_names()]
    marks = _table(["mark", "the figure was"], [[f"**{mark}**", text] for mark, text in TRUST.items()])
    listed = _table(["chip", ""], [[f"[{each.name}]({each.name}.md)", each.title] for each in known])
    index = "\n\n".join([INTRODUCTION.rstrip(), marks, listed]) + "\n"
    return {"chips/index.md": index} | {f"chips/{each.name}.md": page(each) for each in known}


def navigation() -> list[str | dict[str, str]]:
    """Entries for ``nav`` of mkdocs.yml."""
    return ["chips/index.md", *({name: f"chips/{name}.md"} for name in chip_names())]


def page(known: Chip) -> str:
    """All that a chip's file says."""
    return "\n\n".join([f"# {known.name}", known.title, *_parts(known)]) + "\n"


def _parts(known: Chip) -> Iterator[str]:
    if known.energy_only:
        yield f"Counts can be priced on it, but no network is compiled to it: {known.energy_only}."
    yield from _powered(known)
    for section, items in groupby(known.figures.items(), key=lambda item: item[0].rpartition(".")[0]):
        yield from _section(known, section, list(items))
    resets = known.resets
    yield f"## Reset modes\n\n{', '.join(resets['value'])} ({resets['trust']}: {resets['source']})"
    yield from _listed("In another figure", known.contained)
    yield from _listed("No figure", known.missing)
    if known.not_covered:
        yield "## Not covered\n\n" + "\n".join(f"- {text}" for text in known.not_covered)
    yield from _listed("Sources", known.sources)


def _powered(known: Chip) -> Iterator[str]:
    if known.powered:
        said = known.powered
        yield f"**Power: {said['rule']}.** {_sentence(POWER_RULES[said['rule']])} {_because(said)}"
    if known.gating:
        said = known.gating
        yield f"**Gating: {known.gates}.** {_sentence(GATING[known.gates])} {_because(said)}"


def _because(said: Mapping[str, str]) -> str:
    note = f" {_sentence(said['note'])}" if "note" in said else ""
    return f"({said['trust']}: {said['source']}).{note}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if not text.endswith(".") else f"{text[:1].upper()}{text[1:]}"


def _section(known: Chip, section: str, items: list[tuple[str, Figure]]) -> Iterator[str]:
    """A table of figures, below the scenario that they belong to."""
    name, _, part = section.removeprefix("scenarios.").rpartition(".")
    if name in known.scenarios:
        scenario = known.scenarios[name]
        usual = " (typical)" if name == known.usual else ""
        yield f"## Scenario {name}{usual}: {part}"
        yield f"{_sentence(scenario.title)} Active is {ACTIVE[scenario.active]}."
    else:
        yield f"## {_sentence(section or 'chip').rstrip('.')}"
    rows = [row for key, figure in items for row in _rows(key.rpartition(".")[2], figure)]
    yield _table(["", "value", "low", "high", "unit", "", "source"], rows)


def _rows(name: str, figure: Figure) -> Iterator[list[str]]:
    low, high = (f"{bound:,.8g}" if bound != figure.value else "" for bound in (figure.low, figure.high))
    others = [
        f"{bound}: {getattr(figure, f'{bound}_trust')}, {getattr(figure, f'{bound}_source')}"
        for bound, shown in (("low", low), ("high", high))
        if shown
    ]
    source = "<br>".join(_cell(text) for text in (figure.source, *others, figure.note) if text)
    yield [name.replace("_", " "), f"{figure.value:,.8g}", low, high, figure.unit, f"**{figure.trust}**", source]


def _listed(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    if entries:
        yield f"## {title}"
        yield _table(["", ""], [[f"`{key}`", _cell(text)] for key, text in entries.items()])


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
