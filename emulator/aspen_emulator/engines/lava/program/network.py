"""A network as one hierarchical process: what :func:`aspen_emulator.lava.to_lava` makes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import AbstractLoihiHWRunCfg, AbstractLoihiSimRunCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from aspen._base.arrays import Array
from aspen._base.checks import as_integer
from aspen._base.names import unknown_name
from aspen.dial.path import AnyDial
from aspen.dial.scale import ThresholdScale
from aspen.errors import EngineError, InputError, UnknownAttributeError
from aspen.network.network import Network
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.lava.graph import Graph, failures, has_ended
from aspen_emulator.engines.lava.layout import check_network, longest_delay
from aspen_emulator.engines.lava.loihi import check_stock, require_loihi
from aspen_emulator.engines.lava.program.kinds import SpikeInlet, ValueInlet, make_alone
from aspen_emulator.engines.lava.schedule import Setup, thresholds_at
from aspen_emulator.engines.lava.stock import StockGraph, run_sample


class NetworkProcess(AbstractProcess):
    """A network in a program on Lava: a hierarchical process, as a network of lava-dl's netx is one.

    Lava takes one step per connection: population ``name`` is ``depths[name]`` steps late, and what comes in at Lava
    step ``t`` is answered at ``t + latency``. ``threshold_scale`` and ``knob`` can be set before the first run and
    between runs, and act on all populations from the next Lava step on. A ``with`` block stops the runtime at its end.

    Ports:
        s_in: (n_input,), spikes, or the values of an input that takes a current; the input's shape laid flat.
        s_out: (n_output,), the output population's spikes.

    Attributes:
        outputs: population -> its port of spikes (n,); that of the output is ``s_out``.
        network: what runs.
        depths: population -> Lava steps by which it is late.
        latency: Lava steps between an input and the output that belongs to it.

    Raises:
        UnknownAttributeError: something else than ``threshold_scale`` and ``knob`` was set.
    """

    _own_runtime: Any = None
    _inner: Any = None
    _closed = False

    def __init__(self, network: Network, scale: ThresholdScale, profile: AnyDial | None, name: str) -> None:
        super().__init__(name=name)
        self.network = network
        self.depths: Mapping[str, int] = MappingProxyType(check_network(network))
        self.latency = self.depths[network.output]
        self.s_in = InPort(shape=(network.input.size,))
        self.s_out = OutPort(shape=(network[network.output].size,))
        self.outputs: Mapping[str, Any] = MappingProxyType({name: self._port(name) for name in network.order})
        self._profile = profile
        self._knob: float | None = None
        self._scale, self._thresholds = scale, thresholds_at(network, scale)
        self._closed = True

    def _port(self, name: str) -> Any:
        """The port of a population; Lava finds the ports of a process among its attributes."""
        if name == self.network.output:
            return self.s_out
        port = OutPort(shape=(self.network[name].size,))
        setattr(self, f"s_out of {name}", port)
        return port

    def __setattr__(self, name: str, value: object) -> None:
        if self._closed and name[:1] != "_" and name not in vars(self) and not hasattr(type(self), name):
            raise UnknownAttributeError(unknown_name("network attribute", name, ("threshold_scale", "knob")))
        super().__setattr__(name, value)

    @property
    def _runtime(self) -> Any:
        """Lava gives the runtime to the process that is asked to run, and to those that this one consists of."""
        return self._own_runtime or (self._inner.processes[0].runtime if self._inner else None)

    @_runtime.setter
    def _runtime(self, runtime: Any) -> None:
        self._own_runtime = runtime

    def built(self, inner: Any) -> None:
        """Lava has built the processes that this one consists of: connect the ports of those that are listened to."""
        self._inner = inner
        for name, port in self.outputs.items():
            if port.out_connections:
                inner.neurons[name].s_out.connect(port)

    @property
    def threshold_scale(self) -> ThresholdScale:
        """Factor on the thresholds of all hidden populations, or population -> factor, as in a session."""
        return self._scale

    @threshold_scale.setter
    def threshold_scale(self, scale: ThresholdScale) -> None:
        wanted = thresholds_at(self.network, scale)
        changed = {name: a for name, a in wanted.items() if not np.array_equal(a, self._thresholds[name])}
        if changed and self._is_paused("threshold_scale"):
            self._apply(changed)
        self._scale, self._thresholds, self._knob = scale, wanted, None

    @property
    def knob(self) -> float | None:
        """The learned dial: one number for all thresholds. None where ``threshold_scale`` was set last."""
        return self._knob

    @knob.setter
    def knob(self, knob: float) -> None:
        if self._profile is None:
            raise InputError(
                "knob: found no dial profile to turn, allowed is a network with one: to_lava(..., "
                "profile=load_profile(path)); without one set threshold_scale"
            )
        self.threshold_scale = self._profile.scale(knob)
        self._knob = knob

    @abstractmethod
    def _apply(self, thresholds: Mapping[str, Array]) -> None:
        """Give the running neurons other thresholds, population -> (n,)."""

    @abstractmethod
    def reset(self) -> None:
        """Begin a new sample, between two runs: states at zero, spikes on their way are lost; thresholds stay."""

    @abstractmethod
    def run_sample(self, steps: int, run_cfg: Any = None) -> None:
        """Run a sample from rest, and until it has come out everywhere: ``steps + max(depths.values())`` Lava steps.

        Args:
            steps: of the sample. What a source sends after them is no part of it.
            run_cfg: as for :meth:`run`, needed the first time.

        Raises:
            InputError: ``steps`` is no whole number above 0.
            EngineError: as :meth:`run`; or, with stock processes, a second sample in a network with delays.
        """

    def _is_paused(self, what: str) -> bool:
        """Whether there is a runtime that takes values; False where there is none yet.

        Raises:
            EngineError: a run is under way, or the runtime has ended.
        """
        runtime = self._runtime
        if runtime is None:
            return False
        self._check_alive(what)
        if runtime._is_running:
            raise EngineError(f"{what}: found a run under way, allowed is between runs; wait(), or pause() it")
        if not runtime._is_started:  # loaded: Lava takes values from the first run on, be it one of no steps
            self.run(RunSteps(num_steps=0))
        return True

    def _check_alive(self, what: str) -> None:
        """Raise unless the runtime's processes are there: Lava would wait for their answer for ever."""
        if has_ended(self._runtime):
            raise EngineError(
                f"{what}: found a runtime that has ended, allowed is one that is alive; build the processes anew, "
                f"beginning with to_lava"
            )

    def run(self, condition: Any, run_cfg: Any = None, compile_config: Any = None) -> None:
        """As for every process of Lava.

        Raises:
            EngineError: a process failed, and the message says why; or the runtime has ended before.
        """
        if self._runtime is not None:
            self._check_alive("run")
        with self._told():
            super().run(condition, run_cfg, compile_config)

    def wait(self) -> None:
        """As for every process of Lava; raises as :meth:`run`."""
        with self._told():
            super().wait()

    def pause(self) -> None:
        """As for every process of Lava; raises as :meth:`run`."""
        with self._told():
            super().pause()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Lava's own error does not say what happened. After any error, an interrupt included, its processes are gone
        or amid a step, and its runtime would wait for their answers for ever: it is ended."""
        try:
            yield
        except BaseException as error:
            if self._runtime is None:
                raise
            found = failures(self._runtime)
            self._abandon()
            if not found:
                raise
            last = found[-1].strip().splitlines()[-1]
            raise EngineError(f"lava: a process failed: {last}") from error

    def _abandon(self) -> None:
        runtime = self._runtime
        for actor in runtime._messaging_infrastructure.actors:
            if not actor._is_done:
                actor.terminate()
        runtime._is_started = runtime._is_running = False
        super().stop()

    def stop(self) -> None:
        """End the runtime and all its processes; may be called twice."""
        if self._runtime is not None and has_ended(self._runtime):
            self._abandon()
        else:
            super().stop()

    def __enter__(self) -> NetworkProcess:
        return self


class DialNetwork(NetworkProcess):
    """The network on ASPEN's neurons, whose thresholds can be turned while the runtime is alive.

    Args:
        network: what to run.
        scale: its ``threshold_scale`` at first.
        profile: what ``knob`` turns.
        interval: steps after which every population starts from rest again; 0: never.
        name: for Lava's messages.
    """

    def __init__(
        self, network: Network, scale: ThresholdScale, profile: AnyDial | None, interval: int, name: str
    ) -> None:
        super().__init__(network, scale, profile, name)
        self._interval = interval

    def setup(self) -> Setup:
        """Thresholds and times, as they are when Lava builds the process."""
        idle = longest_delay(self.network) if self._interval else 0
        return Setup(self.depths, self._thresholds, period=self._interval, idle=idle)

    def _apply(self, thresholds: Mapping[str, Array]) -> None:
        for name, values in thresholds.items():
            self._inner.set_threshold(name, values)

    def reset(self) -> None:
        """Begin a new sample, between two runs: states at zero, spikes on their way are lost; thresholds stay.

        Each population starts from rest when the new sample can reach it, and is silent until then.

        Raises:
            EngineError: a run is under way, or the runtime has ended.
        """
        if self._is_paused("reset"):
            self._inner.begin()
            self._inner.clear()

    def run_sample(self, steps: int, run_cfg: Any = None) -> None:
        total = as_integer("steps", steps, 1) + max(self.depths.values())
        self.reset()
        self.run(RunSteps(num_steps=total), run_cfg)


@implements(proc=DialNetwork, protocol=LoihiProtocol)
class DialNetworkModel(AbstractSubProcessModel):
    """What a :class:`DialNetwork` consists of."""

    def __init__(self, proc: DialNetwork) -> None:
        network, setup = proc.network, proc.setup()
        kind = ValueInlet if network.input.current else SpikeInlet
        inlet = kind(network=network, period=setup.period, idle=setup.idle, name=f"input of {proc.name}")
        graph = Graph(network, setup, make_alone, inlet)
        proc.s_in.connect(inlet.s_in)
        _show(self, graph.processes)
        proc.built(graph)


class StockNetwork(NetworkProcess):
    """The network on Lava's stock processes, for Loihi (``Loihi2HwCfg``) or Lava's bit-accurate models of it.

    Thresholds can be set before the first run only.
    """

    def __init__(self, network: Network, scale: ThresholdScale, profile: AnyDial | None, name: str) -> None:
        super().__init__(network, scale, profile, name)
        self._samples = 0

    def mantissas(self) -> dict[str, int]:
        """Population -> threshold, as it is when Lava builds the process."""
        return check_stock(self.network, thresholds_for(self.network, self._scale, 1, 1))

    def _apply(self, thresholds: Mapping[str, Array]) -> None:
        raise EngineError(
            "threshold_scale: found a runtime that has begun, allowed with stock=True is before the first run, as "
            "Lava's stock neurons read their threshold once; build the processes anew, or leave stock out"
        )

    def compile(self, run_cfg: Any, compile_config: Any = None) -> Any:
        """As for every process of Lava.

        Raises:
            InputError: the run configuration would choose other models than those in integers.
            MissingDependencyError: it is for a chip, and Intel's extension is not installed.
        """
        if isinstance(run_cfg, AbstractLoihiHWRunCfg):
            require_loihi()
        if isinstance(run_cfg, AbstractLoihiSimRunCfg) and run_cfg.select_tag != "fixed_pt":
            raise InputError(
                f"run_cfg: found select_tag={run_cfg.select_tag!r}, allowed for stock processes in integers is "
                f"'fixed_pt'; give {type(run_cfg).__name__}(select_tag='fixed_pt')"
            )
        return super().compile(run_cfg, compile_config)

    def reset(self) -> None:
        """Refused: the states of stock neurons are set to zero by and by, as a sample reaches them.

        Raises:
            EngineError: says what to use.
        """
        raise EngineError("reset: found stock processes, allowed is run_sample(steps), which starts them from rest")

    def run_sample(self, steps: int, run_cfg: Any = None) -> None:
        count = as_integer("steps", steps, 1)
        if self._samples and longest_delay(self.network):
            raise EngineError(
                "run_sample: found a second sample in a network with delays, whose spikes would pass into it, allowed "
                "with stock=True is one; build the processes anew for each, or leave stock out"
            )
        self._samples += 1

        def advance(some: int) -> None:
            self.run(RunSteps(num_steps=some), run_cfg)

        run_sample(self.depths, count, advance, lambda name: self._inner.rest(name))


@implements(proc=StockNetwork, protocol=LoihiProtocol)
class StockNetworkModel(AbstractSubProcessModel):
    """What a :class:`StockNetwork` consists of."""

    def __init__(self, proc: StockNetwork) -> None:
        graph = StockGraph(proc.network, proc.mantissas(), lambda model, kind, arguments: kind(**arguments))
        proc.s_in.connect(graph.entries)
        _show(self, graph.processes)
        proc.built(graph)


def _show(model: AbstractSubProcessModel, processes: list[Any]) -> None:
    """Lava finds the processes of a model among its attributes."""
    for place, process in enumerate(processes):
        setattr(model, f"process {place}", process)
