"""Records: every count against a count one synapse at a time, and the sums that must hold between counts."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network.network import Dense, Lif, Network, Population
from aspen.network.record import Record, kept_membranes
from aspen_emulator import run
from tests.networks import Array, seeds

STEPS, SAMPLES = 6, 3


def network(rng: np.random.Generator, analog: bool) -> Network:
    """A chain of two with a skip and a loop, with delays up to one longer than the run; many weights are zero."""
    sizes = {"in": 5, "a": 4, "b": 3}

    def dense(source: str, target: str, shortest: int = 0) -> Dense:
        weight = rng.integers(-2, 4, (sizes[target], sizes[source])) * (
            rng.random((sizes[target], sizes[source])) < 0.6
        )
        return Dense(source, target, weight / 4, delay=int(rng.choice([shortest, shortest, 1, 2, STEPS + 1])))

    populations = [Population("in", (5,), current=analog)]
    populations += [Population(name, (sizes[name],), Lif(0.5, 0.5)) for name in ("a", "b")]
    return Network(populations, [dense("in", "a"), dense("a", "b"), dense("in", "b"), dense("a", "a", shortest=1)])


def given_input(rng: np.random.Generator, analog: bool) -> Array:
    shape = (STEPS, SAMPLES, 5)
    if analog:
        return np.asarray(rng.integers(-3, 4, shape) / 4)
    return (rng.random(shape) < 0.4).astype(np.uint8)


def counted(record: Record, values: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Synapses reached and neurons driven, one at a time, from the spikes (or values) of all populations."""
    sources = {**{name: record.rasters[name] for name in record.network.order}, "in": values}
    reached = {c.name: np.zeros((STEPS, SAMPLES), int) for c in record.network.connections}
    active = {name: np.zeros((STEPS, SAMPLES), int) for name in record.network.order}
    for t, sample in np.ndindex(STEPS, SAMPLES):
        for connection in record.network.connections:
            for j in np.nonzero(connection.weight)[1]:
                reached[connection.name][t, sample] += sources[connection.source][t, sample, j] != 0
        for name in record.network.order:
            drive = np.zeros(record.network[name].size)
            for connection in record.network.incoming(name):
                if t >= connection.delay:
                    drive += connection.weight @ sources[connection.source][t - connection.delay, sample]
            active[name][t, sample] = np.count_nonzero(drive)
    return reached, active


@settings(max_examples=25, deadline=None)
@given(seeds, st.booleans(), st.sampled_from(["reference", "fast"]))
def test_every_count_is_that_of_its_synapses_one_by_one(seed: int, analog: bool, engine: str) -> None:
    rng = np.random.default_rng(seed)
    made, values = network(rng, analog), given_input(rng, analog)
    record = run(made, values, engine=engine, record="spikes")
    reached, active = counted(record, values)
    from_input = {"in->a", "in->b"} if analog else set()
    assert set(record.multiply_accumulates) == from_input
    assert set(record.synaptic_operations) == set(reached) - from_input
    for name, count in {**record.synaptic_operations, **record.multiply_accumulates}.items():
        np.testing.assert_array_equal(count, reached[name], err_msg=name)
    for name in made.order:
        np.testing.assert_array_equal(record.active_updates[name], active[name], err_msg=name)
        np.testing.assert_array_equal(record.spikes[name], record.rasters[name].sum(axis=2))
    np.testing.assert_array_equal(record.spikes["in"], np.zeros((STEPS, SAMPLES)) if analog else values.sum(axis=2))


@settings(max_examples=15, deadline=None)
@given(seeds, st.permutations(range(SAMPLES)))
def test_counts_add_up_and_go_with_their_samples(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    made, spikes = network(rng, analog=False), given_input(rng, analog=False)
    record, moved = run(made, spikes), run(made, spikes[:, order])
    for field in ("spikes", "synaptic_operations", "active_updates", "awake_updates"):
        for name, count in getattr(record, field).items():
            np.testing.assert_array_equal(getattr(moved, field)[name], count[:, order])
    np.testing.assert_array_equal(moved.predictions, record.predictions[order])
    np.testing.assert_array_equal(record.hidden_spikes, record.spikes["a"].sum(axis=0))
    operations = sum(count.sum(axis=0) for count in record.synaptic_operations.values())
    np.testing.assert_array_equal(record.total_synaptic_operations, operations)
    assert record.hidden_spikes.dtype == record.total_synaptic_operations.dtype == np.int64


def test_what_people_and_programs_read_says_who_was_off() -> None:
    rng = np.random.default_rng(3)
    net, given = network(rng, analog=False), given_input(rng, analog=False)
    out = np.where(np.arange(net["a"].size) < 2, np.inf, 1.0)[None, None]
    record, plain = run(net, given, {"a": out}), run(net, given)
    assert f"a: 2 of {net['a'].size} neurons off on average" in str(record)
    assert "neurons off" not in str(plain)
    found = record.summary()
    assert found["populations"]["a"]["off_updates"] == 2 * STEPS * SAMPLES
    lost = {n: entry["off_synaptic_operations"] for n, entry in found["connections"].items() if len(entry) > 1}
    assert lost == {name: int(n.sum()) for name, n in record.off.synaptic_operations.items()}
    assert "off" not in str(plain.summary())


def test_the_summary_holds_the_sums() -> None:
    rng = np.random.default_rng(3)
    record = run(network(rng, analog=False), given_input(rng, analog=False), engine="reference", record="spikes")
    found = json.loads(json.dumps(record.summary()))
    assert (found["engine"], found["steps"], found["samples"]) == ("reference", STEPS, SAMPLES)
    assert set(found["populations"]) == {"in", "a", "b"}
    for name, entry in found["populations"].items():
        assert entry["spikes"] == record.rasters[name].sum()
        assert entry["neurons"] == record.network[name].size
        if name != "in":
            assert entry["active_updates"] == record.active_updates[name].sum() > 0
            assert entry["active_updates"] + entry["inactive_updates"] == entry["neurons"] * STEPS * SAMPLES
            assert entry["awake_updates"] == record.awake_updates[name].sum() > entry["active_updates"]
    assert "active_updates" not in found["populations"]["in"]
    for name, entry in found["connections"].items():
        assert entry["synaptic_operations"] == record.synaptic_operations[name].sum()
    assert sum(entry["synaptic_operations"] for entry in found["connections"].values()) > 0
    assert found["predictions"] == record.predictions.tolist()
    assert found["unanswered"] == np.mean(record.predictions == -1)


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("readout", ["spikes", "membrane"])
def test_what_is_asked_for_is_kept_and_nothing_else(engine: str, readout: str) -> None:
    rng = np.random.default_rng(1)
    made, spikes = replace(network(rng, analog=False), readout=readout), given_input(rng, analog=False)
    shown = [] if readout == "spikes" else ["b"]
    for record, rasters, membranes in (
        ("counts", [], shown), ("spikes", ["in", "a", "b"], shown), ("membranes", ["in", "a", "b"], ["a", "b"])
    ):  # fmt: skip
        found = run(made, spikes, engine=engine, record=record)
        assert sorted(found.rasters) == sorted(rasters)
        assert sorted(found.membranes) == kept_membranes(made, record) == membranes
