"""The dial in a person's hand."""

from __future__ import annotations

from math import floor, isfinite
from typing import Any

from aspen.control.spending import Decision, Spent, State, number
from aspen.errors import InputError


class Manual:
    """Leaves the knob where it is put.

    Args:
        knob: where it stands.
        duty: share of the windows that are run, evenly spread; the others are skipped.
    """

    def __init__(self, knob: float, duty: float = 1.0) -> None:
        if not isfinite(knob) or not 0 < duty <= 1:
            raise InputError(
                f"knob, duty: found {knob!r} and {duty!r}, allowed are a finite number and a share above 0 to 1"
            )
        self.knob, self.duty, self._count = knob, duty, 0

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
        return {"knob": self.knob, "count": self._count}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there."""
        self.knob, self._count = number(state, "knob"), int(number(state, "count"))
