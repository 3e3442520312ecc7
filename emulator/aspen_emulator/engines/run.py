"""Run a network with any engine: one interface, the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from aspen._base.arrays import Array
from aspen._base.checks import as_name, check_takes, shown
from aspen._base.progress import bar
from aspen._base.registry import Registry
from aspen.dial.profile import DialProfile, DialScale
from aspen.dial.scale import ThresholdScale
from aspen.errors import AspenError, EngineError, InputError, one_line
from aspen.network.given import as_network
from aspen.network.network import Network
from aspen.network.record import RECORDS, Record
from aspen_emulator.engines.c.engine import run_c
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.cortex_m.engine import run_on_core
from aspen_emulator.engines.inputs import check_input, check_size, repeated, thresholds_for
from aspen_emulator.engines.reference import run_reference
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.deployment import Deployment


class Engine(Protocol):
    """Runs checked input with the thresholds of :func:`aspen_emulator.engines.inputs.thresholds_for`."""

    def __call__(self, network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str) -> Record: ...


def _run_fast(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str) -> Record:
    from aspen_emulator.engines.fast import run_fast

    return run_fast(network, spikes, thresholds, record)


def _run_lava(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str) -> Record:
    from aspen_emulator.engines.lava.engine import run_checked

    with bar("lava", None, "steps") as going:
        return run_checked(network, spikes, thresholds, record, progress=going.reach if going.is_shown else None)


def _run_loihi(network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str) -> Record:
    from aspen_emulator.engines.lava.loihi import run_checked

    return run_checked(network, spikes, thresholds, record)


class ProgramEngine(Engine, Protocol):
    """An engine that is a program with a knob of its own, which is a learned dial's where the thresholds are of one."""

    def __call__(
        self, network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str, *,
        profile: DialProfile | None = None,
    ) -> Record: ...  # fmt: skip


PROGRAMS: dict[str, ProgramEngine] = {
    "c": run_c,
    **{engine: partial(run_on_core, engine) for engine in ON_CORES},
}


def _check(name: str, engine: Engine) -> None:
    """Refuse what cannot be called as an engine is."""
    if not callable(engine):
        raise InputError(f"engine {name}: found {shown(engine)}, allowed is a function as of aspen_emulator.add_engine")
    check_takes(f"engine {name}", engine, "network", "spikes", "thresholds", "record")


_OWN: dict[str, Engine] = {
    "reference": run_reference,
    "fast": _run_fast,
    **PROGRAMS,
    "lava": _run_lava,
    "loihi": _run_loihi,
}
ENGINES: Registry[Engine] = Registry("aspen.engines", _OWN, _check)
"""Name -> engine; see :func:`add_engine`."""


def add_engine(name: str, engine: Engine) -> None:
    """Make an engine of your own known to :func:`run`, and to all that runs networks by the name of an engine.

    In a package of yours an entry point of the group ``aspen.engines`` does this for every program and for the command
    line.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> layers = Population("input", (2,)), Population("output", (1,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(layers, (Dense("input", "output", [[0.3, 0.3]]),))
    >>> def run_loudly(network, spikes, thresholds, record):
    ...     print(f"{spikes.shape[0]} steps")
    ...     return run_reference(network, spikes, thresholds, record)
    >>> add_engine("loud", run_loudly)
    >>> int(run(network, np.ones((8, 1, 2)), engine="loud").output.sum())
    8 steps
    4
    >>> del ENGINES["loud"]

    Args:
        name: of the engine.
        engine: called with the network, the input (steps, batch, *input_shape), the thresholds, population ->
            (steps or 1, batch or 1, n or 1) in units of the membrane, and what is recorded, one of ``counts``,
            ``spikes`` and ``membranes``; all of it is checked. It returns a :class:`aspen.Record`, as
            :func:`aspen_emulator.engines.replay.record_from_rasters` makes one of spikes.

    Raises:
        InputError: it cannot be called, or another engine has that name.
    """
    ENGINES.add(name, engine)


def check_engine(engine: str) -> None:
    """Raise InputError unless ``engine`` is known."""
    as_name("engine", engine, ENGINES)


def network_of(program: Network | Deployment) -> Network:
    """What an engine runs: the integers of a deployment, or the network itself.

    Raises:
        InputError: it is neither.
    """
    return program.network if isinstance(program, Deployment) else as_network(program)


def chip_of(program: Network | Deployment, on: Chip | str | None) -> Chip | None:
    """The chip ``on``; default: that of a deployment, and none of a plain network.

    Raises:
        ChipError: no chip has that name.
    """
    if isinstance(on, Chip):
        return on
    name = on or (program.chip if isinstance(program, Deployment) else None)
    return None if name is None else chip(name)


def run(
    program: Network | Deployment,
    spikes: Array,
    threshold_scale: ThresholdScale = 1.0,
    *,
    steps: int | None = None,
    engine: str = "fast",
    record: str = "counts",
) -> Record:
    """Run a network on spikes. The state starts at zero for every sample.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (1,), lif), Population("output", (1,), lif)
    >>> network = Network(layers, (Dense("input", "hidden", [[0.3, 0.3]]), Dense("hidden", "output", [[1.5]])))
    >>> spikes = np.ones((8, 1, 2), np.uint8)  # 8 steps, 1 sample
    >>> [int(run(network, spikes, knob).spikes["hidden"].sum()) for knob in (0.5, 1.0, 2.0)]
    [8, 4, 2]

    Args:
        program: a deployment (a chip's integers), or a network as it is (floating point).
        spikes: (time, batch, *input_shape), 0 and 1 of any type; or the current, where the input takes one.
        threshold_scale: factor on the thresholds of all hidden populations, or a mapping from population to factor.
            Instead of a number an array over time, (time,), or over time and batch, (time or 1, batch or 1).
        steps: the input is that of one step, (batch, *input_shape), and given so many times, as a static one is.
        engine: ``fast`` (batched), ``reference`` (step by step, the definition), ``c`` (the program for a
            microcontroller, compiled for this machine), ``cortex-m`` (the same, cross-compiled, on an emulated
            Cortex-M4; also ``cortex-m4``, ``cortex-m0plus`` and ``cortex-m33``), ``lava`` (the real Lava runtime) or
            ``loihi`` (the chip, see ``hardware/README.md``); or one that :func:`add_engine` added.
        record: ``counts``, ``spikes`` to keep the spikes of every population too, or ``membranes`` to keep their
            membranes as well.

    Returns:
        The record of the run; the same whatever the engine, but for the rounding of sums in floating point.

    Raises:
        InputError: something given is not allowed.
        EngineError: the run failed.
        MissingDependencyError: the engine is not installed.
    """
    check_engine(engine)
    as_name("record", record, RECORDS)
    network = network_of(program)
    checked = check_input(network, spikes if steps is None else repeated(spikes, steps))
    length, batch = checked.shape[:2]
    check_size(network, length, batch, record)
    thresholds = thresholds_for(network, threshold_scale, length, batch)
    if engine in PROGRAMS and isinstance(threshold_scale, DialScale):
        return PROGRAMS[engine](network, checked, thresholds, record, profile=threshold_scale.profile)
    if engine in _OWN:
        return ENGINES[engine](network, checked, thresholds, record)
    return _run_theirs(engine, network, checked, thresholds, record)


def _run_theirs(engine: str, network: Network, spikes: Array, thresholds: Mapping[str, Array], record: str) -> Record:
    """A run on an engine that was added: whatever it does wrong is told as its own.

    Raises:
        EngineError: it fails, or its result is no record of this run.
    """
    try:
        made = ENGINES[engine](network, spikes, thresholds, record)
    except AspenError:
        raise
    except Exception as error:  # it is somebody else's code that runs here
        raise EngineError(f"engine {engine}: {type(error).__name__} ({one_line(error)}); mend the engine") from error
    if not isinstance(made, Record):
        raise EngineError(f"engine {engine}: found {shown(made)} as its result, allowed is a Record; mend the engine")
    shape = (*spikes.shape[:2], *network[network.output].shape)
    if made.output.shape != shape:
        raise EngineError(
            f"engine {engine}: found output of {made.output.shape}, allowed is (steps, batch, *shape), here {shape}; "
            f"mend the engine"
        )
    kept = {"rasters": {*network.order}} if record != "counts" else {}
    kept |= {"membranes": {*network.order}} if record == "membranes" else {}
    for what, names in kept.items():
        lacking = names - {*getattr(made, what)}
        if lacking:
            raise EngineError(
                f"engine {engine}: found no {what} of {', '.join(sorted(lacking))}, allowed where record is {record!r} "
                f"are those of all populations; mend the engine"
            )
    return made
