"""A recording with the knob in a closed loop, beside what a command measures at single places of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

import click
import numpy as np

from aspen._base.arrays import Array
from aspen._base.progress import bar
from aspen.calibration.storage import load_table
from aspen.dial.profile import load_profile
from aspen_emulator.cli.common import NetworkFile, refuse_without
from aspen_emulator.cli.files import ARRAY_INPUT
from aspen_emulator.cli.groups import group_of
from aspen_emulator.cli.knobs import front_for
from aspen_emulator.cli.numbers import Number, Whole
from aspen_emulator.cli.samples import Measuring
from aspen_emulator.cli.stream import goal_of
from aspen_emulator.engines.inputs import load_spikes
from aspen_emulator.engines.run import network_of
from aspen_emulator.exploring.streams import streamed
from aspen_emulator.measuring.bench import Bench
from aspen_emulator.streaming import Stream
from aspen_emulator.streaming.opening import stream
from aspen_emulator.streaming.sources import from_spikes, from_values


@dataclass(frozen=True)
class Loop:
    """A stream that was opened, and its windows.

    Args:
        running: the stream.
        windows: (steps, *input_shape) each.
        labels: (windows,) their classes, -1 where there is none.
        goal: what is held, in words.
        allowed: joules of dynamic energy per window that a budget leaves; None: no budget.
    """

    running: Stream
    windows: Iterator[Array]
    labels: Array
    goal: str
    allowed: float | None

    def run(self) -> dict[str, Any]:
        """Run the windows, with a progress bar; see :func:`aspen_emulator.exploring.streams.streamed`."""
        count = len(self.labels)
        with self.running, bar("stream", count, "windows") as shown:
            return streamed(
                self.running,
                self.windows,
                self.goal,
                allowed=self.allowed,
                labels=self.labels,
                progress=lambda _: shown.advance(),
            )


@dataclass(frozen=True)
class Looped:
    """What is held over a recording, and over which: as `aspen stream` has these options."""

    budget: str | None
    battery: str | None
    hours: float | None
    confidence: float | None
    dynamic: bool
    recording: Path | None
    most: int | None

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to hold."""
        return any(each is not None for each in (self.budget, self.battery, self.confidence))

    def check(self) -> None:
        """Refuse options that do not go together, before anything is measured.

        Raises:
            click.UsageError: as it says.
        """
        if self.is_asked:
            goal_of(self.budget, self.battery, self.hours, self.confidence, None, self.dynamic)
        else:
            refuse_without("--budget, --battery or --confidence", ("hours", "dynamic", "recording", "most"))

    def open(self, trained: NetworkFile, measuring: Measuring, bench: Bench) -> Loop | None:
        """The stream, opened before anything is measured; None where nothing is to be held.

        Args:
            trained: the network's file, with its calibration table.
            measuring: the options of the page.
            bench: what is measured there.

        Raises:
            FileFormatError: there is no table of the chip and the dial.
            InputError: something does not fit.
        """
        if not self.is_asked:
            return None
        goal = goal_of(self.budget, self.battery, self.hours, self.confidence, None, self.dynamic)
        (on, *_) = bench.chips
        name = "none" if on is None else on.name
        front = None if measuring.dial or measuring.early else front_for(trained, on)
        table = load_table(trained.sections, name, "profile" if measuring.dial else None) if front is None else front
        running = stream(
            bench.program, table, **asdict(goal), early=measuring.early, on=on, engine=measuring.engine,
            window_seconds=None if bench.step_time is None else bench.step_time * bench.steps,
            profile=load_profile(trained.sections) if "profile" in (table.dial, table.turns) else None,
        )  # fmt: skip
        return Loop(running, *self._windows(trained, bench), self._words(), goal.dynamic_per_window(running.meter))

    def _windows(self, trained: NetworkFile, bench: Bench) -> tuple[Iterator[Array], Array]:
        """The windows, and the class of each, -1 where it is not known."""
        if self.recording is not None:
            values, encoder = load_spikes(self.recording), trained.encoder
            network = network_of(bench.program)
            source = (
                from_spikes(network, values, bench.steps)
                if encoder is None
                else from_values(encoder, values, bench.steps)
            )
            count = len(source) if self.most is None else min(self.most, len(source))
            return islice(source.windows(), count), np.full(count, -1)
        samples = np.asarray(bench.encodings[0])
        count = samples.shape[1] if self.most is None else self.most
        order = list(islice(chain.from_iterable(repeat(range(samples.shape[1]))), count))
        return (samples[:, sample] for sample in order), bench.labels[order]

    def _words(self) -> str:
        if self.budget is not None:
            return f"a budget of {self.budget}{', dynamic energy alone' if self.dynamic else ''}"
        if self.battery is not None:
            return f"a battery of {self.battery} that lasts {self.hours:g} hours"
        return f"a mean confidence of {self.confidence:g}"


looped_options = group_of(
    Looped,
    "looped",
    click.option("--budget", metavar="ENERGY/window|ENERGY/h",
                 help="A recording too, with the knob in a closed loop that holds this: 2uJ/window, or "
                 "10mJ/h."),
    click.option("--battery", metavar="CHARGE",
                 help="The same, a charge that must last for --hours: 100mAh@3.7V, or 5kJ."),
    click.option("--hours", type=Number(0, min_open=True), help="With --battery."),
    click.option("--confidence", type=Number(0, 1),
                 help="The same, a mean confidence of the answers, as sparsely as possible."),
    click.option("--dynamic/--total", default=False, help="--budget is for dynamic energy alone.  [default: total]"),
    click.option("--recording", type=ARRAY_INPUT,
                 help="What is streamed, .npy: (time, channels) for the encoder in NETWORK, or spikes.  [default: the "
                 "samples, one after the other]"),
    click.option("--windows", "most", type=Whole(min=1),
                 help="So many; samples begin anew where there are fewer."),
)  # fmt: skip
