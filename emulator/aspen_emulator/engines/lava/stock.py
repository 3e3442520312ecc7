"""Lava's stock processes: for a connection, and for a population.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`.

Convolutions run on the stock ``Sparse``, by their synapses, as the stock ``Conv`` of Lava 0.10 is another thing: in
integers it takes no weight exponent (the argument is ignored), and its sums wrap at 24 bits; its kernels are flipped,
its axes are (x, y, channels), and each step costs a loop over all pairs of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from lava.proc.dense.models import PyDenseModelBitAcc, PyDenseModelFloat
from lava.proc.dense.process import Dense as StockDense
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from lava.proc.sparse.models import PySparseModelBitAcc, PySparseModelFloat
from lava.proc.sparse.process import Sparse as StockSparse
from scipy.sparse import csr_matrix

from aspen.network.connections import Connection, Dense
from aspen.network.network import Network, Population
from aspen.network.neurons import FixedLif

MESSAGE_BITS = 24
"""Any number above 0 makes a stock process multiply with what arrives, instead of taking it for a spike."""


Recipe = tuple[type, type, dict[str, Any]]
"""CPU model, process class, and the arguments of the process."""
Make = Callable[[type, type, dict[str, Any]], Any]
"""Makes the process of a recipe."""


def stock_connection(connection: Connection, analog: bool) -> Recipe:
    """The process of Lava that means the same as ``connection``, without its delay and bias.

    It has the ports ``s_in`` (n_source,) and ``a_out`` (n_target,), and answers one step late.

    Args:
        connection: any kind; integer weights have been checked
            (:func:`aspen_emulator.engines.lava.layout.check_network`).
        analog: whether its source emits analog values.
    """
    options: dict[str, Any] = {"name": connection.name, "num_message_bits": MESSAGE_BITS * analog}
    if connection.is_integer:
        options |= {"weight_exp": connection.exponent, "num_weight_bits": 8}
    dtype = np.int32 if connection.is_integer else np.float64
    if isinstance(connection, Dense):
        model = PyDenseModelBitAcc if connection.is_integer else PyDenseModelFloat
        return model, StockDense, {"weights": connection.weight.astype(dtype), **options}
    # Lava 0.10 neither truncates nor sums the newer csr_array as it does a csr_matrix, and keeps its dtype as it is.
    weights = csr_matrix(connection.synapses(), dtype=dtype)
    model = PySparseModelBitAcc if connection.is_integer else PySparseModelFloat
    return model, StockSparse, {"weights": weights, **options}


def stock_neurons(population: Population, mantissa: int) -> Recipe:
    """The stock process of a population in integers, which keeps the threshold ``mantissa`` while it runs.

    It has the ports ``a_in`` and ``s_out`` (n,).
    """
    neuron, n = population.neuron, population.size
    assert isinstance(neuron, FixedLif)  # checked before
    bias = [np.broadcast_to(values, population.shape).reshape(n) for values in
            (neuron.bias_mantissa, neuron.bias_exponent)]  # fmt: skip
    decays = {"du": int(neuron.current_decay.flat[0]), "dv": int(neuron.voltage_decay.flat[0])}
    options = {"bias_mant": bias[0].copy(), "bias_exp": bias[1].copy(), "name": population.name, **decays}
    return PyLifModelBitAcc, LIF, {"shape": (n,), "vth": mantissa, **options}


class StockGraph:
    """A network of stock processes only, connected.

    Args:
        network: integers; what :func:`aspen_emulator.engines.lava.loihi.check_stock` takes.
        mantissas: population -> threshold.
        make: makes the processes.

    Attributes:
        neurons: population -> process.
        entries: the ports (n_input,) that take the input's spikes.
        processes: all of them.
    """

    def __init__(self, network: Network, mantissas: Mapping[str, int], make: Make) -> None:
        self.neurons = {name: make(*stock_neurons(network[name], mantissas[name])) for name in network.order}
        self.entries: list[Any] = []
        self.processes = [*self.neurons.values()]
        for connection in network.summed:
            process = make(*stock_connection(connection, analog=False))
            self.processes.append(process)
            if connection.source in self.neurons:
                self.neurons[connection.source].s_out.connect(process.s_in)
            else:
                self.entries.append(process.s_in)
            process.a_out.connect(self.neurons[connection.target].a_in)

    def rest(self, name: str) -> None:
        """Set current and membrane of population ``name`` to zero."""
        neurons = self.neurons[name]
        zeros = np.zeros(neurons.u.shape, np.int32)
        for var in (neurons.u, neurons.v):
            var.set(zeros)


def run_sample(
    depths: Mapping[str, int], steps: int, advance: Callable[[int], None], rest: Callable[[str], None]
) -> None:
    """Run a sample of ``steps`` steps, and as many more as the deepest population is late.

    A population starts from rest at the first step at which the sample can reach it: what it has gathered until then,
    from biases or from the sample before, is forgotten.

    Args:
        depths: population -> Lava steps by which it is late; the input's are 0.
        steps: of the sample.
        advance: runs Lava steps.
        rest: sets the states of a population to zero.
    """
    done = 0
    for depth in sorted(set(depths.values()) - {0}):
        advance(depth - done)
        done = depth
        for name, late in depths.items():
            if late == depth:
                rest(name)
    advance(steps + max(depths.values()) - done)
