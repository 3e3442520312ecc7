"""What threshold perturbation draws: the distributions with their checks, and the draws of one forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aspen._base.names import unknown_name
from aspen.errors import InputError, ModelError
from aspen.models.layers import show

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
        family = _FAMILIES[self.name]
        device = torch.device("cpu") if generator is None else generator.device
        noise = family.noise(tuple(shape), generator=generator, device=device, dtype=torch.float32)
        return family.transform(self, noise)

    def __str__(self) -> str:
        values = ", ".join(f"{key}={getattr(self, key):g}" for key in _FAMILIES[self.name].parameters)
        return f"{self.name}({values})"


class _Family(NamedTuple):
    """One row of the registry: what a distribution needs, where it may be used and how it is drawn."""

    parameters: tuple[str, ...]
    modes: tuple[str, ...]
    noise: Callable[..., Tensor]
    transform: Callable[[Distribution, Tensor], Tensor]


def _log_uniform(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``low * (high / low) ** U`` for U uniform on [0, 1); rounding cannot leave [low, high]."""
    log_low, log_high = math.log(law.low), math.log(law.high)
    return torch.exp(log_low + (log_high - log_low) * noise).clamp(law.low, law.high)


def _uniform(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``low + (high - low) * U`` for U uniform on [0, 1); rounding cannot leave [low, high]."""
    return (law.low + (law.high - law.low) * noise).clamp(law.low, law.high)


def _gaussian(law: Distribution, noise: Tensor) -> Tensor:
    """Return the offset ``sigma * N``, or the factor ``1 + sigma * N`` kept at ``MIN_FACTOR`` or above."""
    offset = law.sigma * noise
    return offset if law.additive else (1.0 + offset).clamp_min(MIN_FACTOR)


def _log_normal(law: Distribution, noise: Tensor) -> Tensor:
    """Return ``exp(sigma * N)``, its exponent kept within +- ``LOG_LIMIT``."""
    return torch.exp((law.sigma * noise).clamp(-LOG_LIMIT, LOG_LIMIT))


_FAMILIES = {
    "log-uniform": _Family(("low", "high"), ("multiplicative",), torch.rand, _log_uniform),
    "uniform": _Family(("low", "high"), MODES, torch.rand, _uniform),
    "gaussian": _Family(("sigma",), MODES, torch.randn, _gaussian),
    "log-normal": _Family(("sigma",), ("multiplicative",), torch.randn, _log_normal),
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
    _check_choice("distribution", name, tuple(_FAMILIES))
    _check_choice("mode", mode, MODES)
    family = _FAMILIES[name]
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


def _check_choice(what: str, found: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(found, str) or found not in allowed:
        raise InputError(unknown_name(what, found, allowed))


def _parameter(name: str, key: str, value: float | None) -> float:
    """Return one needed parameter as a finite float, its default where there is one."""
    if value is None:
        value = _DEFAULTS.get(name, {}).get(key)
    if value is None:
        raise InputError(f"{key}: missing for distribution {name!r}; allowed: a finite number; pass {key}=...")
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{key}: found {value!r}, allowed: a finite number; pass one for distribution {name!r}")
    return float(value)


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


class PassDraws:
    """The draws of one pass: made when a layer first asks, the same tensor at each further step."""

    def __init__(self, distribution: Distribution, axes: frozenset[str], generator: torch.Generator | None) -> None:
        self._distribution = distribution
        self._axes = axes
        self._generator = generator
        self._batch: int | None = None
        self._values: dict[str | None, Tensor] = {}
        self._placed: dict[tuple[Any, ...], Tensor] = {}

    def get(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor:
        """Return the draw of ``layer``, (batch or 1, *features or 1s), where and as ``signal`` is."""
        dtype = signal.dtype if signal.is_floating_point() else torch.get_default_dtype()
        key = (layer, state, signal.device, dtype)
        if key not in self._placed:
            values = self._layer_values(layer, state)
            self._placed[key] = values.to(device=signal.device, dtype=dtype)
        return self._placed[key]

    def _layer_values(self, layer: str, state: torch.Size) -> Tensor:
        self._check_batch(layer, state)
        shape = factor_shape(self._axes, state)
        owner = layer if self._axes & {"layer", "neuron"} else None
        if owner not in self._values:
            self._values[owner] = self._distribution.sample(shape, self._generator)
        values = self._values[owner]
        if values.numel() != math.prod(shape):
            raise ModelError(
                f"{show(layer)}: found neurons of shape {tuple(state[1:])} after {tuple(values.shape[1:])} in one "
                "pass, allowed: one shape where per includes 'neuron'; give each layer a module of its own"
            )
        return values.reshape(shape)

    def _check_batch(self, layer: str, state: torch.Size) -> None:
        if "sample" not in self._axes:
            return
        batch = state[0] if state else 1
        if self._batch is None:
            self._batch = batch
        if batch != self._batch:
            raise ModelError(
                f"{show(layer)}: found a batch of {batch}, but this pass began with {self._batch}; allowed: one size "
                "where per includes 'sample'; keep samples on axis 0, use per='batch', or redraw() in a sequence"
            )


def factor_shape(axes: frozenset[str], state: torch.Size) -> tuple[int, ...]:
    """Return the shape of a layer's draws: batch or 1, then the features or 1s.

    Args:
        axes: What draws are independent along.
        state: Shape of the membrane, (batch, *features).
    """
    if not state:
        return ()
    features = tuple(state[1:])
    return (state[0] if "sample" in axes else 1, *(features if "neuron" in axes else (1,) * len(features)))
