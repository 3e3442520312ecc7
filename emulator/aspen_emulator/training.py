"""Train and export one network on bundled data, with a progress bar: what the commands and the demo share."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from aspen.errors import InputError, MissingDependencyError
from aspen.files import write_atomically
from aspen.network import Network
from aspen.profiles import DialProfile

if TYPE_CHECKING:
    from aspen.trainer import Epoch

RECIPE_NAMES = ["plain", "l1", "l2", "perturbed", "aspen"]


@dataclass(frozen=True)
class Trained:
    """An exported network, with what was measured on validation data in PyTorch.

    Args:
        network: as it is with the knob at its first setting.
        profile: the learned dial, where the recipe has one.
        points: knob setting, accuracy and hidden spikes per inference.
    """

    network: Network
    profile: DialProfile | None
    points: tuple[tuple[float, float, float], ...]


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


def train_network(
    how: str,
    *,
    data: str = "digits",
    data_path: Path | None = None,
    hidden: Sequence[int] = (128, 64),
    epochs: int | None = None,
    seed: int = 0,
    state_dict: Path | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    log: Path | None = None,
) -> Trained:
    """Train a :class:`aspen.models.DenseNet` with a recipe, show a progress bar, and export it.

    Args:
        how: name of a recipe.
        data, data_path: as for :func:`aspen.data.load_dataset`.
        hidden: sizes of the hidden layers.
        epochs, seed, checkpoint, resume, log: as for :func:`aspen.fit`.
        state_dict: where the weights are to be saved too.

    Raises:
        MissingDependencyError: torch, snnTorch or scikit-learn is missing.
        InputError: the data are not there, or are not for a dense network.
    """
    try:
        import snntorch  # noqa: F401 - only to say clearly what is missing
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name}: not installed, needed to train; pip install 'aspen-snn[train]'"
        ) from error
    from aspen.data import load_dataset
    from aspen.exporting import export
    from aspen.models import DenseNet
    from aspen.recipes import recipe
    from aspen.training import fit

    dataset = load_dataset(data, data_path)
    if len(dataset.input_shape) != 1:
        raise InputError(
            f"{data}: found inputs of shape {dataset.input_shape}, allowed are (n,) here; train a model of your "
            f"own with aspen.fit"
        )
    torch.manual_seed(seed)
    model = DenseNet((*dataset.input_shape, *hidden, dataset.classes))
    stages = recipe(how).stages
    total = len(stages) * epochs if epochs else sum(stage.epochs for stage in stages)
    with tqdm(total=total, desc=f"train {how}, seed {seed}", unit="epoch", dynamic_ncols=True) as bar:

        def progress(entry: Epoch, total: int) -> None:
            shown = ", ".join(
                f"{setting:g}: {accuracy:.1%} {spikes:.0f}" for setting, accuracy, spikes in _points(entry)
            )
            bar.set_postfix_str(f"validation (knob: accuracy, spikes) {shown}")
            bar.update(1)

        options = {"checkpoint": checkpoint, "resume": resume, "log": log}
        with _one_thread():
            fitted = fit(model, dataset, how, seed=seed, epochs=epochs, progress=progress, **options)  # type: ignore[arg-type]
    if state_dict is not None:
        buffer = io.BytesIO()
        torch.save(model.state_dict(), buffer)
        write_atomically(state_dict, buffer.getvalue())
    network = export(model, torch.from_numpy(dataset.spikes("validation")[:, :2]).float())
    profile = fitted.profile
    if profile is not None:
        network, profile = profile.folded(network)
    return Trained(network, profile, tuple(_points(fitted.history[-1])))


def _points(entry: Epoch) -> Iterator[tuple[float, float, float]]:
    return zip(entry.settings, entry.accuracy, entry.spikes, strict=True)
