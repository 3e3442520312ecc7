"""What threshold perturbation draws from: the distributions, with their checks.

Torch is imported where something is drawn, and not before: a recipe is checked without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aspen._base.checks import as_name, as_number
from aspen.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIN_FACTOR = 0.05
"""Smallest factor a Gaussian draw may give, and smallest share of itself an additive draw may leave of a threshold."""

LOG_LIMIT = 14.0
"""Log-normal factors stay within exp(-14) .. exp(14), about 1e-6 .. 1e6, so that none becomes infinite."""

MODES = ("multiplicative", "additive")


@dataclass(frozen=True)
class Distribution:
    """A checked distribution; ``make_distribution`` builds it.

    Attributes:
        name: One of ``"log-uniform"``, ``"uniform"``, ``"gaussian"``, ``"log-normal"``.
        low, high: Bounds of the uniform kinds: factors (multiplicative) or offsets in threshold units (additive).
        sigma: Standard deviation of the Gaussian kinds: of the factor, of its logarithm, or of the offset.
        additive: Whether a draw is added to the threshold instead of multiplying it.
    """

    name: str
    low: float = math.nan
    high: float = math.nan
    sigma: float = math.nan
    additive: bool = False

    def sample(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """Draw independent factors (> 0) or offsets.

        Args:
            shape: Shape of the result.
            generator: Source of randomness; ``None`` means torch's global one on the CPU.

        Returns:
            float32 tensor of ``shape`` on the generator's device (the CPU without one), whatever torch's defaults are,
            so that one seed gives the same numbers everywhere.
        """
        import torch

        family = _FAMILIES[self.name]
        device = torch.device("cpu") if generator is None else generator.device
        draw = torch.randn if family.normal else torch.rand
        noise = draw(tuple(shape), generator=generator, device=device, dtype=torch.float32)
        return family.transform(self, noise)

    def __str__(self) -> str:
        values = ", ".join(f"{key}={getattr(self, key):g}" for key in _FAMILIES[self.name].parameters)
        return f"{self.name}({values})"


class _Family(NamedTuple):
    """One row of the registry: what a distribution needs, where it may be used and how it is drawn."""

    parameters: tuple[str, ...]
    modes: tuple[str, ...]
    normal: bool
    transform: Callable[[Distribution, Tensor], Tensor]


def _log_uniform(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``low * (high / low) ** U`` for U uniform on [0, 1); rounding cannot leave [low, high]."""
    log_low, log_high = math.log(law.low), math.log(law.high)
    return (log_low + (log_high - log_low) * noise).exp().clamp(law.low, law.high)


def _uniform(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``low + (high - low) * U`` for U uniform on [0, 1); rounding cannot leave [low, high]."""
    return (law.low + (law.high - law.low) * noise).clamp(law.low, law.high)


def _gaussian(law: Distribution, noise: Tensor) -> Tensor:
    """Return the offset ``sigma * N``, or the factor ``1 + sigma * N`` kept at ``MIN_FACTOR`` or above."""
    offset = law.sigma * noise
    return offset if law.additive else (1.0 + offset).clamp_min(MIN_FACTOR)


def _log_normal(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``exp(sigma * N)``, its exponent kept within +- ``LOG_LIMIT``."""
    return (law.sigma * noise).clamp(-LOG_LIMIT, LOG_LIMIT).exp()


_FAMILIES = {
    "log-uniform": _Family(("low", "high"), ("multiplicative",), False, _log_uniform),
    "uniform": _Family(("low", "high"), MODES, False, _uniform),
    "gaussian": _Family(("sigma",), MODES, True, _gaussian),
    "log-normal": _Family(("sigma",), ("multiplicative",), True, _log_normal),
}
_DEFAULTS = {"log-uniform": {"low": 0.5, "high": 2.0}}


def make_distribution(
    name: str = "log-uniform",
    *,
    low: float | None = None,
    high: float | None = None,
    sigma: float | None = None,
    mode: str = "multiplicative",
) -> Distribution:
    """Check the parameters of a distribution and build it.

    Args:
        name: ``"log-uniform"`` (low, high; default 0.5 to 2), ``"uniform"`` (low, high), ``"gaussian"`` (sigma: factor
            ``1 + sigma * N``, or offset ``sigma * N``) or ``"log-normal"`` (sigma: factor ``exp(sigma * N)``).
        low, high: Bounds; > 0 in multiplicative mode.
        sigma: Standard deviation, >= 0.
        mode: ``"multiplicative"``, or ``"additive"`` for uniform and Gaussian offsets in threshold units.

    Raises:
        InputError: Unknown name or mode, a parameter missing, not used or out of range, or a mode that does not fit.
    """
    family = _FAMILIES[as_name("distribution", name, tuple(_FAMILIES))]
    as_name("mode", mode, MODES)
    if mode not in family.modes:
        raise InputError(
            f"distribution {name!r} gives factors, found mode={mode!r}, allowed: 'multiplicative'; "
            "use 'gaussian' or 'uniform' for additive noise"
        )
    given = {"low": low, "high": high, "sigma": sigma}
    values = {key: _parameter(name, key, given.pop(key)) for key in family.parameters}
    _refuse_unused(name, given)
    _check_range(values, mode)
    return Distribution(name, additive=mode == "additive", **values)


def _parameter(name: str, key: str, value: float | None) -> float:
    """Return one needed parameter as a finite float, its default where there is one."""
    if value is None:
        value = _DEFAULTS.get(name, {}).get(key)
    if value is None:
        raise InputError(f"{key}: missing for distribution {name!r}; allowed: a finite number; pass {key}=...")
    return as_number(key, value, remedy=f"pass one for distribution {name!r}")


def _refuse_unused(name: str, left: dict[str, float | None]) -> None:
    for key, value in left.items():
        if value is not None:
            used = ", ".join(_FAMILIES[name].parameters)
            raise InputError(f"{key}: found {value!r}, but distribution {name!r} takes only {used}; leave {key} out")


def _check_range(values: dict[str, float], mode: str) -> None:
    sigma, low, high = values.get("sigma", 0.0), values.get("low", 1.0), values.get("high", 1.0)
    if sigma < 0:
        raise InputError(f"sigma: found {sigma:g}, allowed: 0 or more; pass a standard deviation")
    if low > high:
        raise InputError(f"low: found {low:g}, above high={high:g}; allowed: low <= high; swap the two")
    if mode == "multiplicative" and low <= 0:
        raise InputError(f"low: found {low:g}, allowed: above 0 for factors; raise low or use mode='additive'")
