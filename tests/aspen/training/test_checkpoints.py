"""Checkpoints are checked in full before anything of a training is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aspen.errors import FileFormatError, InputError
from aspen.training.checkpoints import load_tensors
from aspen.training.fit import fit
from tests.fuzz_formats import FUZZ_RECIPE, fuzz_data, fuzz_model, write_fuzz_checkpoint

State = dict[str, Any]
pytestmark = pytest.mark.filterwarnings("ignore::aspen.errors.TrainingWarning")  # nothing is learned in two epochs


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A checkpoint after two epochs, as PyTorch reads it."""
    path = tmp_path_factory.mktemp("good") / "c.pt"
    write_fuzz_checkpoint(path)
    return load_tensors(path)  # type: ignore[no-any-return]


def history(state: State) -> list[Any]:
    found: list[Any] = state["history"]
    return found


def first(mapping: dict[str, Any]) -> str:
    return next(name for name, values in mapping.items() if getattr(values, "ndim", 0) == 2)


def transpose(part: dict[str, Any]) -> None:
    name = first(part)
    part[name] = part[name].T.contiguous()


def moments(state: State) -> Any:
    return state["optimizer"]["state"][0]


MALFORMED: dict[str, tuple[Callable[[State], object], str]] = {
    "epoch -5": (lambda s: s.update(epoch=-5), "epoch: found -5, allowed is an integer from 1"),
    "epoch x": (lambda s: s.update(epoch="x"), "epoch: found 'x'"),
    "epoch 7": (lambda s: s.update(epoch=7), "history: found"),
    "epoch beyond the recipe": (
        lambda s: (s.update(epoch=3), history(s).append(history(s)[-1] | {"epoch": 2})), "epoch: found 3, allowed is"
    ),
    "stage 9": (lambda s: s.update(stage=9), "stage: found 9, allowed is an integer from 0 to 0"),
    "stage True": (lambda s: s.update(stage=True), "stage: found True"),
    "no history": (lambda s: s.update(history=[]), "history: found"),
    "gap in the history": (lambda s: history(s).pop(0), "every epoch up to 2 of stage 1"),
    "loss NaN": (lambda s: history(s)[0].update(loss=float("nan")), "history: loss: found nan"),
    "accuracy of text": (lambda s: history(s)[0].update(accuracy="99"), "history: accuracy: found '99'"),
    "fewer spikes": (lambda s: history(s)[0].update(spikes=(1.0,)), "history: found"),
    "unknown entry": (lambda s: history(s)[0].update(more=1), "history: found"),
    "version 3": (lambda s: s.update(version=3), r"of an earlier ASPEN \(format 3\), allowed is format 4; start anew"),
    "masks of another training": (lambda s: s["masks"].update(fc1=torch.ones(2)), "masks: found"),
    "version 1.0": (lambda s: s.update(version=1.0), "found no checkpoint of this ASPEN"),
    "settings of a tensor": (lambda s: s["settings"].update(seed=torch.ones(3)), "found no checkpoint of this ASPEN"),
    "no model": (lambda s: s.update(model={}), "model: found {}"),
    "transposed weights": (lambda s: transpose(s["model"]), "model: .*weight: found torch.float32 values of shape"),
    "weights of float64": (lambda s: s["model"].update({k: v.double() for k, v in s["model"].items()}), "model: "),
    "dial missing": (lambda s: s.update(dial=None), "dial: found None"),
    "empty dial": (lambda s: s["dial"].popitem(), "dial: found"),
    "empty optimizer": (lambda s: s.update(optimizer={}), "optimizer: found {}, allowed is state and param_groups"),
    "no parameter groups": (lambda s: s["optimizer"].update(param_groups=[]), "allowed is 2 parts"),
    "learning rate of text": (lambda s: s["optimizer"]["param_groups"][0].update(lr="1"), "optimizer: lr: found '1'"),
    "learning rate NaN": (lambda s: s["optimizer"]["param_groups"][0].update(lr=float("nan")), "lr: found nan"),
    "other parameters": (lambda s: s["optimizer"]["param_groups"][0]["params"].reverse(), "optimizer: found"),
    "moment of another parameter": (lambda s: moments(s).update(exp_avg=torch.ones(1)), "parameter 0: exp_avg: found"),
    "moment of no parameter": (lambda s: s["optimizer"]["state"].update({99: {}}), "optimizer: parameter: found 99"),
    "step of text": (lambda s: moments(s).update(step="x"), "parameter 0: step: found 'x'"),
    "schedule elsewhere": (lambda s: s["schedule"].update(last_epoch=1), "schedule: found 1, allowed is 4 steps in 2"),
    "empty schedule": (lambda s: s.update(schedule={}), "schedule: found {}"),
    "average of others": (lambda s: s["average"].pop(), "average: found"),
    "best of text": (lambda s: s["best"].update(accuracy="high"), "best: accuracy: found 'high'"),
    "best in the future": (lambda s: s["best"].update(epoch=9), "best: epoch: found 9"),
    "best weights transposed": (lambda s: transpose(s["best"]["weights"]["model"]), "best: weights: model: "),
    "dial before of lists": (lambda s: s.update(before={"slopes": {"a": [1.0]}, "offsets": {}}), "before: found"),
    "dial before of text": (lambda s: s.update(before="x"), "before: found 'x'"),
    "a part too much": (lambda s: s.update(extra=1), "found no checkpoint of this ASPEN"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_checkpoint_is_refused_and_leaves_the_model_alone(tmp_path: Path, good: State, name: str) -> None:
    change, message = MALFORMED[name]
    state, path, model = copy.deepcopy(good), tmp_path / "c.pt", fuzz_model()
    change(state)
    torch.save(state, path)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(FileFormatError, match=message) as caught:
        fit(model, fuzz_data(), FUZZ_RECIPE, fused=False, checkpoint=path, resume=True)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    for one, two in zip(before.values(), model.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_a_good_checkpoint_is_gone_on_from(tmp_path: Path, good: State) -> None:
    path = tmp_path / "c.pt"
    torch.save(good, path)
    assert len(fit(fuzz_model(), fuzz_data(), FUZZ_RECIPE, fused=False, checkpoint=path, resume=True).history) == 2
    with pytest.raises(InputError, match="another training, which differs in seed"):
        fit(fuzz_model(), fuzz_data(), FUZZ_RECIPE, seed=1, fused=False, checkpoint=path, resume=True)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"hello", b"\x80\x02]q\x00", b"\x80\x02cos\nsystem\n."])
def test_what_is_no_checkpoint_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(data)
    with pytest.raises(
        FileFormatError,
        match=r"c.pt: (not readable as|found more than) tensors|c.pt: found no checkpoint of",
    ):
        fit(fuzz_model(), fuzz_data(), FUZZ_RECIPE, fused=False, checkpoint=path, resume=True)
