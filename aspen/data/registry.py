"""Data sets by name, for the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aspen._base.checks import as_path
from aspen._base.names import unknown_name
from aspen.data.bundled import digits
from aspen.data.choosing import encoded_by
from aspen.data.datasets import Dataset
from aspen.data.event_data import tonic_events
from aspen.data.hapt_recordings import HAPT_PAGE, hapt
from aspen.data.har_features import HarFeatures
from aspen.data.levels import LevelEncoder
from aspen.data.motion import MotionAugmentation
from aspen.data.own_files import is_own_file, load_arrays
from aspen.data.temporal import WindowEncoder
from aspen.data.ts_files import TS_PAGE, ts_archive
from aspen.data.uci_har import HAR_PAGE, har
from aspen.errors import InputError

TONIC_PAGE = "https://tonic.readthedocs.io"


@dataclass(frozen=True)
class Named:
    """A data set that the command line can load. Call it with a path, where it needs one, and a seed.

    Args:
        name: short name.
        what: one line about it.
        publisher: where to download it; ``None`` where it ships with a package.
        loader: the function behind it.
    """

    name: str
    what: str
    publisher: str | None
    loader: Callable[..., Dataset]

    def __call__(self, path: str | Path | None = None, *, seed: int = 0) -> Dataset:
        """Load it.

        Raises:
            InputError: a path is missing, or given where there is nothing to read.
        """
        self.check_path(path)
        return self.loader(seed=seed) if self.ships else self.loader(path, seed=seed)

    @property
    def ships(self) -> bool:
        """Whether it comes with a package, and so needs no path."""
        return self.publisher is None

    def check_path(self, path: str | Path | None) -> None:
        """Refuse, before anything is loaded, a path that is missing, or given where there is nothing to read.

        Raises:
            InputError: see above; it says where the data are to be had.
        """
        if self.ships and path is not None:
            raise InputError(f"{self.name}: found the path {path}, allowed is none; these data ship with a package")
        if not self.ships and path is None:
            raise InputError(
                f"{self.name}: found no path, allowed is that of its folder or zip as published; download it from "
                f"{self.publisher}, and name it by --data-path, in Python by path="
            )


DATASETS: dict[str, Named] = {
    named.name: named
    for named in (
        Named("digits", "handwritten digits, rate coded", None, digits),
        Named("har", "UCI HAR: activities from a phone's motion sensors, ON and OFF spikes", HAR_PAGE, har),
        Named(
            "har-current",
            "UCI HAR: features of the motion as a current, the last 8 samples at every 4th (168 inputs)",
            HAR_PAGE,
            partial(har, encoder=WindowEncoder(HarFeatures()), augment=MotionAugmentation()),
        ),
        Named(
            "har-levels",
            "UCI HAR: the same features as spikes, one line of 8 for each at every 4th sample (168 inputs)",
            HAR_PAGE,
            partial(har, encoder=LevelEncoder(HarFeatures()), augment=MotionAugmentation()),
        ),
        Named("hapt", "UCI HAPT: the same from continuous recordings", HAPT_PAGE, hapt),
        Named("shd", "Spiking Heidelberg Digits, through tonic", TONIC_PAGE, partial(tonic_events, "shd")),
        Named("nmnist", "N-MNIST, through tonic", TONIC_PAGE, partial(tonic_events, "nmnist")),
        Named(
            "dvs-gesture",
            "DVS Gesture at a quarter of its resolution, through tonic",
            TONIC_PAGE,
            partial(tonic_events, "dvs-gesture", shrink=4),
        ),
        Named("ts", "a problem as NAME_TRAIN.ts and NAME_TEST.ts", TS_PAGE, ts_archive),
    )
}
"""Name -> data set, for the command line."""


def load_dataset(
    name: str | Path, path: str | Path | None = None, *, seed: int = 0, encoder: str | None = None
) -> Dataset:
    """The data set called ``name``, from ``path`` where it needs one, or your own in a file (:func:`load_arrays`).

    >>> len(load_dataset("digits").train)
    1077

    Args:
        name: one of :data:`DATASETS`, or the path of a ``.npz`` or ``.ts`` file or of a folder.
        path: where the data called ``name`` lie.
        seed: draws the split.
        encoder: its name, instead of the data set's own; fitted on the training samples.

    Raises:
        InputError: no such name, or a path is missing or not needed.
        FileFormatError: the files are not what they should be.
    """
    name = as_path(name) if not isinstance(name, str) else name
    if name not in DATASETS and is_own_file(str(name)):
        if path is not None:
            raise InputError(f"{name}: found the path {path} beside it, allowed is none; it is a path itself")
        return load_arrays(name, seed=seed, encoder=encoder)
    if name not in DATASETS:
        raise InputError(unknown_name("data", str(name), DATASETS))
    dataset = DATASETS[str(name)](path, seed=seed)
    return dataset if encoder is None else encoded_by(dataset, encoder)
