"""What a sweep found: operating points that print as a table and draw themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from aspen._base.tables import Table, Tabled
from aspen.calibration.points import OperatingPoint
from aspen.calibration.sheet import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sweep(Tabled, list[OperatingPoint]):
    """A list of operating points in the order of the knobs, as :func:`aspen_emulator.sweep` gives it.

    >>> print(Sweep([OperatingPoint(1.0, 0.95, 0.93, 0.96, 90, 2000, 500, 900, 8e5, 900)]))
    threshold scale  accuracy   (95 % interval)  hidden spikes  synaptic operations  total uJ  dynamic nJ
               1.00     95.0%  (93.0% to 96.0%)           90.0                2,000     800.9         900

    Args:
        points: what was measured.
        dial: whether their knob is that of a learned dial; otherwise it is a threshold scale.
        name: of what was swept, for the plot.
    """

    def __init__(self, points: Iterable[OperatingPoint], *, dial: bool = False, name: str = "network") -> None:
        super().__init__(points)
        self.dial, self.name = dial, name

    def _shown(self) -> Iterator[str | Table]:
        yield table(self, dial=self.dial)

    def __repr__(self) -> str:
        turned = "knob" if self.dial else "threshold scale"
        ends = f", {turned} {self[0].knob:g} to {self[-1].knob:g}" if self else ""
        return f"<{type(self).__name__} of {len(self)} points{ends}>"

    def plot(self, path: str | Path | None = None) -> Figure:
        """Accuracy over the knob and over spikes, and energy over the knob.

        Args:
            path: a ``.png``, ``.pdf`` or ``.svg`` file to write as well.

        Raises:
            InputError: another suffix, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        from aspen_emulator.measuring.plots import plot_dial

        return plot_dial({self.name: [self]}, path, self.name, dial=self.dial)
