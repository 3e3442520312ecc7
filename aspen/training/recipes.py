"""Recipes: how to train, as small values that can be read, combined and changed with ``dataclasses.replace``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aspen._base.above import all_run_programs
from aspen._base.arrays import Rebuilt
from aspen._base.checks import as_flag, as_integer, as_name, as_number, shown
from aspen.dial.path import as_every
from aspen.errors import InputError
from aspen.thresholds.settings import PerturbationSettings

PENALTIES = ("l1", "l2")
COSTS = ("spikes", "operations", "energy")
SCORES = ("sum", "mean", "auto")
STAYING = ("telling", "weights")
LARGEST_PRICE = 1e38
"""Of spikes: float32, in which models are trained, holds no larger ones."""


@dataclass(frozen=True)
class DialTraining:
    """A dial that is learned with the network (:func:`aspen.learn_dial`).

    Every sample of a batch gets a knob of its own, spread evenly (see ``beyond``) and clipped to 0 to 1, and the loss
    ``(cross-entropy + price * penalty) / (1 + price)^0.5`` with the price of its knob: ``low_price`` at 0 and
    ``high_price`` at 1, even in the logarithm. So one network learns to be accurate at one end and frugal at the other.

    Args:
        low_price, high_price: price on spikes at knob 0 and 1. The higher one sets how far the dial reaches.
        slope, offset, jitter: as in :func:`aspen.learn_dial`.
        rate: learning rate of slopes and offsets, in units of the recipe's.
        groups: most different slopes in a layer, found among those of the stage before; ``None`` for one per neuron. A
            chip's core stores few different thresholds: 8 on Loihi.
        left: share of each hidden layer's neurons that are on at knob 1. The others go off one group after the other
            while the knob rises, in equal ratios of what is left; 1: all stay on. A neuron that is off does not fire.
            As spikes go with the neurons, take a ``high_price`` of 0.05 or less, and 0.5 ``beyond``: the recipe
            ``aspen-joules`` has these.
        least: neurons of each hidden layer that stay on at least, or half of it, where these are fewer: few answer
            badly, whatever share of the layer they are. The recipes by name have 16.
        staying: which neurons stay on longest: those that are most ``telling`` beside each other
            (:mod:`aspen.training.telling`), or those with the largest outgoing ``weights``.
        beyond: how far beyond 0 and 1 knobs are drawn, before they are clipped: with 0.5 a quarter of the samples is at
            each end.
        every: numbers n, one of which is drawn for each batch, of which the network then gets every n-th time step
            alone: for a knob that leaves out steps (``aspen calibrate --every``).
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
    left: float = 1.0
    least: int = 1
    staying: str = "telling"
    beyond: float = 0.1
    every: Sequence[int] = (1,)
    frozen: bool = False

    def __post_init__(self) -> None:
        for what in ("low_price", "high_price", "slope", "offset"):
            object.__setattr__(self, what, as_number(f"dial: {what}", getattr(self, what)))
        for what in ("jitter", "rate", "beyond"):
            object.__setattr__(self, what, as_number(f"dial: {what}", getattr(self, what), 0))
        object.__setattr__(self, "left", as_number("dial: left", self.left, 0, 1, above=True))
        object.__setattr__(self, "least", as_integer("dial: least", self.least, 1))
        as_name("dial: staying", self.staying, STAYING)
        if self.groups is not None:
            object.__setattr__(self, "groups", as_integer("dial: groups", self.groups, 1))
        object.__setattr__(self, "frozen", as_flag("dial: frozen", self.frozen))
        object.__setattr__(self, "every", as_every(self.every, len(self.every)) or (1,))
        if not 0 < self.low_price <= self.high_price <= LARGEST_PRICE:
            raise InputError(
                f"dial: found prices from {self.low_price} to {self.high_price}, allowed is 0 < low <= high <= "
                f"{LARGEST_PRICE:g}; e.g. 0.001 and 10"
            )


@dataclass(frozen=True)
class Joules:
    """What single events cost, for the price of a training: those of a chip by
    :func:`aspen_hardware.energy.prices.training_prices`.

    Args:
        spike: a spike, fired and sent.
        operation: a synaptic operation, or a multiply-accumulate of an analog input.
        update: of a neuron at a time step.
    """

    spike: float
    operation: float
    update: float

    def __post_init__(self) -> None:
        for what in ("spike", "operation", "update"):
            object.__setattr__(self, what, as_number(f"joules: {what}", getattr(self, what), 0, 1))
        if self.spike == self.operation == 0:
            raise InputError(
                "joules: found no cost of spikes and of synaptic operations, allowed is above 0 for one: nothing else "
                "can be trained for; take cost='spikes'"
            )


_BELOW_1 = 1.0 - 1e-9
_LARGEST = {
    "warm_up": 1.0,
    "average_from": 1.0,
    "average": _BELOW_1,
    "target": LARGEST_PRICE,
    "rise": 1.0,
    "weight_decay": 1.0,
    "label_smoothing": _BELOW_1,
    "spike_price": LARGEST_PRICE,
    "prune_from": 1.0,
    "prune_until": 1.0,
}
"""Numbers of a recipe that begin at 0, and the largest that each may be."""


@dataclass(frozen=True)
class Recipe(Rebuilt):
    """How to train, in one stage or several.

    >>> light = Recipe("light", spike_price=0.05, epochs=10)
    >>> strict = Recipe("strict", spike_price=0.5, perturbation=PerturbationSettings(low=0.4, high=2.5))
    >>> [stage.name for stage in replace(light, then=(strict,)).stages]
    ['light', 'strict']

    Args:
        name: short name.
        spike_price: weight of the penalty in the loss.
        penalty: ``l1``: 100 x the mean number of spikes per hidden neuron and time step; ``l2``: the square of that
            number for each neuron, averaged over the neurons.
        cost: what a spike counts: 1 (``spikes``), or the synaptic operations that it causes, in units of their mean
            over the hidden neurons (``operations``), or the joules of both (``energy``), in units of their mean too.
            Joules are those of the whole network, synaptic operations of the input and updates of all neurons included:
            spikes do not move these, but a ``target`` counts them.
        joules: of single events, where the cost is ``energy``.
        prices: layer -> factor on the price of its spikes; layers left out have 1.
        target: spikes per 100 neurons and steps (or what costs as much) below which there is no price.
        warm_up: the price rises from 0 over this fraction of the training, so that it does not silence the network
            before there is anything to keep.
        perturbation: how the thresholds are moved at random; ``None`` leaves them alone.
        dial: a dial that is learned; ``None`` for none. It excludes a perturbation, and has prices of its own.
        epochs: passes over the training data.
        batch_size: samples per step.
        learning_rate: of Adam, at the start; it falls to 0 along a cosine.
        rise: the learning rate first rises from 0 to that over this fraction of the training.
        weight_decay: of AdamW (Loshchilov & Hutter, ICLR 2019), on the model's weights; 0 is Adam.
        label_smoothing: part of each label that is spread over all classes.
        scores: what the loss takes of the model's answers: their ``sum`` over time, or their ``mean``, which suits
            read-outs that are no spikes; ``auto``: the mean where the last layer with weights does not spike. The
            classes rank alike.
        clip: the gradient's norm is clipped to this.
        average: decay of the running average of the weights that is kept in the end; 0 keeps the last weights.
        average_from: the average begins after this fraction of the training.
        patience: stop after so many epochs without a better validation accuracy, and keep the best weights; ``None``
            trains all epochs and keeps the last. Epochs before all is pruned do not count.
        density: share of its weights that a layer keeps, above 0 to 1: a number for all layers but the last, whose few
            weights make the answer, and but for recurrent weights; or layer -> number, recurrent ones as
            ``lif1.recurrent``. Those that matter least are pruned, for good (see
            :mod:`aspen.training.pruning`); biases and BatchNorm are left alone.
        prune_from, prune_until: pruning begins and ends after these fractions of the training, fast at first; both
            alike prune at once.
        then: the stages after this one, each of which goes on with the trained network.

    Raises:
        InputError: a value that is not allowed.
    """

    name: str
    spike_price: float = 0.0
    penalty: str = "l1"
    cost: str = "spikes"
    joules: Joules | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    target: float = 0.0
    warm_up: float = 0.25
    perturbation: PerturbationSettings | None = None
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
    density: float | Mapping[str, float] = 1.0
    prune_from: float = 0.1
    prune_until: float = 0.6
    then: Sequence[Recipe] = ()

    def __post_init__(self) -> None:
        for what, allowed in (("penalty", PENALTIES), ("cost", COSTS), ("scores", SCORES)):
            as_name(what, getattr(self, what), allowed)
        for what in ("epochs", "batch_size", "patience"):
            if what != "patience" or self.patience is not None:
                object.__setattr__(self, what, as_integer(f"{self.name}: {what}", getattr(self, what), 1))
        for what, largest in _LARGEST.items():
            object.__setattr__(self, what, as_number(what, getattr(self, what), 0, largest))
        for what in ("learning_rate", "clip"):
            object.__setattr__(self, what, as_number(what, getattr(self, what), 0, above=True))
        self._check_prices()
        self._check_joules()
        self._check_density()
        self._check_thresholds()
        self._check_then()

    def _check_prices(self) -> None:
        if not isinstance(self.prices, Mapping):
            raise InputError(
                f"{self.name}: prices: found {shown(self.prices)}, allowed is a price for each of some layers; write "
                f'prices={{"lif1": 2.0}}'
            )
        prices = {layer: as_number(f"prices of {layer}", x, 0, LARGEST_PRICE) for layer, x in self.prices.items()}
        object.__setattr__(self, "prices", prices)
        self._close("prices")

    def _check_joules(self) -> None:
        given = isinstance(self.joules, Joules)
        if given != (self.cost == "energy") or not (given or self.joules is None):
            raise InputError(
                f"{self.name}: joules: found {shown(self.joules)} with the cost {self.cost!r}, allowed are Joules with "
                f"'energy' and None otherwise; write cost='energy', joules=Joules(spike=0, operation=2e-11, "
                f"update=8e-11)"
            )
        if given and self.penalty == "l2":
            raise InputError(
                f"{self.name}: found the penalty 'l2' with joules, which add up, allowed is 'l1'; use that"
            )

    def _check_density(self) -> None:
        given = self.density
        if isinstance(given, Mapping):
            shares = {layer: as_number(f"density of {layer}", x, 0, 1, above=True) for layer, x in given.items()}
            object.__setattr__(self, "density", shares)
            self._close("density")
        else:
            object.__setattr__(self, "density", as_number("density", given, 0, 1, above=True))
        if self.prune_from > self.prune_until:
            raise InputError(
                f"{self.name}: found pruning from {self.prune_from:g} until {self.prune_until:g} of the training, "
                f"allowed is a beginning before the end; e.g. 0.1 and 0.6"
            )
        if self.prunes and isinstance(self.dial, DialTraining) and self.dial.frozen:
            raise InputError(
                f"{self.name}: found a density beside a frozen dial, allowed is one: what is frozen is not pruned; "
                f"prune in the stage before"
            )

    @property
    def prunes(self) -> bool:
        """Whether any layer loses weights in this stage."""
        shares = self.density.values() if isinstance(self.density, Mapping) else (self.density,)
        return min(shares, default=1.0) < 1

    def _check_thresholds(self) -> None:
        kinds = (("perturbation", PerturbationSettings, "low=0.4, high=2.5"), ("dial", DialTraining, "high_price=10.0"))
        for what, kind, example in kinds:
            value = getattr(self, what)
            if value is not None and not isinstance(value, kind):
                raise InputError(
                    f"{self.name}: {what}: found {shown(value)}, allowed are {kind.__name__} and None; write "
                    f"{what}={kind.__name__}({example})"
                )
        if self.dial is not None and self.perturbation is not None:
            raise InputError(f"{self.name}: found a perturbation beside a dial, allowed is one; a dial has its jitter")

    def _check_then(self) -> None:
        if not isinstance(self.then, Sequence) or not all(isinstance(each, Recipe) for each in self.then):
            raise InputError(
                f"{self.name}: then: found {shown(self.then)}, allowed are recipes in a tuple; write then=(recipe,)"
            )
        object.__setattr__(self, "then", tuple(stage for each in self.then for stage in each.stages))

    @property
    def stages(self) -> tuple[Recipe, ...]:
        """Each stage as a recipe of its own, which nothing follows."""
        return (replace(self, then=()), *self.then) if self.then else (self,)

    def each(self, change: Callable[[Recipe], Recipe]) -> Recipe:
        """The recipe whose stages are what ``change`` makes of this one's.

        >>> recipe("l1").each(lambda stage: replace(stage, epochs=3)).then[0].epochs
        3
        """
        first, *later = (change(stage) for stage in self.stages)
        return replace(first, then=later)


def _gentle(name: str, **settings: object) -> Recipe:
    """Slower than the default, with averaging: what the dial and its fair rivals are trained with."""
    common: dict[str, object] = {"epochs": 32, "batch_size": 64, "learning_rate": 2e-3, "average": 0.99}
    return Recipe(name, **(common | settings))  # type: ignore[arg-type]


def _priced(name: str, **settings: object) -> Recipe:
    """A price on spikes, as long again once it has risen."""
    first = _gentle(name, spike_price=0.1, **settings)
    return replace(first, then=(replace(first, warm_up=0.0),))


def dial_stages(base: Recipe, dial: DialTraining, groups: int) -> tuple[Recipe, ...]:
    """How a dial is learned in the epochs of ``base``: freely, then with few slopes in each layer.

    Args:
        base: all other settings; each of the two has one epoch at least.
        dial: as it begins. One that switches neurons off takes one stage: those that go off together share a slope from
            the start.
        groups: most different slopes in a layer; they are brought together during the last three eighths, at half the
            learning rate.
    """
    if dial.left < 1:
        return (replace(base, dial=replace(dial, groups=groups)),)
    last = max(1, 3 * base.epochs // 8)
    free = replace(base, dial=dial, epochs=max(1, base.epochs - last))
    few = replace(base, dial=replace(dial, groups=groups), epochs=last)
    return free, replace(few, learning_rate=base.learning_rate / 2, average_from=0.2)


def _dialled(name: str, price: float, dial: DialTraining, epochs: int, **settings: object) -> Recipe:
    """A light price, then a dial as long again."""
    free, few = dial_stages(_gentle("dial", epochs=epochs, **settings), dial, groups=8)
    return _gentle(name, spike_price=price, epochs=epochs, then=(free, replace(few, name="dial in groups")), **settings)


def _for_joules(name: str, dial: DialTraining, density: float, rate: float) -> Recipe:
    """Nothing but accuracy first, then a dial that switches neurons off, as long again, at ``rate`` times the learning
    rate; pruned as that begins, so that the weights that are kept are those that matter with few neurons on."""
    first = _gentle(name, scores="auto", **_STEADY)
    faster = rate * first.learning_rate
    second = replace(first, name="nested dial", density=density, prune_from=0.0, prune_until=0.3, learning_rate=faster)
    return replace(first, then=dial_stages(second, dial, groups=8))


_STEADY: dict[str, Any] = {"label_smoothing": 0.1, "weight_decay": 0.01, "rise": 0.1}
_FOR_READOUTS: dict[str, Any] = {"batch_size": 128, "scores": "mean", **_STEADY}
"""Of networks with BatchNorm and a linear read-out."""
_NESTED = DialTraining(low_price=0.002, high_price=0.05, slope=0.0, offset=0.0, left=0.125, least=16, beyond=0.5)
RECIPES = {
    "plain": Recipe("plain"),
    "l1": _priced("l1"),
    "l2": _priced("l2", penalty="l2"),
    "perturbed": Recipe("perturbed", spike_price=0.2, perturbation=PerturbationSettings(low=0.4, high=2.5)),
    "aspen": _dialled("aspen", 0.1, DialTraining(), 32),
    "aspen-norm": _dialled(
        "aspen-norm", 0.03, DialTraining(low_price=0.002, high_price=3.0, slope=1.2), 20, **_FOR_READOUTS
    ),
    "aspen-joules": _for_joules("aspen-joules", _NESTED, density=0.25, rate=1.0),
    "aspen-mcu": _for_joules("aspen-mcu", replace(_NESTED, left=0.0625), density=1.0, rate=2.0),
}  # fmt: skip
"""``plain``: nothing but accuracy. ``l1``, ``l2``: a price on spikes, in two stages. ``perturbed``: thresholds moved at
random and a price on spikes. ``aspen``: a light price first, then a dial for every neuron, whose slopes are at last
brought together into eight for each layer, as many thresholds as a core of Loihi stores. ``aspen-norm``: the same for
networks with BatchNorm and a linear read-out. ``aspen-joules``: for all of them, a dial that switches neurons off, on a
network that is pruned to a quarter of its weights. ``aspen-mcu``: the same for microcontrollers, where neurons that are
off cost nothing and a sparse row costs more than a whole one: it keeps all weights, and a sixteenth of the neurons at
the end of the dial. Both leave 16 neurons of a layer on at least."""
DEFAULT, FOR_PROGRAMS = "aspen-joules", "aspen-mcu"
"""For those who choose none: where the network runs on a neuromorphic chip, or nobody said where; and where on a
microcontroller."""


def default_recipe(chip: Any) -> str:
    """Name of the recipe for those who choose none: what is cheap depends on where the network runs.

    Raises:
        ChipError: there is no such chip.
    """
    return FOR_PROGRAMS if chip is not None and all_run_programs(chip) else DEFAULT


def recipe(name: str) -> Recipe:
    """The recipe called ``name``.

    >>> recipe("perturbed").name
    'perturbed'

    Raises:
        InputError: there is none.
    """
    return RECIPES[as_name("recipe", name, RECIPES)]
