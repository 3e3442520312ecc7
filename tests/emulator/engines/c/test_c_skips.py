"""A knob that leaves out time steps, in C: the steps that run, and when an inference may end, as everywhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from aspen.calibration.table import CalibrationTable
from aspen.dial.path import SETTINGS, seen
from aspen.dial.profile import DialProfile
from aspen_emulator import run
from aspen_hardware import compile
from aspen_hardware.c.export import to_c
from tests.c_networks import STRICT, started
from tests.emulator.engines.c.programs import in_c
from tests.emulator.engines.c.test_c_along import KNOBS, front, written
from tests.emulator.engines.c.test_c_early import STEPS, network
from tests.networks import float_network, random_spikes

EVERY = (4, 3, 3, 1)


def skipping(every: tuple[int, ...] = EVERY) -> CalibrationTable:
    """The front of a knob that leaves out time steps from its second stop on, cheapest first."""
    return replace(front(), every=every)


@in_c
def test_a_program_runs_the_steps_that_the_knob_leaves_and_ends_as_everywhere(name: str) -> None:
    for table, early in ((skipping(), True), (replace(skipping((2, 2, 2, 2)), early=None, early_points=()), False)):
        program, path = written(table)
        given, ends = random_spikes(3, STEPS, 1, 6), set()
        process = started(program, STRICT, name)
        try:
            for knob in (0.0, *KNOBS, 0.5):
                setting, every = round(knob * (SETTINGS - 1)), path.every_at(knob)
                if ends:  # the first inference stands at the accurate end untouched
                    process.turn(setting)
                process.reset()
                record = run(network(), seen(given, every), path.scale(knob), engine="reference", record="spikes")
                wanted = np.concatenate(
                    [record.rasters[n].reshape(record.steps, -1) for n in record.network.order], axis=1
                )
                running = None if table.early is None else table.early.start(knob, every)
                done = False
                for t, step in enumerate(given[:, 0]):
                    found = process.steps(step[None])[0][0]
                    if (t + 1) % every == 0:
                        np.testing.assert_array_equal(found, wanted[t // every])
                        done = running is not None and (running.update(record.readings[t // every, 0]) or done)
                    if early:
                        assert process.done() == done
                    if done:
                        break
                ends.add((every, t))
        finally:
            process.close()
        assert {every for every, _ in ends} == set(path.every)


def test_a_program_says_that_it_leaves_out_steps(tmp_path: Path) -> None:
    trained = float_network(1, bias=False)
    profile = DialProfile.uniform(trained)
    table = replace(skipping(), places=(1.0, 0.4, 0.4, 0.0))
    deployment = compile(trained, "cortex-m", profile=profile)
    to_c(deployment, tmp_path / "one", profile=profile, calibration=table)
    header, page = ((tmp_path / "one" / each).read_text("utf-8") for each in ("network.h", "README.md"))
    assert "along 4 stops of the dial, of time steps and of the early end" in header
    assert "int network_skips(void);" in header
    assert "with those that the knob leaves out" in header
    assert "`int network_skips(void)`" in page
    to_c(deployment, tmp_path / "two", profile=profile, calibration=replace(table, every=()))
    assert "skips" not in (tmp_path / "two" / "network.h").read_text("utf-8")
    assert "left_out" not in (tmp_path / "two" / "network.c").read_text("utf-8")
