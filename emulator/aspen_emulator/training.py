"""Train and export one network on bundled data, with a progress bar: what the commands and the demo share."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from aspen.errors import MissingDependencyError
from aspen.files import write_atomically
from aspen.network import Network

RECIPE_NAMES = ["plain", "perturbed"]


@dataclass(frozen=True)
class Trained:
    """An exported network with its accuracy and hidden spikes per inference on validation data, in PyTorch."""

    network: Network
    accuracy: float
    spikes: float


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
    hidden: Sequence[int] = (128, 64),
    epochs: int | None = None,
    seed: int = 0,
    state_dict: Path | None = None,
) -> Trained:
    """Train a :class:`aspen.models.DenseNet` with a recipe, show a progress bar, and export it.

    Raises:
        MissingDependencyError: torch, snnTorch or scikit-learn is missing.
    """
    try:
        import snntorch  # noqa: F401 - only to say clearly what is missing
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            f"{error.name}: not installed, needed to train; pip install 'aspen-snn[train]'"
        ) from error
    from aspen.data import DATASETS
    from aspen.exporting import export
    from aspen.models import DenseNet
    from aspen.recipes import recipe
    from aspen.trainer import Epoch
    from aspen.training import fit

    dataset = DATASETS[data]()
    torch.manual_seed(seed)
    model = DenseNet((dataset.train.values.shape[1], *hidden, dataset.classes))
    stages = recipe(how).stages
    total = len(stages) * epochs if epochs else sum(stage.epochs for stage in stages)
    with tqdm(total=total, desc=f"train {how}, seed {seed}", unit="epoch", dynamic_ncols=True) as bar:

        def progress(entry: Epoch, total: int) -> None:
            points = zip(entry.settings, entry.accuracy, entry.spikes, strict=True)
            shown = ", ".join(f"{setting:g}: {accuracy:.1%} {spikes:.0f}" for setting, accuracy, spikes in points)
            bar.set_postfix_str(f"validation (knob: accuracy, spikes) {shown}")
            bar.update(1)

        with _one_thread():
            history = fit(model, dataset, how, seed=seed, epochs=epochs, progress=progress)
    if state_dict is not None:
        buffer = io.BytesIO()
        torch.save(model.state_dict(), buffer)
        write_atomically(state_dict, buffer.getvalue())
    sample = torch.from_numpy(dataset.spikes("validation")[:, :1]).float()
    return Trained(export(model, sample), history.validation_accuracy[-1], history.validation_spikes[-1])
