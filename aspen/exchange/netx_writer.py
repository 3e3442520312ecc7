"""Write integer networks in lava-dl's netx format; see :mod:`aspen.exchange.netx` for what the format says."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import NetworkError
from aspen.exchange._hdf5 import require_h5py
from aspen.network.connections import Connection, Conv, Dense
from aspen.network.network import Network, Population
from aspen.network.neurons import FixedLif
from aspen.storage.writing import write_atomically

BIAS_EXPONENT = 6
"""netx has no exponent for biases: its loader gives all of them this one."""
MAX_DELAY = 62
"""lava-dl's loader clamps longer delays to this."""
WEIGHT_RANGE = (-256, 255)
"""Weights that lava-dl's loader and Lava keep at most; :func:`kept_by_lava` tells the whole story."""
READOUT = FixedLif(FixedLif.MAX_THRESHOLD, 0, 4095, 0, BIAS_EXPONENT, "none")
"""What a layer without neurons becomes: a membrane that sums up, with a threshold that is not reached."""


def kept_by_lava(weight: Array, *others: Array) -> bool:
    """Whether Lava runs a dense layer with the weights as they stand, after lava-dl's loader has fitted them.

    The loader shifts the weights of a layer left to fill 8 bits, and Lava clips them and drops the bits below those
    that the loader asked for. Mixed and positive weights of 8 bits survive that; a matrix without positive weights
    may not: where its smallest weight is a power of two it is clipped, or even lost.

    >>> kept_by_lava(np.array([[100, -20]])), kept_by_lava(np.array([[-100, -256]]))
    (True, False)
    >>> kept_by_lava(np.array([[-128, 0]]))
    False

    Args:
        weight: integers of any shape.
        others: further weights of the same layer, which share the shift.
    """
    together = np.concatenate([w.reshape(-1) for w in (weight, *others)]).astype(np.int64)
    low, high = int(together.min()), int(together.max())
    if low == high == 0:
        return True
    if low < WEIGHT_RANGE[0] or high > WEIGHT_RANGE[1]:
        return False
    mixed = low < 0 <= high
    if mixed and high > 254:  # clipped by the loader
        return False
    below, above = (-128, 127) if mixed else (-256, 255)
    room = min(below / low if low < 0 else np.inf, above / high if high > 0 else np.inf)
    shift = int(np.floor(np.log2(room))) + mixed
    common = min(8, *(int(w & -w).bit_length() - 1 for w in together if w))
    return all(_survives(w.astype(np.int64), shift, shift + common - mixed) for w in (weight, *others))


def _survives(weight: Array, shift: int, dropped: int) -> bool:
    if shift < 0:
        return False
    shifted = weight << shift
    if weight.min() < 0 < weight.max():
        low, high, dropped = -256, 255, dropped + 1
    else:
        shifted, low, high = np.abs(shifted), 0, 255
    if dropped < 0:
        return False
    clipped = np.clip(shifted, low, high)
    return bool(np.array_equal(clipped >> dropped << dropped, shifted))


def save_netx(network: Network, path: str | Path) -> None:
    """Write an integer network as lava-dl's netx file (``.net``); the file appears complete or not at all.

    Names are not part of the format: read back, the populations are called ``input``, ``layer1``, ``layer2``, ...
    Weight exponents and bias exponents other than netx's own are folded into weights and mantissas where that is exact.

    >>> from aspen.exchange.netx import load_netx
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> deployment = compile(network, "loihi1", netx=True)
    >>> save_netx(deployment.network, "net.net")
    >>> load_netx("net.net").names
    ['input', 'layer1']

    Args:
        network: in integers; a chain of dense and two-dimensional convolutional connections; reset to zero; one
            threshold and one pair of decays for each population.
        path: file to write.

    Raises:
        NetworkError: netx cannot say something about the network; the message names it.
        InputError: the file cannot be written.
        MissingDependencyError: h5py is not installed.
    """
    h5py = require_h5py()
    layers = _layers(network)
    buffer = BytesIO()
    with h5py.File(buffer, "w") as file:
        for index, layer in enumerate(layers):
            group = file.create_group(f"layer/{index}")
            for key, value in layer.items():
                group.create_dataset(key, data=value)
    write_atomically(path, buffer.getvalue())


def _refuse(where: str, found: str, allowed: str, remedy: str) -> NetworkError:
    return NetworkError(f"{where}: found {found}, netx allows {allowed}; {remedy}")


def _layers(network: Network) -> list[dict[str, Any]]:
    if not network.is_integer:
        raise _refuse("network", "floating point", "a chip's integers", "compile it first")
    layers = [_input_layer(network)]
    source = network.input
    for connection in _chain(network):
        target = network[connection.target]
        if isinstance(connection, Conv):
            layers.append(_conv_layer(connection, target))
        else:
            if len(source.shape) > 1:
                layers.append({"type": _label("flatten"), "shape": np.array([source.size, 1, 1])})
            layers.append(_dense_layer(connection, target))
        source = target
    return layers


def _chain(network: Network) -> list[Connection]:
    found: list[Connection] = []
    name = network.input.name
    while outgoing := [c for c in network.summed if c.source == name]:
        if len(outgoing) > 1 or len(network.incoming(outgoing[0].target)) > 1:
            names = ", ".join(c.name for c in outgoing)
            raise _refuse(names, "a branch, skip or recurrent connection", "a chain", "use the .aspen format")
        found.append(outgoing[0])
        name = outgoing[0].target
    if name != network.output or len(found) != len(network.populations) - 1:
        raise _refuse("network", f"a chain that ends at {name}", "one from input to output", "use the .aspen format")
    return found


def _label(text: str) -> Array:
    return np.array([text.encode()], dtype="S10")


def _input_layer(network: Network) -> dict[str, Any]:
    population = network.input
    layer: dict[str, Any] = {"type": _label("input"), "shape": np.array(population.shape)}
    if population.host is not None:
        found = "biases that the host computes of values"
        raise _refuse(population.name, found, "spikes or a current", "use the .aspen format")
    if population.neuron is None:
        return layer
    transform = network.provenance.get("input_transform")
    if isinstance(transform, dict) and all(isinstance(transform.get(key), int) for key in ("weight", "bias")):
        layer |= {key: np.float32(transform[key]) for key in ("weight", "bias")}
    if _mantissas(population).any():
        raise _refuse(f"{population.name}.bias_mantissa", "a bias", "none in the input layer", "add it to the current")
    return layer | _neuron_parts(population)


def _neuron_parts(population: Population, readout: bool = False) -> dict[str, Any]:
    neuron = population.neuron
    assert isinstance(neuron, FixedLif)  # integer networks have no other
    if readout and _is_readout(neuron):
        return {}
    if neuron.reset != "zero":
        raise _refuse(f"{population.name}.reset", neuron.reset, "zero", "train with reset to zero, or use .aspen")
    values = {}
    for key, field, offset in (
        ("iDecay", "current_decay", 1),
        ("vDecay", "voltage_decay", 0),
        ("vThMant", "threshold", 0),
    ):
        array = getattr(neuron, field)
        if array.min() != array.max():
            where = f"{population.name}.{field}"
            raise _refuse(where, f"{array.min()} to {array.max()}", "one value for all neurons", "use .aspen")
        values[f"neuron/{key}"] = int(array.min()) + offset
    return {"neuron/type": "CUBA", **values, "neuron/refDelay": 1, "neuron/gradedSpike": np.False_}


def _is_readout(neuron: FixedLif) -> bool:
    same = all(np.array_equal(getattr(neuron, field), getattr(READOUT, field)) for field in FixedLif.array_fields)
    return same and neuron.reset == READOUT.reset


def _mantissas(population: Population) -> Array:
    """Bias mantissas for netx's exponent, a scalar or of the population's shape."""
    neuron = population.neuron
    assert isinstance(neuron, FixedLif)  # integer networks have no other
    mantissas = neuron.bias >> BIAS_EXPONENT
    if (mantissas << BIAS_EXPONENT != neuron.bias).any() or mantissas.min() < -4096 or mantissas.max() > 4095:
        raise _refuse(
            f"{population.name}.bias",
            "values that need another exponent",
            f"multiples of {2**BIAS_EXPONENT} up to 13 bits beyond that",
            "use .aspen",
        )
    return mantissas


def _bias_part(population: Population) -> dict[str, Any]:
    mantissas = _mantissas(population)
    if not mantissas.any():
        return {}
    mantissas = np.broadcast_to(mantissas, population.shape).astype(np.float32)
    if mantissas.ndim == 1:
        return {"bias": mantissas}
    per_channel = mantissas[:, 0, 0]
    if (mantissas == per_channel[:, None, None]).all():
        return {"bias": per_channel}
    return {"bias": mantissas.transpose(2, 1, 0)}


def _weights(connection: Connection) -> Array:
    weight = connection.weight.astype(np.int64)
    folded = weight << connection.exponent if connection.exponent >= 0 else weight >> -connection.exponent
    exact = connection.exponent >= 0 or np.array_equal(folded << -connection.exponent, weight)
    if not exact or folded.min() < WEIGHT_RANGE[0] or folded.max() > WEIGHT_RANGE[1] or not folded.any():
        found = f"integers from {weight.min()} to {weight.max()} with exponent {connection.exponent}"
        allowed = f"{WEIGHT_RANGE[0]} to {WEIGHT_RANGE[1]} without exponent, not all zero"
        raise _refuse(f"{connection.name}.weight", found, allowed, "use .aspen")
    return folded


def _dense_layer(connection: Connection, target: Population) -> dict[str, Any]:
    if not isinstance(connection, Dense):
        raise _refuse(connection.name, f"a {connection.kind} connection", "dense and conv", "use the .aspen format")
    if len(target.shape) > 1:
        raise _refuse(f"{target.name}.shape", str(target.shape), "(n,) behind a dense connection", "flatten it")
    weight = _weights(connection)
    if not kept_by_lava(weight):
        found = f"weights from {weight.min()} to {weight.max()}"
        raise _refuse(f"{connection.name}.weight", found, "what Lava's loader does not clip", "use .aspen")
    layer = {
        "type": _label("dense"),
        "shape": np.array(target.shape),
        "inFeatures": weight.shape[1],
        "outFeatures": weight.shape[0],
        "weight": weight.astype(np.float32),
    }
    if connection.delay > MAX_DELAY:
        raise _refuse(f"{connection.name}.delay", str(connection.delay), f"up to {MAX_DELAY}", "shorten it")
    if connection.delay:
        layer["delay"] = np.full(target.shape, connection.delay, np.float32)
    return layer | _bias_part(target) | _neuron_parts(target, readout=True)


def _conv_layer(connection: Conv, target: Population) -> dict[str, Any]:
    if len(connection.stride) != 2:
        raise _refuse(connection.name, "a one-dimensional convolution", "two dimensions", "use the .aspen format")
    if connection.delay:
        raise _refuse(f"{connection.name}.delay", str(connection.delay), "none in convolutions", "use .aspen")
    weight = _weights(connection)
    layer = {
        "type": _label("conv"),
        "shape": np.array(target.shape),
        "inChannels": connection.input_shape[0],
        "outChannels": weight.shape[0],
        "kernelSize": np.array(weight.shape[2:]),
        "stride": np.array(connection.stride),
        "padding": np.array(connection.padding),
        "dilation": np.array(connection.dilation),
        "groups": connection.groups,
        "weight": weight.astype(np.float32),
    }
    return layer | _bias_part(target) | _neuron_parts(target)
