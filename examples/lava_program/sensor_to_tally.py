"""A network in a Lava program of one's own: its own source and sink, and the knob turned half way.

    python examples/lava_program/sensor_to_tally.py

Needs Lava (README, "Lava"), no torch. Ends with an error unless every spike is that of ``engine="fast"``. It has a
folder of its own because Lava, looking for models of ``Sensor`` and ``Tally``, runs every Python file beside it.
"""

# ruff: noqa: E402 - import_lava() comes before the first import of Lava

from __future__ import annotations

from typing import Any

import numpy as np

from aspen import DialProfile
from aspen.network import Dense, Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.lava import import_lava, to_lava
from aspen_hardware import compile

import_lava()

from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.io.sink import RingBuffer

STEPS = 40
TURNED_AT = 20


class Sensor(AbstractProcess):
    """Sends a spike on every channel whose signal rises."""

    def __init__(self, signal: np.ndarray) -> None:
        super().__init__(signal=signal)
        self.s_out = OutPort(shape=signal.shape[1:])


@implements(proc=Sensor, protocol=LoihiProtocol)
@requires(CPU)
class PySensor(PyLoihiProcessModel):
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, bool)

    def run_spk(self) -> None:
        self.s_out.send(rising(self.proc_params["signal"], self.time_step - 1))


class Tally(AbstractProcess):
    """Counts the spikes of each class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.a_in = InPort(shape=(classes,))
        self.counts = Var(shape=(classes,), init=0)


@implements(proc=Tally, protocol=LoihiProtocol)
@requires(CPU)
class PyTally(PyLoihiProcessModel):
    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    counts: Any = LavaPyType(np.ndarray, np.int64)

    def run_spk(self) -> None:
        self.counts += self.a_in.recv()


def rising(signal: np.ndarray, step: int) -> np.ndarray:
    """(channels,) bool: where the signal is higher than one step before; nowhere at its start and after its end."""
    if not 0 < step < len(signal):
        return np.zeros(signal.shape[1:], bool)
    return signal[step] > signal[step - 1]


def trained_network(rng: np.random.Generator) -> Network:
    """Stands for ``aspen.load_network("net.aspen")``."""
    neuron = Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (6,)), Population("hidden", (12,), neuron), Population("output", (3,), neuron)
    first, second = rng.normal(0.15, 0.3, (12, 6)), rng.normal(0.1, 0.4, (3, 12))
    return Network(layers, (Dense("input", "hidden", first), Dense("hidden", "output", second)))


def main() -> None:
    rng = np.random.default_rng(1)
    network = trained_network(rng)
    profile = DialProfile.uniform(network, 0.7, 2.5)  # stands for load_profile("net.aspen"): knob 0 to 1
    deployment = compile(network, "loihi2")
    signal = rng.normal(size=(STEPS, 6)).cumsum(axis=0)

    sensor, tally = Sensor(signal), Tally(classes=3)
    hidden = RingBuffer(shape=(12,), buffer=STEPS + 2)
    with to_lava(deployment, profile=profile, knob=0.2) as net:
        sensor.s_out.connect(net.s_in)
        net.s_out.connect(tally.a_in)
        net.outputs["hidden"].connect(hidden.a_in)  # the spikes of any population
        net.run(RunSteps(num_steps=TURNED_AT), Loihi2SimCfg())
        net.knob = 0.9
        net.run(RunSteps(num_steps=STEPS - TURNED_AT + net.latency))  # what is on its way comes out
        counts, spikes = tally.counts.get(), hidden.data.get().T
    print(f"spikes of the three classes: {counts.astype(int)}; of the hidden neurons: {int(spikes.sum())}")

    # The knob acts on all populations at once, on those that are late in an earlier step of their sample.
    turned = {
        name: np.concatenate([profile.scale(0.2 if t + late < TURNED_AT else 0.9)[name] for t in range(STEPS)])
        for name, late in net.depths.items()
        if name in profile.slopes
    }
    rows = np.stack([rising(signal, t) for t in range(STEPS)])[:, None]
    record = run(deployment, rows, turned, record="spikes")
    late = net.depths["hidden"]
    np.testing.assert_array_equal(spikes[late : late + STEPS], record.rasters["hidden"][:, 0])
    np.testing.assert_array_equal(counts, record.rasters["output"].sum(axis=(0, 1)))
    print("every spike is that of engine='fast'")


if __name__ == "__main__":
    main()
