"""Active and awake updates, counted by every engine, against their definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aspen.control import Manual
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen.network.neurons import RESETS
from aspen.network.record import Record
from aspen_emulator import run, session
from aspen_emulator.engines.fast import run_fast
from aspen_emulator.engines.inputs import check_input, thresholds_for
from aspen_emulator.engines.lava.layout import check_network
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.engines.reference import run_reference
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.measuring.torch_record import torch_record
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip, energy_model
from tests.emulator.engines.fast_networks import INPUTS, Array, dial_for, input_for, mixed, network_for
from tests.hardware.energy.recount import of_eight_bits
from tests.networks import float_network, random_spikes, seeds

STEPS, BATCH = 9, 3
kinds = st.sampled_from(INPUTS)
UPDATES = ("active_updates", "awake_updates")
ENGINES = {"fast": run_fast, "reference": run_reference}


# ---------------------------------------------------------------- the definitions, from what a run has recorded


def net_input(record: Record, values: Array, name: str) -> Array:
    """(steps, batch, n): sums of weights times what arrives, connection by connection, with delay and exponent."""
    network, shape = record.network, (record.steps, record.batch, -1)
    total: Any = np.zeros((*shape[:2], network[name].size))
    for connection in network.incoming(name):
        given = network.input.name == connection.source and network.input.neuron is None
        sent = (values if given else record.rasters[connection.source]).reshape(shape)
        sums = sent[: max(record.steps - connection.delay, 0)].astype(float) @ connection.synapses().toarray().T
        total[connection.delay :] += np.floor(sums * 2.0**connection.exponent) if connection.is_integer else sums
    return np.asarray(total)


def brought_by_resets(record: Record, name: str, thresholds: Array) -> Array:
    """(steps, batch, n): what synapses by which neurons reset themselves bring, in units of the membrane."""
    neuron = record.network[name].neuron
    found = np.zeros((record.steps, record.batch, record.network[name].size))
    if neuron is None or neuron.reset != "subtract-synapse":
        return found
    for t in range(record.steps - 1):
        threshold = np.broadcast_to(thresholds[min(t, len(thresholds) - 1)], found.shape[1:])
        amount = threshold if isinstance(neuron, Lif) else 64 * np.vectorize(of_eight_bits)(threshold // 64)
        fired = record.membranes[name][t].reshape(record.batch, -1) > threshold
        found[t + 1] = -np.where(fired, amount, 0)  # a product would make NaN of an infinite threshold
    return found


def carried_membranes(record: Record, name: str, thresholds: Array) -> Iterator[Array]:
    """(batch, n) at each step: the membrane that the neurons bring along, from the one that was compared before it."""
    neuron = record.network[name].neuron
    assert neuron is not None
    carried: Any = np.zeros((record.batch, record.network[name].size))
    owed = np.zeros_like(carried)
    for t in range(record.steps):
        yield carried
        compared = record.membranes[name][t].reshape(record.batch, -1)
        threshold = np.broadcast_to(thresholds[min(t, len(thresholds) - 1)], compared.shape)
        fired = compared > threshold
        subtracted = compared - np.where(fired, threshold, 0)
        if neuron.reset == "zero":
            carried = np.where(fired, 0, compared)
        elif neuron.reset == "subtract":
            carried = subtracted
        elif neuron.reset == "subtract-guarded":
            carried = subtracted + owed
            owed = np.where(carried > threshold, threshold, 0)
        else:  # no reset, or one that the next step makes
            carried = compared


def biases(network: Network, name: str, current: Array) -> tuple[Array, Array]:
    """The bias of the neurons with their direct current, (steps, batch, n), and that of their connections, (n,)."""
    neuron, scale = network[name].neuron, 1
    assert neuron is not None
    if isinstance(neuron, FixedLif):
        scale = np.broadcast_to(2**neuron.bias_exponent, network[name].shape).reshape(-1)
    own = np.broadcast_to(neuron.bias, network[name].shape).reshape(-1)
    added = current.reshape(*current.shape[:2], -1) * scale if network[name].current else np.zeros(1)
    return own + added, sum((np.asarray(c.bias_currents()) for c in network.incoming(name)), np.zeros(1))


def assert_defined(record: Record, values: Array, thresholds: dict[str, Array]) -> None:
    for name in record.network.order:
        scale = 64 if record.network.is_integer else 1
        arriving = scale * net_input(record, values, name) + brought_by_resets(record, name, thresholds[name]) != 0
        own, of_connections = biases(record.network, name, values)
        carried = np.stack(list(carried_membranes(record, name, thresholds[name])))
        awake = arriving | (carried != 0) | (own != 0) | (of_connections != 0)
        np.testing.assert_array_equal(record.active_updates[name], arriving.sum(axis=2), err_msg=name)
        np.testing.assert_array_equal(record.awake_updates[name], awake.sum(axis=2), err_msg=name)
        assert (record.awake_updates[name] <= record.network[name].size).all()


def silenced(network: Network, seed: int) -> Network:
    """The same network, with biases for half of its populations only, or with none."""
    rng = np.random.default_rng(seed)
    populations, quiet = [], set()
    for population in network.populations:
        neuron = population.neuron
        if neuron is not None and rng.random() < 0.7:
            quiet.add(population.name)
            bias = {"bias_mantissa": 0} if isinstance(neuron, FixedLif) else {"bias": 0.0}
            population = replace(population, neuron=replace(neuron, **bias))  # type: ignore[arg-type]
        populations.append(population)
    connections = [replace(c, bias=None) if c.target in quiet else c for c in network.connections]
    return replace(network, populations=tuple(populations), connections=tuple(connections))


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.booleans(), kinds, st.sampled_from(list(ENGINES)))
def test_both_counts_are_what_a_plain_loop_over_the_membranes_says(
    seed: int, integer: bool, extreme: bool, kind: str, engine: str
) -> None:
    """Dense, sparse and convolutional, recurrent, with delays and skips, all resets, all inputs, moving thresholds."""
    network = silenced(network_for(seed, integer, extreme, kind), seed)
    values, dial = input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH)
    assert_defined(ENGINES[engine](network, values, dial, "membranes"), values, dial)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans(), st.booleans(), kinds)
def test_known_spikes_say_as_much_as_membranes(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    """What engines are counted by that show spikes only."""
    network = silenced(network_for(seed, integer, extreme, kind), seed)
    values, dial = input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH)
    wanted = run_reference(network, values, dial, "spikes")
    found = record_from_rasters(network, wanted.rasters, "by spikes", thresholds=dial, current=values)
    for field in ("spikes", "synaptic_operations", "multiply_accumulates", *UPDATES):
        for name, count in getattr(wanted, field).items():
            np.testing.assert_array_equal(getattr(found, field)[name], count, err_msg=f"{field} of {name}")


# ---------------------------------------------------------------- by hand


def one(neuron: FixedLif | Lif, weight: Array | None = None, **options: Any) -> Network:
    """Two inputs of opposite weights into one neuron."""
    populations = (Population("input", (2,)), Population("out", (1,), neuron))
    weights = np.array([[64, -64]]) if weight is None else weight
    return Network(populations, (Dense("input", "out", weights, **options),))


def counts(
    network: Network, *steps: tuple[int, int], engine: str = "fast", scale: float = 1.0
) -> tuple[list[int], ...]:
    record = run(network, np.array(steps, np.uint8)[:, None], scale, engine=engine)
    return tuple(getattr(record, field)["out"].ravel().tolist() for field in UPDATES)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_neuron_is_awake_until_its_membrane_has_decayed_to_zero(engine: str) -> None:
    """64 << 6 halves to 0 in 13 steps; integers round towards zero, and so do negative ones."""
    quiet = one(FixedLif(threshold=1000, voltage_decay=2048))
    for spike in ((1, 0), (0, 1)):
        active, awake = counts(quiet, (0, 0), spike, *[(0, 0)] * 15, engine=engine)
        assert active == [0, 1] + [0] * 15
        assert awake == [0, 1] + [1] * 13 + [0] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_that_cancel_out_are_no_input(engine: str) -> None:
    assert counts(one(FixedLif(1000, 2048)), (1, 1), (0, 0), engine=engine) == ([0, 0], [0, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bias_keeps_a_neuron_awake_from_the_first_step(engine: str) -> None:
    assert counts(one(FixedLif(1000, 4096 - 1, bias_mantissa=-1)), (0, 0), (0, 0), engine=engine) == ([0, 0], [1, 1])
    by_connection = one(Lif(9.0, 0.0), np.array([[1.0, -1.0]]), bias=np.array([0.25]))
    assert counts(by_connection, (0, 0), (1, 1), engine=engine) == ([0, 0], [1, 1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_current_that_is_carried_over_does_not_count_by_itself(engine: str) -> None:
    """After the reset the membrane is 0; the current of the step before charges it again in the step after."""
    neuron = FixedLif(threshold=10, voltage_decay=0, current_decay=2048)
    assert counts(one(neuron), (1, 0), (0, 0), engine=engine) == ([1, 0], [1, 0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("reset", "after"),
    [
        ("zero", [0, 0]),
        ("zero-delayed", [1, 0]),  # the reset is still to be made, in an update of its own
        ("subtract", [1, 1]),
        ("subtract-delayed", [1, 0]),
        ("subtract-guarded", [1, 1]),
        ("subtract-synapse", [1, 0]),
        ("none", [1, 1]),
        ("none-rectified", [1, 1]),
    ],
)
def test_what_a_reset_leaves(reset: str, after: list[int], engine: str) -> None:
    """33 << 6 fires above the dialled threshold, 32 << 6, to which it would decay within a step."""
    neuron = FixedLif(threshold=16, voltage_decay=4096 - 3972, reset=reset)
    network = one(neuron, np.array([[33, 0]]))
    network = Network((*network.populations, Population("last", (1,), neuron)),
                      (*network.connections, Dense("out", "last", [[0]])), output="last")  # fmt: skip
    spikes = [(1, 0), (0, 0), (0, 0)]
    brought = int(reset == "subtract-synapse")
    assert counts(network, *spikes, engine=engine, scale=2.0) == ([1, brought, 0], [1, *after])
    rasters = run(network, np.array(spikes, np.uint8)[:, None], 2.0, engine=engine, record="spikes").rasters
    replayed = record_from_rasters(network, rasters, "by spikes", thresholds=thresholds_for(network, 2.0, 3, 1))
    assert replayed.awake_updates["out"].ravel().tolist() == [1, *after]


def test_every_reset_is_tried() -> None:
    assert {case[0] for case in test_what_a_reset_leaves.pytestmark[0].args[1]} == set(RESETS)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_direct_current_adds_to_the_bias(engine: str) -> None:
    neuron = FixedLif(threshold=1000, voltage_decay=4095, bias_mantissa=[5, 0], bias_exponent=2)
    populations = (Population("input", (2,), neuron, current=True), Population("out", (1,), FixedLif(1000, 4095)))
    network = Network(populations, (Dense("input", "out", [[1, 1]]),))
    record = run(network, np.array([[[-5, 0]], [[0, 1]], [[-5, 0]]]), engine=engine)
    assert record.awake_updates["input"].ravel().tolist() == [0, 2, 2]
    assert not record.active_updates["input"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_connection_may_bias_neurons_that_are_fed_a_current(engine: str) -> None:
    populations = (Population("input", (2,), Lif(9.0, 0.5), current=True), Population("out", (1,), Lif(9.0, 0.5)))
    back = Dense("out", "input", [[1.0], [1.0]], np.array([0.0, 0.5]), delay=1)
    network = Network(populations, (Dense("input", "out", [[1.0, 1.0]]), back))
    record = run(network, np.array([[[0.0, 0.0]], [[0.5, 0.0]], [[0.0, 0.0]]]), engine=engine)
    assert record.awake_updates["input"].ravel().tolist() == [1, 2, 2]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_leaky_integrator_is_awake_while_it_holds_something(engine: str) -> None:
    integrator = one(Lif(np.inf, 0.5, reset="none"), np.array([[1.0, -0.5]]))
    assert counts(integrator, (0, 0), (1, 0), (0, 1), (0, 0), engine=engine) == ([0, 1, 1, 0], [0, 1, 1, 0])


# ---------------------------------------------------------------- step by step


def test_a_session_carries_membranes_over_until_it_is_reset() -> None:
    network = one(FixedLif(threshold=1000, voltage_decay=2048))
    with session(network) as live:
        found = []
        for spikes in ([1, 0], [0, 0], [0, 0], None, [0, 0]):
            if spikes is None:
                live.reset()
                continue
            live.step(np.array([spikes], np.uint8))
            assert live.events is not None
            found.append((live.events.active["out"], live.events.awake["out"]))
    assert found == [(1, 1), (0, 1), (0, 1), (0, 0)]


@settings(max_examples=12, deadline=None)
@given(seeds, st.booleans(), kinds)
def test_a_stream_counts_what_a_run_does_on_every_engine(seed: int, integer: bool, kind: str) -> None:
    """Also where the engine shows spikes only; each window begins at rest, at the knob of the stream."""
    made = silenced(mixed(seed, integer, kind=kind), seed)
    network = replace(made, output=max(made.order, key=lambda name: made[name].size))
    assume(network[network.output].size > 1)
    values, target = input_for(seed, network, STEPS, BATCH), chip("loihi1")
    meter = Meter.of(network, target, STEPS)
    record = run(network, values, 0.75)
    for engine in ENGINES:
        with Stream(network, meter, Manual(0.75), engine=engine) as stream:
            list(stream.run(values.swapaxes(0, 1)))
        for field, totals in zip(UPDATES, (stream.totals.active, stream.totals.awake), strict=True):
            assert totals == {name: count.sum() for name, count in getattr(record, field).items()}, engine


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_a_stream_on_lava_counts_populations_that_are_late() -> None:
    """The input too, a direct current: what it drives drives it back within the step, and so comes first."""
    rng = np.random.default_rng(3)
    neuron = FixedLif(threshold=40, voltage_decay=1500, reset="subtract")
    sizes = {"in": 4, "side": 3, "out": 2}
    populations = tuple(Population(name, (n,), neuron, current=name == "in") for name, n in sizes.items())
    ways = {("in", "side"): 2, ("side", "in"): 0, ("in", "out"): 0, ("side", "out"): 1}
    connections = [
        Dense(source, target, 2 * rng.integers(-99, 127, (sizes[target], sizes[source])), delay=delay)
        for (source, target), delay in ways.items()
    ]
    network = Network(populations, tuple(connections), output="out")
    values = rng.integers(0, 4000, (STEPS, BATCH, 4)) * (rng.random((STEPS, BATCH, 1)) < 0.4)
    assert check_network(network) == {"in": 1, "side": 0, "out": 2}
    record = run(network, values, 0.75)
    with Stream(network, Meter.of(network, chip("loihi1"), STEPS), Manual(0.75), engine="lava") as stream:
        list(stream.run(values.swapaxes(0, 1)))
    for field, counted in zip(UPDATES, (stream.totals.active, stream.totals.awake), strict=True):
        assert counted == {name: count.sum() for name, count in getattr(record, field).items()}
    assert 0 < record.active_updates["in"].sum() < record.awake_updates["in"].sum() < STEPS * BATCH * sizes["in"]


@pytest.mark.parametrize("scenario", ["davies2018", "sanafe"])
def test_a_stream_is_priced_by_its_chips_definition(scenario: str) -> None:
    network, values = silenced(float_network(3), 1), random_spikes(0, STEPS, 5, 6, density=0.1)
    target = chip("loihi1").only(scenario)
    record, meter = run(network, values), Meter.of(network, target, STEPS)
    with Stream(network, meter, Manual(1.0)) as stream:
        list(stream.run(values.swapaxes(0, 1)))
    wanted = energy_model(record, target).dynamic
    assert wanted is not None
    assert sum(count.sum() for count in record.awake_updates.values()) > sum(
        count.sum() for count in record.active_updates.values()
    )
    assert stream.dynamic == pytest.approx(wanted.typical, rel=1e-9)
    assert (sum(meter.active.values()) > 0, sum(meter.awake.values()) > 0) == (
        scenario != "sanafe",
        scenario == "sanafe",
    )


# ---------------------------------------------------------------- in floating point


def test_a_torch_model_is_counted_like_its_network() -> None:
    torch.manual_seed(0)
    model = DenseNet((6, 12, 4)).double()
    spikes = random_spikes(1, STEPS, BATCH, 6)
    network = export(model, torch.from_numpy(spikes).double())
    found, wanted = torch_record(model, network, check_input(network, spikes)), run(network, spikes)
    for field in UPDATES:
        for name, count in getattr(wanted, field).items():
            np.testing.assert_array_equal(getattr(found, field)[name], count, err_msg=f"{field} of {name}")


def on_a_grid(step: float, kind: type) -> Network:
    """Weights that are multiples of ``step``."""
    rng = np.random.default_rng(0)

    def dense(source: str, target: str, n: int, m: int, delay: int = 0) -> Dense:
        return Dense(source, target, (rng.integers(-7, 8, (m, n)) * step).astype(kind), delay=delay)

    neurons = [Population(name, (n,), Lif(1.0, 0.9)) for name, n in (("a", 64), ("out", 10))]
    connections = [dense("input", "a", 32, 64), dense("a", "a", 64, 64, 1), dense("a", "out", 64, 10)]
    return Network((Population("input", (32,)), *neurons), tuple(connections))


def totals(record: Record, field: str) -> int:
    return sum(int(count.sum()) for count in getattr(record, field).values())


@pytest.mark.parametrize(("step", "kind"), [(1 / 16, float), (0.037, np.float32)])
def test_floats_whose_sums_are_exact_count_the_same_on_every_engine(step: float, kind: type) -> None:
    """Among them all float32 weights of like magnitude, which training leaves: sums are of double precision."""
    network, spikes = on_a_grid(step, kind), random_spikes(0, 40, 8, 32, density=0.15)
    fast, reference = (run(network, spikes, engine=engine) for engine in ENGINES)
    for field in UPDATES:
        assert totals(fast, field) == totals(reference, field)


def test_doubles_may_leave_a_rounding_error_where_inputs_cancel_out() -> None:
    """Which, depends on the order of addition, and so on the engine: a few updates in a thousand."""
    network, spikes = on_a_grid(0.037, float), random_spikes(0, 40, 8, 32, density=0.15)
    fast, reference = (run(network, spikes, engine=engine, record="spikes") for engine in ENGINES)
    multiples = on_a_grid(1, float)
    exact = sum(np.count_nonzero(net_input(replace(fast, network=multiples), spikes, name)) for name in network.order)
    assert exact < totals(fast, "active_updates")
    for field in UPDATES:
        assert totals(fast, field) == pytest.approx(totals(reference, field), rel=0.005)
