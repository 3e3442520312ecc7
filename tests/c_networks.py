"""Random networks in C against the definition, bit for bit: ``python -m tests.c_networks N`` runs N of them.

``python -m tests.c_networks N SEED --engine cortex-m0plus`` begins at a seed, and runs them on an emulated core.

Every network is drawn by a seed of its own: dense, sparse and convolutional connections, skips, loops, delays, every
reset, gates, every read-out; spikes, graded values and currents, some the same at every step; half of them at the edges
of 24 bits.

Each runs twice, with warnings as errors and sanitizers: as engine, on thresholds that differ by population, step,
sample and neuron; and as it is written for a microcontroller, with its own knob turned between the steps, that of a
learned dial or the threshold scale, a reset in mid-run, events that are listed, repeated and out of range, and an early
end. An emulated core has no sanitizers.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace

import numpy as np

from aspen.calibration.early import EarlyStop, scores_over_time
from aspen.dial import DialProfile
from aspen.dial.scale import ThresholdScale
from aspen.errors import RoundedSettingWarning
from aspen.network.network import READOUTS, FixedLif, Network
from aspen.network.record import Record
from aspen_emulator import run
from aspen_emulator.engines.c.engine import program_of, run_program
from aspen_emulator.engines.c.process import Process, Running
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.cortex_m.engine import board
from aspen_emulator.engines.reference import run_reference
from aspen_hardware import chip
from aspen_hardware.c.dial import SETTINGS, UNIT, knob_at, scale_range
from aspen_hardware.c.program import Program
from aspen_hardware.compiling.off import gated
from tests.emulator.engines.fast_networks import INPUTS, Array, dial_for, input_for, network_for
from tests.emulator.engines.test_fast import assert_same

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
SANITIZED = (*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
STEPS, SAMPLES = 11, 2
MOST_THRESHOLDS = 100
"""Different ones that get a dial: each is compared with the engines' at all settings before a program is written."""


def drawn(seed: int) -> Network:
    """The network of a seed."""
    rng = np.random.default_rng(seed)
    network = network_for(seed, True, bool(rng.random() < 0.5), str(rng.choice(INPUTS)))
    if rng.random() < 0.6:  # weights of 8 bits, which have kernels of their own
        network = replace(
            network, connections=tuple(c.with_integers(c.weight // 2, c.exponent) for c in network.connections)
        )
    static, gate = rng.random() < 0.3, rng.choice(network.order) if rng.random() < 0.3 else ""
    populations = tuple(
        replace(p, static=static and p.is_input and p.current, gate=p.name == gate and not p.is_input)
        for p in network.populations
    )
    return gated(replace(network, populations=populations, readout=str(rng.choice(READOUTS))), chip("cortex-m"))


def given_to(network: Network, seed: int, samples: int) -> Array:
    """Input of :data:`STEPS`; that of the first at all of them where it is static."""
    given = input_for(seed, network, STEPS, samples)
    return np.repeat(given[:1], STEPS, axis=0) if network.input.static else given


def profile_for(network: Network, seed: int) -> DialProfile | None:
    """A learned dial for half of the networks: of neurons or populations, as far as 17 bits allow."""
    rng = np.random.default_rng(seed + 1)
    neurons = {name: neuron for name in network.dialled if isinstance(neuron := network[name].neuron, FixedLif)}
    if rng.random() < 0.5 or not 0 < sum(np.unique(n.threshold).size for n in neurons.values()) < MOST_THRESHOLDS:
        return None
    nested = rng.random() < 0.6
    offsets, slopes, until, (low, high) = {}, {}, {}, np.sort(rng.uniform(-1, 2, 2)).tolist()
    for name, neuron in neurons.items():
        least = np.log(0.51 / int(neuron.threshold.min()))
        most = np.log(neuron.largest_threshold / int(neuron.threshold.max()))
        shape = network[name].shape if rng.random() < 0.5 else ()
        ends = rng.uniform(max(least, -1.5), min(most, 1.5), (2, rng.integers(1, 4)))  # of a few kinds of neurons
        first, last = ends[:, rng.integers(ends.shape[1], size=shape)] * 0.999
        slopes[name] = ((last - first) / (high - low)).astype(np.float32)
        offsets[name] = (first - low * slopes[name]).astype(np.float32)
        if nested and rng.random() < 0.7:
            until[name] = _until(rng, network[name].shape, low, high)
    return DialProfile(slopes, offsets, low, high, until)


def _until(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> Array:
    """The knobs until which neurons are on: of all together, of channels or of each, at few knobs or at many."""
    size = (shape[0], *(1,) * (len(shape) - 1)) if rng.random() < 0.5 else shape
    knobs = [low, high, np.inf, *rng.uniform(low, high, rng.choice([1, 6]))]
    drawn = rng.uniform(low, 1.2 * high - 0.2 * low, size) if rng.random() < 0.3 else rng.choice(knobs, size)
    return np.full((), drawn.flat[0]) if rng.random() < 0.1 else np.broadcast_to(drawn, shape)


def _kept_off(scales: ThresholdScale) -> ThresholdScale:
    """Threshold scales of each step, where neurons come on again with the next inference alone."""
    if not isinstance(scales, dict):
        return scales
    off = {name: np.logical_or.accumulate(np.isinf(values), axis=0) for name, values in scales.items()}
    return {name: np.where(off[name], np.inf, values) for name, values in scales.items()}


def early_for(wanted: Record, knobs: list[float], seed: int) -> EarlyStop:
    """An early end at doubts beside those that occur, at some knobs, on either side of where they are calibrated."""
    rng, scores = np.random.default_rng(seed + 2), scores_over_time(wanted)
    size = float(np.abs(scores - scores[..., :1]).max()) or 1.0
    some = tuple(np.unique([*rng.choice(knobs, 2), *rng.uniform(min(knobs), max(knobs) + 1, 2)]).tolist())
    power = float(rng.choice([0.0, rng.uniform(-1, 1)]))
    stop = EarlyStop(rng.uniform(0.5, 6) / size, power, some, (0.0,) * len(some), wanted.network.readout, STEPS, 0.01)
    seen = np.quantile(stop.doubts_over_time(scores), rng.random(len(some)), method="nearest")
    return replace(stop, doubts=tuple((seen * (1 + rng.choice([-1, 1], len(some)) * 1e-9)).clip(0, 1).tolist()))


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
    free = replace(network, populations=tuple(replace(p, gate=False) for p in network.populations))
    given, dial = given_to(network, seed, SAMPLES), dial_for(seed, free, STEPS, SAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoundedSettingWarning)  # thresholds are drawn at random
        program = program_of(network)
        found = run_program(engine, program, lambda: started(program, flags, engine), given, dial, "membranes")
    assert_same(found, run_reference(network, given, dial, "membranes"))


def check_knob(network: Network, seed: int, flags: tuple[str, ...] = STRICT, engine: str = "c") -> None:
    """The program's own knob, turned between the steps: spikes, counts, answer and early end are the definition's."""
    rng, profile, given = np.random.default_rng(seed), profile_for(network, seed), given_to(network, seed, 1)
    settings, knobs, scales = _turns(network, profile, rng)
    scales = _kept_off(scales)
    wanted = run(network, given, scales, engine="reference", record="spikes")
    early, length = early_for(wanted, knobs, seed), int(rng.integers(1, STEPS))
    process = started(Program(network, profile, early=early), flags, engine)
    try:
        process.steps(given[:, 0].reshape(STEPS, -1))  # before the knob is turned at all
        for steps in (length, STEPS):
            process.reset()
            fired, ends, refused = _stepped(process, given[:steps, 0].reshape(steps, -1), settings, rng)
            for each in process.program.populations:
                raster = wanted.rasters[each.population.name].reshape(STEPS, -1)[:steps]
                np.testing.assert_array_equal(fired[:, each.offset : each.offset + each.population.size], raster)
            inference = early.start(knobs[0])
            assert ends == [inference.update(each) for each in wanted.readings[:steps, 0]]
        _check_answer(process, wanted, refused)
    finally:
        process.close()


def _turns(
    network: Network, profile: DialProfile | None, rng: np.random.Generator
) -> tuple[list[int], list[float], ThresholdScale]:
    """Settings of the knob at each step, the knobs that they stand for, and the threshold scales of these."""
    if profile is None:
        low, high = scale_range(network)
        settings = rng.integers(max(low, UNIT // 2), min(high, 2 * UNIT) + 1, STEPS)
        return settings.tolist(), (settings / UNIT).tolist(), settings / UNIT
    settings = rng.choice([0, SETTINGS - 1, *rng.integers(0, SETTINGS, 6)], STEPS)
    knobs = [knob_at(profile, setting) for setting in settings.tolist()]
    scales = [profile.scale(knob) for knob in knobs]
    return settings.tolist(), knobs, {name: np.concatenate([each[name] for each in scales]) for name in scales[0]}


def _stepped(
    process: Running, given: Array, settings: list[int], rng: np.random.Generator
) -> tuple[Array, list[bool], int]:
    """(steps, n_neurons): spikes of all neurons; after which steps an inference may end; and how many events were out
    of range."""
    fired, ends, refused = [], [], 0
    for values, setting in zip(given, settings, strict=False):
        process.turn(setting)
        if process.program.spikes_in and rng.random() < 0.5:
            beyond = rng.integers(values.size, 2**16, rng.integers(4))
            listed = rng.permutation(np.concatenate([np.flatnonzero(values), np.flatnonzero(values), beyond]))
            fired.append(process.events(listed.tolist())[0])
            refused += len(beyond)
        else:
            fired.append(process.steps(values[None])[0][0])
        ends.append(process.done())
    return np.stack(fired), ends, refused


def _check_answer(process: Running, wanted: Record, refused: int) -> None:
    answer, network = process.answer(), wanted.network
    assert (answer.steps, answer.refused, answer.winner) == (STEPS, refused, int(wanted.predictions[0]))
    np.testing.assert_array_equal(answer.scores, wanted.scores[0])
    best = np.sort(answer.scores)[::-1]
    assert answer.margin == (best[0] - best[1] if answer.winner >= 0 and best.size > 1 else 0)
    assert answer.spikes.tolist() == [wanted.spikes[name].sum() for name in network.names]
    off, operations = wanted.off, {**wanted.synaptic_operations, **wanted.multiply_accumulates}
    left_out = {**off.synaptic_operations, **off.multiply_accumulates}
    none = np.zeros(1, np.int64)
    assert answer.off.tolist() == [off.neurons.get(name, none).sum() for name in network.names]
    names = [connection.name for connection in network.connections]
    assert answer.off_operations.tolist() == [left_out.get(name, none).sum() for name in names]
    pairs = {c.name: (wanted.spikes[c.source] * off.neurons.get(c.target, 0)).sum() for c in network.summed}
    if not network.weighing:
        assert answer.off_pairs.tolist() == [pairs.get(name, 0) for name in names]
    assert (answer.operations + answer.off_operations).tolist() == [operations[name].sum() for name in names]


def main(count: int, first: int = 0, engine: str = "c") -> None:
    """Check so many networks, from a seed on."""
    for seed in range(first, first + count):
        flags = STRICT if engine != "c" else SANITIZED if seed % 4 == 0 else (*SANITIZED, "-O0")  # five times as fast
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
