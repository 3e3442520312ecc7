"""The fast engine gives the reference's record in every field, whatever the network, the dial and the chunks."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network.network import READOUTS, Lif, Network, Population, Sparse
from aspen.network.record import RECORDS, Record
from aspen_emulator import run
from aspen_emulator.engines.fast import chunk, engine, parts, run_dials, run_fast
from aspen_emulator.engines.fast.core.kernels import compiled
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import run_reference
from tests.emulator.engines.fast_networks import INPUTS, Array, convolutional, dial_for, input_for, mixed, network_for
from tests.emulator.engines.off_networks import PARTS
from tests.networks import fixed_network, float_network, seeds

STEPS, BATCH = 11, 5
kinds = st.sampled_from(INPUTS)
FIELDS = (
    "spikes", "synaptic_operations", "active_updates", "awake_updates", "rasters", "multiply_accumulates", "membranes",
)  # fmt: skip
OFF = tuple(f"off.{part}" for part in (*PARTS, "who"))


def assert_same(found: Record, wanted: Record) -> None:
    """Every field equal: names, types, shapes and values."""
    np.testing.assert_array_equal(found.output, wanted.output)
    assert found.output.dtype == np.uint8
    for field in (*FIELDS, *OFF):
        mine, theirs = (attrgetter(field)(record) for record in (found, wanted))
        assert set(mine) == set(theirs), field
        for name in theirs:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=f"{field} of {name}")
            assert mine[name].shape == theirs[name].shape
            assert mine[name].dtype == theirs[name].dtype, (field, name)
    np.testing.assert_array_equal(found.predictions, wanted.predictions)


def compare(network: Network, spikes: Array, thresholds: dict[str, Array], record: str = "membranes") -> None:
    assert_same(run_fast(network, spikes, thresholds, record), run_reference(network, spikes, thresholds, record))


@settings(max_examples=120)
@given(seeds, st.booleans(), st.booleans(), kinds)
def test_any_network_of_dense_and_sparse_connections(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    network = mixed(seed, integer, extreme, kind)
    compare(network, input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH))


@settings(max_examples=60)
@given(seeds, st.booleans(), st.booleans(), kinds)
def test_any_convolution(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    network = convolutional(seed, integer, extreme, kind)
    compare(network, input_for(seed, network, STEPS, 3), dial_for(seed, network, STEPS, 3))


@settings(max_examples=60)
@given(seeds, st.booleans(), kinds, st.integers(1, 40_000))
def test_chunks_of_any_size(seed: int, integer: bool, kind: str, size: int) -> None:
    network = network_for(seed, integer, seed % 2 == 0, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK_BYTES", size)
        patch.setattr(engine, "LEAST_STEPS", 1 + seed % 4)
        patch.setattr(chunk, "WORTH_THREADS", 0)
        compare(network, input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH))


@settings(max_examples=50)
@given(seeds, st.booleans(), kinds, st.integers(1, 40_000))
def test_matrix_products_wherever_they_are_possible(seed: int, integer: bool, kind: str, size: int) -> None:
    network = network_for(seed, integer, seed % 2 == 0, kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK_BYTES", size)
        patch.setattr(parts, "ROW_NS", 1e9)
        patch.setattr(parts, "FIRST_SAMPLES", 2)
        compare(network, input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH))


@settings(max_examples=60)
@given(seeds, st.booleans(), kinds, st.sampled_from(RECORDS))
def test_several_dials_in_one_go(seed: int, integer: bool, kind: str, record: str) -> None:
    network = network_for(seed, integer, seed % 2 == 0, kind)
    spikes = input_for(seed, network, STEPS, BATCH)
    dials = [dial_for(seed + k, network, STEPS, BATCH) for k in range(3)]
    for found, dial in zip(run_dials(network, spikes, dials, record), dials, strict=True):
        assert_same(found, run_reference(network, spikes, dial, record))


@settings(max_examples=40)
@given(seeds, st.booleans(), kinds, st.sampled_from(RECORDS), st.sampled_from(READOUTS))
def test_what_is_kept(seed: int, integer: bool, kind: str, record: str, readout: str) -> None:
    made = mixed(seed, integer, kind=kind)
    network = Network(made.populations, made.connections, made.output, readout=readout)
    compare(network, input_for(seed, network, STEPS, BATCH), dial_for(seed, network, STEPS, BATCH), record)


def test_counts_hold_no_rasters_of_hidden_populations() -> None:
    network = mixed(3, integer=True)
    spikes = input_for(3, network, STEPS, BATCH)
    record = run_fast(network, spikes, thresholds_for(network, 1.0, STEPS, BATCH), "counts")
    assert record.rasters == {}
    assert record.engine == "fast"


@pytest.mark.parametrize("integer", [True, False])
def test_on_all_threads_at_the_size_of_the_benchmark(integer: bool) -> None:
    rng = np.random.default_rng(0)
    make = fixed_network if integer else float_network
    network = make(1, (18, 128, 128, 6))
    spikes = (rng.random((128, 256, 18)) < 0.1).astype(np.uint8)
    thresholds = thresholds_for(network, 1.0, 128, 256)
    found = run_fast(network, spikes, thresholds)
    assert spikes.shape[1] * 128 * 262 > chunk.WORTH_THREADS
    for samples in (slice(0, 3), slice(126, 129), slice(253, 256)):
        wanted = run_reference(network, spikes[:, samples], thresholds)
        np.testing.assert_array_equal(found.output[:, samples], wanted.output)
        for field in ("spikes", "synaptic_operations", "active_updates", "awake_updates"):
            for name, counts in getattr(wanted, field).items():
                np.testing.assert_array_equal(getattr(found, field)[name][:, samples], counts)


def test_bools() -> None:
    network = mixed(5, integer=True)
    spikes = input_for(5, network, STEPS, BATCH)
    found = run(network, spikes.astype(bool), record="spikes")
    assert_same(found, run(network, spikes, record="spikes", engine="reference"))


def test_code_that_cannot_be_kept_is_compiled_all_the_same() -> None:
    """numba raises where neither the package's folder nor the user's cache can be written; here there is no file."""
    names: dict[str, Any] = {}
    exec("def add(a, b):\n    return a + b", names)
    assert compiled(names["add"])(2, 3) == 5


@pytest.mark.parametrize("kind", INPUTS)
def test_a_memory_mapped_file(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CHUNK_BYTES", 4000)
    network = mixed(5, integer=True, extreme=True, kind=kind)
    spikes = input_for(5, network, STEPS, BATCH)
    np.save(tmp_path / "spikes.npy", spikes)
    mapped = np.load(tmp_path / "spikes.npy", mmap_mode="r")
    compare(network, mapped, thresholds_for(network, 1.0, STEPS, BATCH))


@pytest.mark.parametrize("kind", INPUTS)
def test_input_that_is_not_contiguous(kind: str) -> None:
    network = mixed(6, integer=True, kind=kind)
    spikes = input_for(6, network, STEPS, 2 * BATCH)[:, ::2]
    compare(network, spikes, thresholds_for(network, 1.0, STEPS, BATCH))


def test_connections_without_synapses() -> None:
    populations = (Population("in", (3,)), Population("out", (2,), Lif(0.5, 0.5, bias=0.2)))
    empty = np.zeros(0)
    network = Network(populations, (Sparse("in", "out", empty, empty.astype(int), empty.astype(int), (2, 3)),))
    compare(network, np.ones((4, 2, 3), np.uint8), thresholds_for(network, 1.0, 4, 2))


def test_a_plan_lives_as_long_as_its_network() -> None:
    import gc

    from aspen_emulator.engines.fast import plan

    network = mixed(8, integer=True)
    assert plan.plan_of(network) is plan.plan_of(network)
    before = len(plan._PLANS)
    del network
    gc.collect()
    assert len(plan._PLANS) < before
