"""The knob on the command line: where it stands, and whether it is the learned dial's or a threshold scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

import click

from aspen._base.names import unknown_name
from aspen.dial.profile import DialProfile, load_profile
from aspen.dial.scale import ThresholdScale, check_scale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.cli.common import NetworkFile, warn
from aspen_emulator.cli.files import FileCommand
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.numbers import Number
from aspen_emulator.engines.run import network_of
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.placing.dials import dial_findings

SCALE_OPTION = "--threshold-scale"
dial_option = click.option("--dial", is_flag=True, help="The knob is that of the learned dial in NETWORK, from 0 to 1.")


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
    """

    scale: ThresholdScale
    knob: float | None
    dial: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values; ``threshold_scale`` has the factor of each population that was given one."""
        return {"knob": self.knob, "dial": self.dial, **({} if self.dial else {"threshold_scale": self.scale})}

    def __str__(self) -> str:
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
        if self.knob is not None and not self.dial:
            self._check_scale(source, self.knob)

    def _check_scale(self, source: NetworkFile, knob: float) -> None:
        """Of a network with a learned dial a knob without ``--dial`` could be meant for either."""
        if source.dial is not None:
            raise click.UsageError(
                f"found --knob {knob:g} for a network with a learned dial, allowed is to say whose it is: --dial "
                f"--knob {knob:g} for the dial's, {SCALE_OPTION} {knob:g} for all thresholds together"
            )
        if knob <= 0:
            raise click.UsageError(f"found --knob {knob:g}, allowed without --dial is a factor above 0")

    def turn(self, source: NetworkFile, program: Network | Deployment, on: Chip | None) -> Turned:
        """Where the knob then stands, for a network that is prepared for the chip ``on``."""
        if self.dial:
            assert self.knob is not None  # check() saw to it
            return Turned(load_dial(source, program, on, [self.knob]).scale(self.knob), self.knob, True)
        scale = _scale_of(program, self.scales if self.knob is None else (("", self.knob),))
        hidden = network_of(program).dialled
        factors = {scale.get(name, 1.0) for name in hidden}
        alike = len(factors) == 1 and scale.keys() <= set(hidden)
        return Turned(scale, factors.pop() if alike else (None if scale else 1.0), False)


turning_options = group_of(
    Turning,
    "turning",
    click.option("--knob", type=Number(min=0), 
                 help="Where the knob stands: with --dial, from 0 (accurate) to 1 (sparse); "
                      "else a factor on all hidden thresholds.  [default: 1]"),
    dial_option,
    click.option(SCALE_OPTION, "scales", multiple=True, type=ScaleParameter(),
                 help="Factor on the thresholds: S for all hidden populations, or NAME=S for one; may be repeated."),
)  # fmt: skip


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
