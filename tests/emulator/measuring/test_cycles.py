"""Cycles of a network's program on a Cortex-M: the report, what it adds up, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.dial import DialProfile, save_profile
from aspen.errors import InputError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_emulator import CycleReport, cycles
from aspen_emulator.measuring.cycles import setting_of
from aspen_hardware import compile
from aspen_hardware.c.dial import UNIT
from aspen_hardware.c.program import Program
from aspen_hardware.chips.ranges import Range
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.emulator.engines.fast_networks import input_for, network_for
from tests.networks import fixed_network, float_network, random_spikes

__all__ = ["aspen"]

NETWORK = fixed_network(15)
SPIKES = random_spikes(15, 9, 2, 6)
PROFILE = DialProfile({"layer1": 1.0, "layer2": 0.5}, low=-0.25, high=1.5)


def whole(report: CycleReport, call: str) -> Range:
    return report.calls[call].cycles


@needs_emulator
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus", "cortex-m33"])
def test_steps_functions_and_calls_add_up_to_the_same(core: str) -> None:
    report = cycles(NETWORK, SPIKES, core=core)
    assert (report.core, report.samples, report.steps) == (core, 2, 9)
    assert report.cycles.shape == (2, 9, 3)
    both = whole(report, "reset") + whole(report, "step")
    of_functions = [count.cycles for count in report.functions.values()]
    for end in ("low", "typical", "high"):
        assert sum(getattr(each, end) for each in of_functions) == getattr(both, end)
        assert getattr(report.per_inference, end) == getattr(both, end) / 2
    np.testing.assert_array_equal(
        report.cycles.sum(axis=(0, 1)),
        [whole(report, "step").low, whole(report, "step").typical, whole(report, "step").high],
    )
    assert report.worst_step.typical == report.cycles[..., 1].max()
    assert report.per_step.typical == pytest.approx(report.cycles[..., 1].mean())
    assert sum(report.instructions.values()) == (report.calls["reset"].total + report.calls["step"].total) / 2
    assert 0 < report.stack < 300
    assert report.ram <= Program(NETWORK).ram
    assert report.flash == report.code + report.constants > Program(NETWORK).flash


@needs_emulator
@pytest.mark.parametrize(("core", "adds_two"), [("cortex-m4", True), ("cortex-m0plus", False), ("cortex-m33", True)])
def test_cores_with_the_extension_for_signal_processing_use_it(core: str, adds_two: bool) -> None:
    weight = np.random.default_rng(0).normal(size=(16, 6))
    populations = Population("input", (6,)), Population("out", (16,), Lif(1.0, 0.9))
    network = Network(populations, (Dense("input", "out", weight),))
    functions = cycles(compile(network, "cortex-m"), SPIKES, core=core, samples=1).functions
    assert ("add_row_4" in functions) == adds_two


@needs_emulator
def test_a_silent_input_takes_less_and_so_does_a_knob_that_is_turned_up() -> None:
    fed, silent = (cycles(NETWORK, given).per_inference.typical for given in (SPIKES, SPIKES * 0))
    sparse = cycles(NETWORK, SPIKES, 2.0).per_inference.typical
    assert silent < sparse < fed


@needs_emulator
def test_the_first_samples_alone_are_counted_on_request_and_each_begins_anew() -> None:
    both, first = cycles(NETWORK, SPIKES), cycles(NETWORK, SPIKES, samples=1)
    np.testing.assert_array_equal(first.cycles, both.cycles[:1])
    swapped = cycles(NETWORK, SPIKES[:, ::-1])
    np.testing.assert_array_equal(swapped.cycles, both.cycles[::-1])


@needs_emulator
def test_a_dials_program_is_counted_with_its_own_knob() -> None:
    report = cycles(NETWORK, SPIKES, profile=PROFILE, knob=1.5)
    assert report.setting == 65535
    assert report.calls["set_knob"].cycles.typical > cycles(NETWORK, SPIKES).calls["set_knob"].cycles.typical
    assert any("dial" in name for name in report.functions) is False  # turned before the first inference


@needs_emulator
def test_values_and_currents_are_given_as_they_are() -> None:
    network = network_for(4, True, True, "values")
    report = cycles(network, input_for(4, network, 5, 1))
    assert report.cycles.shape == (1, 5, 3)


@needs_emulator
def test_it_is_smaller_or_faster_as_the_compiler_is_told() -> None:
    small, fast = (cycles(NETWORK, SPIKES, samples=1, optimisation=level) for level in ("-Os", "-O2"))
    assert small.code < fast.code
    assert small.per_inference.typical > fast.per_inference.typical
    assert (small.optimisation, fast.optimisation) == ("-Os", "-O2")


@needs_emulator
def test_the_report_is_shown_as_tables_and_kept_as_plain_numbers() -> None:
    report = cycles(NETWORK, SPIKES)
    text = str(report)
    assert text.startswith("Cycles on cortex-m4: 2 inferences of 9 steps, compiled with -O2\n")
    for told in (
        "step, most",
        "turning the knob",
        "update_layer1",
        "branch taken",
        "not covered: wait states",
        "DDI 0439",
    ):
        assert told in text
    assert "<table>" in report._repr_html_()
    kept = json.loads(json.dumps(report.to_dict()))
    assert kept["cycles_per_inference"]["typical"] == report.per_inference.typical
    assert kept["functions"].keys() == report.functions.keys()
    assert kept["ram_bytes"] == report.ram
    assert len(repr(report)) < 500


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: cycles(NETWORK, SPIKES, core="m4"),
            r"core: found 'm4', allowed are cortex-m4, cortex-m0plus, cortex-m33",
        ),
        (lambda: cycles(NETWORK, SPIKES, optimisation="-O3"), r"optimisation: found '-O3', allowed are -O2, -Os"),
        (lambda: cycles(NETWORK, SPIKES * 2), r"allowed are 0 and 1"),
        (lambda: cycles(NETWORK, SPIKES, knob=0.5), r"knob: found one without a profile"),
        (lambda: cycles(NETWORK, SPIKES, 0.001), r"threshold_scale: found 0.001, allowed in C is from 0.005615 to "),
        (lambda: cycles(NETWORK, SPIKES, 1.5, profile=PROFILE), r"threshold_scale: found one beside a profile"),
        (
            lambda: cycles(NETWORK, SPIKES, profile=PROFILE, knob=2),
            r"knob: found 2, allowed is a number from -0.25 to 1.5",
        ),
        (
            lambda: cycles(NETWORK, SPIKES, profile=PROFILE, knob="1"),
            r"knob: found '1', allowed is a number from -0.25",
        ),  # type: ignore[arg-type]
        (lambda: cycles(NETWORK, SPIKES, profile=PROFILE, knob=True), r"knob: found True, allowed is a number"),
        (lambda: cycles(NETWORK, SPIKES, "1"), r"threshold_scale: found '1', allowed is a finite number"),  # type: ignore[arg-type]
        (lambda: cycles(float_network(1), SPIKES), r"found a network in floating point"),
        (lambda: cycles(7, SPIKES), r"network: found int"),  # type: ignore[arg-type]
        (lambda: cycles(NETWORK, SPIKES, samples=0), r"samples: found 0, allowed is an integer from 1"),
    ],
)
def test_what_is_not_allowed_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_a_knob_goes_to_the_nearest_setting() -> None:
    assert setting_of(Program(NETWORK), 1.5, None) == 1.5 * UNIT
    assert setting_of(Program(NETWORK), 1 + 0.7 / UNIT, None) == UNIT + 1
    dialled = Program(NETWORK, PROFILE)
    assert [setting_of(dialled, 1.0, knob) for knob in (None, -0.25, 1.5, 0.625)] == [0, 0, 65535, 32768]


@pytest.fixture
def run_command(aspen: Aspen, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """``aspen run`` on six samples for a small network with a learned dial, with further options."""
    network = tmp_path / "net.aspen"
    float_network(1, bias=False).save(network)
    save_profile(DialProfile({"layer1": 0.7}), network)
    np.save(tmp_path / "x.npy", random_spikes(0, 12, 6, 6))
    given = ("--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy", "--chip", "cortex-m")
    return lambda *options: aspen("run", network, *given, *options)


@needs_emulator
def test_run_says_what_the_first_samples_take(run_command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = run_command("--engine", "cortex-m", "--threshold-scale", "1.5")
    assert (code, err) == (0, "")
    assert "cycles on cortex-m4: " in out
    assert "a step; of the first 4 of 6 samples\nflash " in out


@needs_emulator
def test_run_counts_a_learned_dial_at_its_knob(run_command: Callable[..., tuple[int, str, str]]) -> None:
    found = json.loads(run_command("--engine", "cortex-m0plus", "--dial", "--knob", "1", "--json")[1])
    assert (found["cycles"]["core"], found["cycles"]["setting"]) == ("cortex-m0plus", 65535)
    assert (found["cycles"]["samples"], found["samples"]) == (4, 6)


@pytest.mark.parametrize("options", [("--engine", "fast"), ("--engine", "cortex-m", "--threshold-scale", "layer2=2")])
def test_what_has_no_program_of_its_own_is_run_without_cycles(
    run_command: Callable[..., tuple[int, str, str]], options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aspen_emulator.engines.run import ENGINES

    monkeypatch.setitem(ENGINES, "cortex-m", ENGINES["fast"])
    found = json.loads(run_command(*options, "--json")[1])
    assert "cycles" not in found
