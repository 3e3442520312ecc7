"""A network on a stream with a controller in the loop: window after window, counted, priced, and reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_quantity
from aspen.calibration.early import EarlyStop, Inference
from aspen.calibration.table import CalibrationTable
from aspen.control import Controller, Decision, Manual, Spent, margins
from aspen.control.states import check_keys, count, number, part
from aspen.dial.path import AnyDial, KnobPath, every_of
from aspen.dial.scale import ThresholdScale
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.network.readout import NO_ANSWER, accumulated, answers
from aspen_emulator.engines.inputs import check_input, check_step, thresholds_for
from aspen_emulator.engines.run import network_of
from aspen_emulator.engines.sessions import session
from aspen_emulator.engines.turning import Turnable, begins_at
from aspen_emulator.streaming.counting import Events, Tally
from aspen_emulator.streaming.meter import Meter
from aspen_emulator.streaming.watch import HIDDEN, Watch
from aspen_hardware.compiling.deployment import Deployment
from aspen_hardware.energy.report import EnergyReport


@dataclass(frozen=True)
class Window:
    """A window that is over.

    Args:
        index: from 0.
        end: seconds from the start of the stream to its end.
        ran: whether the network ran; otherwise the window was skipped.
        steps: time steps that the network took; those that a knob leaves out are none.
        cut: whether it was stopped because the budget did not cover another step.
        knob: where it stood.
        prediction: the answer, -1 for none (:func:`aspen.network.readout.answers`); that of the window before where
            this one was skipped, or was stopped before its first step.
        margin: how clear the answer is, 0 to 1: its calibrated confidence where there is one (an early end in the
            table), else :func:`aspen.control.margins`; None where the window was skipped, or its scores are no finite
            numbers.
        input_spikes, hidden_spikes, operations: counts.
        dynamic, static: joules.
        left: joules that the controller has left; None where it has no budget.
        alarm: what is unusual about the input, or empty.
    """

    index: int
    end: float
    ran: bool
    steps: int
    cut: bool
    knob: float
    prediction: int
    margin: float | None
    input_spikes: int
    hidden_spikes: int
    operations: int
    dynamic: float
    static: float
    left: float | None
    alarm: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a row of a log."""
        return asdict(self)


class Stream(Turnable):
    """Runs windows of a stream one after the other; a context manager.

    :attr:`knob` (:attr:`threshold_scale` without a learned dial) says where it stands in the next window. Where the
    controller is :class:`aspen.Manual`, it can be set; else the controller turns it.

    A window is an inference: the network begins it at rest, as it was trained. So a skipped window leaves nothing
    behind, and what a window costs and answers depends on nothing before it but the controller's decision.

    Args:
        program: a deployment, or a network in floating point: what ``meter`` was made for.
        meter: prices, length of a window and of its steps.
        controller: decides on the knob of each window, and whether it is run.
        profile: what the knob does to the thresholds; default: it multiplies those of all hidden populations.
        early: ends inferences early; default: they take all steps.
        table: what windows usually cost, so that unusual ones are reported; default: none is.
        engine: ``fast``, ``reference``, ``c`` or ``lava``.

    Attributes:
        totals: exact counts of all windows so far.
        windows, skipped, cut, alarms, unanswered: how many there were; of these, skipped, stopped for the budget,
            unusual, run without an answer.

    Raises:
        InputError: something does not fit.
        MissingDependencyError: the engine is not installed.
    """

    def __init__(
        self,
        program: Network | Deployment,
        meter: Meter,
        controller: Controller,
        *,
        profile: AnyDial | None = None,
        early: EarlyStop | None = None,
        table: CalibrationTable | None = None,
        engine: str = "fast",
    ) -> None:
        self.network = network_of(program)
        if self.network is not meter.network:
            raise InputError("meter: found that of another network, allowed is that of the program; see Meter.of")
        if self.network[self.network.output].size < 2:
            raise InputError(
                f"program: found one output neuron ({self.network.output}), allowed for a stream are 2 and more, as "
                f"the two highest scores say how clear an answer is; train with an output for each class"
            )
        if early is not None and (early.steps != meter.window or early.readout != self.network.readout):
            raise InputError(
                f"early: found one for {early.steps} steps and the read-out {early.readout}, allowed are "
                f"{meter.window} and {self.network.readout}; calibrate again"
            )
        stepped = replace(profile, every=()) if isinstance(profile, KnobPath) else profile  # it is here that steps go
        begins_at(self.network, 1.0, stepped, None)
        self.meter, self.controller, self.profile, self.early = meter, controller, profile, early
        self._watch = None if table is None else Watch(table, meter)
        self._sure = None if table is None else table.early
        self.totals = Events.none(self.network)
        self.windows = self.skipped = self.cut = self.alarms = self.unanswered = 0
        self._prediction = NO_ANSWER
        self._now = 0
        self._totals: Array | None = None
        self._inference: Inference | None = None
        self._every = 1
        self._decision: Decision = controller.decision
        thresholds_for(self.network, self._scale(self._decision.knob), 1, 1)  # refused before anything runs
        self._session = session(program, engine=engine, profile=stepped)
        self._tally = Tally(self._session)
        kind = np.int64 if self.network.input.current else np.uint8
        self._silence = np.zeros((1, *self.network.input.given_shape), kind)

    @property
    def seconds(self) -> float:
        """Since the start of the stream, in whole windows."""
        return self.windows * self.meter.window_seconds

    @property
    def dynamic(self) -> float:
        """Joules so far, from the exact counts."""
        return self.meter.joules(self.totals)

    @property
    def static(self) -> float:
        """Joules so far."""
        return self.meter.static_watts * self.seconds

    def report(self) -> EnergyReport:
        """The energy model's account of the steps that ran; skipped windows cost static power only, see ``static``."""
        return self.meter.report(self.totals)

    def run(self, windows: Iterable[Array]) -> Iterator[Window]:
        """Run windows, (steps, *input_shape) each, as they come; gives the result of each."""
        for window in windows:
            yield self.window(window)

    def window(self, values: Array) -> Window:
        """Run one window.

        Args:
            values: (steps, *input_shape): spikes, or the current where the input takes one.

        Raises:
            InputError: another shape or values, or a window was begun with :meth:`step`.
        """
        array = np.asarray(values)
        if self._now or array.shape != (self.meter.window, *self.network.input.given_shape):
            raise InputError(
                f"window: found shape {array.shape} at step {self._now}, allowed is "
                f"{(self.meter.window, *self.network.input.given_shape)} between windows"
            )
        check_input(self.network, array[:, None])  # all of it, before any of it is run
        for each in array:
            done = self.step(each)
        assert done is not None  # as these were all steps of a window
        return done

    def step(self, values: Array) -> Window | None:
        """Take one step of the input; gives a result at the last step of each window.

        Args:
            values: (*input_shape): spikes, or the current where the input takes one.

        Raises:
            InputError: another shape or values; the window can go on with others. Or the stream was closed.
        """
        self._check_open()
        check_step((1, *np.shape(values)), (1, *self.network.input.given_shape))
        if self._now == 0:
            self._begin()
        if self._running and (self._now + 1) % self._every == 0:
            self._advance(np.asarray(values)[None])
        self._now += 1
        if self._now < self.meter.window:
            return None
        after = np.asarray(values)[None] if self.network.input.static else self._silence
        for _ in range(self._session.latency):
            if self._running:
                self._advance(after)
        self._now = 0
        return self._finish()

    def _begin(self) -> None:
        self._running, self._totals, self._made, self._cut = self._decision.run, None, 0, False
        self._tally.start()
        if not self._running:
            return
        knob = self._decision.knob
        self._session.reset()
        if self.profile is None:
            self._session.threshold_scale = knob
        else:
            self._session.knob = knob
        self._every = every_of(self.profile, knob)
        self._inference = None if self.early is None else self.early.start(knob, self._every)

    def _standing(self) -> float:
        return self._decision.knob

    def _turn(self, to: ThresholdScale) -> None:
        if not isinstance(self.controller, Manual):
            raise InputError(
                f"knob: found it set on a stream whose controller turns it ({type(self.controller).__name__}), allowed "
                f"is Manual; open the stream with one"
            )
        knob = as_quantity("knob", to)
        thresholds_for(self.network, self._scale(knob), 1, 1)
        self.controller.knob = knob
        self._decision = self.controller.decision

    def _scale(self, knob: float) -> ThresholdScale:
        """What the knob does to the thresholds."""
        return knob if self.profile is None else self.profile.scale(knob)

    def _advance(self, values: Array) -> None:
        limit = self._decision.limit
        if limit is not None and self.meter.joules(self._tally.window) + self.meter.worst_step > limit:
            self._running, self._cut = False, True
            return
        output = self._session.step(values)
        self._tally.step(self.meter.window)
        self._made += 1
        if self._made <= self._session.latency:
            return  # the result of an earlier step than the window's first
        scores = self._session.membranes if self.network.reads_membranes else output
        self._totals = accumulated(self.network.readout, self._totals, scores.reshape(-1))
        if self._inference is not None and self._inference.update(scores.reshape(-1)):
            self._running = False

    def _finish(self) -> Window:
        events, meter = self._tally.window, self.meter
        ran = self._decision.run
        margin = None
        if self._totals is not None:
            self._prediction, margin = int(answers(self._totals)), self._margin(self._totals, events.steps)
            self.unanswered += self._prediction == NO_ANSWER
        dynamic = meter.joules(events)
        static = meter.static_watts * meter.window_seconds
        alarm = "" if self._watch is None or not ran else self._watch(self._decision.knob, events)
        self.totals.add(events)
        self.windows += 1
        self.skipped += not ran
        self.cut += self._cut
        self.alarms += bool(alarm)
        knob = self._decision.knob
        self._decision = self.controller.update(Spent(meter.window_seconds, dynamic, static, ran, margin))
        return Window(
            index=self.windows - 1,
            end=self.seconds,
            ran=ran,
            steps=events.steps,
            cut=self._cut,
            knob=knob,
            prediction=self._prediction,
            margin=margin,
            input_spikes=events.spikes[self.network.input.name],
            hidden_spikes=events.hidden_spikes(self.network),
            operations=sum(events.operations.values()),
            dynamic=dynamic,
            static=static,
            left=self.controller.left,
            alarm=alarm,
        )

    def _margin(self, totals: Array, steps: int) -> float | None:
        """How sure the answer is, where an early end was calibrated; otherwise how far it is ahead; None: unknown."""
        if not np.isfinite(totals).all():
            return None
        stop = self.early if self._sure is None else self._sure
        return float(margins(totals)) if stop is None else 1 - float(stop.doubt(totals, steps))

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, as plain values; between windows only.

        Raises:
            InputError: a window has begun.
        """
        self._check_between()
        counts = {name: getattr(self, name) for name in ("windows", *_COUNTERS)}
        return {
            "stream": self._identity(),
            **counts,
            "prediction": self._prediction,
            "usual": 1.0 if self._watch is None else self._watch.mean,
            "totals": self.totals.to_dict(),
            "controller": {"kind": type(self.controller).__name__, "state": self.controller.state_dict()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken; between windows only.

        Raises:
            InputError: it is of another stream, or damaged; then nothing has changed.
        """
        self._check_between()
        stream = state.get("stream") if isinstance(state, Mapping) else None
        if stream != self._identity():
            raise InputError(f"state: found one of {_other(stream, self._identity())}; use the same network and chip")
        check_keys(state, "stream", "windows", *_COUNTERS, "prediction", "usual", "totals", "controller")
        controller, kind = part(state, "controller"), type(self.controller).__name__
        if controller.get("kind") != kind:
            raise InputError(f"state: found one of the controller {controller.get('kind')!r}, allowed is {kind}")
        windows = count(state, "windows")
        counts = {name: count(state, name, 0, windows) for name in _COUNTERS}
        prediction = count(state, "prediction", NO_ANSWER, self.network[self.network.output].size - 1)
        usual = number(state, "usual", 0.0, HIDDEN)
        totals = Events.from_dict(part(state, "totals"), self.network)
        self.controller.load_state_dict(part(controller, "state"))  # the last that can be refused
        self.totals, self._prediction = totals, prediction
        if self._watch is not None:
            self._watch.mean = usual
        self.windows = windows
        for name, found in counts.items():
            setattr(self, name, found)
        self._decision = self.controller.decision

    def _check_between(self) -> None:
        if self._now:
            raise InputError(f"state: found step {self._now} of a window, allowed is between windows; finish it first")

    def _identity(self) -> dict[str, Any]:
        sizes = {name: self.network[name].size for name in self.network.names}
        return {"chip": self.meter.chip.name, "window": self.meter.window, "step_time": self.meter.step_time} | sizes

    def close(self) -> None:
        """End the session; on Lava, stop its runtime."""
        self._is_over = True
        self._session.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _other(found: object, wanted: Mapping[str, Any]) -> str:
    """In what the state of another stream differs."""
    if not isinstance(found, Mapping):
        return f"no stream, allowed is one of {', '.join(f'{name}={value!r}' for name, value in wanted.items())}"
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    there, here = (", ".join(f"{name}={each.get(name)!r}" for name in names) for each in (found, wanted))
    return f"a stream with {there}, allowed is one with {here}"


_COUNTERS = ("skipped", "cut", "alarms", "unanswered")
"""Beside the windows, of which they count some."""
