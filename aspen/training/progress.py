"""The progress of a training: a bar, or a function that is called after each epoch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from aspen._base.progress import is_watched
from aspen.errors import InputError
from aspen.training.history import Epoch, Report


@contextmanager
def epoch_bar(total: int, title: str, done: int = 0) -> Iterator[Report]:
    """A progress bar of a training, in a notebook as a widget; gives what is to be called after each epoch.

    Args:
        total: epochs of all stages.
        title: what stands before the bar.
        done: epochs that a resumed training begins with.
    """
    from tqdm.auto import tqdm as bar_for_here

    with bar_for_here(total=total, initial=done, desc=title, unit="epoch", dynamic_ncols=True, delay=0.2) as bar:

        def report(entry: Epoch, total: int) -> None:
            measured = zip(entry.settings, entry.accuracy, entry.spikes, strict=True)
            shown = ", ".join(f"{knob:g}: {accuracy:.1%} {spikes:.0f}" for knob, accuracy, spikes in measured)
            bar.set_postfix_str(f"validation (knob: accuracy, spikes) {shown}", refresh=False)
            bar.update(1)
            if bar.n == total:  # the end is shown however soon it comes, and its line ended
                bar.delay = 0.0
                bar.refresh()

        yield report


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
        total, title, done: as for :func:`epoch_bar`.
        said: a line that stands above the bar, if any.
    """
    if progress is not None and not isinstance(progress, bool):
        yield progress
    elif progress or (progress is None and is_watched()):
        with epoch_bar(total, title, done) as report:
            if said:
                tqdm.write(said, file=sys.stderr)
            yield report
    else:
        yield None
