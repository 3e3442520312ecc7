"""The front of several levers: which settings a knob runs along, and the table that is made of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop, calibrate_early, fit_doubt
from aspen.calibration.front import Tried, find_front, front_of, lever_table, levers_of
from aspen.calibration.points import BELIEVED
from aspen.calibration.storage import find_table, list_tables, load_table, save_table
from aspen.calibration.table import CalibrationTable
from aspen.control.spending import ended_early, sparsest_worth_running
from aspen.dial.profile import DialProfile, save_profile
from aspen.errors import FileFormatError, InputError
from aspen.network.network import Dense, Lif, Network, Population
from tests.aspen.calibration.test_calibration_table import made, point

STOP = EarlyStop(0.5, 0.1, (0.0, 1.0), (0.0, 0.0), "spikes", 20, 0.1)


def tried(rows: list[tuple[float, float, float, float]], samples: int = 2000, static: float = 50.0) -> Tried:
    """Settings (knob, doubt, accuracy, dynamic nJ); the more accurate is right wherever the other is."""
    correct = np.array([[k < round(accuracy * samples) for k in range(samples)] for _, _, accuracy, _ in rows], float)
    points = [point(knob, nj, accuracy, static) for knob, _, accuracy, nj in rows]
    return Tried(points, [row[1] for row in rows], [20 * row[3] / 400 for row in rows], correct)


def test_the_front_leaves_out_what_is_dominated_or_turns_a_lever_back() -> None:
    rows = [
        (0.0, 0.0, 0.96, 400.0),
        (0.0, 0.1, 0.95, 200.0),
        (0.5, 0.0, 0.94, 390.0),  # dearer than the next, and less accurate
        (0.5, 0.1, 0.93, 150.0),
        (0.0, 0.3, 0.92, 140.0),  # turns the dial back from the one above, or the doubt from the one below
        (0.5, 0.3, 0.90, 100.0),
        (1.0, 0.3, 0.50, 90.0),  # out of reach
    ]
    assert find_front(tried(rows)) == [5, 3, 1, 0]
    assert find_front(tried(rows), reach=0.05) == [3, 1, 0]
    assert find_front(tried(rows), reach=1.0) == [6, 5, 3, 1, 0]


def test_gains_that_may_be_luck_make_no_stop_of_their_own_but_may_lie_between_two() -> None:
    rows = [(0.0, 0.0, 0.90, 400.0), (0.2, 0.0, 0.899, 300.0), (0.4, 0.0, 0.87, 200.0), (0.6, 0.0, 0.869, 190.0)]
    lucky = replace(tried(rows, 1000), correct=np.random.default_rng(0).random((4, 1000)) < 0.9)
    assert find_front(lucky) == [3, 2, 1, 0]  # from the cheapest straight to the best, and what lies between
    back = [*lucky.points[:2], *(replace(point, knob=0.1) for point in lucky.points[2:])]
    assert find_front(replace(lucky, points=back)) == [3, 2, 0]  # the second turns further than these


@pytest.mark.parametrize("spikes", [(0.0, 0.0), (0.0, 40.0)])
def test_settings_without_a_hidden_spike_are_compared_too(spikes: tuple[float, float]) -> None:
    found = tried([(0.5, 0.0, 0.95, 100.0), (0.0, 0.0, 0.96, 400.0)])
    points = [
        replace(each, dynamic_nj=None, static_nj=None, hidden_spikes=count)
        for each, count in zip(found.points, spikes, strict=True)
    ]
    silent = replace(found, points=points)
    row = find_front(silent)
    like = made("profile", chip=None, step_time=None, points=(points[1],))
    assert front_of(silent, row, like, None).best.accuracy == 0.96
    assert len(row) == 1 + (spikes[1] > 0)
    assert levers_of(silent, 0.0)[-1].range == max(spikes[1], 1.0)


def test_of_all_rows_it_is_the_one_with_the_largest_area() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        rows = [
            (float(k), float(d), round(float(rng.uniform(0.86, 0.95)), 3), round(float(rng.uniform(100, 400)), 1))
            for k in range(3) for d in (0.0, 0.1, 0.2)
        ]  # fmt: skip
        found = tried(rows)
        row, best = find_front(found), max(range(9), key=lambda i: rows[i][2])
        assert row[-1] == best
        for a, b in pairwise(row):
            assert rows[a][0] >= rows[b][0]
            assert rows[a][1] >= rows[b][1]
            assert rows[a][2] < rows[b][2]
            assert rows[a][3] < rows[b][3]
        assert _area(rows, row) == pytest.approx(max(_area(rows, each) for each in _rows_to(rows, best)), rel=1e-12)


def _rows_to(rows: list[tuple[float, float, float, float]], end: int) -> list[list[int]]:
    """Every row that ends at a setting; all gains of these draws are beyond doubt."""
    leading = [
        i for i, r in enumerate(rows)
        if r[0] >= rows[end][0] and r[1] >= rows[end][1] and r[2] < rows[end][2] and r[3] < rows[end][3]
    ]  # fmt: skip
    return [[end], *([*row, end] for i in leading for row in _rows_to(rows, i))]


def _area(rows: list[tuple[float, float, float, float]], row: list[int]) -> float:
    floor, total = max(r[2] for r in rows) - 0.1, [r[3] + 50.0 for r in rows]
    return float(sum((rows[a][2] - floor) * np.log(total[b] / total[a]) for a, b in pairwise(row)))


def test_dynamic_energy_may_have_another_front_than_total_energy() -> None:
    whole = tried([(0.0, 0.0, 0.95, 400.0), (0.0, 0.2, 0.94, 399.0)])
    asleep = replace(whole, points=[replace(whole.points[0], static_nj=50.0), replace(whole.points[1], static_nj=60.0)])
    assert (find_front(whole), find_front(asleep), find_front(asleep, dynamic=True)) == ([1, 0], [0], [1, 0])


def front(turns: str = "profile") -> CalibrationTable:
    found = tried([(0.5, 0.0, 0.96, 400.0), (0.5, 0.1, 0.95, 200.0), (1.0, 0.1, 0.92, 100.0)])
    return front_of(found, [2, 1, 0], replace(made(), dial=turns), STOP)


def test_the_knob_runs_evenly_from_the_best_to_the_cheapest() -> None:
    table = front()
    assert [p.knob for p in table.points] == [1.0, round((np.log(450 / 250) / np.log(450 / 150) + 0.25) / 2, 3), 0.0]
    assert (table.key, table.turns, table.places) == ("front@loihi1", "profile", (1.0, 0.5, 0.5))
    assert table.early is not None
    middle = table.points[1].knob
    assert [table.early.level(knob) for knob in (0.0, middle, 0.9, 1.0)] == [0.0, 0.1, 0.1, 0.1]
    levels = [table.early.level(knob) for knob in np.linspace(0, middle, 33)]  # of doubt, in eight steps from none
    assert levels == sorted(levels)
    assert len(set(levels)) == 9
    assert levels[16] == pytest.approx(0.1 * 1e-3**0.5)
    assert [e.steps for e in table.early_points] == [5.0, 10.0, 20.0]
    assert "dial's knob" in str(table)
    assert ended_early(table) is table
    assert sparsest_worth_running(table) == 1.0
    path = table.along(network(), DialProfile({"hidden": 1.0}))
    assert path.dial_knob(middle) == pytest.approx(0.5, abs=1e-4)
    assert path.dial_knob(1.0) == 1.0


def test_settings_that_would_share_a_stop_are_one() -> None:
    found = tried([(0.0, 0.0, 0.96, 400.0), (0.1, 0.0, 0.95, 100.0), (0.2, 0.0, 0.9499, 99.99), (1.0, 0.0, 0.9, 50.0)])
    table = front_of(found, [3, 2, 1, 0], made("profile"), None)
    assert table.places == (1.0, 0.1, 0.0)
    assert table.early is None


def test_a_front_of_threshold_scales_turns_them_as_a_number_does() -> None:
    path = front("scale").along(network())
    assert path.scale(0.0)["hidden"].item() == pytest.approx(0.5)
    assert path.scale(1.0)["hidden"].item() == pytest.approx(1.0, rel=1e-4)
    with pytest.raises(InputError, match="found one for the table front@loihi1, which turns a threshold scale"):
        front("scale").along(network(), DialProfile({"hidden": 1.0}))
    with pytest.raises(InputError, match="found none for the table front@loihi1, which turns a learned dial"):
        front().along(network())
    with pytest.raises(InputError, match="found no front"):
        made().along(network())


def network() -> Network:
    lif = Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    return Network(layers, (Dense("input", "hidden", np.ones((3, 2))), Dense("hidden", "output", np.ones((2, 3)))))


def test_a_front_is_kept_beside_the_table_of_one_lever(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    network().save(path)
    with pytest.raises(InputError, match="found no learned dial for the table front@loihi1"):
        save_table(front(), path)
    save_profile(DialProfile({"hidden": 1.0}), path)
    for table in (made(), front()):
        save_table(table, path)
    assert load_table(path, "loihi1", "front") == front()
    assert load_table(path) == made()  # without a word about the dial, the only one of one lever
    assert {table.key for table in list_tables(path)} == {made().key, "front@loihi1"}
    assert find_table(path, "cortex-m4", "front") is None
    save_profile(DialProfile({"hidden": 2.0}), path)
    with pytest.raises(FileFormatError, match="measured on another network or dial"):
        load_table(path, dial="front")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"places": (1.0, 0.5)}, "places: found 2 for 3 points"),
        ({"turns": None}, "places: found 3 for 3 points"),
        ({"places": (0.5, 0.6, 0.5)}, "allowed are falling ones"),
        ({"turns": "front"}, "turns: found 'front'"),
        ({"dial": "profile"}, "places: found 3 for 3 points of the dial profile"),
    ],
)
def test_a_front_that_is_none_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(front(), **changed)  # type: ignore[arg-type]
    short = tuple(replace(p, knob=p.knob / 2) for p in front().points)
    with pytest.raises(InputError, match=r"found a front from 0 to 0\.5"):
        replace(front(), points=short, early=None, early_points=())


def test_what_each_lever_is_worth() -> None:
    found = tried([(0.0, 0.0, 0.96, 400.0), (0.5, 0.0, 0.95, 350.0), (0.0, 0.1, 0.945, 200.0), (0.5, 0.1, 0.942, 100.0),
                   (1.0, 0.1, 0.90, 50.0)])  # fmt: skip
    levers = {lever.name: lever for lever in levers_of(found, 0.0)}
    assert [(name, lever.cheapest) for name, lever in levers.items()] == [
        ("dial alone", 1), ("early end alone", 2), ("both", 3),
    ]  # fmt: skip
    assert levers["both"].range == pytest.approx(450 / 150)
    assert [lever.range for lever in levers_of(found, 0.0, dynamic=True)] == [400 / 350, 2.0, 4.0]
    assert "3.00x" in str(lever_table(found, list(levers.values())))
    assert [lever.name for lever in levers_of(found, 0.3)] == ["dial alone", "both"]


def test_a_doubt_is_fitted_as_for_an_early_end() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    scores = (rng.random((10, 200, 2)) < np.where(np.eye(2)[labels] == 1, 0.6, 0.2)).cumsum(axis=0)
    never, ending = fit_doubt({1.0: scores}, labels), calibrate_early({1.0: scores}, labels, max_loss=0.05)
    assert (never.gain, never.power, never.doubts) == (ending.gain, ending.power, (0.0,))
    assert ending.doubts[0] > 0
    assert (never.stops(scores) == 10).all()


def test_what_was_not_measured_is_refused() -> None:
    for wrong in (Tried([], [], [], np.zeros((0, 3))), replace(tried([(0, 0, 0.9, 1.0)]), correct=np.zeros((2, 3)))):
        with pytest.raises(InputError, match="correct: found shape"):
            find_front(wrong)
    with pytest.raises(InputError, match="reach: found 2"):
        find_front(tried([(0, 0, 0.9, 1.0)]), reach=2.0)
    assert BELIEVED > 1
