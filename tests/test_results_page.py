"""The table at the head of the page on results, and what the README has of it, are those of the tables below it."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

import pytest

from tests.pages import page

TEXT = page("results.md")
HEAD = [line.strip("| ").split(" | ") for line in TEXT.partition("\n## ")[0].splitlines() if line.startswith("| `")]
SPREAD = r"([-+]?\d+\.\d+) ± (\d+\.\d+)"


def section(problem: str) -> str:
    return TEXT.partition(f"\n## {problem} in joules")[2].partition("\n## ")[0]


def short(mean: str, half: str) -> str:
    """Both with a decimal place below ten, and as whole numbers from there on."""
    places = 1 if float(mean) < 10 else 0
    return f"{float(mean):.{places}f} ± {float(half):.{places}f}"


def ranges(problem: str) -> list[str]:
    """What the dial moves within two points, and with the other levers too."""
    line = re.search(
        rf"Total energy on cortex-m4 within 2 points .*?: {SPREAD} .*the dial's dearest over the cheapest: {SPREAD}",
        section(problem),
    )
    assert line is not None
    mean, half, more, half_more = line.groups()
    return [short(mean, half), short(more, half_more)]


def ends(problem: str) -> list[str]:
    """Accuracy and microjoules at knob 0 and 1."""
    table = section(problem).partition("\n### The dial on cortex-m4")[2].partition("\n### ")[0]
    rows = {row[0]: row for row in (line.strip("| ").split(" | ") for line in table.splitlines())}
    whole = {knob: Decimal(rows[knob][5]).quantize(Decimal(1), ROUND_HALF_UP) for knob in ("0", "1")}
    return [f"{rows[knob][3].split()[0]} %, {joules} µJ" for knob, joules in whole.items()]


def behind(problem: str) -> list[str]:
    """Points against the envelope: mean, half of its interval, least and most of a budget."""
    line = re.search(
        rf"dial - envelope {SPREAD} points; at single budgets from ([-+.\d]+) to ([-+.\d]+)\.\n", section(problem)
    )
    assert line is not None
    return [*line.groups()]


@pytest.mark.parametrize("row", HEAD, ids=lambda row: row[0].split("`")[1])
def test_a_row_of_the_head_is_that_of_its_tables(row: list[str]) -> None:
    problem = row[0].split("`")[1]
    dial, more = ranges(problem)
    mean, half, least, most = behind(problem)
    assert row[1].startswith(f"**{dial} times**")
    assert row[2].startswith(f"{more} times")
    assert row[3:5] == ends(problem)
    assert re.sub("at single budgets ", "", row[5]) == f"**{mean} ± {half}** ({least} to {most})"


def test_every_problem_has_a_row() -> None:
    assert [row[0].split("`")[1] for row in HEAD] == re.findall(r"^## ([\w-]+) in joules", TEXT, re.MULTILINE)


def test_the_readme_says_the_same() -> None:
    told = " ".join(page("../README.md").split())
    (har, har_more), (digits, digits_more) = ranges("har-levels"), ranges("digits")
    assert f"{har} times within two points on UCI HAR ({har_more.split()[0]} with inferences" in told
    assert f"{digits} on digits, {digits_more.split()[0]} with early ends" in told
    (mean, _, least, _), (ahead, *_) = behind("har-levels"), behind("digits")
    assert f"{mean.strip('-')} points behind over its whole range on UCI HAR ({least.strip('-')} at most)" in told
    assert f"{ahead.strip('+-')} {'behind' if ahead.startswith('-') else 'ahead'} on digits" in told
    accurate = [
        re.search(r"Accurate end on cortex-m4: .*?, -([\d.]+) ", section(name)) for name in ("har-levels", "digits")
    ]
    assert f"Its accurate end is {' and '.join(found[1] for found in accurate if found)} points behind" in told
