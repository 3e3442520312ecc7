"""As few spikes as a wanted accuracy allows, judged by how clear the answers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_float, as_quantity
from aspen._base.closed import Closed
from aspen.calibration.table import CalibrationTable
from aspen.control.spending import Decision, Spent, check_table
from aspen.control.states import State, check_keys, number
from aspen.errors import InputError


class AccuracyFloor(Closed):
    """Holds the mean margin of the answers at a level, with the sparsest setting that does.

    Integral control: the dial's place between its most accurate point (0) and the cheapest (1) moves by ``gain`` times
    the margin's distance from the level, and stays within them, so that it does not wind up. Windows that were skipped,
    or have no margin, move nothing.

    >>> from aspen import CalibrationTable
    >>> from aspen.calibration.points import OperatingPoint
    >>> from aspen.control import Spent
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> controller = AccuracyFloor(table, level=0.3)
    >>> decision = controller.update(Spent(seconds=0.01, dynamic=9e-7, static=8e-4, margin=0.8))
    >>> round(decision.knob, 2)  # the answer was clearer than it need be: sparser
    1.07

    Args:
        table: whose range the knob has.
        level: margin to be held, 0 to 1; :func:`margin_for` finds it.
        gain: part of the range per unit of margin and window.

    Raises:
        InputError: a setting is no number, or out of range.
    """

    def __init__(self, table: CalibrationTable, level: float, gain: float = 0.2) -> None:
        check_table(table)
        self.table, self.level, self.gain = (
            table,
            as_quantity("level", level, 0, 1),
            as_quantity("gain", gain, 0, above=True),
        )
        self.place = 0.0

    @property
    def decision(self) -> Decision:
        """For the next window."""
        accurate, sparse = self.table.best.knob, self.table.cheapest.knob
        if self.table.dial == "scale":
            return Decision(min(max(accurate * (sparse / accurate) ** self.place, self.table.low), self.table.high))
        return Decision(min(max(accurate + self.place * (sparse - accurate), self.table.low), self.table.high))

    @property
    def left(self) -> None:
        """There is no budget."""
        return None

    def update(self, spent: Spent) -> Decision:
        """Take account of a window, and decide on the next."""
        if spent.ran and spent.margin is not None:
            self.place = min(max(self.place + self.gain * (spent.margin - self.level), 0.0), 1.0)
        return self.decision

    def state_dict(self) -> dict[str, Any]:
        """Where the dial is."""
        return {"place": self.place}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        check_keys(state, "place")
        self.place = number(state, "place", 0.0, 1.0)


def margins(scores: Array) -> Array:
    """(...): how clear answers are, 0 to 1, from scores (..., n): best less second best, over their magnitudes.

    >>> margins(np.array([[9, 1, 0], [5, 5, 0]]))
    array([0.8, 0. ])

    Args:
        scores: of the outputs, spikes or membranes.

    Raises:
        InputError: there are less than two outputs, or the scores are no finite numbers.
    """
    given = np.asarray(scores)
    if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
        raise InputError(f"scores: found {given.dtype} values, NaN or infinity, allowed are finite numbers")
    if given.ndim < 1 or given.shape[-1] < 2:
        raise InputError(f"scores: found {given.shape[-1] if given.ndim else 'no'} outputs, allowed are 2 and more")
    values = given.astype(np.float64)
    ordered = np.sort(values, axis=-1)
    best, second = ordered[..., -1], ordered[..., -2]
    size = np.abs(best) + np.abs(second)
    return np.asarray(np.divide(best - second, size, out=np.zeros_like(size), where=size > 0))


def margin_for(accuracy: float, points: Sequence[tuple[float, float]]) -> float:
    """The mean margin at which a network reaches an accuracy, as it was on validation data.

    >>> round(margin_for(0.94, [(0.95, 0.5), (0.93, 0.3)]), 2)  # half way between the two settings
    0.4

    Args:
        accuracy: wanted, 0 to 1.
        points: (accuracy, mean margin) at some settings of the dial; taken in the order of accuracy, where margins are
            raised so that they do not fall.

    Raises:
        InputError: no setting reaches the accuracy; the message says which is possible.
    """
    if not points or not all(0 <= as_float(value) <= 1 for point in points for value in point):
        raise InputError("points: found none or some that are not from 0 to 1, allowed is one and more")
    accuracy = as_quantity("accuracy", accuracy, 0.0, 1.0)
    ordered = sorted(points)
    reached = [each[0] for each in ordered]
    levels = np.maximum.accumulate([each[1] for each in ordered])
    if accuracy > reached[-1]:
        raise InputError(
            f"accuracy: found {accuracy:.1%}, allowed is at most {reached[-1]:.1%}, the best of the settings measured"
        )
    return float(np.interp(accuracy, reached, levels))
