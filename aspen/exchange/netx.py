"""lava-dl's netx format (HDF5, ``.net``): a chain of layers of Loihi neurons in integers.

Axes. netx stores everything in PyTorch's order, and so do we: shapes are ``(channels, height, width)``, kernels
``(channels_out, channels_in / groups, height, width)``, strides and paddings ``(height, width)``, convolutions are
cross-correlations, and ``flatten`` runs over ``(channels, height, width)``. Lava's own processes hold the transpose,
``(x, y, channels)``: data recorded there is brought here by ``values.transpose(2, 1, 0)``.

Time. Lava takes one time step for each connection, ASPEN none: layer i answers i steps earlier here. In Lava a bias
acts from the first step on, also in layers that the input has not reached yet; the two agree where layer i of Lava is
reset when its first input arrives, as lava-dl does it (``reset_interval``).

Input. An ``input`` layer with neurons takes a direct current, the bias mantissa: integers ``(time, batch, *shape)``.
lava-dl makes them of values x from 0 to 1 by ``2 * weight * x - weight + bias``, cut to integers, and holds them for
all steps of a sample; weight and bias are in ``network.provenance["input_transform"]``. Without an input layer, or
with one without neurons, the network takes spikes.

What a layer says, and what becomes of it:

- ``weight``: final integers; fractions are cut off as in lava-dl, and ``provenance["notes"]`` says where.
- ``bias``: mantissas with exponent 6, for each neuron or channel.
- ``neuron``: ``iDecay`` - 1 is the current decay; ``vDecay``, ``vThMant``; ``refDelay`` is 1. ``wgtExp`` and
  ``weight_exp`` are already in the weights; lava-dl's loader does not read them either.
- ``delay`` of a dense layer: steps by which each neuron's input arrives late (so does lava-dl's loader read it), at
  most 62. With several delays the layer becomes one population for each, called ``layer2.delay5``.
- A dense layer without ``neuron`` is a read-out that sums up its input: no leak, no reset, and a threshold that is
  not reached. (In Lava the sum stands in the current, here in the membrane.)
- ``pool``, which Lava does not run, becomes the convolution with the same weight in each channel. ``average`` may
  stand last, and is left out, as lava-dl's own users do (``num_layers``).
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import AspenError, FileFormatError
from aspen.exchange._hdf5 import MAX_NEURONS, Group, bad, opened
from aspen.exchange.netx_writer import BIAS_EXPONENT, MAX_DELAY, READOUT, WEIGHT_RANGE, kept_by_lava, save_netx
from aspen.network.connections import Connection, Conv, Dense
from aspen.network.network import Network, Population
from aspen.network.neurons import FixedLif

__all__ = ["load_netx", "save_netx"]


def load_netx(path: str | Path) -> Network:
    """Read a network from lava-dl's netx file, as integers that run as Lava runs them.

    >>> from aspen.exchange.netx_writer import save_netx
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> deployment = compile(network, "loihi1", netx=True)
    >>> save_netx(deployment.network, "net.net")
    >>> load_netx("net.net").names
    ['input', 'layer1']

    Args:
        path: the file, usually ``*.net``.

    Returns:
        populations ``input``, ``layer1``, ``layer2``, ...; the last is the output. See the module on axes and time.

    Raises:
        InputError: there is no such file.
        FileFormatError: it is damaged, or has parts that Lava's loader or ASPEN do not run; the message names them.
        MissingDependencyError: h5py is not installed.
    """
    with opened(path) as file:
        return _Builder().build(file)


class _Builder:
    """Layers become populations and connections, one after the other.

    ``parts`` are the populations of the newest layer, each with the indices of its neurons in that layer.
    """

    def __init__(self) -> None:
        self.populations: list[Population] = []
        self.connections: list[Connection] = []
        self.parts: list[tuple[str, Array]] = []
        self.shape: tuple[int, ...] = ()
        self.flat = False
        self.count = 0
        self.notes: list[str] = []
        self.provenance: dict[str, Any] = {"format": "netx", "axes": "(channels, height, width)"}
        self.kinds = {
            "input": self.input, "flatten": self.flatten, "dense": self.dense, "dense_rec": self.recurrent,
            "conv": self.conv, "pool": self.pool,
        }  # fmt: skip

    def build(self, file: Group) -> Network:
        layers = file.child("layer")
        for index in range(len(layers)):
            layer = layers.child(str(index))
            kind = layer.text("type")
            if kind == "average" and index == len(layers) - 1:
                self.notes.append(f"{layer.where}: average over groups of outputs left out, as Lava has none")
                break
            if kind not in self.kinds:
                raise bad(layer.name("type"), repr(kind), ", ".join(self.kinds), "Lava's loader runs no other either")
            self.kinds[kind](layer)
        if len(self.parts) != 1:
            names = [name for name, _ in self.parts]
            raise bad("layer", f"the output {names}", "one output with one delay", "give its neurons one delay")
        if self.notes:
            self.provenance["notes"] = self.notes
        return Network(tuple(self.populations), tuple(self.connections), self.parts[0][0], self.provenance)

    def add(self, name: str, shape: tuple[int, ...], neuron: FixedLif | None, current: bool = False) -> None:
        self.populations.append(Population(name, shape, neuron, current))
        self.parts, self.shape, self.flat = [(name, np.arange(prod(shape)))], shape, False

    def input(self, layer: Group) -> None:
        if self.populations:
            raise bad(layer.where, "a second input", "one input, in front")
        if "neuron" not in layer:
            return self.add("input", layer.shape(), None)
        self.provenance["input_transform"] = {
            "weight": int(layer.integers("weight", self.notes).reshape(-1)[0]) if "weight" in layer else 64,
            "bias": int(layer.integers("bias", self.notes).reshape(-1)[0]) if "bias" in layer else 0,
        }
        return self.add("input", layer.shape(), _neuron(layer, np.zeros((), np.int64)), current=True)

    def flatten(self, layer: Group) -> None:
        self.flat = True

    def _source(self, layer: Group) -> str:
        """The name of the only population in front, which must not be flattened."""
        if len(self.shape) != 3 or self.flat:
            found = f"an input of shape {self.shape}{' behind a flatten layer' if self.flat else ''}"
            raise bad(layer.where, found, "an input (channels, height, width)", "give the file an input layer")
        return self.parts[0][0]

    def conv(self, layer: Group) -> None:
        weight = _in_range(layer, layer.integers("weight", self.notes))
        if weight.ndim not in (4, 5) or weight.shape[4:] not in ((), (1,)):
            raise bad(layer.name("weight"), f"shape {weight.shape}", "(out, in / groups, height, width)")
        self._convolve(layer, weight.reshape(weight.shape[:4]), layer.number("groups"))

    def pool(self, layer: Group) -> None:
        self._source(layer)
        weight = _in_range(layer, layer.integers("weight", self.notes))
        if weight.ndim not in (4, 5) or weight.shape[:2] != (1, 1) or weight.shape[4:] not in ((), (1,)):
            raise bad(layer.name("weight"), f"shape {weight.shape}", "(1, 1, height, width)")
        channels = self.shape[0]
        if channels * weight.size > MAX_NEURONS:
            raise bad(layer.name("weight"), f"shape {weight.shape}", f"at most {MAX_NEURONS} in all channels")
        self._convolve(layer, np.repeat(weight.reshape(1, 1, *weight.shape[2:4]), channels, axis=0), channels)

    def _convolve(self, layer: Group, weight: Array, groups: int) -> None:
        source, shape = self._source(layer), layer.shape()
        stride, padding, dilation = (layer.numbers(key, 2) for key in ("stride", "padding", "dilation"))
        if any(p > d * (k - 1) for p, d, k in zip(padding, dilation, weight.shape[2:], strict=True)):
            raise bad(layer.name("padding"), padding, "less than the kernel's reach")
        channels, height, width = self.shape
        if channels * (height + 2 * padding[0]) * (width + 2 * padding[1]) > 4 * MAX_NEURONS:
            raise bad(layer.name("padding"), padding, f"{4 * MAX_NEURONS} values with the padding")
        if "neuron" not in layer:
            raise bad(layer.name("neuron"), "nothing", "a group")
        if "delay" in layer and layer.integers("delay", self.notes).any():
            raise bad(layer.name("delay"), "delays", "0: lava-dl's loader ignores delays of convolutions")
        name = self._next()
        made = Conv(source, name, weight, self.shape, None, stride, padding, dilation, groups)
        if made.output_shape != shape:
            raise bad(layer.name("shape"), shape, f"{made.output_shape}, what the kernel gives")
        self.add(name, shape, _neuron(layer, self._bias(layer, shape)))
        self.connections.append(made)

    def dense(self, layer: Group) -> None:
        self._dense(layer, None)

    def recurrent(self, layer: Group) -> None:
        if "delay" in layer:
            raise bad(layer.name("delay"), "delays", "none in recurrent layers", "train without them")
        self._dense(layer, _matrix(layer, layer.integers("weight_rec", self.notes), prod(layer.shape())))

    def _dense(self, layer: Group, back: Array | None) -> None:
        n = prod(layer.shape())
        weight = _matrix(layer, layer.integers("weight", self.notes), n)
        if not self.populations:
            self.add("input", (weight.shape[1],), None)
        if sum(size > 1 for size in self.shape) > 1 and not self.flat:
            raise bad(layer.where, f"an input of shape {self.shape}", "a flatten layer in front of a dense one")
        if weight.shape[1] != prod(self.shape):
            raise bad(layer.name("weight"), f"shape {weight.shape}", f"({n}, {prod(self.shape)})")
        if not kept_by_lava(weight, *([] if back is None else [back])):
            found = f"weights from {weight.min()} to {weight.max()}"
            raise bad(layer.name("weight"), found, "what Lava keeps in 8 bits", "quantise the weights again")
        bias = np.broadcast_to(self._bias(layer, (n,)), (n,))
        delays, sources, name = self._delays(layer, weight.shape), self.parts, self._next()
        steps = sorted({int(d) for d in delays})
        targets = [(f"{name}.delay{d}" if len(steps) > 1 else name, np.flatnonzero(delays == d), d) for d in steps]
        for target, rows, delay in targets:
            self.add(target, (len(rows),), _neuron(layer, bias[rows]))
            for source, columns in sources:
                self.connections.append(Dense(source, target, weight[np.ix_(rows, columns)], None, delay))
        self.parts, self.shape = [(target, rows) for target, rows, _ in targets], (n,)
        if back is not None:
            self.connections.append(Dense(name, name, back, None, 1))

    def _next(self) -> str:
        self.count += 1
        return f"layer{self.count}"

    def _bias(self, layer: Group, shape: tuple[int, ...]) -> Array:
        """Mantissas: a scalar, or of the given shape."""
        if "bias" not in layer:
            return np.zeros((), np.int64)
        bias = layer.integers("bias", self.notes)
        if (bias == bias.flat[0]).all() and bias.shape in ((), (1,), shape[:1], shape[::-1]):
            return np.asarray(bias.flat[0])
        if bias.shape == shape[::-1]:
            return bias.transpose()
        if bias.shape == shape[:1]:
            return np.broadcast_to(bias.reshape(-1, *[1] * (len(shape) - 1)), shape)
        raise bad(layer.name("bias"), f"shape {bias.shape}", f"{shape[:1]} or {shape[::-1]}")

    def _delays(self, layer: Group, shape: tuple[int, ...]) -> Array:
        """For each neuron of a dense layer with weights of ``shape``: the steps by which its input is late."""
        if "delay" not in layer:
            return np.zeros(shape[0], np.int64)
        delays = layer.integers("delay", self.notes)
        if delays.max() > MAX_DELAY:
            self.notes.append(f"{layer.name('delay')}: delays above {MAX_DELAY} cut to it")
        if delays.min() < 0 or delays.shape not in ((), (1,), shape[:1], shape[1:], shape):
            raise bad(layer.name("delay"), f"shape {delays.shape}", f"{shape[:1]} values from 0 to {MAX_DELAY}")
        delays = np.minimum(delays, MAX_DELAY)
        if delays.shape == shape[:1]:
            return delays
        if delays.shape == shape and (delays == delays[:, :1]).all():
            return delays[:, 0]
        if (delays == delays.flat[0]).all():
            return np.full(shape[0], delays.flat[0])
        raise bad(layer.name("delay"), "delays for each input", "one for each neuron of the layer")


def _matrix(layer: Group, weight: Array, rows: int) -> Array:
    if weight.size % rows or (weight.ndim > 1 and (weight.shape[0] != rows or set(weight.shape[2:]) - {1})):
        raise bad(layer.name("weight"), f"shape {weight.shape}", f"({rows}, inputs)")
    return _in_range(layer, weight).reshape(rows, -1)


def _in_range(layer: Group, weight: Array) -> Array:
    if weight.min() < WEIGHT_RANGE[0] or weight.max() > WEIGHT_RANGE[1]:
        found = f"{weight.min()} to {weight.max()}"
        raise bad(layer.name("weight"), found, f"{WEIGHT_RANGE[0]} to {WEIGHT_RANGE[1]}", "quantise the weights")
    return weight


def _neuron(layer: Group, bias: Array) -> FixedLif:
    if "neuron" not in layer and not bias.any():
        return READOUT
    neuron = layer.child("neuron")
    kind = neuron.text("type")
    if kind not in ("LOIHI", "CUBA"):
        raise bad(neuron.name("type"), repr(kind), "LOIHI or CUBA", "train with leaky integrate-and-fire neurons")
    for key, only in (("refDelay", 1), ("gradedSpike", 0), ("messageBits", 0)):
        if neuron.number(key, only) != only:
            raise bad(neuron.name(key), neuron.number(key), str(only), "train without it")
    if (bias == bias.flat[0]).all():
        bias = bias.flat[0]
    try:
        return FixedLif(
            neuron.number("vThMant"), neuron.number("vDecay"), neuron.number("iDecay") - 1, bias, BIAS_EXPONENT
        )
    except AspenError as error:
        raise FileFormatError(f"{neuron.where}: {error}") from error
