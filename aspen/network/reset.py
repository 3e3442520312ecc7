"""The synapse by which a neuron resets itself, on chips whose neurons cannot subtract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from aspen._base.arrays import Array, check_range, check_shape, frozen
from aspen.errors import NetworkError
from aspen.network.connection import Connection
from aspen.network.neurons import BY_SYNAPSE, SYNAPSE_EXPONENT, Lif, Neuron, synapse_parts

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class ResetSynapse(Connection):
    """A synapse of each neuron onto itself with minus its threshold: the reset ``subtract-synapse``.

    A :class:`~aspen.network.network.Network` makes one for each population with that reset, so that its synapses,
    operations, axons and packets count like all others. Its weights are those of knob 1 and follow the knob as the
    thresholds do; therefore the neuron's step subtracts them, and :meth:`accumulate` brings nothing.

    Args:
        source, target: the population.
        weight: (n,): minus the thresholds or, in integers, magnitudes of 8 bits with a minus sign.
        exponents: (n,): bits by which these are shifted left, for each synapse its own; 0 to 7.
        bias, delay, exponent: none, 1 and 0.
    """

    kind: ClassVar[str] = "reset"
    array_fields: ClassVar[tuple[str, ...]] = ("weight", "exponents")
    value_fields: ClassVar[tuple[str, ...]] = ("source", "target")

    source: str
    target: str
    weight: Array
    exponents: Array
    bias: None = None
    delay: int = 1
    exponent: int = 0

    if TYPE_CHECKING:

        def __init__(
            self,
            source: str,
            target: str,
            weight: ArrayLike,
            exponents: ArrayLike,
            bias: None = None,
            delay: int = 1,
            exponent: int = 0,
        ) -> None: ...

    @classmethod
    def of(cls, name: str, size: int, neuron: Neuron) -> ResetSynapse:
        """That of the population ``name`` with ``size`` neurons."""
        threshold = np.broadcast_to(neuron.threshold.reshape(-1), (size,))
        if isinstance(neuron, Lif):
            return cls(name, name, -threshold, np.zeros(size, np.int32))
        magnitudes, exponents = synapse_parts(threshold)
        return cls(name, name, -magnitudes, exponents)

    @property
    def name(self) -> str:
        """``source->target (reset)``, beside a recurrent connection of the same population."""
        return f"{self.source}->{self.target} (reset)"

    def _check_weight(self) -> None:
        if (self.bias, self.delay, self.exponent) != (None, 1, 0):
            raise NetworkError(
                f"{self.name}: found bias {self.bias}, delay {self.delay} and exponent {self.exponent}, allowed "
                f"is none, 1 and 0; leave them out"
            )
        exponents = frozen(f"{self.name}.exponents", self.exponents, "int")
        check_range(f"{self.name}.exponents", exponents, 0, SYNAPSE_EXPONENT)
        check_shape(f"{self.name}.exponents", exponents, [self.weight.shape])
        object.__setattr__(self, "exponents", exponents)

    def _check_ends(self, source_shape: tuple[int, ...], target_shape: tuple[int, ...]) -> None:
        check_shape(f"{self.name}.weight", self.weight, [(prod(target_shape),)])

    @property
    def _n_biases(self) -> int:
        return 0

    def accumulate(self, values: Array) -> Array:
        """Zeros: what the synapses bring follows the knob, and is subtracted in the neuron's step."""
        return np.zeros_like(values)

    @property
    def largest_sum(self) -> float:
        """Zero: nothing is added up."""
        return 0.0

    def synapses(self) -> csr_array:
        """See :meth:`Connection.synapses`; the weights without their exponents."""
        from scipy.sparse import csr_array

        n = len(self.weight)
        return csr_array((self.weight, (np.arange(n), np.arange(n))), (n, n))


class _Population(Protocol):
    """What is asked here of a :class:`~aspen.network.network.Population`."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def neuron(self) -> Neuron | None: ...


def reset_synapses(populations: Iterable[_Population]) -> Iterator[ResetSynapse]:
    """Those of all populations whose neurons are reset so."""
    for population in populations:
        neuron = population.neuron
        if neuron is not None and neuron.reset == BY_SYNAPSE:
            yield ResetSynapse.of(population.name, population.size, neuron)
