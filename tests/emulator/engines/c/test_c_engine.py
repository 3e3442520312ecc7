"""The engine ``c``: the definition's record, whatever the network and the knob, and whatever ends its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.errors import EngineError, InputError, MissingDependencyError, RoundedSettingWarning
from aspen.network import Conv, Dense, FixedLif, Network, Population
from aspen_emulator import run, session
from aspen_emulator.engines.c import compiler, engine, process
from aspen_emulator.engines.c.engine import Thresholds
from aspen_emulator.engines.c.process import Process
from aspen_hardware.c.dial import UNIT
from aspen_hardware.c.program import Program
from tests.c_networks import SANITIZED, check_knob, check_thresholds, drawn
from tests.emulator.engines.c.programs import in_c, needs_compiler
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.emulator.engines.test_fast import assert_same
from tests.networks import fixed_network, float_network, random_spikes

NETWORK = fixed_network(15)
SPIKES = random_spikes(15, 9, 2, 6)


@needs_compiler
@pytest.mark.parametrize("seed", [39, 68, 219, 263, 375])
def test_any_network_gives_the_record_of_the_definition(seed: int) -> None:
    """Seeds that, together, have every kind of connection, reset, read-out and input, and every width."""
    check_thresholds(drawn(seed), seed)
    check_knob(drawn(seed), seed)


@needs_emulator
@pytest.mark.parametrize(("core", "seed"), [("cortex-m4", 39), ("cortex-m0plus", 68), ("cortex-m33", 263)])
def test_any_network_gives_it_on_emulated_cores(core: str, seed: int) -> None:
    check_thresholds(drawn(seed), seed, engine=core)
    check_knob(drawn(seed), seed, engine=core)


@needs_compiler
@pytest.mark.parametrize("seed", [263])
def test_the_sanitizers_find_nothing(seed: int) -> None:
    check_knob(drawn(seed), seed, SANITIZED)


@in_c
@pytest.mark.parametrize("reset", ["zero", "subtract-synapse", "subtract-guarded"])
def test_states_at_the_edges_of_24_bits(reset: str, name: str) -> None:
    network = fixed_network(4, reset=reset, extreme=True)
    found, wanted = (run(network, SPIKES, engine=each, record="membranes") for each in (name, "reference"))
    assert_same(found, wanted)
    largest = max(int(np.abs(membranes).max()) for membranes in wanted.membranes.values())
    assert largest == 2**23 - 1


@in_c
@pytest.mark.parametrize("geometry", [{}, {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}, {"groups": 2}])
def test_a_kernel_reaches_no_further_than_the_edges(geometry: dict[str, Any], name: str) -> None:
    weight = 2 * np.random.default_rng(3).integers(-20, 60, (4, 2 // geometry.get("groups", 1), 3, 3))
    conv = Conv("in", "out", weight, (2, 7, 6), **geometry)
    populations = Population("in", (2, 7, 6)), Population("out", conv.output_shape, FixedLif(150, 410))
    network, given = Network(populations, (conv,)), random_spikes(3, 8, 2, 84, 0.2).reshape(8, 2, 2, 7, 6)
    found, wanted = (run(network, given, engine=each, record="membranes") for each in (name, "reference"))
    assert_same(found, wanted)


@in_c
def test_each_neuron_may_have_a_unit_of_its_own_for_the_current_that_it_is_given(name: str) -> None:
    neuron = FixedLif([900, 800, 700], 410, bias_exponent=[0, 3, 7])
    populations = Population("in", (3,), neuron, current=True), Population("out", (2,), FixedLif(40, 410))
    network = Network(populations, (Dense("in", "out", np.array([[90, 3, 2], [2, 90, 60]])),))
    given = np.random.default_rng(2).integers(-2000, 4096, (12, 2, 3))
    found, wanted = (run(network, given, engine=each, record="membranes") for each in (name, "reference"))
    assert_same(found, wanted)
    assert 0 < wanted.output.mean() < 1


@in_c
def test_a_session_turns_the_knob_and_begins_anew(name: str) -> None:
    with session(NETWORK, engine=name) as live, session(NETWORK, engine="reference") as wanted:
        for _ in range(2):
            for step, knob in zip(SPIKES[:, :1], np.arange(9) / 4 + 0.5, strict=True):
                live.threshold_scale = wanted.threshold_scale = float(knob)
                np.testing.assert_array_equal(live.step(step), wanted.step(step))
                np.testing.assert_array_equal(live.membranes, wanted.membranes)
                assert live.spikes == wanted.spikes
            live.reset()
            wanted.reset()


@needs_compiler
def test_a_session_is_of_one_sample() -> None:
    with pytest.raises(InputError, match="batch: found 2, allowed is 1 in a session in C"):
        session(NETWORK, engine="c", batch=2)


@needs_compiler
def test_runs_of_any_length_go_through_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "AT_ONCE", 200)
    assert_same(run(NETWORK, SPIKES, engine="c"), run(NETWORK, SPIKES, engine="reference"))


class Noted:
    """A process that notes how its thresholds are set."""

    def __init__(self, network: Network) -> None:
        self.program, self.calls = engine.program_of(network), list[Any]()

    def turn(self, setting: int) -> None:
        self.calls.append(setting)

    def set_thresholds(self, thresholds: np.ndarray) -> None:
        self.calls.append(thresholds.tolist())


def set_by(scale: Any) -> list[Any]:
    """What is asked of a process for a threshold scale."""
    from aspen_emulator.engines.inputs import thresholds_for

    noted = Noted(NETWORK)
    turning = Thresholds(noted)  # type: ignore[arg-type]
    for _ in range(2):  # what does not change is not set again
        turning.set({name: array[0, 0] for name, array in thresholds_for(NETWORK, scale, 1, 1).items()})
    return noted.calls


@pytest.mark.parametrize("setting", [1, 20, 2048, 4095, 4096, 4097, 6000, 65535])
def test_a_scale_that_is_a_setting_is_set_by_the_programs_own_knob(setting: int) -> None:
    if setting < 23:  # the smallest threshold, 90, would be 0
        with pytest.raises(InputError):
            set_by(setting / UNIT)
        return
    (found,) = set_by(setting / UNIT)
    assert found <= setting
    mine = NETWORK["layer1"].neuron.threshold.astype(np.int64)  # type: ignore[union-attr]
    np.testing.assert_array_equal(mine * found + 2048 >> 12, mine * setting + 2048 >> 12)


def test_a_scale_between_two_settings_is_run_as_it_is_and_the_user_is_told() -> None:
    fine = 1 + 0.5 / UNIT + 1e-9
    network = fixed_network(15)
    neuron = network["layer1"].neuron
    assert neuron is not None
    assert len(set_by(fine)) == 1
    scale = next(s for s in np.linspace(1.5, 1.6, 1000) if _between(s))
    with pytest.warns(RoundedSettingWarning, match=r"a program in C has \d+/4096 and \d+/4096; it is run as it is"):
        (found,) = set_by(float(scale))
    assert isinstance(found, list)


def _between(scale: float) -> bool:
    """Whether no setting gives the thresholds of a scale."""
    mine = NETWORK["layer1"].neuron.threshold.astype(np.int64)  # type: ignore[union-attr]
    wanted = np.floor(mine * scale + 0.5)
    near = [int(scale * UNIT) + i for i in range(-40, 41)]
    return not any(np.array_equal(mine * s + 2048 >> 12, wanted) for s in near)


@pytest.mark.parametrize("scale", [{"layer2": 1.5}, {"layer1": np.linspace(1, 2, 8).reshape(1, 1, 8)}])
def test_other_thresholds_are_written_into_the_program(scale: Any) -> None:
    (found,) = set_by(scale)
    assert len(found) == NETWORK.n_neurons


def test_a_network_in_floating_point_is_refused() -> None:
    with pytest.raises(InputError, match=r"engine c: found a network in floating point, .*compile it"):
        run(float_network(1), SPIKES, engine="c")


def test_without_a_compiler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not compiler.compiler_available()
    with pytest.raises(MissingDependencyError, match=r"found no C compiler, .*pip install ziglang"):
        run(NETWORK, SPIKES, engine="c")


def test_the_compiler_from_pip_serves_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if name == "ziglang" else None)
    assert compiler.find_compiler()[1:] == ["-m", "ziglang", "cc"]


@needs_compiler
def test_a_program_is_compiled_once_and_again_where_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "cache_folder", lambda: tmp_path / "programs")
    made = compiler.compiled({"a.c": "int main(void) { return 0; }"})
    changed = made.stat().st_mtime_ns
    assert compiler.compiled({"a.c": "int main(void) { return 0; }"}) == made
    assert list((tmp_path / "programs").iterdir()) == [made]
    made.write_bytes(made.read_bytes()[:-1])
    again = compiler.compiled({"a.c": "int main(void) { return 0; }"})
    assert again.stat().st_mtime_ns > changed
    assert os.spawnv(os.P_WAIT, str(again), ["a"]) == 0


@needs_compiler
def test_the_oldest_programs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(compiler, "KEPT", 2)
    made = [compiler.compiled({"a.c": f"int main(void) {{ return {i}; }}"}) for i in range(3)]
    assert sorted(tmp_path.iterdir()) == sorted(made[1:])


@needs_compiler
def test_what_the_compiler_says_is_handed_on() -> None:
    with pytest.raises(EngineError, match=r"the compiler .* refuses the program .*nothing"):
        compiler.compiled({"a.c": "int main(void) { return nothing; }"})


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import importlib

    fresh = importlib.util.module_from_spec(compiler.__spec__)  # type: ignore[arg-type]
    compiler.__spec__.loader.exec_module(fresh)  # type: ignore[union-attr]
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert fresh.cache_folder() == tmp_path / "aspen-c"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fresh.cache_folder() == tmp_path / "aspen-snn" / "c"


@needs_compiler
def test_a_program_that_crashes_leaves_python_alone() -> None:
    running = Process(Program(NETWORK))
    running.reset()
    os.kill(running._process.pid, signal.SIGSEGV)
    with pytest.raises(EngineError, match=r"engine c: the program ended \(code -11\)"):
        running.steps(SPIKES[:, 0])
    running.close()
    assert run(NETWORK, SPIKES, engine="c").engine == "c"
