"""What the study in joules trains: a nested dial, and rivals pruned, narrowed and shortened for one energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aspen.data.encoders import StoredEncoder
from aspen.errors import InputError
from aspen_emulator.study.problems import PROBLEMS, Problem
from aspen_hardware import chip
from aspen_hardware.chips.parts import runs_programs

if TYPE_CHECKING:
    from aspen.data import Dataset
    from aspen.data.encoders import Encoder
    from aspen.models.ready import DenseNet
    from aspen.training.recipes import Recipe

NESTED = "nested"
PRUNED = "nested-pruned"
PLAIN = "plain"
GROUPS = 8
"""Most different slopes in a layer: as many thresholds as a core of Loihi stores."""


@dataclass(frozen=True)
class Member:
    """A network of the envelope, by the levers that it was made cheap with.

    Args:
        hidden: neurons of its hidden layers.
        price: on spikes, in its second stage.
        density: share of its weights that each layer but the last keeps.
        steps: time steps, as a share of the data set's.
        rate: learning rate of its second stage, in units of the problem's.
    """

    hidden: tuple[int, ...]
    price: float = 0.0
    density: float = 1.0
    steps: float = 1.0
    rate: float = 1.0

    @property
    def body(self) -> str:
        """Its size, and its steps where they are fewer, as in ``64-64-s0.5``."""
        sizes = "-".join(map(str, self.hidden))
        return sizes if self.steps == 1 else f"{sizes}-s{self.steps:g}"

    @property
    def first(self) -> str:
        """Name of the first stage whose weights it begins with: there is one for each body."""
        return f"first-{self.body}"

    @property
    def size(self) -> str:
        """Its levers but for price and rate, as in ``64-64-d0.25``."""
        return self.body if self.density == 1 else f"{self.body}-d{self.density:g}"

    @property
    def name(self) -> str:
        """Its levers, as in ``64-64-d0.25-r2-p0.3``."""
        return "-".join([self.size, *([] if self.rate == 1 else [f"r{self.rate:g}"]), f"p{self.price:g}"])


@dataclass(frozen=True)
class Dialled:
    """A network with a nested dial.

    Args:
        levers: its size, density, steps and rate.
        dial: keyword arguments of :class:`aspen.training.recipes.DialTraining`.
    """

    levers: Member
    dial: Mapping[str, object]


@dataclass(frozen=True)
class JoulesProblem:
    """A data set with one nested dial and its rivals.

    Args:
        base: data, network and how a stage is trained, as in the study in spikes.
        window: seconds from one inference to the next, on chips that sleep in between.
        nested: the dialled network.
        members: of the envelope, beside the plain network; the most telling first.
        epochs: of the second stage, the dial's and every member's.
        second: what all second stages have beside what the first has.
        chips: whose integers and energies.
        goal: accuracy (percent) at which the dynamic energy is told.
        every: fewer time steps that the front has beside the dial and early ends: every n-th of these, for each n.
        pruned: the dialled network for chips other than microcontrollers, where a weight that is pruned saves its
            synaptic operations, and a neuron that is off saves little; ``None``: there is one for all.
        surrogate: width of the :class:`aspen.models.surrogates.Triangle` that all networks train with; ``None``:
            snnTorch's ATan.
    """

    base: Problem
    window: float
    nested: Dialled
    members: Sequence[Member]
    epochs: int
    second: Mapping[str, object] = field(default_factory=dict)
    chips: tuple[str, ...] = ("cortex-m4", "loihi1", "xylo")
    goal: float | None = None
    every: tuple[int, ...] = (1,)
    pruned: Dialled | None = None
    surrogate: float | None = None

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.base.name

    @cached_property
    def envelope(self) -> dict[str, Member]:
        """Name -> member."""
        return {member.name: member for member in self.members}

    @cached_property
    def dialled(self) -> dict[str, Dialled]:
        """Name -> network with a dial."""
        return {NESTED: self.nested, **({} if self.pruned is None else {PRUNED: self.pruned})}

    def dial_on(self, name: str) -> str:
        """Name of the dialled network that is compared on a chip."""
        return PRUNED if self.pruned is not None and not runs_programs(chip(name)) else NESTED

    @cached_property
    def _firsts(self) -> dict[str, Member]:
        """First stage -> a network that begins with it."""
        return {member.first: member for member in (*self._dialled_levers.values(), *self.members)}

    @cached_property
    def _dialled_levers(self) -> dict[str, Member]:
        return {name: network.levers for name, network in self.dialled.items()}

    @cached_property
    def _levers(self) -> dict[str, Member]:
        return {**self._firsts, **self._dialled_levers, **self.envelope, PLAIN: Member(self.base.sizes[1:-1])}

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the networks of one seed, in the order in which they are trained."""
        return tuple(self._levers)

    @property
    def measured(self) -> tuple[str, ...]:
        """Those that are compared; ``nested`` stands for :meth:`dial_on` of each chip."""
        return (NESTED, *self.rivals)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The envelope, with the plain network."""
        return (*self.envelope, PLAIN)

    def among(self, trained: Callable[[str], bool]) -> tuple[JoulesProblem, tuple[str, ...]]:
        """The problem with the members that are trained, and the names of the others.

        Args:
            trained: whether a network is.

        Raises:
            InputError: none of the members is, or not those that all are compared with: with a dial, and plain.
        """
        missing = [cell for cell in (*self.dialled, PLAIN) if not trained(cell)]
        members = tuple(member for member in self.members if trained(member.name))
        if missing or not members:
            found = f"without {', '.join(missing)}" if missing else "with none of the envelope"
            raise InputError(
                f"{self.name}: found a folder {found}, needed for every seed are {', '.join((*self.dialled, PLAIN))} "
                f"and a network of the envelope; train them first, or ask for fewer seeds"
            )
        left = tuple(name for name, member in self.envelope.items() if member not in members)
        return replace(self, members=members), left

    def levers(self, cell: str) -> Member:
        """Size, density, price and steps of a network."""
        return self._levers[cell]

    def data(self, cell: str, path: str | None) -> Dataset:
        """What a network is trained and measured on: the same samples, in fewer steps where it has these."""
        data, share = self.base.data(cell, path), self.levers(cell).steps
        return data if share == 1 else data.with_encoder(shortened(data.encoder, share))

    def sizes(self, cell: str) -> tuple[int, ...]:
        """Neurons of each layer."""
        return (self.base.sizes[0], *self.levers(cell).hidden, self.base.sizes[-1])

    def network(self, cell: str) -> DenseNet:
        """The model of a network, with weights drawn by torch's generator."""
        from aspen.models.surrogates import Triangle

        own = {} if self.surrogate is None else {"spike_grad": Triangle(self.surrogate)}
        return replace(self.base, sizes=self.sizes(cell), model={**self.base.model, **own}).network(cell)

    def begins_with(self, cell: str) -> str | None:
        """The first stage whose weights a network goes on with."""
        return None if cell in self._firsts or cell == PLAIN else self.levers(cell).first

    def recipe(self, cell: str) -> Recipe:
        """How a network is trained; the plain one as in the study in spikes."""
        if cell == PLAIN:
            return self.base.recipe(PLAIN)
        stage, levers = self.base.stage(cell), self.levers(cell)
        if cell in self._firsts:
            return stage
        changes = {"epochs": self.epochs, "learning_rate": levers.rate * stage.learning_rate, **self.second}
        second = replace(stage, density=levers.density, **changes)  # type: ignore[arg-type]
        if cell in self.dialled:
            return _with_dial(second, self.dialled[cell].dial)
        return replace(second, spike_price=levers.price, warm_up=0.0)


def _with_dial(stage: Recipe, dial: Mapping[str, object]) -> Recipe:
    from aspen.training.recipes import DialTraining, dial_stages

    first, *then = dial_stages(stage, DialTraining(**dial), GROUPS)  # type: ignore[arg-type]
    return replace(first, then=tuple(then))


def shortened(encoder: Encoder, share: float) -> StoredEncoder:
    """The encoder with ``share`` of its steps in the same time.

    Raises:
        InputError: it has a step for each sample.
    """
    for name, factor in (("every", 1 / share), ("steps", share)):
        if isinstance(encoder, StoredEncoder) and hasattr(encoder, name):
            return replace(encoder, **{name: round(getattr(encoder, name) * factor)})
    raise InputError(
        f"steps: found {share:g} with the encoder {type(encoder).__name__}, allowed is 1, as it has a step for each "
        f"sample; leave steps out"
    )


_PRICES = (0.1, 0.01, 1.0, 0.03, 0.3)
_LIGHT = 0.01
_PRUNED = {"prune_from": 0.0, "prune_until": 0.3}
_DIAL = {"low_price": 0.002, "high_price": 0.05, "slope": 1.2, "left": 0.0625, "beyond": 0.5, "staying": "weights"}


def _members(pruned: Member, *more: Member) -> tuple[Member, ...]:
    """An envelope: a half, a quarter and an eighth of the neurons of a pruned network, and that one at five prices."""
    half, quarter, eighth = (tuple(n // by for n in pruned.hidden) for by in (2, 4, 8))
    narrow = (
        Member(half, _LIGHT, pruned.density),
        *(Member(n, _LIGHT, kept) for n in (quarter, eighth) for kept in (0.5, 1.0)),
    )
    priced = (replace(pruned, price=price) for price in _PRICES)
    return (*narrow, *more, *priced)


def _unpruned(steps: float, *sizes: tuple[int, ...]) -> tuple[Member, ...]:
    """Networks that are trained as the dial is, but for the dial."""
    return tuple(Member(hidden, _LIGHT, steps=steps, rate=2.0) for hidden in sizes)


_DIGITS, _HAR = Member((128, 64), density=0.5), Member((128, 128), density=0.25)
_WIDE = Dialled(Member((192, 128), rate=2.0), _DIAL)
_NARROW = Dialled(Member((128, 128), density=0.1, steps=0.5, rate=2.0), {**_DIAL, "high_price": 0.1, "left": 0.5})
_RATED = {**_DIAL, "low_price": 0.001, "slope": 0.0}
_SHORTER = (
    Member((96, 96), _LIGHT, 0.15, steps=0.5),
    Member((64, 64), _LIGHT, 0.25, steps=0.5),
    Member((32, 32), _LIGHT, 0.5, steps=0.5),
    *_unpruned(0.5, (128, 128), (96, 96), (64, 64), (32, 32)),
)
_PRUNED_AND_SHORTER = (
    Member((128, 128), _LIGHT, 0.1, steps=0.5, rate=2.0),
    Member((128, 128), 0.03, 0.15, steps=0.5, rate=2.0),
    Member((96, 96), 0.03, 0.15, steps=0.5, rate=2.0),
)
_ALL_STEPS = _unpruned(1.0, (96, 96), (64, 64), (192, 128))
JOULES = {
    problem.name: problem
    for problem in (
        JoulesProblem(
            PROBLEMS["digits"],
            1.0,
            Dialled(Member((192, 96), rate=2.0), {**_RATED, "high_price": 0.01, "left": 0.09, "every": (1, 2, 4)}),
            _members(
                _DIGITS,
                *(Member(hidden, _LIGHT, 0.5, steps=0.4) for hidden in ((128, 64), (64, 32), (32, 16))),
                *_unpruned(0.4, (256, 128), (128, 64), (64, 32), (32, 16)),
                *_unpruned(0.2, (128, 64), (64, 32)),
                *_unpruned(1.0, (192, 96), (128, 64), (64, 32)),
            ),
            60, _PRUNED,
            every=(1, 2, 3, 4),
            pruned=Dialled(
                Member((128, 64), density=0.5, steps=0.4, rate=2.0), {**_RATED, "high_price": 0.1, "left": 0.5}
            ),
        ),
        JoulesProblem(
            PROBLEMS["har"], 2.56,
            Dialled(Member((128, 128), rate=2.0), {**_RATED, "high_price": 0.01}),
            _members(_HAR, *_unpruned(1.0, (128, 128), (64, 64), (32, 32))), 32, _PRUNED,
        ),
        JoulesProblem(
            PROBLEMS["har-levels"], 2.56, _WIDE, _members(_HAR, *_SHORTER, *_PRUNED_AND_SHORTER, *_ALL_STEPS), 20,
            _PRUNED, goal=94.5, pruned=_NARROW, surrogate=0.5,
        ),
        JoulesProblem(
            PROBLEMS["har-current"], 2.56,
            Dialled(_WIDE.levers, {**_DIAL, "staying": "telling", "slope": 0.0, "offset": 0.0}),
            _members(_HAR, *_SHORTER, *_ALL_STEPS), 20, _PRUNED,
            chips=("cortex-m4",),
        ),
    )
}  # fmt: skip
"""Name -> problem: those of :data:`aspen_emulator.study.problems.PROBLEMS`, in joules."""
