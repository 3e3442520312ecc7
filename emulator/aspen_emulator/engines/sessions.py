"""Sessions: one time step at a time, with the knob in hand between the steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.path import AnyDial, dial_of
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.c.engine import CStepper
from aspen_emulator.engines.cortex_m.engine import ENGINES as ON_CORES
from aspen_emulator.engines.cortex_m.engine import CoreStepper
from aspen_emulator.engines.inputs import check_input, check_step, thresholds_for
from aspen_emulator.engines.reference import Stepper
from aspen_emulator.engines.run import check_engine, network_of
from aspen_emulator.engines.turning import Turnable, begins_at
from aspen_hardware.compiling.deployment import Deployment

if TYPE_CHECKING:
    from aspen_emulator.engines.fast import FastStepper, StepEvents


class _Backend(Protocol):
    """Steps a network; thresholds are given in units of the membrane, (1, n or 1)."""

    latency: int

    @property
    def depths(self) -> Mapping[str, int]: ...

    @property
    def rasters(self) -> Mapping[str, Array]: ...

    @property
    def membranes(self) -> Mapping[str, Array]: ...

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]: ...

    def counted(self) -> dict[str, int]: ...

    def events(self) -> StepEvents | None: ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


def _count(rasters: Mapping[str, Array]) -> dict[str, int]:
    return {name: int(np.count_nonzero(raster)) for name, raster in rasters.items()}


_Opened = Callable[[Network, int], "Stepper | FastStepper | CStepper"]


class _Local:
    """The stepper of the reference, the fast engine or one in C as a backend."""

    latency = 0

    def __init__(self, network: Network, batch: int, stepper: _Opened) -> None:
        self._stepper = stepper(network, batch)
        self._now: dict[str, Array] = {}
        self.depths = dict.fromkeys(network.names, 0)

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        self._now = self._stepper.step(spikes, thresholds)
        return self._now

    def counted(self) -> dict[str, int]:
        return _count(self._now) if isinstance(self._stepper, Stepper | CStepper) else self._stepper.counted()

    def events(self) -> StepEvents | None:
        return None if isinstance(self._stepper, Stepper | CStepper) else self._stepper.events()

    @property
    def rasters(self) -> Mapping[str, Array]:
        return self._now

    @property
    def membranes(self) -> Mapping[str, Array]:
        return self._stepper.membranes

    def reset(self) -> None:
        self._stepper.reset()

    def close(self) -> None:
        if isinstance(self._stepper, CStepper):
            self._stepper.close()


def _fast(network: Network, batch: int) -> FastStepper:
    from aspen_emulator.engines.fast import FastStepper

    return FastStepper(network, batch)


_STEPPERS: dict[str, _Opened] = {
    "fast": _fast,
    "reference": Stepper,
}
_PROGRAMS: dict[str, type[CStepper] | partial[CoreStepper]] = {
    "c": CStepper,
    **{engine: partial(CoreStepper, engine=engine) for engine in ON_CORES},
}
"""Those with a knob of their own."""
STEPPING = (*_STEPPERS, *_PROGRAMS, "lava")
"""Engines that a session can run."""


class _Lava:
    """A live Lava runtime as a backend; one sample at a time."""

    def __init__(self, network: Network, batch: int) -> None:
        from aspen_emulator.engines.lava.engine import LavaSession

        if batch != 1:
            raise InputError(f"batch: found {batch}, allowed is 1 in a session on Lava; use engine='fast' for more")
        self._session = LavaSession(network)
        self.latency, self.depths = self._session.latency, {**self._session.depths}
        self._now: dict[str, Array] = {}

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        now = self._session.step_checked(spikes[0], {name: array[0] for name, array in thresholds.items()})
        self._now = {name: raster.reshape(1, -1) for name, raster in now.items()}
        return self._now

    def counted(self) -> dict[str, int]:
        return _count(self._now)

    def events(self) -> StepEvents | None:
        return None

    @property
    def rasters(self) -> Mapping[str, Array]:
        return self._now

    @property
    def membranes(self) -> Mapping[str, Array]:
        return self._session.membranes

    def reset(self) -> None:
        self._session.reset()

    def close(self) -> None:
        self._session.close()


class Session(Turnable):
    """A running network: feed it step by step, turn it at any time; a context manager.

    It is turned by :attr:`knob` where it was opened with a learned dial, else by :attr:`threshold_scale`.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> running = session(network, threshold_scale=2.0, batch=4)
    >>> running.step(np.ones((4, 2), np.uint8)).shape
    (4, 2)
    >>> running.thresholds["hidden"], running.latency
    (array([[2.]]), 0)
    >>> running.close()

    Args:
        program, threshold_scale, engine, batch, profile, knob: see :func:`session`, which opens one.

    Attributes:
        latency: time steps between an input and the output that belongs to it. 0, but on Lava one step for each
            connection on the way, as on a chip.
        depths: population -> time steps by which it is late, 0 but on Lava.
        spikes: population -> spikes since the start or the last reset, as an integer.

    Raises:
        UnknownAttributeError: something else than ``knob`` or ``threshold_scale`` was set, or the one of these that
            does not turn this session.
    """

    settable = ("knob", "threshold_scale")
    remedy = "set the knob of a learned dial, or the threshold scale where there is none"

    def __init__(
        self,
        program: Network | Deployment,
        threshold_scale: ThresholdScale,
        engine: str,
        batch: int,
        profile: AnyDial | None,
        knob: float | None,
    ) -> None:
        check_engine(engine)
        if engine not in STEPPING:
            why = "as the chip's thresholds are fixed while it runs" if engine == "loihi" else "as it takes whole runs"
            raise InputError(
                f"engine: found {engine!r}, allowed in a session are {', '.join(STEPPING)}, {why}; use run(engine="
                f"{engine!r})"
            )
        if batch < 1:
            raise InputError(f"batch: found {batch}, allowed is 1 and more")
        self.network = network_of(program)
        self.engine, self.batch = engine, batch
        self.profile = profile
        self._turn(begins_at(self.network, threshold_scale, profile, knob))
        self._backend = self._open(engine)
        given = self.network.input
        self._output_shape = (batch, *self.network[self.network.output].shape)
        self._shape, self._analog = (batch, *given.given_shape), given.is_analog
        self._held: Array | None = None
        self._given: Array | None = None
        self.latency, self.depths = self._backend.latency, self._backend.depths
        self.spikes = dict.fromkeys(self.network.names, 0)

    def _open(self, engine: str) -> _Backend:
        if engine == "lava":
            return _Lava(self.network, self.batch)
        known = _STEPPERS.get(engine) or partial(_PROGRAMS[engine], profile=dial_of(self.profile))
        return _Local(self.network, self.batch, known)

    def _standing(self) -> ThresholdScale:
        return self._stands

    def _turn(self, to: ThresholdScale) -> None:
        scale = to if self.profile is None else self.profile.scale(to)  # type: ignore[arg-type]
        thresholds = thresholds_for(self.network, scale, 1, self.batch)
        self._thresholds = {name: array[0] for name, array in thresholds.items()}
        self._stands = to

    def step(self, spikes: Array) -> Array:
        """Advance one time step.

        Args:
            spikes: (batch, *input_shape), 0 and 1; or the current, where the input takes one. A static input is the
                same at all steps until :meth:`reset`.

        Returns:
            (batch, *output_shape) uint8: the output population's spikes of this step.

        Raises:
            InputError: another shape or values, with which nothing has happened; or the session was closed.
        """
        self._check_open()
        self._given = self._static(spikes) if self.network.input.static else self._checked(spikes)
        now = self._backend.step(self._given, self._thresholds)
        for name, count in self._backend.counted().items():
            self.spikes[name] += count
        if self._analog:
            self.spikes[self.network.input.name] = 0  # its values are no spikes
        return now[self.network.output].reshape(self._output_shape)

    def _static(self, spikes: Array) -> Array:
        """What the engine is given at every step of an inference: made of the values once."""
        if self._held is None or self._given is None:
            first, self._held = self._checked(spikes), np.array(spikes)
            return first
        if not np.array_equal(self._held, spikes):
            check_step(np.shape(spikes), self._shape)
            raise InputError(
                f"{self.network.input.name}: found other values than at the first step, allowed are the same at all "
                f"steps of an inference, as the input is static; reset() the session for others"
            )
        return self._given

    def _checked(self, spikes: Array) -> Array:
        ready = isinstance(spikes, np.ndarray) and spikes.dtype == np.uint8 and spikes.shape == self._shape
        if ready and not self.network.input.current and np.maximum.reduce(spikes, axis=None) <= 1:
            return spikes  # most steps of a stream: nothing to convert, and microseconds count
        check_step(np.asarray(spikes).shape, self._shape)
        return check_input(self.network, np.asarray(spikes)[None])[0]

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

    @property
    def rasters(self) -> Mapping[str, Array]:
        """Population -> (batch, n): spikes of the last step; the values of an analog input. Empty before a step."""
        return self._backend.rasters

    @property
    def given(self) -> Array:
        """(batch, *shape): what the engine was given in the last step: spikes, or a current as it takes it.

        Raises:
            InputError: there was no step yet.
        """
        if self._given is None:
            raise InputError("given: found no step, allowed is after one; call step() first")
        return self._given

    @property
    def thresholds(self) -> Mapping[str, Array]:
        """Population -> (1 or batch, n or 1): the thresholds as the knob stands, in units of the membrane."""
        return self._thresholds

    @property
    def events(self) -> StepEvents | None:
        """What the last step counted, where the engine counts it as it runs (fast); else None: see the rasters."""
        return self._backend.events()

    def reset(self) -> None:
        """Back to the state at the start of a sample; the knob stays where it is."""
        self._check_open()
        self._backend.reset()
        self._held = None
        self.spikes.update(dict.fromkeys(self.spikes, 0))

    def close(self) -> None:
        """End the session; on Lava, stop its runtime. What it showed last can still be read."""
        self._is_over = True
        self._backend.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def session(
    program: Network | Deployment,
    threshold_scale: ThresholdScale = 1.0,
    *,
    engine: str = "fast",
    batch: int = 1,
    profile: AnyDial | None = None,
    knob: float | None = None,
) -> Session:
    """Open a session on a network or deployment; see :class:`Session`.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> with session(network) as running:
    ...     for scale in (1.0, 1.0, 3.0, 3.0):  # turned between two steps
    ...         running.threshold_scale = scale
    ...         print(running.step(np.ones((1, 2), np.uint8)), running.spikes["hidden"])
    [[0 0]] 2
    [[1 1]] 5
    [[0 0]] 5
    [[0 0]] 5

    A network that learned a dial is turned by the dial's knob:

    >>> from aspen import DialProfile
    >>> with session(network, profile=DialProfile({"hidden": 1.0})) as running:
    ...     running.knob = 0.5
    ...     print(running.knob, running.thresholds["hidden"].round(2))
    0.5 [[1.65]]

    Args:
        program: a deployment, or a network in floating point.
        threshold_scale: factor on the thresholds of all hidden populations at first, or a mapping from population to
            factor.
        engine: ``fast``, ``reference``, ``c``, ``cortex-m`` (or one core by its name) or ``lava``.
        batch: samples side by side; 1 in C, on a Cortex-M and on Lava.
        profile: the dial that was learned with the network (:func:`aspen.load_profile`, or ``trained.profile``), whose
            knob takes the place of the threshold scale.
        knob: where it stands at first; default: at its accurate end.

    Raises:
        InputError: something given is not allowed.
        MissingDependencyError: the engine is not installed.
    """
    return Session(program, threshold_scale, engine, batch, profile, knob)
