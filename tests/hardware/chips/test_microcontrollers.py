"""Chip files of microcontrollers: a part is a scenario, and the program takes the same cycles on all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aspen.errors import ChipError
from aspen_hardware import chip
from aspen_hardware.chips.parts import parts_of, runs_programs
from tests import ROOT

NAMES = ("cortex-m0plus", "cortex-m4", "cortex-m33")
TEXT = (ROOT / "hardware" / "aspen_hardware" / "chips" / "cortex-m4.toml").read_text(encoding="utf-8")
SLEEP = TEXT[TEXT.index("[scenarios.apollo3.part.sleep]") : TEXT.index("[scenarios.apollo3.part.section]")]
SECTION = TEXT[TEXT.index("[scenarios.apollo3.part.section]") : TEXT.index("[scenarios.apollo3.part.kept]")]
KEPT = TEXT[TEXT.index("[scenarios.apollo3.part.kept]") : TEXT.index("[scenarios.apollo3.part.clock]")]
MISTAKES = [
    ('like = "cortex-m"', 'like = "cortex-x"', "like: found 'cortex-x', allowed is the name of a chip"),
    ('like = "cortex-m"', "like = 4", "like: found 4, allowed is a text"),
    ("[sources]", "[limits]\n[sources]", "limits: found a table beside like = 'cortex-m', allowed is one of both"),
    ('rule = "sleep"', 'rule = "whole"', "power.chip: found nothing, allowed is a figure, as the rule is whole"),
    ("[program.spread]", "[program.spred]", "program.spred: found an unknown key"),
    ("energies.clock_cycle", "energies.spike", "scenarios.nrf52840.energies.spike: found an unknown key"),
    ("part.sleep", "part.slep", "scenarios.nrf52840.part.slep: found an unknown key"),
    (SLEEP, "", "scenarios.apollo3.part.sleep: found nothing"),
    (SECTION, "", "scenarios.apollo3.part.section: found nothing, allowed is a figure, as RAM is kept by section"),
    (KEPT, "", "scenarios.apollo3.part.kept: found nothing, allowed is a figure, as RAM is kept by section"),
    ("value = 4096", "value = 0", "scenarios.nrf52840.part.section: found 0, allowed is bytes above 0"),
    ('wake_up = "not in the sources used"\n', "", "scenarios.apollo3.part.wake_up: found nothing, allowed is a figure"),
    ("[scenarios.apollo3.missing]", "[scenarios.apollo3.contained]", "scenarios.apollo3.part.wake_up: found nothing"),
    ('unit = "MHz"', 'unit = "kHz"', "scenarios.nrf52840.part.clock.unit: found 'kHz'"),
]


@pytest.mark.parametrize("name", NAMES)
def test_each_has_the_number_formats_of_the_program(name: str) -> None:
    found, base = chip(name), chip("cortex-m")
    assert (found.like, found.limits, found.formats) == ("cortex-m", base.limits, base.formats)
    assert not base.like
    assert runs_programs(found)
    assert not runs_programs(base)


@pytest.mark.parametrize("name", NAMES)
def test_each_part_is_a_scenario_with_an_energy_of_its_own(name: str) -> None:
    found = chip(name)
    parts = parts_of(found)
    assert list(parts) == list(found.scenarios)
    assert len(parts) >= 2
    for part in parts.values():
        assert 10e-12 < part.cycle.low <= part.cycle.high < 500e-12
        assert 1e-6 < part.sleep.typical <= part.asleep().typical < 20e-6
        assert part.asleep().typical / (part.cycle.typical * part.clock) < 0.005  # as the file says of its power
        assert part.ram is not None
        assert part.flash is not None
        assert part.ram < part.flash
    assert parts[found.usual].wake_up is not None
    assert found.only(found.usual).unpriced("clock_cycle") == {}


def test_published_currents_are_those_of_the_files() -> None:
    """Milliamperes or microamperes for each MHz, times volts, as the sources have them."""
    m4, m33, m0plus = (parts_of(chip(name)) for name in ("cortex-m4", "cortex-m33", "cortex-m0plus"))
    assert m4["apollo3"].cycle.typical == pytest.approx(41.3e-12)  # 41.3 uW/MHz
    assert m4["nrf52840"].cycle.typical == pytest.approx((8.1e-3 - 4.8e-3) * 3 / 64e6, rel=3e-3)
    assert m33["nrf54l15"].cycle.typical == pytest.approx(2.6e-3 * 3 / 128e6, rel=1e-3)
    assert m33["nrf54l15"].cycle.high == pytest.approx(2.8e-3 * 3 / 128e6, rel=1e-3)
    assert m0plus["cc2340r2"].cycle.typical == pytest.approx(53e-12 * 3, rel=1e-3)
    assert m0plus["cc2340r2"].cycle.high == pytest.approx(4.1e-3 * 3 / 48e6, rel=2e-3)
    assert m0plus["cc2340r2"].sleep.typical == pytest.approx(0.74e-6 * 3, rel=1e-2)


def test_asleep_a_part_pays_for_the_sections_of_ram_that_it_keeps() -> None:
    m4, m33 = (parts_of(chip(name)) for name in ("cortex-m4", "cortex-m33"))
    assert m4["nrf52840"].asleep().typical == pytest.approx(3.16e-6 * 3, rel=2e-3)  # all of it, by its specification
    assert m4["nrf52840"].asleep(0).typical == pytest.approx(1.5e-6 * 3)
    assert m4["nrf52840"].asleep(4097).typical == pytest.approx(1.5e-6 * 3 + 2 * 1.66e-6 * 3 / 64, rel=1e-3)
    assert m4["apollo3"].asleep(32768).typical == pytest.approx(2.4e-6 * 3.3, rel=6e-3)  # as measured
    assert m4["apollo3"].asleep().typical == pytest.approx(3.0e-6 * 3.3, rel=6e-3)
    assert m4["stm32l476"].asleep(1) == m4["stm32l476"].asleep() == m4["stm32l476"].sleep  # has no sections
    assert m33["nrf54l15"].asleep().typical == pytest.approx(2.9e-6 * 3)
    assert m33["nrf54l15"].asleep(65536).typical == pytest.approx(1.5e-6 * 3, rel=2e-2)
    nrf = m4["nrf52840"]
    assert nrf.ram is not None
    assert nrf.asleep(2 * nrf.ram) == nrf.asleep()  # it has no more


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_refused_by_name(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ChipError, match=f"^mine\\.toml: {message}"):
        chip(path)


def test_a_chip_that_runs_no_program_has_no_parts(tmp_path: Path) -> None:
    text = (ROOT / "hardware" / "aspen_hardware" / "chips" / "loihi1.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(f"{text}\n[scenarios.sanafe.part]\n", encoding="utf-8")
    with pytest.raises(ChipError, match=r"scenarios\.sanafe\.part: found a table, allowed is none without \[program\]"):
        chip(path)
    path.write_text(text.replace('rule = "whole"', 'rule = "sleep"'), encoding="utf-8")
    with pytest.raises(ChipError, match=r"power\.(chip|rule): found"):
        chip(path)
