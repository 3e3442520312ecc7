"""What the study trains: data, network, and the recipes to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aspen.data import Dataset
    from aspen.models.ready import DenseNet
    from aspen.training.recipes import Recipe

WARM = "warm"
DIAL = "dial"


@dataclass(frozen=True)
class Problem:
    """A data set with a network for it.

    Args:
        name: of the data set.
        sizes: neurons per layer, the inputs first.
        prices: spike prices of the envelope, one network each.
        low_price, high_price, slope: of the dial.
        epochs: of each of the two stages.
        batch_size: samples per step.
        budgets: hidden spikes per inference at which the two are compared.
        learning_rate: of all networks.
        warm_price: spike price of the first stage, whose weights envelope and dial begin with.
        chip: whose integers and energies.
        groups: most different slopes in a layer; ``None`` where the chip stores a threshold for each neuron.
        perturbed: whether a network with perturbed thresholds is trained beside them.
        model: keyword arguments of :class:`aspen.models.ready.DenseNet`.
        settings: what all recipes have beside the above.
    """

    name: str
    sizes: tuple[int, ...]
    prices: Sequence[float]
    low_price: float
    high_price: float
    slope: float
    epochs: int
    batch_size: int
    budgets: Sequence[int]
    learning_rate: float = 2e-3
    warm_price: float = 0.1
    chip: str = "loihi1"
    groups: int | None = 8
    perturbed: bool = True
    model: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    def data(self, cell: str, path: str | None) -> Dataset:
        """What a network is trained and measured on: the same for all."""
        from aspen.data import load_dataset

        return load_dataset(self.name, path)

    def network(self, cell: str) -> DenseNet:
        """The model of a network, with weights drawn by torch's generator: the same for all."""
        from aspen.models.ready import DenseNet

        return DenseNet(self.sizes, **self.model)  # type: ignore[arg-type]

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the networks of one seed, in the order in which they are trained."""
        last = ("plain", "perturbed") if self.perturbed else ("plain",)
        return (WARM, DIAL, *(f"l1-{price:g}" for price in self.prices), *last)

    def stage(self, cell: str) -> Recipe:
        """What all recipes have in common, one stage long."""
        from aspen.training.recipes import Recipe

        common: dict[str, object] = {"learning_rate": self.learning_rate, "average": 0.99, **self.settings}
        return Recipe(cell, epochs=self.epochs, batch_size=self.batch_size, **common)  # type: ignore[arg-type]

    def recipe(self, cell: str) -> Recipe:
        """How a network is trained; all but ``plain`` and ``perturbed`` go on from ``warm``."""
        from aspen.thresholds.settings import PerturbationSettings

        base = self.stage(cell)
        if cell == WARM:
            return replace(base, spike_price=self.warm_price)
        if cell == DIAL:
            return self._dialled(base)
        if cell == "plain":
            return replace(base, then=(base,))
        if cell == "perturbed":
            first = replace(base, spike_price=0.2, perturbation=PerturbationSettings(low=0.4, high=2.5))
            return replace(first, then=(replace(first, warm_up=0.0),))
        return replace(base, spike_price=float(cell.partition("-")[2]), warm_up=0.0)

    def _dialled(self, base: Recipe) -> Recipe:
        """The dial, whose slopes are brought together where they must be few."""
        from aspen.training.recipes import DialTraining, dial_stages

        dial = DialTraining(low_price=self.low_price, high_price=self.high_price, slope=self.slope)
        if self.groups is None:
            return replace(base, dial=dial)
        free, few = dial_stages(base, dial, self.groups)
        return replace(free, then=(few,))

    def begins_with(self, cell: str) -> str | None:
        """The network whose weights ``cell`` begins with."""
        return None if cell in (WARM, "plain", "perturbed") else WARM


_FEATURES = Problem(
    "har-levels",
    (168, 128, 128, 6),
    prices=(1.0,),
    low_price=0.002,
    high_price=3.0,
    slope=1.2,
    epochs=20,
    batch_size=128,
    budgets=(30, 40, 50, 75, 100, 150, 200, 400),
    warm_price=0.03,
    perturbed=False,
    model={"batch_norm": True, "learn_beta": True, "readout": "linear"},
    settings={"scores": "mean", "label_smoothing": 0.1, "weight_decay": 0.01, "rise": 0.1},
)

PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem(
            "digits",
            (64, 128, 64, 10),
            prices=(0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
            low_price=0.0003,
            high_price=30.0,
            slope=2.0,
            epochs=60,
            batch_size=64,
            budgets=(30, 40, 75, 150, 300, 600),
        ),
        Problem(
            "har",
            (18, 128, 128, 6),
            prices=(0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
            low_price=0.001,
            high_price=100.0,
            slope=2.0,
            epochs=32,
            batch_size=128,
            budgets=(50, 70, 90, 100, 125, 150, 200, 300, 400, 800, 1600),
            warm_price=1.0,
            model={"batch_norm": True},
        ),
        _FEATURES,
        replace(_FEATURES, name="har-current", chip="loihi2", groups=None),
    )
}
"""Name -> problem. ``har-levels`` and ``har-current`` are UCI HAR again, with features of the motion as input."""
