"""What runs on Loihi: the graph of stock processes, on Lava's bit-accurate CPU models, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from importlib import invalidate_caches
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import EngineError, InputError, MissingDependencyError
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population
from aspen_emulator import run, session
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava import loihi
from aspen_emulator.engines.lava.loihi import check_stock, loihi_available, require_loihi, run_loihi
from aspen_emulator.engines.lava.shim import lava_available
from aspen_hardware import compile
from tests.networks import Array, float_network, random_spikes

on_lava = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]
SECONDS = 90.0


def population(
    name: str, shape: tuple[int, ...], rng: np.random.Generator, bias: bool = True, **more: object
) -> Population:
    options = {
        "threshold": int(rng.integers(100, 400)),
        "voltage_decay": int(rng.integers(100, 2000)),
        "current_decay": int(rng.choice([4095, 1500])),
        "bias_mantissa": rng.integers(-400, 900, shape) if bias else 0,
        "bias_exponent": int(rng.integers(0, 3)) if bias else 0,
        **more,
    }
    return Population(name, shape, FixedLif(**options))


def even(rng: np.random.Generator, *shape: int) -> Array:
    return 2 * rng.integers(-60, 100, shape)


def deep(seed: int, bias: bool) -> Network:
    rng = np.random.default_rng(seed)
    sizes = {"input": 6, "a": 9, "b": 7, "c": 5}
    populations = [Population("input", (6,)), *(population(name, (sizes[name],), rng, bias) for name in "abc")]
    names = list(sizes)
    connections = [
        Dense(before, after, even(rng, sizes[after], sizes[before]), exponent=int(rng.integers(-1, 2)))
        for before, after in pairwise(names)
    ]
    return Network(tuple(populations), tuple(connections))


def looped(seed: int) -> Network:
    network = deep(seed, bias=False)
    rng = np.random.default_rng(seed)
    back = (Dense("b", "b", even(rng, 7, 7), delay=1), Dense("c", "b", even(rng, 7, 5), delay=2))
    return replace(network, connections=(*network.connections, *back))


def convolution(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    conv = Conv("input", "a", even(rng, 2, 1, 3, 3), (1, 6, 6), padding=(1, 1), stride=(2, 2))
    populations = (Population("input", (1, 6, 6)), population("a", (2, 3, 3), rng), population("b", (4,), rng))
    return Network(populations, (conv, Dense("a", "b", even(rng, 4, 18))))


def simulated(network: Network, spikes: Array, scale: float = 1.0) -> None:
    """The stock graph gives the spikes of the reference in every population."""
    thresholds = thresholds_for(network, scale, *spikes.shape[:2])
    record = run_loihi(network, spikes, thresholds, "spikes", simulate=True, timeout=SECONDS)
    expected = run(network, spikes, scale, engine="reference", record="spikes")
    for name in network.order:
        assert 0 < expected.rasters[name].mean() < 1, name
        np.testing.assert_array_equal(record.rasters[name], expected.rasters[name], name)
    assert record.summary() == {**expected.summary(), "engine": "loihi, simulated"}


class TestOnStockProcesses:
    pytestmark = on_lava

    @pytest.mark.parametrize("seed", range(4))
    def test_biases_and_states_of_the_sample_before_leave_no_trace(self, seed: int) -> None:
        simulated(deep(seed, bias=True), random_spikes(seed, 20, 4, 6), scale=1.0 + 0.3 * seed)

    @pytest.mark.parametrize("seed", range(2))
    def test_loops(self, seed: int) -> None:
        simulated(looped(seed), random_spikes(seed, 20, 3, 6))

    def test_convolutions(self) -> None:
        simulated(convolution(1), random_spikes(1, 15, 3, 36).reshape(15, 3, 1, 6, 6))

    def test_a_compiled_network_with_grouped_thresholds(self) -> None:
        trained = float_network(1, bias=False)
        populations = tuple(
            replace(p, neuron=replace(p.neuron, threshold=0.6)) if p.name == "layer2" else p
            for p in trained.populations
        )
        deployment = compile(replace(trained, populations=populations), "loihi1", threshold_groups=1)
        simulated(deployment.network, random_spikes(3, 20, 3, 6))

    def test_the_way_to_the_chip_with_a_stand_in_for_intels_extension(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Adapters and ``Loihi2HwCfg`` included; see ``standins``. What is not tested here is the chip."""
        monkeypatch.syspath_prepend(str(Path(__file__).parent / "standins"))
        monkeypatch.setattr(loihi, "loihi_available", lambda: True)
        for network, spikes in (
            (deep(2, bias=True), random_spikes(2, 20, 3, 6)),
            (looped(1), random_spikes(1, 9, 2, 6)),
        ):
            thresholds = thresholds_for(network, 1.3, *spikes.shape[:2])
            record = run_loihi(network, spikes, thresholds, "spikes", timeout=SECONDS)
            expected = run(network, spikes, 1.3, engine="reference", record="spikes")
            assert record.engine == "loihi"
            for name in network.order:
                np.testing.assert_array_equal(record.rasters[name], expected.rasters[name], name)

    def test_a_run_that_takes_too_long_is_ended(self) -> None:
        network, spikes = deep(0, bias=False), random_spikes(0, 2000, 2, 6)
        with pytest.raises(EngineError, match=r"run_stock took longer than the time-out of 0\.5 s"):
            run_loihi(network, spikes, thresholds_for(network, 1.0, 2000, 2), simulate=True, timeout=0.5)


def changed(network: Network, name: str, **values: object) -> Network:
    populations = tuple(
        replace(p, neuron=replace(p.neuron, **values)) if p.name == name else p for p in network.populations
    )
    return replace(network, populations=populations)


def skipping() -> Network:
    network = deep(0, bias=False)
    return replace(
        network, connections=(*network.connections, Dense("input", "c", even(np.random.default_rng(0), 5, 6)))
    )


def delayed(steps: int) -> Network:
    network = deep(0, bias=False)
    first, *others = network.connections
    return replace(network, connections=(replace(first, delay=steps), *others))


def with_current() -> Network:
    rng = np.random.default_rng(0)
    fed = replace(population("input", (6,), rng, bias=False), current=True)
    return Network((fed, population("a", (3,), rng)), (Dense("input", "a", even(rng, 3, 6)),))


def too_large() -> Network:
    network = deep(0, bias=False)
    return replace(network, connections=(*network.connections[:2], Dense("b", "c", np.full((5, 7), 300))))


def overflowing(exponent: int) -> Network:
    """1100 inputs whose weights add up to 2^31 in units of the membrane, with exponent 7."""
    populations = (Population("input", (1100,)), Population("out", (1,), FixedLif(1000, 100)))
    return Network(populations, (Dense("input", "out", np.full((1, 1100), 255), exponent=exponent),))


PLAIN = deep(0, bias=False)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (float_network(0), "network: found floating point"),
        (with_current(), "input: found a direct current as input"),
        (skipping(), "input->c: found 3 steps from input to c"),
        (delayed(3), "input->a: found 3 steps|input->a: found 4 steps"),
        (changed(PLAIN, "b", reset="subtract"), "b: found reset 'subtract'"),
        (changed(PLAIN, "b", current_decay=np.arange(7)), "b: found a current_decay for each neuron"),
        (changed(PLAIN, "c", voltage_decay=np.arange(5)), "c: found a voltage_decay for each neuron"),
        (changed(PLAIN, "a", threshold=np.arange(1, 10)), "a: found 9 thresholds"),
        (changed(looped(0), "a", bias_mantissa=3), "a: found a bias in a network with delays"),
        (replace(PLAIN, readout="membrane"), "c: found membranes to be read"),
        (too_large(), "b->c: found weights from 0 to 300"),
        (overflowing(7), r"out: found currents of up to 2.3e\+09, allowed .* is 32 bits, up to 1.07e\+09; use smaller"),
    ],
)  # fmt: skip
def test_what_stock_processes_cannot_hold_is_refused_with_a_remedy(network: Network, message: str) -> None:
    with pytest.raises(EngineError, match=message) as caught:
        check_stock(network, thresholds_for(network, 1.0, 3, 2))
    assert "engine='lava'" in str(caught.value) or "engine='fast'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_currents_just_within_32_bits_are_taken() -> None:
    """What Lava's stock neurons do beyond: see ``test_lava_stock``."""
    check_stock(overflowing(5), thresholds_for(overflowing(5), 1.0, 3, 2))


def test_thresholds_hold_for_the_whole_run() -> None:
    moving = thresholds_for(PLAIN, [1.0, 1.5, 1.0], 3, 2)
    with pytest.raises(EngineError, match="a: found thresholds that change"):
        check_stock(PLAIN, moving)
    mantissas = check_stock(PLAIN, thresholds_for(PLAIN, 2.0, 3, 2))
    assert mantissas["a"] == 2 * int(PLAIN["a"].neuron.threshold)
    assert mantissas["c"] == int(PLAIN["c"].neuron.threshold)  # the output is not dialled
    with pytest.raises(InputError, match="thresholds: found"):
        check_stock(PLAIN, {})


def test_membranes_are_not_read_from_the_chip() -> None:
    with pytest.raises(EngineError, match="a: found membranes to be read"):
        check_stock(PLAIN, thresholds_for(PLAIN, 1.0, 3, 2), "membranes")


def test_without_the_extension_the_engine_says_what_is_missing() -> None:
    if loihi_available():
        pytest.skip("Intel's extension is installed")
    with pytest.raises(MissingDependencyError, match="not installed") as caught:
        run(PLAIN, random_spikes(0, 3, 2, 6), engine="loihi")
    if lava_available():
        for part in ("lava.utils.loihi2_profiler", "INRC", "hardware/README.md", "engine='lava'", "engine='fast'"):
            assert part in str(caught.value)


def test_the_extension_is_found_by_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in of two empty modules: no more than looking for them is done here."""
    root = tmp_path / "lava"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(loihi, "require_lava", lambda: None)
    monkeypatch.setattr(loihi, "find_spec", lambda name: _Spec([str(root)]))
    for module in ("utils/loihi2_profiler.py", "proc/embedded_io/spike.py"):
        invalidate_caches()
        assert not loihi_available()
        with pytest.raises(MissingDependencyError, match="Intel's extension"):
            require_loihi()
        (root / module).parent.mkdir(parents=True)
        (root / module).touch()
    invalidate_caches()
    assert loihi_available()
    require_loihi()


class _Spec:
    def __init__(self, folders: list[str]) -> None:
        self.submodule_search_locations = folders


def test_floating_point_is_refused_before_anything_is_looked_for() -> None:
    populations = (Population("input", (2,)), Population("out", (1,), Lif(1.0, 0.9)))
    network = Network(populations, (Dense("input", "out", np.ones((1, 2))),))
    with pytest.raises(EngineError, match="found floating point, allowed on Loihi"):
        run(network, random_spikes(0, 3, 1, 2), engine="loihi")


def test_a_session_cannot_turn_the_thresholds_of_the_chip() -> None:
    with pytest.raises(InputError, match=r"allowed in a session are fast, .*, as the chip.s thresholds are fixed"):
        session(PLAIN, engine="loihi")
