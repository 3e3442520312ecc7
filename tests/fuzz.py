"""Damage files on purpose, thousands of times: each load must give what was stored or an AspenError, quickly.

python -m tests.fuzz [FILES [FORMAT ...]]: so many damaged files (default 20000) over all formats of
:mod:`tests.fuzz_formats`, or over those named. Beside loads that end in anything else than an AspenError of one line,
it counts those that take longer than 20 seconds; none may take more than 2 GiB of memory. What went wrong is kept in
``fuzz-findings``. The tests run a sample.
"""

from __future__ import annotations

import faulthandler
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from aspen.errors import AspenError
from tests.damage import Rng

SECONDS, BYTES = 20.0, 2**31


@dataclass
class Format:
    """A kind of file.

    Args:
        suffix: of the file.
        make: writes a good file.
        load: reads it in all ways that there are.
        damages: each makes a bad file of the bytes of a good one; None where it cannot.
        share: of the files of a run over all formats, relative to the others'.
    """

    suffix: str
    make: Callable[[Path], object]
    load: Callable[[Path], object]
    damages: tuple[Callable[[bytes, Rng], bytes | None], ...]
    share: int = 1


@dataclass
class Tally:
    """What became of damaged files. ``raw`` and ``slow`` name the finds; both must stay empty."""

    files: int = 0
    loaded: int = 0
    refused: int = 0
    raw: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.files} files: {self.loaded} loaded, {self.refused} refused, {len(self.raw)} raw exceptions, "
            f"{len(self.slow)} over {SECONDS:g} s"
        )


def fuzz(kind: Format, rounds: int, seed: int, folder: Path, keep: Path | None = None) -> Tally:
    """Damage a file of a format, in all its ways in turn, and load it.

    Args:
        kind: the format.
        rounds: damaged files.
        seed: of the damage.
        folder: where files are written.
        keep: where those are kept that were neither loaded nor refused.
    """
    good, bad = folder / f"good{kind.suffix}", folder / f"bad{kind.suffix}"
    kind.make(good)
    data, rng, tally = good.read_bytes(), np.random.default_rng(seed), Tally()
    kind.load(good)
    for turn in range(rounds):
        damaged = kind.damages[turn % len(kind.damages)](data, rng)
        if damaged is None:
            continue
        bad.write_bytes(damaged)
        finds = len(tally.raw) + len(tally.slow)
        _load(kind, bad, tally)
        if keep is not None and len(tally.raw) + len(tally.slow) > finds:
            (keep / f"{turn}{kind.suffix}").write_bytes(damaged)
            print(f"  {turn}{kind.suffix}: {[*tally.raw, *tally.slow][-1]}", flush=True)
    return tally


def _load(kind: Format, path: Path, tally: Tally) -> None:
    tally.files += 1
    start = time.monotonic()
    try:
        kind.load(path)
        tally.loaded += 1
    except AspenError as error:
        tally.refused += 1
        if "\n" in str(error):
            tally.raw.append(f"an error of several lines: {error}")
    except Exception as error:  # whatever it is, it is a find
        place = traceback.extract_tb(error.__traceback__)[-1]
        tally.raw.append(f"{type(error).__name__}: {str(error)[:150]} ({place.filename}:{place.lineno})")
    if time.monotonic() - start > SECONDS:
        tally.slow.append(f"{time.monotonic() - start:.0f} s")


def _limit_memory() -> None:
    """Let this process map so much more than it does now; what asks for more gets a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(files: int, names: list[str]) -> int:
    """Fuzz formats and report; the exit status says whether anything was found."""
    from tests.fuzz_formats import FORMATS

    warnings.simplefilter("error")
    chosen = {name: FORMATS[name] for name in names or FORMATS}
    shares = sum(kind.share for kind in chosen.values())
    keep = Path("fuzz-findings")
    keep.mkdir(exist_ok=True)
    found = 0
    for number, (name, kind) in enumerate(chosen.items()):
        with tempfile.TemporaryDirectory() as folder:
            faulthandler.dump_traceback_later(3600, exit=True)
            tally = fuzz(kind, files * kind.share // shares, number, Path(folder), keep)
        found += len(tally.raw) + len(tally.slow)
        print(f"{name}: {tally}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {peak:.0f} MiB")
    return int(found > 0 or peak > BYTES / 2**20)


if __name__ == "__main__":
    _limit_memory()
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, sys.argv[2:]))
