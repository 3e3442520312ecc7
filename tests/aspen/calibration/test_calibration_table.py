"""Calibration tables: what they promise between their points, and how they are kept."""

from __future__ import annotations

from dataclasses import replace
from math import exp, inf, log, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.calibration.early import EarlyStop
from aspen.calibration.points import cost_of
from aspen.calibration.storage import (
    CALIBRATION,
    CalibrationTable,
    EarlyPoint,
    OperatingPoint,
    find_table,
    list_tables,
    load_table,
    pareto_front,
    save_table,
    thin,
)
from aspen.dial.profile import DialProfile, save_profile
from aspen.errors import FileFormatError, InputError
from aspen.storage.container import read_container, write_container
from tests.networks import float_network


def point(knob: float, dynamic: float | None, accuracy: float, static: float | None = 50.0) -> OperatingPoint:
    spikes = (dynamic or 100 / knob) / 2
    low, high = max(accuracy - 0.05, 0), min(accuracy + 0.05, 1)
    return OperatingPoint(knob, accuracy, low, high, spikes, 10.0, 5.0, dynamic, static, 200)


def made(dial: str = "scale", **changes: Any) -> CalibrationTable:
    points = (point(3.0, 10.0, 0.6), point(1.5, 40.0, 0.8), point(0.5, 160.0, 0.9))
    return replace(CalibrationTable("loihi1", dial, 20, 1e-3, "digits validation", 1, points), **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A network with a learned dial."""
    network = float_network(1, bias=False)
    network.save(tmp_path / "net.aspen")
    save_profile(DialProfile.uniform(network), tmp_path / "net.aspen")
    return tmp_path / "net.aspen"


def test_between_points_the_logarithm_is_linear() -> None:
    table = made()
    assert [table.dynamic_nj(p.knob) for p in table.points] == pytest.approx([10, 40, 160])
    assert table.dynamic_nj((3.0 * 1.5) ** 0.5) == pytest.approx(20)  # half way in the logarithms
    assert made("profile").dynamic_nj(2.25) == pytest.approx(20)  # half way in the knob
    assert table.knob_for(20) == pytest.approx((3.0 * 1.5) ** 0.5)
    assert made("profile").knob_for(80) == pytest.approx(1.0)
    assert made("profile").accuracy(2.25) == pytest.approx(0.7)
    assert (table.low, table.high) == (0.5, 3.0)
    assert (table.cheapest.dynamic_nj, table.best.accuracy, table.static_nj) == (10.0, 0.9, 50.0)


@given(st.floats(0.01, 1e4), st.sampled_from(["scale", "profile"]))
def test_knob_for_is_the_inverse_and_both_stay_in_range(energy: float, dial: str) -> None:
    table = made(dial)
    knob = table.knob_for(energy)
    assert table.low <= knob <= table.high
    assert table.dynamic_nj(knob) == pytest.approx(min(max(energy, 10.0), 160.0))
    assert table.dynamic_nj(1e9) == pytest.approx(10.0)
    assert table.dynamic_nj(1e-9) == pytest.approx(160.0)


def test_one_point_is_a_table() -> None:
    table = made(points=(point(1.0, 7.0, 0.5),))
    assert (table.knob_for(1e-3), table.knob_for(1e3), table.knob_for(7.0)) == (1.0, 1.0, 1.0)
    assert table.dynamic_nj(1.0) == pytest.approx(7.0)


@pytest.mark.parametrize("bad", [nan, "2", None, True])
def test_what_is_no_number_is_refused(bad: Any) -> None:
    with pytest.raises((InputError, TypeError)):
        made().dynamic_nj(bad)
    with pytest.raises(InputError, match="allowed is a finite number"):
        made().knob_for(bad)


def test_only_measured_points_are_points() -> None:
    assert made().point(1.5).accuracy == 0.8
    with pytest.raises(InputError, match=r"knob: found 1\.4, the table scale@loihi1 has points at 3, 1\.5, 0\.5"):
        made().point(1.4)


def test_without_energies_there_are_none() -> None:
    table = made(chip=None, step_time=None, points=(point(2.0, None, 0.5, None), point(1.0, None, 0.6, None)))
    assert not table.has_energy
    with pytest.raises(InputError, match="found no dynamic energy"):
        table.dynamic_nj(1.0)
    with pytest.raises(InputError, match="found no static energy"):
        _ = table.static_nj


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dial": "knob"}, "dial: found 'knob', allowed are scale, profile"),
        ({"chip": ""}, "chip: found ''"),
        ({"chip": None}, "only of a chip"),
        ({"data": None}, "data: found None"),
        ({"steps": 0}, "steps: found 0"),
        ({"seeds": True}, "seeds: found True"),
        ({"step_time": -1.0}, "step_time: found -1.0"),
        ({"step_time": inf}, "step_time: found inf"),
        ({"points": ()}, "points: found none"),
        ({"points": (point(1, 5, 0.5), point(2, 4, 0.6))}, "found costs 5, 4, allowed are rising ones"),
        ({"points": (point(1, 5, 0.5), point(2, 6, 0.5))}, "found accuracies 0.5, 0.5, allowed are rising"),
        ({"points": (point(1, 5, 0.5), point(3, 6, 0.6), point(2, 7, 0.7))}, "found knobs 1, 3, 2"),
        ({"points": (point(0, 5, 0.5),)}, "found 0.0, allowed are factors on the thresholds above 0"),
        ({"points": (point(1, 0, 0.5),)}, "dynamic_nj: found 0"),
        ({"points": (point(1, None, 0.5), point(2, 4, 0.6))}, "an energy of all points or none"),
        ({"points": (replace(point(1, 5, 0.5), accuracy=0.9),)}, "allowed are fractions within their interval"),
        ({"points": (replace(point(1, 5, 0.5), unanswered=0.6),)}, "unanswered: found 0.6 beside 0.5 correct"),
        ({"points": (replace(point(1, 5, 0.5), samples=0),)}, "samples: found 0"),
        ({"points": (replace(point(1, 5, 0.5), hidden_spikes=-1.0),)}, "hidden_spikes: found -1.0"),
        ({"chosen": 1.4}, "has points at 3, 1.5, 0.5"),
    ],
)  # fmt: skip
def test_a_table_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        made(**changes)
    assert message in str(caught.value)


def test_tables_are_kept_one_for_each_chip_and_dial(file: Path) -> None:
    assert find_table(file) is None
    tables = [made(), made("profile", chosen=1.5), made(chip="truenorth")]
    for table in tables:
        save_table(table, file)
    assert sorted(list_tables(file), key=lambda t: t.key) == sorted(tables, key=lambda t: t.key)
    assert load_table(file, "truenorth") == tables[2]
    assert load_table(file, "loihi1", "profile") == tables[1]
    save_table(made(seeds=5), file)
    assert load_table(file, "loihi1", "scale").seeds == 5
    with pytest.raises(InputError, match="found 2 calibration tables"):
        load_table(file, "loihi1")
    with pytest.raises(InputError, match=r"found no calibration table for odin \(stored: .*aspen calibrate"):
        load_table(file, "odin")


def early(steps: int = 20, knobs: tuple[float, ...] = (3.0, 1.5, 0.5), taken: float = 12.5) -> dict[str, Any]:
    stop = EarlyStop(0.5, 0.1, (0.5, 1.5, 3.0), (0.1, 0.2, 0.3), "spikes", steps, 0.005)
    return {"early": stop, "early_points": tuple(EarlyPoint(point(k, 5.0, 0.5), taken) for k in knobs)}


def test_an_early_stop_is_kept_with_its_points(file: Path) -> None:
    table = made(**early())
    assert table.early is not None
    save_table(table, file)
    assert load_table(file) == table


@pytest.mark.parametrize(
    "changes",
    [
        {"early": None},
        {"early_points": ()},
        {"early": early(steps=19)["early"]},
        {"early_points": early(knobs=(3.0, 1.5))["early_points"]},
        {"early_points": early(taken=20.5)["early_points"]},
        {"early_points": early(taken=0.0)["early_points"]},
    ],
)
def test_an_early_stop_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"early_points: found knobs|steps: found"):
        made(**{**early(), **changes})


def test_a_table_of_another_network_is_refused_and_dropped(file: Path) -> None:
    save_table(made(), file)
    save_profile(DialProfile.uniform(float_network(1, bias=False), 0.5, 3.0), file)
    with pytest.raises(FileFormatError, match="measured on another network or dial"):
        find_table(file)
    save_table(made("profile"), file)
    assert [t.key for t in list_tables(file)] == ["profile@loihi1"]


def test_a_table_of_a_dial_needs_the_dial_and_another_does_not(tmp_path: Path) -> None:
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    save_table(made(), tmp_path / "net.aspen")
    assert load_table(tmp_path / "net.aspen") == made()
    with pytest.raises(InputError, match="found no learned dial"):
        save_table(made("profile"), tmp_path / "net.aspen")
    with pytest.raises(InputError, match="no such file"):
        save_table(made(), tmp_path / "none.aspen")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("tables",), []),
        (("tables", "scale@loihi1"), None),
        (("tables", "scale@loihi1", "points"), []),
        (("tables", "scale@loihi1", "points"), 3),
        (("tables", "scale@loihi1", "points", 0, "accuracy"), "0.6"),
        (("tables", "scale@loihi1", "points", 0, "colour"), "red"),
        (("tables", "scale@loihi1", "dial"), "profile"),
        (("tables", "scale@loihi1", "steps"), 1.5),
        (("tables", "scale@loihi1", "network"), "0"),
    ],
)
def test_a_malformed_table_is_a_format_error(file: Path, place: tuple[Any, ...], value: object) -> None:
    save_table(made(), file)
    container = read_container(file)
    inner: Any = container.headers[CALIBRATION.name]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    write_container(container, file)
    with pytest.raises(FileFormatError, match="calibrat") as caught:
        find_table(file)
    assert "\n" not in str(caught.value)


def test_a_table_whose_points_call_the_knob_threshold_scale_loads(tmp_path: Path) -> None:
    file = tmp_path / "stored.aspen"
    file.write_bytes((Path(__file__).parents[2] / "data" / "threshold_scale.aspen").read_bytes())
    assert b"threshold_scale" in file.read_bytes()
    assert load_table(file) == made(**early())
    container = read_container(file)
    container.headers[CALIBRATION.name]["tables"]["scale@loihi1"]["points"][0]["knob"] = 1.0
    write_container(container, file)
    with pytest.raises(FileFormatError, match="threshold_scale"):
        load_table(file)


def test_the_front_can_be_of_any_cost() -> None:
    rng = np.random.default_rng(0)
    points = [point(float(k), *rng.uniform((1, 0.1), (100, 0.9)).tolist()) for k in range(1, 30)]
    front = pareto_front(points, cost_of)
    for kept in points:
        better = [p for p in points if cost_of(p) < cost_of(kept) and p.accuracy >= kept.accuracy]
        assert (kept in front) == (not better)
    assert exp(log(cost_of(front[0]))) == pytest.approx(min(cost_of(p) for p in points))


def test_thinning_keeps_what_is_worth_its_cost_beyond_doubt() -> None:
    rng = np.random.default_rng(0)
    correct = np.array([rng.random(1000) < rate for rate in (0.6, 0.6, 0.8, 0.8, 0.9)], dtype=float)
    for row in (1, 3):
        correct[row] = correct[row - 1]
        correct[row, np.flatnonzero(correct[row] == 0)[0]] = 1  # one sample more: luck
    points = [point(5.0 - k, 10.0 * (k + 1), float(row.mean())) for k, row in enumerate(correct)]
    order = [3, 0, 4, 2, 1]
    kept = thin([points[k] for k in order], correct[order])
    assert [p.knob for p in kept] == [5.0, 3.0, 1.0]
    assert made(points=tuple(kept)).points == tuple(kept)
    assert len(thin(points, correct, believed=0.0)) == 5


def test_thinning_keeps_the_cheapest_and_the_best() -> None:
    correct = np.zeros((3, 100))
    correct[0, :50], correct[1, :51], correct[2, :52] = 1, 1, 1
    points = [point(3.0 - k, 10.0 * (k + 1), float(row.mean())) for k, row in enumerate(correct)]
    assert [p.knob for p in thin(points, correct, believed=5.0)] == [3.0, 1.0]
    assert thin(points[:1], correct[:1]) == points[:1]


def test_after_thinning_the_knob_goes_one_way() -> None:
    correct = np.zeros((3, 100))
    correct[0, :50], correct[1, :70], correct[2, :90] = 1, 1, 1
    points = [point(knob, 10.0 * (k + 1), float(correct[k].mean())) for k, knob in enumerate((2.0, 3.0, 1.0))]
    kept = thin(points, correct)
    assert [p.knob for p in kept] == [2.0, 1.0]
    with pytest.raises(InputError, match="correct: found shape"):
        thin(points, correct[:2])
