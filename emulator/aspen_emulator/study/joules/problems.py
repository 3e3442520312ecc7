"""What the study in joules trains: a nested dial, and rivals pruned, narrowed and shortened for one energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from aspen.data.encoders import StoredEncoder
from aspen.errors import InputError
from aspen_emulator.study.problems import PROBLEMS, WARM, Problem

if TYPE_CHECKING:
    from aspen.data import Dataset
    from aspen.data.encoders import Encoder
    from aspen.models.ready import DenseNet
    from aspen.training.recipes import Recipe

NESTED = "nested"
PLAIN = "plain"
GROUPS = 8
"""Most different slopes in a layer: as many thresholds as a core of Loihi stores."""


@dataclass(frozen=True)
class Member:
    """A network of the envelope, by the levers that it was made cheap with.

    Args:
        price: on spikes, in its second stage.
        width: of its hidden layers, as a share of the dial's.
        density: share of its weights that each layer but the last keeps.
        steps: time steps, as a share of the dial's.
    """

    price: float = 0.0
    width: float = 1.0
    density: float = 1.0
    steps: float = 1.0

    @property
    def first(self) -> str:
        """Name of the first stage whose weights it begins with: there is one for each width and number of steps."""
        body = "".join(f"-{letter}{n:g}" for letter, n in (("w", self.width), ("s", self.steps)) if n != 1)
        return f"{WARM}{body}"

    @property
    def name(self) -> str:
        """Its levers, as in ``w0.5-d0.25-p0.3``."""
        levers = (("w", self.width), ("s", self.steps), ("d", self.density))
        return "-".join([*(f"{letter}{n:g}" for letter, n in levers if n != 1), f"p{self.price:g}"])


@dataclass(frozen=True)
class JoulesProblem:
    """A data set with one nested dial and its rivals.

    Args:
        base: data, network and first stage, as in the study in spikes.
        window: seconds from one inference to the next, on chips that sleep in between.
        members: of the envelope, beside the plain network; the most telling first.
        density: share of its weights that the dialled network keeps in each layer but the last.
        dial: keyword arguments of :class:`aspen.training.recipes.DialTraining`.
        epochs: of the second stage, the dial's and every member's.
        second: what all second stages have beside what the first has.
        chips: whose integers and energies.
        goal: accuracy (percent) at which the dynamic energy is told.
    """

    base: Problem
    window: float
    members: Sequence[Member]
    density: float
    dial: Mapping[str, float]
    epochs: int
    second: Mapping[str, object] = field(default_factory=dict)
    chips: tuple[str, ...] = ("cortex-m4", "loihi1", "xylo")
    goal: float | None = None

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.base.name

    @cached_property
    def envelope(self) -> dict[str, Member]:
        """Name -> member."""
        return {member.name: member for member in self.members}

    @cached_property
    def _firsts(self) -> dict[str, Member]:
        return {WARM: Member(), **{member.first: member for member in self.members}}

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the networks of one seed, in the order in which they are trained."""
        return (*self._firsts, NESTED, *self.envelope, PLAIN)

    @property
    def measured(self) -> tuple[str, ...]:
        """Those that are compared."""
        return (NESTED, *self.rivals)

    @property
    def rivals(self) -> tuple[str, ...]:
        """The envelope, with the plain network."""
        return (*self.envelope, PLAIN)

    def levers(self, cell: str) -> Member:
        """Width, steps and density of a network."""
        if cell in self._firsts:
            return replace(self._firsts[cell], density=1.0)
        return self.envelope.get(cell, Member(density=self.density if cell == NESTED else 1.0))

    def data(self, cell: str, path: str | None) -> Dataset:
        """What a network is trained and measured on: the same samples, in fewer steps where it has these."""
        data, share = self.base.data(cell, path), self.levers(cell).steps
        return data if share == 1 else data.with_encoder(shortened(data.encoder, share))

    def network(self, cell: str) -> DenseNet:
        """The model of a network, with weights drawn by torch's generator."""
        width = self.levers(cell).width
        first, *hidden, last = self.base.sizes
        return replace(self.base, sizes=(first, *(max(1, round(width * n)) for n in hidden), last)).network(cell)

    def begins_with(self, cell: str) -> str | None:
        """The first stage whose weights a network goes on with."""
        return None if cell in self._firsts or cell == PLAIN else self.levers(cell).first

    def recipe(self, cell: str) -> Recipe:
        """How a network is trained; the plain one as in the study in spikes."""
        if cell == PLAIN or cell in self._firsts:
            return replace(self.base.recipe(PLAIN if cell == PLAIN else WARM), name=cell)
        levers = self.levers(cell)
        stage = replace(self.base.stage(cell), epochs=self.epochs, density=levers.density, **self.second)  # type: ignore[arg-type]
        return self._dialled(stage) if cell == NESTED else replace(stage, spike_price=levers.price, warm_up=0.0)

    def _dialled(self, stage: Recipe) -> Recipe:
        from aspen.training.recipes import DialTraining, dial_stages

        free, few = dial_stages(stage, DialTraining(**self.dial), GROUPS)  # type: ignore[arg-type]
        return replace(free, then=(few,))

    def sizes(self, cell: str) -> str:
        """Neurons of each layer, in words."""
        width = self.levers(cell).width
        first, *hidden, last = self.base.sizes
        return "-".join(str(n) for n in (first, *(max(1, round(width * n)) for n in hidden), last))


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


_PRICES = (0.003, 0.03, 0.1, 0.3, 1.0)
_NARROW = tuple(Member(price, width, density=0.25) for width in (0.5, 0.25, 0.125) for price in (0.03, 0.3))
_SHORT = tuple(Member(0.03, width, 0.25, steps=0.5) for width in (1.0, 0.5, 0.25))
_MEMBERS = (*(Member(price, density=0.25) for price in _PRICES), *_NARROW, *_SHORT)
_DIAL = {"low_price": 0.002, "high_price": 0.3, "slope": 1.2, "left": 0.125, "beyond": 0.5}

JOULES = {
    problem.name: problem
    for problem in (
        JoulesProblem(PROBLEMS["digits"], 1.0, _MEMBERS, 0.25, _DIAL, epochs=60),
        JoulesProblem(
            PROBLEMS["har"], 2.56, tuple(m for m in _MEMBERS if m.steps == 1), 0.25, _DIAL, epochs=32,
        ),
        JoulesProblem(PROBLEMS["har-levels"], 2.56, _MEMBERS, 0.25, _DIAL, epochs=40, goal=94.5),
        JoulesProblem(
            PROBLEMS["har-current"], 2.56, _MEMBERS, 0.25, _DIAL, epochs=40, chips=("cortex-m4",),
        ),
    )
}  # fmt: skip
"""Name -> problem: those of :data:`aspen_emulator.study.problems.PROBLEMS`, in joules."""
