"""``aspen calibrate``: where to leave the knob for an energy, an accuracy or a battery."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from aspen._base.checks import LARGEST
from aspen._base.progress import bar
from aspen._base.tables import Table, Tabled
from aspen.calibration.choosing import SURE, BatteryLife, Choice, Chooser, Demand
from aspen.calibration.front import REACH
from aspen.calibration.storage import CALIBRATION, CalibrationTable, find_table, load_table
from aspen.calibration.table import FRONT, NO_CHIP
from aspen.dial.path import MOST_EVERY
from aspen.errors import InputError
from aspen.units import NUMBER, format_duration, format_energy, parse_battery, parse_energy
from aspen_emulator.cli.common import (
    NetworkFile,
    as_given,
    chip_option,
    is_given,
    json_option,
    network_argument,
    warn_unanswered,
    written,
)
from aspen_emulator.cli.files import PICTURE_OUTPUT, check_section, saving
from aspen_emulator.cli.fronts import Found, untouched
from aspen_emulator.cli.knobs import SCALE_OPTION, KnobCommand
from aspen_emulator.cli.numbers import Number, Wholes
from aspen_emulator.cli.samples import Measuring, measuring_options
from aspen_emulator.cli.shown import show
from aspen_emulator.cli.sweep import measure_at
from aspen_emulator.measuring.front_plot import plot_front
from aspen_emulator.measuring.tables import check_samples, checked_every, make_front, make_tables
from aspen_hardware.chips.description import Chip


@dataclass(frozen=True)
class Asked:
    """A demand, and how it reads."""

    demand: Demand
    words: str


@click.command("calibrate", cls=KnobCommand)
@network_argument
@click.option(
    "--max-energy",
    metavar="ENERGY",
    help="At most this energy per inference, such as 850uJ: dynamic and static together.",
)
@click.option("--min-accuracy", type=Number(0, 1, min_open=True),
              help="At least this accuracy, such as 0.9, as cheaply as possible.")  # fmt: skip
@click.option(
    "--battery", metavar="CHARGE", help="Charge that must last: 100mAh@3.7V, or 5kJ; with --hours and --rate."
)
@click.option("--hours", type=Number(0, min_open=True), help="With --battery: how long it must last.")
@click.option("--rate", metavar="N/s|N/min|N/h", help="With --battery: inferences, such as 1/s, 20/min or 100/h.")
@click.option("--gated", is_flag=True, help="With --battery: the chip is off between inferences, and draws nothing.")
@click.option("--dynamic/--total", default=False, help="Reckon with the dynamic energy alone.  [default: total]")
@click.option("--sure", is_flag=True, help="With --min-accuracy: the lower end of the interval must reach it.")
@click.option("--reach", type=Number(0, 100, min_open=True), default=100 * REACH, show_default=True,
              help="Points of accuracy between the two ends of the saved knob at most.")  # fmt: skip
@click.option("--every", type=Wholes(1, MOST_EVERY), default=(1,),
              help="Measure inferences that take every n-th time step alone too, such as 2,4.")  # fmt: skip
@click.option("--stored", is_flag=True, help="Choose from the calibration table in NETWORK; measure nothing.")
@measuring_options
@chip_option
@click.option("--plot", type=PICTURE_OUTPUT,
              help="Draw the front that the saved knob runs along: .png, .pdf or .svg.")  # fmt: skip
@json_option
def calibrate_command(
    network: Path,
    max_energy: str | None,
    min_accuracy: float | None,
    battery: str | None,
    hours: float | None,
    rate: str | None,
    gated: bool,
    dynamic: bool,
    sure: bool,
    reach: float,
    every: tuple[int, ...],
    stored: bool,
    measuring: Measuring,
    target: Chip | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure what the knob of NETWORK costs and gives on a chip, and choose where it is left.

    Measures validation data at many knobs, with --early also with inferences that end early, with --every also with
    fewer time steps, and keeps the front of accuracy against energy in NETWORK. Afterwards --knob runs along it in
    every command, from 0 (most accurate) to 1 (cheapest). Asked for an energy, an accuracy or a battery, it says where
    the knob is best left, and what that is expected to do on unseen data.

    """
    if network.suffix != ".aspen":
        raise click.UsageError(
            f"{network}: found {network.suffix or 'no suffix'}, allowed is .aspen, which can hold it"
        )
    check_section(network)
    asked = _asked(
        max_energy, min_accuracy, battery, hours, rate, gated=gated, dynamic=dynamic, sure=sure, needed=stored
    )
    trained = NetworkFile(network)
    if stored:
        beside = [written(name) for name in (*_MEASURING, "reach", "every", "plot") if is_given(name)]
        if beside:
            raise click.UsageError(
                f"found --stored beside {', '.join(beside)}, allowed is one: measure, or choose anew"
            )
        kind = "profile" if measuring.dial else None
        name = NO_CHIP if measuring.floating else None if target is None else target.name
        front = find_table(trained.sections, name, FRONT) if measuring.early else None
        chosen_from, settings = front or load_table(trained.sections, name, kind), None
        made, beside_it = None, list[CalibrationTable]()
    else:
        measuring = measuring.turning(trained)
        table, made = _measured(trained, _timed(measuring, target, rate), target, dynamic, reach / 100, every)
        chosen_from, beside_it = (made.front, [table]) if measuring.early else (table, [made.front])
        settings = len(made.tried.points) if measuring.early else len(measuring.knob_list(dial=trained.dial))
    choice = None
    if asked is not None:
        early = measuring.early and chosen_from.early is not None
        choice = asked.demand(Chooser(chosen_from, early=early, dynamic=dynamic, settings=settings))
        chosen_from = replace(chosen_from, chosen=choice.point.knob)
    with saving() as outcome:
        trained.sections.put(CALIBRATION, [*beside_it, chosen_from])
        trained.sections.save()
    if plot is not None and made is not None:
        title = f"{network.name}, {made.front.data}, on {made.front.chip or 'no chip'}"
        with saving():
            plot_front(made.front, made.tried, made.untouched, plot, title, dynamic=dynamic)
    _say(network, chosen_from, made, choice, asked, dynamic=dynamic, as_json=as_json, failed=outcome.failed)


def _say(
    network: Path, table: CalibrationTable, made: Found | None, choice: Choice | None, asked: Asked | None, *,
    dynamic: bool, as_json: bool, failed: bool,
) -> None:  # fmt: skip
    """What was found, and what was chosen of it, if anything was asked for."""
    if as_json:
        plain = {} if choice is None or asked is None else _plain(table, choice, asked)
        click.echo(json.dumps({**plain, **({} if made is None else made.to_dict())}))
    else:
        parts = [] if made is None else [made.parts()]
        if choice is not None and asked is not None:
            parts.append(_told(table, choice, asked, dynamic=dynamic, alone=table.is_front and made is not None))
        for number, part in enumerate(parts):
            show(*([""] if number else []), *part)
    if not as_json and not failed:
        show(_ending(network, table, choice))
    if choice is not None:
        warn_unanswered(choice.point.unanswered, where=f"knob at {choice.point.knob:g}, which was chosen: ")


def _timed(measuring: Measuring, target: Chip | None, rate: str | None) -> Measuring:
    """With the rate of inferences that was asked for, where a chip has no time of a step and none is given."""
    if measuring.window_time is not None or rate is None or target is None or target.usual_step is not None:
        return measuring
    return replace(measuring, window_time=f"{1 / parse_frequency(rate)!r}s")


def _measured(
    trained: NetworkFile,
    measuring: Measuring,
    target: Chip | None,
    dynamic: bool,
    reach: float,
    every: tuple[int, ...],
) -> tuple[CalibrationTable, Found]:
    """The table of what the options say, and the front of its levers."""
    if measuring.part == "test":
        raise click.UsageError("found --part test, allowed is validation; test data is for the end, see aspen sweep")
    knobs = measuring.knob_list(dial=trained.dial)
    samples = measuring.samples(trained)
    every = checked_every(every, len(samples.encodings[0]))
    bench = measuring.bench(trained, samples, [] if target is None else [target], knobs)
    if measuring.loss is not None:
        check_samples(bench, measuring.loss)
        samples.advise_seeds()
    measured = measure_at(bench, knobs)
    (found,) = make_tables(bench, measured, samples.name, max_loss=measuring.loss)
    with bar("all levers", None, "runs") as shown:
        front, tried = make_front(
            bench,
            measured,
            found,
            early=measuring.early,
            dynamic=dynamic,
            reach=reach,
            every=every,
            progress=shown.reach,
        )
    return found, Found(front, tried, untouched(bench), dynamic)


_MEASURING = (
    "source", "values_path", "labels_path", "data", "data_path", "part", "seeds", "window_time", "knobs", "scales",
    "max_loss",
)  # fmt: skip
"""Parameters that say what is measured and how."""


def _asked(
    energy: str | None, accuracy: float | None, battery: str | None, hours: float | None, rate: str | None, *,
    gated: bool, dynamic: bool, sure: bool, needed: bool,
) -> Asked | None:  # fmt: skip
    """What was asked for; None where nothing was, which is allowed where something is measured."""
    given = [name for name, value in (("--max-energy", energy), ("--min-accuracy", accuracy), ("--battery", battery))
             if value is not None]  # fmt: skip
    if not given and not needed and not (sure or gated or hours is not None or rate is not None):
        return None
    if len(given) != 1:
        raise click.UsageError(
            f"found {' and '.join(given) or 'no demand'}, allowed is one of --max-energy 850uJ, --min-accuracy 0.9 and "
            f"--battery 100mAh@3.7V"
        )
    if sure and accuracy is None:
        raise click.UsageError("found --sure, allowed with --min-accuracy")
    if battery is None and (gated or hours is not None or rate is not None):
        raise click.UsageError("found --hours, --rate or --gated, allowed with --battery; name the battery")
    part = "dynamic energy" if dynamic else "energy, dynamic and static,"
    if energy is not None:
        joules = parse_energy(energy)
        return Asked(lambda c: c.within_energy(joules), f"at most {energy} of {part} per inference")
    if accuracy is not None:
        words = f"at least {accuracy:.1%} correct{', surely' * sure}, with the least {part.rstrip(',')}"
        return Asked(lambda c: c.with_accuracy(accuracy, sure=sure), words)
    if battery is None or hours is None or rate is None:
        raise click.UsageError(
            "found --battery alone, allowed is with --hours and --rate, such as --hours 72 --rate 1/s"
        )
    need = BatteryLife(parse_battery(battery), 3600 * hours, parse_frequency(rate), gated)
    off = ", the chip off between inferences" if gated else ""
    words = f"{battery} for {hours:g} h at {rate}{off}"
    return Asked(lambda c: c.on_battery(need), words)


def parse_frequency(text: str) -> float:
    """``20/min`` in inferences per second.

    Raises:
        InputError: it is not a number above 0 per s, min or h.
    """
    match = re.fullmatch(rf"\s*{NUMBER}\s*/\s*(s|min|h)\s*", text)
    if match is None or not 0 < float(match[1]) <= LARGEST:
        raise InputError(f"rate: found {text!r}, allowed are inferences per s, min or h; write e.g. 1/s or 20/min")
    return float(match[1]) / {"s": 1, "min": 60, "h": 3600}[match[2]]


def _plain(found: CalibrationTable, choice: Choice, asked: Asked) -> dict[str, object]:
    early = choice.steps < found.steps
    return {
        "asked": asked.words, "chip": found.chip, "dial": found.dial == "profile", "knob": choice.point.knob,
        "early": early, "steps": choice.steps, "accuracy": choice.point.accuracy, "accuracy_low": choice.low,
        "accuracy_high": choice.high, "sure": SURE, "settings": choice.settings, "samples": choice.point.samples,
        "data": found.data, "unanswered": choice.point.unanswered, "hidden_spikes": choice.point.hidden_spikes,
        "dynamic_nj": choice.dynamic_nj, "static_nj": choice.static_nj, "total_nj": choice.total_nj,
        "lasts_s": choice.lasts, "points": [asdict(point) for point in found.points],
    }  # fmt: skip


def _told(
    found: CalibrationTable, choice: Choice, asked: Asked, *, dynamic: bool, alone: bool
) -> list[str | Table | Tabled]:
    """The choice, and the table that it was made from, but where it stands above already."""
    point, early = choice.point, choice.steps < found.steps
    ends = f", inferences end early, after {choice.steps:.1f} steps"
    lines: list[str | Table | Tabled] = [
        *([] if alone else [replace(found, chosen=None)]),
        f"asked:    {asked.words}",
        f"chosen:   {_turn(found, choice.point.knob)}{ends * early}",
        f"expected: {choice.low:.1%} to {choice.high:.1%} correct on unseen data drawn like these; here "
        f"{point.accuracy:.1%} ({SURE:.0%} sure for {choice.settings} settings at once, as they were chosen from here)",
        f"energy:   {_energy(choice, dynamic)}",
    ]
    if choice.lasts is not None:
        lines.append(f"battery:  lasts {format_duration(choice.lasts)}")
    return lines


def _turn(found: CalibrationTable, knob: float) -> str:
    """The option that turns the network to a knob of the table."""
    if found.is_front:
        return f"--knob {knob:g}"
    return f"{'--dial --knob' if found.dial == 'profile' else SCALE_OPTION} {knob:g}"


def _ending(network: Path, found: CalibrationTable, choice: Choice | None) -> str:
    on = "--float" if found.chip is None else f"--chip {as_given(found.chip)}"
    turn = "--knob 0.5" if choice is None else _turn(found, choice.point.knob)
    return f"saved in {network}; run it: aspen run {network} {turn} {on} --input X.npy --output Y.npy"


def _energy(choice: Choice, dynamic: bool) -> str:
    if choice.dynamic_nj is None:
        return f"no published figures; {choice.point.hidden_spikes:.1f} hidden spikes per inference"
    moved = f"{format_energy(1e-9 * choice.dynamic_nj)} dynamic"
    if choice.static_nj is None:
        return f"{moved} per inference, static {'not counted' if dynamic else 'unknown'}"
    fixed = f"{format_energy(1e-9 * choice.static_nj)} static"
    if dynamic:
        return f"{moved} per inference; beside it {fixed}, not counted"
    return f"{format_energy(1e-9 * (choice.total_nj or 0.0))} per inference: {fixed} and {moved}"
