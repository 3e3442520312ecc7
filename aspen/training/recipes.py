"""Recipes: how to train, as small values that can be read, combined and changed with ``dataclasses.replace``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from aspen._base.checks import as_flag, as_integer, as_name, as_number
from aspen._base.names import unknown_name
from aspen.errors import InputError

PENALTIES = ("l1", "l2")
COSTS = ("spikes", "operations")
SCORES = ("sum", "mean")
LARGEST_PRICE = 1e38
"""Of spikes: float32, in which models are trained, holds no larger ones."""


@dataclass(frozen=True)
class DialTraining:
    """A dial that is learned with the network (:func:`aspen.learn_dial`).

    Every sample of a batch gets a knob of its own, spread evenly over -0.1 to 1.1 and clipped to 0 to 1, and the loss
    ``(cross-entropy + price * penalty) / (1 + price)^0.5`` with the price of its knob: ``low_price`` at 0 and
    ``high_price`` at 1, even in the logarithm. So one network learns to be accurate at one end and frugal at the other.

    Args:
        low_price, high_price: price on spikes at knob 0 and 1. The higher one sets how far the dial reaches.
        slope, offset, jitter: as in :func:`aspen.learn_dial`.
        rate: learning rate of slopes and offsets, in units of the recipe's.
        groups: most different slopes in a layer, found among those of the stage before; ``None`` for one per neuron. A
            chip's core stores few different thresholds: 8 on Loihi.
        frozen: leave the network's weights, decays and BatchNorm alone and learn the dial only: quick, good at the
            accurate end, and no match for a network that learned with its dial at the sparse one.
    """

    low_price: float = 0.001
    high_price: float = 10.0
    slope: float = 2.0
    offset: float = -0.2
    jitter: float = 0.1
    rate: float = 3.0
    groups: int | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        for what in ("low_price", "high_price", "slope", "offset", "jitter", "rate"):
            object.__setattr__(self, what, as_number(f"dial: {what}", getattr(self, what)))
        if self.groups is not None:
            object.__setattr__(self, "groups", as_integer("dial: groups", self.groups, 1))
        object.__setattr__(self, "frozen", as_flag("dial: frozen", self.frozen))
        if not 0 < self.low_price <= self.high_price <= LARGEST_PRICE:
            raise InputError(
                f"dial: found prices from {self.low_price} to {self.high_price}, allowed is 0 < low <= high <= "
                f"{LARGEST_PRICE:g}; e.g. 0.001 and 10"
            )


@dataclass(frozen=True)
class Recipe:
    """How to train, in one stage or several.

    >>> mine = Recipe("mine", spike_price=0.2, perturbation={"low": 0.4, "high": 2.5}, epochs=10)
    >>> replace(mine, spike_price=0.5, then=Recipe("tune", epochs=5)).stages[1].name
    'tune'

    Args:
        name: short name.
        spike_price: weight of the penalty in the loss.
        penalty: ``l1``: 100 x the mean number of spikes per hidden neuron and time step; ``l2``: the square of that
            number for each neuron, averaged over the neurons.
        cost: what a spike counts: 1 (``spikes``), or the synaptic operations that it causes, in units of their mean
            over the hidden neurons (``operations``).
        prices: layer -> factor on the price of its spikes; layers left out have 1.
        target: spikes per 100 neurons and steps below which there is no price.
        warm_up: the price rises from 0 over this fraction of the training, so that it does not silence the network
            before there is anything to keep.
        perturbation: keyword arguments of :func:`aspen.perturb_thresholds`; ``None`` leaves the thresholds alone.
        dial: a dial that is learned; ``None`` for none. It excludes a perturbation, and has prices of its own.
        epochs: passes over the training data.
        batch_size: samples per step.
        learning_rate: of Adam, at the start; it falls to 0 along a cosine.
        rise: the learning rate first rises from 0 to that over this fraction of the training.
        weight_decay: of AdamW (Loshchilov & Hutter, ICLR 2019), on the model's weights; 0 is Adam.
        label_smoothing: part of each label that is spread over all classes.
        scores: what the loss takes of the model's answers: their ``sum`` over time, or their ``mean``, which suits
            read-outs that are no spikes. The classes rank alike.
        clip: the gradient's norm is clipped to this.
        average: decay of the running average of the weights that is kept in the end; 0 keeps the last weights.
        average_from: the average begins after this fraction of the training.
        patience: stop after so many epochs without a better validation accuracy, and keep the best weights; ``None``
            trains all epochs and keeps the last.
        then: a recipe that goes on with the trained network.
    """

    name: str
    spike_price: float = 0.0
    penalty: str = "l1"
    cost: str = "spikes"
    prices: Mapping[str, float] = field(default_factory=dict)
    target: float = 0.0
    warm_up: float = 0.25
    perturbation: Mapping[str, object] | None = None
    dial: DialTraining | None = None
    epochs: int = 45
    batch_size: int = 64
    learning_rate: float = 1e-2
    rise: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    scores: str = "sum"
    clip: float = 1.0
    average: float = 0.0
    average_from: float = 0.4
    patience: int | None = None
    then: Recipe | None = None

    def __post_init__(self) -> None:
        for what, allowed in (("penalty", PENALTIES), ("cost", COSTS), ("scores", SCORES)):
            as_name(what, getattr(self, what), allowed)
        for what in ("epochs", "batch_size", "patience"):
            if what != "patience" or self.patience is not None:
                object.__setattr__(self, what, as_integer(f"{self.name}: {what}", getattr(self, what), 1))
        below_1 = 1.0 - 1e-9
        limits = {"warm_up": 1.0, "average_from": 1.0, "average": below_1, "target": 100.0, "rise": 1.0}
        limits |= {"weight_decay": 1.0, "label_smoothing": below_1}
        for what, top in limits.items():
            object.__setattr__(self, what, as_number(what, getattr(self, what), 0, top))
        for what in ("learning_rate", "clip"):
            object.__setattr__(self, what, as_number(what, getattr(self, what), 0, above=True))
        object.__setattr__(self, "spike_price", as_number("spike_price", self.spike_price, 0, LARGEST_PRICE))
        for layer, price in self.prices.items():
            as_number(f"prices of {layer}", price, 0, LARGEST_PRICE)
        if self.dial is not None and self.perturbation is not None:
            raise InputError(f"{self.name}: found a perturbation beside a dial, allowed is one; a dial has its jitter")

    @property
    def stages(self) -> tuple[Recipe, ...]:
        """This recipe, and those that follow it."""
        return tuple(self._stages())

    def _stages(self) -> Iterator[Recipe]:
        stage: Recipe | None = self
        while stage is not None:
            yield stage
            stage = stage.then


def _gentle(name: str, **settings: object) -> Recipe:
    """Slower than the default, with averaging: what the dial and its fair rivals are trained with."""
    common: dict[str, object] = {"epochs": 32, "batch_size": 64, "learning_rate": 2e-3, "average": 0.99}
    return Recipe(name, **(common | settings))  # type: ignore[arg-type]


def _dialled(name: str, price: float, dial: DialTraining, epochs: int, **settings: object) -> Recipe:
    """A light price, then a dial as long again, whose slopes are brought together during the last three eighths."""
    last = 3 * epochs // 8
    few = _gentle("dial in groups", dial=replace(dial, groups=8), epochs=last, learning_rate=1e-3, average_from=0.2,
                  **settings)  # fmt: skip
    free = _gentle("dial", dial=dial, epochs=epochs - last, then=few, **settings)
    return _gentle(name, spike_price=price, epochs=epochs, then=free, **settings)


RECIPES = {
    "plain": Recipe("plain"),
    "l1": _gentle("l1", spike_price=0.1, then=_gentle("l1", spike_price=0.1, warm_up=0.0)),
    "l2": _gentle("l2", spike_price=0.1, penalty="l2", then=_gentle("l2", spike_price=0.1, penalty="l2", warm_up=0.0)),
    "perturbed": Recipe("perturbed", spike_price=0.2, perturbation={"low": 0.4, "high": 2.5}),
    "aspen": _dialled("aspen", 0.1, DialTraining(), 32),
    "aspen-norm": _dialled(
        "aspen-norm", 0.03, DialTraining(low_price=0.002, high_price=3.0, slope=1.2), 20,
        batch_size=128, scores="mean", label_smoothing=0.1, weight_decay=0.01, rise=0.1,
    ),
}  # fmt: skip
"""``plain``: nothing but accuracy. ``l1``, ``l2``: a price on spikes, in two stages. ``perturbed``: thresholds moved at
random and a price on spikes. ``aspen``: a light price first, then a dial for every neuron, whose slopes are at last
brought together into eight for each layer, as many thresholds as a core of Loihi stores. ``aspen-norm``: the same for
networks with BatchNorm and a linear read-out."""


def recipe(name: str) -> Recipe:
    """The recipe called ``name``.

    >>> recipe("perturbed").name
    'perturbed'

    Raises:
        InputError: there is none.
    """
    if name not in RECIPES:
        raise InputError(unknown_name("recipe", name, RECIPES))
    return RECIPES[name]
