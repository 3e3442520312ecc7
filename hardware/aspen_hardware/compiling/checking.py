"""Whether a network suits a chip, as compiling it finds: rules on the integers, and what compiling costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aspen.dial.profile import DialProfile
from aspen.errors import ChipError
from aspen.network.network import Network
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.compile import compile
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.placing.hosting import carries
from aspen_hardware.placing.placement import Placement
from aspen_hardware.placing.resets import told
from aspen_hardware.placing.rules import Finding, examine


@dataclass(frozen=True)
class Suited:
    """What came of a network on a chip.

    Args:
        deployment: in the chip's integers; ``None`` where it could not be compiled or was not, as it is in integers
            already, the chip is for energies only, or the range of its input is not known.
        placement: its cores; ``None`` where it does not fit.
        findings: errors first, then warnings.
        costs: what compiling adds: population, and words that begin with it.
    """

    deployment: Deployment | None
    placement: Placement | None
    findings: tuple[Finding, ...]
    costs: Sequence[tuple[str, str]]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps it off the chip; empty where it fits."""
        return tuple(finding for finding in self.findings if finding.level == "error")


def suit(network: Network, chip: Chip, profile: DialProfile | None = None) -> Suited:
    """Compile ``network`` and check what came of it, or say all that keeps it off ``chip``.

    Integers are what sits on the cores: thresholds that differ before rounding may be one behind it, and synapses that
    round to zero take no room. Where the range of an analog input is not known, it is taken as 1, with a warning.
    On a chip for energies only the network is checked as it is.

    Args:
        network: in floating point, or in integers, which are checked as they are.
        chip: where.
        profile: the dial that will turn it.
    """
    if network.is_integer or chip.energy_only:
        examined = examine(network, chip, profile=profile)
        return Suited(None, examined.placement, examined.findings, told(network, chip))
    unknown = tuple(_range_unknown(network, chip))
    ranged = network.with_input_peak(1.0) if unknown else network
    try:
        deployment = compile(ranged, chip, profile=profile)
    except ChipError as error:
        errors = tuple(
            finding for finding in examine(ranged, chip, profile=profile).findings if finding.level == "error"
        )
        return Suited(None, None, errors or (_finding("error", str(error)),), told(network, chip))
    warned = (_finding("warning", message) for message in deployment.warnings)
    return Suited(None if unknown else deployment, deployment.placement, (*unknown, *warned), deployment.costs)


def _range_unknown(network: Network, chip: Chip) -> Iterator[Finding]:
    if network.input.is_analog and network.input.graded is None and (carries(network, chip) or network.input.static):
        yield Finding(
            "warning",
            network.input.name,
            f"{network.input.name}: found an analog input whose range is not known, which compiling needs; give the "
            f"largest magnitude in the training data: network.with_input_peak(4.0), or aspen compile --input-peak 4",
        )


def _finding(level: str, message: str) -> Finding:
    return Finding(level, message.partition(":")[0], message)
