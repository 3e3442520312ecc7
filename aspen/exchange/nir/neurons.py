"""Neurons of NIR and ours. NIR has differential equations; the step is forward Euler, as snnTorch takes it.

With the time step ``dt``::

    LIF      tau dv/dt = v_leak - v + r I                 IF  dv/dt = r I
    CubaLIF  tau_syn dI/dt = -I + w_in S,  tau_mem dv/dt = v_leak - v + r I

    beta  = 1 - dt / tau_mem        (IF: 1)
    alpha = 1 - dt / tau_syn        (LIF, IF: 0)
    gain  = r dt / tau_mem * w_in dt / tau_syn            (LIF: r dt / tau; IF: r, for one step, as all tools have it)
    threshold = v_threshold / gain,  bias = v_leak dt / tau_mem / gain

Membranes here are those of NIR divided by the gain, so that the weights stay as they are; snnTorch does the same.
``LI``, ``CubaLI`` and ``I`` are the same without threshold and reset: leaky integrators, to be read out.
Writing chooses ``tau = dt / (1 - decay)`` and ``r = tau / dt``, ``w_in = tau_syn / dt``: the gain is 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import FileFormatError, NetworkError
from aspen.network.neurons import Lif

INTEGRATORS = ("LI", "CubaLI", "I")
NEURONS = ("LIF", "CubaLIF", "IF", *INTEGRATORS)
REMEDIES = {
    "Threshold": "use LIF with tau equal to the time step, which keeps no state",
}
"""Nodes without a counterpart, and what to do instead."""
MEMORY = 2.0**60
"""A decay of 1 is written as this many time steps: finite, and 1 - dt / tau is 1 to the last bit."""
UNIT = 1e-5
"""A gain this close to 1 is 1: what is left of rounding in files of float32 (snnTorch has the same tolerance)."""


def write_neuron(nir: Any, lif: Lif, shape: tuple[int, ...], dt: float, cuba: bool) -> Any:
    """The ``nir.LIF`` (``nir.CubaLIF`` where a synaptic current is kept) with the parameters of ``lif``.

    What never fires becomes a ``nir.LI`` or ``nir.CubaLI``.

    Args:
        nir: the package.
        lif: parameters, scalars or in the shape of the population.
        shape: shape of the node.
        dt: time step in seconds.
        cuba: write a CubaLIF in any case.
    """

    def spread(values: Array) -> Array:
        wide = values.astype(np.float64)
        return np.full(shape, wide) if wide.ndim == 0 else wide.reshape(shape)

    tau, r = _time_constant(spread(lif.beta), dt)
    fields = {"r": r, "v_leak": spread(lif.bias) * r}
    plain, current = nir.LI, nir.CubaLI
    if lif.fires:
        fields |= {"v_threshold": spread(lif.threshold), "v_reset": np.zeros(shape)}
        plain, current = nir.LIF, nir.CubaLIF
    if not (cuba or lif.alpha.any()):
        return plain(tau=tau, **fields)
    tau_syn, w_in = _time_constant(spread(lif.alpha), dt)
    return current(tau_mem=tau, tau_syn=tau_syn, w_in=w_in, **fields)


def _time_constant(decay: Array, dt: float) -> tuple[Array, Array]:
    """In seconds, and in time steps."""
    steps = 1 / np.maximum(1 - decay, 1 / MEMORY)
    return dt * steps, steps


def read_field(name: str, node: Any, field: str) -> Array:
    """A parameter of a node as an array of numbers.

    Raises:
        FileFormatError: it is missing, or holds no numbers.
    """
    try:
        array = np.asarray(getattr(node, field, None))
    except (TypeError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"{name}.{field}: found no array of numbers ({error}); write the graph again") from error
    if array.dtype.kind not in "fiub" or array.size == 0:
        raise FileFormatError(f"{name}.{field}: found {array.dtype} values, allowed are numbers; write the graph again")
    if np.isnan(array).any():
        raise FileFormatError(f"{name}.{field}: found NaN, allowed are numbers; look for a diverged training")
    return array


def neuron_shape(name: str, node: Any) -> tuple[int, ...]:
    """Shape of a neuron node's parameters together: ``()`` or all ones where these are scalars."""
    fields = [field for field in ("tau", "tau_mem", "tau_syn", "r", "v_threshold") if hasattr(node, field)]
    shapes = [read_field(name, node, field).shape for field in fields]
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise FileFormatError(f"{name}: found parameters of the shapes {shapes}, allowed is one shape") from error


def read_neuron(name: str, node: Any, shape: tuple[int, ...], dt: float, reset: str) -> Lif:
    """The neuron that a ``LIF``, ``CubaLIF`` or ``IF`` node of the given shape describes at the time step ``dt``.

    Raises:
        NetworkError: our neuron cannot do the same.
        FileFormatError: the parameters are no numbers.
    """
    kind = type(node).__name__
    integrates = kind in INTEGRATORS
    v_threshold = np.full((), np.inf) if integrates else read_field(name, node, "v_threshold")
    r = read_field(name, node, "r").astype(np.float64)
    alpha: Array = np.zeros((), v_threshold.dtype)
    with np.errstate(all="ignore"):
        if kind in ("IF", "I"):
            rate: Array = np.zeros(())
            beta: Array = np.ones((), v_threshold.dtype)
            gain = r
        else:
            rate, beta = _read_rate(name, node, "tau" if hasattr(node, "tau") else "tau_mem", dt)
            gain = _read_gain(r, rate)
        if kind in ("CubaLIF", "CubaLI"):
            rate_syn, alpha = _read_rate(name, node, "tau_syn", dt)
            gain = gain * _read_gain(read_field(name, node, "w_in").astype(np.float64), rate_syn)
        _check_gain(name, node, gain, integrates)
        v_leak = read_field(name, node, "v_leak") if hasattr(node, "v_leak") else np.zeros((), v_threshold.dtype)
        bias = v_leak * rate / gain
        threshold = v_threshold if (gain == 1).all() else v_threshold / gain
    _check_reset(name, node)
    fields = {"threshold": threshold, "beta": beta, "alpha": alpha, "bias": bias.astype(v_leak.dtype)}
    try:
        own = "none" if integrates else reset
        return Lif(**{field: _fit(values, shape) for field, values in fields.items()}, reset=own)
    except NetworkError as error:
        raise NetworkError(f"{name} ({type(node).__name__}): {error}") from error
    except ValueError as error:
        raise FileFormatError(f"{name}: the parameters do not fit the shape {shape} ({error})") from error


def _fit(values: Array, shape: tuple[int, ...]) -> Array:
    return values.reshape(()) if values.size == 1 else np.broadcast_to(values, shape)


def _read_rate(name: str, node: Any, field: str, dt: float) -> tuple[Array, Array]:
    """dt / tau in double precision, and the decay 1 - dt / tau in the precision of the file."""
    tau = read_field(name, node, field)
    step = float(np.float32(dt)) if tau.dtype == np.float32 else dt  # as the writer rounded it
    rate = step / tau.astype(np.float64)
    if (tau <= 0).any() or rate.max() > 1 + UNIT:
        raise NetworkError(
            f"{name}.{field}: found {tau.min():g} s, allowed is the time step of {dt:g} s and more; "
            f"give the time step (dt) for which the network was made"
        )
    rate = np.minimum(rate, 1.0)
    return rate, (1 - rate).astype(tau.dtype if tau.dtype.kind == "f" else np.float64)


def _read_gain(resistance: Array, rate: Array) -> Array:
    gain = np.where(np.isinf(resistance) & (rate == 0), 1.0, resistance * rate)  # snnTorch's form of a decay of 1
    return np.where(np.abs(gain - 1) <= UNIT, 1.0, gain)


def _check_gain(name: str, node: Any, gain: Array, integrates: bool) -> None:
    if integrates and gain.size and (gain != gain.flat[0]).any():
        raise NetworkError(
            f"{name} ({type(node).__name__}): found input gains (r dt / tau) from {gain.min():g} to {gain.max():g}, "
            f"allowed is one for all neurons that are read out; put the factors into the weights"
        )
    if not (np.isfinite(gain) & (gain > 0)).all():
        raise NetworkError(
            f"{name} ({type(node).__name__}): found an input gain (r dt / tau, times w_in dt / tau_syn) of "
            f"{gain.min():g}, allowed is above 0 and finite; put the sign into the weights"
        )


def _check_reset(name: str, node: Any) -> None:
    if getattr(node, "v_reset", None) is not None and read_field(name, node, "v_reset").any():
        raise NetworkError(
            f"{name}.v_reset: found a value other than 0, allowed is 0, where the membrane starts too; "
            f"shift v_reset, v_leak and v_threshold so that v_reset is 0"
        )
