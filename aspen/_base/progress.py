"""What is said on standard error while work goes on, and to whom.

The library says something where a person sees it, in a terminal or a notebook, and nothing in a pipe or a log file.
The command line says its lines always, and shows its bars where they are seen or asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

DELAY = 1.0
"""Seconds after which a bar is shown: what is quick shows none."""
TICK = 1.0
"""Seconds after which the time in a bar goes on by itself, however long one piece of the work takes."""
EVERY = 10.0
"""Seconds from line to line where bars are asked for in a pipe or a log file."""
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} in {elapsed}, {remaining} left{postfix}"
_DRAWN = _LINE.replace("{desc}:", "{desc} |{bar:10}|")
_UNKNOWN = "{desc}: {n_fmt} {unit} in {elapsed}{postfix}"
_WIDE = 1000
"""Characters in a line of a log file."""
_T = TypeVar("_T")

_is_command = False
_asked: bool | None = None
_open = 0


def in_notebook() -> bool:
    """Whether this is the kernel of a Jupyter notebook: its standard error is no terminal, and is seen all the same."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def is_watched() -> bool:
    """Whether a person sees what is written to standard error."""
    return in_notebook() or _is_terminal()


def shows_bars() -> bool:
    """Whether progress bars are shown: as asked for, or where a person sees them."""
    return sys.stderr is not None and (is_watched() if _asked is None else _asked)


def tell(line: str) -> None:
    """Write one line to standard error, above any progress bar, if it is seen or this is a command."""
    if sys.stderr is not None and (_is_command or is_watched()):
        tqdm.write(line, file=sys.stderr)


@contextmanager
def telling(bars: bool | None = None) -> Iterator[None]:
    """While this lasts, :func:`tell` writes into pipes and files too, as the command line does.

    Args:
        bars: whether bars are shown; ``None``: where they are seen.
    """
    global _is_command, _asked
    before = _is_command, _asked
    _is_command, _asked = True, bars
    try:
        yield
    finally:
        _is_command, _asked = before


class Bar:
    """A progress bar with the time that is left; or none, where nobody would see it.

    Args:
        title: what is done.
        total: how many pieces of work there are; ``None``: that is not known yet.
        unit: what they are, in the plural.
        shown: whether it is shown.
        delay: seconds until it is.
        stays: whether its last state is left in the terminal.
    """

    def __init__(
        self, title: str, total: int | None, unit: str, *, shown: bool, delay: float,
        stays: bool = False,
    ) -> None:  # fmt: skip
        self._bar: Any = None
        if shown:
            logged = not is_watched()
            more = {"file": _Lines(sys.stderr), "mininterval": EVERY} if logged else {"dynamic_ncols": True}
            self._bar = _kind()(total=total, desc=title, unit=unit, delay=delay, leave=stays,
                                bar_format=_LINE, **more)  # fmt: skip
            self._fit()
            self._over = Event()
            Thread(target=self._tick, args=(delay, EVERY if logged else TICK), daemon=True).start()

    @property
    def is_shown(self) -> bool:
        """Whether anything is."""
        return self._bar is not None

    def begin(self, done: int) -> None:
        """So many pieces were done before, in no time."""
        if self._bar is not None:
            self._bar.initial = self._bar.n = done

    def advance(self, count: int = 1, told: Iterable[str] = ()) -> None:
        """So many more pieces are done.

        Args:
            count: how many.
            told: the state of things, the most important first; what the line has no room for is left out.
        """
        if self._bar is not None:
            self._fit(told)
            self._bar.update(count)

    def reach(self, done: int, total: int) -> None:
        """``done`` pieces of ``total`` are done."""
        if self._bar is not None:
            self._bar.total = total
            self._fit()
            self._bar.update(done - self._bar.n)

    def show(self) -> None:
        """Show it now, however short it has been going on."""
        if self._bar is not None:
            self._bar.delay = 0.0
            self._bar.refresh()

    def close(self) -> None:
        """It is over."""
        if self._bar is not None:
            self._over.set()
            self._bar.close()

    def _tick(self, delay: float, pause: float) -> None:
        while not self._over.wait(delay):
            self.show()
            delay = pause

    def _fit(self, told: Iterable[str] = ()) -> None:
        """Choose what the line has room for, at the end of the work too: the bar itself, then what is told."""
        shown = self._bar
        state = {**shown.format_dict, "ncols": None, "postfix": "", "n": shown.total or shown.n}
        room = shown.format_dict["ncols"] or _WIDE
        long = {form: len(shown.format_meter(**{**state, "bar_format": form})) for form in (_DRAWN, _LINE)}
        shown.bar_format = _UNKNOWN if shown.total is None else _DRAWN if long[_DRAWN] < room else _LINE
        left, parts = room - long.get(shown.bar_format, 0), []
        for part in told:
            left -= len(part) + len(", ")
            if left < 0:
                break
            parts.append(part)
        shown.set_postfix_str(", ".join(parts), refresh=False)


@contextmanager
def bar(title: str, total: int | None, unit: str) -> Iterator[Bar]:
    """Around work: its progress, where this is a command; work within it shows none of its own.

    Args:
        title: what is done.
        total: how many pieces of work there are; ``None``: :meth:`Bar.reach` says it.
        unit: what they are, in the plural.
    """
    global _open
    made = Bar(title, total, unit, shown=_is_command and _open == 0 and shows_bars(), delay=DELAY)
    _open += 1
    try:
        yield made
    finally:
        _open -= 1
        made.close()


def followed(work: Iterable[_T], total: int, title: str, unit: str) -> Iterator[_T]:
    """Pieces of work one after the other, with a :func:`bar` around them; arguments as there."""
    with bar(title, total, unit) as shown:
        for each in work:
            yield each
            shown.advance()


class _Lines:
    """A bar in a pipe or a log file: each state a line."""

    def __init__(self, file: TextIO) -> None:
        self._file, self.encoding = file, file.encoding

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            self._file.write(f"{line}\n")

    def flush(self) -> None:
        self._file.flush()


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _kind() -> Any:
    """What draws bars here."""
    if in_notebook():
        from tqdm.auto import tqdm as widget

        return widget
    return tqdm
