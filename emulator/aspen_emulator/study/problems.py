"""What the study trains: data, network, and the recipes to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aspen.data import Dataset
    from aspen.recipes import Recipe

WARM = "warm"
DIAL = "dial"


@dataclass(frozen=True)
class Problem:
    """A data set with a network for it.

    Args:
        name: of the data set.
        sizes: neurons per layer, the inputs first.
        prices: spike prices of the envelope, one network each.
        low_price, high_price: of the dial.
        epochs: of each of the two stages.
        batch_size: samples per step.
        budgets: hidden spikes per inference at which the two are compared.
    """

    name: str
    sizes: tuple[int, ...]
    prices: Sequence[float]
    low_price: float
    high_price: float
    epochs: int
    batch_size: int
    budgets: Sequence[int]
    learning_rate: float = 2e-3

    def load(self, path: str | Path | None) -> Dataset:
        """The data; ``path`` is where a data set lies that does not ship."""
        from aspen.data import load_dataset

        return load_dataset(self.name, path)

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the networks of one seed, in the order in which they are trained."""
        return (WARM, DIAL, *(f"l1-{price:g}" for price in self.prices), "plain", "perturbed")

    def recipe(self, cell: str) -> Recipe:
        """How a network is trained; all but ``plain`` and ``perturbed`` go on from ``warm``."""
        from aspen.recipes import DialTraining, Recipe

        base = Recipe(
            cell, epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate, average=0.99
        )
        if cell == WARM:
            return replace(base, spike_price=0.1)
        if cell == DIAL:
            dial = DialTraining(low_price=self.low_price, high_price=self.high_price)
            grouped = max(1, self.epochs * 3 // 8)
            last = replace(
                base,
                dial=replace(dial, groups=8),
                epochs=grouped,
                learning_rate=self.learning_rate / 2,
                average_from=0.2,
            )
            return replace(base, dial=dial, epochs=max(1, self.epochs - grouped), then=last)
        if cell == "plain":
            return replace(base, then=base)
        if cell == "perturbed":
            moved: Mapping[str, object] = {"low": 0.4, "high": 2.5}
            first = replace(base, spike_price=0.2, perturbation=moved)
            return replace(first, then=replace(first, warm_up=0.0))
        return replace(base, spike_price=float(cell.partition("-")[2]), warm_up=0.0)

    def begins_with(self, cell: str) -> str | None:
        """The network whose weights ``cell`` begins with."""
        return None if cell in (WARM, "plain", "perturbed") else WARM


PROBLEMS = {
    "digits": Problem(
        "digits", (64, 128, 64, 10), (0.03, 0.1, 0.3, 1.0, 3.0, 10.0), 0.03, 30.0, 60, 64, (30, 40, 75, 150, 300, 600)
    ),
    "har": Problem(
        "har", (18, 128, 128, 6), (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0), 0.03, 100.0, 32, 128,
        (90, 100, 125, 150, 200, 300, 400, 800, 1600),
    ),
}  # fmt: skip
