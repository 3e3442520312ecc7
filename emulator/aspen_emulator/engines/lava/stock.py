"""Lava's stock process for a connection.

Only the worker process imports this module, after :func:`aspen_emulator.engines.lava.shim.import_lava`.

Convolutions run on the stock ``Sparse``, by their synapses, as the stock ``Conv`` of Lava 0.10 is another thing: in
integers it takes no weight exponent (the argument is ignored), and its sums wrap at 24 bits; its kernels are flipped,
its axes are (x, y, channels), and each step costs a loop over all pairs of channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.dense.models import PyDenseModelBitAcc, PyDenseModelFloat
from lava.proc.dense.process import Dense as StockDense
from lava.proc.sparse.models import PySparseModelBitAcc, PySparseModelFloat
from lava.proc.sparse.process import Sparse as StockSparse
from scipy.sparse import csr_matrix

from aspen.network.connections import Connection, Dense

MESSAGE_BITS = 24
"""Any number above 0 makes a stock process multiply with what arrives, instead of taking it for a spike."""


def stock_process(connection: Connection, analog: bool) -> tuple[type, Any]:
    """The process of Lava that means the same as ``connection``, without its delay and bias.

    Args:
        connection: any kind; integer weights have been checked
            (:func:`aspen_emulator.engines.lava.layout.check_network`).
        analog: whether its source emits analog values.

    Returns:
        CPU model and process; the process has the ports ``s_in`` (n_source,) and ``a_out`` (n_target,), and answers
        one step late.
    """
    options: dict[str, Any] = {"name": connection.name, "num_message_bits": MESSAGE_BITS * analog}
    if connection.is_integer:
        options |= {"weight_exp": connection.exponent, "num_weight_bits": 8}
    dtype = np.int32 if connection.is_integer else np.float64
    if isinstance(connection, Dense):
        model = PyDenseModelBitAcc if connection.is_integer else PyDenseModelFloat
        return model, StockDense(weights=connection.weight.astype(dtype), **options)
    # Lava 0.10 neither truncates nor sums the newer csr_array as it does a csr_matrix, and keeps its dtype as it is.
    weights = csr_matrix(connection.synapses(), dtype=dtype)
    model = PySparseModelBitAcc if connection.is_integer else PySparseModelFloat
    return model, StockSparse(weights=weights, **options)
