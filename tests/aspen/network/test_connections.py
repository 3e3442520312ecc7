"""Convolutions, sparse maps and direct currents: the same as PyTorch's, and the same as their synapses one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from aspen.errors import InputError, NetworkError
from aspen.network.connection import Connection
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse, load_network
from aspen_emulator import run
from tests import ROOT
from tests.networks import random_spikes


@st.composite
def convolutions(draw: st.DrawFn) -> Conv:
    """A random convolution over one or two dimensions, with integer weights, some of them zero."""
    dims = draw(st.sampled_from([1, 2]))
    groups = draw(st.sampled_from([1, 2]))
    channels_in, channels_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    stride, dilation = ([draw(st.integers(1, 2)) for _ in range(dims)] for _ in range(2))
    padding = [draw(st.integers(0, 2)) for _ in range(dims)]
    size = [
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 7)) for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weight = rng.integers(-5, 6, (channels_out, channels_in // groups, *kernel))
    return Conv("a", "b", weight, (channels_in, *size), None, tuple(stride), tuple(padding), tuple(dilation), groups)


@settings(max_examples=80, deadline=None)
@given(convolutions())
def test_a_convolution_is_that_of_torch_and_that_of_its_synapses(conv: Conv) -> None:
    values = np.random.default_rng(0).integers(0, 2, (3, *conv.input_shape)).astype(np.uint8)
    convolve = functional.conv1d if len(conv.stride) == 1 else functional.conv2d
    expected = convolve(
        torch.from_numpy(values).double(), torch.from_numpy(conv.weight.copy()).double(), None,
        conv.stride, conv.padding, conv.dilation, conv.groups,
    )  # fmt: skip
    assert tuple(expected.shape[1:]) == conv.output_shape
    flat = values.reshape(3, -1)
    np.testing.assert_array_equal(conv.drive(flat), expected.reshape(3, -1).numpy())
    matrix = conv.synapses()
    np.testing.assert_array_equal(conv.drive(flat), flat.astype(np.int64) @ matrix.T)
    assert (matrix.data != 0).all()
    np.testing.assert_array_equal(conv.fan_out(), (matrix.toarray() != 0).sum(axis=0))
    one_by_one = abs(matrix).sum(axis=1).max()  # padding may leave no place where the whole kernel lies inside
    assert conv.largest_sum == max(np.abs(kernel).sum() for kernel in conv.weight) >= one_by_one
    assert conv.largest_sum == one_by_one or any(conv.padding)


@pytest.mark.parametrize("exponent", [-3, 0, 4])
def test_a_sparse_connection_is_the_dense_one_of_the_same_matrix(exponent: int) -> None:
    rng = np.random.default_rng(1)
    matrix = rng.integers(-9, 10, (6, 8)) * (rng.random((6, 8)) < 0.4)
    dense = Dense("a", "b", matrix, exponent=exponent)
    sparse = Sparse.from_matrix("a", "b", matrix).with_integers(matrix[matrix != 0], exponent)
    spikes = rng.integers(0, 2, (5, 8))
    np.testing.assert_array_equal(sparse.drive(spikes), dense.drive(spikes))
    np.testing.assert_array_equal(sparse.fan_out(), dense.fan_out())
    np.testing.assert_array_equal(sparse.synapses().toarray(), matrix)
    assert sparse.largest_sum == dense.largest_sum == np.abs(matrix).sum(axis=1).max()


def test_places_beyond_32_bits_are_told_apart() -> None:
    """2**16 rows further down in a matrix of 2**16 columns is 2**32 places on."""
    sparse = Sparse("a", "b", [1.0, 2.0], [0, 2**16], [3, 3], (2**16 + 1, 2**16))
    spikes = np.zeros((1, 2**16), np.uint8)
    spikes[0, 3] = 1
    driven = sparse.drive(spikes)
    assert driven[0, [0, 2**16]].tolist() == [1.0, 2.0]
    assert np.count_nonzero(driven) == 2
    with pytest.raises(NetworkError, match="found two weights at one place"):
        Sparse("a", "b", [1.0, 2.0], [2**16, 2**16], [3, 3], (2**16 + 1, 2**16))


def conv_network(integer: bool = False) -> Network:
    rng = np.random.default_rng(3)
    if integer:
        neuron: Any = FixedLif(threshold=90, voltage_decay=400)
        weight, last = 2 * rng.integers(-30, 60, (3, 2, 3, 3)), rng.integers(0, 100, (4, 27))
    else:
        neuron = Lif(threshold=1.0, beta=0.9, reset="subtract")
        weight, last = rng.integers(-64, 128, (3, 2, 3, 3)) / 128, rng.integers(-64, 128, (4, 27)) / 128
    bias = None if integer else np.array([0.125, -0.25, 0.0])
    conv = Conv("input", "conv", weight, (2, 6, 6), bias, stride=(2, 2), padding=(1, 1))
    populations = (
        Population("input", (2, 6, 6)),
        Population("conv", (3, 3, 3), neuron),
        Population("out", (4,), neuron),
    )
    return Network(populations, (conv, Dense("conv", "out", last)))


@pytest.mark.parametrize("integer", [False, True])
def test_a_convolutional_network_runs_alike_in_both_engines_and_comes_back_from_a_file(
    tmp_path: Any, integer: bool
) -> None:
    network = conv_network(integer)
    network.save(tmp_path / "conv.aspen")
    spikes = random_spikes(0, 15, 4, 72).reshape(15, 4, 2, 6, 6)
    records = [
        run(net, spikes, engine=engine, record="spikes")
        for net in (network, load_network(tmp_path / "conv.aspen"))
        for engine in ("reference", "fast")
    ]
    for record in records:
        for name in network.names:
            np.testing.assert_array_equal(record.rasters[name], records[0].rasters[name])
    assert records[0].output.sum() > 5
    operations = records[0].synaptic_operations["input->conv"]
    mask = network.connections[0].synapses().toarray() != 0
    np.testing.assert_array_equal(operations, (spikes.reshape(15, 4, -1).astype(int) @ mask.T).sum(axis=2))


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_an_analog_input_is_weighed_and_counted_as_multiply_accumulates(engine: str) -> None:
    populations = (Population("input", (3,), current=True), Population("out", (2,), Lif(1.0, 0.5)))
    network = Network(populations, (Dense("input", "out", [[1.0, 0.0, 2.0], [0.5, 0.5, 0.0]]),))
    values = np.array([[[0.6, 7.0, 0.0]], [[0.0, 0.0, 0.45]], [[0.0, 0.0, 0.5]]])
    record = run(network, values, engine=engine)
    # neuron 0: 0.6; 0.3 + 0.9 = 1.2 fires; 0 + 1.0 does not. neuron 1: 0.3 + 3.5 fires; 0; 0
    assert record.output[:, 0].tolist() == [[0, 1], [1, 0], [0, 0]]
    assert record.multiply_accumulates["input->out"][:, 0].tolist() == [3, 1, 1]
    assert record.synaptic_operations == {}
    assert record.spikes["input"].sum() == 0


@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_direct_current_is_added_to_the_membrane(engine: str) -> None:
    neuron = FixedLif(threshold=10, voltage_decay=0, bias_mantissa=1, bias_exponent=6)
    populations = (Population("input", (2,), neuron, current=True), Population("out", (1,), FixedLif(1, 0)))
    network = Network(populations, (Dense("input", "out", [[20, 20]]),))
    current = np.array([[[4, 9]], [[4, 10]], [[4, -3]]])
    record = run(network, current, engine=engine, record="spikes")
    # membranes in units of 64: 5, 10, 15 (fires at > 10); 10, 21 (fires), -2
    assert record.rasters["input"][:, 0].tolist() == [[0, 0], [0, 1], [1, 0]]
    assert record.output[:, 0, 0].tolist() == [0, 1, 1]
    assert network.hidden == ["input"]


def test_currents_of_the_wrong_kind_are_refused() -> None:
    populations = (Population("input", (3,), current=True), Population("out", (2,), Lif(1.0, 0.5)))
    network = Network(populations, (Dense("input", "out", np.ones((2, 3))),))
    with pytest.raises(InputError, match=r"current: found shape \(2, 3\), allowed is \(time, batch, 3\)"):
        run(network, np.ones((2, 3)))
    with pytest.raises(InputError, match="current: found float64 values or NaN"):
        run(network, np.full((2, 1, 3), np.nan))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv("a", "b", np.ones((2, 1, 3)), (1, 4, 4)), "allowed are .channels, length. or"),
        (lambda: Conv("a", "b", np.ones((2, 1, 5)), (1, 4)), "the kernel is larger than the padded input"),
        (lambda: Conv("a", "b", np.ones((2, 1, 3)), (3, 4)), "a->b.weight: found shape"),
        (
            lambda: Conv("a", "b", np.ones((2, 1, 3)), (3, 4), groups=2),
            "a->b.groups: found 2, allowed is a divisor of 3",
        ),
        (
            lambda: Conv("a", "b", np.ones((2, 1, 3)), (1, 4), stride=(0,)),
            "a->b.stride: found 0, allowed is an integer from 1",
        ),
        (lambda: Sparse("a", "b", [1.0], [2], [0], (2, 2)), "a->b.rows: found 2, allowed is 0 to 1"),
        (lambda: Sparse("a", "b", [1.0, 2.0], [0, 0], [1, 1], (2, 2)), "a->b: found two weights at one place"),
        (lambda: Sparse("a", "b", [1.0], [0, 1], [0, 0], (2, 2)), r"a->b.rows: found shape \(2,\), allowed is \(1,\)"),
    ],
)
def test_impossible_connections_are_refused(make: Any, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        make()


def test_a_file_of_version_1_still_loads() -> None:
    """Stored by ASPEN at format version 1."""

    from aspen_hardware import load_deployment

    path = ROOT / "tests" / "data" / "version1.aspen"
    network, deployment = load_network(path), load_deployment(path, "loihi1")
    spikes = random_spikes(0, 10, 2, 6)
    assert network.names == ["input", "layer1", "layer2"]
    assert run(network, spikes).spikes["layer1"].sum() > 0
    assert run(deployment, spikes).spikes["layer1"].sum() > 0


@pytest.mark.parametrize("method", ["_check_weight", "_check_ends", "_n_biases", "accumulate", "synapses"])
def test_a_kind_of_connection_has_all_methods(method: str) -> None:
    def given(self: Connection, *others: object) -> None:
        """What is defined, and not called."""

    names = {"_check_weight", "_check_ends", "_n_biases", "accumulate", "synapses"} - {method}
    kind = type("Kind", (Connection,), dict.fromkeys(names, given))
    with pytest.raises(TypeError, match=method):
        kind()
