"""Time steps that a knob leaves out: in a path, a table, its file, and an early end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint
from aspen.calibration.storage import CALIBRATION, load_table, save_table
from aspen.calibration.table import CalibrationTable
from aspen.dial.path import KnobPath, every_of, seen, steps_seen
from aspen.dial.profile import DialProfile, save_profile
from aspen.errors import InputError
from aspen.storage.file import AspenFile
from tests.aspen.calibration.test_calibration_table import made, point
from tests.networks import float_network

DIAL = DialProfile({"hidden": 1.0})
PATH = KnobPath(DIAL, (0.0, 0.25, 1.0), (0.0, 0.5, 1.0), every=(1, 2, 4))


def front(**changes: object) -> CalibrationTable:
    """A front whose knob leaves out time steps."""
    points = (point(1.0, 10.0, 0.6), point(0.5, 40.0, 0.8), point(0.0, 160.0, 0.9))
    table = replace(made(), dial="front", turns="profile", places=(1.0, 0.5, 0.0), points=points, every=(4, 2, 1))
    return replace(table, **changes)  # type: ignore[arg-type]


def test_steps_go_from_a_stop_on_and_the_first_that_runs_is_the_nth() -> None:
    assert [PATH.every_at(knob) for knob in (0.0, 0.2499, 0.25, 0.9999, 1.0)] == [1, 1, 2, 2, 4]
    assert [every_of(each, 1.0) for each in (PATH, DIAL, None)] == [4, 1, 1]
    assert every_of(PATH, None) == 1
    assert seen(np.arange(1, 12), 4).tolist() == [4, 8]
    assert [steps_seen(11, every) for every in (1, 2, 4)] == [len(seen(np.arange(11), every)) for every in (1, 2, 4)]
    assert not KnobPath(DIAL, (0.0,), (0.0,)).skips
    np.testing.assert_array_equal(PATH.scale(0.25)["hidden"], replace(PATH, every=()).scale(0.25)["hidden"])


@pytest.mark.parametrize(
    ("every", "message"),
    [((1, 2), "found 2 for 3 stops"), ((2, 1, 4), "that never fall"), ((0, 1, 1), "every"), ((1, 1, 256), "every")],
)
def test_a_path_refuses_others(every: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(PATH, every=every)


def test_a_table_keeps_them_and_gives_them_to_its_path(tmp_path: Path) -> None:
    network = float_network(1, bias=False)
    network.save(tmp_path / "net.aspen")
    save_profile(DialProfile.uniform(network), tmp_path / "net.aspen")
    save_table(front(), tmp_path / "net.aspen")
    table = load_table(tmp_path / "net.aspen", "loihi1", "front")
    assert table == front()
    path = table.along(network, DialProfile.uniform(network))
    assert [path.every_at(knob) for knob in (0.0, 0.5, 1.0)] == [1, 2, 4]
    assert table.whole_steps == (5, 10, 20)
    entry = AspenFile.open(tmp_path / "net.aspen").parts(CALIBRATION.name)[0]["tables"]["front@loihi1"]
    assert entry["every"] == [4, 2, 1]
    save_table(front(every=()), tmp_path / "net.aspen")
    entry = AspenFile.open(tmp_path / "net.aspen").parts(CALIBRATION.name)[0]["tables"]["front@loihi1"]
    assert "every" not in entry  # earlier releases read what leaves out none


@pytest.mark.parametrize(
    ("every", "message"),
    [((4, 2), "for 3 points"), ((1, 2, 4), "never rises"), ((21, 2, 1), "up to the 20 time steps")],
)
def test_a_table_refuses_others(every: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        front(every=every)
    with pytest.raises(InputError, match="for 3 points of the dial scale"):
        made(every=every)


def test_an_early_end_knows_how_many_steps_there_are() -> None:
    stop = EarlyStop(1.0, 0.0, (0.0, 1.0), (0.0, 0.0), "spikes", 20, 0.01)
    scores = np.cumsum(np.tile([[[1, 0]]], (5, 3, 1)), axis=0)
    assert stop.stops(scores, 1.0, every=4).tolist() == [5, 5, 5]
    with pytest.raises(InputError, match="found 5 steps, allowed are 20"):
        stop.stops(scores, 1.0)
    running = stop.start(1.0, every=4)
    assert [running.update(np.array([1, 0])) for _ in range(5)] == [False] * 4 + [True]
    again = stop.start(1.0)
    again.load_state_dict(running.state_dict())
    with pytest.raises(InputError, match="found 5 steps taken"):
        again.update(np.array([1, 0]))
    ended = tuple(EarlyPoint(each, 5.0) for each in front().points)
    stop = replace(stop, knobs=(0.0, 0.5, 1.0), doubts=(0.0, 0.0, 0.1))
    assert front(early=stop, early_points=ended).whole_steps[0] == 5
