"""What may be spent: a bucket that fills at a constant power, and the account of the last hour."""

from __future__ import annotations

from typing import Any

from aspen.control.spending import State, number
from aspen.errors import InputError

HOUR = 3600.0
BINS = 360
"""Parts of an hour in which spending is remembered: an hour is guaranteed as one of ``BINS`` + 1 of them."""


class Ledger:
    """A token bucket that also knows the last hour. Memory and time per entry are constant.

    What is earned and not spent is kept, up to a capacity; and no hour, wherever it begins, takes more than its
    allowance, as long as nothing is bought that :attr:`left` does not cover.

    Args:
        watts: what is earned.
        hourly: joules that an hour may take.
        capacity: joules that can be kept.
        balance: joules at the start.

    Attributes:
        balance: joules in the bucket.
    """

    def __init__(self, watts: float, hourly: float, capacity: float, balance: float) -> None:
        self.watts, self.hourly, self.capacity, self.balance = watts, hourly, capacity, balance
        self._bins = [0.0] * (BINS + 1)
        self._now, self._time = 0, 0.0
        self._past = 0.0

    @property
    def left(self) -> float:
        """Joules that may be spent now."""
        return min(self.balance, self.hourly - self.last_hour)

    @property
    def last_hour(self) -> float:
        """Joules spent in the last hour, and up to a part of it more."""
        return self._past + self._bins[self._now]

    def book(self, seconds: float, joules: float) -> None:
        """Pay ``joules``, and earn for the ``seconds`` in which they were spent."""
        self.balance = min(self.balance + self.watts * seconds - joules, self.capacity)
        self._bins[self._now] += joules
        self._time += seconds
        width, turned = HOUR / BINS, False
        for _ in range(BINS + 1):
            if self._time < width:
                break
            self._time -= width
            self._now = (self._now + 1) % (BINS + 1)
            self._bins[self._now] = 0.0
            turned = True
        else:
            self._time %= width
        if turned:
            self._past = sum(self._bins)

    def state_dict(self) -> dict[str, Any]:
        """Bucket and last hour."""
        return {"balance": self.balance, "bins": list(self._bins), "now": self._now, "time": self._time}

    def load_state_dict(self, state: State) -> None:
        """Go on exactly there."""
        bins, now = state.get("bins"), state.get("now")
        if not isinstance(bins, list) or len(bins) != BINS + 1 or not (isinstance(now, int) and 0 <= now <= BINS):
            raise InputError(f"state: found a ledger of another kind, allowed is one of {BINS + 1} parts of an hour")
        self.balance, self._time = number(state, "balance"), number(state, "time")
        self._bins = [number({"bins": spent}, "bins") for spent in bins]
        self._now = now
        self._past = sum(spent for place, spent in enumerate(self._bins) if place != now)
