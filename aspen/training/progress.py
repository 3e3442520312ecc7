"""The progress of a training: a bar, or a function that is called after each epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from aspen._base.progress import Bar, shows_bars
from aspen.errors import InputError
from aspen.training.history import Epoch, Report


class EpochBar:
    """A progress bar of a training, in a notebook as a widget; called after each epoch.

    Args:
        total: epochs of all stages.
        title: what stands before the bar.
        shown: whether it is shown.
    """

    def __init__(self, total: int, title: str, shown: bool = True) -> None:
        self._bar = Bar(title, total, "epochs", shown=shown, delay=0.2, stays=True)
        self._left = total

    def begin(self, done: int) -> None:
        """A resumed training begins after so many epochs."""
        self._left -= done
        self._bar.begin(done)

    def __call__(self, entry: Epoch, total: int) -> None:
        measured = zip(entry.settings, entry.accuracy, entry.spikes, strict=True)
        told = [f"{accuracy:.1%} with {spikes:.0f} spikes at knob {knob:g}" for knob, accuracy, spikes in measured]
        self._bar.advance(1, [f"validation {told[0]}", *told[1:]])
        self._left -= 1
        if self._left == 0:  # the end is shown however soon it comes, and its line ended
            self._bar.show()

    def close(self) -> None:
        """The training is over, or broken off."""
        self._bar.close()


def check_progress(progress: object) -> None:
    """Raise InputError unless it is what :func:`reporting` takes."""
    if progress is not None and not isinstance(progress, bool) and not callable(progress):
        raise InputError(
            f"progress: found {progress!r}, allowed are True, False, None and a function of an epoch and the number of "
            f"epochs; leave it out for a bar in a terminal"
        )


@contextmanager
def reporting(
    progress: Report | bool | None, total: int, title: str, done: int, said: str = ""
) -> Iterator[Report | None]:
    """What is called after each epoch: ``progress`` itself, or that of a bar; nothing where none is shown.

    Args:
        progress: such a function, or whether there is a bar; ``None``: where it is seen.
        total, title: as for :class:`EpochBar`.
        done: epochs that a resumed training begins with.
        said: a line that stands above the bar, if any.
    """
    if progress is not None and not isinstance(progress, bool):
        if isinstance(progress, EpochBar):
            progress.begin(done)
        yield progress
    elif progress or (progress is None and shows_bars()):
        bar = EpochBar(total, title)
        bar.begin(done)
        if said:
            tqdm.write(said, file=sys.stderr)
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield None
