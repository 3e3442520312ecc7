"""A knob along a calibrated front, in C: the thresholds and the level of doubt that every engine has there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint
from aspen.calibration.table import CalibrationTable
from aspen.control import Budget, FixedBudget
from aspen.dial.path import SETTINGS, KnobPath
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen_emulator import run
from aspen_hardware import compile
from aspen_hardware.c.along import levers_of
from aspen_hardware.c.export import files, to_c
from aspen_hardware.c.program import Program
from tests.aspen.calibration.test_calibration_table import made
from tests.c_networks import STRICT, started
from tests.emulator.engines.c.programs import built, in_c, needs_compiler, output
from tests.emulator.engines.c.test_c_early import PROFILE, STEPS, network
from tests.networks import float_network, random_spikes

KNOBS, PLACES = (1.0, 0.7, 0.3, 0.0), (1.0, 0.4, 0.4, 0.25)


def front(knobs: tuple[float, ...] = KNOBS, places: tuple[float, ...] = PLACES) -> CalibrationTable:
    """A front of a dial, cheapest first, whose inferences end early from its second stop on."""
    levels = (0.0, 0.02, 0.1, 0.3)[: len(knobs)]
    stop = EarlyStop(0.8, 0.1, knobs[::-1], levels, "spikes", STEPS, 0.1)
    points = [replace(made().points[0], knob=k, accuracy=0.65 - 0.01 * k, dynamic_nj=20.0 - k) for k in knobs]
    early = tuple(EarlyPoint(point, STEPS / 2) for point in points)
    return replace(made(), dial="front", steps=STEPS, points=tuple(points), early=stop, early_points=early,
                   turns="profile", places=places)  # fmt: skip


def written(table: CalibrationTable) -> tuple[Program, KnobPath]:
    """The program of a front."""
    profile, path, early = levers_of(table, network(), PROFILE, None)
    assert path is not None
    return Program(network(), profile, early=early, path=path), path


@in_c
def test_a_knob_has_the_thresholds_and_the_level_that_it_has_everywhere(name: str) -> None:
    table = front()
    program, path = written(table)
    assert table.early is not None
    stops = [round(knob * (SETTINGS - 1)) for knob in KNOBS]
    settings = [*stops, 1, 12345, 32768, 45000, 65534]
    given = random_spikes(3, STEPS, 1, 6)
    process = started(program, STRICT, name)
    ends = set()
    try:
        for setting in settings:
            knob = KNOBS[stops.index(setting)] if setting in stops else setting / (SETTINGS - 1)
            process.reset()
            process.turn(setting)
            record = run(network(), given, path.scale(knob), engine="reference", record="spikes")
            running, done = table.early.start(knob), []
            wanted = np.concatenate([record.rasters[n].reshape(STEPS, -1) for n in record.network.order], axis=1)
            for t, step in enumerate(given[:, 0]):
                np.testing.assert_array_equal(process.steps(step[None])[0][0], wanted[t])
                done.append(process.done())
                assert done[-1] == running.update(record.readings[t, 0])
            ends.add(done.index(True))
    finally:
        process.close()
    assert len(ends) > 2


@needs_compiler
def test_every_setting_of_the_dial_is_the_paths(tmp_path: Path) -> None:
    """Compiled alone, at settings beside each stop and many between; and of a knob with a single stop."""
    rng = np.random.default_rng(0)
    settings = np.unique(
        [*rng.integers(0, SETTINGS, 3000), *(s + i for s in (0, 19660, 45874, 65535) for i in (-1, 0, 1))]
    )
    settings = settings[(settings >= 0) & (settings < SETTINGS)]
    for table in (front(), front(KNOBS[-1:], PLACES[-1:])):
        program, path = written(table)
        (tmp_path / "network.c").write_text(files(program)["network.c"])
        texts = {"network.h": files(program)["network.h"], "main.c": TURNS}
        given = "\n".join(map(str, settings.tolist()))
        found = np.array(output(built(tmp_path, texts, "-Wconversion", "-Wshadow"), given))[:, 0]
        np.testing.assert_array_equal(found, path.dial_settings(settings))


TURNS = """
#include "network.c"
#include <stdio.h>
int main(void)
{
    long setting;
    while (scanf("%ld", &setting) == 1) {
        printf("%lu\\n", (unsigned long)along((uint32_t)setting));
    }
    return 0;
}
"""


def test_a_front_is_written_with_its_knob_and_its_early_end(tmp_path: Path) -> None:
    trained = float_network(1, bias=False)
    profile = DialProfile.uniform(trained)
    deployment = compile(trained, "cortex-m", profile=profile)
    table = replace(front(), places=(1.0, 0.4, 0.4, 0.0))
    program = to_c(deployment, tmp_path / "one", profile=profile, calibration=table)
    header = (tmp_path / "one" / "network.h").read_text("utf-8")
    assert "along 4 stops of the dial and of the early end" in header
    assert "int network_done(void);" in header
    assert "to 65535, the cheapest" in (tmp_path / "one" / "README.md").read_text("utf-8")
    plain = to_c(deployment, tmp_path / "two", profile=profile)
    assert program.flash > plain.flash
    path = table.along(deployment.network, profile)
    held = FixedBudget(Budget(table, 1e-6, 1.0, 1e-9), profile=path)
    budgeted = to_c(deployment, tmp_path / "one", profile=profile, calibration=table, budget=held)
    assert budgeted.path is not None
    with pytest.raises(InputError, match="found one of a front for a program whose knob turns a single lever"):
        to_c(deployment, tmp_path / "one", profile=profile, budget=held)
    single = replace(made("profile"), early=None)
    assert to_c(deployment, tmp_path / "two", profile=profile, calibration=single).flash == plain.flash
    for wrong, message in (
        ({"calibration": 3}, "calibration: found 3, allowed is a CalibrationTable"),
        ({"calibration": table, "early": table.early}, "found one beside a calibration"),
        ({"calibration": made()}, "found the table scale@loihi1 for a program with a learned dial"),
        ({"calibration": table, "profile": None}, "found none for the table front@loihi1"),
    ):
        with pytest.raises(InputError, match=message):
            to_c(deployment, tmp_path / "three", **{"profile": profile, **wrong})  # type: ignore[arg-type]
