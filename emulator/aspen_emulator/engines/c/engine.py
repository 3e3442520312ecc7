"""Runs and sessions of the engine ``c``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from aspen._base.arrays import Array
from aspen._base.progress import followed
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.record import Record, kept_membranes
from aspen_emulator.engines.c.process import Process, Running
from aspen_emulator.engines.c.settings import setting_for, thresholds_off
from aspen_emulator.engines.replay import record_from_rasters
from aspen_hardware.c.program import Program


@lru_cache(maxsize=2)  # the thresholds of a dial are compared at all its settings: once for the runs of a sweep
def program_of(network: Network, profile: DialProfile | None = None) -> Program:
    """The C program of a network, with a threshold for each neuron.

    Raises:
        InputError: the network is in floating point.
        ChipError: a threshold leaves 17 bits somewhere between the dial's ends.
    """
    if not network.is_integer:
        raise InputError(
            "engine c: found a network in floating point, allowed is one in a chip's integers; compile it, or use "
            "engine='fast'"
        )
    return Program(network, profile, tables_only=True)


class Thresholds:
    """Sets the thresholds of a process: through the program's own knob where one of its settings gives them.

    Others, different for each population or neuron, are written into its tables. Those of a knob that is no setting are
    written too, so that the run is what was asked for, and a warning names the nearest settings.

    A program whose dial switches neurons off leaves these alone, and has them on again with the next sample only.
    """

    def __init__(self, process: Running) -> None:
        self._process = process
        self._set: Array | None = None
        self._off = thresholds_off(process.program)
        self._may_switch_on = True

    def begin(self) -> None:
        """A sample begins."""
        self._may_switch_on = True

    def set(self, thresholds: Mapping[str, Array]) -> None:
        """Set them: population -> (n or 1,), in units of the membrane."""
        populations = self._process.program.populations
        flat = np.concatenate([np.broadcast_to(thresholds[p.population.name], p.population.size) for p in populations])
        if self._set is not None and not self._may_switch_on:
            self._check(flat)
        self._may_switch_on = False
        if self._set is not None and np.array_equal(flat, self._set):
            return
        self._set = flat
        setting = setting_for(self._process.program, flat)
        if setting is None:
            self._process.set_thresholds(flat)
        else:
            self._process.turn(setting)

    def _check(self, flat: Array) -> None:
        """Raise InputError if neurons are to come on that are off."""
        on_again = (self._set == self._off) & (flat != self._off)
        if on_again.any():
            parts = self._process.program.populations
            where = ", ".join(p.population.name for p in parts if on_again[p.offset :][: p.population.size].any())
            raise InputError(
                f"threshold_scale: found one that switches {int(on_again.sum())} neurons of {where} on within a "
                f"sample, allowed in C, which does not touch neurons that are off, is that with the next sample; use "
                f"engine='fast', or turn the knob back with the next sample"
            )


def run_c(
    network: Network,
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str = "counts",
    flags: Sequence[str] = (),
    *,
    profile: DialProfile | None = None,
) -> Record:
    """Run all steps; arguments and results as :func:`aspen_emulator.engines.reference.run_reference`.

    Args:
        network, spikes, thresholds, record: as there; the network in integers.
        flags: for the compiler, beside its own.
        profile: the learned dial that the thresholds are of, if any.

    Raises:
        InputError: the network is in floating point.
        MissingDependencyError: there is no C compiler.
        EngineError: the program failed.
    """
    program = program_of(network, profile)
    return run_program("c", program, lambda: Process(program, flags), spikes, thresholds, record)


def run_program(
    engine: str,
    program: Program,
    started: Callable[[], Running],
    spikes: Array,
    thresholds: Mapping[str, Array],
    record: str,
) -> Record:
    """Run all steps of a network's program.

    Args:
        engine: what the record says that it is from.
        program: of :func:`program_of`.
        started: has it run.
        spikes, thresholds, record: as of :func:`run_c`.
    """
    network = program.network
    steps, batch = spikes.shape[:2]
    fired = np.empty((steps, batch, network.n_neurons), np.uint8)
    held = np.empty((steps, batch, network.n_neurons), np.int32)
    process = started()
    try:
        turning = Thresholds(process)
        for sample in followed(range(batch), batch, engine, "samples"):
            process.reset()
            turning.begin()
            given = spikes[:, sample].reshape(steps, -1)
            for start, stop in _even_parts(thresholds, steps, sample):
                turning.set({name: _at(array, start, sample) for name, array in thresholds.items()})
                fired[start:stop, sample], held[start:stop, sample] = process.steps(given[start:stop])
    finally:
        process.close()
    rasters = _of_populations(program, fired)
    if network.input.neuron is None:
        rasters = {network.input.name: spikes, **rasters}
    rasters = {name: rasters[name] for name in network.names}
    membranes = {name: m.astype(np.int64) for name, m in _of_populations(program, held).items()}
    kept = {name: membranes[name] for name in kept_membranes(network, record)}
    current = None if network.input.neuron is None else spikes
    return record_from_rasters(network, rasters, engine, record, kept, thresholds, current)


def _at(array: Array, step: int, sample: int) -> Array:
    """(n or 1,): what a population's thresholds are at a step of a sample."""
    return np.asarray(array[min(step, len(array) - 1), min(sample, array.shape[1] - 1)])


def _even_parts(thresholds: Mapping[str, Array], steps: int, sample: int) -> Iterator[tuple[int, int]]:
    """Stretches of time in which no threshold of a sample changes."""
    moved = np.zeros(steps + 1, bool)
    moved[[0, steps]] = True
    for array in thresholds.values():
        if len(array) > 1:
            own = array[:, min(sample, array.shape[1] - 1)]
            moved[1:steps] |= (own[1:] != own[:-1]).any(axis=1)
    yield from pairwise(np.flatnonzero(moved).tolist())


def _of_populations(program: Program, values: Array) -> dict[str, Array]:
    """(..., n_neurons) by population, (..., *shape)."""
    return {
        p.population.name: values[..., p.offset : p.offset + p.population.size].reshape(
            *values.shape[:-1], *p.population.shape
        )
        for p in program.populations
    }


class CStepper:
    """As :class:`aspen_emulator.engines.reference.Stepper`, in a process; one sample.

    Args:
        network: what to run, in integers.
        batch: 1.
        profile: the learned dial that turns it, if any.

    Raises:
        InputError: the network is in floating point, or the batch is another one.
        MissingDependencyError: there is no C compiler.
    """

    def __init__(self, network: Network, batch: int, profile: DialProfile | None = None) -> None:
        if batch != 1:
            raise InputError(f"batch: found {batch}, allowed is 1 in a session in C; use engine='fast' for more")
        self.network, self.program = network, program_of(network, profile)
        self._process = self._open()
        self._thresholds = Thresholds(self._process)
        self.membranes: dict[str, Array] = {}

    def _open(self) -> Running:
        return Process(self.program)

    def reset(self) -> None:
        """Back to the state at the start of a sample."""
        self.membranes = {}
        self._process.reset()
        self._thresholds.begin()

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        """One time step; see :meth:`aspen_emulator.engines.reference.Stepper.step`."""
        given = spikes.reshape(1, -1)
        self._thresholds.set({name: array.reshape(-1) for name, array in thresholds.items()})
        fired, held = self._process.steps(given)
        membranes = _of_populations(self.program, held)
        self.membranes = {name: values.reshape(1, -1).astype(np.int64) for name, values in membranes.items()}
        now = {} if self.network.input.neuron else {self.network.input.name: given}
        return {**now, **{n: f.reshape(1, -1) for n, f in _of_populations(self.program, fired).items()}}

    def close(self) -> None:
        """End the process."""
        self._process.close()
