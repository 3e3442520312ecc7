"""A group of neurons, or what is fed from outside, with one set of parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import numpy as np

from aspen._base.brief import Brief
from aspen._base.checks import as_flag, as_integers, shown
from aspen._base.memory import check_neurons
from aspen.errors import NetworkError
from aspen.network.graded import LARGEST_CURRENT, GradedInput
from aspen.network.host import HostLayer
from aspen.network.neurons import FixedLif, Lif, Neuron

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, eq=False)
class Population(Brief):
    """A group of neurons with one set of parameters.

    >>> from aspen.network import Lif
    >>> Population("conv1", (8, 14, 14), Lif(threshold=1.0, beta=0.9)).size
    1568
    >>> Population("input", (28, 28)).is_input
    True

    Args:
        name: letters, digits, ``_``, ``.`` and ``-``; unique within the network.
        shape: shape of the population, without time and batch; ``(n,)`` for a dense layer.
        neuron: what the neurons do; ``None`` for an input population, which passes on what it is given.
        current: this population is the input and takes a direct current instead of spikes: without ``neuron`` any
            analog values, which its connections weigh; with one, a current that is added to the membrane at each step,
            in units of the membrane or, in integers, of the bias mantissa.
        graded: of analog values: their range, which a chip needs. Networks in integers take the values as they are
            and make graded spikes of them; in floating point it changes nothing.
        static: this population is the input and is given the same values at every time step.
        gate: these neurons say whether any of what they are connected to has spiked, as a maximum over spikes does, or
            both, as a product of spikes. The knob leaves their thresholds alone.
        held: the knob leaves these neurons' thresholds alone: they lie in other weights too, as where a layer's
            membranes were read.
        host: of a static input with neurons: the layer that makes their current of analog values, on the host. Callers
            give these values; the neurons, the current.
    """

    name: str
    shape: tuple[int, ...]
    neuron: Neuron | None = None
    current: bool = False
    graded: GradedInput | None = None
    static: bool = False
    gate: bool = False
    host: HostLayer | None = None
    held: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise NetworkError(
                f"population name: found {self.name!r}, allowed are letters, digits, '_', '.' and '-'; rename it"
            )
        given = (self.shape,) if isinstance(self.shape, (int, np.integer)) else self.shape
        shape = as_integers(f"{self.name}.shape", given, low=1, error=NetworkError)
        if not shape:
            raise NetworkError(f"{self.name}.shape: found (), allowed are sizes of 1 and more; give e.g. (n,)")
        check_neurons(f"{self.name}.shape", shape)
        object.__setattr__(self, "shape", shape)
        for flag in ("current", "static", "gate", "held"):
            object.__setattr__(self, flag, as_flag(f"{self.name}.{flag}", getattr(self, flag), NetworkError))
        self._check_kinds()
        if self.static and not self.is_input:
            raise NetworkError(
                f"{self.name}: found a static population with neurons, allowed is the input; leave it out"
            )
        if (self.gate or self.held) and self.neuron is None:
            what = "a gate" if self.gate else "held thresholds"
            raise NetworkError(f"{self.name}: found {what} without neurons, allowed are neurons; give them")
        if self.neuron is not None:
            self.neuron.check(self.name, shape)
        if self.host is not None:
            self._check_host(self.host)
        if self.graded is not None and not self.is_analog:
            raise NetworkError(
                f"{self.name}: found the range of an analog input, allowed where the input takes a current and has no "
                f"neurons; leave it out"
            )

    def _check_kinds(self) -> None:
        for part, kinds in (("neuron", (Lif, FixedLif)), ("graded", (GradedInput,)), ("host", (HostLayer,))):
            value = getattr(self, part)
            if value is not None and not isinstance(value, kinds):
                raise NetworkError(
                    f"{self.name}.{part}: found {shown(value)}, allowed is {' or '.join(k.__name__ for k in kinds)} "
                    f"or None; make one"
                )

    def _check_host(self, host: HostLayer) -> None:
        if self.neuron is None or not (self.current and self.static):
            raise NetworkError(
                f"{self.name}: found a host layer, allowed where the input is a static current into neurons; leave it "
                f"out"
            )
        host.check(self.name, self.shape)

    @property
    def given_shape(self) -> tuple[int, ...]:
        """Shape of what an input population is given from outside, without time and batch."""
        return self.shape if self.host is None else self.host.shape

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    @property
    def is_dialled(self) -> bool:
        """Whether the knob may move the thresholds."""
        return self.neuron is not None and not (self.gate or self.held)

    @property
    def is_analog(self) -> bool:
        """Whether this population passes on analog values."""
        return self.current and self.neuron is None

    @property
    def peak(self) -> int:
        """Largest magnitude that a neuron passes on in a chip's integers: 1 for a spike."""
        if not self.is_analog:
            return 1
        return LARGEST_CURRENT if self.graded is None else self.graded.largest

    @property
    def is_input(self) -> bool:
        """Whether this population is fed from outside."""
        return self.neuron is None or self.current
