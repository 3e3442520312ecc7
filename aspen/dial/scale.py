"""The run-time knob: what a ``threshold_scale`` means for each population, step and sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from aspen._base.arrays import Array
from aspen._base.names import unknown_name
from aspen.errors import InputError
from aspen.network.network import Network

ScaleValue: TypeAlias = "float | Array | list[float]"
ThresholdScale: TypeAlias = "ScaleValue | Mapping[str, ScaleValue]"


def check_scale(what: str, value: object, off: bool = False) -> Array:
    """``value`` as float64 array.

    Args:
        what: its name.
        value: what was given.
        off: whether infinity is allowed too where there is a factor for each neuron: it switches neurons off.

    Raises:
        InputError: it is not a number above 0 and finite.
    """
    try:
        scale = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: found {value!r}, allowed are numbers above 0; give a number such as 1.5") from error
    off = off and scale.ndim == 3
    if scale.size == 0 or np.isnan(scale).any() or scale.min() <= 0 or not (off or np.isfinite(scale).all()):
        raise InputError(
            f"{what}: found {value}, allowed are finite numbers above 0; 1 leaves the thresholds as trained"
        )
    return scale


def resolve_scale(network: Network, scale: ThresholdScale, steps: int, batch: int) -> dict[str, Array]:
    """The factor on the thresholds of each population.

    Args:
        network: whose populations are dialled.
        scale: a number for all hidden populations but gates and held ones, or a mapping from population to number
            (others stay at 1). Instead of a number: an array over time (steps,), over time and samples (steps or 1,
            batch or 1), or over neurons too, (steps or 1, batch or 1, n or 1), as
            :meth:`aspen.DialProfile.scale` gives it; there infinity switches a neuron off: it does not fire.
        steps: length of the run in time steps.
        batch: number of samples.

    Returns:
        name -> float64 array (steps or 1, batch or 1, n or 1), for every population except the input.

    Raises:
        InputError: a factor is not above 0, a name is unknown, or an array has another shape.
    """
    if isinstance(scale, Mapping):
        for name in scale:
            if name in network and network[name].held:
                raise InputError(
                    f"threshold_scale: found {name!r}, whose thresholds lie in other weights too, allowed are "
                    f"{', '.join(network.dialled) or 'none'}; leave it as trained"
                )
            allowed = [population for population in network.order if network[population].is_dialled]
            if name not in allowed:
                raise InputError(unknown_name("threshold_scale", name, allowed, kind="population"))
        wanted: Mapping[str, object] = scale
    else:
        wanted = dict.fromkeys(network.dialled, scale)
    factors = {name: np.ones((1, 1, 1)) for name in network.order}
    for name, value in wanted.items():
        checked = check_scale(f"threshold_scale of {name}", value, off=True)
        factors[name] = _spread(f"threshold_scale of {name}", checked, (steps, batch, network[name].size))
    return factors


def _spread(what: str, scale: Array, sizes: tuple[int, int, int]) -> Array:
    """(steps or 1, batch or 1, n or 1), where missing axes at the end are 1."""
    table = scale.reshape(*scale.shape, *[1] * (3 - scale.ndim))
    if table.ndim != 3 or any(found not in (1, size) for found, size in zip(table.shape, sizes, strict=True)):
        steps, batch, n = sizes
        raise InputError(
            f"{what}: found shape {scale.shape}, allowed is a number, ({steps},) for each step, ({steps} or 1, {batch} "
            f"or 1) for each step and sample, or ({steps} or 1, {batch} or 1, {n} or 1) for each neuron too"
        )
    return table
