"""Training the networks of the study, one file each; what is there is not trained again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aspen.storage.outputs import make_folder
from aspen.storage.writing import write_atomically
from aspen_emulator.measuring.cluster import connected

if TYPE_CHECKING:
    from torch import nn

    from aspen.data import Dataset
    from aspen.training.recipes import Recipe


class Trainings(Protocol):
    """The networks of one seed: :class:`aspen_emulator.study.problems.Problem`, or the study in joules."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Their names, in the order in which they are trained."""

    def data(self, cell: str, path: str | None) -> Dataset:
        """What a network learns."""

    def network(self, cell: str) -> nn.Module:
        """Its model, with weights drawn by torch's generator."""

    def recipe(self, cell: str) -> Recipe:
        """How it is trained."""

    def begins_with(self, cell: str) -> str | None:
        """The network whose weights it begins with."""


def stem(cell: str, seed: int) -> str:
    """File name of a network, without suffix."""
    return f"{cell}-seed{seed}"


def is_trained(folder: Path, cell: str, seed: int) -> bool:
    """Whether a folder has a network."""
    return _done(folder, cell, seed).exists()


def _done(folder: Path, cell: str, seed: int) -> Path:
    """The file that is written last."""
    return folder / f"{stem(cell, seed)}.json"


def train_cell(chosen: Trainings, path: str | None, folder: Path, cell: str, seed: int) -> None:
    """Train one network on one thread, and write ``.pt`` (weights), ``.aspen`` (network and dial) and ``.json``."""
    import torch

    from aspen.training.checkpoints import load_tensors, save_weights
    from aspen.training.fit import fit

    if is_trained(folder, cell, seed):
        return
    torch.set_num_threads(1)
    data = chosen.data(cell, path)
    torch.manual_seed(seed)
    model = chosen.network(cell)
    before = chosen.begins_with(cell)
    if before is not None:
        model.load_state_dict(load_tensors(folder / f"{stem(before, seed)}.pt"))
    checkpoint = folder / f"{stem(cell, seed)}.checkpoint"
    fitted = fit(model, data, chosen.recipe(cell), seed=seed, checkpoint=checkpoint, resume=True)
    save_weights(model, folder / f"{stem(cell, seed)}.pt")
    fitted.export().save(folder / f"{stem(cell, seed)}.aspen")
    write_atomically(
        _done(folder, cell, seed), json.dumps({"history": [asdict(entry) for entry in fitted.history]}).encode()
    )
    checkpoint.unlink(missing_ok=True)


def train_all(
    chosen: Trainings,
    path: str | None,
    folder: Path,
    seeds: int,
    workers: int | str,
    report: Callable[[str], None],
) -> None:
    """Train whatever is missing.

    Args:
        chosen: data set, network and recipes.
        path: where the data lie.
        folder: for the networks; of a cluster's machines, too.
        seeds: networks of each kind.
        workers: how many processes of this machine, one network each at a time; or the address of a Dask scheduler,
            whose workers see ``path`` and ``folder`` under the same names.
        report: called with the name of each network that is done.

    Raises:
        AspenError: a training failed; the others that were running are finished first.
        MissingDependencyError: Dask's scheduler was asked for, and it is not installed.
    """
    make_folder(folder)
    jobs = [(cell, seed) for cell in chosen.cells for seed in range(seeds)]
    first = [job for job in jobs if chosen.begins_with(job[0]) is None]
    for group in (first, [job for job in jobs if job not in first]):
        missing = [job for job in group if not is_trained(folder, *job)]
        if not missing:
            continue
        with _pool(workers) as pool:
            futures = {pool.submit(train_cell, chosen, path, folder.resolve(), *job): job for job in missing}
            for future in as_completed(futures):
                future.result()
                report(stem(*futures[future]))


@contextmanager
def _pool(workers: int | str) -> Iterator[Executor]:
    if isinstance(workers, int):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield pool
        return
    with connected(workers) as client, client.get_executor(pure=False) as executor:
        yield executor
