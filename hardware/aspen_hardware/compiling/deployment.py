"""A network in a chip's integers, as it is stored beside the trained network in the ``.aspen`` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aspen._base.arrays import Rebuilt
from aspen._base.brief import Brief
from aspen._base.checks import as_flag, as_integer, as_name, as_number, shown
from aspen._base.tables import Table, Tabled
from aspen.errors import FileFormatError, InputError, one_line
from aspen.network.files import network_from_section, network_to_section
from aspen.network.network import Network, Population
from aspen.storage.container import MALFORMED
from aspen.storage.file import AspenFile, Parts, Section
from aspen_hardware.chips.schema import is_chip_name
from aspen_hardware.placing.placement import Placement
from aspen_hardware.placing.resets import by_synapse

COLUMNS = {
    "exponent": "of the incoming weights: a power of two",
    "weights": "error of a weight, of the population's largest weight",
    "lost": "weights that were not zero and are now",
    "threshold": "error of a threshold, of itself",
    "beta": "error of the membrane's decay",
    "bias": "error of a bias, of the threshold",
    "max scale": "up to this threshold scale the thresholds fit the chip",
    "peak": "current if all helpful inputs spike at once, of what 24 bits hold; above 100% it might wrap around",
}
"""The columns of a deployment's table, and what is in them."""


@dataclass(frozen=True)
class Rounding(Brief):
    """What became of one population's numbers.

    Args:
        state_per_unit: chip's state units per unit of the trained membrane.
        weight_exponent: exponent of the incoming weights.
        weight_error: largest error of a weight, relative to the population's largest weight.
        weights_lost: fraction of the weights that were not zero and are now.
        threshold_error: largest relative error of a threshold.
        beta_error: largest error of the membrane decay (absolute; beta is 0 to 1).
        alpha_error: largest error of the current decay (absolute).
        bias_error: largest error of a bias, relative to the threshold.
        largest_scale: the largest ``threshold_scale`` whose threshold still fits 17 bit.
        worst_case_current: largest possible current (all helpful inputs at once), relative to the 24-bit limit;
            above 1 it might wrap around.
        weights_clipped: fraction of the weights that were cut to the largest integer.
        thresholds: different thresholds that are stored.
        largest_factor: the largest factor by which a neuron's weights, bias and threshold were scaled up together;
            for such a neuron ``state_per_unit`` counts as many times.
        kept_uncalibrated, kept_calibrated: on the calibration sample, without and with calibration: 1 minus the
            spikes that differ from floating point, per spike there. None where nothing was calibrated.
        compensated: whether dense weights were rounded so that their errors cancel on that sample; a single one may
            then be further off than half a step.
        sample_peak: largest current or membrane on that sample, relative to the 24-bit limit.
        reset_error: where a synapse resets each neuron: largest relative error of what it subtracts, the threshold at
            knob 1; else None.
        compartments: that each neuron takes.
        kept_subtracting: as ``kept_calibrated``, if the chip subtracted thresholds itself; None where nothing was
            calibrated, or no synapse resets.
    """

    state_per_unit: float
    weight_exponent: int
    weight_error: float
    weights_lost: float
    threshold_error: float
    beta_error: float
    alpha_error: float
    bias_error: float
    largest_scale: float
    worst_case_current: float
    weights_clipped: float = 0.0
    thresholds: int = 1
    largest_factor: float = 1.0
    kept_uncalibrated: float | None = None
    kept_calibrated: float | None = None
    sample_peak: float | None = None
    compensated: bool = False
    reset_error: float | None = None
    compartments: int = 1
    kept_subtracting: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "compensated":
                as_flag(each.name, value)
            elif each.name in ("weight_exponent", "thresholds", "compartments"):
                object.__setattr__(self, each.name, as_integer(each.name, value))
            elif not (value is None and each.default is None):
                object.__setattr__(self, each.name, as_number(each.name, value))
        if len({value is None for value in (self.kept_uncalibrated, self.kept_calibrated, self.sample_peak)}) > 1:
            raise InputError(
                f"kept_calibrated: found {self.kept_calibrated} beside kept_uncalibrated={self.kept_uncalibrated} and "
                f"sample_peak={self.sample_peak}, allowed are all three or none; compile again"
            )

    @property
    def calibration(self) -> str:
        """What calibration did, in words; empty where there was none."""
        if self.kept_calibrated is None:
            return ""
        return (
            f"{self.kept_calibrated:.2%} of the sample's spikes kept, {self.kept_uncalibrated:.2%} before calibration; "
            f"{self.weights_clipped:.2%} of the weights clipped, {self.thresholds} thresholds, neurons scaled by up to "
            f"{self.largest_factor:.3g}, errors {'' if self.compensated else 'not '}compensated, "
            f"{self.sample_peak:.0%} of 24 bits used"
        )


def _row(name: str, r: Rounding) -> tuple[str, ...]:
    """Of a table under :data:`COLUMNS`."""
    weights = str(r.weight_exponent), f"{r.weight_error:.2%}", f"{r.weights_lost:.1%}"
    errors = f"{r.threshold_error:.3%}", f"{r.beta_error:.5f}", f"{r.bias_error:.3%}"
    return name, *weights, *errors, f"{r.largest_scale:.1f}", f"{r.worst_case_current:.0%}"


def _by_synapse(name: str, neurons: int, entry: Rounding) -> str:
    """What the reset of a population by synapses costs and does, in words."""
    kept = entry.kept_subtracting
    exact = "" if kept is None else f"; {kept:.2%} of the sample's spikes would be kept if the chip subtracted"
    return (
        f"{by_synapse(name, neurons, entry.compartments)}; it subtracts the threshold within {entry.reset_error:.2%}, "
        f"and turns with it{exact}"
    )


def _by_host(given: Population, rounding: Mapping[str, Rounding]) -> str:
    """What the host does for a static input, in words."""
    assert given.host is not None
    what = (
        f"{given.host.multiply_accumulates} multiply-accumulates of the first layer and {given.host.bias_writes} biases"
    )
    step = f", in steps of {2 * rounding[given.name].bias_error:.3%} of the threshold" if given.name in rounding else ""
    return f"{given.name}: for each inference the host computes and writes {what}{step}; they are no work of the chip"


@dataclass(frozen=True, eq=False)
class Deployment(Tabled, Rebuilt):
    """A compiled network.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> print(compile(network, "loihi1"))
    Compiled for loihi1; rounding, largest errors:
    population  exponent  weights  lost  threshold     beta    bias  max scale  peak
    output             5    0.10%  0.0%     0.000%  0.00010  0.000%       19.3    7%

    Args:
        network: the network in integers; this is what engines run.
        chip: name of the chip it was compiled for.
        rounding: population -> what was rounded, and by how much.
        warnings: findings of the chip's design rules that are no errors.
        placement: the network's cores, as :func:`aspen_hardware.compile` found them; ``None`` where it was read from a
            file, which does not keep them.
    """

    network: Network
    chip: str
    rounding: Mapping[str, Rounding]
    warnings: tuple[str, ...] = ()
    placement: Placement | None = None

    def __post_init__(self) -> None:
        if not is_chip_name(self.chip):
            raise InputError(
                f"chip: found {shown(self.chip)}, allowed is a name of lower-case letters, digits, '.', '_' and '-'; "
                f"compile again"
            )
        self._close("rounding")

    def _shown(self) -> Iterator[str | Table]:
        yield f"Compiled for {self.chip}; rounding, largest errors:"
        yield Table(("population", *COLUMNS), [_row(name, entry) for name, entry in self.rounding.items()])
        yield from (f"{name}: {r.calibration}" for name, r in self.rounding.items() if r.calibration)
        yield from (words for _, words in self.costs)
        yield from self.warnings

    @property
    def costs(self) -> list[tuple[str, str]]:
        """What runs beside neurons and synapses of the trained network: population, and words that begin with it."""
        given = self.network.input
        reset = [(name, entry) for name, entry in self.rounding.items() if entry.reset_error is not None]
        found = [(name, _by_synapse(name, self.network[name].size, entry)) for name, entry in reset]
        return found if given.host is None else [*found, (given.name, _by_host(given, self.rounding))]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the weights, as plain values that JSON can hold."""
        rounding = {name: asdict(entry) for name, entry in self.rounding.items()}
        return {"chip": self.chip, "rounding": rounding, "warnings": list(self.warnings)}


_PREFIX = "deployment/"


def deployment_on(chip: str) -> Section[Deployment]:
    """The section of an ``.aspen`` file with the network in the integers of ``chip``: what is put and read there.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> file = AspenFile.open("net.aspen")
    >>> for chip in ("loihi1", "loihi2"):
    ...     file.put(deployment_on(chip), compile(network, chip))
    >>> file.save()  # both at once
    >>> file.sections
    ['deployment/loihi1', 'deployment/loihi2', 'network']
    """
    return Section(f"{_PREFIX}{chip}", lambda file: _decode(chip, file), _encode)


def store_deployment(deployment: Deployment, path: str | Path) -> None:
    """Add ``deployment`` to the ``.aspen`` file at ``path``, replacing one for the same chip, atomically.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> store_deployment(compile(network, "loihi1"), "net.aspen")
    >>> load_deployment("net.aspen", "loihi1").chip
    'loihi1'
    """
    AspenFile.update(path, lambda file: file.put(deployment_on(deployment.chip), deployment))


def stored_chips(path: str | Path | AspenFile) -> list[str]:
    """Chips that the ``.aspen`` file at ``path`` holds deployments for."""
    return [name.removeprefix(_PREFIX) for name in AspenFile.of(path).sections if name.startswith(_PREFIX)]


def load_deployment(path: str | Path | AspenFile, chip: str) -> Deployment:
    """Read the deployment for ``chip`` from an ``.aspen`` file.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> network.save("net.aspen")
    >>> store_deployment(compile(network, "loihi1"), "net.aspen")
    >>> load_deployment("net.aspen", "loihi1").chip
    'loihi1'

    Args:
        path: of the file, or the file, opened.
        chip: name of the chip.

    Raises:
        FileFormatError: the file is damaged, or holds no deployment for that chip.
    """
    return AspenFile.of(path).read(deployment_on(chip))


def _encode(deployment: Deployment, file: AspenFile) -> Parts:
    header, tensors = network_to_section(deployment.network)
    return {"network": header, **deployment.to_dict()}, tensors


def _decode(chip: str, file: AspenFile) -> Deployment:
    header, tensors = file.parts(f"{_PREFIX}{chip}")
    try:
        names = {field.name for field in fields(Rounding)}
        rounding = {
            name: Rounding(**{k: v for k, v in entry.items() if k in names})
            for name, entry in header["rounding"].items()
        }
        network = network_from_section(header["network"], tensors)
        warnings = tuple(as_name("warnings", text) for text in header["warnings"])
        return Deployment(network, header["chip"], rounding, warnings)
    except FileFormatError:
        raise
    except MALFORMED as error:
        raise FileFormatError(
            f"{file.path}: malformed deployment for {chip} ({one_line(error)}); run `aspen compile` again"
        ) from error
