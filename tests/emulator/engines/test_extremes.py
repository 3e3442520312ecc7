"""Floats out of all proportion: what would overflow is refused before it runs, the rest is the same on every engine.

Warnings are errors here, so no engine comes across an infinity that it was not given.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen._base.arrays import LARGEST
from aspen.errors import InputError, NetworkError
from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen.network.neurons import RESETS
from aspen_emulator import run, session
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lif import LifState, lif_step
from tests.emulator.engines.test_fast import compare
from tests.networks import fixed_network, resets, seeds


def extreme_network(seed: int, reset: str, current: bool) -> Network:
    """Weights, biases and thresholds anywhere within float32, the largest among them."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        powers = 2.0 ** rng.integers(-140, 128, shape)  # sums of few powers are the same in any order
        return rng.choice([-1.0, 1.0], shape) * np.where(rng.random(shape) < 0.2, 2.0**127, powers)

    def neuron(n: int) -> Lif:
        decays = np.array([0, 0.5, 1])
        return Lif(np.abs(drawn(n)), rng.choice(decays, n), rng.choice(decays, n), drawn(n), reset)

    populations = (
        Population("in", (2,), current=current), Population("a", (5,), neuron(5)), Population("out", (3,), neuron(3)),
    )  # fmt: skip
    return Network(populations, (Dense("in", "a", drawn(5, 2)), Dense("a", "out", np.diag(drawn(5))[:3] + 0.0)))


@settings(max_examples=60)
@given(seeds, resets, st.booleans(), st.sampled_from([-800, -100, 0, 0, 100, 800]))
def test_networks_at_the_edge_of_float32(seed: int, reset: str, current: bool, power: int) -> None:
    network = extreme_network(seed, reset, current)
    rng = np.random.default_rng(seed)
    values = rng.choice([-LARGEST, 0.0, 1.0, LARGEST], (9, 3, 2)) if current else rng.integers(0, 2, (9, 3, 2))
    scale = {"a": 2.0**power, "out": 0.5}
    if power > 0 and network["a"].neuron.threshold.max() * 2.0**power > LARGEST:
        with pytest.raises(InputError, match="its thresholds allow"):
            thresholds_for(network, scale, 9, 3)
        return
    compare(network, values if current else values.astype(np.uint8), thresholds_for(network, scale, 9, 3))


def one(threshold: float = 1.0, weight: float = 1.0, **options: object) -> Network:
    populations = (
        Population("in", (1,)),
        Population("a", (1,), Lif(threshold, 0.5, **options)),
        Population("out", (1,), Lif(1.0, 0.0)),
    )
    return Network(populations, (Dense("in", "a", [[weight]]), Dense("a", "out", [[1.0]])))


@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("scale", [1e300, 1e29, 1e-319, 1e-322])
def test_thresholds_that_leave_float32_under_a_scale_are_refused(engine: str, reset: str, scale: float) -> None:
    network = one(1e10, reset=reset)
    message = r"threshold_scale of a: found .*, its thresholds allow .* to 3.4e\+28, so that they stay .* give a scale"
    with pytest.raises(InputError, match=message):
        run(network, np.ones((3, 1, 1), np.uint8), scale, engine=engine)
    with session(network, engine=engine) as live, pytest.raises(InputError, match=message):
        live.threshold_scale = scale
    with pytest.raises(InputError, match=message):
        run(network, np.ones((3, 1, 1), np.uint8), {"a": np.array([1.0, scale, 1.0])}, engine=engine)


def test_scales_at_the_edge_of_what_is_allowed() -> None:
    network, spikes = one(1e10), np.ones((3, 1, 1), np.uint8)
    for scale, fires in ((3.4e28, 0), (1e-300, 3)):
        for engine in ("reference", "fast"):
            assert run(network, spikes, scale, engine=engine).output.sum() == 0
            assert run(network, spikes, scale, engine=engine).spikes["a"].sum() == fires


@pytest.mark.parametrize("scale", [1e300, 1e308, 1e-300])
def test_integers_refuse_scales_out_of_all_proportion(scale: float) -> None:
    with pytest.raises(InputError, match="17-bit thresholds allow about"):
        run(fixed_network(1), np.ones((2, 1, 6), np.uint8), scale)


@pytest.mark.parametrize("some", [False, True])
def test_a_threshold_that_is_infinite_by_design_stays_so_under_any_scale(some: bool) -> None:
    threshold = [np.inf, 1.0] if some else np.inf
    populations = (Population("in", (1,)), Population("out", (2,), Lif(threshold, 0.5, reset="none")))
    network = Network(populations, (Dense("in", "out", [[3.0], [3.0]]),))
    for scale in (0.5, 2.0) if some else (0.5, 1e300, 1e-300):
        compare(network, np.ones((4, 1, 1), np.uint8), thresholds_for(network, {"out": scale}, 4, 1))
    assert run(network, np.ones((4, 1, 1), np.uint8)).output.sum(axis=(0, 1)).tolist() == [0, 4 * some]
    if some:
        with pytest.raises(InputError, match="its thresholds allow"):
            run(network, np.ones((4, 1, 1), np.uint8), {"out": 1e300})


@pytest.mark.parametrize("reset", RESETS)
def test_a_step_under_an_infinite_threshold_leaves_no_nan(reset: str) -> None:
    """A product of "no spike" and the threshold would."""
    neuron = Lif(1.0, 0.5, reset=reset)
    state = LifState.zeros(1, 1, neuron)
    for _ in range(3):
        spike, membrane = lif_step(state, np.array([[5.0]]), np.array([np.inf]), neuron)
        assert not spike.any()
        assert np.isfinite([membrane, state.u, state.v, state.owed]).all()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: one(weight=1e308), "in->a.weight"),
        (lambda: one(weight=-4e38), "in->a.weight"),
        (lambda: one(threshold=1e300), "threshold"),
        (lambda: Lif([np.inf, 1e39], 0.5, reset="none"), "threshold"),
        (lambda: one(bias=-1e39), "bias"),
        (lambda: Dense("in", "a", [[1.0]], bias=[1e40]), "in->a.bias"),
    ],
)
def test_magnitudes_beyond_float32_are_refused(make: object, what: str) -> None:
    with pytest.raises(
        NetworkError, match=rf"^{what}: found magnitudes up to .* allowed are those of float32, up to 3.4"
    ):
        make()  # type: ignore[operator]


def test_float32_itself_is_allowed() -> None:
    largest = np.finfo(np.float32).max
    for value in (largest, float(largest), np.array([largest, -largest])):
        assert Lif(1.0, 0.5, bias=value).bias.dtype == np.asarray(value).dtype


@pytest.mark.parametrize("neuron", [None, Lif(1.0, 0.5)])
def test_values_beyond_float32_are_refused(neuron: Lif | None) -> None:
    populations = (Population("in", (2,), neuron, current=True), Population("out", (1,), Lif(1.0, 0.5)))
    network = Network(populations, (Dense("in", "out", np.ones((1, 2))),))
    for value in (1e39, -1e300):
        with pytest.raises(InputError, match=r"current: found values up to 1e\+.*float32, up to 3.40282347e\+38"):
            run(network, np.full((2, 1, 2), value))


@pytest.mark.parametrize("value", [2**64 - 1, 2**63, 4097])
def test_integers_that_would_wrap_around_are_refused(value: int) -> None:
    neuron = FixedLif(5, 0)
    populations = (Population("in", (2,), neuron, current=True), Population("out", (1,), neuron))
    network = Network(populations, (Dense("in", "out", [[1, 1]]),))
    with pytest.raises(
        InputError, match=r"found values up to .*, allowed are 13-bit bias mantissas, up to 4096; scale"
    ):
        run(network, np.full((2, 1, 2), value, np.uint64))
