"""The ``loihi`` engine: a deployment on Intel's Loihi 2, through Lava and Intel's extension to it.

On the chip there are Lava's stock processes only (``LIF``, ``Dense``, ``Sparse``), so this engine takes less than the
``lava`` engine does: :func:`check_stock` says what. The same graph of processes also runs on Lava's bit-accurate CPU
models (``simulate=True``); that is how it is tested. Nothing here imports Lava; see ``hardware/README.md`` for how to
get at a chip, and for what has and has not been run there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import EngineError, MissingDependencyError
from aspen.network.network import Network
from aspen.network.neurons import FixedLif
from aspen.network.record import Record, kept_membranes
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.lava.engine import check_timeout
from aspen_emulator.engines.lava.isolation import LavaWorker
from aspen_emulator.engines.lava.layout import check_network, waiting_steps
from aspen_emulator.engines.lava.schedule import as_thresholds, check_names, default_timeout
from aspen_emulator.engines.lava.shim import require_lava
from aspen_emulator.engines.replay import record_from_rasters

EXTENSION = ("utils.loihi2_profiler", "proc.embedded_io.spike")
"""Modules below ``lava`` that Intel's extension brings; Lava itself asks for the first to know whether it is there."""
MAX_CURRENT = 2**30
"""Lava's stock neurons hold currents in 32 bits, beside membrane and bias, and let them overflow without a word."""
HARDWARE_SECONDS = 600.0
"""Added to the time-out on hardware: waiting for a board, and loading it."""


def run_loihi(
    network: Network,
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    *,
    simulate: bool = False,
    timeout: float | None = None,
) -> Record:
    """Run an integer network on Loihi 2. The state starts at zero for every sample; samples run one after the other.

    Between samples the states are set to zero; where spikes could pass from one sample to the next (a connection with a
    delay), every sample is loaded anew.

    Args:
        network: what :func:`check_stock` takes.
        spikes: (steps, batch, *input_shape), 0 and 1.
        thresholds: population -> (1, 1, n or 1), ``mantissa << 6``: they hold for the whole run.
        record: ``counts`` or ``spikes``; the chip's membranes are not read.
        simulate: run on Lava's CPU models instead of the chip.
        timeout: seconds for the run; default: what :func:`aspen_emulator.engines.lava.engine.run_lava` takes and, on
            the chip, ten minutes.

    Raises:
        InputError: spikes or timeout are not allowed.
        EngineError: the network cannot run on Lava's stock processes, the run failed, or it took too long.
        MissingDependencyError: Lava or, on the chip, Intel's extension is not installed.
    """
    return run_checked(network, check_input(network, spikes), thresholds, record, simulate=simulate, timeout=timeout)


def run_checked(
    network: Network,
    checked: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    *,
    simulate: bool = False,
    timeout: float | None = None,
) -> Record:
    """:func:`run_loihi` on input that :func:`aspen_emulator.engines.inputs.check_input` has seen."""
    steps, batch = checked.shape[:2]
    mantissas = check_stock(network, thresholds, record)
    if not simulate:
        require_loihi()
    depths = check_network(network)
    total = batch * (steps + max(depths.values()))
    values = network.n_neurons * (total + 2 * batch)
    default = default_timeout(network, total, batch * len(depths), values) + (0 if simulate else HARDWARE_SECONDS)
    with LavaWorker() as worker:
        arguments = (network, checked, depths, mantissas, simulate)
        rasters = worker.request("run_stock", *arguments, timeout=check_timeout(timeout, default))
    rasters[network.input.name] = checked
    shaped = {p.name: rasters[p.name].reshape(steps, batch, *p.shape) for p in network.populations}
    engine = "loihi, simulated" if simulate else "loihi"
    return record_from_rasters(network, shaped, engine, record, thresholds=thresholds)


def loihi_available() -> bool:
    """Whether Intel's extension for Lava is installed; Lava is not imported."""
    try:
        spec = find_spec("lava")
    except ValueError:  # a module of this name without a specification
        return False
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return all(_has_module(folders, module) for module in EXTENSION)


def _has_module(folders: list[str], module: str) -> bool:
    *packages, name = module.split(".")
    inside = [str(Path(folder, *packages)) for folder in folders]
    return PathFinder.find_spec(name, inside) is not None


def require_loihi() -> None:
    """Raise MissingDependencyError, which says how to get it, unless Lava and Intel's extension are installed."""
    require_lava()
    if not loihi_available():
        raise MissingDependencyError(
            f"engine 'loihi': Intel's extension for Lava is not installed (found no lava.{EXTENSION[0]}); members of "
            f"Intel's Neuromorphic Research Community (INRC) get it together with access to the chips: write to "
            f"inrc_interest@intel.com, and see hardware/README.md; or use engine='lava' or engine='fast', which give "
            f"the same spikes"
        )


def check_stock(network: Network, thresholds: Mapping[str, Array], record: str = "counts") -> dict[str, int]:
    """Whether Lava's stock processes can hold the network, and the threshold mantissa of every population.

    They hold integers with reset to zero, one threshold and one pair of decays per population, connections without
    delay that skip no layer, and loops of one step per connection, then without biases. Currents fit 32 bits, and
    thresholds stay as they are during the run.

    Raises:
        EngineError: they cannot; the message names the population or connection, and a remedy.
    """
    if not network.is_integer:
        raise _refused("network", "floating point", "a chip's integers", "compile it for a chip")
    if network.input.current:
        raise _refused(network.input.name, "a direct current as input", "spikes", "encode the data as spikes")
    if kept := kept_membranes(network, record):
        raise _refused(kept[0], "membranes to be read", "spikes only", "record spikes, and read the output's spikes")
    check_names(network, thresholds, complete=True)
    depths = check_network(network)
    for name in network.order:
        if (current := network.largest_current(name)) >= MAX_CURRENT:
            found = f"currents of up to {current:.3g}"
            raise _refused(name, found, f"32 bits, up to {MAX_CURRENT:.3g}", "use smaller weights or exponents")
    for connection in network.summed:
        if waiting_steps(connection, depths):
            found = f"{waiting_steps(connection, depths) + 1} steps from {connection.source} to {connection.target}"
            raise _refused(connection.name, found, "one step per connection", "leave out delays and skips")
    looped = any(connection.delay for connection in network.summed)
    return {name: _check_population(network, name, thresholds[name], looped) for name in network.order}


def _check_population(network: Network, name: str, thresholds: Array, looped: bool) -> int:
    neuron = network[name].neuron
    assert isinstance(neuron, FixedLif)  # the network is in integers, and network.order leaves the input out
    if neuron.reset != "zero":
        raise _refused(name, f"reset {neuron.reset!r}", "'zero'", "train with the reset that you deploy")
    for what in ("current_decay", "voltage_decay"):
        if len(np.unique(getattr(neuron, what))) > 1:
            raise _refused(name, f"a {what} for each neuron", "one per population", "train one for all")
    if looped and neuron.bias.any():
        raise _refused(name, "a bias in a network with delays", "no bias", "train it without biases")
    values = np.unique(as_thresholds(network, name, thresholds))
    if thresholds.shape[:2] != (1, 1):
        raise _refused(name, "thresholds that change", "one for the whole run", "set the knob before the run")
    if len(values) > 1:
        remedy = "compile with threshold_groups=1, and train one threshold for the output"
        raise _refused(name, f"{len(values)} thresholds", "one per population", remedy)
    return int(values[0]) >> FixedLif.SHIFT


def _refused(where: str, found: str, allowed: str, remedy: str) -> EngineError:
    return EngineError(
        f"{where}: found {found}, allowed on Loihi through Lava's stock processes is {allowed}; {remedy}, or use "
        f"engine='lava'"
    )
