"""Event data as ``tonic`` reads it (SHD, N-MNIST, DVS Gesture): from events to spikes at time steps."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_integers
from aspen._base.memory import check_memory
from aspen._base.names import unknown_name
from aspen._base.packages import needed_for
from aspen.data.datasets import Dataset, Samples, split_stratified, split_subjects
from aspen.data.encoders import check_integer, check_number
from aspen.data.temporal import SpikeEncoder
from aspen.errors import InputError

_FEWER = "take fewer or longer steps, or shrink the sensor"
TONIC = {"shd": "SHD", "nmnist": "NMNIST", "dvs-gesture": "DVSGesture"}
"""Name here -> class in ``tonic.datasets``."""


class EventSamples(Protocol):
    """What the classes of ``tonic.datasets`` give: samples by index, each events and a label."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Array, Any]: ...


def events_to_spikes(events: Array, sensor_size: Sequence[int], steps: int, step_us: float, shrink: int = 1) -> Array:
    """One recording of events as spikes: a place spikes in a time step in which it has at least one event.

    Time starts at the first event; events after ``steps`` steps are left out.

    >>> recording = np.array([(0, 3), (12_000, 5)], [("t", "i8"), ("x", "i8")])  # microseconds, place
    >>> events_to_spikes(recording, (8, 1, 1), steps=2, step_us=10_000)  # (steps, places)
    array([[0, 0, 0, 1, 0, 0, 0, 0],
           [0, 0, 0, 0, 0, 1, 0, 0]], dtype=uint8)

    Args:
        events: structured (events,), with the fields ``t`` (microseconds), ``x``, and where the sensor has them ``y``
            and ``p`` (polarity): the arrays of ``tonic``.
        sensor_size: (width, height, polarities), as ``tonic`` gives it; (700, 1, 1) for SHD.
        steps: time steps.
        step_us: length of a time step in microseconds.
        shrink: merge blocks of ``shrink`` x ``shrink`` places (along x only where the height is 1).

    Returns:
        uint8 (steps, polarities, height, width); (steps, polarities * width) for a sensor of height 1.

    Raises:
        InputError: a field is missing, or an event lies outside the sensor.
    """
    width, height, polarities = _check_sensor(sensor_size)
    check_integer("steps", steps, 1)
    check_integer("shrink", shrink, 1)
    check_number("step_us", step_us, 0.0, above=True)
    array = np.asarray(events)
    needed = ["t", "x", *(["y"] if height > 1 else []), *(["p"] if polarities > 1 else [])]
    if array.dtype.names is None or array.ndim != 1 or any(name not in array.dtype.names for name in needed):
        raise InputError(
            f"events: found {array.dtype} of shape {array.shape}, allowed is a structured array (events,) with the "
            f"fields {', '.join(needed)}; tonic's data sets give such arrays"
        )
    columns = -(-width // shrink)
    rows = 1 if height == 1 else -(-height // shrink)
    shape = (steps, polarities, rows, columns)
    check_memory(f"events as spikes of shape {shape}", prod(shape), _FEWER)
    spikes = np.zeros(shape, np.uint8)
    if len(array):
        x = _inside("x", array, width) // shrink
        y = _inside("y", array, height) // shrink if height > 1 else 0
        p = _inside("p", array, polarities) if polarities > 1 else 0
        time = array["t"].astype(np.float64)
        step = ((time - time.min()) // step_us).astype(np.int64)
        kept = step < steps
        places = np.stack([np.broadcast_to(a, step.shape)[kept] for a in (step, p, y, x)])
        spikes[tuple(places)] = 1
    return spikes.reshape(steps, -1) if height == 1 else spikes


def _check_sensor(sensor_size: Sequence[int]) -> tuple[int, int, int]:
    width, height, polarities = as_integers(
        "sensor_size", sensor_size, 1, 4096, 3, remedy="give (width, height, polarities)"
    )
    return width, height, polarities


def _inside(field: str, events: Array, size: int) -> Array:
    places: Array = events[field].astype(np.int64)
    if places.min() < 0 or places.max() >= size:
        raise InputError(
            f"events: found {field} from {places.min()} to {places.max()}, allowed is 0 to {size - 1}; "
            f"check sensor_size"
        )
    return places


def events(
    name: str,
    train: EventSamples,
    test: EventSamples,
    *,
    sensor_size: Sequence[int],
    classes: int,
    steps: int = 100,
    step_us: float = 10_000.0,
    shrink: int = 1,
    validation: float = 0.2,
    subjects: Array | None = None,
    validation_subjects: int | Sequence[int] = 4,
    seed: int = 0,
) -> Dataset:
    """A data set of events as spikes.

    >>> recording = np.array([(0, 3), (12_000, 5)], [("t", "i8"), ("x", "i8")])  # microseconds, place
    >>> part = [(recording, 0), (recording, 1)] * 5
    >>> data = events("two", part, part, sensor_size=(8, 1, 1), classes=2, steps=2)
    >>> len(data.train), data.spikes("validation").shape
    (8, (2, 2, 8))

    Args:
        name: short name.
        train, test: samples as ``tonic`` gives them: (events, label), labels from 0.
        sensor_size, steps, step_us, shrink: as in :func:`events_to_spikes`.
        classes: number of classes.
        validation: fraction of each class of ``train`` to hold out, where ``subjects`` is not given.
        subjects: (len(train),) who each training sample is from; then whole subjects are held out.
        validation_subjects: how many of them, or which.
        seed: of that draw.

    Raises:
        InputError: an empty part, a label or event that is not allowed, or an impossible split.
    """
    parts = []
    for what, part in (("train", train), ("test", test)):
        if not len(part):
            raise InputError(f"{what}: found no samples, allowed is 1 and more; check the path of the data")
        spikes, labels = [], []
        for i in range(len(part)):
            recording, label = part[i]
            spikes.append(events_to_spikes(recording, sensor_size, steps, step_us, shrink))
            check_memory(f"{what}: {len(part)} recordings as spikes", (len(part) - i) * spikes[0].nbytes, _FEWER)
            labels.append(int(label))
        numbers = np.array(labels, np.int64)
        if numbers.min() < 0 or numbers.max() >= classes:
            raise InputError(f"{what}: found labels {numbers.min()} to {numbers.max()}, allowed is 0 to {classes - 1}")
        parts.append(Samples(np.stack(spikes), numbers))
    if subjects is None:
        kept, held = split_stratified(parts[0], validation, seed)
    else:
        kept, held = split_subjects(
            Samples(parts[0].values, parts[0].labels, np.asarray(subjects, np.int64)), validation_subjects, seed
        )
    return Dataset(name, kept, held, parts[1], SpikeEncoder(), classes)


def tonic_events(name: str, path: str | Path, **options: Any) -> Dataset:
    """``shd``, ``nmnist`` or ``dvs-gesture`` through ``tonic``, which downloads to ``path`` what is not there yet.

    Where ``tonic`` tells who the samples are from (SHD's speakers, DVS Gesture's users), whole persons are held out
    for validation; otherwise (N-MNIST) some samples of each class.

    Args:
        name: which.
        path: folder that ``tonic`` keeps its data in.
        options: of :func:`events`; for DVS Gesture give ``shrink=4`` or more, or the spikes need gigabytes.

    Raises:
        InputError: another name.
        MissingDependencyError: ``tonic`` is not installed.
    """
    if name not in TONIC:
        raise InputError(unknown_name("events", name, TONIC, "for others use aspen.data.events"))
    with needed_for("event data", "tonic"):
        datasets = importlib.import_module("tonic.datasets")
    train, test = (getattr(datasets, TONIC[name])(save_to=str(path), train=part) for part in (True, False))
    known: dict[str, Any] = {"sensor_size": train.sensor_size, "classes": len(train.classes)}
    people = getattr(train, "speaker", getattr(train, "users", None))
    if people is not None:
        known["subjects"] = people
    return events(name, train, test, **{**known, **options})
