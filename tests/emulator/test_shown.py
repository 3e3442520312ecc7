"""What people look at: reprs of a line, the same table as text and as HTML, plots that are given back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch

import aspen_emulator
from aspen import CalibrationTable, DialProfile, Trained
from aspen._base.tables import Table, Tabled
from aspen._figures import new_figure
from aspen.data import digits
from aspen.errors import InputError
from aspen.network.record import Record
from aspen.training.fitted import Fitted
from aspen.training.history import Epoch
from aspen.training.knob_range import KnobRange
from aspen_emulator import run, sweep
from aspen_emulator.engines.cortex_m.counting import Count
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.cycle_report import CycleReport
from aspen_emulator.measuring.parity import parity
from aspen_emulator.streaming import Window
from aspen_emulator.streaming.plot import plot_stream, unit_of
from aspen_hardware import ann_baseline, break_even, chip, compile, energy_model
from aspen_hardware.chips.ranges import Range
from aspen_hardware.compiling.models import check_model
from aspen_hardware.energy.break_even import Rivals
from tests.aspen.base.test_tables import Cells
from tests.networks import float_network, random_spikes

SCREEN = 1500
"""Characters of a repr that nobody has to scroll."""
KNOBS = (0.5, 1.0, 2.0)


@cache
def values() -> dict[str, Any]:
    """One of each public value, of a network of many neurons on many samples."""
    network = float_network(1, (30, 400, 12), bias=False)
    spikes, labels = random_spikes(0, 20, 40, 30), np.arange(40) % 12
    deployment, loihi = compile(network, "loihi1"), chip("loihi1")
    bench = Bench(deployment, [spikes], labels, [loihi])
    measured = measure(bench, KNOBS)
    best = max(measured.points["loihi1"], key=lambda point: point.knob)
    record, ann = run(network, spikes, record="membranes"), ann_baseline(network)
    even, data = break_even(network, record, ann), digits()
    profile = DialProfile({"layer1": np.linspace(0, 1, 400)})
    model, given = (
        torch.nn.Sequential(torch.nn.Linear(30, 9), snntorch.Leaky(0.9, init_hidden=True)),
        torch.ones(5, 2, 30),
    )
    history = [epoch(0, (1.0, 0.7), n) for n in range(30)] + [epoch(1, (0.0, 1.0), n) for n in range(30)]
    return {
        "network": network,
        "population": network["layer1"],
        "neuron": network["layer1"].neuron,
        "connection": network.connections[0],
        "dial": profile,
        "record": record,
        "deployment": deployment,
        "placement": deployment.placement,
        "rounding": deployment.rounding["layer1"],
        "chip": loihi,
        "report": energy_model(record, loihi),
        "ann": ann,
        "break_even": even,
        "rivals": Rivals((even, even)),
        "bench": bench,
        "measured": measured,
        "sweep": sweep(deployment, spikes, labels, KNOBS),
        "table": CalibrationTable("loihi1", "scale", 20, 1e-3, "x validation", 1, (best,), chosen=best.knob),
        "parity": parity(None, network, deployment, spikes, labels),
        "profile": aspen_emulator.profile(model, given),
        "check": check_model(model, given, "loihi1"),
        "data": data,
        "samples": data.train,
        "trained": Trained(network, profile),
        "fitted": Fitted(object(), data, {"data": "digits"}, history, profile),  # type: ignore[arg-type]
        "cycles": cycle_report(),
        "knob_range": KnobRange("dial", tuple(np.linspace(0, 1, 50)), (0.5,) * 50, (0.1,) * 50, 360, 0.1, 0.13),
    }


def cycle_report() -> CycleReport:
    calls = {name: Count({"alu": 9_000_000, "load": 7}, Range(1, 2e7, 3e7)) for name in ("reset", "step", "set_knob")}
    functions = {f"network_function_{i}": calls["step"] for i in range(30)}
    taken = np.ones((40, 200, 3)) * (1, 2, 3)
    return CycleReport("cortex-m4", "a table of the core", 40, 200, 4096, taken, calls, functions, 9000, 9000, 99, 60)


def epoch(stage: int, settings: tuple[float, ...], number: int) -> Epoch:
    return Epoch(stage, number, 1 / (1 + number), settings, (0.5, 0.6), (90.0, 60.0), 0.1)


def test_a_repr_is_a_line_that_a_screen_has_room_for() -> None:
    shown = {name: repr(value) for name, value in values().items()}
    assert {name: len(text) for name, text in shown.items() if len(text) > SCREEN or "\n" in text} == {}


def test_a_repr_says_what_it_is() -> None:
    dense = "Dense(source='layer1', target='layer2', weight=<float64 (12, 400)>)"
    assert repr(values()["network"].connections[1]) == dense
    assert "Population('layer1', ...)" in repr(values()["network"])
    assert repr(values()["sweep"]) == "<Sweep of 3 points, threshold scale 0.5 to 2>"


def test_all_that_has_a_table_is_looked_at() -> None:
    found = {type(value) for value in values().values() if isinstance(value, Tabled)}
    assert {kind for kind in Tabled.__subclasses__() if kind.__module__.startswith("aspen")} == found


def test_a_notebook_shows_the_cells_that_the_terminal_shows() -> None:
    for value in values().values():
        if isinstance(value, Tabled):
            check_cells(value)


def check_cells(value: Tabled) -> None:
    """The HTML is whole, and its cells and those of the text are those of the tables."""
    cells = Cells()
    cells.feed(value._repr_html_())
    assert not cells.open
    rows = [list(row) for part in value._shown() if isinstance(part, Table) for row in (part.head, *part.rows)]
    assert [row[: len(wanted)] for row, wanted in zip(cells.rows, rows, strict=True)] == rows
    text = str(value)
    assert [cell for row in rows for cell in row if cell not in text] == []


def test_a_record_tells_answers_and_cost() -> None:
    record: Record = values()["record"]
    text = str(record)
    assert "40 samples, 20 steps, engine fast" in text
    assert f"{record.total_synaptic_operations.sum():,} synaptic operations" in text
    assert "answers: 0 (" in text
    assert sum(record.summary()["answers"].values()) == 40


def windows(count: int, seconds: float) -> list[Window]:
    each = {"ran": True, "steps": 8, "cut": False, "knob": 1.0, "prediction": 1, "margin": 0.5, "input_spikes": 9}
    more = {"hidden_spikes": 9, "operations": 99, "dynamic": 1e-6, "static": 1e-6, "left": None, "alarm": ""}
    return [Window(index=n, end=(n + 1) * seconds, **each, **more) for n in range(count)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: values()["sweep"].plot(path),
        lambda path: values()["report"].plot(path),
        lambda path: values()["profile"].plot(path),
        lambda path: values()["fitted"].plot(path),
        lambda path: plot_stream(windows(20, 600.0), path, "a stream"),
    ],
)
def test_a_plot_is_given_back_and_written_where_a_path_says(
    draw: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    figure = draw(None)
    assert figure.axes
    assert list(tmp_path.iterdir()) == []
    for legend in filter(None, (panel.get_legend() for panel in figure.axes)):
        assert legend.get_bbox_to_anchor().x0 >= legend.axes.bbox.x1  # beside the panel: it covers nothing
    draw(tmp_path / "p.svg")
    assert (tmp_path / "p.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(InputError, match=r"p\.gif"):
        draw(tmp_path / "p.gif")


def test_a_notebook_shows_a_figure_without_pyplot() -> None:
    figure, _ = new_figure((1, 1), 1, 1)
    assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


def test_a_stream_is_drawn_over_a_time_that_can_be_read_and_names_what_is_turned() -> None:
    figure = plot_stream(windows(20, 600.0), dial=True)
    assert figure.axes[3].get_xlabel() == "time (hours)"
    assert figure.axes[2].get_ylabel() == "knob"
    assert plot_stream(windows(20, 1.0)).axes[2].get_ylabel() == "threshold scale"
    assert [unit_of(seconds) for seconds in (0.0, 1.0, 100.0, 1e4, 1e5, 1e6)] == [
        "milliseconds", "milliseconds", "seconds", "minutes", "hours", "days",
    ]  # fmt: skip


def test_nothing_in_a_plot_of_several_networks_is_told_by_colour_alone() -> None:
    from aspen_emulator.measuring.plots import plot_dial

    points = values()["sweep"]
    figure = plot_dial({name: [points] for name in "abcd"})
    looks = [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines]
    assert len(set(looks)) == 4
