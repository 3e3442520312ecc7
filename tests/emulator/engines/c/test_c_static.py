"""A static analog input in C: the program's own first layer where spikes carry values, else the host's biases."""

from __future__ import annotations

import re

import numpy as np
import pytest

from aspen_emulator import run
from aspen_hardware import compile
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program
from tests.c_networks import STRICT, started
from tests.emulator.engines.c.programs import in_c
from tests.emulator.engines.test_fast import assert_same
from tests.emulator.engines.test_static import STEPS, static, values


@in_c
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("chip", ["cortex-m", "loihi1"])
def test_runs_and_programs_agree_with_the_definition(chip: str, recurrent: bool, name: str) -> None:
    deployment = compile(static(recurrent=recurrent).with_input_peak(1.0), chip)
    found, wanted = (run(deployment, values(), steps=STEPS, record="membranes", engine=e) for e in (name, "reference"))
    assert_same(found, wanted)
    assert wanted.output.any()
    process = started(Program(deployment.network), STRICT, name)
    given = deployment.network.input
    made = values() if given.host is None else given.host.encode(values())
    made = made if given.graded is None else given.graded.encode(values())
    try:
        for sample, first in enumerate(made):  # as firmware would: later steps are given anything
            process.reset()
            later = np.random.default_rng(sample).integers(-100, 100, (STEPS - 1, given.size))
            process.steps(np.concatenate([first.reshape(1, -1), later]))
            np.testing.assert_array_equal(process.answer().scores, wanted.scores[sample])
    finally:
        process.close()


def test_the_page_says_who_computes_the_first_layer() -> None:
    for chip, text in (
        ("cortex-m", "the analog value times 127, rounded to the nearest even"),
        ("loihi1", r"bias mantissas of the first layer, which a host makes .*`network.input.host.encode` in Python"),
    ):
        made = files(Program(compile(static().with_input_peak(1.0), chip).network))
        assert re.search(text, made["README.md"])
        assert "later ones do not read it" in made["README.md"]
        assert "later ones do not read it" in made["network.h"]
        assert "(void)step;" in made["example.c"]
