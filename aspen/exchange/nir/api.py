"""NIR, the Neuromorphic Intermediate Representation (https://neuroir.org), both ways, through the ``nir`` package.

Conventions are snnTorch's: see :mod:`aspen.exchange.nir.neurons`. What NIR cannot say goes into the metadata and
comes back: see :mod:`aspen.exchange.nir.metadata`.
"""

from __future__ import annotations

import io
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any

from aspen._base.checks import shown
from aspen._base.names import unknown_name
from aspen.errors import AspenError, FileFormatError, InputError, NetworkError
from aspen.exchange.nir.files import exchange_package, read_graph
from aspen.exchange.nir.metadata import read_header, restore
from aspen.exchange.nir.read import read_network
from aspen.exchange.nir.write import write_graph
from aspen.network.network import Network
from aspen.network.neurons import RESETS
from aspen.storage.writing import write_atomically

TIME_STEP = 1e-4
"""Seconds: what snnTorch takes, and what is taken for files that do not say."""


def load_nir(
    source: str | Path | Any, *, dt: float | None = None, reset: str = "zero", current: bool = False
) -> Network:
    """Read a network from a ``.nir`` file, or from a ``nir.NIRGraph``.

    >>> from aspen import Dense, Lif, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> save_nir(network, "net.nir")
    >>> load_nir("net.nir").n_neurons
    2

    Args:
        source: path of the file, or the graph.
        dt: time step in seconds; default: what the file says, else 1e-4.
        reset: what neurons do after a spike, where the file does not say: one of
            :data:`aspen.network.neurons.RESETS`. NIR itself means ``zero``; a model trained with snnTorch's default
            reset needs ``subtract-delayed``.
        current: the input is a direct current instead of spikes, where the file does not say.

    Raises:
        InputError: there is no such file, or an argument is not allowed.
        FileFormatError: the file is damaged, or its parts do not fit together.
        NetworkError: it holds what this ASPEN has no counterpart for.
        MissingDependencyError: ``nir`` or ``h5py`` is not installed.
    """
    if not isinstance(source, (str, PathLike)):
        return from_nir(source, dt, reset=reset, current=current)
    graph = read_graph(Path(source))
    try:
        return from_nir(graph, dt, reset=reset, current=current)
    except (FileFormatError, NetworkError) as error:
        raise type(error)(f"{source}: {error}") from error


def save_nir(network: Network, path: str | Path, *, dt: float = TIME_STEP, cuba: bool = False) -> None:
    """Write a network in floating point as a ``.nir`` file, atomically.

    >>> from aspen import Dense, Lif, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> save_nir(network, "net.nir")
    >>> load_nir("net.nir").n_neurons
    2

    Args:
        network: what to write.
        path: name of the file.
        dt: time step in seconds, on which the time constants depend.
        cuba: write every neuron as CubaLIF, also where no synaptic current is kept: Norse reads these exactly, and
            ignores the input resistance of LIF.

    Raises:
        InputError: the folder cannot be written to, or ``dt`` is not allowed.
        NetworkError: NIR cannot hold the network.
        MissingDependencyError: ``nir`` or ``h5py`` is not installed.
    """
    graph = to_nir(network, dt, cuba=cuba)
    exchange_package("h5py")
    stream = io.BytesIO()
    exchange_package("nir").write(stream, graph)
    write_atomically(path, stream.getvalue())


def to_nir(network: Network, dt: float = TIME_STEP, *, cuba: bool = False) -> Any:
    """The ``nir.NIRGraph`` of a network in floating point; see :func:`save_nir`.

    >>> from aspen import Dense, Lif, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> sorted(to_nir(network).nodes)
    ['input', 'input_to_output', 'output', 'output_']

    Args:
        network: what to write.
        dt: time step in seconds.
        cuba: write every neuron as CubaLIF.

    Raises:
        InputError: ``dt`` is not allowed.
        NetworkError: NIR cannot hold the network.
        MissingDependencyError: ``nir`` is not installed.
    """
    _check_step(dt)
    return write_graph(exchange_package("nir"), network, dt, cuba)


def from_nir(graph: Any, dt: float | None = None, *, reset: str = "zero", current: bool = False) -> Network:
    """The network that a ``nir.NIRGraph`` describes; see :func:`load_nir`.

    >>> from aspen import Dense, Lif, Population
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> from_nir(to_nir(network)).n_neurons
    2

    Args:
        graph: a ``nir.NIRGraph``.
        dt: time step in seconds; default: what the graph says, else 1e-4.
        reset: what neurons do after a spike, where the graph does not say.
        current: the input is a direct current instead of spikes, where the graph does not say.

    Raises:
        InputError: an argument is not allowed.
        FileFormatError: the parts of the graph do not fit together.
        NetworkError: it holds what this ASPEN has no counterpart for.
    """
    if dt is not None:
        _check_step(dt)
    if reset not in RESETS:
        raise InputError(unknown_name("reset", reset, RESETS))
    if not hasattr(graph, "nodes"):
        raise InputError(f"graph: found {shown(graph)}, allowed is a nir.NIRGraph; read a file with load_nir(path)")
    header, arrays = read_header(graph)
    step = header.get("dt", TIME_STEP) if dt is None else dt
    try:
        network = read_network(graph, step, reset, current, header.get("output"))
        return restore(network, header, arrays)
    except AspenError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, MemoryError, RecursionError) as error:
        raise FileFormatError(f"NIR graph: malformed ({error!r}); write it again with nir.write") from error


def _check_step(dt: float) -> None:
    if not isinstance(dt, (int, float)) or not isfinite(dt) or dt <= 0:
        raise InputError(f"dt: found {dt!r}, allowed are seconds above 0; give the time step of the network")
