"""Kill trainings at random moments, as a power cut would: those that go on must end as if nothing had happened.

python -m tests.kills [count]: as many SIGKILLs as asked (default 100); the tests run a few.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aspen.training.recipes import Recipe

PART = 0.3
"""A process is killed within this part of an undisturbed training after the moment at which it begins to train."""
PRELOADED = ["aspen.training.fit", "aspen.models.ready", "tests.aspen.training.test_fit", "torch._dynamo"]
"""What each process would import: the last, which takes longest, is what torch's optimizers import when one is made."""
LONGEST = 300.0
"""Seconds after which a training that was left alone is given up."""


@dataclass
class Killed:
    """What was tried.

    Args:
        kills: processes that were killed while they trained.
        trainings: trainings that came to their end.
        resumed: epochs that each of these did not have to do again after its last kill.
        differing: names of what differed from the undisturbed training, in any of them.
    """

    kills: int = 0
    trainings: int = 0
    resumed: tuple[int, ...] = ()
    differing: tuple[str, ...] = ()


def longer(recipe: Recipe) -> Recipe:
    """The recipe with more epochs in each stage."""
    return recipe.each(lambda stage: replace(stage, epochs=8))


def train(folder: Path) -> None:
    """Train a small network in three stages, with a checkpoint and a log; at the end leave all that it gave."""
    import torch

    from aspen.models.ready import DenseNet
    from aspen.training.fit import fit
    from tests.aspen.training.test_fit import DATA, GROUPED

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = DenseNet((8, 12, 10, 2), batch_norm=True, learn_beta=True)
    told: list[int] = []
    fitted = fit(
        net,
        DATA,
        longer(replace(GROUPED, patience=5)),
        seed=5,
        batch_norm="over_time",
        checkpoint=folder / "checkpoint.pt",
        resume=True,
        log=folder / "log",
        progress=lambda entry, total: told.append(total),
    )
    assert fitted.profile is not None
    arrays = {name: values.numpy() for name, values in net.state_dict().items()}
    arrays |= {f"slopes of {name}": values for name, values in fitted.profile.slopes.items()}
    arrays |= {f"offsets of {name}": values for name, values in fitted.profile.offsets.items()}
    table = (folder / "log" / "epochs.csv").read_text()
    np.savez(folder / "unfinished.npz", log=table, resumed=len(fitted.history) - len(told), **arrays)
    os.replace(folder / "unfinished.npz", folder / "result.npz")


def kill_trainings(count: int, seed: int, folder: Path) -> Killed:
    """Kill ``count`` processes, each at a random moment of a training that the next one goes on with.

    Raises:
        RuntimeError: a training failed, or did not come to its end.
    """
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(PRELOADED)
    rng, found = np.random.default_rng(seed), Killed()
    _until(processes, folder / "first", None)  # compiles what is not compiled yet
    whole_takes = _seconds(processes, folder / "whole")
    whole = np.load(folder / "whole" / "result.npz")
    (folder / "whole" / "result.npz").unlink()
    setup_takes = _seconds(processes, folder / "whole")  # nothing is left to train
    moments = 0.8 * setup_takes, setup_takes + PART * (whole_takes - setup_takes)
    while found.kills < count:
        place = folder / f"training{found.trainings}"
        while found.kills < count and _until(processes, place, float(rng.uniform(*moments))):
            found.kills += 1
        _until(processes, place, None)
        result = np.load(place / "result.npz")
        found.trainings += 1
        found.resumed += (int(result["resumed"]),)
        names = sorted({*whole.files, *result.files} - {"resumed"})
        found.differing += tuple(name for name in names if not np.array_equal(whole[name], result[name]))
    return found


def _seconds(processes: multiprocessing.context.BaseContext, folder: Path) -> float:
    start = time.monotonic()
    _until(processes, folder, None)
    return time.monotonic() - start


def _until(processes: multiprocessing.context.BaseContext, folder: Path, seconds: float | None) -> bool:
    """Go on with the training in ``folder`` for so long, or to its end; whether it was killed."""
    if (folder / "result.npz").exists():
        return False
    folder.mkdir(exist_ok=True)
    process = processes.Process(target=train, args=(folder,))  # type: ignore[attr-defined]
    process.start()
    process.join(LONGEST if seconds is None else seconds)
    if process.is_alive():
        process.kill()
        process.join()
        if seconds is None:
            raise RuntimeError(f"a training took more than {LONGEST:g} s")
        return True
    if process.exitcode:
        raise RuntimeError(f"a training ended with exit code {process.exitcode}")
    return False


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as place:
        made = kill_trainings(wanted, 0, Path(place))
    print(
        f"{made.kills} kills in {made.trainings} trainings, which went on from epoch {made.resumed}; what differs from "
        f"the undisturbed training: {', '.join(made.differing) or 'nothing'}"
    )
