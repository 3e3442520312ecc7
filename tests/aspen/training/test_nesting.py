"""Training a dial that switches neurons off: which ones, and that model, network and file go together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.dial.profile import DialProfile, load_profile
from aspen.errors import InputError, ModelError
from aspen.models.ready import DenseNet
from aspen.network.network import load_network
from aspen.training.fit import fit
from aspen.training.history import Epoch
from aspen.training.loss import draw_knobs
from aspen.training.nesting import nested
from aspen.training.recipes import DialTraining, Recipe, dial_stages
from aspen_emulator import parity, run
from aspen_hardware import chip
from aspen_hardware.placing.dials import dial_classes, dial_findings
from tests.aspen.training.test_fit import DATA, QUICK, model

FREE = replace(QUICK, name="free", dial=DialTraining(high_price=0.3, left=0.25, beyond=0.5))
NESTED = replace(QUICK, then=(FREE, replace(FREE, name="few", dial=replace(FREE.dial, groups=8))))


def test_the_most_important_stay_on_longest() -> None:
    order = np.random.default_rng(0).permutation(128).tolist()
    until = nested(order, left=0.125)
    counts = [int((until >= knob).sum()) for knob in (0.0, 1 / 7, 3 / 7, 6 / 7, 1.0)]
    assert counts == [128, *(int(128 * 0.125**knob + 1e-9) for knob in (1 / 7, 3 / 7, 6 / 7)), 16]
    assert np.all(until[order][:-1] >= until[order][1:])
    assert len(np.unique(until)) == 8
    assert np.isinf(nested([1, 0, 2], left=1e-9)).tolist() == [False, True, False]  # one is always on


@pytest.mark.parametrize(
    ("size", "least", "on"), [(64, 16, 16), (64, 8, 8), (64, 1, 4), (20, 16, 10), (3, 2, 1), (512, 16, 32)]
)
def test_so_many_or_half_of_them_stay_on(size: int, least: int, on: int) -> None:
    until = nested(range(size), 1 / 16, least)
    assert int((until >= 1).sum()) == on
    assert len(np.unique(until)) <= 8


def test_a_quarter_of_the_knobs_is_at_each_end() -> None:
    knobs = draw_knobs(np.random.default_rng(0), 120, beyond=0.5)
    assert [int((knobs == end).sum()) for end in (0.0, 1.0)] == [30, 30]


@pytest.mark.parametrize("fused", [True, False])
def test_what_is_off_is_off_in_model_network_and_file(tmp_path: Path, fused: bool) -> None:
    torch.manual_seed(0)
    net = DenseNet((8, 16, 12, 2))
    fitted = fit(net, DATA, NESTED, fused=fused, progress=False)
    trained = fitted.export()
    assert trained.profile is not None
    assert trained.profile.is_nested
    trained.save(tmp_path / "net.aspen")
    network, profile = load_network(tmp_path / "net.aspen"), load_profile(tmp_path / "net.aspen")
    spikes = DATA.spikes("test")
    for knob in (0.0, 0.3, 1.0):
        record = run(network, spikes, profile.scale(knob), record="spikes")
        off = np.isinf(profile.scale(knob)["lif1"].reshape(-1))
        assert not record.rasters["lif1"][..., off].any()
        with fitted.at(knob) as turned:
            report = parity(turned, network, None, spikes)
        assert all(d.agreement > 0.99 for d in report.differences)
    assert int(off.sum()) == round(0.75 * off.size)
    assert len(np.unique(profile.slopes["lif1"])) <= 8
    assert int(dial_classes(network, profile, "lif1").max()) < 8
    assert list(dial_findings(network, profile, chip("loihi1"))) == []


def test_a_dial_that_switches_off_has_its_groups_from_the_start() -> None:
    base, dial = Recipe("dial", epochs=8), DialTraining(left=0.25)
    assert dial_stages(base, dial, groups=8) == (replace(base, dial=replace(dial, groups=8)),)
    free, few = dial_stages(base, replace(dial, left=1.0), groups=8)
    assert [(stage.dial and stage.dial.groups, stage.epochs) for stage in (free, few)] == [(None, 5), (8, 3)]


class Interrupted(Exception):
    pass


def test_what_goes_off_together_stays_together_when_resumed(tmp_path: Path) -> None:
    """The importance of a model that is resumed is not the one that the dial began with."""
    recipe = replace(QUICK, epochs=1, then=(replace(FREE, epochs=3, density=0.5, dial=replace(FREE.dial, groups=8)),))

    def interrupt(entry: Epoch, _: int) -> None:
        if (entry.stage, entry.epoch) == (1, 1):
            raise Interrupted

    def trained(**options: Any) -> DialProfile:
        torch.manual_seed(0)
        profile = fit(DenseNet((8, 16, 12, 2)), DATA, recipe, **options).profile
        assert profile is not None
        return profile

    whole = trained(progress=False)
    with pytest.raises(Interrupted):
        trained(progress=interrupt, checkpoint=tmp_path / "c.pt")
    again = trained(progress=False, checkpoint=tmp_path / "c.pt", resume=True)
    for name in ("lif1", "lif2"):
        np.testing.assert_array_equal(again.on_until[name], whole.on_until[name])
        np.testing.assert_array_equal(again.slopes[name], whole.slopes[name])


def test_too_few_groups_and_shares_that_are_none_are_refused() -> None:
    net, few = DenseNet((8, 64, 64, 2)), replace(FREE, dial=replace(FREE.dial, groups=2))
    with pytest.raises(InputError, match="groups: found 2 for neurons that go off at 8 different knobs"):
        fit(net, DATA, few, progress=False)
    with pytest.raises(InputError, match=r"dial: left: found 0\.0, allowed is a number above 0 to 1"):
        DialTraining(left=0.0)


class Squashed(torch.nn.Module):
    """Fires, learns, and cannot be exported."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = DenseNet((8, 12, 2))

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        return self.inner(torch.tanh(spikes))


def test_a_model_that_cannot_be_exported_is_refused_before_the_first_stage() -> None:
    def stop(*_: object) -> None:
        raise AssertionError("an epoch was trained")

    with pytest.raises(ModelError, match="or train with recipe='aspen', whose dial switches no neurons off"):
        fit(Squashed(), DATA, progress=stop)
    assert fit(Squashed(), DATA, "aspen", epochs=1, progress=False).profile is not None


def test_who_chooses_no_recipe_gets_a_dial_that_switches_neurons_off() -> None:
    fitted = fit(model(), DATA, epochs=1, progress=False)
    assert fitted.training["recipe"] == "aspen-joules"
    assert fitted.profile is not None
    assert fitted.profile.is_nested
