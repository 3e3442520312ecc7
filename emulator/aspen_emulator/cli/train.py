"""``aspen train``: train a network on a bundled data set and save it."""

from __future__ import annotations

from pathlib import Path

import click

from aspen_emulator.cli.common import check_writable
from aspen_emulator.training import RECIPE_NAMES, train_network


@click.command("train")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The .aspen file to write."
)
@click.option("--data", type=click.Choice(["digits"]), default="digits", show_default=True, help="What to learn.")
@click.option("--recipe", type=click.Choice(RECIPE_NAMES), default="perturbed", show_default=True,
              help="perturbed: thresholds moved at random, and a price on spikes.")  # fmt: skip
@click.option("--hidden", default="128,64", show_default=True, help="Sizes of the hidden layers.")
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the training data.  [default: the recipe's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights, order, encoding and perturbation.")
@click.option(
    "--state-dict", type=click.Path(dir_okay=False, path_type=Path), help="Also save the PyTorch weights here."
)
def train_command(
    output: Path, data: str, recipe: str, hidden: str, epochs: int | None, seed: int, state_dict: Path | None
) -> None:
    """Train a dense network of Leaky neurons on a data set, and export it to an .aspen file."""
    check_writable(output, state_dict)
    try:
        sizes = tuple(int(size) for size in hidden.split(","))
    except ValueError as error:
        raise click.BadParameter(
            f"found {hidden!r}, allowed are sizes such as 128,64", param_hint="--hidden"
        ) from error
    trained = train_network(recipe, data=data, hidden=sizes, epochs=epochs, seed=seed, state_dict=state_dict)
    trained.network.save(output)
    click.echo(f"validation: {trained.accuracy:.1%} correct, {trained.spikes:.0f} hidden spikes per inference")
    click.echo(f"saved: {output}")
