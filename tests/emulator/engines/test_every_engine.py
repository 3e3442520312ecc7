"""What holds of every engine: the definition's record, whatever form the input has; values that stay as they are."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aspen.errors import InputError
from aspen.network import Network
from aspen_emulator import run
from aspen_emulator.engines.c.compiler import compiler_available
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.engines.run import ENGINES
from aspen_hardware import compile
from tests.emulator.engines.cortex_m.needed import needs_emulator
from tests.emulator.engines.test_fast import assert_same
from tests.networks import fixed_network, static_network

ON_LAVA = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]
ON_A_CHIP = {"loihi"}
"""Takes fewer networks than the others, and cannot be had here: its own tests simulate it."""
IN_C = [pytest.mark.skipif(not compiler_available(), reason="there is no C compiler")]
MARKS = {"lava": ON_LAVA, "c": IN_C, **{name: [needs_emulator] for name in ON_CORES}}
SAME = {"cortex-m4"}
"""Another name of an engine that is here."""
every_engine = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=MARKS.get(name, [])) for name in ENGINES if name not in ON_A_CHIP | SAME]
)
NETWORK = fixed_network(15)
STATIC = compile(static_network("subtract-delayed", recurrent=True).with_input_peak(1.0), "loihi1").network
SPIKES = (np.random.default_rng(15).random((9, 2, *NETWORK.input.shape)) < 0.4).astype(np.uint8)
KNOB = np.linspace(0.5, 1.5, 9)


@every_engine
def test_gives_the_record_of_the_definition_while_the_knob_turns(engine: str) -> None:
    found = run(NETWORK, SPIKES, KNOB, engine=engine, record="membranes")
    assert_same(found, run(NETWORK, SPIKES, KNOB, engine="reference", record="membranes"))
    assert found.engine == engine
    assert all(0.2 < found.rasters[name].mean() < 0.6 for name in NETWORK.order)


@every_engine
def test_a_host_writes_a_static_input_once_for_an_inference(engine: str) -> None:
    values = np.round(np.random.default_rng(3).random((2, *STATIC.input.given_shape)) * 16) / 16
    found = run(STATIC, values, KNOB, engine=engine, record="membranes", steps=9)
    assert_same(found, run(STATIC, values, KNOB, engine="reference", record="membranes", steps=9))
    assert all(found.rasters[name].any() for name in STATIC.order)


@every_engine
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copied_network_runs_alike_and_so_is_a_copied_record(engine: str, duplicate: Callable[[Any], Any]) -> None:
    twin: Network = duplicate(NETWORK)
    found = run(twin, SPIKES, engine=engine, record="spikes")
    assert_same(found, run(NETWORK, SPIKES, engine="reference", record="spikes"))
    assert_same(duplicate(found), found)


@every_engine
def test_spikes_of_any_form_are_left_as_they_are(engine: str) -> None:
    given = np.asfortranarray(SPIKES.astype(bool))
    given.flags.writeable = False
    found = run(NETWORK, given, engine=engine)
    np.testing.assert_array_equal(given, SPIKES.astype(bool))
    assert_same(found, run(NETWORK, SPIKES.astype(np.int64), engine="reference"))


@every_engine
@pytest.mark.parametrize(
    ("spikes", "options"),
    [
        (SPIKES * 2, {}),
        (SPIKES * 0.5, {}),
        (SPIKES[0], {}),
        (SPIKES[:0], {}),
        (SPIKES, {"threshold_scale": 0.0}),
        (SPIKES, {"threshold_scale": {"nobody": 1.0}}),
        (SPIKES, {"threshold_scale": KNOB[1:]}),
        (SPIKES, {"record": "everything"}),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    engine: str, spikes: Any, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, engine, lambda *_: pytest.fail("it ran"))
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        run(NETWORK, spikes, engine=engine, **options)
