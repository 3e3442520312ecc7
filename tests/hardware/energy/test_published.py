"""The table of published measurements in docs/energy.md is the one that is computed."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

from aspen_hardware.chips.ranges import Range
from tests import ROOT
from tests.published import SOURCES, Case, cases, logs, loihi1, others, table
from tests.published.table import number

DOCS = (ROOT / "docs" / "energy.md").read_text(encoding="utf-8")
TEXT = " ".join(DOCS.split())


def test_the_documentation_says_what_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    computed = table(cases())
    lines = DOCS.splitlines()
    first = lines.index(computed[0])
    written = lines[first : first + len(computed)]
    assert written == computed, "print the table anew: python -m tests.published"
    runpy.run_module("tests.published", run_name="__main__")
    assert capsys.readouterr().out.splitlines()[: len(computed)] == computed


def test_every_measurement_has_a_source_and_says_whether_it_was_used() -> None:
    for case in cases():
        assert case.source in SOURCES
        assert case.used in ("yes", "partly", "no")
        assert (case.predicted is None) == bool(case.why)
        assert case.predicted is None or case.predicted.low <= case.predicted.typical <= case.predicted.high


def test_a_branch_is_a_line_through_the_recordings() -> None:
    slope, error = logs.per_branch()
    assert (slope, error) == (pytest.approx(1.931, abs=5e-4), pytest.approx(0.0068, abs=5e-5))
    assert f"{slope:.2f} mW each (standard error {error:.2f})" in TEXT
    typical, high = (100 * loihi1.equal_rate(end) for end in ("typical", "high"))
    assert f"Ours is equal at {typical:.1f} % spikes (davies2018) or {high:.1f} % (sanafe)." in TEXT


def test_a_branch_costs_its_ten_layers_and_what_reads_them() -> None:
    """By the makers' figures, from the counts: 11 matrices, 2,560 updates with input, no hops."""
    rate = 0.2
    joules = loihi1.STEPS * (11 * 256 * 256 * rate * 23.6e-12 + 2560 * 81e-12)
    milliwatts = 1e3 * joules * logs.BRANCHES_RATE[loihi1.MANY]
    assert loihi1.branch(rate).typical == pytest.approx(milliwatts, rel=0.02)


def test_the_search_is_as_far_off_as_the_text_says() -> None:
    by_definition = (
        "the usual scenario is {:.0f} to {:.0f} % high; by ASPEN's own definition every update is active, and it is"
    )
    ends = [loihi1.query(spikes, active).typical / 1.33 for active in (False, True) for spikes in loihi1.QUERY_SPIKES]
    off = [100 * (ratio - 1) for ratio in ends]
    assert f"{by_definition.format(*off[:2])} {off[2]:.0f} to {off[3]:.0f} % high." in TEXT


def test_truenorths_file_has_the_line_through_its_readings() -> None:
    line, corners = others.truenorth_lines()
    fitted = [
        np.array([low, at, high]) for low, at, high in zip(corners.min(axis=0), line, corners.max(axis=0), strict=True)
    ]
    figures = others.TRUENORTH.energies["synaptic_operation"], others.TRUENORTH.power["chip"].si
    for figure, computed, rounding in zip(figures, fitted, (0.5e-15, 5e-6), strict=True):
        np.testing.assert_allclose([figure.low, figure.typical, figure.high], computed, rtol=0, atol=rounding)


def test_what_a_cycle_of_xylo_costs_is_told_as_it_is_computed() -> None:
    least, most = (others.step_cycles(others.NOTEBOOK, others.CYCLES, 0.4, hidden) for hidden in (0, 1))
    assert f"a step takes {least:.0f} cycles where no hidden neuron spikes and {most:.0f} where all do" in TEXT
    more, scatter, each = 201.12e-6 - 188.17e-6, 3.06e-6, 0.4 / 1000
    costs = [1e12 * each * watts / cycles for watts, cycles in ((more, most), (more, least))]
    widest = [1e12 * each * watts / cycles for watts, cycles in ((more - scatter, most), (more + scatter, least))]
    told = "which is {:.0f} to {:.0f} pJ, or {:.0f} to {:.0f} with the scatter"
    assert told.format(*costs, *widest) in TEXT


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1.0, 3, "1.00"),
        (9.996, 3, "10.0"),
        (27987.96, 3, "27,988"),
        (0.0019, 2, "0.0019"),
        (0.0, 2, "0.0"),
        (757, 3, "757"),
    ],
)
def test_numbers_have_their_digits(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_a_row_shows_the_ratio_and_its_range() -> None:
    row = Case("a", 50.0, "uW", Range(20.0, 40.0, 60.0), "no", "abr").row
    assert row == "| a | 50.0 uW | 40.0 (20.0 to 60.0) uW | 0.80 (0.40 to 1.20) | no |"
    assert Case("a", 50.0, "uW", None, "no", "abr", "unknown").row == "| a | 50.0 uW | unknown |  | no |"


def test_random_runs_have_the_rate_that_was_asked_for() -> None:
    record = loihi1.random_run(loihi1.keyword_network(), 0.1)
    fired = sum(int(record.spikes[name].sum()) for name in record.network.names)
    assert fired / sum(p.size for p in record.network.populations) / record.steps / record.batch == pytest.approx(
        0.1, abs=0.005
    )
    assert all(np.all(record.awake_updates[name] >= record.active_updates[name]) for name in record.network.order)
