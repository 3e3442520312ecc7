"""The pictures of the study in joules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aspen._figures import COLOURS, GREY, finish, new_figure, plain_numbers, save_figure
from aspen_emulator.study.joules.measuring import key
from aspen_emulator.study.joules.problems import NESTED, PLAIN, JoulesProblem
from aspen_emulator.study.joules.report import accounts
from aspen_emulator.study.joules.results import Account, Setting, settings
from aspen_emulator.study.measuring import KNOBS, Points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_KINDS = (
    ("plain", "D", "black"),
    ("as large as the dial", "s", COLOURS[0]),
    ("fewer neurons", "^", COLOURS[2]),
    ("more steps", "v", COLOURS[3]),
    ("fewer steps", ">", COLOURS[3]),
)
"""Of networks of the envelope: name, marker and colour."""
_SHOWN = 8.0
"""Points below the best at which a panel ends."""


def plot_joules(problem: JoulesProblem, test: Points, seeds: int, path: Path | None = None) -> Figure:
    """Accuracy over joules on each chip, the dial as a line with a band of one standard deviation over seeds and the
    envelope as points; and accuracy over the knob.

    Args:
        problem, test, seeds: what was measured.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.

    Returns:
        the figure.
    """
    compared = accounts(problem)
    figure, panels = new_figure((6.6 * (len(compared) + 1), 5.6), 1, len(compared) + 1)
    for panel, account in zip(panels, compared, strict=False):
        _trade(panel, problem, test, seeds, account)
    _over_knob(panels[-1], test, seeds, compared[0].chip)
    figure.suptitle(f"{problem.name}: one nested dial and networks trained for one energy (integers, {seeds} seeds)")
    return save_figure(figure, path)


def _microjoules(found: Sequence[Setting], account: Account) -> list[float]:
    return [(each.total_nj if account.kind == "total" else each.dynamic_nj) / 1e3 for each in found]


def _trade(panel: Axes, problem: JoulesProblem, test: Points, seeds: int, account: Account) -> None:
    found = settings(test, seeds, account.chip)
    joules, means = _microjoules(found, account), [each.accuracy.mean for each in found]
    below, above = ([each.accuracy.mean + sign * each.accuracy.std for each in found] for sign in (-1, 1))
    panel.fill_between(joules, below, above, color=COLOURS[1], alpha=0.2, linewidth=0, label="its sd over seeds")
    panel.plot(joules, means, "-o", color=COLOURS[1], markersize=4, label="one dialled network")
    tops = list(means)
    for cell in problem.rivals:
        label, marker, colour = _KINDS[_kind(problem, cell, account.chip)]
        rival = settings(test, seeds, account.chip, cell)
        tops.append(rival[0].accuracy.mean)
        panel.plot(_microjoules(rival, account), [tops[-1]], marker, color=colour, label=label, linestyle="none")
    panel.set_xscale("log")
    plain_numbers(panel.xaxis)
    ends = max(tops) - _SHOWN, max(tops) + 1
    finish(panel, f"Accuracy over {account}", f"{account.kind} energy of an inference (µJ)", "accuracy (%)", ylim=ends)
    panel.legend(frameon=False, loc="lower right", **_each_once(panel))


def _each_once(panel: Axes) -> dict[str, list[object]]:
    entries = dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
    return {"handles": list(entries.values()), "labels": list(entries)}


def _kind(problem: JoulesProblem, cell: str, chip: str) -> int:
    """Which of :data:`_KINDS` a network of the envelope is."""
    if cell == PLAIN:
        return 0
    levers, dial = problem.levers(cell), problem.levers(problem.dial_on(chip))
    if levers.steps != dial.steps:
        return 3 if levers.steps > dial.steps else 4
    return 2 if levers.hidden != dial.hidden else 1


def _over_knob(panel: Axes, test: Points, seeds: int, chip: str) -> None:
    for seed in range(seeds):
        points = test[key(NESTED, seed, chip)]
        panel.plot(KNOBS, [100 * point.accuracy for point in points], color=GREY, linewidth=0.8, label="each seed")
    means = [each.accuracy.mean for each in settings(test, seeds, chip)]
    panel.plot(KNOBS, means, "-o", color=COLOURS[1], markersize=4, label="mean")
    finish(
        panel, f"Accuracy over the knob ({chip})", "knob", "accuracy (%)", ylim=(max(means) - _SHOWN, max(means) + 1)
    )
    panel.legend(frameon=False, loc="lower left", **_each_once(panel))
