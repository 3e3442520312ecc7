"""Programs on Lava with a network in them, as a user writes them. Each runs in a process of its own, as Lava is
imported here: ``python -m tests.emulator.lava.programs dial samples:spikes:float``."""

# ruff: noqa: E402 - import_lava() comes before the first import of Lava

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DialProfile, save_profile
from aspen.errors import EngineError, InputError, UnknownAttributeError
from aspen_emulator import run
from aspen_emulator.engines.lava.layout import longest_delay
from aspen_emulator.lava import import_lava, to_lava
from aspen_hardware import compile, store_deployment

import_lava()

from lava.magma.core.run_conditions import RunContinuous, RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from aspen_emulator.engines.lava.graph import has_ended
from tests.emulator.lava.test_lava_loihi import deep, looped
from tests.emulator.lava.test_lava_networks import random_input, random_network
from tests.networks import Array, fixed_network, float_network, random_spikes
from tests.pages import blocks

STEPS = 6
ONE = RunSteps(num_steps=1)


def wired(net: Any, rows: Array, shape: tuple[int, ...] | None = None) -> tuple[Any, dict[str, Any]]:
    """A source of ``rows`` (lava steps, n) into the network, in its own shape, and a sink for every population."""
    source = Source(data=np.ascontiguousarray(rows.T).reshape(*(shape or rows.shape[1:]), len(rows)))
    (source.s_out.flatten() if shape else source.s_out).connect(net.s_in)
    sinks = {}
    for name, port in net.outputs.items():
        sinks[name] = Sink(shape=port.shape, buffer=len(rows))
        port.connect(sinks[name].a_in)
    return source, sinks


def assert_sample(net: Any, sinks: dict[str, Any], first: int, given: Array, scale: Any = 1.0) -> None:
    """The sample (steps, 1, *shape) that came in from Lava step ``first`` on gave the reference's spikes."""
    record = run(net.network, given, scale, engine="reference", record="spikes")
    assert sum(record.spikes[name].sum() for name in sinks) > len(given)
    for name, sink in sinks.items():
        found = sink.data.get().T[first + net.depths[name] :][: len(given)]
        np.testing.assert_array_equal(found, record.rasters[name].reshape(len(given), -1), err_msg=name)


def samples(kind: str, numbers: str) -> None:
    """Two samples with a pause, and another knob, between them; a source that sends on while the network empties.

    The run configuration's tag is that of other numbers than the network's.
    """
    rng = np.random.default_rng(1)
    network = random_network(rng, numbers == "fixed", kind)
    tag, dtype = ("floating_pt", np.float64) if network.is_integer else ("fixed_pt", np.int32)
    net = to_lava(network, threshold_scale=0.8)
    period = STEPS + max(net.depths.values())
    scale = 1 if network.is_integer or kind == "spikes" else 16
    sent = scale * random_input(rng, network, period, 2)
    with net:
        sinks = wired(net, sent.swapaxes(0, 1).reshape(2 * period, -1).astype(dtype))[1]
        for k in range(2):
            net.run_sample(STEPS, Loihi2SimCfg(select_tag=tag))
            assert_sample(net, sinks, k * period, sent[:STEPS, k : k + 1], net.threshold_scale)
            net.threshold_scale = {"line": 1.5, "out": 0.7}


def pipelined() -> None:
    """Samples without a pause, begun in the middle of another one; what comes in in idle steps is ignored."""
    rng = np.random.default_rng(3)
    network = random_network(rng, False, "spikes")
    period = STEPS + longest_delay(network)
    given, before = random_input(rng, network, period, 3), random_input(rng, network, 4, 1)
    net = to_lava(network, reset_interval=period)
    rows = np.concatenate([before[:, 0], *given.swapaxes(0, 1), np.zeros((max(net.depths.values()), *given.shape[2:]))])
    with net:
        sinks = wired(net, rows.reshape(len(rows), -1))[1]
        net.run(RunSteps(num_steps=4), Loihi2SimCfg())
        net.reset()
        net.run(RunSteps(num_steps=len(rows) - 4))
        for k in range(3):
            assert_sample(net, sinks, 4 + k * period, given[:STEPS, k : k + 1])


def dial() -> None:
    """A learned dial, turned before the first run and after; run from another process, through a reshaped port.

    Synapses that subtract the threshold follow it.
    """
    network = fixed_network(4, reset="subtract-synapse")
    profile = DialProfile({"layer1": np.linspace(-0.5, 1.5, 8)})
    given = random_spikes(0, 2 * STEPS, 1, 6)
    with to_lava(network, profile=profile) as net:
        assert net.knob == 0.0
        net.knob = 0.25
        source, sinks = wired(net, np.pad(given[:, 0], [(0, net.latency), (0, 0)]), (2, 3))
        source.run(RunSteps(num_steps=STEPS), Loihi2SimCfg())
        net.knob = 0.75
        source.run(RunSteps(num_steps=STEPS + net.latency))
        turned = [profile.scale(0.25 if t + 1 < STEPS else 0.75)["layer1"] for t in range(2 * STEPS)]
        assert_sample(net, sinks, 0, given, {"layer1": np.concatenate(turned)})
        net.threshold_scale = 2.0
        assert net.knob is None
        with pytest.raises(InputError, match="knob: found 7"):
            net.knob = 7
        with pytest.raises(UnknownAttributeError, match=r"network attribute: found 'knbo'.*did you mean 'knob'"):
            net.knbo = 0.5
        assert net.threshold_scale == 2.0


def page() -> None:
    """The program of the page on Lava, between a source and a sink."""
    network, given = float_network(1, bias=False), random_spikes(0, 200, 1, 6)
    profile = DialProfile({"layer1": np.linspace(-0.5, 1.5, 8)})
    deployment = compile(network, "loihi2", profile=profile)
    source = Source(data=np.pad(given[:, 0], [(0, 50), (0, 0)]).T)
    sink = Sink(shape=(4,), buffer=250)
    (program,) = blocks("lava.md", "python")
    with tempfile.TemporaryDirectory() as folder:
        network.save(f"{folder}/net.aspen")
        save_profile(profile, f"{folder}/net.aspen")
        store_deployment(deployment, f"{folder}/net.aspen")
        space: dict[str, Any] = {"__name__": "page", "source": source, "sink": sink}
        exec(program.replace("net.aspen", f"{folder}/net.aspen"), space)
    turned = [profile.scale(0.2 if t + 1 < 100 else 0.7)["layer1"] for t in range(200)]
    expected = run(deployment, given, {"layer1": np.concatenate(turned)}, record="spikes").rasters["layer2"]
    assert expected.sum() > 20
    np.testing.assert_array_equal(space["spikes"].T[space["net"].latency :][:200], expected[:, 0])


def stock(configuration: str) -> None:
    """Stock processes, with biases in every population: two samples, each from rest; the knob is set before."""
    config: Any = Loihi2SimCfg(select_tag="fixed_pt") if configuration == "cpu" else Loihi2HwCfg(select_tag="fixed_pt")
    network = deep(1, bias=True)
    given = random_spikes(2, 20, 2, 6)
    net = to_lava(network, stock=True)
    net.threshold_scale = 1.4
    period = 20 + net.latency
    rows = np.pad(given, [(0, net.latency), (0, 0), (0, 0)]).swapaxes(0, 1).reshape(2 * period, 6)
    with net:
        sinks = wired(net, rows)[1]
        if configuration == "cpu":
            with pytest.raises(InputError, match=r"give Loihi2SimCfg\(select_tag='fixed_pt'\)"):
                net.run(ONE, Loihi2SimCfg())
        for k in range(2):
            net.run_sample(20, config)
            assert_sample(net, sinks, k * period, given[:, k : k + 1], 1.4)
        with pytest.raises(EngineError, match="before the first run"):
            net.threshold_scale = 1.0
        with pytest.raises(EngineError, match="run_sample"):
            net.reset()


def assert_refused(net: Any, message: str) -> None:
    with pytest.raises(EngineError, match=f"reset: {message}"):
        net.reset()
    with pytest.raises(EngineError, match=f"threshold_scale: {message}"):
        net.threshold_scale = 3.0
    assert net.threshold_scale != 3.0


def mistakes() -> None:
    """Each is told at once; none leaves the program hanging, at its end neither."""
    network = float_network(1)
    net = to_lava(network)
    wired(net, np.array([[0.0] * 6, [0.0, 2.0, 0.0, 1.0, 0.0, 0.0]]))
    net.run(ONE, Loihi2SimCfg())
    with pytest.raises(EngineError, match=r"lava: a process failed: .*spikes: found values from 0 to 2"):
        net.run(ONE)
    assert_refused(net, "found a runtime that has ended, .* build the processes anew")
    with pytest.raises(EngineError, match="run: found a runtime that has ended"):
        net.run(ONE)
    net.stop()
    net = to_lava(network)
    source, _ = wired(net, np.zeros((4, 6)))
    net.create_runtime(Loihi2SimCfg())
    net.threshold_scale = 2.0  # loaded, and not yet run
    net.run(RunContinuous())
    assert_refused(net, r"found a run under way, .* pause\(\) it")
    net.pause()
    net.threshold_scale = 3.0
    assert (net.threshold_scale, source.runtime is net.runtime) == (3.0, True)
    net.runtime._messaging_infrastructure.actors[0].kill()
    while not has_ended(net.runtime):
        time.sleep(0.01)
    net.threshold_scale = 3.0  # as it is
    with pytest.raises(EngineError, match="threshold_scale: found a runtime that has ended"):
        net.threshold_scale = 2.0
    net.stop()
    net.stop()


def endings() -> None:
    """An interrupt in the middle of a run ends it; samples on stock processes end where they could touch."""
    with to_lava(float_network(1)) as net:
        net.run(ONE, Loihi2SimCfg())
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            net.run(RunSteps(num_steps=10**8))
        assert_refused(net, "found a runtime that has ended")
    with to_lava(looped(0), stock=True) as net:
        net.run_sample(2, Loihi2SimCfg(select_tag="fixed_pt"))
        with pytest.raises(EngineError, match="a second sample in a network with delays"):
            net.run_sample(2)
        with pytest.raises(InputError, match="steps: found 0"):
            net.run_sample(0)


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program for program in (samples, pipelined, dial, page, stock, mistakes, endings)
}

if __name__ == "__main__":
    for asked in sys.argv[1:]:
        program, *arguments = asked.split(":")
        PROGRAMS[program](*arguments)
