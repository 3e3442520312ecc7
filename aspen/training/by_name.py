"""Training by names, of a model, a data set and a recipe, with a progress bar: what the commands and the demo share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from aspen._base.checks import as_name
from aspen._base.packages import needed_for
from aspen._base.progress import shows_bars, tell
from aspen.data import Dataset, StoredEncoder, WindowEncoder, load_dataset
from aspen.errors import InputError, TrainingError, TrainingWarning
from aspen.training.few_samples import enough_steps, told_of_few
from aspen.training.progress import EpochBar
from aspen.training.recipes import FOR_PROGRAMS, RECIPES, DialTraining, Joules, Recipe, recipe

if TYPE_CHECKING:
    from torch import nn

    from aspen.training.fit import Fitted

MODEL_KINDS = ("dense", "conv", "recurrent")
SURROGATES = ("atan", "triangle")
_IMAGES = {"digits": (1, 8, 8)}
"""Data sets whose flat samples are images, (channels, height, width)."""


@dataclass(frozen=True)
class Architecture:
    """Which of :mod:`aspen.models.ready` to train, and its size.

    Args:
        model: ``dense``, ``conv`` (over images, or over the last samples of a signal) or ``recurrent``.
        hidden: sizes of the hidden layers; of ``conv``, those after the convolutions.
        channels: of the convolutions.
        batch_norm, learn_beta, readout: as for :class:`aspen.models.ready.DenseNet`.
        surrogate: ``atan``, snnTorch's, or ``triangle``: :class:`aspen.models.surrogates.Triangle`, 0.5 wide with
            BatchNorm, 1 without.
    """

    model: str = "dense"
    hidden: tuple[int, ...] = (128, 64)
    channels: tuple[int, ...] = (16, 32)
    batch_norm: bool = False
    learn_beta: bool = False
    readout: str = "spikes"
    surrogate: str = "atan"

    def __post_init__(self) -> None:
        as_name("model", self.model, MODEL_KINDS)
        as_name("surrogate", self.surrogate, SURROGATES)

    def fitting(self, dataset: Dataset) -> Dataset:
        """The data as this model takes them: for a convolution in time, as windows of the last samples.

        Raises:
            InputError: there is nothing to convolve over.
        """
        encoder = dataset.encoder
        if self.model != "conv" or len(dataset.input_shape) > 1 or dataset.name in _IMAGES:
            return dataset
        if isinstance(encoder, WindowEncoder):
            return replace(dataset, encoder=replace(encoder, flat=False))
        if isinstance(encoder, StoredEncoder) and encoder.temporal and encoder.kind != "levels":
            return replace(dataset, encoder=WindowEncoder(encoder, flat=False))
        raise InputError(
            f"{dataset.name}: found inputs of shape {dataset.input_shape} without neighbours in time or space, allowed "
            f"for a conv model are images and signals over time; use the dense or recurrent model"
        )

    def build(self, dataset: Dataset) -> nn.Module:
        """The untrained model for :meth:`fitting` data; seed torch before."""
        from aspen.models.ready import ConvNet, DenseNet, RecurrentNet
        from aspen.models.surrogates import Triangle

        options: dict[str, Any] = {name: getattr(self, name) for name in ("batch_norm", "learn_beta", "readout")}
        options["spike_grad"] = Triangle(0.5 if self.batch_norm else 1) if self.surrogate == "triangle" else None
        shape = dataset.input_shape
        if self.model == "conv":
            return ConvNet(_IMAGES.get(dataset.name, shape), self.channels, self.hidden, dataset.classes, **options)
        kind = RecurrentNet if self.model == "recurrent" else DenseNet
        return kind((prod(shape), *self.hidden, dataset.classes), **options)


NORMALISED = ("aspen-norm", "aspen-joules", "aspen-mcu")
"""Recipes that were made with BatchNorm, learned decays and a linear read-out; the others, with none of these."""
WIDE = (192, 128)
"""Hidden layers where the dial goes down to a sixteenth of them, and what is off costs nothing."""


def architecture_for(how: str, **given: Any) -> Architecture:
    """What the recipe called ``how`` was made with, and in its place what is ``given``, other than ``None``.

    >>> chosen = architecture_for("aspen-joules", readout="spikes", batch_norm=None)
    >>> chosen == Architecture(batch_norm=True, learn_beta=True, readout="spikes")
    True

    Args:
        how: its name.
        given: of :class:`Architecture`.
    """
    made: dict[str, Any] = {"batch_norm": how in NORMALISED, "learn_beta": how in NORMALISED}
    made["readout"] = "linear" if how in NORMALISED else "spikes"
    if how == FOR_PROGRAMS:
        made["hidden"] = WIDE
    return Architecture(**made | {name: value for name, value in given.items() if value is not None})


NESTED: Mapping[str, float] = {"high_price": 0.05, "beyond": 0.5}
"""Of a dial that switches neurons off: their spikes go with them, and a high price on the others' ruins its end; a
quarter of the samples is trained at each end."""


def _nested(dial: DialTraining, left: float | None, price: float | None, every: tuple[int, ...] | None) -> DialTraining:
    """The dial with another share ``left``, another ``price`` at its end and fewer steps, where they are given."""
    changed: dict[str, Any] = dict(NESTED) if left is not None and left < 1 == dial.left else {}
    # a share that somebody asked for is taken at its word
    given = {"left": left, "least": None if left is None else 1, "high_price": price, "every": every}
    changed |= {name: value for name, value in given.items() if value is not None}
    return replace(dial, low_price=min(dial.low_price, changed.get("high_price", dial.high_price)), **changed)


def _check_dial(how: str) -> None:
    if not any(stage.dial for stage in recipe(how).stages):
        dialled = ", ".join(name for name, each in RECIPES.items() if any(stage.dial for stage in each.stages))
        raise InputError(
            f"recipe {how}: found settings of a dial, which it does not learn, allowed are recipes that do: "
            f"{dialled}; take one of these"
        )


def adapted(
    how: str,
    readout: str,
    spike_price: float | None = None,
    learning_rate: float | None = None,
    density: float | Mapping[str, float] | None = None,
    cost: str | None = None,
    joules: Joules | None = None,
    left: float | None = None,
    dial_price: float | None = None,
    every: tuple[int, ...] | None = None,
) -> Recipe:
    """The recipe called ``how`` for a read-out, with other numbers where they are given.

    Args:
        how: its name.
        readout: of the model; the loss is on the sum of its spikes, or on the mean over time if it does not spike.
        spike_price: in all stages but those with a dial, whose prices are its own.
        learning_rate: in the first stage; in the others as many times more or less as in the recipe.
        density: that the stages which prune prune to, or the first where none does.
        cost, joules: in all stages.
        left: share of the neurons that the dial leaves on at its end. A recipe whose dial switches nothing off then
            also gets the prices and the knobs that suit one that does (:data:`NESTED`).
        dial_price: on spikes at the end of the dial.
        every: numbers n, one of which is drawn for each batch with a dial, which then gets every n-th step alone.

    Raises:
        InputError: something is given for the dial of a recipe that learns none.
    """
    if left is not None or dial_price is not None or every is not None:
        _check_dial(how)
    settings: dict[str, Any] = {"scores": "sum" if readout == "spikes" else "mean"}
    if cost is not None:
        settings |= {"cost": cost, "joules": joules}

    def change(stage: Recipe) -> Recipe:
        priced: dict[str, Any] = {} if spike_price is None or stage.dial is not None else {"spike_price": spike_price}
        dial = None if stage.dial is None else _nested(stage.dial, left, dial_price, every)
        return replace(stage, **settings, **priced, dial=dial)

    changed = recipe(how).each(change)
    if learning_rate is not None:
        factor = learning_rate / changed.learning_rate
        changed = changed.each(lambda stage: replace(stage, learning_rate=factor * stage.learning_rate))
    if density is None:
        return changed
    if any(stage.prunes for stage in changed.stages):
        return changed.each(lambda stage: replace(stage, density=density) if stage.prunes else stage)
    return replace(changed, density=density)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and lose much where other programs want the cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _remembered(checkpoint: Path | None) -> Iterator[None]:
    """Say of a training that failed what is left of it."""
    try:
        yield
    except TrainingError as error:
        if checkpoint is None or not checkpoint.is_file():
            raise
        raise TrainingError(f"{error}; {checkpoint} holds the last good epoch") from error


def train_by_name(
    how: str,
    *,
    data: str | Path = "digits",
    data_path: Path | None = None,
    encoder: str | None = None,
    architecture: Architecture | None = None,
    epochs: int | None = None,
    spike_price: float | None = None,
    learning_rate: float | None = None,
    density: float | Mapping[str, float] | None = None,
    cost: str | None = None,
    joules: Joules | None = None,
    left: float | None = None,
    dial_price: float | None = None,
    every: tuple[int, ...] | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    resume: bool = False,
    log: Path | None = None,
    chip: Any = None,
) -> Fitted:
    """Train a ready-made model with a recipe on one thread, with a progress bar where it is seen.

    Args:
        how: name of a recipe.
        data, data_path, encoder: as for :func:`aspen.data.load_dataset`.
        architecture: what to train; default: a dense network, :func:`architecture_for` the recipe.
        spike_price, learning_rate, density, cost, joules, left, dial_price, every: instead of the recipe's, as in
            :func:`adapted`.
        epochs, seed, checkpoint, resume, log, chip: as for :func:`aspen.fit`; what a chip refuses is told.

    Returns:
        what :func:`aspen.fit` gives; its exported network says of its training all that was chosen here.

    Raises:
        MissingDependencyError: torch, snnTorch or scikit-learn is missing.
        InputError: the data are not there, or are not for this kind of network.
        TrainingError: as :func:`aspen.fit`, or the trained network says nothing.
    """
    with needed_for("training"):
        import torch

        from aspen.training.chips import warning_for
        from aspen.training.fit import fit

    chosen = architecture or architecture_for(how)
    dataset = chosen.fitting(load_dataset(data, data_path, encoder=encoder))
    if dataset.told:
        tell(str(dataset))
    changed: dict[str, Any] = {
        "spike_price": spike_price, "learning_rate": learning_rate, "density": density, "cost": cost, "left": left,
        "dial_price": dial_price, "every": every,
    }  # fmt: skip
    torch.manual_seed(seed)
    model, method = (
        chosen.build(dataset),
        adapted(how, chosen.readout, **changed, joules=joules),
    )
    if epochs is not None:
        method = method.each(lambda stage: replace(stage, epochs=epochs))
    suited = enough_steps(method, len(dataset.train), more_epochs=epochs is None)
    title = ", ".join(filter(None, (f"train {how}, seed {seed}", told_of_few(method, suited, len(dataset.train)))))
    options: dict[str, Any] = {"checkpoint": checkpoint, "resume": resume, "log": log}
    if chip is not None:
        refused = warning_for(model, dataset, chip)
        if refused:
            tell(f"warning: {refused}")
    bar = EpochBar(sum(stage.epochs for stage in suited.stages), title, shows_bars())
    with closing(bar), _one_thread(), _remembered(checkpoint):
        with catch_warnings():
            simplefilter("ignore", TrainingWarning)  # whoever called says it in words of its own
            fitted = fit(model, dataset, suited, seed=seed, progress=bar, **options)
        if not any(fitted.history[-1].spikes):
            raise TrainingError(
                f"{how}: found no hidden spike on validation data after the last epoch, allowed are some; train "
                f"for more epochs, or with a lower spike price"
            )
    given: dict[str, Any] = {name: value for name, value in changed.items() if value is not None}
    if joules is not None:
        given["joules"] = asdict(joules)
    return replace(
        fitted,
        training={
            **fitted.training,
            "data": data if isinstance(data, str) else dataset.name,
            **asdict(chosen),
            **given,
        },
    )
