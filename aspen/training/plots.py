"""The course of a training, drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aspen._figures import COLOURS, MARKERS, finish, new_figure, save_figure
from aspen.training.history import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_history(
    history: Sequence[Epoch],
    path: str | Path | None = None,
    title: str = "",
    neurons_on: Callable[[float], tuple[int, int] | None] = lambda knob: None,
) -> Figure:
    """Draw loss, validation accuracy and hidden spikes over the epochs of all stages.

    Args:
        history: one entry for each epoch.
        path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.
        title: what is shown.
        neurons_on: knob of the dial -> how many neurons are on there, and how many there are, where that is to be said.

    Returns:
        the figure.

    Raises:
        InputError: another suffix, or the file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    figure, panels = new_figure((17, 5), 1, 3)
    epochs = range(1, len(history) + 1)
    panels[0].plot(epochs, [entry.loss for entry in history], "-o", markersize=4, color=COLOURS[0])
    for dial, look in ((False, "--"), (True, "-")):
        for index, setting in enumerate(_settings(history, dial)):
            label = _label(setting, neurons_on(setting)) if dial else f"threshold scale {setting:g}"
            _measured(list(panels[1:]), history, dial, setting, look + MARKERS[index], COLOURS[index], label)
    finish(panels[0], "Loss", "epoch", "mean training loss")
    finish(panels[1], "Accuracy", "epoch", "validation accuracy (%)")
    finish(panels[2], "Spikes", "epoch", "hidden spikes per inference", ylim=(0, None))
    for panel in panels:
        for stage in _begun(history):
            panel.axvline(stage - 0.5, color="black", linestyle=":", linewidth=1)
    figure.suptitle(title, fontsize=13)
    return save_figure(figure, path)


def _on_dial(entry: Epoch) -> bool:
    """Whether an epoch's settings are knobs of a learned dial, which reaches down to 0; else they are factors."""
    return min(entry.settings) <= 0


def _settings(history: Sequence[Epoch], dial: bool) -> list[float]:
    return list(dict.fromkeys(each for entry in history if _on_dial(entry) == dial for each in entry.settings))


def _label(knob: float, on: tuple[int, int] | None) -> str:
    return f"knob at {knob:g}" + ("" if on is None else f", {on[0]} of {on[1]} neurons on")


def _measured(
    panels: Sequence[Axes], history: Sequence[Epoch], dial: bool, setting: float, look: str, colour: str, label: str
) -> None:
    """Accuracy and spikes at one setting, in the epochs in which it was tried."""
    tried = [(n, entry) for n, entry in enumerate(history, 1) if setting in entry.settings]
    entries = [(n, entry) for n, entry in tried if _on_dial(entry) == dial]
    at = [entry.settings.index(setting) for _, entry in entries]
    accuracy = [100 * entry.accuracy[k] for (_, entry), k in zip(entries, at, strict=True)]
    spikes = [entry.spikes[k] for (_, entry), k in zip(entries, at, strict=True)]
    for panel, values in zip(panels, (accuracy, spikes), strict=True):
        panel.plot([n for n, _ in entries], values, look, markersize=4, color=colour, label=label)


def _begun(history: Sequence[Epoch]) -> list[int]:
    """The epochs, from 1, at which a stage after the first begins."""
    return [n for n in range(2, len(history) + 1) if history[n - 1].stage != history[n - 2].stage]
