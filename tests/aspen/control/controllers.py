"""Every controller, ready to be made, for the tests that all of them go through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aspen.control import AccuracyFloor, Battery, Budget, Controller, Decision, Manual, Spent
from tests.control_tables import WINDOW, made_table

STEP = 500e-9
"""The worst that a time step costs in these tests, joules."""


class Cautious(Manual):
    """A user's subclass that keeps more than the class it is made of."""

    def __init__(self, knob: float, duty: float = 1.0) -> None:
        super().__init__(knob, duty)
        self.spent = 0.0

    def update(self, spent: Spent) -> Decision:
        self.spent += spent.dynamic
        return super().update(spent)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "spent": self.spent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        spent = rest.pop("spent", None)
        super().load_state_dict(rest)
        self.spent = spent


class Alternating:
    """A user's own controller, from scratch: one knob after the other."""

    left = None

    def __init__(self) -> None:
        self._windows = 0

    @property
    def decision(self) -> Decision:
        return Decision(self._windows % 3 / 2)

    def update(self, spent: Spent) -> Decision:
        self._windows += 1
        return self.decision

    def state_dict(self) -> dict[str, Any]:
        return {"windows": self._windows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._windows = state["windows"]


@dataclass(frozen=True)
class Maker:
    """How a controller is made: of its class, a table where it takes one, and the numbers that are its settings."""

    made: Callable[..., Controller]
    settings: Mapping[str, float]
    table: bool = True
    dial: str = "profile"

    def __call__(self, number: Callable[[float], Any] = float, **changes: Any) -> Controller:
        """One; ``number`` is what makes a setting's number, such as a type of NumPy's."""
        table = {"table": made_table(self.dial)} if self.table else {}
        return self.made(**{**table, **{name: number(value) for name, value in self.settings.items()}, **changes})


_TURNED = {"agility": 0.5, "max_change": 0.25}
_TIMED = {"window_seconds": WINDOW, "worst_step": STEP}
_BUDGET = {"watts": 400e-9 / WINDOW, **_TIMED, "static_watts": 1e-9, "keep": 0.025, "patience": 25.0, **_TURNED}
OURS = {
    "manual": Maker(Manual, {"knob": 0.25, "duty": 0.75}, table=False),
    "budget": Maker(Budget, {**_BUDGET, "sparsest": 0.75}),
    "budget of a scale": Maker(Budget, {**_BUDGET, "sparsest": 3.0}, dial="scale"),
    "battery": Maker(
        Battery, {"joules": 200e-6, "seconds": 500 * WINDOW, **_TIMED, "static_watts": 1e-9, "sparsest": 0.5, **_TURNED}
    ),
    "floor": Maker(AccuracyFloor, {"level": 0.5, "gain": 0.25}),
    "floor of a scale": Maker(AccuracyFloor, {"level": 0.5, "gain": 0.25}, dial="scale"),
}
"""The controllers of the library."""
MAKERS = {
    **OURS,
    "a user's subclass": Maker(Cautious, {"knob": 0.25, "duty": 0.75}, table=False),
    "a user's own": Maker(Alternating, {}, table=False),
}


def settings_of(makers: Mapping[str, Maker]) -> Iterator[tuple[str, str]]:
    """(controller, setting) of all."""
    yield from ((name, setting) for name, maker in makers.items() for setting in maker.settings)
