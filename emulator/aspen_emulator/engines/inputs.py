"""Checks on what an engine is given, done once, before any engine sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aspen._base.arrays import LARGEST, Array, as_array
from aspen._base.checks import as_integer
from aspen._base.memory import check_memory
from aspen.dial.scale import ThresholdScale, resolve_scale
from aspen.errors import InputError
from aspen.network.graded import LARGEST_CURRENT
from aspen.network.host import HostLayer
from aspen.network.network import Network, Population
from aspen.network.neurons import BY_SYNAPSE, FixedLif, Lif
from aspen.network.record import kept_membranes
from aspen.storage.kinds import HEAD, other_than_npy
from aspen.storage.npy import MAGIC, read_npy
from aspen.storage.reading import opened
from aspen_emulator.engines.lif import scaled_threshold

SMALLEST = float(np.finfo(np.float64).tiny)
"""Least threshold in floating point that a scale may ask for."""
_ENCODE = (
    "encode the values first, by an encoder of aspen.data or by --values, or export the network for a current, from a "
    "sample of the values"
)
FEWER = "run fewer at a time, or step a session, which keeps nothing of the past"


def check_input(network: Network, values: object) -> Array:
    """What a run is given, checked: spikes (see :func:`check_spikes`), or the current where the input takes one.

    Where the input is static, all steps must be the same.

    Returns:
        (steps, batch, *shape): uint8 spikes; a current as float64, or int64 in integer networks: bias mantissas, which
        a :class:`~aspen.network.host.HostLayer` makes of values, or the graded spikes that the values of a
        :class:`~aspen.network.graded.GradedInput` become. Integers are these already.

    Raises:
        InputError: wrong type, shape or values.
    """
    if not network.input.current:
        return check_spikes(network, values)
    array, graded = np.asarray(values), network.input.graded
    check_shape(network, array)
    _check_static(network, array)
    if network.input.host is not None:
        return _hosted(network.input, network.input.host, array)
    if graded is not None and network.is_integer and array.dtype.kind == "f":
        return graded.encode(array).astype(np.int64)
    allowed = "iu" if network.is_integer else "fiu"
    if array.dtype.kind not in allowed or not np.isfinite(array).all():
        kinds = "integers (bias mantissas)" if network.is_integer else "finite numbers"
        remedy = "convert the data, or run the network in floating point" if network.is_integer else "convert the data"
        raise InputError(f"current: found {array.dtype} values or NaN, allowed are {kinds}; {remedy}")
    largest = (LARGEST_CURRENT if graded is None else graded.largest) if network.is_integer else LARGEST
    _check_magnitude(array, largest, graded is not None)
    return array.astype(np.int64 if network.is_integer else np.float64, copy=False)


def repeated(values: object, steps: int) -> Array:
    """The input of one step, (batch, *shape), given at each of ``steps``: (steps, batch, *shape), a view.

    Raises:
        InputError: ``steps`` is no integer from 1.
    """
    array = as_array("input", values)
    return np.broadcast_to(array, (as_integer("steps", steps, 1), *array.shape))


def _check_static(network: Network, array: Array) -> None:
    held = array.strides[0] == 0 or len(array) == 1  # repeated() made it, or there is nothing to compare
    if network.input.static and not held and not ((array == array[:1]) | (array != array)).all():
        raise InputError(
            f"{network.input.name}: found other values at other steps, allowed are the same at all, as the input is "
            f"static; repeat one step, as run(network, values, steps=N) does"
        )


def _hosted(given: Population, host: HostLayer, array: Array) -> Array:
    """The bias mantissas that the host makes of the values of one step, at all of them."""
    if array.dtype.kind not in "fiu":
        raise InputError(f"current: found {array.dtype} values, allowed are finite numbers; convert the data")
    steps, batch = array.shape[:2]
    return np.broadcast_to(host.encode(array[0]).reshape(batch, *given.shape), (steps, batch, *given.shape))


def _check_magnitude(array: Array, largest: float, graded: bool) -> None:
    found = max(array.max().item(), -array.min().item())
    if found > largest:
        kind = "graded spikes" if graded else "13-bit bias mantissas"
        kind = "magnitudes of float32" if largest == LARGEST else kind
        remedy = "give the values as floats, or clip them" if graded else "scale the data"
        raise InputError(f"current: found values up to {found:.9g}, allowed are {kind}, up to {largest:.9g}; {remedy}")


def check_shape(network: Network, array: Array) -> tuple[int, int]:
    """Steps and samples of spikes or a current (time, batch, *shape).

    Raises:
        InputError: another shape.
    """
    what = "current" if network.input.current else "spikes"
    shape = network.input.given_shape
    wanted = f"(time, batch, {', '.join(map(str, shape))})"
    if array.ndim < 2 or array.shape[2:] != shape or 0 in array.shape:
        raise InputError(
            f"{what}: found shape {array.shape}, allowed is {wanted}; "
            f"{_remedy(what, array.shape, shape, network.input.static)}"
        )
    return array.shape[0], array.shape[1]


def _remedy(what: str, found: tuple[int, ...], shape: tuple[int, ...], static: bool) -> str:
    """What probably went wrong with the shape of an input, (time, batch, *shape), and what to do."""
    if static and found[1:] == shape and 0 not in found:
        return "the input is static: say for how many steps, as in run(network, values, steps=25)"
    if found[1:] == shape and 0 not in found:
        return f"for one sample add the batch: {what}[:, None]"
    if len(shape) == 1 and len(found) == 3 and shape[0] in found[:2] and found[2] != shape[0]:
        axis = found.index(shape[0])
        return f"axis {axis} has the {shape[0]} inputs, which come last: np.moveaxis({what}, {axis}, 2)"
    if 0 in found:
        return "give at least one step and one sample"
    return "time comes first, then the batch"


def check_spikes(network: Network, spikes: object) -> Array:
    """``spikes`` as a uint8 array (steps, batch, *shape) of zeros and ones, whatever type they come in: also the floats
    that snnTorch's ``spikegen`` makes.

    Raises:
        InputError: wrong type, shape or values.
    """
    array = as_array("spikes", spikes, _ENCODE)
    check_shape(network, array)
    _check_static(network, array)
    if array.dtype.kind == "f":
        return _from_floats(array)
    if array.dtype != bool and (array.max() > 1 or (array.dtype.kind == "i" and array.min() < 0)):
        raise InputError(f"spikes: found values from {array.min()} to {array.max()}, allowed are 0 and 1; {_ENCODE}")
    # uint8 is not copied: the input may be a memory-mapped file that is larger than the memory
    return array.view(np.uint8) if array.dtype == bool else array.astype(np.uint8, copy=False)


def _from_floats(array: Array) -> Array:
    """Floats of 0.0 and 1.0 as uint8, one time step after the other, so that what is beside them stays small."""
    spikes = np.empty(array.shape, np.uint8)
    for step, values in enumerate(array):
        wrong = (values != 0) & (values != 1)
        if wrong.any():
            raise InputError(f"spikes: found {values[wrong][0]:g}, allowed are 0 and 1; {_ENCODE}")
        spikes[step] = values
    return spikes


def load_spikes(path: str | Path) -> Array:
    """The array in a ``.npy`` file, or out of a pipe; see :func:`aspen.storage.npy.read_npy`.

    Raises:
        InputError: no such file, or not a readable ``.npy`` file.
    """
    with opened(path, MAGIC) as (stream, size):
        wrong = other_than_npy(Path(path), stream.read(HEAD))
        if wrong is not None:
            raise InputError(wrong)
        stream.seek(0)
        check_memory(str(path), size, FEWER)
        try:
            return read_npy(stream, size)
        except (ValueError, TypeError, OSError) as error:
            raise InputError(f"{path}: not a readable .npy array ({error}); save it with numpy.save") from error


def check_size(network: Network, steps: int, batch: int, record: str) -> None:
    """Raise unless what a run keeps fits in memory, before anything of it is made.

    Its input is left out: that is there already, perhaps in a memory-mapped file.

    Args:
        network: what is to run.
        steps: length of the run in time steps.
        batch: number of samples.
        record: one of :data:`aspen.network.record.RECORDS`.

    Raises:
        InputError: it does not; the message names the bytes.
    """
    spikes = sum(network[name].size for name in ([network.output] if record == "counts" else network.order))
    membranes = sum(network[name].size for name in kept_membranes(network, record))
    counts = 3 * len(network.populations) + len(network.connections)
    check_memory(
        f"{steps} steps of {batch} samples",
        steps * batch * (spikes + 8 * (membranes + counts)),
        FEWER,
    )


def thresholds_for(network: Network, scale: ThresholdScale, steps: int, batch: int) -> dict[str, Array]:
    """The thresholds of a run, dialled by ``scale``.

    Returns:
        population -> (steps or 1, batch or 1, n or 1), in units of the membrane.

    Raises:
        InputError: the scale is not allowed, or a dialled threshold does not fit the chip's integers or, in floating
            point, is 0 or beyond float32's largest.
    """
    thresholds = {}
    for name, factors in resolve_scale(network, scale, steps, batch).items():
        neuron = network[name].neuron
        assert neuron is not None  # resolve_scale leaves the input out
        thresholds[name] = scaled_threshold(neuron, factors)
        if isinstance(neuron, FixedLif):
            _check_mantissas(name, thresholds[name] >> FixedLif.SHIFT, neuron, factors)
        else:
            _check_floats(name, thresholds[name], neuron, factors)
    return thresholds


def _check_mantissas(name: str, mantissas: Array, neuron: FixedLif, factors: Array) -> None:
    largest = neuron.largest_threshold
    if mantissas.min() >= 1 and mantissas.max(where=~np.isinf(factors), initial=1) <= largest:
        return
    low, high = 0.5 / int(neuron.threshold.min()), largest / int(neuron.threshold.max())
    what = "8-bit synapses that subtract thresholds" if neuron.reset == BY_SYNAPSE else "17-bit thresholds"
    raise InputError(
        f"threshold_scale of {name}: found {factors.min():g} to {factors.max():g}, the chip's {what} allow "
        f"about {low:.3g} to {high:.3g}; compile with a larger max_threshold_scale"
    )


def _check_floats(name: str, scaled: Array, neuron: Lif, factors: Array) -> None:
    """Thresholds stay positive and within float32's largest, but for those that were infinite before, or are switched
    off."""
    finite = neuron.threshold[np.isfinite(neuron.threshold)].astype(np.float64)
    if not finite.size:
        return
    kept = np.where(np.isinf(neuron.threshold.ravel()) | np.isinf(factors), 1, scaled)
    if kept.min() >= SMALLEST and kept.max() <= LARGEST:
        return
    low, high = SMALLEST / float(finite.min()), LARGEST / float(finite.max())
    raise InputError(
        f"threshold_scale of {name}: found {factors.min():g} to {factors.max():g}, its thresholds allow {low:.3g} to "
        f"{high:.3g}, so that they stay numbers above 0 and up to {LARGEST:.3g}; give a scale in this range"
    )


def check_step(found: tuple[int, ...], allowed: tuple[int, ...]) -> None:
    """Raise unless one time step of the input has the shape (batch, *input_shape) of a session.

    Raises:
        InputError: another one; says what it looks like, and the remedy.
    """
    if found == allowed:
        return
    if found[1:] == allowed:
        remedy = "this looks like several steps: pass one after the other, as in `for step in spikes`"
    elif found == allowed[1:]:
        remedy = "for one sample add the batch: spikes[None]"
    elif found[1:] == allowed[1:] and found[0]:
        remedy = f"for another number of samples side by side open a session with batch={found[0]}"
    else:
        remedy = "the batch comes first, then the shape of the input"
    raise InputError(f"step: found shape {found}, allowed is {allowed}, one time step (batch, *input_shape); {remedy}")
