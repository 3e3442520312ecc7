"""Neuron parameters: LIF in floating point, and LIF as Loihi holds it in integers.

What these parameters do at each time step is written once, in :func:`aspen_emulator.engines.lif.lif_step`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from aspen._base.arrays import Array, Rebuilt, check_range, check_shape, frozen
from aspen._base.checks import as_flag, as_name
from aspen.errors import NetworkError

BY_SYNAPSE = "subtract-synapse"
RECTIFIED = "none-rectified"
RESETS = ("zero", "zero-delayed", "subtract", "subtract-delayed", BY_SYNAPSE, "subtract-guarded", "none", RECTIFIED)
"""How the membrane is reset after a spike; see :func:`aspen_emulator.engines.lif.lif_step`."""
SYNAPSE_BITS = 8
SYNAPSE_EXPONENT = 7
"""A synapse of a neuron onto itself has a magnitude of so many bits, and an exponent of its own from 0 to this."""


_ZERO: Any = 0  # defaults, made into arrays with all other arguments
_FORGET: Any = 4095


class _Parameters(Rebuilt):
    """What all kinds of neurons share: arrays of parameters, one number for all or one for each; and a reset."""

    kind: ClassVar[str]
    array_fields: ClassVar[tuple[str, ...]]
    value_fields: ClassVar[tuple[str, ...]] = ("reset",)
    reset: str

    def _freeze(self, kind: str, infinite: Collection[str] = ()) -> None:
        """Make the arrays read-only copies of one ``kind``, see :func:`aspen._base.arrays.frozen`; those called in
        ``infinite`` may hold infinity."""
        for field in self.array_fields:
            object.__setattr__(self, field, frozen(field, getattr(self, field), kind, infinite=field in infinite))
        as_name("reset", self.reset, RESETS, NetworkError)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise unless every parameter is a scalar or has the population's ``shape``."""
        for field in self.array_fields:
            check_shape(f"{name}.{field}", getattr(self, field), [(), shape])


@dataclass(frozen=True, eq=False)
class Lif(_Parameters):
    """A leaky integrate-and-fire neuron in floating point (snnTorch's ``Leaky``; with ``alpha`` > 0 ``Synaptic``).

    >>> Lif(threshold=1.0, beta=[0.9, 0.8]).beta  # a decay for each of two neurons
    array([0.9, 0.8])
    >>> Lif(threshold=float("inf"), beta=1.0, reset="none").fires  # an integrator, to be read out
    False

    Args:
        threshold: firing threshold, in units of the membrane; scalar or the population's shape; > 0. Infinity, with
            ``reset="none"``, makes a leaky integrator that never fires (NIR's ``LI`` and ``CubaLI``), to be read out.
        beta: membrane decay per time step, 0 to 1; scalar or the population's shape.
        alpha: synaptic current decay per time step, 0 to 1; scalar or the population's shape.
        bias: added to the membrane at every step; scalar or the population's shape.
        reset: one of :data:`RESETS`.
    """

    kind: ClassVar[str] = "lif"
    array_fields: ClassVar[tuple[str, ...]] = ("threshold", "beta", "alpha", "bias")

    threshold: Array
    beta: Array
    alpha: Array = _ZERO
    bias: Array = _ZERO
    reset: str = "zero"

    if TYPE_CHECKING:

        def __init__(
            self,
            threshold: ArrayLike,
            beta: ArrayLike,
            alpha: ArrayLike = 0.0,
            bias: ArrayLike = 0.0,
            reset: str = "zero",
        ) -> None: ...

    def __post_init__(self) -> None:
        self._freeze("float", infinite=("threshold",))
        for field in ("alpha", "beta"):
            check_range(field, getattr(self, field), 0.0, 1.0)
        if self.threshold.size and self.threshold.min() <= 0:
            raise NetworkError(
                f"threshold: found {self.threshold.min():g}, allowed is above 0; train with positive thresholds"
            )
        if np.isinf(self.threshold).any() and self.reset != "none":
            raise NetworkError(
                f"threshold: found infinity with reset {self.reset!r}, allowed is reset='none': what never fires is "
                f"never reset"
            )

    @property
    def fires(self) -> bool:
        """Whether any neuron can fire: False for a leaky integrator."""
        return not bool(np.isinf(self.threshold).all())


def synapse_parts(mantissa: Array) -> tuple[Array, Array]:
    """Magnitudes (8 bit) and exponents of the synapses by which neurons reset themselves: nearest to their thresholds.

    >>> synapse_parts(np.array([200, 1001]))
    (array([200, 250]), array([0, 2]))

    Args:
        mantissa: threshold mantissas up to :attr:`FixedLif.MAX_SYNAPSE_THRESHOLD`; any shape.
    """
    whole = mantissa.astype(np.int64)
    exponent = np.maximum(np.frexp(whole.astype(np.float64))[1].astype(np.int64) - SYNAPSE_BITS, 0)
    magnitude = (whole + (1 << exponent >> 1)) >> exponent
    carried = magnitude >> SYNAPSE_BITS  # 255.5 and more is 128 with the next exponent
    return magnitude >> carried, exponent + carried


@dataclass(frozen=True, eq=False)
class FixedLif(_Parameters):
    """A LIF neuron in Loihi's integers (Lava 0.10's bit-accurate model; Davies et al., IEEE Micro 38(1), 2018).

    >>> neuron = FixedLif(threshold=200, voltage_decay=410)
    >>> int(neuron.threshold) << FixedLif.SHIFT  # what the membrane is compared with
    12800
    >>> round(1 - int(neuron.voltage_decay) / 4096, 2)  # beta
    0.9

    Args:
        threshold: mantissa, 1 to 131071 (17 bit), or to 32703 where a synapse subtracts it; the membrane is compared
            with ``threshold << 6``.
        current_decay: ``du``, 0 to 4095; the current keeps ``(4095 - du) / 4096`` of itself at each step.
        voltage_decay: ``dv``, 0 to 4095; the membrane keeps ``(4096 - dv) / 4096`` of itself at each step.
        bias_mantissa: -4096 to 4095 (13 bit), added to the membrane as ``bias_mantissa << bias_exponent``.
        bias_exponent: 0 to 7 (3 bit).
        reset: one of :data:`RESETS`.
        gated: whether the chip leaves out a neuron that is switched off, so that it never fires. Else such a neuron has
            the largest threshold that the chip stores, and fires beyond that.

    Every array is a scalar or has the population's shape.
    """

    kind: ClassVar[str] = "fixed-lif"
    array_fields: ClassVar[tuple[str, ...]] = (
        "threshold",
        "current_decay",
        "voltage_decay",
        "bias_mantissa",
        "bias_exponent",
    )
    value_fields: ClassVar[tuple[str, ...]] = ("reset", "gated")
    MAX_THRESHOLD: ClassVar[int] = 2**17 - 1
    MAX_SYNAPSE_THRESHOLD: ClassVar[int] = ((2 << SYNAPSE_BITS) - 1 << SYNAPSE_EXPONENT - 1) - 1
    """Largest threshold that a synapse of the neuron onto itself can subtract, rounded to 255 << 7."""
    SHIFT: ClassVar[int] = 6
    """Bits by which thresholds and synaptic input are shifted left against the 24-bit state."""
    STATE_LIMIT: ClassVar[int] = 2**23
    """Currents and membranes are numbers of 24 bits: magnitudes up to this, membranes one less."""
    NEVER: ClassVar[int] = STATE_LIMIT >> SHIFT
    """The mantissa above the largest, 131072: no membrane is above that threshold."""

    threshold: Array
    voltage_decay: Array
    current_decay: Array = _FORGET
    bias_mantissa: Array = _ZERO
    bias_exponent: Array = _ZERO
    reset: str = "zero"
    gated: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            threshold: ArrayLike,
            voltage_decay: ArrayLike,
            current_decay: ArrayLike = 4095,
            bias_mantissa: ArrayLike = 0,
            bias_exponent: ArrayLike = 0,
            reset: str = "zero",
            gated: bool = False,
        ) -> None: ...

    def __post_init__(self) -> None:
        self._freeze("int")
        object.__setattr__(self, "gated", as_flag("gated", self.gated, NetworkError))
        check_range("threshold mantissa", self.threshold, 1, self.largest_threshold)
        check_range("current_decay", self.current_decay, 0, 4095)
        check_range("voltage_decay", self.voltage_decay, 0, 4095)
        check_range("bias_mantissa", self.bias_mantissa, -4096, 4095)
        check_range("bias_exponent", self.bias_exponent, 0, 7)

    @property
    def largest_threshold(self) -> int:
        """The largest mantissa that the threshold may have, also where a knob scales it."""
        return largest_threshold(self.reset)

    @property
    def off_threshold(self) -> int:
        """The mantissa of a neuron that a knob switches off."""
        return self.NEVER if self.gated else self.largest_threshold

    @property
    def bias(self) -> Array:
        """What is added to the membrane at every step, in units of the 24-bit membrane."""
        return np.left_shift(self.bias_mantissa.astype(np.int64), self.bias_exponent)

    @classmethod
    def rounded(cls, threshold: Array) -> Array:
        """Threshold mantissas, int64, for real numbers of any shape: the nearest integers, halves up.

        What is out of range comes out beyond :attr:`MAX_THRESHOLD`, or as 0, for the caller to refuse.
        """
        return np.floor(np.minimum(threshold, cls.MAX_THRESHOLD + 1) + 0.5).astype(np.int64)


def largest_threshold(reset: str) -> int:
    """The largest threshold mantissa of a :class:`FixedLif` with this reset."""
    return FixedLif.MAX_SYNAPSE_THRESHOLD if reset == BY_SYNAPSE else FixedLif.MAX_THRESHOLD


Neuron = Lif | FixedLif
NEURON_KINDS: dict[str, type[Lif] | type[FixedLif]] = {Lif.kind: Lif, FixedLif.kind: FixedLif}
