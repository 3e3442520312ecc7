"""Random networks in C against the definition, bit for bit: ``python -m tests.c_networks N`` runs N of them.

``python -m tests.c_networks N SEED --engine cortex-m0plus`` begins at a seed, and runs them on an emulated core.

Every network is drawn by a seed of its own: dense, sparse and convolutional connections, skips, loops, delays, every
reset, spikes, graded values and currents, half of them at the edges of 24 bits.

Each runs twice, with warnings as errors and sanitizers: as engine, on thresholds that differ by population, step,
sample and neuron; and as it is written for a microcontroller, with its own knob turned between the steps, a reset in
mid-run, and events that are listed, repeated and out of range. An emulated core has no sanitizers.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace

import numpy as np

from aspen.errors import RoundedSettingWarning
from aspen.network.network import READOUTS, Network
from aspen.network.record import Record
from aspen_emulator import run
from aspen_emulator.engines.c.engine import program_of, run_program
from aspen_emulator.engines.c.process import Process, Running
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.cortex_m.engine import board
from aspen_emulator.engines.reference import run_reference
from aspen_hardware.c.dial import UNIT, scale_range
from aspen_hardware.c.program import Program
from tests.emulator.engines.fast_networks import INPUTS, Array, dial_for, input_for, network_for
from tests.emulator.engines.test_fast import assert_same

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZED = (*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
STEPS, SAMPLES = 11, 2


def drawn(seed: int) -> Network:
    """The network of a seed."""
    rng = np.random.default_rng(seed)
    network = network_for(seed, True, bool(rng.random() < 0.5), str(rng.choice(INPUTS)))
    if rng.random() < 0.6:  # weights of 8 bits, which have kernels of their own
        network = replace(
            network, connections=tuple(c.with_integers(c.weight // 2, c.exponent) for c in network.connections)
        )
    return replace(network, readout=str(rng.choice(READOUTS)))


def started(program: Program, flags: tuple[str, ...], engine: str) -> Running:
    """A program that runs, in a process here or on an emulated core."""
    if engine == "c":
        return Process(program, flags)
    on_core = board(program, ON_CORES[engine], flags)
    if engine == "cortex-m0plus":
        on_core.machine.refuse_unaligned()
    return on_core


def check_thresholds(network: Network, seed: int, flags: tuple[str, ...] = STRICT, engine: str = "c") -> None:
    """Any thresholds: the engine gives the definition's record."""
    given, dial = input_for(seed, network, STEPS, SAMPLES), dial_for(seed, network, STEPS, SAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundedSettingWarning)  # thresholds are drawn at random
        program = program_of(network)
        found = run_program(engine, program, lambda: started(program, flags, engine), given, dial, "membranes")
    assert_same(found, run_reference(network, given, dial, "membranes"))


def check_knob(network: Network, seed: int, flags: tuple[str, ...] = STRICT, engine: str = "c") -> None:
    """The program's own knob, turned between the steps: spikes, counts and answer are the definition's."""
    rng, (low, high) = np.random.default_rng(seed), scale_range(network)
    settings = rng.integers(max(low, UNIT // 2), min(high, 2 * UNIT) + 1, STEPS)
    settings[0] = UNIT  # before the knob is turned at all
    given = input_for(seed, network, STEPS, 1)
    wanted = run(network, given, settings / UNIT, engine="reference", record="spikes")
    process = started(Program(network), flags, engine)
    try:
        process.steps(given[:, 0].reshape(STEPS, -1))
        for _ in range(2):
            process.reset()
            found, refused = _stepped(process, given[:, 0].reshape(STEPS, -1), settings, rng)
            for each in process.program.populations:
                raster = wanted.rasters[each.population.name].reshape(STEPS, -1)
                np.testing.assert_array_equal(found[:, each.offset : each.offset + each.population.size], raster)
            _check_answer(process, wanted, refused)
    finally:
        process.close()


def _stepped(process: Running, given: Array, settings: Array, rng: np.random.Generator) -> tuple[Array, int]:
    """(steps, n_neurons): spikes of all neurons; and how many events were out of range."""
    fired, refused = [], 0
    for values, setting in zip(given, settings, strict=True):
        process.turn(int(setting))
        if process.program.spikes_in and rng.random() < 0.5:
            beyond = rng.integers(values.size, 2**16, rng.integers(4))
            listed = rng.permutation(np.concatenate([np.flatnonzero(values), np.flatnonzero(values), beyond]))
            fired.append(process.events(listed.tolist())[0])
            refused += len(beyond)
        else:
            fired.append(process.steps(values[None])[0][0])
    return np.stack(fired), refused


def _check_answer(process: Running, wanted: Record, refused: int) -> None:
    answer, network = process.answer(), wanted.network
    assert (answer.steps, answer.refused, answer.winner) == (STEPS, refused, int(wanted.predictions[0]))
    np.testing.assert_array_equal(answer.scores, wanted.scores[0])
    best = np.sort(answer.scores)[::-1]
    assert answer.margin == (best[0] - best[1] if answer.winner >= 0 and best.size > 1 else 0)
    assert answer.spikes.tolist() == [wanted.spikes[name].sum() for name in network.names]
    operations = {**wanted.synaptic_operations, **wanted.multiply_accumulates}
    assert answer.operations.tolist() == [operations[connection.name].sum() for connection in network.connections]


def main(count: int, first: int = 0, engine: str = "c") -> None:
    """Check so many networks, from a seed on."""
    flags = SANITIZED if engine == "c" else STRICT
    for seed in range(first, first + count):
        try:
            network = drawn(seed)
            check_thresholds(network, seed, flags, engine)
            check_knob(network, seed, flags, engine)
        except BaseException:
            print(f"seed {seed}:", file=sys.stderr)
            raise
        if (seed + 1 - first) % 50 == 0:
            print(f"{seed + 1 - first} of {count} networks", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("--engine", choices=("c", *ON_CORES), default="c")
    main(**vars(parser.parse_args()))
