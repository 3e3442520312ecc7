"""``.ts`` archives: the time series classification archives' text format, as sktime reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen.data.datasets import Dataset, Samples, split_stratified
from aspen.data.encoders import LARGEST, StoredEncoder
from aspen.data.sources import Source
from aspen.data.temporal import DeltaEncoder
from aspen.errors import FileFormatError

TS_PAGE = "https://www.timeseriesclassification.com/dataset.php"


@dataclass(frozen=True, eq=False)
class TimeSeries:
    r"""The contents of one ``.ts`` file: series of equal length.

    >>> text = "@problemName gait\n@classLabel true walk run\n@data\n1,2,3:walk\n4,5,6:run"
    >>> series = read_ts(text, "gait_TRAIN.ts")
    >>> series.values.shape, [series.class_names[label] for label in series.labels]
    ((2, 3, 1), ['walk', 'run'])

    Args:
        name: of the problem.
        values: (n, time, dimensions) float32.
        labels: (n,) int64, indices into ``class_names``.
        class_names: as the header lists them.
    """

    name: str
    values: Array
    labels: Array
    class_names: tuple[str, ...]


def read_ts(text: str, where: str) -> TimeSeries:
    r"""Parse a ``.ts`` file: dimensions separated by ``:``, values by ``,``, the class last.

    >>> text = "@classLabel true walk run\n@data\n1,2,3:0,0,0:walk\n4,5,6:0,0,1:run"
    >>> read_ts(text, "gait_TRAIN.ts").values[1].T  # two dimensions, three samples
    array([[4., 5., 6.],
           [0., 0., 1.]], dtype=float32)

    Args:
        text: contents of the file.
        where: its name, for messages.

    Raises:
        FileFormatError: no such file, or time stamps, missing values, unequal lengths, or classes that the header does
            not list.
    """
    header, rows = _split_header(text, where)
    for tag, refused in (("timestamps", "true"), ("missing", "true"), ("equallength", "false")):
        if header.get(tag, "").lower() == refused:
            raise FileFormatError(
                f"{where}: found @{tag} {refused}, allowed are series of equal length without gaps and time stamps; "
                f"resample and fill them first"
            )
    label = header.get("classlabel", "").split()
    if len(label) < 2 or label[0].lower() != "true":
        raise FileFormatError(f"{where}: found no '@classLabel true NAME ...', allowed are labelled series; add labels")
    classes = tuple(label[1:])
    series, labels = [], []
    for number, row in rows:
        *dimensions, name = row.split(":")
        if name.strip() not in classes or not dimensions:
            raise FileFormatError(
                f"{where}, line {number}: found the class {name.strip()[:40]!r}, allowed are {', '.join(classes)}; "
                f"check the line"
            )
        series.append(_numbers(dimensions, f"{where}, line {number}"))
        labels.append(classes.index(name.strip()))
        if series[-1].shape != series[0].shape:
            raise FileFormatError(
                f"{where}, line {number}: found {series[-1].shape} (time, dimensions), the first series has "
                f"{series[0].shape}; pad or cut the series"
            )
    if not series:
        raise FileFormatError(f"{where}: found no series after @data; download the file again from {TS_PAGE}")
    name = header.get("problemname", "") or Path(where).stem
    return TimeSeries(name, np.stack(series), np.array(labels, np.int64), classes)


def _split_header(text: str, where: str) -> tuple[dict[str, str], Iterator[tuple[int, str]]]:
    header: dict[str, str] = {}
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        line = line.strip()
        if line.lower() == "@data":
            return header, ((n, row.strip()) for n, row in lines if row.strip() and not row.startswith("#"))
        if line.startswith("@"):
            tag, _, value = line[1:].partition(" ")
            header[tag.lower()] = value.strip()
        elif line and not line.startswith("#"):
            raise FileFormatError(f"{where}, line {number}: found {line[:40]!r}, allowed are # and @ before @data")
    raise FileFormatError(f"{where}: found no @data, expected a .ts file; get it from {TS_PAGE}")


def _numbers(dimensions: list[str], where: str) -> Array:
    try:
        values = np.array([[float(value) for value in dimension.split(",")] for dimension in dimensions], np.float64)
    except ValueError as error:
        raise FileFormatError(
            f"{where}: found dimensions of unequal length or no numbers ({error}), allowed are plain numbers; "
            f"fill gaps first"
        ) from error
    if not (np.abs(values) <= LARGEST).all():
        raise FileFormatError(
            f"{where}: found NaN, infinity or numbers beyond {LARGEST:g}, allowed are finite numbers; fill gaps first"
        )
    return values.T.astype(np.float32)


def ts_archive(
    path: str | Path, *, seed: int = 0, encoder: StoredEncoder | None = None, validation: float = 0.25
) -> Dataset:
    r"""A classification problem as ``NAME_TRAIN.ts`` and ``NAME_TEST.ts`` in a folder or zip.

    >>> text = "@classLabel true walk run\n@data\n1,2,3:walk\n4,5,6:run\n1,2,4:walk\n4,5,7:run"
    >>> for part in ("TRAIN", "TEST"):
    ...     written = Path(f"gait_{part}.ts").write_text(text)
    >>> data = ts_archive(".", validation=0.5)
    >>> data.name, len(data.train), data.spikes("test").shape  # (time, samples, ON and OFF)
    ('gait', 2, (3, 4, 2))

    Args:
        path: the folder or zip, of one problem.
        seed: draws the validation samples from the training file, the same fraction of each class. ``.ts`` files do
            not say who the samples are from, so people may be in both.
        encoder: is fitted on the training samples; default :class:`DeltaEncoder`.
        validation: fraction of the training file.

    Raises:
        InputError: no such path, or an impossible split.
        FileFormatError: a file is missing or cannot be read.
    """
    source = Source(path, "*_TRAIN.ts", TS_PAGE)
    name, parts = _problem(source), []
    for part in ("TRAIN", "TEST"):
        with source.text(f"{name}_{part}.ts") as stream:
            parts.append(read_ts(stream.read(), f"{path}: {name}_{part}.ts"))
    first, second = parts
    if first.class_names != second.class_names or first.values.shape[1:] != second.values.shape[1:]:
        raise FileFormatError(
            f"{path}: found other classes or shapes in the test file than in the training file, expected one problem; "
            f"get it from {TS_PAGE}"
        )
    kept, held = split_stratified(Samples(first.values, first.labels), validation, seed)
    chosen = (encoder or DeltaEncoder()).fit(kept.values)
    test = Samples(second.values, second.labels)
    return Dataset(name, kept, held, test, chosen, len(first.class_names), first.class_names)


def _problem(source: Source) -> str:
    """The one name for which there is a ``NAME_TRAIN.ts``."""
    names = [file[: -len("_TRAIN.ts")] for file in source.names if fnmatchcase(file, "*_TRAIN.ts") and "/" not in file]
    if len(names) != 1:
        raise FileFormatError(
            f"{source.path}: found the problems {', '.join(names)}, expected one NAME_TRAIN.ts with its NAME_TEST.ts; "
            f"give each its own folder"
        )
    return names[0]
