"""What of a chip a knob can switch off: each file says it, or why nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from aspen_hardware import chip, chip_names
from aspen_hardware.chips.text import describe
from tests import ROOT
from tests.hardware.chips.small_chip import SMALL, small

GATING = SMALL[SMALL.index("[gating]") : SMALL.index("[step_time]")]
CORE = ROOT / "hardware" / "aspen_hardware" / "chips" / "cortex-m4.toml"


@pytest.mark.parametrize("name", chip_names())
def test_every_chip_says_it_or_why_not(name: str) -> None:
    found = chip(name)
    assert (found.gates == "neuron") == name.startswith("cortex-m")
    assert ("gating" in found.missing) != bool(found.gating)
    assert f"gating: {found.gates}: " in describe(found) or f"  gating: {found.missing['gating']}" in describe(found)
    assert found.to_dict()["gating"] == dict(found.gating)


def test_what_nobody_knows_is_taken_to_be_on(tmp_path: Path) -> None:
    path = small(tmp_path, GATING)
    path.write_text(path.read_text() + "[missing]\ngating = 'asked, no answer'\n")
    found = chip(path)
    assert (found.gates, found.missing["gating"]) == ("none", "asked, no answer")
    assert chip(small(tmp_path, 'unit = "none"', 'unit = "core"')).gates == "core"


@pytest.mark.parametrize(
    ("more", "unit", "why"),
    [
        ("", "neuron", None),
        ('[gating]\nunit = "none"\nsource = "program"\ntrust = "D"\n', "none", None),
        ("", "none", "another program"),
    ],
)
def test_a_part_has_that_of_the_core_that_it_is_like_unless_it_says_otherwise(
    more: str, unit: str, why: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    text = CORE.read_text(encoding="utf-8").replace('name = "cortex-m4"', 'name = "mine"', 1)
    if why is not None:
        text = text.replace("[missing]\n", f'[missing]\ngating = "{why}"\n', 1)
    path.write_text(text.replace("[sources]\n", f"{more}[sources]\n", 1), encoding="utf-8")
    found = chip(path)
    assert (found.gates, found.missing.get("gating")) == (unit, why)
