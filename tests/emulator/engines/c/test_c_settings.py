"""The engine ``c`` turns the program's own knob, a dial too, in runs, sessions and sweeps; and says where it rounds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from aspen.dial import DialProfile
from aspen.errors import RoundedSettingWarning
from aspen.network import Dense, FixedLif, Network, Population
from aspen_emulator import run, session
from aspen_emulator.engines.c.engine import program_of
from aspen_emulator.engines.c.process import Process
from aspen_emulator.engines.c.settings import setting_for
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.measuring.bench import Bench
from aspen_hardware.c.dial import SETTINGS, UNIT, knob_at, knobs_of
from tests.emulator.engines.c.programs import needs_compiler
from tests.emulator.engines.test_fast import assert_same
from tests.networks import fixed_network, random_spikes

PROFILE = DialProfile(
    {"layer1": np.array([0.3, 1.2, 1.2, 0.3, 0, 1.9, 1.2, -0.3])},
    {"layer1": np.array([0.1, 0, 0, 0.1, 0.2, 0, 0, 0.1])},
    low=-0.25,
)
NETWORK = fixed_network(15)
SPIKES = random_spikes(15, 9, 2, 6)


def fine(thresholds: list[int]) -> tuple[Network, DialProfile]:
    """Thresholds so high that a setting moves them by several units."""
    populations = Population("in", (1,)), Population("hidden", (len(thresholds),), FixedLif(thresholds, 410))
    output = Population("out", (1,), FixedLif(100, 410))
    weights = np.full((len(thresholds), 1), 200), np.full((1, len(thresholds)), 50)
    connections = Dense("in", "hidden", weights[0]), Dense("hidden", "out", weights[1])
    return Network((*populations, output), connections), DialProfile({"hidden": 3.0})


def found(network: Network, profile: DialProfile | None, scale: object) -> int | None:
    program = program_of(network, profile)
    thresholds = thresholds_for(network, scale, 1, 1)  # type: ignore[arg-type]
    flat = [np.broadcast_to(thresholds[p.population.name].reshape(-1), p.population.size) for p in program.populations]
    return setting_for(program, np.concatenate(flat))


@pytest.mark.parametrize("setting", [0, 1, 777, 32768, 65534, 65535])
def test_a_knob_that_is_a_setting_is_set_by_the_dial(setting: int) -> None:
    for network, profile in ((NETWORK, PROFILE), fine([3000, 5000, 6001])):
        made = found(network, profile, profile.scale(knob_at(profile, setting)))
        assert made is not None
        for name, scaled in thresholds_for(network, profile.scale(knob_at(profile, made)), 1, 1).items():
            wanted = thresholds_for(network, profile.scale(knob_at(profile, setting)), 1, 1)[name]
            np.testing.assert_array_equal(scaled, wanted)
    assert abs(made - setting) < 8  # these thresholds are high: few settings have the same


def test_a_knob_between_two_settings_is_told_with_both() -> None:
    network, profile = fine([3000, 5000, 6001])
    knob = (knob_at(profile, 60000) + knob_at(profile, 60001)) / 2
    with pytest.warns(RoundedSettingWarning, match=r"knob: found .* has 0\.9155413 \(setting 60000\), 0\.9155566 \(s"):
        assert found(network, profile, profile.scale(knob)) is None


def test_thresholds_of_no_knob_and_of_no_dial_are_no_setting() -> None:
    assert found(NETWORK, PROFILE, {"layer2": 1.5}) is None
    assert found(NETWORK, PROFILE, {**PROFILE.scale(0.5), "layer2": 1.5}) is None
    assert found(NETWORK, PROFILE, {"layer1": np.linspace(1, 2, 8).reshape(1, 1, 8)}) is None
    assert found(NETWORK, DialProfile({"layer1": 0.0}), 1.0) is not None


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Settings that programs were turned to; thresholds that were written are an error."""
    settings: list[int] = []
    turn = Process.turn

    def noted(self: Process, setting: int) -> None:
        settings.append(setting)
        turn(self, setting)

    monkeypatch.setattr(Process, "turn", noted)
    monkeypatch.setattr(Process, "set_thresholds", None)
    return settings


@needs_compiler
def test_runs_sessions_and_sweeps_turn_the_dial(turned: list[int]) -> None:
    wanted = [run(NETWORK, SPIKES, PROFILE.scale(knob), engine="reference") for knob in (0.0, 0.5)]
    assert_same(run(NETWORK, SPIKES, PROFILE.scale(0.5), engine="c"), wanted[1])
    assert len(turned) == 1
    with session(NETWORK, engine="c", profile=PROFILE, knob=0.0) as live:
        for step in SPIKES[:, :1]:
            live.step(step)
            live.knob = 0.5
    assert len(turned) == 3
    bench = Bench(NETWORK, [SPIKES], np.zeros(2, int), (None,), profile=PROFILE, engine="c")
    for record, reference in zip(bench.records((0.0, 0.5), 0), wanted, strict=True):
        assert_same(record, reference)
    assert len(turned) == 5
    assert turned[0] == turned[2] == turned[4]


@needs_compiler
def test_a_scale_for_each_step_is_turned_at_each_and_told_where_it_is_rounded(turned: list[int]) -> None:
    scales = np.repeat([UNIT, 6000, 5000], 3) / UNIT
    assert_same(run(NETWORK, SPIKES, scales, engine="c"), run(NETWORK, SPIKES, scales, engine="reference"))
    assert len(turned) == 6  # at three steps of each sample
    network, _ = fine([9999, 12345, 20011])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found(network, None, 1.5)
    with pytest.warns(RoundedSettingWarning, match="threshold_scale: found one between 1.5001"):
        assert found(network, None, 1.50013) is None


@pytest.mark.parametrize(("low", "high"), [(-0.25, 1.0), (-0.5923773941341347, 0.6180062186194657)])
def test_the_last_setting_is_the_dials_high_end_and_not_a_rounding_beyond(low: float, high: float) -> None:
    profile = DialProfile({"layer1": 0.5}, low=low, high=high)
    assert knob_at(profile, 0) == low
    assert profile.scale(knob_at(profile, SETTINGS - 1))
    assert knobs_of(profile)[-1] <= high
    np.testing.assert_array_equal(knobs_of(profile)[::97], [knob_at(profile, s) for s in range(0, SETTINGS, 97)])
