"""Checkpoints of a training: written whole or not at all, read without executing anything, and checked in full.

What a checkpoint may hold follows from the training that goes on with it: the recipes, data and weights of its settings
(:func:`read_checkpoint`), and the optimizer, dial and averages of its stage (:func:`check_stage`). Both look before
anything of the training is changed.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.checks import as_integer, as_number, as_numbers, shown
from aspen.data import Dataset
from aspen.dial.profile import PARTS, DialProfile
from aspen.errors import FileFormatError, InputError, one_line
from aspen.models.layers import spiking_layers
from aspen.models.surrogates import derivative
from aspen.storage.container import MALFORMED
from aspen.storage.writing import write_atomically
from aspen.training.history import Epoch
from aspen.training.recipes import Recipe
from aspen.training.stage import Stage, Task

VERSION = 4
_KEYS = (
    "version",
    "settings",
    "stage",
    "epoch",
    "history",
    "model",
    "dial",
    "optimizer",
    "schedule",
    "average",
    "masks",
    "best",
    "before",
)
_DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    RuntimeError,
    EOFError,
    OSError,
    AssertionError,
    MemoryError,
)


def write_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values only) atomically."""
    _save_tensors({"version": VERSION, **state}, path)


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the model's ``state_dict``, all of it or nothing.

    Raises:
        UnwrittenError: it cannot be written.
    """
    _save_tensors(model.state_dict(), path)


def _save_tensors(values: Mapping[str, Any], path: str | Path) -> None:
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_atomically(path, buffer.getvalue())


def load_tensors(path: str | Path) -> Any:
    """What ``torch.save`` wrote: tensors and plain values only, on the CPU.

    Raises:
        FileFormatError: it is damaged, or holds anything else.
    """
    try:
        _check_stored(Path(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles: what is wrong with them is said below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own message advises to load it all the same
        raise FileFormatError(
            f"{path}: found more than tensors and plain values, or damage, allowed is a state_dict: what else is "
            f"pickled can execute anything and is never loaded; write it with torch.save(model.state_dict(), path)"
        ) from error
    except (*_DAMAGE, *MALFORMED) as error:
        raise FileFormatError(f"{path}: not readable as tensors ({one_line(error)}); save or copy it again") from error


def _check_stored(path: Path) -> None:
    """Raise ValueError where an archive is packed, as torch's never are: what is small on disk could fill the memory.

    What is no archive, as of early versions of torch, is not looked at.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"found {packed[0]!r} compressed, allowed is an archive as torch.save writes it")


def settings_of(task: Task, stages: Sequence[Recipe]) -> dict[str, Any]:
    """What must be the same for a training to be resumed, in plain values."""
    data = task.data
    return {
        "recipe": [_plain(stage) for stage in stages],
        "data": data.name,
        "samples": [len(data.train), len(data.validation)],
        "input": _fingerprint(data),
        "weights": {name: list(values.shape) for name, values in task.model.state_dict().items()},
        "surrogates": {name: _derived(layer) for name, layer in spiking_layers(task.model).items()},
        "seed": task.seed,
    }


def _derived(layer: Any) -> list[float]:
    """The derivative of a neuron's surrogate at some distances from its threshold."""
    function = getattr(layer, "spike_grad", None)
    if function is None:  # neurons of one's own may have none
        return []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # there are random ones
        found: list[float] = derivative(function, torch.tensor([-1.0, -0.3, -0.1, 0.1, 0.3, 1.0])).tolist()
    return [round(each, 3) for each in found]


def _plain(value: Any) -> Any:
    """A recipe, or a part of one, as dictionaries, lists and single values."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def _fingerprint(data: Dataset) -> str:
    """Tells other samples, labels and encoders apart; rounded, so that another machine may go on with a training."""
    given = np.round(np.asarray(data.encoder.encode(data.train.values[:8], seed=0), np.float64), 3) + 0.0  # no -0.0
    labels = np.ascontiguousarray(data.train.labels, np.int64)
    return hashlib.sha256(given.tobytes() + labels.tobytes()).hexdigest()


def dial_state(profile: DialProfile | None) -> dict[str, dict[str, Tensor]] | None:
    """The dial of the stage before, for a checkpoint."""
    if profile is None:
        return None
    parts = {part: getattr(profile, part) for part in PARTS}
    return {part: {name: torch.tensor(array) for name, array in arrays.items()} for part, arrays in parts.items()}


def dial_from(state: dict[str, dict[str, Tensor]] | None) -> DialProfile | None:
    """What :func:`dial_state` was made of."""
    if state is None:
        return None
    arrays = {part: {name: values.numpy() for name, values in found.items()} for part, found in state.items()}
    return DialProfile(arrays["slopes"], arrays["offsets"], on_until=arrays["on_until"])


def read_checkpoint(path: str | Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The state in a checkpoint, of a training with the same ``settings``.

    What belongs to its stage is left to :func:`check_stage`.

    Raises:
        InputError: there is no such file, or it is of another training.
        FileFormatError: it is damaged, or no checkpoint.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such checkpoint; start without resuming")
    state = load_tensors(path)
    version = state.get("version") if isinstance(state, dict) else None
    if type(version) is int and 0 < version < VERSION:
        raise FileFormatError(
            f"{path}: found a checkpoint of an earlier ASPEN (format {version}), allowed is format {VERSION}; "
            f"start anew, without resuming"
        )
    if type(version) is not int or version != VERSION or set(state) != set(_KEYS) or not _is_plain(state["settings"]):
        raise FileFormatError(f"{path}: found no checkpoint of this ASPEN (format {VERSION}); start anew")
    if state["settings"] != settings:
        kept = state["settings"] if isinstance(state["settings"], dict) else {}
        raise InputError(
            f"{path}: found a checkpoint of another training, which differs in {'; '.join(differences(kept, settings))}"
            f"; resume with the same settings, or start anew"
        )
    try:
        _check_progress(state, len(settings["recipe"]))
        _check_dial_before(state["before"])
    except InputError as error:
        raise FileFormatError(f"{path}: the checkpoint is malformed ({error}); start anew") from error
    return state


def differences(kept: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """In which settings a checkpoint's training differs from another, with both values where they are short."""
    found = []
    for key in sorted({*settings, *kept}):
        one, two = kept.get(key), settings.get(key)
        if one == two:
            continue
        if key == "recipe" and isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
            for number, (before, now) in enumerate(zip(one, two, strict=True)):
                stage = f"stage {number + 1}: " if len(one) > 1 else ""
                found += [f"recipe ({stage}{text})" for text in _compared({"": before}, {"": now})]
        else:
            found.append(_difference(key, one, two))
    return found


def _compared(kept: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs, by name; values of values as ``dial.rate``."""
    for name in dict.fromkeys((*kept, *now)):
        one, two = kept.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(two, dict):
            inside = f"{name}." if name else ""
            yield from _compared(*({f"{inside}{key}": value for key, value in each.items()} for each in (one, two)))
        elif one != two:
            yield _difference(name or "all", one, two)


def _difference(name: str, kept: Any, now: Any) -> str:
    """Name, value in the checkpoint and value now."""
    short = all(len(str(value)) <= 60 for value in (kept, now))
    return f"{name}: found {kept!r}, now {now!r}" if short and name != "input" else name


def check_stage(path: str | Path, state: dict[str, Any], stage: Stage) -> None:
    """Raise unless ``state``, which :func:`read_checkpoint` gave, is one that ``stage`` can go on from.

    Raises:
        FileFormatError: a part is missing, too much, or of another form.
    """
    try:
        _check_stage(state, stage)
    except InputError as error:
        raise FileFormatError(f"{path}: the checkpoint is malformed ({error}); start anew") from error


def _is_plain(value: Any) -> bool:
    """Whether it is made of plain values, which can be compared."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_is_plain(inner) for inner in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _check_progress(state: Mapping[str, Any], stages: int) -> None:
    """Stage and epoch, and that the history leads there."""
    stage, epoch = as_integer("stage", state["stage"], 0, stages - 1), as_integer("epoch", state["epoch"], 1)
    history = state["history"]
    _expect("history", isinstance(history, list) and len(history) > 0, history, "entries of epochs")
    for entry in history:
        _check_epoch(entry)
    places = [(entry["stage"], entry["epoch"]) for entry in history]
    steps = all(after in ((s, e + 1), (s + 1, 0)) for (s, e), after in pairwise(places))
    leads = places[0] == (0, 0) and places[-1] == (stage, epoch - 1)
    _expect("history", steps and leads, places[-3:], f"every epoch up to {epoch} of stage {stage + 1}")


def _check_epoch(entry: Any) -> None:
    names = {each.name for each in fields(Epoch)}
    whole = isinstance(entry, dict) and names - {"also"} <= set(entry) <= names  # older ones have no "also"
    _expect("history", whole, entry, f"entries with {', '.join(names)}")
    also = entry.get("also", {})
    _expect("history", isinstance(also, dict), also, "numbers by name")
    for name, value in also.items():
        as_number(f"history: {name}", value)
    for name in ("stage", "epoch"):
        as_integer(f"history: {name}", entry[name], 0)
    for name in ("loss", "dead"):
        as_number(f"history: {name}", entry[name])
    lengths = {len(as_numbers(f"history: {name}", entry[name])) for name in ("settings", "accuracy", "spikes")}
    _expect("history", len(lengths) == 1 and 0 not in lengths, entry, "as many accuracies and spikes as settings")


def _check_dial_before(before: Any) -> None:
    if before is None:
        return
    parts = isinstance(before, dict) and set(before) == set(PARTS)
    arrays = parts and all(
        isinstance(part, dict) and all(isinstance(v, Tensor) and v.is_floating_point() for v in part.values())
        for part in before.values()
    )
    _expect("before", arrays, before, ", ".join(PARTS) + " of a dial")


def _check_stage(state: Mapping[str, Any], stage: Stage) -> None:
    like, epoch = stage.state(), as_integer("epoch", state["epoch"], 1, stage.recipe.epochs)
    weights = {name: like[name] for name in ("model", "dial")}
    for name in ("model", "dial", "schedule", "masks"):
        _check_form(name, state[name], like[name])
    _check_optimizer(state["optimizer"], like["optimizer"], stage.parameters)
    last = state["schedule"]["last_epoch"]
    _expect("schedule", last == epoch * stage.batches, last, f"{epoch * stage.batches} steps in {epoch} epochs")
    if state["average"] is not None:
        _check_form("average", state["average"], list(stage.parameters) if stage.recipe.average else None)
    if state["best"] is not None:
        wanted = {"accuracy": 0.0, "epoch": 1, "weights": weights}
        _check_form("best", state["best"], None if stage.recipe.patience is None else wanted)
        as_integer("best: epoch", state["best"]["epoch"], 1, epoch)


def _check_optimizer(found: Any, like: dict[str, Any], parameters: list[Tensor]) -> None:
    """As it is after some steps: each parameter that has had a gradient has its moments."""
    whole = isinstance(found, dict) and set(found) == {"state", "param_groups"} and isinstance(found["state"], dict)
    _expect("optimizer", whole, found, "state and param_groups")
    _check_form("optimizer", found["param_groups"], like["param_groups"])
    groups = [[group["params"] for group in each["param_groups"]] for each in (found, like)]
    _expect("optimizer", groups[0] == groups[1], groups[0], str(groups[1]))
    for index, moments in found["state"].items():
        number = as_integer("optimizer: parameter", index, 0, len(parameters) - 1)
        like_this = parameters[number]
        wanted = {"step": torch.zeros(()), "exp_avg": like_this, "exp_avg_sq": like_this}
        _check_form(f"optimizer: parameter {number}", moments, wanted)


def _check_form(what: str, found: Any, like: Any) -> None:
    """Raise unless ``found`` has the keys, lengths, types and shapes of ``like``, and finite numbers."""
    if isinstance(like, Mapping):
        _expect(what, isinstance(found, Mapping) and set(found) == set(like), found, f"the parts {sorted(like)}")
        for key, value in like.items():
            _check_form(f"{what}: {key}", found[key], value)
    elif isinstance(like, (list, tuple)):
        _expect(what, isinstance(found, (list, tuple)) and len(found) == len(like), found, f"{len(like)} parts")
        for one, other in zip(found, like, strict=True):
            _check_form(what, one, other)
    elif isinstance(like, Tensor):
        fits = isinstance(found, Tensor) and (found.shape, found.dtype, found.layout) == (
            like.shape, like.dtype, like.layout
        )  # fmt: skip
        _expect(what, fits, found, f"{like.dtype} values of shape {tuple(like.shape)}")
    elif isinstance(like, float):
        as_number(what, found)
    else:
        _expect(what, type(found) is type(like), found, type(like).__name__)


def _expect(what: str, condition: bool, found: Any, allowed: str) -> None:
    if not condition:
        described = f"{found.dtype} values of shape {tuple(found.shape)}" if isinstance(found, Tensor) else shown(found)
        raise InputError(f"{what}: found {described}, allowed is {allowed}")
