"""The study in joules: what it trains, how it compares, and a small one from training to tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.points import OperatingPoint
from aspen.data.encoders import RateEncoder
from aspen.data.levels import LevelEncoder
from aspen.data.temporal import CurrentEncoder, DeltaEncoder
from aspen.errors import InputError
from aspen_emulator.study.cells import train_cell
from aspen_emulator.study.joules import measuring, problems
from aspen_emulator.study.joules.measuring import front_key
from aspen_emulator.study.joules.problems import JOULES, Dialled, JoulesProblem, Member, shortened
from aspen_emulator.study.joules.results import (
    Account,
    accurate_end,
    budgets,
    least_at,
    over_range,
    range_of_all,
    range_within,
    row,
    settings,
    steady_until,
)
from aspen_emulator.study.measuring import KNOBS, Points, kept_key
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]
_16, _8 = (16, 16), (8, 8)
SMALL = replace(
    JOULES["digits"],
    base=replace(JOULES["digits"].base, sizes=(64, 16, 16, 10), epochs=1),
    nested=Dialled(Member(_16, density=0.5), JOULES["digits"].nested.dial),
    pruned=Dialled(Member(_8, density=0.5, steps=0.4), JOULES["digits"].nested.dial),
    members=(Member(_16, 0.1, density=0.5), Member(_8, 0.1), Member(_8, 0.1, steps=0.4)),
    epochs=2,
    goal=5.0,
)
TOTAL = Account("cortex-m4", "total")


def test_each_rival_begins_with_a_first_stage_of_its_own_width_and_steps() -> None:
    assert SMALL.cells == ("first-16-16", "first-8-8-s0.4", "first-8-8", "nested", "nested-pruned", "16-16-d0.5-p0.1",
                           "8-8-p0.1", "8-8-s0.4-p0.1", "plain")  # fmt: skip
    before = {cell: SMALL.begins_with(cell) for cell in SMALL.measured}
    assert before == {"nested": "first-16-16", "16-16-d0.5-p0.1": "first-16-16", "8-8-p0.1": "first-8-8",
                      "8-8-s0.4-p0.1": "first-8-8-s0.4", "plain": None}  # fmt: skip
    for cell, first in before.items():
        if first is not None:
            assert SMALL.network(cell).fc1.weight.shape == SMALL.network(first).fc1.weight.shape
            assert SMALL.data(cell, None).spikes("test").shape == SMALL.data(first, None).spikes("test").shape
    assert SMALL.network("8-8-p0.1").fc1.weight.shape == (8, 64)
    assert SMALL.data("8-8-s0.4-p0.1", None).spikes("test").shape == (10, 360, 64)


def test_a_chip_that_gains_little_from_neurons_that_are_off_has_a_dial_of_its_own() -> None:
    assert [SMALL.dial_on(name) for name in SMALL.chips] == ["nested", "nested-pruned", "nested-pruned"]
    assert {replace(SMALL, pruned=None).dial_on(name) for name in SMALL.chips} == {"nested"}
    assert SMALL.begins_with("nested-pruned") == "first-8-8-s0.4"
    stages = {cell: SMALL.recipe(cell).stages for cell in SMALL.dialled}
    assert [[stage.density for stage in each] for each in stages.values()] == [[0.5], [0.5]]
    assert SMALL.data("nested-pruned", None).spikes("test").shape == (10, 360, 64)


@pytest.mark.parametrize("problem", JOULES.values(), ids=list(JOULES))
def test_the_dial_and_its_rivals_get_the_same_training(problem: JoulesProblem) -> None:
    def training(cell: str) -> tuple[object, ...]:
        stages = problem.recipe(cell).stages
        first = stages[0]
        return sum(stage.epochs for stage in stages), first.batch_size, first.average, first.scores

    dial = problem.recipe("nested").stages
    assert all(stage.dial is not None for stage in dial)
    assert {training(cell) for cell in problem.envelope} == {training("nested")}
    rates = {cell: problem.recipe(cell).learning_rate for cell in problem.envelope}
    assert len({problem.levers(cell).hidden for cell, rate in rates.items() if rate == dial[0].learning_rate}) >= 3
    assert {problem.recipe(cell).stages[0].density for cell in problem.envelope} >= {dial[0].density}
    prices = Counter(body for body, _ in {(member.body, member.price) for member in problem.members})
    assert max(prices.values()) >= 5
    assert problem.nested.levers.steps in {member.steps for member in problem.members}
    assert len({member.hidden for member in problem.members}) >= 4
    assert problem.recipe("plain") == problem.base.recipe("plain")


def test_a_second_stage_may_learn_at_another_rate() -> None:
    faster = Member(_8, 0.1, steps=0.4, rate=2.0)
    problem = replace(SMALL, members=(*SMALL.members, faster))
    assert faster.name == "8-8-s0.4-r2-p0.1"
    assert problem.begins_with(faster.name) == "first-8-8-s0.4"
    rates = [problem.recipe(name).learning_rate for name in ("first-8-8-s0.4", "8-8-s0.4-p0.1", faster.name)]
    assert rates == [2e-3, 2e-3, 4e-3]


def test_an_encoder_gives_fewer_steps_in_the_same_time() -> None:
    values = np.zeros((2, 16, 3), np.float32)
    levels = LevelEncoder(CurrentEncoder(), levels=2, every=2).fit(values)
    assert shortened(levels, 0.5).fit(values).encode(values).shape == (4, 2, 6)
    assert shortened(RateEncoder(25), 0.4) == RateEncoder(10)
    with pytest.raises(InputError, match=r"steps: found 0\.5 with the encoder DeltaEncoder"):
        shortened(DeltaEncoder(), 0.5)


def point(knob: float, microjoules: float, accuracy: float) -> OperatingPoint:
    return OperatingPoint(knob, accuracy, 0.0, 1.0, 1.0, 0.0, 0.0, 1e3 * microjoules - 100, 100.0, 100)


def drawn(falls: float, rivals: dict[str, tuple[float, float]], seeds: int = 2) -> Points:
    """A dial from 80 down to 20 µJ that loses up to ``falls``, a point more with each seed, and rivals."""
    points: dict[str, list[OperatingPoint]] = {}
    for seed in range(seeds):
        dial = [point(k, 80 * 4.0**-k, 0.95 - falls * k - 0.01 * seed) for k in KNOBS]
        name = f"nested-seed{seed}/cortex-m4"
        points |= {name: dial, kept_key(name): [dial[-1], dial[0]]}
        points |= {f"{cell}-seed{seed}/cortex-m4": [point(1.0, *found)] for cell, found in rivals.items()}
    return points


def test_dial_and_envelope_are_compared_at_equal_joules() -> None:
    rivals = {
        "plain": (90.0, 0.97),
        "16-16-d0.5-p0.1": (40.0, 0.94),
        "8-8-p0.1": (39.0, 0.92),
        "8-8-s0.4-p0.1": (15, 0.5),
    }
    validation = drawn(0.1, rivals)
    test = drawn(0.2, {name: (joules, accuracy - 0.1) for name, (joules, accuracy) in rivals.items()})
    assert budgets(validation, 2, TOTAL, 3) == pytest.approx([20e3, 40e3, 80e3])
    cheap, middle, dear = (
        row(SMALL, validation, test, 2, TOTAL, each + 1) for each in budgets(validation, 2, TOTAL, 3)
    )
    assert (cheap.chosen, middle.chosen, dear.chosen) == (
        ("8-8-s0.4-p0.1",),
        ("16-16-d0.5-p0.1",),
        ("16-16-d0.5-p0.1",),
    )
    assert middle.envelope_nj == pytest.approx(40e3)  # the plain one would be better and costs 90
    assert middle.dial is not None
    assert middle.dial.mean == pytest.approx(84.5)  # knob 0.5, of 85 and 84 %
    assert middle.gains == pytest.approx((1.0, 0.0))
    whole = over_range([cheap, middle, dear])
    assert whole is not None
    assert whole.mean == pytest.approx(np.mean([cheap.gains, middle.gains, dear.gains]))
    assert row(SMALL, validation, test, 2, TOTAL, 10e3).gain is None
    assert over_range([row(SMALL, validation, test, 2, TOTAL, 10e3)]) is None


def test_facts_of_a_dial_in_joules() -> None:
    test = drawn(0.2, {})
    assert range_within(test, 2, TOTAL).mean == pytest.approx(4**0.1)  # two points are lost at knob 0.1
    assert range_within(test, 2, TOTAL, 21).mean == pytest.approx(4.0)
    ends = {front_key(f"nested-seed{seed}/cortex-m4"): [point(0.0, 40, 0.935), point(1.0, 5, 0.8)] for seed in range(2)}
    assert range_of_all({**test, **ends}, 2, TOTAL).mean == pytest.approx(2.0)  # from 80 µJ; 5 are out of reach
    assert steady_until(test, 2, "cortex-m4") == [0.05, 0.05]
    assert steady_until(test, 2, "cortex-m4", 30) == [1.0, 1.0]
    found = settings(test, 2, "cortex-m4")
    assert [found[0].accuracy.mean, found[0].accuracy.std] == pytest.approx([94.5, 0.5**0.5])
    least = least_at(found, 90.4)
    assert least is not None
    assert least.knob == 0.2
    assert least_at(found, 99.0) is None
    assert [best.knob for best in accurate_end(test, test, 2, "cortex-m4")] == [0.0, 0.0]


def test_a_study_in_joules_from_training_to_tables(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "FRONT_KNOBS", (0.0, 1.0))
    least = replace(SMALL, base=replace(SMALL.base, batch_size=512), members=SMALL.members[2:])
    monkeypatch.setitem(problems.JOULES, "digits", least)
    folder = tmp_path / "study" / "digits"
    folder.mkdir(parents=True)
    for cell in least.cells:
        train_cell(least, None, folder, cell, 0)
    report = tmp_path / "joules.md"
    asked = ["study", "digits", "--energy", "--folder", tmp_path / "study", "--seeds", "1", "--final"]
    code, out, _ = aspen(*asked, "--report", report)
    assert code == 0
    assert "At equal total energy on cortex-m4" in out
    assert "At equal dynamic energy on loihi1" in out
    assert "### The dial on loihi1: 8-8-s0.4-d0.5" in out
    assert "- xylo: 522 µJ a window" in out  # a second of its idle power
    assert "| 8-8-s0.4-p0.1 |" in out
    assert "5 % and more (mean over seeds)" in out
    assert "the dial's dearest over the cheapest: " in out
    assert "--energy" in report.read_text()
    assert (tmp_path / "images" / "joules-digits.png").stat().st_size > 10_000
    lines = [line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith(("| 0 |", "| 1 |"))]
    first, last = ([float(line[column]) for column in (1, 5)] for line in lines[:2])  # of the dial on cortex-m4
    assert first[0] > 16  # neurons on
    assert last[0] <= 4
    assert last[1] < first[1]  # microjoules
    before = (folder / "joules-test.json").read_text()
    assert aspen(*asked)[0] == 0
    assert (folder / "joules-test.json").read_text() == before  # test data are not measured again
    monkeypatch.setitem(problems.JOULES, "digits", replace(least, members=(*least.members, Member(_8, 0.7))))
    code, out, _ = aspen(*asked, "--trained")
    assert code == 0
    assert "Not in the envelope, as they were not trained: 8-8-p0.7." in out
    assert not list(folder.glob("8-8-p0.7*"))
    assert (folder / "joules-test.json").read_text() == before


def test_what_is_not_trained_is_not_compared(aspen: Aspen, tmp_path: Path) -> None:
    asked = ["study", "digits", "--folder", tmp_path, "--trained"]
    code, _, err = aspen(*asked)
    assert code == 2
    assert "--trained goes with --energy" in err
    code, _, err = aspen(*asked, "--energy", "--processes", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert code == 2
    assert "--trained trains nothing: leave out --processes and --scheduler" in err
    code, _, err = aspen(*asked, "--energy")
    assert code == 1
    assert "digits: found a folder without nested, nested-pruned, plain" in err
    with pytest.raises(InputError, match=r"digits: found a folder with none of the envelope, needed"):
        SMALL.among(lambda cell: cell in (*SMALL.dialled, "plain"))
    assert SMALL.among(lambda cell: True) == (SMALL, ())
