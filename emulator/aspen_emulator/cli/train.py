"""``aspen train``: train a network on a data set and save it."""

from __future__ import annotations

from pathlib import Path

import click

from aspen.data import DATASETS
from aspen.profiles import save_profile
from aspen_emulator.cli.common import check_writable
from aspen_emulator.training import RECIPE_NAMES, train_network


@click.command("train")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .aspen file to write."
)
@click.option("--data", type=click.Choice(list(DATASETS)), default="digits", show_default=True, help="What to learn.")
@click.option("--data-path", type=click.Path(exists=True, path_type=Path),
              help="Where the data lie, folder or zip as published; digits need none.")  # fmt: skip
@click.option("--recipe", type=click.Choice(RECIPE_NAMES), default="perturbed", show_default=True,
              help="perturbed: thresholds moved at random, spikes priced; aspen: a dial for every neuron.")  # fmt: skip
@click.option("--hidden", default="128,64", show_default=True, help="Sizes of the hidden layers.")
@click.option("--epochs", type=click.IntRange(min=1),
              help="Passes over the training data, in each stage of the recipe.  [default: the recipe's]")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, order, encoding and perturbation.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Written after each epoch.")
@click.option("--resume", is_flag=True, help="Go on from --checkpoint, if it is there.")
@click.option("--log", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for epochs.csv, and for TensorBoard where that is installed.")  # fmt: skip
@click.option(
    "--state-dict", type=click.Path(dir_okay=False, path_type=Path), help="Also save the PyTorch weights here."
)
def train_command(
    output: Path,
    data: str,
    data_path: Path | None,
    recipe: str,
    hidden: str,
    epochs: int | None,
    seed: int,
    checkpoint: Path | None,
    resume: bool,
    log: Path | None,
    state_dict: Path | None,
) -> None:
    """Train a dense network of Leaky neurons on a data set, and export it to an .aspen file, with its dial."""
    check_writable(output, state_dict, checkpoint)
    if resume and checkpoint is None:
        raise click.UsageError("found --resume without --checkpoint, allowed is both; name the checkpoint")
    try:
        sizes = tuple(int(size) for size in hidden.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"found {hidden!r}, allowed are sizes such as 128,64", param_hint="--hidden"
        ) from error
    trained = train_network(
        recipe, data=data, data_path=data_path, hidden=sizes, epochs=epochs, seed=seed, state_dict=state_dict,
        checkpoint=checkpoint, resume=resume, log=log,
    )  # fmt: skip
    trained.network.save(output)
    if trained.profile is not None:
        save_profile(trained.profile, output)
    for setting, accuracy, spikes in trained.points:
        click.echo(f"validation, knob at {setting:g}: {accuracy:.1%} correct, {spikes:.0f} hidden spikes per inference")
    click.echo(f"saved: {output}{', with its dial' if trained.profile is not None else ''}")
