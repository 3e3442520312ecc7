"""What a person sets on an object by hand, and the object does not have, is refused instead of doing nothing."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from aspen._base.closed import Closed
from aspen.calibration.choosing import Chooser
from aspen.control import AccuracyFloor, Battery, Budget, Ledger, Manual
from aspen.control.spending import Steering
from aspen.errors import AspenError, UnknownAttributeError
from aspen.models.ready import DenseNet
from aspen.thresholds.learned_dial import learn_dial
from aspen.thresholds.perturbation import get_perturbation, perturb_thresholds
from aspen_emulator import run, session
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip
from tests.control_tables import WINDOW, made_table
from tests.networks import float_network, random_spikes


def stream() -> Stream:
    network = float_network(1)
    return Stream(network, Meter.of(network, chip("loihi1"), 8), Manual(1.0))


def dial() -> Any:
    return learn_dial(DenseNet((6, 8, 3)), torch.ones(2, 1, 6))


MADE: dict[str, tuple[Callable[[], Any], str, str]] = {
    "session": (lambda: session(float_network(1)), "threshold_scal", "threshold_scale"),
    "reference": (lambda: session(float_network(1), engine="reference"), "treshold_scale", "threshold_scale"),
    "stream": (stream, "controler", "controller"),
    "manual": (lambda: Manual(1.0), "Knob", "knob"),
    "floor": (lambda: AccuracyFloor(made_table(), 0.5), "levle", "level"),
    "budget": (lambda: Budget(made_table(), 1.0, WINDOW, 1e-9), "patiense", "patience"),
    "battery": (lambda: Battery(made_table(), 1.0, 1e3, WINDOW, 1e-9), "charg", "charge"),
    "steering": (lambda: Steering(made_table()), "agilty", "agility"),
    "ledger": (lambda: Ledger(1.0, 3600.0, 10.0, 1.0), "hurly", "hourly"),
    "chooser": (lambda: Chooser(made_table()), "dynamics", "dynamic"),
    "perturbation": (lambda: perturb_thresholds(DenseNet((6, 8, 3))), "layer", "layers"),
    "learned dial": (dial, "knobs", "knob"),
}  # fmt: skip


@pytest.mark.parametrize("what", MADE)
def test_a_misspelt_attribute_is_refused_with_the_one_that_was_meant(what: str) -> None:
    make, wrong, meant = MADE[what]
    one = make()
    kind = type(one).__name__
    with pytest.raises(UnknownAttributeError, match=rf"{kind} attribute: found '{wrong}'.*did you mean '{meant}'\?"):
        setattr(one, wrong, 2.0)
    assert not hasattr(one, wrong)
    setattr(one, meant, getattr(one, meant))
    with pytest.raises(UnknownAttributeError, match=r"found 'zzz', allowed are .*; set "):
        one.zzz = 1
    one._own_business = 1


@pytest.mark.parametrize("name", ["dial", "batch", "engine", "network", "spikes", "membranes"])
def test_a_session_lets_nothing_be_set_but_what_turns_it(name: str) -> None:
    live = session(float_network(1))
    message = f"Session attribute: found '{name}', allowed are knob, threshold_scale; .*set the knob of a"
    with pytest.raises(UnknownAttributeError, match=message) as caught:
        setattr(live, name, 0.5)
    assert isinstance(caught.value, (AspenError, AttributeError))
    live.threshold_scale = 0.5
    spikes = random_spikes(0, 8, 1, 6)
    expected = run(float_network(1), spikes, 0.5).output
    np.testing.assert_array_equal([live.step(step) for step in spikes], expected)


class Own(Closed):
    declared: list[int]

    def __init__(self) -> None:
        self.first = 1


class Derived(Own):
    def __init__(self) -> None:
        super().__init__()
        self.second = 2


def test_subclasses_have_attributes_of_their_own() -> None:
    one = Derived()
    one.first, one.second, one.declared = 3, 4, [5]
    with pytest.raises(UnknownAttributeError, match="found 'third', allowed are declared, first, second;"):
        one.third = 3  # type: ignore[attr-defined]
    with pytest.raises(UnknownAttributeError):
        one.settable = ()  # type: ignore[misc]


def test_copies_are_closed_too() -> None:
    for copied in (copy.copy(Own()), copy.deepcopy(Own()), pickle.loads(pickle.dumps(Own()))):
        copied.first = 2
        with pytest.raises(UnknownAttributeError):
            copied.second = 2
    model = DenseNet((6, 8, 3))
    perturb_thresholds(model, seed=0)
    handle = get_perturbation(copy.deepcopy(model))
    assert handle is not None
    with pytest.raises(UnknownAttributeError):
        handle.sigma = 2.0  # type: ignore[attr-defined]
    handle.remove()
