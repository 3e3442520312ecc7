"""A published measurement beside a prediction, and the table of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

from aspen_hardware.chips.ranges import Range

SOURCES = {
    "abr": "Applied Brain Research, github.com/abr/power_benchmarks, logs/idle and logs/running, commit fce95c8",
    "blouw2019": "P. Blouw et al.: Benchmarking Keyword Spotting Efficiency on Neuromorphic Hardware. arXiv:1812.01739",
    "frady2020": "E. P. Frady et al.: Neuromorphic Nearest Neighbor Search Using Intel's Pohoiki Springs. NICE 2020",
    "lava-dl": "Intel, github.com/lava-nc/lava-dl, commit d825ac50: tutorials/lava/lib/dl/netx/pilotnet_snn/"
    "benchmark.ipynb, and tests/lava/lib/dl/netx/gts/pilotnet_lif",
    "rockpool": "SynSense, github.com/synsense/rockpool, commit 42cee1c9: "
    "rockpool/devices/xylo/syns63300/power_cycles_model.py, and docs/devices/xylo-imu/xylo-imu-intro.ipynb",
    "akopyan2015": "F. Akopyan et al.: TrueNorth. IEEE TCAD 34(10), 2015, Fig. 17",
    "merolla2014": "P. A. Merolla et al.: A million spiking-neuron integrated circuit. Science 345, 2014, abstract",
    "frenkel2019": "C. Frenkel et al.: ODIN. IEEE TBioCAS 13(1), 2019, Fig. 8b",
    "st-an4621": "STMicroelectronics, AN4621 Rev 4 (2018), introduction: ULPBench 176.7 for parts of the series "
    "without a switched regulator; the benchmark as archive.eetindia.co.in, ART_8800717358, describes it",
}
"""Key -> where the measurement is published."""

HEAD = ("measurement", "measured", "ASPEN (low to high)", "ASPEN / measured", "used for the model")


@dataclass(frozen=True)
class Case:
    """One measurement.

    Args:
        name: what was measured, on which chip.
        measured: in ``unit``.
        unit: of both.
        predicted: what ASPEN says; ``None`` where it says nothing, and ``why`` then says why.
        used: ``"yes"``, ``"no"`` or ``"partly"``: whether the measurement was used to make the model.
        source: key of :data:`SOURCES`.
        why: in place of a prediction.
    """

    name: str
    measured: float
    unit: str
    predicted: Range | None
    used: str
    source: str
    why: str = ""

    @property
    def row(self) -> str:
        """The row of the table, in Markdown."""
        said, ratio = self.why, ""
        if self.predicted is not None:
            said, ratio = _spread(self.predicted), _spread(self.predicted.times(1 / self.measured), ratio=True)
            said = f"{said} {self.unit}"
        return f"| {self.name} | {number(self.measured)} {self.unit} | {said} | {ratio} | {self.used} |"


def table(cases: list[Case]) -> list[str]:
    """The lines of the table, in Markdown."""
    return [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *(case.row for case in cases)]


def number(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    size = floor(log10(float(f"{abs(value):.{digits - 1}e}"))) if value else 0
    return f"{value:,.{max(digits - 1 - size, 0)}f}"


def _spread(values: Range, ratio: bool = False) -> str:
    """Typical, low and high; ratios below 1 to two significant digits."""
    digits = [2 if ratio and x < 0.995 else 3 for x in (values.low, values.typical, values.high)]
    low, typical, high = map(number, (values.low, values.typical, values.high), digits)
    return typical if low == typical == high else f"{typical} ({low} to {high})"
