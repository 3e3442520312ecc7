"""Sessions: one time step at a time, with the knob in hand between the steps."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

import numpy as np

from aspen._arrays import Array
from aspen.errors import InputError
from aspen.knob import ThresholdScale
from aspen.network import Network
from aspen_emulator.engines import check_engine, network_of
from aspen_emulator.inputs import check_input, thresholds_for
from aspen_emulator.reference import Stepper
from aspen_hardware.deployment import Deployment


class _Backend(Protocol):
    """Steps a network; thresholds are given in units of the membrane, (1, n or 1)."""

    latency: int

    @property
    def membranes(self) -> Mapping[str, Array]: ...

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class _Local:
    """The reference stepper as a backend."""

    latency = 0

    def __init__(self, network: Network, batch: int) -> None:
        self._stepper = Stepper(network, batch)

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        return self._stepper.step(spikes, thresholds)

    @property
    def membranes(self) -> Mapping[str, Array]:
        return self._stepper.membranes

    def reset(self) -> None:
        self._stepper.reset()

    def close(self) -> None:
        pass


class _Lava:
    """A live Lava runtime as a backend; one sample at a time."""

    def __init__(self, network: Network, batch: int) -> None:
        from aspen_emulator.lava.engine import LavaSession

        if batch != 1:
            raise InputError(f"batch: found {batch}, allowed is 1 in a session on Lava; use engine='fast' for more")
        self._session = LavaSession(network)
        self.latency = self._session.latency

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        rasters = self._session.step(spikes[0], {name: array[0] for name, array in thresholds.items()})
        return {name: raster.reshape(1, -1) for name, raster in rasters.items()}

    @property
    def membranes(self) -> Mapping[str, Array]:
        return self._session.membranes

    def reset(self) -> None:
        self._session.reset()

    def close(self) -> None:
        self._session.close()


class Session:
    """A running network: feed it step by step, turn :attr:`threshold_scale` at any time; a context manager.

    Attributes:
        latency: time steps between an input and the output that belongs to it. 0, but on Lava one step for each
            connection on the way, as on a chip.
        spikes: population -> spikes since the start or the last reset, as an integer.
    """

    def __init__(self, target: Network | Deployment, threshold_scale: ThresholdScale, engine: str, batch: int) -> None:
        check_engine(engine)
        if batch < 1:
            raise InputError(f"batch: found {batch}, allowed is 1 and more")
        self.network = network_of(target)
        self.batch = batch
        self.threshold_scale = threshold_scale
        self._backend: _Backend = (_Lava if engine == "lava" else _Local)(self.network, batch)
        self.latency = self._backend.latency
        self.spikes = dict.fromkeys(self.network.names, 0)

    @property
    def threshold_scale(self) -> ThresholdScale:
        """The knob: a number for all hidden populations, or a mapping from population to number."""
        return self._scale

    @threshold_scale.setter
    def threshold_scale(self, scale: ThresholdScale) -> None:
        self._thresholds = {
            name: array[0] for name, array in thresholds_for(self.network, scale, 1, self.batch).items()
        }
        self._scale = scale

    def step(self, spikes: Array) -> Array:
        """Advance one time step.

        Args:
            spikes: (batch, *input_shape), 0 and 1; or the current, where the input takes one.

        Returns:
            (batch, *output_shape) uint8: the output population's spikes of this step.
        """
        checked = check_input(self.network, np.asarray(spikes)[None])[0]
        if len(checked) != self.batch:
            raise InputError(
                f"spikes: found a batch of {len(checked)}, this session has {self.batch}; open another one"
            )
        now = self._backend.step(checked, self._thresholds)
        for name, raster in now.items():
            self.spikes[name] += int(raster.sum())
        output = self.network[self.network.output]
        return np.asarray(now[output.name]).reshape(self.batch, *output.shape)

    @property
    def membranes(self) -> Array:
        """(batch, *output_shape): the output population's membranes in the last step, before the reset.

        Raises:
            InputError: there was no step yet, or the network's read-out is on spikes and it runs on Lava.
        """
        output = self.network[self.network.output]
        if output.name not in self._backend.membranes:
            raise InputError(
                f"membranes of {output.name}: found none, allowed is after a step, and on Lava for a network with a "
                f"read-out on membranes only; use engine='fast'"
            )
        return np.asarray(self._backend.membranes[output.name]).reshape(self.batch, *output.shape)

    def reset(self) -> None:
        """Back to the state at the start of a sample; the knob stays where it is."""
        self._backend.reset()
        self.spikes = dict.fromkeys(self.network.names, 0)

    def close(self) -> None:
        """End the session; on Lava, stop its runtime."""
        self._backend.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def session(
    target: Network | Deployment, threshold_scale: ThresholdScale = 1.0, *, engine: str = "fast", batch: int = 1
) -> Session:
    """Open a session on a network or deployment; see :class:`Session`.

    Args:
        target: a deployment, or a network in floating point.
        threshold_scale: where the knob stands at first.
        engine: ``fast``, ``reference`` (in a session these two are the same) or ``lava``.
        batch: samples side by side; 1 on Lava.

    Raises:
        InputError: something given is not allowed.
        MissingDependencyError: the engine is not installed.
    """
    return Session(target, threshold_scale, engine, batch)
