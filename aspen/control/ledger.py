"""What may be spent: a bucket that fills at a constant power, and the account of the last hour."""

from __future__ import annotations

from typing import Any

from aspen._base.checks import as_quantity
from aspen._base.closed import Closed
from aspen.control.states import State, check_keys, count, number
from aspen.errors import InputError

HOUR = 3600.0
BINS = 360
"""Parts of an hour in which spending is remembered: an hour is guaranteed as one of ``BINS`` + 1 of them."""

_MOST = 1e40
"""Joules of an entry: static power that was not foreseen, over a long time, may be beyond what a setting may be."""


class Ledger(Closed):
    """A token bucket that also knows the last hour. Memory and time per entry are constant.

    What is earned and not spent is kept, up to a capacity; and no hour, wherever it begins, takes more than its
    allowance, as long as nothing is bought that :attr:`left` does not cover. What an entry spends is dated at the
    moment at which its time begins, however long it is: an hour takes what the entries that began in it spent.

    >>> ledger = Ledger(watts=1e-3, hourly=4.0, capacity=0.1, balance=0.05)
    >>> ledger.book(seconds=10.0, joules=0.02)  # pays 20 mJ, and earns 10 mJ
    >>> round(ledger.left, 3)
    0.04

    Args:
        watts: what is earned.
        hourly: joules that an hour may take.
        capacity: joules that can be kept.
        balance: joules at the start.

    Attributes:
        balance: joules in the bucket.

    Raises:
        InputError: a setting is no number, or out of range.
    """

    def __init__(self, watts: float, hourly: float, capacity: float, balance: float) -> None:
        self.watts, self.hourly = as_quantity("watts", watts, 0.0), as_quantity("hourly", hourly, 0.0)
        self.capacity = as_quantity("capacity", capacity, 0.0)
        self.balance = as_quantity("balance", balance, high=self.capacity)
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
        """Pay ``joules`` now, and earn for the ``seconds`` that follow, until the next entry.

        Raises:
            InputError: one is no number, or out of range; nothing was booked.
        """
        seconds, joules = as_quantity("seconds", seconds, 0.0), as_quantity("joules", joules, -_MOST, _MOST)
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
        """Go on exactly there; what is above this ledger's capacity is not kept.

        Raises:
            InputError: it is damaged, or of a ledger of another kind; then nothing has changed.
        """
        check_keys(state, "balance", "bins", "now", "time")
        bins = state["bins"]
        if not isinstance(bins, list) or len(bins) != BINS + 1:
            raise InputError(f"state: found a ledger of another kind, allowed is one of {BINS + 1} parts of an hour")
        spent = [number({"bins": each}, "bins") for each in bins]
        balance, now = number(state, "balance"), count(state, "now", high=BINS)
        self._time = number(state, "time", 0.0, HOUR / BINS)
        self._bins, self._now, self.balance = spent, now, min(balance, self.capacity)
        self._past = sum(joules for place, joules in enumerate(spent) if place != now)
