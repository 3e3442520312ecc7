"""``aspen train``: train a network on a data set and save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aspen.data.choosing import encoder_names
from aspen.dial.path import MOST_EVERY
from aspen.storage.outputs import CHECKPOINTS, WEIGHTS
from aspen.training.by_name import MODEL_KINDS, NORMALISED, SURROGATES, architecture_for, train_by_name
from aspen.training.recipes import COSTS, RECIPES, Joules, default_recipe
from aspen_emulator.cli.common import ChipParameter, OneOf, warn
from aspen_emulator.cli.files import PICTURE_OUTPUT, FileCommand, OutputFile, OutputFolder, saving
from aspen_emulator.cli.given import DATA, OWN_DATA, data_path_option
from aspen_emulator.cli.numbers import Number, Whole, Wholes
from aspen_emulator.cli.shown import show
from aspen_hardware.chips.description import Chip
from aspen_hardware.energy.prices import training_prices

if TYPE_CHECKING:
    from torch import nn

LARGEST_LAYER = 2**20
WITH = f"with {' and '.join(reversed(NORMALISED))}"
"""Where the network is by default the one that the recipes were made with."""


class Sizes(click.ParamType):
    """Sizes of layers, separated by commas; none where it is empty."""

    name = "n,n,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            sizes = tuple(int(size) for size in str(value).split(",") if value)
        except ValueError:
            sizes = (0,)
        if not 1 <= min(sizes, default=1) <= max(sizes, default=1) <= LARGEST_LAYER:
            self.fail(f"found {value!r}, allowed are sizes from 1 to {LARGEST_LAYER}, such as 128,64", param, ctx)
        return sizes


class Density(click.ParamType):
    """A share above 0 to 1, alone or as LAYER=SHARE."""

    name = "number|layer=number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[str, float]:
        if not isinstance(value, str):
            return value
        layer, _, number = value.rpartition("=")
        share: float = Number(min=0, max=1, min_open=True).convert(number, param, ctx)
        return (layer, share) if layer else share


@click.command("train", cls=FileCommand)
@click.option("--output", required=True, type=OutputFile((".aspen",)), help="The .aspen file to write.")
@click.option("--data", type=DATA, default="digits", show_default=True, help=f"What to learn: {OWN_DATA}.")
@data_path_option
@click.option("--encoder", type=OneOf(encoder_names()),
              help="What makes spikes, or with current or none a current, of the values.  [default: the data set's; of "
                   "your own: spikes as they are, delta for signals, rate for the rest]")  # fmt: skip
@click.option("--recipe", type=OneOf(list(RECIPES)),
              help="aspen-joules: a dial that switches neurons off, and a pruned network; aspen-mcu: the same for "
                   "microcontrollers, wider and not pruned; aspen: a dial for every "
                   "neuron; aspen-norm: the same with prices for a linear read-out; perturbed: thresholds moved at "
                   "random, spikes priced; l1, l2: spikes priced; plain: nothing but accuracy.  [default: aspen-mcu "
                   "where each --chip is a microcontroller, otherwise aspen-joules]")  # fmt: skip
@click.option("--model", type=OneOf(MODEL_KINDS), default="dense", show_default=True,
              help="conv: strided convolutions over an image, or over the last samples of a signal.")  # fmt: skip
@click.option("--hidden", type=Sizes(),
              help="Sizes of the hidden layers; of a conv model, those after the convolutions.  [default: 192,128 with "
                   "aspen-mcu, otherwise 128,64]")  # fmt: skip
@click.option("--channels", type=Sizes(), default="16,32", show_default=True, help="Of a conv model's convolutions.")
@click.option("--batch-norm/--no-batch-norm", default=None,
              help=f"Normalise over time and batch; it becomes part of the weights.  [default: {WITH}]")  # fmt: skip
@click.option("--learn-beta/--no-learn-beta", default=None,
              help=f"Learn a membrane decay for each neuron.  [default: {WITH}]")  # fmt: skip
@click.option("--readout", type=OneOf(["spikes", "linear"]),
              help="linear: the answer is a weighted sum of the last hidden layer's spikes; spikes: the last layer's "
                   f"neurons spike.  [default: linear {WITH}]")  # fmt: skip
@click.option("--surrogate", type=OneOf(SURROGATES), default="atan", show_default=True,
              help="Derivative that spikes train with: snnTorch's ATan, or a triangle that is zero where a membrane is "
                   "more than 0.5 from its threshold, without BatchNorm 1.")  # fmt: skip
@click.option("--epochs", type=Whole(min=1),
              help="Passes over the training data, in each stage of the recipe.  [default: the recipe's]")  # fmt: skip
@click.option("--spike-price", type=Number(min=0, max=1e6), help="Instead of the recipe's; a dial keeps its own.")
@click.option(
    "--learning-rate",
    type=Number(min=0, max=1e3, min_open=True),
    help="Instead of the recipe's in its first stage; in later ones in proportion.",
)
@click.option("--density", type=Density(), multiple=True,
              help="Share of its weights that a layer keeps: a number for all but the last, or LAYER=NUMBER, such as "
                   "fc1=0.1; may be repeated.  [default: 0.25 with aspen-joules, otherwise 1]")  # fmt: skip
@click.option("--cost", type=OneOf(COSTS),
              help="What the price is on: spikes, the synaptic operations that they cause, or the energy on --chip.  "
                   "[default: the recipe's]")  # fmt: skip
@click.option("--left", type=Number(min=0, max=1, min_open=True),
              help="Share of the hidden neurons that are on at the end of the dial; the others go off on the way, the "
                   "least important first. 1: none goes off.  [default: the recipe's]")  # fmt: skip
@click.option("--dial-price", type=Number(min=0, max=1e6, min_open=True),
              help="Price on spikes at the end of the dial.  [default: the recipe's, or 0.05 where --left switches "
                   "neurons off that the recipe leaves on]")  # fmt: skip
@click.option("--every", type=Wholes(1, MOST_EVERY),
              help="Numbers such as 1,2,4, one of which is drawn for each batch with a dial, of which the network gets "
                   "every n-th time step alone: for `aspen calibrate --every`.  [default: 1]")  # fmt: skip
@click.option("--chip", "chips", type=ChipParameter(), multiple=True,
              help="Where it is to run, name or file; may be repeated: says before the training what will not go "
                   "there. With --cost energy one, whose joules count.")  # fmt: skip
@click.option("--seed", type=Whole(min=0), default=0, show_default=True,
              help="Of weights, order, encoding and perturbation.")  # fmt: skip
@click.option("--checkpoint", type=OutputFile(CHECKPOINTS), help="Written after each epoch, .pt or .ckpt.")
@click.option("--resume", is_flag=True, help="Go on from --checkpoint, if it is there.")
@click.option("--log", type=OutputFolder(),
              help="Folder for epochs.csv, and for TensorBoard where that is installed.")  # fmt: skip
@click.option("--plot", type=PICTURE_OUTPUT, help="Draw loss, accuracy and spikes over the epochs: .png, .pdf or .svg.")
@click.option(
    "--state-dict",
    type=OutputFile(WEIGHTS),
    help="Also save the PyTorch weights here, .pt, without the dial.",
)
def train_command(
    output: Path,
    data: str | Path,
    data_path: Path | None,
    encoder: str | None,
    recipe: str | None,
    model: str,
    hidden: tuple[int, ...] | None,
    channels: tuple[int, ...],
    batch_norm: bool | None,
    learn_beta: bool | None,
    readout: str | None,
    surrogate: str,
    epochs: int | None,
    spike_price: float | None,
    learning_rate: float | None,
    density: tuple[float | tuple[str, float], ...],
    cost: str | None,
    left: float | None,
    dial_price: float | None,
    every: tuple[int, ...] | None,
    chips: tuple[Chip, ...],
    seed: int,
    checkpoint: Path | None,
    resume: bool,
    log: Path | None,
    plot: Path | None,
    state_dict: Path | None,
) -> None:
    """Train a network on a data set, and export it to an .aspen file, with its dial and its encoder."""
    if resume and checkpoint is None:
        raise click.UsageError("found --resume without --checkpoint, allowed is both; name the checkpoint")
    chosen = recipe or default_recipe(chips or None)
    architecture = architecture_for(
        chosen, model=model, hidden=hidden, channels=channels, batch_norm=batch_norm, learn_beta=learn_beta,
        readout=readout, surrogate=surrogate,
    )  # fmt: skip
    fitted = train_by_name(
        chosen, data=data, data_path=data_path, encoder=encoder, architecture=architecture, epochs=epochs,
        spike_price=spike_price, learning_rate=learning_rate, density=_density(density), cost=cost,
        joules=_joules(cost, chips), left=left, dial_price=dial_price, every=every, seed=seed,
        checkpoint=checkpoint, resume=resume, log=log, chip=chips or None,
    )  # fmt: skip
    if state_dict is not None:
        _save_weights(fitted.model, state_dict)
    trained = fitted.export()
    with saving() as outcome:
        trained.save(output)
    if plot is not None:
        with saving():
            fitted.plot(plot)
    if density:
        show(f"weights kept: {_kept(fitted.model)}")
    last = fitted.history[-1]
    for setting, accuracy, spikes in zip(last.settings, last.accuracy, last.spikes, strict=True):
        on = fitted.neurons_on(setting)
        left_on = "" if on is None else f", {on[0]} of {on[1]} hidden neurons on"
        spent = f"{spikes:.0f} hidden spikes per inference{left_on}"
        show(f"validation, knob at {setting:g}: {accuracy:.1%} correct, {spent}")
    show(f"{last.dead:.0%} of the hidden neurons never spiked on validation data at the first of these")
    if fitted.warning:
        warn(fitted.warning)
    parts = {"dial": trained.profile, "encoder": trained.encoder}
    beside = " and ".join(f"its {name}" for name, part in parts.items() if part is not None)
    if not outcome.failed:
        show(f"saved: {output}{beside and ', with '}{beside}")


def _joules(cost: str | None, chips: tuple[Chip, ...]) -> Joules | None:
    """The chip's joules, where they are the cost."""
    if cost != "energy":
        return None
    if len(chips) != 1:
        raise click.UsageError(
            f"--cost energy: found the chips {', '.join(chip.name for chip in chips) or 'none'}, allowed is one, whose "
            f"joules count; give one --chip, e.g. loihi1"
        )
    return training_prices(chips[0])


def _density(given: tuple[float | tuple[str, float], ...]) -> float | dict[str, float] | None:
    """One number, or a number by layer."""
    layers = [each for each in given if isinstance(each, tuple)]
    if given and not layers and len(given) == 1:
        return given[0]  # type: ignore[return-value]
    if len(layers) != len(given) or len(dict(layers)) != len(layers):
        raise click.UsageError(
            f"--density: found {', '.join(_shown(each) for each in given)}, allowed is one number, or one for each of "
            f"some layers; give it once for all, or name each layer once"
        )
    return dict(layers) if layers else None


def _shown(density: float | tuple[str, float]) -> str:
    return f"{density[0]}={density[1]:g}" if isinstance(density, tuple) else f"{density:g}"


def _kept(model: nn.Module) -> str:
    """The weights other than zero of each layer that has others, in words."""
    from aspen.training.pruning import prunable

    counts = {name: (int(weight.count_nonzero()), weight.numel()) for name, weight in prunable(model).items()}
    return ", ".join(f"{name} {left:,} of {whole:,}" for name, (left, whole) in counts.items())


def _save_weights(model: nn.Module, path: Path) -> None:
    from aspen.training.checkpoints import save_weights

    with saving():
        save_weights(model, path)
