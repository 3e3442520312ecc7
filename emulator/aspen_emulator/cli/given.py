"""What a command runs a network on: spikes, values that its encoder makes spikes of, or a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from click.shell_completion import CompletionItem

from aspen._base.arrays import Array
from aspen._base.names import unknown_name
from aspen.data import DATASETS, Dataset, load_dataset
from aspen.data.own_files import is_own_file
from aspen.data.stored import load_encoder
from aspen.errors import InputError
from aspen_emulator.cli.common import NetworkFile, OneOf, warn
from aspen_emulator.cli.completion import beginning_with, with_suffixes
from aspen_emulator.cli.files import ARRAY_INPUT
from aspen_emulator.engines.inputs import load_spikes


class DataParameter(click.Path):
    """The name of a data set, or the path of one's own: a .npz or .ts file, or a folder."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)
        self.name = "name|file|folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, Path) or value in DATASETS:
            return value
        if is_own_file(value):
            return super().convert(value, param, ctx)
        own = "or a .npz or .ts file or a folder of your own"
        return self.fail(f"{unknown_name('data', value, DATASETS)}, {own}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[Any]]:
        return [*beginning_with(incomplete, DATASETS), *with_suffixes([".npz", ".ts"])]


DATA = DataParameter()
OWN_DATA = f"{', '.join(DATASETS)}; or your own: a .npz file with X and y, a .ts file, or a folder of .csv files"
data_path_option = click.option(
    "--data-path",
    type=click.Path(exists=True, path_type=Path),
    help="Where the data of that name lie, folder or zip as published; digits need none.",
)
part_option = click.option("--part", type=OneOf(["validation", "test"]), default="validation", show_default=True,
                           help="Part of the data set; choose knobs on validation data.")  # fmt: skip
values_option = click.option(
    "--values", "values_path", type=ARRAY_INPUT,
    help="Raw values instead, .npy: (samples, *shape) as in the data set, or (samples, time, *shape) of signals; the "
         "encoder in NETWORK makes spikes of them."
)  # fmt: skip


def read_input(trained: NetworkFile, source: Path | None, values: Path | None, seed: int = 0) -> Array:
    """The spikes or the current of a file, or made of the raw values in one by the encoder beside the network.

    Raises:
        click.UsageError: neither is given, or both.
    """
    if source is not None and values is None:
        return _input_of(trained, source)
    if values is None or source is not None:
        found = "neither --input nor --values" if values is None else "both --input and --values"
        raise click.UsageError(f"found {found}, allowed is one of them; give spikes, or raw values")
    return encoded(trained, values, seed)


def check_one_way(ways: Mapping[str, object]) -> None:
    """Refuse samples that are given in no way, or in several.

    Args:
        ways: option -> its value, ``None`` where it was not given.

    Raises:
        click.UsageError: as it says.
    """
    given = [option for option, value in ways.items() if value is not None]
    if len(given) != 1:
        options = list(ways)
        listed = f"{', '.join(options[:-1])} and {options[-1]}"
        raise click.UsageError(f"found {' and '.join(given) or 'no samples'}, allowed is one of {listed}")


def _input_of(trained: NetworkFile, source: Path) -> Array:
    """What --input names; raw values are told from it where the network's file has an encoder for them."""
    given, population = load_spikes(source), trained.network.input
    alike = given.shape[1:] == population.given_shape and not population.static
    if alike and trained.encoder is not None and not np.isin(given, (0, 1)).all():
        wanted = ", ".join(map(str, ("time", "batch", *population.given_shape)))
        raise InputError(
            f"{source.name}: found values {given.shape}, allowed after --input are spikes or currents ({wanted}); give "
            f"values as --values, for the encoder in {trained.path.name}"
        )
    return given


def encoded(trained: NetworkFile, values: Path, seed: int = 0) -> Array:
    """(time, samples, *shape): what the encoder in the network's file makes of the values in another."""
    given = load_spikes(values)
    made: Array = stored_encoder(trained).encode(given, seed)
    check_made(trained, values.name, given, made.shape[2:])
    return made


def check_made(trained: NetworkFile, name: str, values: Array, made: tuple[int, ...]) -> None:
    """Refuse values of which the encoder makes something of another shape than the network takes.

    Args:
        trained: the network's file.
        name: of the values.
        values: (samples, ...).
        made: shape of a time step that was made of one of these.

    Raises:
        InputError: it is not that of the network's input.
    """
    wanted = trained.network.input.given_shape
    if made != wanted:
        raise InputError(
            f"{name}: found samples of shape {values.shape[1:]}, which are encoded as {made}, allowed is what is "
            f"encoded as {wanted}, the input of {trained.path.name}; give samples like those that it was trained on"
        )


def stored_encoder(trained: NetworkFile) -> Any:
    """The encoder in the network's file.

    Raises:
        click.UsageError: files of this kind hold none.
    """
    if not trained.has_sections:
        raise click.UsageError(f"{trained.path}: found --values, allowed with .aspen files, which may hold an encoder")
    return load_encoder(trained.sections)


def dataset_for(trained: NetworkFile, data: str | Path, path: Path | None, part: str) -> Dataset:
    """The data set, encoded by the encoder in the network's file, if there is one.

    Of one's own data it warns unless the network was trained on the training samples of the same split: the others may
    then be among those that it has seen.
    """
    stored = trained.encoder
    dataset = load_dataset(data, path, encoder=None if stored is None else _AS_GIVEN)
    dataset = dataset if stored is None else replace(dataset, encoder=stored, told="")
    check_made(trained, dataset.name, dataset.train.values, dataset.input_shape)
    if dataset.provenance and part != "train":
        _check_unseen(trained, dataset, part)
    return dataset


_AS_GIVEN = "none"
"""An encoder that takes values of any kind, where another one replaces it."""


def _check_unseen(trained: NetworkFile, dataset: Dataset, part: str) -> None:
    training = trained.network.provenance.get("training")
    samples = training.get("samples") if isinstance(training, dict) else None
    known = samples.get("fingerprint") if isinstance(samples, dict) else None
    if known == dataset.provenance["fingerprint"]:
        return
    why = "does not say which samples it was trained on" if known is None else "was trained on other samples"
    warn(
        f"{dataset.name}: {trained.path.name} {why}, so that its {part} samples may be among them, which makes it look "
        f"better than it is; give the file that it was trained on, or keep samples apart as X_test and y_test"
    )
