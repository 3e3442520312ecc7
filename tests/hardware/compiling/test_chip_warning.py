"""What a chip will not take is said where it is named for a training, and before that begins."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch as snn
import torch
from torch import nn

import aspen
from aspen.data import CurrentEncoder, Dataset, Samples
from aspen.errors import ChipError, ChipWarning
from aspen.models.ready import DenseNet
from aspen_hardware.compiling.models import chip_warning

HEAD = "found a model that will not go there as it is, allowed is one that does; mend it before training:"


def current() -> Dataset:
    """A current that changes, which spikes without values do not carry."""
    values = np.random.default_rng(0).normal(size=(8, 5, 6)).astype(np.float32)
    samples = Samples(values, np.arange(8) % 2)
    return Dataset("current", samples, samples, samples, CurrentEncoder(), classes=2)


def guarded() -> nn.Module:
    """Of two layers of neurons the first resets as loihi1 does not."""
    return nn.Sequential(
        nn.Linear(6, 5), snn.Leaky(0.9, init_hidden=True, reset_delay=False),
        nn.Linear(5, 2), snn.Leaky(0.9, init_hidden=True),
    )  # fmt: skip


def test_fit_says_it_before_the_training() -> None:
    torch.manual_seed(0)
    model, state = DenseNet((6, 5, 2)), torch.get_rng_state()
    with pytest.raises(ChipWarning, match=f"^loihi1: {HEAD}") as found:  # which is an error in the tests
        aspen.fit(model, current(), "plain", epochs=1, chip=("loihi1", "loihi2"))
    lines = str(found.value).splitlines()
    assert lines[2].split() == ["layer", "perturb", "fuse", "export", "loihi1", "loihi2"]
    assert any(line.startswith("loihi1: input: found an analog input") for line in lines)
    assert model.training  # an epoch leaves it in eval() mode
    assert torch.equal(torch.get_rng_state(), state)


def test_fit_says_nothing_where_all_goes() -> None:
    torch.manual_seed(0)
    fitted = aspen.fit(DenseNet((6, 5, 2)), current(), "plain", epochs=1, progress=False, chip="loihi2")
    assert len(fitted.history) == 1


def test_where_there_is_no_sample_neurons_alone_are_looked_at() -> None:
    model = guarded()
    with pytest.warns(ChipWarning, match=f"^loihi1: {HEAD}\nloihi1: layer1: found reset 'subtract-guarded'"):
        handle = aspen.perturb_thresholds(model, layers=["1"], chip=["loihi1", "loihi2"])
    handle.remove()
    aspen.perturb_thresholds(model, layers=["1"], chip="loihi2").remove()
    with pytest.raises(ChipError, match="did you mean 'loihi1'"):
        aspen.perturb_thresholds(model, layers=["1"], chip="loihi3")
    assert aspen.get_perturbation(model) is None  # which was not attached
    assert chip_warning(nn.Linear(2, 2), "loihi1") == ""


def test_what_cannot_be_exported_goes_nowhere() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), snn.Leaky(0.9, init_hidden=True))
    said = chip_warning(model, ("loihi1", "loihi2"), torch.ones(4, 2, 6))
    assert said.startswith(f"loihi1, loihi2: {HEAD}\n")
