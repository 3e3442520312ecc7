"""Convolutions of the fast engine, by windows and by rows, and populations of several tiles: always the reference's
record, and every way is taken."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.network.network import Conv, FixedLif, Network, Population
from aspen_emulator.engines.fast import run_dials, windows
from aspen_emulator.engines.fast.core.columns import KIND, LEAST, LISTED, LOOKED_UP, ROWS, TILE, UNIFORM, WINDOWS
from aspen_emulator.engines.fast.plan import plan_of
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.reference import run_reference
from tests.emulator.engines.fast_networks import INPUTS, Maker, convolutional, dial_for, input_for
from tests.emulator.engines.test_fast import assert_same, compare
from tests.networks import seeds

STEPS = 7
kinds = st.sampled_from(INPUTS)


@pytest.fixture
def _windows_wherever_possible() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "RUN_NS", 1e9)
        yield


@pytest.fixture
def _rows_everywhere() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "RUN_NS", 0.0)
        patch.setattr(windows, "RUN_BYTE_NS", 0.0)
        yield


def ways(network: Network) -> set[int | None]:
    """How the convolutions with rows may find what windows add up; None where they are never."""
    plan = plan_of(network)
    rows = [conn for conn in plan.tables.conns if conn[KIND] == ROWS]
    return {int(plan.tables.places[conn[WINDOWS]]) if conn[LEAST] < windows.NEVER else None for conn in rows}


def geometries(seed: int, integer: bool) -> Network:
    """Two convolutions with many channels and large kernels, strides and paddings, in one or two dimensions."""
    make = Maker(seed, integer)
    rng = make.rng
    dims = int(rng.integers(1, 3))
    shape = (int(rng.choice([1, 3, 20])), *(int(n) for n in rng.choice([5, 9, 70 if dims == 1 else 14], dims)))
    populations, connections = [Population("input", shape)], []
    for name in ("a", "b"):
        outputs = int(rng.choice([1, 3, 8, 17, 33, 70]))
        kernel = [int(rng.integers(1, min(13, n) + 1)) for n in shape[1:]]
        padding = tuple(int(rng.integers(0, k)) for k in kernel)
        stride = tuple(int(s) for s in rng.choice([1, 1, 2, 3, 9], dims))
        weight = make.weights(outputs, shape[0], *kernel)
        conv = Conv(populations[-1].name, name, weight, shape, stride=stride, padding=padding, exponent=make.exponent())
        connections.append(conv)
        shape = conv.output_shape
        populations.append(Population(name, shape, make.neuron(shape)))
    return Network(tuple(populations), tuple(connections))


@pytest.mark.usefixtures("_windows_wherever_possible")
@settings(max_examples=60)
@given(seeds, st.booleans(), st.booleans(), kinds)
def test_any_convolution_by_windows(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    network = convolutional(seed, integer, extreme, kind)
    compare(network, input_for(seed, network, STEPS, 2), dial_for(seed, network, STEPS, 2))


@pytest.mark.usefixtures("_rows_everywhere")
@settings(max_examples=30)
@given(seeds, st.booleans(), st.booleans(), kinds)
def test_any_convolution_by_rows(seed: int, integer: bool, extreme: bool, kind: str) -> None:
    network = convolutional(seed, integer, extreme, kind)
    assert ways(network) <= {None}
    compare(network, input_for(seed, network, STEPS, 2), dial_for(seed, network, STEPS, 2))


@pytest.mark.usefixtures("_windows_wherever_possible")
@settings(max_examples=60)
@given(seeds, st.booleans())
def test_any_geometry_by_windows(seed: int, integer: bool) -> None:
    network = geometries(seed, integer)
    compare(network, input_for(seed, network, 4, 2), dial_for(seed, network, 4, 2))


@pytest.mark.usefixtures("_windows_wherever_possible")
def test_every_way_to_add_up_windows_is_taken() -> None:
    made = [maker(seed, True) for seed in range(12) for maker in (convolutional, geometries)]
    found = [ways(network) for network in made]
    assert set.union(*found) == {LISTED, LOOKED_UP, None}
    assert {LISTED, LOOKED_UP} in found


def one(shape: tuple[int, ...], outputs: int, **geometry: object) -> Network:
    """A convolution of 5 by 5 in integers."""
    conv = Conv("in", "out", np.full((outputs, shape[0], 5, 5), 3), shape, **geometry)
    return Network((Population("in", shape), Population("out", conv.output_shape, FixedLif(900, 400))), (conv,))


def test_windows_are_added_up_from_the_spikes_on_that_make_them_cheaper() -> None:
    """3 x 20 x 20 inputs, 40 outputs in 16 bits, which take 3 times 32 bytes: one of 2^5 sums of weights for each of 15
    lines in 16 x 16 windows; and by rows, for each spike, 5 * 16 / 20 lines of 4 times 96 bytes."""
    network = one((3, 20, 20), 40)
    looked_up = (0.4 + 0.005 * 96) * 15 * 256
    by_rows = 4 * (8 + 0.02 * 96 * 4)
    (conn,) = plan_of(network).tables.conns
    assert conn[LEAST] == int(np.ceil(looked_up / by_rows))
    for spikes in (conn[LEAST] - 1, conn[LEAST]):
        values = np.zeros((2, 1, 1200), np.uint8)
        values[:, :, :spikes] = 1
        compare(network, values.reshape(2, 1, 3, 20, 20), thresholds_for(network, 1.0, 2, 1))


@pytest.mark.parametrize(
    ("shape", "geometry", "expected"),
    [
        ((3, 20, 20), {}, {LOOKED_UP}),
        ((3, 20, 20), {"dilation": (2, 2)}, {None}),  # taps are not neighbours
        ((3, 20, 20), {"dilation": (2, 1)}, {LOOKED_UP}),
        ((300, 8, 8), {}, {None}),  # too many sums of weights to make beforehand
        ((3, 20, 80), {"stride": (1, 8)}, {LOOKED_UP}),
        ((3, 20, 80), {"stride": (1, 9)}, {None}),  # 8 windows are further apart than the bits of a word
        ((3, 20, 20), {"padding": (0, 64)}, {LOOKED_UP}),
        ((3, 20, 20), {"padding": (0, 65)}, {None}),
        ((4, 20, 20), {"groups": 2}, {None}),
    ],
)
def test_what_can_be_looked_up(shape: tuple[int, ...], geometry: dict[str, object], expected: set[int | None]) -> None:
    outputs = 40
    groups = geometry.get("groups", 1)
    assert isinstance(groups, int)
    weight = np.random.default_rng(0).integers(-9, 10, (outputs, shape[0] // groups, 5, 5))
    conv = Conv("in", "out", weight, shape, **geometry)
    network = Network((Population("in", shape), Population("out", conv.output_shape, FixedLif(90, 400))), (conv,))
    assert ways(network) == expected
    compare(network, input_for(2, network, 2, 1), thresholds_for(network, 1.0, 2, 1))


def tiled(seed: int, integer: bool, kind: str) -> Network:
    """Populations around one and two tiles, some with the same parameters everywhere."""
    make = Maker(seed, integer)
    sizes = [int(n) for n in make.rng.choice([TILE - 1, TILE, TILE + 1, 2 * TILE, 2 * TILE + 70], 3)]
    names = ["input", "a", "b"]
    populations = [make.input("input", (sizes[0],), kind)]
    populations += [Population(name, (n,), make.neuron((n,))) for name, n in zip(names[1:], sizes[1:], strict=True)]
    connections = []
    for i, (source, target) in enumerate([("input", "a"), ("a", "b"), ("b", "a"), ("input", "b")]):
        n, m = (sizes[names.index(name)] for name in (source, target))
        rows, columns = make.rng.integers(0, m, 4 * m), make.rng.integers(0, n, 4 * m)
        pairs = np.unique(np.stack([rows, columns]), axis=1)
        if i < 2 or make.rng.random() < 0.5:
            connections.append(make.some(source, target, pairs, (m, n), delay=int(i == 2)))
    return Network(tuple(populations), tuple(connections))


@settings(max_examples=40)
@given(seeds, st.booleans(), kinds)
def test_populations_of_several_tiles(seed: int, integer: bool, kind: str) -> None:
    network = tiled(seed, integer, kind)
    spikes = input_for(seed, network, 4, 2)
    dials = [dial_for(seed + k, network, 4, 2) for k in range(2)]
    for found, dial in zip(run_dials(network, spikes, dials, "membranes"), dials, strict=True):
        assert_same(found, run_reference(network, spikes, dial, "membranes"))


def test_some_tiles_have_the_same_parameters_everywhere_and_some_have_not() -> None:
    found = [plan_of(tiled(seed, True, "spikes")).tables.pops[1:, UNIFORM] for seed in range(8)]
    assert set(np.concatenate(found)) == {0, 1}
