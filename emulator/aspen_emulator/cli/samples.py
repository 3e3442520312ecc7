"""What commands that measure accuracy share: labelled samples, their encodings, and where the knob stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from aspen._base.arrays import Array
from aspen._base.memory import check_memory
from aspen.data import DATASETS, Dataset, load_dataset
from aspen.errors import InputError
from aspen_emulator.cli.common import (
    NetworkFile,
    OneOf,
    data_path_option,
    engine_option,
    float_option,
    prepare,
    refuse_without,
)
from aspen_emulator.cli.files import ARRAY_INPUT
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.knobs import dial_option, load_dial, read_knobs
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.engines.inputs import load_spikes, thresholds_for
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import SCALES, Bench
from aspen_hardware.chips.description import Chip

ENOUGH = 1000
"""Inferences from which on :meth:`Labelled.advise_seeds` is silent."""
KNOBS = tuple(k / 10 for k in range(11))
"""Of a learned dial, where no others are asked for."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples in one or more encodings, their classes, what to call them, whether they can be encoded anew, and who
    they are from, where that is known."""

    encodings: list[Array]
    labels: Array
    name: str
    random: bool = False
    subjects: Array | None = None

    def advise_seeds(self) -> None:
        """Say on standard error where more encodings would make an early stop safer."""
        if self.random and len(self.encodings) * len(self.labels) < ENOUGH:
            click.echo(
                f"note: {len(self.labels)} samples hold the loss by --early only roughly; --seeds 4 encodes each anew",
                err=True,
            )


@dataclass(frozen=True)
class Measuring:
    """What is measured, at which knobs and with what: the options that `aspen sweep` and `aspen calibrate` share.

    Args:
        source, labels_path: files of the user's own samples.
        data, data_path, part, seeds: a data set instead, the part of it, and in how many encodings.
        knobs, scales: numbers with commas between them, and the same under its former name.
        dial: whether they are the learned dial's; otherwise they are threshold scales.
        early, max_loss: whether inferences end early, and points of accuracy that this may cost.
        engine, floating: what runs the network, and whether on no chip.
    """

    source: Path | None
    labels_path: Path | None
    data: str | None
    data_path: Path | None
    part: str
    seeds: int
    knobs: str | None
    scales: str | None
    dial: bool
    early: bool
    max_loss: float
    engine: str
    floating: bool

    @property
    def loss(self) -> float | None:
        """Fraction of accuracy that ending early may cost; None: inferences are not ended early."""
        return self.max_loss / 100 if self.early else None

    def knob_list(self) -> list[float]:
        """The knobs; default: a range that suits what is turned.

        Raises:
            click.UsageError: they are no such list, or an option would do nothing.
        """
        if not self.early:
            refuse_without("--early", ["max_loss"])
        if self.knobs is not None and self.scales is not None:
            raise click.UsageError("found --knobs beside --scales, its former name, allowed is one; leave out --scales")
        if self.knobs is None and self.scales is None:
            return list(KNOBS if self.dial else SCALES)
        option, text = ("--scales", self.scales) if self.knobs is None else ("--knobs", self.knobs)
        return read_knobs(text or "", option, self.dial)

    def samples(self, trained: NetworkFile) -> Labelled:
        """The samples; those of a data set are encoded by the encoder in the network's file, if there is one.

        Raises:
            click.UsageError: the options do not go together.
        """
        if self.data is None:
            refuse_without("--data", ("data_path", "part", "seeds"))
            return _own_samples(self.source, self.labels_path)
        if self.source is not None or self.labels_path is not None:
            raise click.UsageError("found --data beside --input or --labels, allowed is one way to give the samples")
        return _encoded(dataset_for(trained, self.data, self.data_path), f"{self.data} {self.part}", self)

    def bench(self, trained: NetworkFile, samples: Labelled, targets: Sequence[Chip], knobs: Sequence[float]) -> Bench:
        """What to measure: the network compiled for the first chip, whose counts all chips are priced from.

        Raises:
            InputError: the network or the chip does not allow one of the knobs.
        """
        if len({target.name for target in targets}) < len(targets):
            raise click.UsageError("found a --chip twice, allowed is each once")
        program, on = prepare(trained, targets[0] if targets else None, self.floating)
        profile = load_dial(trained, program, on, knobs) if self.dial else None
        for knob in knobs:
            thresholds_for(network_of(program), knob if profile is None else profile.scale(knob), 1, 1)
        chips: list[Chip | None] = [*targets] or [on]
        return Bench(program, samples.encodings, samples.labels, chips, self.engine, profile, samples.subjects)


def listed(knobs: Sequence[float]) -> str:
    """Numbers with commas between them."""
    return ",".join(f"{knob:g}" for knob in knobs)


measuring_options = group_of(
    Measuring,
    "measuring",
    click.option("--input", "source", type=ARRAY_INPUT, help="Spikes, .npy: (time, samples, *shape)."),
    click.option("--labels", "labels_path", type=ARRAY_INPUT, help="Classes, .npy: (samples,) integers."),
    click.option("--data", type=OneOf(list(DATASETS)), help="A data set instead of --input and --labels."),
    data_path_option,
    click.option("--part", type=OneOf(["validation", "test"]), default="validation", show_default=True,
                 help="Part of the data set; choose knobs on validation data."),
    click.option("--seeds", type=Whole(min=1), default=1, show_default=True,
                 help="Encodings of each sample that are averaged, where the encoder is random."),
    click.option("--knobs", metavar="X,X,...", help=f"Where the knob stands in turn.  [default: {listed(SCALES)}, "
                 f"factors on all hidden thresholds, or {listed(KNOBS)} with --dial]"),
    click.option("--scales", hidden=True),
    dial_option,
    click.option("--early", is_flag=True, 
                 help="End inferences early, as soon as their answer is unlikely to be wrong."),
    click.option("--max-loss", type=Number(0, 100, min_open=True, max_open=True), default=0.5, show_default=True,
                 help="With --early: points of accuracy that it may cost."),
    engine_option,
    float_option,
)  # fmt: skip


def _encoded(dataset: Dataset, name: str, asked: Measuring) -> Labelled:
    """A part of a data set, in as many encodings as asked for."""
    part, seeds = dataset.part(asked.part), asked.seeds
    random = bool(getattr(dataset.encoder, "random", False))
    if seeds > 1 and not random:
        raise click.UsageError(
            f"found --seeds {seeds}, allowed is 1: {type(dataset.encoder).__name__} encodes a sample the same each time"
        )
    first = dataset.spikes(asked.part)
    check_memory(f"--seeds {seeds}: as many encodings", seeds * first.nbytes, "measure fewer encodings")
    again = [dataset.encoder.encode(part.values, 1000 + seed) for seed in range(1, seeds)]
    people = 0 if part.subjects is None else len(set(part.subjects.tolist()))
    name = f"{name}{f' of {people} subjects' if people > 1 else ''}"
    return Labelled([first, *again], part.labels, name, random, part.subjects if people > 1 else None)


def _own_samples(source: Path | None, labels: Path | None) -> Labelled:
    """What --input and --labels name."""
    if source is None or labels is None:
        found = "--labels without --input" if labels is not None else "--input without --labels"
        found = "no samples" if source is labels else found
        raise click.UsageError(f"found {found}, allowed is --input with --labels, or --data digits")
    spikes, classes = load_spikes(source), load_spikes(labels)
    if spikes.ndim == 1 < classes.ndim:
        raise InputError(
            f"--input, --labels: found shapes {spikes.shape} and {classes.shape}, allowed are (time, samples, *shape) "
            f"and (samples,); exchange them"
        )
    return Labelled([spikes], classes, source.name)


def dataset_for(trained: NetworkFile, data: str, path: Path | None) -> Dataset:
    """The data set, encoded by the encoder in the network's file, if there is one."""
    dataset = load_dataset(data, path)
    stored = trained.encoder
    return dataset if stored is None else replace(dataset, encoder=stored)
