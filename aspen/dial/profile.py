"""Dial profiles: one knob value that becomes a factor on the threshold of each neuron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from aspen._base.arrays import Array, Rebuilt, frozen
from aspen._base.checks import as_number, shown
from aspen.errors import FileFormatError, InputError, NetworkError
from aspen.network.connections import Connection, Conv, Sparse
from aspen.network.files import NETWORK
from aspen.network.given import as_network
from aspen.network.idle import kept_neurons
from aspen.network.network import Network
from aspen.network.neurons import Lif
from aspen.storage.file import AspenFile, Parts, Section

PARTS = ("slopes", "offsets", "on_until")
"""What a profile has for each population."""
_LARGEST_LOG = 20.0
_FOLDED = "dial_offsets"
"""Of a network's provenance: population -> offsets that are folded into it."""


@dataclass(frozen=True, eq=False)
class DialProfile(Rebuilt):
    """What a knob value does to the thresholds.

    The threshold of neuron i of a population is multiplied by ``exp(offset_i + knob * slope_i)``. A knob of 0 is the
    accurate end and 1 the sparse one where the profile was trained (:func:`aspen.fit` with the recipe ``aspen``);
    values outside ``[low, high]`` are refused.

    A neuron may be on up to a knob alone: beyond, it is off and does not fire. In a chip's integers its threshold is
    then the largest that the chip stores.

    >>> profile = DialProfile({"hidden": 0.7})  # at knob 1 the thresholds are twice as high
    >>> print(f"{profile.scale(1.0)['hidden'].item():.2f}")
    2.01
    >>> nested = DialProfile({"hidden": [0.7, 0.7]}, on_until={"hidden": [0.5, np.inf]})
    >>> nested.scale(1.0)["hidden"].round(2)  # the first of the two neurons is off
    array([[[ inf, 2.01]]])

    Args:
        slopes: population -> change of the threshold's logarithm per unit of the knob; a scalar or the population's
            shape. Populations left out are not dialled.
        offsets: population -> the same at knob 0; default: 0.
        on_until: population -> the highest knob at which each neuron is on, from ``low``; default: infinity, always.
        low, high: range of the knob.
    """

    slopes: Mapping[str, Array]
    offsets: Mapping[str, Array] = field(default_factory=dict)
    low: float = 0.0
    high: float = 1.0
    on_until: Mapping[str, Array] = field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(
            self,
            slopes: Mapping[str, ArrayLike],
            offsets: Mapping[str, ArrayLike] = ...,
            low: float = 0.0,
            high: float = 1.0,
            on_until: Mapping[str, ArrayLike] = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for part in PARTS:
            given: Mapping[str, Any] = getattr(self, part)
            if not isinstance(given, Mapping):
                raise InputError(f"{part}: found {shown(given)}, allowed is a mapping from population to numbers")
            may = part == "on_until"
            made = {name: frozen(f"{part} of {name}", values, "float", infinite=may) for name, values in given.items()}
            object.__setattr__(self, part, MappingProxyType(made))
        for part in PARTS[1:]:
            if not self.slopes or set(getattr(self, part)) - set(self.slopes):
                raise InputError(
                    f"profile: found slopes of {sorted(self.slopes)} and {part} of {sorted(getattr(self, part))}, "
                    f"allowed are slopes of one population and more, and {part} of the same; give slopes, zeros where "
                    f"need be"
                )
        for end in ("low", "high"):
            object.__setattr__(self, end, as_number(f"profile: {end}", getattr(self, end)))
        if not self.low < self.high:
            raise InputError(f"profile: found the range {self.low} to {self.high}, allowed is low < high, both finite")
        for name, until in self.on_until.items():
            if until.size and until.min() < self.low:
                raise InputError(
                    f"profile: found neurons of {name} that are on until {until.min():g}, below the knob's range, "
                    f"allowed is {self.low:g} and more, or infinity; leave out neurons that are never on"
                )
        for knob in (self.low, self.high):
            for name in self.slopes:
                if np.abs(self._logarithm(name, knob)).max() > _LARGEST_LOG:
                    raise InputError(
                        f"profile: found a factor beyond exp({_LARGEST_LOG:g}) for {name} at knob {knob:g}, allowed "
                        f"are smaller ones; look for a diverged training"
                    )

    @classmethod
    def uniform(cls, network: Network, low: float = 0.5, high: float = 4.0) -> DialProfile:
        """One factor for all hidden populations, ``low`` at knob 0 and ``high`` at knob 1, even in the logarithm."""
        as_network(network)
        if not 0 < low < high < np.inf:
            raise InputError(f"uniform: found factors from {low} to {high}, allowed is 0 < low < high; e.g. 0.5 and 4")
        slopes: dict[str, ArrayLike] = dict.fromkeys(network.dialled, float(np.log(high / low)))
        return cls(slopes, dict.fromkeys(network.dialled, float(np.log(low))))

    def _logarithm(self, name: str, knob: float) -> Array:
        offset = self.offsets.get(name, np.zeros(()))
        return np.asarray(offset.astype(np.float64) + knob * self.slopes[name].astype(np.float64))

    def scale(self, knob: float) -> DialScale:
        """The ``threshold_scale`` that ``knob`` stands for, as every engine, session and sweep takes it.

        Args:
            knob: a number from :attr:`low` to :attr:`high`.

        Returns:
            population -> (1, 1, n or 1) factors, above 0; infinity for neurons that are off.

        Raises:
            InputError: the knob is out of range.
        """
        place = as_number("knob", knob, self.low, self.high, remedy="turn it less")
        return DialScale({name: self._factor(name, place).reshape(1, 1, -1) for name in self.slopes}, self)

    def _factor(self, name: str, knob: float) -> Array:
        factor = np.exp(self._logarithm(name, knob))
        return np.where(knob > self.on_until[name], np.inf, factor) if name in self.on_until else factor

    @property
    def largest_factor(self) -> float:
        """The largest factor that any threshold gets, at either end of the knob, of a neuron that is on."""
        return float(max(self._largest(name) for name in self.slopes))

    def _largest(self, name: str) -> float:
        last = np.minimum(self.on_until.get(name, np.full((), np.inf)).astype(np.float64), self.high)
        offset, slope = (part.astype(np.float64) for part in (self.offsets.get(name, np.zeros(())), self.slopes[name]))
        return float(np.exp(np.maximum(offset + self.low * slope, offset + last * slope)).max())

    @property
    def is_nested(self) -> bool:
        """Whether any neuron is off anywhere in the knob's range."""
        return any(bool((until < self.high).any()) for until in self.on_until.values())

    def check(self, network: Network) -> None:
        """Raise InputError unless the profile fits the populations of ``network``."""
        for part in PARTS:
            for name, values in getattr(self, part).items():
                if name not in network.order:
                    raise InputError(
                        f"profile: found population {name!r}, allowed are {list(network.order)}; make a new one"
                    )
                if not network[name].is_dialled:
                    movable = ", ".join(each for each in network.order if network[each].is_dialled)
                    raise InputError(
                        f"profile: found population {name!r}, whose thresholds no dial moves, allowed are "
                        f"{movable or 'none'}; make a new one"
                    )
                if values.shape not in ((), network[name].shape):
                    raise InputError(
                        f"profile: found {part} of shape {values.shape} for {name}, allowed is a scalar or "
                        f"{network[name].shape}; make a new one"
                    )

    def kept(self, network: Network) -> DialProfile:
        """The same profile for the neurons that ``network`` has kept, see :func:`aspen.network.idle.without_idle`."""

        def left(parts: Mapping[str, Array]) -> dict[str, Array]:
            masks = {name: kept_neurons(network, name) for name in parts if name in network}
            return {
                name: values if values.ndim == 0 or masks.get(name) is None else values[masks[name]]
                for name, values in parts.items()
            }

        return replace(self, slopes=left(self.slopes), offsets=left(self.offsets), on_until=left(self.on_until))

    def folded(self, network: Network) -> tuple[Network, DialProfile]:
        """Network and profile without offsets: the network is what it was at knob 0.

        A neuron whose threshold is multiplied spikes as if its weights and biases were divided instead, which needs no
        threshold of its own on a chip. That is done where each neuron has weights of its own (Dense and Sparse); at the
        end of a convolution, and where membranes are read out, the thresholds are multiplied. The network's
        ``provenance`` keeps the offsets, which :func:`folded_offsets` reads.
        """
        self.check(network)
        populations, connections = [], list(network.summed)
        for population in network.populations:
            neuron, offset = population.neuron, self.offsets.get(population.name)
            if isinstance(neuron, Lif) and offset is not None:
                factor = np.broadcast_to(np.exp(offset.astype(np.float64)), population.shape)
                incoming = network.incoming(population.name)
                shown = population.name == network.output and network.reads_membranes
                if shown or population.current or any(isinstance(c, Conv) for c in incoming):
                    neuron = replace(neuron, threshold=neuron.threshold.astype(np.float64) * factor)
                else:
                    neuron = replace(neuron, bias=neuron.bias.astype(np.float64) / factor)
                    connections = [
                        _divided(c, factor.reshape(-1)) if c.target == population.name else c for c in connections
                    ]
            populations.append(replace(population, neuron=neuron))
        provenance = _noted(network, self.offsets)
        folded = replace(network, populations=tuple(populations), connections=tuple(connections), provenance=provenance)
        return folded, replace(self, offsets={})


def folded_offsets(network: Network) -> dict[str, Array]:
    """Population -> the offsets of a dial that are in the network already, see :meth:`DialProfile.folded`.

    Raises:
        InputError: the network's provenance tells of others than it can have.
    """
    noted = network.provenance.get(_FOLDED, {})
    try:
        offsets = {name: np.asarray(values, np.float64) for name, values in noted.items()}
        if offsets:
            DialProfile(offsets).check(network)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"provenance: found {shown(noted)} as the offsets of a dial ({error}), allowed are numbers by population; "
            f"export the model again"
        ) from error
    return offsets


def _noted(network: Network, offsets: Mapping[str, Array]) -> Mapping[str, Any]:
    """The provenance of a network with these offsets in it too."""
    if not offsets:
        return network.provenance
    before = folded_offsets(network)
    total = {name: values.astype(np.float64) + before.get(name, 0.0) for name, values in offsets.items()}
    return {**network.provenance, _FOLDED: {name: values.tolist() for name, values in (before | total).items()}}


class DialScale(dict[str, Array]):
    """The ``threshold_scale`` of a knob: population -> (1, 1, n or 1) factors, and the dial that they are of.

    Args:
        factors: of each population.
        profile: whose they are; engines that run a program with this dial in it turn that.
    """

    def __init__(self, factors: Mapping[str, Array], profile: DialProfile) -> None:
        super().__init__(factors)
        self.profile = profile


def _divided(connection: Connection, factor: Array) -> Connection:
    """A connection with the weights and the bias of each target neuron divided by its factor (n,)."""
    weight = connection.weight.astype(np.float64)
    rows = factor[connection.rows] if isinstance(connection, Sparse) else factor[:, None]
    bias = None if connection.bias is None else connection.bias.astype(np.float64) / factor
    return replace(connection, weight=weight / rows, bias=bias)  # type: ignore[type-var]


def _decode(file: AspenFile) -> DialProfile:
    parts: dict[str, dict[str, Array]] = {part: {} for part in PARTS}
    header, tensors = file.parts("dial")
    try:
        for key, array in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = array
        profile = DialProfile(parts["slopes"], parts["offsets"], header["low"], header["high"], parts["on_until"])
        profile.check(file.read(NETWORK))
    except (InputError, NetworkError, LookupError, TypeError, ValueError) as error:
        raise FileFormatError(f"{file.path}: the dial profile is malformed ({error}); save it again") from error
    return profile


def _encode(profile: DialProfile, file: AspenFile) -> Parts:
    profile.check(file.read(NETWORK))
    tensors = {f"{part}/{name}": array for part in PARTS for name, array in getattr(profile, part).items()}
    return {"low": profile.low, "high": profile.high}, tensors


def _absent(file: AspenFile, name: str) -> FileFormatError:
    return FileFormatError(
        f"{file.path}: found no dial, allowed is a file with one: `aspen train` makes one, and in Python aspen.fit "
        f"with save_profile; without one all thresholds are turned together, by --knob without --dial"
    )


DIAL = Section[DialProfile]("dial", _decode, _encode, _absent)
"""The learned dial of the network beside it."""


def save_profile(profile: DialProfile, path: str | Path) -> None:
    """Keep ``profile`` in the ``.aspen`` file at ``path``, beside the network, in place of any other.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> save_profile(DialProfile({"output": 0.7}), "net.aspen")
    >>> load_profile("net.aspen").scale(1.0)["output"].round(2)  # what engines take at knob 1
    array([[[2.01]]])

    Raises:
        InputError: it does not fit the network in the file, or there is no such file.
    """
    AspenFile.update(path, lambda file: file.put(DIAL, profile))


def find_profile(path: str | Path | AspenFile) -> DialProfile | None:
    """The profile in the ``.aspen`` file at ``path``, or None where it has none; as :func:`load_profile`."""
    return AspenFile.of(path).find(DIAL)


def load_profile(path: str | Path | AspenFile) -> DialProfile:
    """The profile in the ``.aspen`` file at ``path``, checked against the network beside it.

    >>> from aspen import Dense, Lif, Network, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> save_profile(DialProfile({"output": 0.7}), "net.aspen")
    >>> load_profile("net.aspen").scale(1.0)["output"].round(2)  # what engines take at knob 1
    array([[[2.01]]])

    Raises:
        FileFormatError: there is none, or it is malformed.
    """
    return AspenFile.of(path).read(DIAL)
