"""Lava's stock processes compute what our connections mean, in one real run each; and why ``Conv`` is not used.

Lava is imported only in a process of its own: this file, started as a script.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.network.connections import Connection
from aspen.network.network import Conv, Dense, Sparse
from aspen_emulator.engines.lava.shim import import_lava, lava_available

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[Connection, str]
STEPS, SHAPE = 20, (4, 3, 5)
N = int(np.prod(SHAPE))


def make_inputs() -> dict[str, Array]:
    """(STEPS, N) each."""
    rng = np.random.default_rng(31)
    return {"spikes": (rng.random((STEPS, N)) < 0.5).astype(np.uint8), "analog": rng.integers(-40, 80, (STEPS, N)) / 16}


def make_cases() -> dict[str, Case]:
    """Connections, and what drives them. Integers have two signs and are even, but for "odd excitatory"."""
    rng = np.random.default_rng(32)
    places = np.divmod(np.flatnonzero(rng.random(6 * N) < 0.3), N)
    geometry: dict[str, Any] = {"stride": (1, 2), "padding": (1, 2), "dilation": (2, 1), "groups": 2}
    cases: dict[str, Case] = {}
    for exponent in (-8, -1, 0, 7):
        weight, kernel = 2 * rng.integers(-128, 128, (6, N)), 2 * rng.integers(-128, 128, (6, 2, 2, 3))
        sparse = Sparse("in", "a", weight.ravel()[: len(places[0])], *places, (6, N), exponent=exponent)
        cases[f"dense, exponent {exponent}"] = Dense("in", "a", weight, exponent=exponent), "spikes"
        cases[f"sparse, exponent {exponent}"] = sparse, "spikes"
        cases[f"conv, exponent {exponent}"] = Conv("in", "a", kernel, SHAPE, exponent=exponent, **geometry), "spikes"
    odd = rng.integers(0, 256, len(places[0]))
    cases["odd excitatory"] = Sparse("in", "a", odd, *places, (6, N)), "spikes"
    cases["odd inhibitory"] = Sparse("in", "a", -odd, *places, (6, N)), "spikes"
    for given in ("spikes", "analog"):
        cases[f"float dense, {given}"] = Dense("in", "a", rng.integers(-64, 64, (6, N)) / 64), given
        cases[f"float sparse, {given}"] = Sparse("in", "a", rng.normal(size=len(odd)), *places, (6, N)), given
        cases[f"float conv, {given}"] = Conv("in", "a", rng.normal(size=(6, 2, 2, 3)), SHAPE, **geometry), given
    return cases


def run_stock_processes() -> dict[str, Array]:
    """What each case's stock process answers, (STEPS, n_target); one run for each input and arithmetic."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import PyReceiveModelFixed, PyReceiveModelFloat, RingBuffer

    from aspen_emulator.engines.lava.processes import PyAnalogSource, PySpikeSource, Source
    from aspen_emulator.engines.lava.stock import stock_connection

    answers = {}
    for given, fixed in (("spikes", True), ("spikes", False), ("analog", False)):
        source = Source(data=make_inputs()[given], name="in")
        models: dict[Any, Any] = {source: PyAnalogSource if given == "analog" else PySpikeSource}
        sinks = {}
        for name, (connection, driven_by) in make_cases().items():
            if (driven_by, connection.is_integer) == (given, fixed):
                model, kind, arguments = stock_connection(connection, given == "analog")
                process = kind(**arguments)
                sinks[name] = RingBuffer(shape=process.a_out.shape, buffer=STEPS + 1)
                models |= {process: model, sinks[name]: PyReceiveModelFixed if fixed else PyReceiveModelFloat}
                source.s_out.connect(process.s_in)
                process.a_out.connect(sinks[name].a_in)
        tag = "fixed_pt" if fixed else "floating_pt"
        source.create_runtime(run_cfg=Loihi2SimCfg(select_tag=tag, exception_proc_model_map=models))
        source.run(RunSteps(num_steps=STEPS + 1))
        answers |= {name: sink.data.get().T[1:] for name, sink in sinks.items()}
        source.stop()
    return answers


def run_stock_conv() -> dict[str, Array]:
    """The function behind Lava's ``Conv``, and its fixed-point model in steps 0 and 1, with a weight exponent of 3."""
    from types import SimpleNamespace

    from lava.proc.conv import utils
    from lava.proc.conv.models import PyConvModelFixed

    connection = make_cases()["conv, exponent 7"][0]
    assert isinstance(connection, Conv)
    image = make_inputs()["spikes"][0].reshape(SHAPE).transpose(2, 1, 0)  # to (x, y, channels)
    kernel = connection.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1).astype(np.int32)  # a true convolution
    geometry = [pair[::-1] for pair in (connection.weight.shape[2:], connection.stride)]
    geometry += [pair[::-1] for pair in (connection.padding, connection.dilation)]
    sent: list[Array] = []
    model: Any = PyConvModelFixed({})
    model.s_in, model.a_out = SimpleNamespace(recv=lambda: image), SimpleNamespace(send=sent.append)
    model.kernel_size, model.stride, model.padding, model.dilation = (np.array(pair) for pair in geometry)
    model.weight, model.weight_exp, model.groups, model.num_message_bits = kernel, *np.array([[3], [2], [0]])
    model.a_buf = np.zeros(1)
    model.run_spk()
    model.run_spk()
    function = utils.conv(image, kernel, *geometry, 2)
    wrapped = utils.signed_clamp(np.array([2**23]), bits=24)
    return {"function": function.transpose(2, 1, 0), "model": sent[1].transpose(2, 1, 0), "wrapped": wrapped}


_WEIGHT = 2 * np.random.default_rng(33).integers(-128, 128, (6, N))
GRADED = {exponent: Dense("in", "a", _WEIGHT, exponent=exponent) for exponent in (-8, 0, 3)}
"""Weights for :func:`graded_values`, with sums that fit Lava's 32 bits."""


def graded_values() -> Array:
    """(STEPS, N): up to 16 bits, and with the signs of some weights."""
    values = np.random.default_rng(34).integers(-32767, 32768, (STEPS, N))
    values[:6] = 32767 * np.sign(GRADED[0].weight)
    return values


def run_stock_graded() -> dict[str, Array]:
    """What the model of the stock ``Dense`` makes of graded spikes, without a runtime."""
    from types import SimpleNamespace

    from lava.proc.dense.models import PyDenseModelBitAcc

    answers = {}
    for exponent, connection in GRADED.items():
        sent: list[Array] = []
        model: Any = PyDenseModelBitAcc({"weight_exp": exponent})
        given = iter([*graded_values().astype(np.int32), np.zeros(N, np.int32)])
        model.s_in, model.a_out = SimpleNamespace(recv=lambda it=given: next(it)), SimpleNamespace(send=sent.append)
        model.weights, model.num_message_bits, model.a_buff = connection.weight.copy(), np.array([24]), np.zeros(6)
        for _ in range(STEPS + 1):
            model.run_spk()
        answers[f"graded, exponent {exponent}"] = np.stack(sent[1:])
    return answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    from tests.emulator.lava.test_lava_stock import in_own_process  # out of reach of the script

    result = tmp_path_factory.mktemp("stock") / "answers"
    in_own_process(result, __file__)
    found: dict[str, Array] = pickle.loads(result.read_bytes())
    return found


@pytest.mark.parametrize("name", make_cases())
def test_stock_processes_compute_what_connections_mean(answers: dict[str, Array], name: str) -> None:
    connection, given = make_cases()[name]
    wanted = connection.drive(make_inputs()[given])
    if connection.is_integer:
        np.testing.assert_array_equal(answers[name], wanted)
    else:
        np.testing.assert_allclose(answers[name], wanted, rtol=0, atol=1e-12)
    assert np.abs(wanted).max() > 0


@pytest.mark.parametrize("exponent", GRADED)
def test_the_stock_dense_weighs_graded_spikes_as_connections_do(answers: dict[str, Array], exponent: int) -> None:
    np.testing.assert_array_equal(answers[f"graded, exponent {exponent}"], GRADED[exponent].drive(graded_values()))


def test_the_stock_conv_of_lava_ignores_its_weight_exponent_and_wraps_at_24_bits(answers: dict[str, Array]) -> None:
    """Why convolutions run on the stock ``Sparse``. Should this test fail with a newer Lava, ``Conv`` may be tried."""
    connection = make_cases()["conv, exponent 7"][0]
    assert isinstance(connection, Conv)
    sums = connection.accumulate(make_inputs()["spikes"][:1].astype(np.float64)).reshape(connection.output_shape)
    np.testing.assert_array_equal(answers["function"], sums)
    np.testing.assert_array_equal(answers["model"], sums)  # and not sums << 3
    assert answers["wrapped"].tolist() == [-(2**23)]


if __name__ == "__main__":
    import_lava()
    Path(sys.argv[1]).write_bytes(pickle.dumps(run_stock_processes() | run_stock_conv() | run_stock_graded()))
