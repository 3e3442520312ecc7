"""How thresholds are perturbed: the settings and their checks, in one place, which needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aspen.errors import InputError
from aspen.thresholds.distributions import Distribution, make_distribution

AXES = ("batch", "sample", "layer", "neuron")


@dataclass(frozen=True)
class PerturbationSettings:
    """What :func:`aspen.perturb_thresholds` takes beside a model and a source of random numbers.

    >>> PerturbationSettings(low=0.4, high=2.5).law
    Distribution(name='log-uniform', low=0.4, high=2.5, sigma=nan, additive=False)

    Args:
        distribution, low, high, sigma, mode, per, layers: as there. Layers are looked up when there is a model.

    Raises:
        InputError: a value that is not allowed, or values that do not go together.
    """

    distribution: str = "log-uniform"
    low: float | None = None
    high: float | None = None
    sigma: float | None = None
    mode: str = "multiplicative"
    per: str | Sequence[str] = "sample"
    layers: str | Sequence[str] = "hidden"

    def __post_init__(self) -> None:
        law = self.law
        for name in ("low", "high", "sigma"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, getattr(law, name))
        _check_axes(self.per)
        for name in ("per", "layers"):
            given = getattr(self, name)
            if isinstance(given, Sequence) and not isinstance(given, str):
                object.__setattr__(self, name, tuple(given))

    @property
    def law(self) -> Distribution:
        """What is drawn from."""
        return make_distribution(self.distribution, low=self.low, high=self.high, sigma=self.sigma, mode=self.mode)

    @property
    def axes(self) -> frozenset[str]:
        """What draws are independent along; empty for one draw for everything."""
        return frozenset((self.per,) if isinstance(self.per, str) else self.per) - {"batch"}


def _check_axes(per: object) -> None:
    names = (per,) if isinstance(per, str) else per
    if not isinstance(names, Sequence) or not names or any(name not in AXES for name in names):
        raise InputError(f"per: found {per!r}, allowed: {', '.join(map(repr, AXES))} or a tuple of them; choose some")
