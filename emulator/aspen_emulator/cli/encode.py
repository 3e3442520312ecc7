"""``aspen encode``: the spikes, or the current, that an encoder makes of values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from aspen._base.arrays import Array, as_array
from aspen.data import Dataset, Encoder, load_dataset
from aspen.data.choosing import encoder_for, encoder_names
from aspen_emulator.cli.common import NetworkFile, OneOf, refuse_without, save_array
from aspen_emulator.cli.files import ARRAY_INPUT, ARRAY_OUTPUT, FileCommand, InputFile, saving, say
from aspen_emulator.cli.given import DATA, OWN_DATA, check_one_way, data_path_option, dataset_for, stored_encoder
from aspen_emulator.cli.numbers import Whole
from aspen_emulator.engines.inputs import load_spikes


@click.command("encode", cls=FileCommand)
@click.argument("network", type=InputFile(), required=False)
@click.option("--encoder", type=OneOf(encoder_names()),
              help="Instead of that in NETWORK; fitted on the training samples of --data, else on the values."
              )  # fmt: skip
@click.option("--values", "values_path", type=ARRAY_INPUT,
              help="Raw values, .npy: (samples, *shape) as in the data set, or (samples, time, *shape) of signals."
              )  # fmt: skip
@click.option("--data", type=DATA, help=f"A data set instead of --values: {OWN_DATA}.")
@data_path_option
@click.option("--part", type=OneOf(["train", "validation", "test"]), default="validation", show_default=True,
              help="Part of the data set.")  # fmt: skip
@click.option("--samples", "most", type=Whole(min=1), help="The first so many alone.")
@click.option("--seed", type=Whole(min=0), help="Of an encoder that draws at random.  [default: that by which every "
              "command encodes this part of --data; 0 for --values]")  # fmt: skip
@click.option("--output", required=True, type=ARRAY_OUTPUT,
              help="Where they go, .npy: (time, samples, *shape); - for standard output.")  # fmt: skip
@click.option("--labels-output", type=ARRAY_OUTPUT, help="Where the classes of the data set go, .npy: (samples,).")
def encode_command(
    network: Path | None,
    encoder: str | None,
    values_path: Path | None,
    data: str | Path | None,
    data_path: Path | None,
    part: str,
    most: int | None,
    seed: int | None,
    output: Path,
    labels_output: Path | None,
) -> None:
    """Make spikes, or a current, of raw values, by the encoder in NETWORK or by one of a name."""
    check_one_way({"--values": values_path, "--data": data})
    if network is not None and encoder is not None:
        raise click.UsageError(f"found --encoder {encoder} beside {network}, allowed is one encoder; leave one out")
    trained = None if network is None else NetworkFile(network)
    if data is not None:
        dataset = _dataset(trained, data, data_path, part, encoder)
        chosen, labels = dataset.encoder, dataset.part(part).labels
        encoded = _part(dataset, part, most, seed)
    else:
        refuse_without("--data", ("data_path", "part", "labels_output"))
        assert values_path is not None  # as one was given
        values, labels = as_array("values", load_spikes(values_path)), np.zeros(0, np.int64)
        chosen = _encoder(trained, values, encoder)
        encoded = chosen.encode(values[:most], seed or 0)
    with saving() as outcome:
        save_array(output, encoded)
    if labels_output is not None:
        with saving():
            save_array(labels_output, labels[:most])
    say(_text(encoded, chosen, None if outcome.failed else output), outputs=(output, labels_output))


def _dataset(trained: NetworkFile | None, data: str | Path, path: Path | None, part: str, name: str | None) -> Dataset:
    if trained is None:
        return load_dataset(data, path, encoder=name)
    dataset = dataset_for(trained, data, path, part)
    return replace(dataset, encoder=stored_encoder(trained))


def _part(dataset: Dataset, part: str, most: int | None, seed: int | None) -> Array:
    """(time, samples, *shape): the first samples of a part, drawn as every command does unless a seed is given."""
    if seed is None:
        return dataset.spikes(part)[:, :most]
    return dataset.encode(dataset.part(part).values[:most], seed)


def _encoder(trained: NetworkFile | None, values: Array, name: str | None) -> Encoder:
    if trained is not None:
        return stored_encoder(trained)
    if name is None:
        raise click.UsageError(
            "found --values alone, allowed is with NETWORK, which holds its encoder, or with --encoder rate; name one"
        )
    return encoder_for(values, name)[0]


def _text(encoded: Array, encoder: Encoder, output: Path | None) -> str:
    kind = getattr(encoder, "kind", type(encoder).__name__)
    if encoded.dtype.kind == "f":
        what = f"current {encoded.min():g} to {encoded.max():g}"
    else:
        what = f"spikes in {encoded.mean(dtype=np.float64):.1%} of the places"
    lines = [f"{what}, (time, samples, *shape) = {encoded.shape}, encoder {kind}"]
    return "\n".join([*lines, *([] if output is None else [f"saved: {output}"])])
