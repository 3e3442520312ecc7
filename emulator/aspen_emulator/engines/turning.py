"""What is turned while it runs: the knob of a learned dial, or threshold scales where there is none."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from aspen._base.checks import shown
from aspen._base.closed import Closed
from aspen.dial.path import AnyDial, KnobPath
from aspen.dial.profile import DialProfile
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError, UnknownAttributeError
from aspen.network.network import Network


class Turnable(Closed):
    """Something that is turned by :attr:`knob` where it has a learned dial, else by :attr:`threshold_scale`.

    Attributes:
        profile: the learned dial; ``None`` where there is none.
    """

    profile: AnyDial | None
    _is_over = False

    @property
    def knob(self) -> float:
        """Where the knob of the learned dial stands.

        Raises:
            UnknownAttributeError: there is no learned dial.
            InputError: it was set, and cannot stand there or is closed.
        """
        self._check_dial("")
        return float(self._standing())

    @knob.setter
    def knob(self, knob: float) -> None:
        self._check_open()
        self._check_dial(f" = {knob}")
        self._turn(knob)

    @property
    def threshold_scale(self) -> ThresholdScale:
        """The factor on the thresholds of all hidden populations, or a mapping from population to factor.

        With a learned dial: what its knob makes of each neuron's threshold; it is the knob that is set then.

        Raises:
            UnknownAttributeError: it was set, and there is a learned dial.
            InputError: it was set, and cannot stand there or is closed.
        """
        standing: ThresholdScale = self._standing()
        return standing if self.profile is None else self.profile.scale(float(self._standing()))

    @threshold_scale.setter
    def threshold_scale(self, scale: ThresholdScale) -> None:
        self._check_open()
        if self.profile is not None:
            raise UnknownAttributeError(
                f"threshold_scale: found it set on a {self._kind} with a learned dial, which turns each neuron's "
                f"threshold, allowed is its knob; write .knob = {self.profile.low:g}, or leave profile out"
            )
        self._turn(scale)

    @property
    def _kind(self) -> str:
        return type(self).__name__.lower()

    def _check_dial(self, given: str) -> None:
        if self.profile is None:
            raise UnknownAttributeError(
                f"knob{given}: found a {self._kind} without a learned dial, allowed is threshold_scale; write "
                f".threshold_scale{given or ' = 1.5'}, or open it with profile=..., the dial of the trained network"
            )

    @abstractmethod
    def _standing(self) -> Any:
        """The knob of the learned dial, or the threshold scale where there is none."""

    @abstractmethod
    def _turn(self, to: ThresholdScale) -> None:
        """Put it there.

        Raises:
            InputError: it cannot stand there; then nothing has changed.
        """

    def _check_open(self) -> None:
        """Raise unless it still runs.

        Raises:
            InputError: it was closed, as at the end of its ``with`` block.
        """
        if self._is_over:
            kind = self._kind
            raise InputError(f"{kind}: found it closed, allowed is one that runs; open another {kind}")


def begins_at(network: Network, scale: ThresholdScale, profile: AnyDial | None, knob: float | None) -> ThresholdScale:
    """Where it stands at first: the knob of a learned dial, or the threshold scale where there is none.

    Args:
        network: what is turned.
        scale: the threshold scale; 1 beside a profile.
        profile: the learned dial, if any.
        knob: where its knob is to stand; ``None``: at its accurate end.

    Raises:
        InputError: the profile is none, or of another network, or what was given contradicts itself.
    """
    if profile is None:
        if knob is not None:
            raise InputError("knob: found one without a profile, allowed is with one; give threshold_scale, or profile")
        return scale
    if not (isinstance(scale, (int, float)) and scale == 1):
        raise InputError(
            "threshold_scale: found one beside a profile, allowed is one of them; leave one out, or set it later"
        )
    if not isinstance(profile, (DialProfile, KnobPath)):
        raise InputError(
            f"profile: found {shown(profile)}, allowed is a DialProfile; from a file give aspen.load_profile(path)"
        )
    if isinstance(profile, KnobPath) and profile.skips:
        raise InputError(
            f"profile: found a path on which one time step of {profile.every[-1]} runs, allowed where steps are given "
            f"one by one is a path that leaves out none; give replace(path, every=()), and the steps that "
            f"aspen.dial.path.seen leaves"
        )
    profile.check(network)
    return profile.low if knob is None else knob
