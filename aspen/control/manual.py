"""The dial in a person's hand."""

from __future__ import annotations

from math import floor
from typing import Any

from aspen._base.checks import as_quantity
from aspen._base.closed import Closed
from aspen.control.spending import Decision, Spent
from aspen.control.states import State, check_keys, count, number


class Manual(Closed):
    """Leaves the knob where it is put.

    >>> Manual(1.5).decision.knob
    1.5

    Args:
        knob: where it stands.
        duty: share of the windows that are run, evenly spread; the others are skipped.

    Raises:
        InputError: one is no number, or out of range.
    """

    def __init__(self, knob: float, duty: float = 1.0) -> None:
        self.knob, self.duty = as_quantity("knob", knob), as_quantity("duty", duty, 0.0, 1.0, above=True)
        self._count = 0

    @property
    def decision(self) -> Decision:
        """For the next window."""
        windows = self._count
        return Decision(self.knob, windows == 0 or floor(windows * self.duty) > floor((windows - 1) * self.duty))

    @property
    def left(self) -> None:
        """There is no budget."""
        return None

    def update(self, spent: Spent) -> Decision:
        """The knob stays."""
        self._count += 1
        return self.decision

    def state_dict(self) -> dict[str, Any]:
        """The knob, and how many windows there were."""
        return {"knob": as_quantity("knob", self.knob), "count": self._count}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there; see :class:`Controller`."""
        check_keys(state, "knob", "count")
        knob = number(state, "knob")
        self.knob, self._count = knob, count(state, "count")
