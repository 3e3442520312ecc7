"""Open a stream that holds a goal: the meter and the controller are made for it."""

from __future__ import annotations

from aspen._base.checks import as_quantity
from aspen.calibration.table import CalibrationTable
from aspen.control.spending import check_table, ended_early
from aspen.dial.path import AnyDial
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.network.network import Network
from aspen_emulator.engines.run import chip_of, network_of
from aspen_emulator.streaming.goals import Goal
from aspen_emulator.streaming.meter import Meter
from aspen_emulator.streaming.stream import Stream
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment


def stream(
    program: Network | Deployment,
    table: CalibrationTable,
    *,
    budget: str | None = None,
    battery: str | None = None,
    hours: float | None = None,
    confidence: float | None = None,
    knob: float | None = None,
    dynamic: bool = False,
    early: bool = False,
    profile: DialProfile | None = None,
    on: Chip | str | None = None,
    window_seconds: float | None = None,
    engine: str = "fast",
) -> Stream:
    """Open a stream that holds one of a budget, a battery, a confidence and a knob; a context manager.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> from aspen_emulator import calibrate
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> spikes = np.zeros((8, 2, 2), np.uint8)  # 8 steps, 2 samples, 2 inputs
    >>> spikes[:, 0, 0] = spikes[:, 1, 1] = 1
    >>> table = calibrate(network, spikes, np.array([0, 1]), (0.5, 1.0, 2.0), on="loihi1")
    >>> with stream(network, table, budget="20nJ/window", dynamic=True) as running:
    ...     print([window.prediction for window in running.run(spikes.swapaxes(0, 1))])
    [0, 1]

    Args:
        program: a deployment, or a network in floating point.
        table: what a window costs at each knob, from :func:`aspen_emulator.calibrate` or :func:`aspen.load_table`;
            it says how many steps a window has.
        budget: energy that may be spent, such as ``2uJ/window`` or ``10mJ/h``; see :class:`aspen.Budget`.
        battery: charge that must last for ``hours``, such as ``100mAh@3.7V`` or ``5kJ``; see :class:`aspen.Battery`.
        hours: with ``battery``.
        confidence: mean confidence of the answers, 0 to 1, held as sparsely as possible; see
            :class:`aspen.AccuracyFloor`.
        knob: where it is left.
        dynamic: whether ``budget`` is for dynamic energy alone; otherwise static energy is paid from it too.
        early: whether inferences end early, as the table says; those of a front do in any case.
        profile: the learned dial, where the table is of its knobs, or of a front that turns it.
        on: the chip of the table; default: that of a deployment, or the one that the table names.
        window_seconds: from window to window; default: its steps times the chip's, or where the chip has no time of a
            step, the one that the table was made with.
        engine: ``fast``, ``reference``, ``c`` or ``lava``.

    Raises:
        InputError: no goal is given, or more than one; or something does not fit.
        MissingDependencyError: the engine is not installed.
    """
    goal = Goal(budget, battery, hours, confidence, knob, dynamic)
    check_table(table)
    if table.is_front:
        turned: AnyDial | None = table.along(network_of(program), profile)
    elif (table.dial == "profile") != (profile is not None):
        raise InputError(
            f"profile: found {'none' if profile is None else 'one'} for the table {table.key}, allowed is one where "
            f"its knobs are a learned dial's, and none elsewhere; pass aspen.load_profile(...), or leave it out"
        )
    else:
        turned = profile
    early = early or (table.is_front and table.early is not None)
    chip = _chip_for(table, program, on)
    meter = Meter.of(program, chip, table.steps, _step_time(window_seconds, table, chip), profile=turned)
    return Stream(
        program,
        meter,
        goal.controller(ended_early(table) if early else table, meter),
        profile=turned,
        early=table.early if early else None,
        table=table,
        engine=engine,
    )


def _chip_for(table: CalibrationTable, program: Network | Deployment, on: Chip | str | None) -> Chip:
    found = chip_of(program, on) or chip_of(program, table.chip)
    if found is None or found.name != table.chip:
        raise InputError(
            f"table: found one of {table.chip or 'no chip'}, allowed for this stream is one of "
            f"{'a chip' if found is None else found.name}; calibrate on it, or name another chip by on"
        )
    return found


def _step_time(window_seconds: float | None, table: CalibrationTable, chip: Chip) -> float | None:
    """As given; of a chip without a step time of its own, that of the table."""
    if window_seconds is None:
        return None if chip.step_time is not None else table.step_time
    return as_quantity("window_seconds", window_seconds, 0, above=True) / table.steps
