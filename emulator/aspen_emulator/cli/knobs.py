"""The knob on the command line: where it stands, and whether it is the learned dial's or a threshold scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

import click

from aspen._base.arrays import Array
from aspen._base.names import unknown_name
from aspen.calibration.early import scores_over_time
from aspen.calibration.storage import CalibrationTable, list_tables
from aspen.dial.path import KnobPath, every_of
from aspen.dial.profile import DialProfile, DialScale, load_profile
from aspen.dial.scale import ThresholdScale, check_scale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_emulator.cli.common import NetworkFile, warn
from aspen_emulator.cli.files import FileCommand
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.numbers import Number
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.early import energy_early
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.dials import dial_findings
from aspen_hardware.placing.placement import Placement

SCALE_OPTION = "--threshold-scale"
dial_option = click.option("--dial", is_flag=True,
                           help="The knob is that of the learned dial in NETWORK itself, from 0 to 1.")  # fmt: skip


class ScaleParameter(click.ParamType):
    """``1.5`` for all hidden populations, or ``NAME=1.5`` for one."""

    name = "s|name=s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        name, named, number = str(value).rpartition("=")
        try:
            if named and not name:
                raise ValueError
            scale = float(number)
            check_scale("threshold scale", scale)
        except (ValueError, InputError):
            self.fail(f"found {value!r}, allowed is a number above 0 such as 1.5, or NAME=1.5", param, ctx)
        return name, scale


class KnobCommand(FileCommand):
    """A command that turns the knob.

    Says where its number goes to whoever gives ``--dial`` one, as it once took, and lets ``--threshold-scale A=1 B=2``
    stand for ``--threshold-scale A=1 --threshold-scale B=2``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        self._refuse_numbers_of_dials(ctx, args)
        spread: list[str] = []
        for argument in args:
            previous = spread[-2] if len(spread) > 1 else ""
            if previous == SCALE_OPTION and _names_a_scale(argument):
                spread.append(SCALE_OPTION)
            spread.append(argument)
        return super().parse_args(ctx, spread)

    def _refuse_numbers_of_dials(self, ctx: click.Context, args: list[str]) -> None:
        for argument, following in pairwise([*args, ""]):
            option, given, value = argument.partition("=")
            number = value if given else following
            if option == "--dial" and (given or _is_number(number)):
                knob = next(param.opts[0] for param in self.params if param.name in ("knob", "knobs"))
                ctx.fail(f"found --dial {number}, allowed is the flag alone; write --dial {knob} {number}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names_a_scale(argument: str) -> bool:
    name, _, number = argument.partition("=")
    return bool(name) and not name.startswith("-") and _is_number(number)


@dataclass(frozen=True)
class Turned:
    """Where the knob stands.

    Args:
        scale: what it does to the thresholds, as an engine takes it.
        knob: its number; None where hidden populations were given different threshold scales.
        dial: whether it is the learned dial's; otherwise it is a threshold scale.
        front: the front that it runs along, if it does.
        path: what it turns there.
    """

    scale: ThresholdScale
    knob: float | None
    dial: bool
    front: CalibrationTable | None = None
    path: KnobPath | None = None

    @property
    def doubt(self) -> float:
        """The doubt below which inferences end; 0: they never end early."""
        early = None if self.front is None else self.front.early
        return 0.0 if early is None else early.level(self.knob)

    @property
    def every(self) -> int:
        """Every how many-th time step runs."""
        return every_of(self.path, self.knob)

    def taken(self, record: Record) -> Array | None:
        """(batch,) steps that each inference of a run takes; None where none ends early.

        Raises:
            InputError: the run has another number of steps than the calibration.
        """
        if self.front is None or self.front.early is None or not self.doubt:
            return None
        return self.front.early.stops(scores_over_time(record), self.knob, self.every)

    def energy(self, record: Record, on: Chip, placement: Placement | None = None, **how: Any) -> EnergyReport:
        """What a run of whole inferences costs on a chip where they end as they do here; see
        :func:`aspen_hardware.energy_model`."""
        taken = self.taken(record)
        if taken is None:
            return energy_model(record, on, placement, **how)
        return energy_early(record, taken, on, placement, **how)

    @property
    def of_program(self) -> dict[str, Any] | None:
        """How :func:`aspen_emulator.cycles` turns it; None where it cannot, or would run what ends early to its end."""
        if self.knob is None or self.doubt:
            return None
        if self.path is not None:
            return {"profile": self.path, "knob": self.knob}
        return {"profile": self.turned, "knob": self.knob} if self.dial else {"threshold_scale": self.knob}

    @property
    def turned(self) -> DialProfile | None:
        """The learned dial."""
        return self.scale.profile if isinstance(self.scale, DialScale) else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``threshold_scale`` has the factor of each population that was given one."""
        found: dict[str, Any] = {"knob": self.knob, "dial": self.dial}
        if self.front is not None:
            standing = {"place": self._place, "every": self.every, "doubt": self.doubt}
            return {**found, "front": {"turns": self.front.turns, **standing}}
        return {**found, **({} if self.dial else {"threshold_scale": self.scale})}

    @property
    def _place(self) -> float | None:
        """Where the lever that a front turns stands."""
        if self.front is None or self.path is None or self.knob is None:
            return None
        place, dial = self.path.dial_knob(self.knob), self.path.dial
        if self.front.turns == "profile":
            return place
        return float(dial.scale(place)[next(iter(dial.slopes))].item())

    def __str__(self) -> str:
        if self.front is not None:
            what = "learned dial" if self.front.turns == "profile" else "threshold scale"
            below = f"inferences end below a doubt of {100 * self.doubt:.3g}%"
            ends = below if self.doubt else "inferences take all steps"
            skips = f"one time step of {self.every} runs, " if self.every > 1 else ""
            where = f"knob {self.knob:g} of the calibration for {self.front.chip}"
            return f"{where}: {what} {self._place:.3g}, {skips}{ends}"
        if self.dial:
            return f"learned dial, knob {self.knob:g}"
        if self.knob is not None:
            return f"threshold scale {self.knob:g}"
        assert isinstance(self.scale, Mapping)  # as populations differ
        return "threshold scale " + ", ".join(f"{name}={factor:g}" for name, factor in self.scale.items())


@dataclass(frozen=True)
class Turning:
    """What ``--knob``, ``--dial`` and ``--threshold-scale`` ask for, for a command that runs once."""

    knob: float | None
    dial: bool
    scales: tuple[tuple[str, float], ...]

    def check(self, source: NetworkFile) -> None:
        """Refuse what contradicts itself, or could be read in two ways.

        Raises:
            click.UsageError: as it says.
        """
        if self.scales and (self.dial or self.knob is not None):
            found = "--dial" if self.dial else "--knob"
            raise click.UsageError(
                f"found {found} beside {SCALE_OPTION}, allowed is one way to turn the thresholds; leave one out"
            )
        if self.dial and self.knob is None:
            raise click.UsageError("found --dial without --knob, allowed are both; write e.g. --dial --knob 0.5")

    def turn(self, source: NetworkFile, program: Network | Deployment, on: Chip | None) -> Turned:
        """Where the knob then stands, for a network that is prepared for the chip ``on``.

        A knob alone runs along the front that was calibrated for the chip; without one it is the learned dial's, and
        without that a threshold scale.

        Raises:
            click.UsageError: there is a front, but for another chip; or the knob is no factor where it is to be one.
            InputError: the knob is out of its range.
        """
        front = None if self.dial or self.knob is None else front_for(source, on)
        if front is not None and self.knob is not None:
            dial = load_dial(source, program, on, []) if front.turns == "profile" else None
            path = front.along(network_of(program), dial)
            return Turned(path.scale(self.knob), self.knob, False, front, path)
        if self.knob is not None and (self.dial or source.dial is not None):
            return Turned(load_dial(source, program, on, [self.knob]).scale(self.knob), self.knob, True)
        if self.knob is not None and self.knob <= 0:
            raise click.UsageError(f"found --knob {self.knob:g}, allowed without a dial is a factor above 0")
        scale = _scale_of(program, self.scales if self.knob is None else (("", self.knob),))
        hidden = network_of(program).dialled
        factors = {scale.get(name, 1.0) for name in hidden}
        alike = len(factors) == 1 and scale.keys() <= set(hidden)
        return Turned(scale, factors.pop() if alike else (None if scale else 1.0), False)


turning_options = group_of(
    Turning,
    "turning",
    click.option("--knob", type=Number(min=0), 
                 help="Where the knob stands, from 0 (most accurate) to 1 (cheapest), as `aspen calibrate` has found; "
                      "not calibrated, it is the learned dial's, and without one a factor on all hidden thresholds."),
    dial_option,
    click.option(SCALE_OPTION, "scales", multiple=True, type=ScaleParameter(),
                 help="Factor on the thresholds: S for all hidden populations, or NAME=S for one; may be repeated."),
)  # fmt: skip


IN_FLOAT = "no chip (--float)"
"""What stands for the chip in a message where there is none."""


def front_for(source: NetworkFile, on: Chip | None) -> CalibrationTable | None:
    """The calibrated front for a chip; None where the file has none at all.

    Raises:
        click.UsageError: the file has some, but of other chips.
    """
    if not source.has_sections:
        return None
    fronts = {table.chip or IN_FLOAT: table for table in list_tables(source.sections) if table.is_front}
    name = IN_FLOAT if on is None else on.name
    if fronts and name not in fronts:
        other = (
            "all thresholds with --threshold-scale" if source.dial is None else "the learned dial itself with --dial"
        )
        raise click.UsageError(
            f"{source.path}: found a knob that was calibrated for {', '.join(fronts)}, and none for {name}; calibrate "
            f"it for {name}, or turn {other}"
        )
    return fronts.get(name)


def _scale_of(program: Network | Deployment, scales: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Population -> factor for ``--threshold-scale`` options: later ones win, a bare number is for all hidden ones."""
    network = network_of(program)
    found: dict[str, float] = {}
    for name, scale in scales:
        if name and name not in network.order:
            raise click.UsageError(unknown_name(SCALE_OPTION, name, network.order, kind="population"))
        found.update({name: scale} if name else dict.fromkeys(network.dialled, scale))
    return found


def read_knobs(text: str, option: str, dial: bool) -> list[float]:
    """The numbers of a list such as ``0.5,1,2``: knobs of a learned dial, or threshold scales.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        knobs = [float(knob) for knob in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"found {text!r}, allowed are numbers such as 0.5,1,2", param_hint=option) from error
    if not all(isfinite(knob) and (dial or knob > 0) for knob in knobs):
        allowed = "finite numbers" if dial else "factors on the thresholds, finite and above 0 (with --dial from 0)"
        raise click.BadParameter(f"found {text!r}, allowed are {allowed}, such as 0.5,1", param_hint=option)
    if len(set(knobs)) < len(knobs):
        raise click.BadParameter(f"found {text!r}, allowed is each knob once", param_hint=option)
    return knobs


def load_dial(
    source: NetworkFile, program: Network | Deployment, on: Chip | None, knobs: Iterable[float]
) -> DialProfile:
    """The dial in an ``.aspen`` file; says on standard error where a chip has too few thresholds for it.

    Raises:
        InputError: a knob is out of its range; nothing was said.
    """
    if not source.has_sections:
        raise click.UsageError(f"{source.path}: found --dial, allowed are .aspen files, which may hold a learned dial")
    profile = load_profile(source.sections)
    for knob in knobs:
        profile.scale(knob)
    if on is not None:
        for message in dial_findings(network_of(program), profile, on):
            warn(message)
    return profile
