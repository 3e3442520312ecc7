"""What commands that measure accuracy share: labelled samples, encodings, settings of the dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import isfinite
from pathlib import Path

import click

from aspen._base.arrays import Array
from aspen._base.memory import check_memory
from aspen.data import DATASETS, Dataset, load_dataset
from aspen.errors import InputError
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    Decorated,
    NetworkFile,
    OneOf,
    load_dial,
    prepare,
    refuse_without,
)
from aspen_emulator.cli.files import ARRAY_INPUT
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.engines.inputs import load_spikes, thresholds_for
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import SCALES, Bench
from aspen_hardware.chips.description import Chip

ENOUGH = 1000
"""Inferences from which on :meth:`Labelled.advise_seeds` is silent."""
KNOBS = tuple(k / 10 for k in range(11))
_OPTIONS = (
    click.option("--input", "source", type=ARRAY_INPUT, help="Spikes, .npy: (time, samples, *shape)."),
    click.option("--labels", "labels_path", type=ARRAY_INPUT, help="Classes, .npy: (samples,) integers."),
    click.option("--data", type=OneOf(list(DATASETS)), help="A data set instead of --input and --labels."),
    click.option("--data-path", type=click.Path(exists=True, path_type=Path),
                 help="Where the data lie, folder or zip as published; digits need none."),
    click.option("--part", type=OneOf(["validation", "test"]), default="validation", show_default=True,
                 help="Part of the data set; choose settings on validation data."),
    click.option("--seeds", type=Whole(min=1), default=1, show_default=True,
                 help="Encodings of each sample that are averaged, where the encoder is random."),
)  # fmt: skip


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


chips_option = click.option(
    "--chip", "targets", type=ChipParameter(), multiple=True,
    help=f"Chip name or file; several: compiled for the first, priced on all.  [default: {DEFAULT_CHIP}]",
)  # fmt: skip
early_option = click.option(
    "--early", is_flag=True, help="End inferences early, as soon as their answer is unlikely to be wrong."
)
max_loss_option = click.option(
    "--max-loss", type=Number(0, 100, min_open=True, max_open=True), default=0.5, show_default=True,
    help="With --early: points of accuracy that it may cost.",
)  # fmt: skip


def sample_options(command: Decorated) -> Decorated:
    """The options that say which samples are measured."""
    return reduce(lambda inner, option: option(inner), reversed(_OPTIONS), command)


def read_samples(
    trained: NetworkFile,
    source: Path | None,
    labels: Path | None,
    data: str | None,
    path: Path | None,
    part: str,
    seeds: int,
) -> Labelled:
    """What the options name; a data set is encoded by the encoder in the network's file, if there is one.

    Raises:
        click.UsageError: the options do not go together.
    """
    if data is None:
        refuse_without("--data", ("data_path", "part", "seeds"))
        return _own_samples(source, labels)
    if source is not None or labels is not None:
        raise click.UsageError("found --data beside --input or --labels, allowed is one way to give the samples")
    dataset = dataset_for(trained, data, path)
    random = bool(getattr(dataset.encoder, "random", False))
    if seeds > 1 and not random:
        raise click.UsageError(
            f"found --seeds {seeds}, allowed is 1: {type(dataset.encoder).__name__} encodes a sample the same each time"
        )
    values = dataset.part(part).values
    first = dataset.spikes(part)
    check_memory(f"--seeds {seeds}: as many encodings", seeds * first.nbytes, "measure fewer encodings")
    again = [dataset.encoder.encode(values, 1000 + seed) for seed in range(1, seeds)]
    subjects = dataset.part(part).subjects
    people = 0 if subjects is None else len(set(subjects.tolist()))
    name = f"{data} {part}{f' of {people} subjects' if people > 1 else ''}"
    return Labelled([first, *again], dataset.part(part).labels, name, random, subjects if people > 1 else None)


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


def read_settings(text: str | None, dial: bool) -> list[float]:
    """The knob settings that ``--scales`` lists; default: a range that suits the dial."""
    if text is None:
        return list(KNOBS if dial else SCALES)
    try:
        settings = [float(setting) for setting in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(
            f"found {text!r}, allowed are numbers such as 0.5,1,2", param_hint="--scales"
        ) from error
    if not all(isfinite(setting) and (dial or setting > 0) for setting in settings):
        allowed = "finite numbers" if dial else "factors on the thresholds, finite and above 0"
        raise click.BadParameter(f"found {text!r}, allowed are {allowed}, such as 0.5,1", param_hint="--scales")
    if len(set(settings)) < len(settings):
        raise click.BadParameter(f"found {text!r}, allowed is each setting once", param_hint="--scales")
    return settings


def make_bench(
    trained: NetworkFile,
    samples: Labelled,
    targets: Sequence[Chip],
    settings: Sequence[float],
    *,
    floating: bool,
    dial: bool,
    engine: str,
) -> Bench:
    """What to measure: the network compiled for the first chip, whose counts all chips are priced from.

    Raises:
        InputError: the network or the chip does not allow one of the settings.
    """
    if len({target.name for target in targets}) < len(targets):
        raise click.UsageError("found a --chip twice, allowed is each once")
    program, on = prepare(trained, targets[0] if targets else None, floating)
    profile = load_dial(trained, program, on, settings) if dial else None
    for setting in settings:
        thresholds_for(network_of(program), setting if profile is None else profile.scale(setting), 1, 1)
    chips: list[Chip | None] = [*targets] or [on]
    return Bench(program, samples.encodings, samples.labels, chips, engine, profile, samples.subjects)


def listed(settings: Sequence[float]) -> str:
    """Numbers with commas between them."""
    return ",".join(f"{setting:g}" for setting in settings)
