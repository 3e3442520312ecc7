"""The fixed-point neuron is bit-identical to Lava's stock ``LIF``, in one real run, at the edges of 24 bits too.

Lava is imported only in a process of its own: this file, started as a script.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.network.network import Dense, FixedLif
from aspen_emulator.engines.lava.shim import import_lava, lava_available
from aspen_emulator.engines.lif import LIMIT, LifState, lif_step

pytestmark = [
    pytest.mark.lava,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed"),
]

Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[FixedLif, Dense]
STEPS, INPUTS, N = 50, 12, 5
LINGERING = FixedLif(threshold=131071, current_decay=600, voltage_decay=100, bias_mantissa=1000, reset="none")


def lif(threshold: int = 131071, du: int = 0, dv: int = 0, bias: int = 0, exponent: int = 0) -> FixedLif:
    return FixedLif(threshold=threshold, current_decay=du, voltage_decay=dv, bias_mantissa=bias, bias_exponent=exponent)


def dense(weight: object, exponent: int = 0) -> Dense:
    return Dense("in", "lif", np.broadcast_to(np.asarray(weight), (N, INPUTS)), exponent=exponent)


def random_case(rng: np.random.Generator, exponent: int) -> Case:
    neuron = lif(
        int(2 ** rng.uniform(0, 16)),
        int(rng.integers(0, 4096)),
        int(rng.integers(0, 4096)),
        int(rng.integers(-4096, 4096)),
        int(rng.integers(0, 8)),
    )
    weights = [2 * rng.integers(-128, 128, (N, INPUTS)), rng.integers(0, 256, (N, INPUTS))]
    return neuron, dense(weights[int(rng.integers(0, 2))], exponent)


def make_cases() -> dict[str, Case]:
    rng = np.random.default_rng(11)
    mixed = 2 * rng.integers(-128, 128, (N, INPUTS))
    edges = {
        "u overflows": (lif(), dense(rng.integers(200, 256, (N, INPUTS)), 7)),
        "u underflows": (lif(), dense(-rng.integers(200, 256, (N, INPUTS)), 7)),
        "u swings": (lif(du=1, dv=4095), dense(mixed, 7)),
        "v saturates below": (lif(bias=-4096, exponent=7), dense(-1)),
        "v saturates above": (lif(bias=4095, exponent=7), dense(1)),
        "at the threshold": (lif(threshold=1, du=4095, dv=4095, bias=64), dense(0)),
        "just above": (lif(threshold=1, du=4095, dv=4095, bias=65), dense(0)),
        "right shift of negative sums": (lif(threshold=2, du=4095, dv=300), dense(mixed, -8)),
        "odd inhibitory": (
            lif(threshold=9, du=2000, dv=100, bias=500, exponent=3),
            dense(-rng.integers(0, 256, (1, 1))),
        ),
    }
    drawn = {f"random, exponent {e}": random_case(rng, e) for e in (-8, -3, -1, 0, 2, 5, 7)}
    return edges | drawn


def make_spikes() -> Array:
    return (np.random.default_rng(12).random((STEPS, INPUTS)) < 0.6).astype(np.uint8)


class Pair:
    """Lava's stock ``LIF`` and ours on one stock ``Dense``; ``models`` are the CPU models to be run."""

    def __init__(self, neuron: FixedLif, connection: Dense) -> None:
        from lava.proc.dense.models import PyDenseModelBitAcc
        from lava.proc.dense.process import Dense as StockDense
        from lava.proc.io.sink import PyReceiveModelFixed, RingBuffer
        from lava.proc.lif.models import PyLifModelBitAcc
        from lava.proc.lif.process import LIF

        from aspen_emulator.engines.lava.processes import DialLif, PyDialLifFixed
        from aspen_emulator.engines.lava.runtime import shared_zeros

        self.dense = StockDense(weights=connection.weight, weight_exp=connection.exponent, num_weight_bits=8)
        self.stock = LIF(
            shape=(N,),
            vth=int(neuron.threshold),
            du=int(neuron.current_decay),
            dv=int(neuron.voltage_decay),
            bias_mant=int(neuron.bias_mantissa),
            bias_exp=int(neuron.bias_exponent),
        )
        self.sink = RingBuffer(shape=(N,), buffer=STEPS)
        self.record = shared_zeros((STEPS, N))
        threshold = np.full(N, int(neuron.threshold) << FixedLif.SHIFT)
        options = {"depth": 0, "period": 0, "idle": 0, "membranes": None, "name": "ours"}
        self.ours = DialLif(
            neuron=neuron, threshold=threshold, drive_bias=np.zeros(N, np.int64), record=self.record, **options
        )
        self.models = {self.dense: PyDenseModelBitAcc, self.stock: PyLifModelBitAcc, self.ours: PyDialLifFixed}
        self.models[self.sink] = PyReceiveModelFixed
        self.states: dict[str, list[Array]] = {"stock u": [], "stock v": [], "our u": [], "our v": []}
        self._vars = (self.stock.u, self.stock.v, self.ours.u, self.ours.v)

    def connect(self, source: Any) -> None:
        source.s_out.connect(self.dense.s_in)
        self.dense.a_out.connect(self.stock.a_in)
        self.dense.a_out.connect(self.ours.a_in)
        self.stock.s_out.connect(self.sink.a_in)

    def note_states(self) -> None:
        for values, var in zip(self.states.values(), self._vars, strict=True):
            values.append(var.get())

    def traces(self) -> dict[str, Array]:
        states = {key: np.stack(values) for key, values in self.states.items()}
        return states | {"stock s": self.sink.data.get().T, "our s": self.record.copy()}


def run_lava_processes(cases: dict[str, Case], spikes: Array) -> dict[str, dict[str, Array]]:
    """Per case u, v (after the reset) and spikes of each step, (STEPS, N), of the stock ``LIF`` and of ours."""
    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from aspen_emulator.engines.lava.processes import PySpikeSource, Source

    source = Source(data=spikes, name="in")
    models: dict[Any, Any] = {source: PySpikeSource}
    pairs = {name: Pair(*case) for name, case in cases.items()}
    for pair in pairs.values():
        pair.connect(source)
        models |= pair.models
    source.create_runtime(run_cfg=Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models))
    try:
        for _ in range(STEPS):
            source.run(RunSteps(num_steps=1))
            for pair in pairs.values():
                pair.note_states()
        return {name: pair.traces() for name, pair in pairs.items()}
    finally:
        source.stop()


def drives_beyond_24_bits() -> Array:
    """(STEPS, N) int32: what graded spikes may add up to; half of the neurons are driven one way all the time."""
    drawn = np.random.default_rng(13).integers(-(2**22), 2**22, (STEPS, N), np.int32)
    drawn[:, :3] = np.abs(drawn[:, :3]) * [1, -1, 1]
    return drawn


def run_stock_arithmetic(drives: Array) -> Array:
    """(STEPS, 2, N): current and membrane of the stock ``LIF``'s own arithmetic, without a runtime."""
    from lava.proc.lif.models import PyLifModelBitAcc

    model: Any = PyLifModelBitAcc({})
    model.u, model.v = np.zeros((2, N), np.int32)
    model.du, model.dv = LINGERING.current_decay, LINGERING.voltage_decay
    model.bias_mant, model.bias_exp = np.full(N, LINGERING.bias_mantissa, np.int16), np.zeros(N, np.int16)
    model.scale_bias()
    states = []
    for drive in drives:
        model.subthr_dynamics(drive)
        states.append(np.stack([model.u, model.v]))
    return np.stack(states)


def in_own_process(result: Path, script: str = __file__) -> None:
    """Run a file of tests as a script; end all that it has started."""
    command = [sys.executable, script, str(result)]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, errors = process.communicate(timeout=90)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Array]]:
    result = tmp_path_factory.mktemp("stock") / "traces"
    in_own_process(result)
    found: dict[str, dict[str, Array]] = pickle.loads(result.read_bytes())
    return found


@pytest.mark.parametrize("name", make_cases())
def test_bit_identical_to_the_stock_lif(traces: dict[str, dict[str, Array]], name: str) -> None:
    found = traces[name]
    for key in ("u", "v", "s"):
        np.testing.assert_array_equal(found[f"our {key}"], found[f"stock {key}"], err_msg=key)


@pytest.mark.parametrize("name", make_cases())
def test_stock_lif_is_the_definition(traces: dict[str, dict[str, Array]], name: str) -> None:
    """``lif_step`` itself gives what Lava's own processes give; they are one step late."""
    neuron, connection = make_cases()[name]
    state = LifState.zeros(1, N, neuron)
    late = np.concatenate([np.zeros((1, INPUTS), np.uint8), make_spikes()[:-1]])
    for t in range(STEPS):
        threshold = neuron.threshold.astype(np.int64) << FixedLif.SHIFT
        spike, _ = lif_step(state, connection.drive(late[t][None]), threshold, neuron)
        for key, values in (("u", state.u), ("v", state.v), ("s", spike)):
            np.testing.assert_array_equal(traces[name][f"stock {key}"][t], values[0], err_msg=f"{key} at step {t}")


def test_the_edges_are_reached(traces: dict[str, dict[str, Array]]) -> None:
    assert traces["u overflows"]["our u"].min() < 0  # driven upwards only
    assert traces["u underflows"]["our u"].max() > 0
    assert traces["v saturates below"]["our v"].min() == 1 - LIMIT
    assert traces["v saturates above"]["our s"].any()
    assert not traces["at the threshold"]["our s"].any()
    assert traces["just above"]["our s"].all()
    cases = [traces[name] for name in make_cases()]
    assert all(found["our u"].any() or found["our v"].any() or found["our s"].any() for found in cases)


def test_currents_beyond_24_bits_wrap_around_once_as_in_lava(traces: dict[str, dict[str, Array]]) -> None:
    state, found = LifState.zeros(1, N, LINGERING), traces["arithmetic"]["states"]
    for t, drive in enumerate(drives_beyond_24_bits()):
        lif_step(state, drive[None].astype(np.int64), np.array(LINGERING.threshold), LINGERING)
        np.testing.assert_array_equal(found[t], [state.u[0], state.v[0]], err_msg=f"step {t}")
    assert np.abs(found[:, 0]).max() > 100 * LIMIT


def test_beyond_32_bits_the_stock_lif_overflows(traces: dict[str, dict[str, Array]]) -> None:
    """Why the ``loihi`` engine refuses such networks. Should this test fail with a newer Lava, it need not."""
    assert (traces["arithmetic"]["overflow"][0, 0] < 0).all()


def stock_arithmetic() -> dict[str, Array]:
    overflow = run_stock_arithmetic(np.full((1, N), 2**25, np.int32))
    return {"states": run_stock_arithmetic(drives_beyond_24_bits()), "overflow": overflow}


if __name__ == "__main__":
    found = run_lava_processes(make_cases(), make_spikes()) | {"arithmetic": stock_arithmetic()}
    Path(sys.argv[1]).write_bytes(pickle.dumps(found))
