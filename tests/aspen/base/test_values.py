"""Values of parts: what is no integer, number or name is refused when a part is built, and never cut or rounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aspen._base.checks import as_integer, as_integers, as_number, as_numbers, shown
from aspen.calibration.early import EarlyStop
from aspen.calibration.storage import EarlyPoint, OperatingPoint
from aspen.data import DeltaEncoder, LatencyEncoder, RateEncoder, WindowEncoder
from aspen.data.motion import MotionAugmentation
from aspen.dial.profile import DialProfile
from aspen.errors import AspenError, InputError, NetworkError
from aspen.models.ready import DenseNet
from aspen.network.graded import GradedInput
from aspen.network.network import Conv, Dense, FixedLif, Lif, Network, Population, Sparse
from aspen.thresholds.perturbation import perturb_thresholds
from aspen.training.recipes import DialTraining, Recipe
from aspen_emulator.streaming import Meter
from aspen_hardware import chip
from aspen_hardware.compiling.deployment import Rounding
from tests.damage import nested
from tests.networks import float_network

POINT = OperatingPoint(1.0, 0.5, 0.4, 0.6, 10.0, 20.0, 5.0, 1.0, 2.0, 100)
ROUNDING = Rounding(1.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.5)
NO_INTEGERS: tuple[Any, ...] = (1.5, 1.0, [1, 2], np.array([1]), np.array(1), "1", None, True, float("nan"), b"1", {})
NO_NUMBERS: tuple[Any, ...] = ([1.0], np.array([1.0]), "1.0", True, float("nan"), float("inf"), 10**400, {}, 1j)


def dense(**values: Any) -> Dense:
    return Dense("a", "b", [[1.0]], **values)


def conv(**values: Any) -> Conv:
    return Conv("a", "b", np.ones((1, 1, 1)), **({"input_shape": (1, 4)} | values))


def early(**values: Any) -> EarlyStop:
    return replace(EarlyStop(0.5, 0.1, (0.0, 1.0), (0.1, 0.2), "spikes", 10, 0.005), **values)


INTEGERS: dict[str, Callable[[Any], object]] = {
    "a->b.delay": lambda value: dense(delay=value),
    "a->b.exponent": lambda value: Dense("a", "b", [[1]], exponent=value),
    "a->b.groups": lambda value: conv(groups=value),
    "a->b.stride": lambda value: conv(stride=(value,)),
    "a->b.padding": lambda value: conv(padding=(value,)),
    "a->b.dilation": lambda value: conv(dilation=(value,)),
    "a->b.input_shape": lambda value: conv(input_shape=(value, 4)),
    "a->b.shape": lambda value: Sparse("a", "b", [1.0], [0], [0], (value, 1)),
    "p.shape": lambda value: Population("p", (2, value)),
    "graded input: bits": lambda value: GradedInput(1.0, value),
    "early steps": lambda value: early(steps=value),
    "samples": lambda value: replace(POINT, samples=value),
    "weight_exponent": lambda value: replace(ROUNDING, weight_exponent=value),
    "encoder steps": lambda value: RateEncoder(value),
    "size": lambda value: WindowEncoder(DeltaEncoder(), size=value),
    "overlap": lambda value: MotionAugmentation(overlap=value),
    "seed": lambda value: perturb_thresholds(DenseNet((2, 3, 2)), low=0.5, high=2.0, seed=value or 1.5),
    "window": lambda value: Meter.of(float_network(1), chip("loihi1"), value),
    "epochs": lambda value: Recipe("r", epochs=value),
    "batch_size": lambda value: Recipe("r", batch_size=value),
}
NUMBERS: dict[str, Callable[[Any], object]] = {
    "graded input: peak": lambda value: GradedInput(value),
    "profile: low": lambda value: DialProfile({"a": 1.0}, low=value),
    "profile: high": lambda value: DialProfile({"a": 1.0}, high=value),
    "knob": lambda value: DialProfile({"a": 1.0}).scale(value),
    "gain": lambda value: early(gain=value),
    "doubts": lambda value: early(doubts=(value, 0.2)),
    "max_loss": lambda value: early(max_loss=value),
    "accuracy": lambda value: replace(POINT, accuracy=value),
    "steps taken": lambda value: EarlyPoint(POINT, value),
    "weight_error": lambda value: replace(ROUNDING, weight_error=value),
    "sensitivity": lambda value: DeltaEncoder(sensitivity=value),
    "silent": lambda value: LatencyEncoder(silent=value),
    "rotation": lambda value: MotionAugmentation(rotation=value),
    "learning_rate": lambda value: Recipe("r", learning_rate=value),
    "spike_price": lambda value: Recipe("r", spike_price=value),
    "high_price": lambda value: DialTraining(high_price=value),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_what_is_no_integer_is_refused_by_name(name: str) -> None:
    for bad in NO_INTEGERS:
        with pytest.raises(AspenError) as caught:
            INTEGERS[name](bad)
        assert name.split()[-1] in str(caught.value), bad
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_is_refused_by_name(name: str) -> None:
    for bad in NO_NUMBERS:
        with pytest.raises(AspenError) as caught:
            NUMBERS[name](bad)
        assert name.split()[0] in str(caught.value), bad


@pytest.mark.parametrize(
    "shape", ["12", (2.7,), (float("nan"),), np.ones((1, 1), int), 3.0, None, (2**62,), (10**5000,)]
)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(NetworkError, match=r"^p\.shape: found .*, allowed (is|are)"):
        Population("p", shape)


def test_integers_of_numpy_become_those_of_python() -> None:
    made = conv(delay=np.int8(3), stride=np.array([2]), groups=np.uint64(1), padding=[np.int64(1)], input_shape=[1, 4])
    values = [getattr(made, name) for name in made.value_fields]
    assert json.loads(json.dumps(values)) == ["a", "b", [1, 4], [2], [1], [1], 1, 3, 0]
    assert Population("p", np.int64(3)).shape == Population("p", np.array([3])).shape == (3,)
    assert all(type(size) is int for size in Population("p", np.array([3, 4])).shape)
    encoder = RateEncoder(np.int32(3), np.float32(0.0), np.int64(2))  # type: ignore[arg-type]
    assert json.loads(json.dumps(encoder.to_dict())) == {
        "kind": "rate", "steps": 3, "low": 0.0, "high": 2.0, "clip": False
    }  # fmt: skip
    assert type(early(steps=np.int64(4)).steps) is int
    assert type(replace(POINT, samples=np.int64(4)).samples) is int


def test_parts_of_a_network_are_what_they_should_be() -> None:
    one, two = Population("a", (1,)), Population("b", (1,), Lif(1.0, 0.5))
    for build, message in (
        (lambda: Population("a", (1,), "lif"), "a.neuron: found 'lif', allowed is Lif or FixedLif or None"),
        (lambda: Population("a", (1,), None, "yes"), "a.current: found 'yes', allowed is true or false"),
        (lambda: Population("a", (1,), None, True, 3.0), "a.graded: found 3.0, allowed is GradedInput or None"),
        (lambda: Lif(1.0, 0.5, reset=np.array(["zero"])), "reset: found array"),
        (lambda: FixedLif(1, 0, reset="zeros"), "reset: found 'zeros', .* did you mean 'zero'"),
        (lambda: Dense(1, "b", [[1.0]]), "connection's source: found 1, allowed is a name"),
        (lambda: Dense("a", "b", [[1.0], [2.0, 3.0]]), "a->b.weight: found list that is no array"),
        (lambda: Network((one, "b"), (dense(),)), "populations: found 'b'"),
        (lambda: Network((one, two), (np.ones(2),)), "connections: found array"),
        (lambda: Network((one, two), (dense(),), output=2), "output: found 2, allowed is a name"),
        (lambda: Network((one, two), (dense(),), readout=["spikes"]), "readout: found"),
        (lambda: Network((one, two), (dense(),), provenance=[1]), "provenance: found"),
        (lambda: Network((one, two), (dense(),), provenance={"x": np.ones(2)}), "provenance: found values that no"),
        (lambda: Network((one, two), (dense(),), provenance={"x": nested(50)}), "found values that .* deeper than 32"),
        (
            lambda: Conv("a", "b", np.ones((1, 1, 0)), (1, 4)),
            r"a->b.weight: found shape \(1, 1, 0\), allowed are sizes",
        ),
    ):
        with pytest.raises(NetworkError, match=message):
            build()  # type: ignore[no-untyped-call]


def test_the_checks_say_what_is_allowed() -> None:
    assert (as_integer("n", np.uint8(3), 0, 5), as_number("x", np.float32(0.5)), as_number("x", 2)) == (3, 0.5, 2.0)
    assert (as_integers("n", np.arange(3)), as_numbers("x", [1, 2.5])) == ((0, 1, 2), (1.0, 2.5))
    for build, message in (
        (lambda: as_integer("n", 7, 0, 5, " steps"), "n: found 7 steps, allowed is an integer from 0 to 5 steps; corr"),
        (lambda: as_integer("n", -1, 0), "n: found -1, allowed is an integer from 0; correct the value"),
        (lambda: as_integer("n", 2**40, high=2**20), "allowed is an integer up to 1048576"),
        (lambda: as_number("x", 0, 0, 1, above=True), "x: found 0, allowed is a number above 0 to 1; correct"),
        (lambda: as_integers("n", (1, 2), count=3), r"n: found \(1, 2\), allowed are 3 integers"),
        (lambda: as_numbers("x", "12"), "x: found '12', allowed are numbers in a tuple"),
    ):
        with pytest.raises(InputError, match=message):
            build()  # type: ignore[no-untyped-call]
    assert (shown("x" * 100, 10), shown(10**5000)) == ("'xxxxxx...", "an integer of 16610 bits")
