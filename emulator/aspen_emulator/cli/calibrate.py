"""``aspen calibrate``: where to leave the knob for an energy, an accuracy or a battery."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from aspen._base.checks import LARGEST
from aspen.calibration.choosing import SURE, BatteryLife, Choice, Chooser, Demand
from aspen.calibration.sheet import table
from aspen.calibration.storage import CALIBRATION, CalibrationTable, load_table
from aspen.calibration.table import NO_CHIP
from aspen.errors import InputError
from aspen.units import NUMBER, format_duration, format_energy, parse_battery, parse_energy
from aspen_emulator.cli.common import (
    NetworkFile,
    chip_option,
    is_given,
    json_option,
    network_argument,
    warn_unanswered,
    written,
)
from aspen_emulator.cli.files import check_section, saving
from aspen_emulator.cli.knobs import SCALE_OPTION, KnobCommand
from aspen_emulator.cli.numbers import Number
from aspen_emulator.cli.samples import Measuring, measuring_options
from aspen_emulator.cli.sweep import measure_at
from aspen_emulator.measuring.tables import make_tables
from aspen_hardware.chips.description import Chip


@dataclass(frozen=True)
class Asked:
    """A demand, and how it reads."""

    demand: Demand
    words: str


@click.command("calibrate", cls=KnobCommand)
@network_argument
@click.option("--max-energy", help="At most this energy per inference, such as 850uJ: dynamic and static together.")
@click.option("--min-accuracy", type=Number(0, 1, min_open=True),
              help="At least this accuracy, such as 0.9, as cheaply as possible.")  # fmt: skip
@click.option("--battery", help="Charge that must last: 100mAh@3.7V, or 5kJ; with --hours and --rate.")
@click.option("--hours", type=Number(0, min_open=True), help="With --battery: how long it must last.")
@click.option("--rate", help="With --battery: inferences, such as 1/s, 20/min or 100/h.")
@click.option("--gated", is_flag=True, help="With --battery: the chip is off between inferences, and draws nothing.")
@click.option("--dynamic/--total", default=False, help="Reckon with the dynamic energy alone.  [default: total]")
@click.option("--sure", is_flag=True, help="With --min-accuracy: the lower end of the interval must reach it.")
@click.option("--stored", is_flag=True, help="Choose from the calibration table in NETWORK; measure nothing.")
@measuring_options
@chip_option
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
    stored: bool,
    measuring: Measuring,
    target: Chip | None,
    as_json: bool,
) -> None:
    """Choose the knob of NETWORK for an energy, an accuracy or a battery, and keep the choice in NETWORK.

    Measures validation data, keeps the knobs worth having as the calibration table in NETWORK, and says what the
    chosen one is expected to do on unseen data.

    \b
      aspen calibrate net.aspen --data digits --dial --max-energy 850uJ
      aspen calibrate net.aspen --stored --min-accuracy 0.9
      aspen calibrate net.aspen --stored --battery 100mAh@3.7V --hours 2 --rate 1/s --gated
    """
    if network.suffix != ".aspen":
        raise click.UsageError(
            f"{network}: found {network.suffix or 'no suffix'}, allowed is .aspen, which can hold it"
        )
    check_section(network)
    asked = _asked(max_energy, min_accuracy, battery, hours, rate, gated=gated, dynamic=dynamic, sure=sure)
    trained = NetworkFile(network)
    if stored:
        beside = [written(name) for name in _MEASURING if is_given(name)]
        if beside:
            raise click.UsageError(
                f"found --stored beside {', '.join(beside)}, allowed is one: measure, or choose anew"
            )
        kind = "profile" if measuring.dial else None
        name = NO_CHIP if measuring.floating else None if target is None else target.name
        found, settings = load_table(trained.sections, name, kind), None
    else:
        found, settings = _measured(trained, _timed(measuring, target, rate), target)
    early = measuring.early
    choice = asked.demand(Chooser(found, early=early, dynamic=dynamic, settings=settings))
    with saving() as outcome:
        trained.sections.put(CALIBRATION, [replace(found, chosen=choice.point.knob)])
        trained.sections.save()
    if as_json:
        click.echo(json.dumps(_plain(found, choice, asked, early)))
    else:
        click.echo(_text(found, choice, asked, early=early, dynamic=dynamic))
    if not as_json and not outcome.failed:
        click.echo(_ending(network, found, choice, early))
    warn_unanswered(choice.point.unanswered, where=f"knob at {choice.point.knob:g}, which was chosen: ")


def _timed(measuring: Measuring, target: Chip | None, rate: str | None) -> Measuring:
    """With the rate of inferences that was asked for, where a chip has no time of a step and none is given."""
    if measuring.window_time is not None or rate is None or target is None or target.usual_step is not None:
        return measuring
    return replace(measuring, window_time=f"{1 / parse_frequency(rate)!r}s")


def _measured(trained: NetworkFile, measuring: Measuring, target: Chip | None) -> tuple[CalibrationTable, int]:
    """The table of what the options say, and how many knobs were measured for it."""
    if measuring.part == "test":
        raise click.UsageError("found --part test, allowed is validation; test data is for the end, see aspen sweep")
    knobs = measuring.knob_list()
    samples = measuring.samples(trained)
    bench = measuring.bench(trained, samples, [] if target is None else [target], knobs)
    if measuring.early:
        samples.advise_seeds()
    (found,) = make_tables(bench, measure_at(bench, knobs), samples.name, max_loss=measuring.loss)
    return found, len(knobs)


_MEASURING = (
    "source", "values_path", "labels_path", "data", "data_path", "part", "seeds", "window_time", "knobs", "scales",
    "max_loss",
)  # fmt: skip
"""Parameters that say what is measured and how."""


def _asked(
    energy: str | None, accuracy: float | None, battery: str | None, hours: float | None, rate: str | None, *,
    gated: bool, dynamic: bool, sure: bool,
) -> Asked:  # fmt: skip
    given = [name for name, value in (("--max-energy", energy), ("--min-accuracy", accuracy), ("--battery", battery))
             if value is not None]  # fmt: skip
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


def _plain(found: CalibrationTable, choice: Choice, asked: Asked, early: bool) -> dict[str, object]:
    return {
        "asked": asked.words, "chip": found.chip, "dial": found.dial == "profile", "knob": choice.point.knob,
        "early": early, "steps": choice.steps, "accuracy": choice.point.accuracy, "accuracy_low": choice.low,
        "accuracy_high": choice.high, "sure": SURE, "settings": choice.settings, "samples": choice.point.samples,
        "data": found.data, "unanswered": choice.point.unanswered, "hidden_spikes": choice.point.hidden_spikes,
        "dynamic_nj": choice.dynamic_nj, "static_nj": choice.static_nj, "total_nj": choice.total_nj,
        "lasts_s": choice.lasts, "points": [asdict(point) for point in found.points],
    }  # fmt: skip


def _text(found: CalibrationTable, choice: Choice, asked: Asked, *, early: bool, dynamic: bool) -> str:
    point = choice.point
    points = [each.point for each in found.early_points] if early else list(found.points)
    taken = [each.steps for each in found.early_points] if early else None
    where = "on no chip" if found.chip is None else f"on {found.chip}"
    lines = [
        f"{found.data}, {point.samples} samples, {found.steps} steps, {where}: knobs kept",
        str(table(points, taken, dial=found.dial == "profile")),
        f"asked:    {asked.words}",
        f"chosen:   {_turn(found, choice)}{f', inferences end early, after {choice.steps:.1f} steps' * early}",
        f"expected: {choice.low:.1%} to {choice.high:.1%} correct on unseen data drawn like these; here "
        f"{point.accuracy:.1%} ({SURE:.0%} sure for {choice.settings} knobs at once, as they were chosen from here)",
        f"energy:   {_energy(choice, dynamic)}",
    ]
    if choice.lasts is not None:
        lines.append(f"battery:  lasts {format_duration(choice.lasts)}")
    return "\n".join(lines)


def _turn(found: CalibrationTable, choice: Choice) -> str:
    """The option that turns the network to the choice."""
    return f"{'--dial --knob' if found.dial == 'profile' else SCALE_OPTION} {choice.point.knob:g}"


def _ending(network: Path, found: CalibrationTable, choice: Choice, early: bool) -> str:
    on = "--float" if found.chip is None else f"--chip {found.chip}"
    run = f"aspen run {network} {_turn(found, choice)} {on} --input X.npy --output Y.npy"
    more = f"\nthat takes all steps; aspen stream {network} --early ends inferences early" if early else ""
    return f"saved in {network}; run it: {run}{more}"


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
