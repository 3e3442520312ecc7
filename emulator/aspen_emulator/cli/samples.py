"""What commands that measure accuracy share: labelled samples, their encodings, and where the knob stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from aspen._base.arrays import Array
from aspen._base.memory import check_memory
from aspen.calibration.table import CalibrationTable
from aspen.data import Encoder, Samples
from aspen.dial.path import AnyDial
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.units import parse_duration
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    NetworkFile,
    engine_option,
    float_option,
    prepare,
    refuse_without,
)
from aspen_emulator.cli.files import ARRAY_INPUT
from aspen_emulator.cli.given import (
    DATA,
    OWN_DATA,
    check_made,
    data_path_option,
    dataset_for,
    part_option,
    stored_encoder,
    values_option,
)
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.knobs import dial_option, front_for, load_dial, read_knobs
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.engines.inputs import load_spikes, thresholds_for
from aspen_emulator.engines.run import network_of
from aspen_emulator.measuring.bench import KNOBS, SCALES, Bench, dial_knobs
from aspen_hardware.chips.description import Chip, chip

ENOUGH = 1000
"""Inferences from which on :meth:`Labelled.advise_seeds` is silent."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Samples in one or more encodings, their classes, what to call them, whether they can be encoded anew, who they
    are from, and what the classes are called, where that is known."""

    encodings: list[Array]
    labels: Array
    name: str
    random: bool = False
    subjects: Array | None = None
    class_names: tuple[str, ...] = ()

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
        source, values_path, labels_path: files of the user's own samples, as spikes or as values.
        data, data_path, part, seeds: a data set instead, the part of it, and in how many encodings.
        knobs: numbers with commas between them.
        scales: the same as threshold scales, in a file with a learned dial too.
        dial: whether they are the learned dial's; otherwise they are threshold scales.
        window_time: from inference to inference, with a unit; None: the chip's time of a step.
        early, max_loss: whether inferences end early, and points of accuracy that this may cost.
        engine, floating: what runs the network, and whether on no chip.
    """

    source: Path | None
    values_path: Path | None
    labels_path: Path | None
    data: str | Path | None
    data_path: Path | None
    part: str
    seeds: int
    knobs: str | None
    scales: str | None
    dial: bool
    window_time: str | None
    early: bool
    max_loss: float
    engine: str
    floating: bool

    @property
    def loss(self) -> float | None:
        """Fraction of accuracy that ending early may cost; None: inferences are not ended early."""
        return self.max_loss / 100 if self.early else None

    def front(self, trained: NetworkFile, targets: Sequence[Chip]) -> CalibrationTable | None:
        """The calibrated front that a knob runs along where no lever is named; None: there is none, or one is."""
        if self.dial or self.early or self.scales is not None:
            return None
        return front_for(trained, None if self.floating else targets[0] if targets else chip(DEFAULT_CHIP))

    def turning(self, trained: NetworkFile) -> Measuring:
        """The same of the lever that the file has: its learned dial, but where threshold scales are named."""
        return replace(self, dial=True) if self.scales is None and trained.dial is not None else self

    def knob_list(self, front: bool = False, dial: DialProfile | None = None) -> list[float]:
        """The knobs; default: a range that suits what is turned.

        Args:
            front: whether they are of a front.
            dial: the learned dial; those at which a few of its neurons go off are among the default.

        Raises:
            click.UsageError: they are no such list, or an option would do nothing.
        """
        if not self.early:
            refuse_without("--early", ["max_loss"])
        if self.knobs is not None and self.scales is not None:
            raise click.UsageError("found --knobs beside --scales, allowed is one; leave out --scales")
        if self.dial and self.scales is not None:
            raise click.UsageError("found --dial beside --scales, allowed is one lever; give the dial's --knobs")
        if self.knobs is None and self.scales is None:
            return list(KNOBS if front else dial_knobs(dial) if self.dial else SCALES)
        option, text = ("--scales", self.scales) if self.knobs is None else ("--knobs", self.knobs)
        return read_knobs(text or "", option, self.dial or front)

    def samples(self, trained: NetworkFile) -> Labelled:
        """The samples; those of a data set are encoded by the encoder in the network's file, if there is one.

        Raises:
            click.UsageError: the options do not go together.
        """
        if self.data is None:
            refuse_without("--data", ("data_path", "part"))
            return self._own_samples(trained)
        if any(path is not None for path in (self.source, self.values_path, self.labels_path)):
            raise click.UsageError(
                "found --data beside --input, --values or --labels, allowed is one way to give the samples"
            )
        dataset = dataset_for(trained, self.data, self.data_path, self.part)
        name = self.data if isinstance(self.data, str) else dataset.name
        encoded = _encoded(
            dataset.encoder, dataset.part(self.part), f"{name} {self.part}", self, dataset.spikes(self.part)
        )
        return replace(encoded, class_names=tuple(dataset.class_names))

    def _own_samples(self, trained: NetworkFile) -> Labelled:
        """What --input or --values, and --labels, name."""
        named = {"--input": self.source, "--values": self.values_path}
        options = {option: path for option, path in named.items() if path is not None}
        _check_own(list(options), self.labels_path is not None)
        assert self.labels_path is not None  # as it was checked
        if self.values_path is None:
            refuse_without("--data or --values", ("seeds",))
        given, labels = next(iter(options.values())), load_spikes(self.labels_path)
        if self.values_path is None:
            return Labelled([_spikes(given, labels)], labels, given.name)
        encoder, values = stored_encoder(trained), load_spikes(given)
        check_made(trained, given.name, values, encoder.encode(values[:1], 0).shape[2:])
        return _encoded(encoder, Samples(values, labels), given.name, self)

    def bench(
        self,
        trained: NetworkFile,
        samples: Labelled,
        targets: Sequence[Chip],
        knobs: Sequence[float],
        front: CalibrationTable | None = None,
    ) -> Bench:
        """What to measure: the network compiled for the first chip, whose counts all chips are priced from.

        Args:
            trained: the network's file.
            samples: what it is measured on.
            targets: the chips.
            knobs: where the knob stands in turn.
            front: what it runs along, if it does.

        Raises:
            InputError: the network or the chip does not allow one of the knobs.
        """
        if len({target.name for target in targets}) < len(targets):
            raise click.UsageError("found a --chip twice, allowed is each once")
        program, on = prepare(trained, targets[0] if targets else None, self.floating)
        profile: AnyDial | None = load_dial(trained, program, on, knobs) if self.dial else None
        if front is not None:
            dial = load_dial(trained, program, on, []) if front.turns == "profile" else None
            profile = front.along(network_of(program), dial)
        for knob in knobs:
            thresholds_for(network_of(program), knob if profile is None else profile.scale(knob), 1, 1)
        chips: list[Chip | None] = [*targets] or [on]
        steps = len(samples.encodings[0])
        step_time = None if self.window_time is None else parse_duration(self.window_time, "--window-time") / steps
        return Bench(
            program, samples.encodings, samples.labels, chips, self.engine, profile, samples.subjects, step_time
        )


def listed(knobs: Sequence[float]) -> str:
    """Numbers with commas between them."""
    return ",".join(f"{knob:g}" for knob in knobs)


measuring_options = group_of(
    Measuring,
    "measuring",
    click.option("--input", "source", type=ARRAY_INPUT, help="Spikes, .npy: (time, samples, *shape)."),
    values_option,
    click.option("--labels", "labels_path", type=ARRAY_INPUT, help="Classes, .npy: (samples,) integers."),
    click.option("--data", type=DATA, help=f"A data set instead, with its classes: {OWN_DATA}."),
    data_path_option,
    part_option,
    click.option("--seeds", type=Whole(min=1), default=1, show_default=True,
                 help="Encodings of each sample that are averaged, where the encoder is random."),
    click.option("--knobs", metavar="X,X,...", help="Where the knob stands in turn: that of the learned dial, and "
                 "where there is none a factor on all hidden thresholds.  "
                 f"[default: {listed(KNOBS)}, or {listed(SCALES)}]"),
    click.option("--scales", metavar="S,S,...", help="Factors on all hidden thresholds in turn, instead of --knobs."),
    dial_option,
    click.option("--window-time", metavar="TIME",
                 help="From inference to inference, such as 2.56s: how long a microcontroller sleeps, "
                 "and static power is drawn.  [default: as the chip's file has it]"),
    click.option("--early", is_flag=True,
                 help="End inferences early, as soon as their answer is unlikely to be wrong."),
    click.option("--max-loss", type=Number(0, 100, min_open=True, max_open=True), default=0.5, show_default=True,
                 help="With --early: points of accuracy that it may cost."),
    engine_option,
    float_option,
)  # fmt: skip


def _encoded(encoder: Encoder, part: Samples, name: str, asked: Measuring, first: Array | None = None) -> Labelled:
    """Samples in as many encodings as asked for; ``first`` is one of them, where it is there already."""
    random = bool(getattr(encoder, "random", False))
    if asked.seeds > 1 and not random:
        kind = type(encoder).__name__
        raise click.UsageError(f"found --seeds {asked.seeds}, allowed is 1: {kind} encodes a sample the same each time")
    first = encoder.encode(part.values, 0) if first is None else first
    check_memory(f"--seeds {asked.seeds}: as many encodings", asked.seeds * first.nbytes, "measure fewer encodings")
    again = [encoder.encode(part.values, 1000 + seed) for seed in range(1, asked.seeds)]
    people = 0 if part.subjects is None else len(set(part.subjects.tolist()))
    name = f"{name}{f' of {people} subjects' if people > 1 else ''}"
    return Labelled([first, *again], part.labels, name, random, part.subjects if people > 1 else None)


def _check_own(options: list[str], labels: bool) -> None:
    """Refuse samples without labels, labels without samples, and samples that are given twice."""
    if len(options) == 1 and labels:
        return
    found = " and ".join(options) or ("--labels without --input or --values" if labels else "no samples")
    lacking = " without --labels" if options and not labels else ""
    raise click.UsageError(
        f"found {found}{lacking}, allowed is --input or --values, with --labels; or --data digits, or --data my.npz "
        f"with X and y in it"
    )


def _spikes(source: Path, labels: Array) -> Array:
    """What --input names, told from the --labels where they were exchanged."""
    spikes = load_spikes(source)
    if spikes.ndim == 1 < labels.ndim:
        raise InputError(
            f"--input, --labels: found shapes {spikes.shape} and {labels.shape}, allowed are (time, samples, *shape) "
            f"and (samples,); exchange them"
        )
    return spikes
