"""``to_c``: a deployment as a folder with a C program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from aspen._base.checks import shown
from aspen.calibration.early import EarlyStop
from aspen.calibration.table import CalibrationTable
from aspen.control.fixed import FixedBudget
from aspen.data.encoders import StoredEncoder
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.storage.folders import write_folder
from aspen_hardware.c.along import levers_of
from aspen_hardware.c.budget import BudgetProgram, Priced
from aspen_hardware.c.files import example, header
from aspen_hardware.c.memory import check_memory
from aspen_hardware.c.page import readme
from aspen_hardware.c.program import Program
from aspen_hardware.c.sensing.encoders import EncoderProgram
from aspen_hardware.c.sensing.fixing import sensor_encoder
from aspen_hardware.c.sensing.sensor import Sensor
from aspen_hardware.chips.description import chip, chip_names
from aspen_hardware.compiling.deployment import Deployment

PARTS = ("encoder", "budget")
"""Of file names: what may be beside the network."""
Part: TypeAlias = EncoderProgram | BudgetProgram


def to_c(
    deployment: Deployment,
    folder: str | Path,
    prefix: str = "network",
    *,
    profile: DialProfile | None = None,
    early: EarlyStop | None = None,
    calibration: CalibrationTable | None = None,
    encoder: StoredEncoder | None = None,
    sensor: Sensor | None = None,
    budget: FixedBudget | None = None,
    prices: Priced | None = None,
) -> Program:
    """Write a deployment as a portable C program with a knob that turns while it runs.

    The program is C99 without allocation, floating point, or anything but ``<stdint.h>`` and ``<string.h>``, and gives
    the spikes of every other engine, to the bit. The folder gets ``PREFIX.c``, ``PREFIX.h``, ``example.c`` and a
    ``README.md`` about its interface, its RAM and flash. The same deployment gives the same bytes.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> program = to_c(compile(network, "cortex-m"), "tiny", prefix="tiny")
    >>> sorted(path.name for path in Path("tiny").iterdir())
    ['README.md', 'example.c', 'tiny.c', 'tiny.h']
    >>> program.ram, program.flash
    (48, 4)

    Args:
        deployment: a network in a chip's integers.
        folder: made where it is not there; one that holds such a program is replaced, any other is refused.
        prefix: what the names of its functions and files begin with, so that several fit into one program.
        profile: the dial that the program gets, ``PREFIX_set_knob``; without one it gets
            ``PREFIX_set_threshold_scale``.
        early: when an inference may end early, as it was calibrated for this deployment (:attr:`CalibrationTable.early
            <aspen.CalibrationTable>`): the program gets ``PREFIX_done``.
        calibration: a table instead: its early end; of a front also its knob, which ``PREFIX_set_knob`` then turns.
        encoder: what the network was trained with, as ``PREFIX_encoder.c`` in integers; needs ``sensor``.
        sensor: what the raw integers stand for that go into the encoder.
        budget: a controller that holds it, as ``PREFIX_budget.c``.
        prices: joules of the network's events, by which ``PREFIX_budget_spent`` tells the energy of a window: a meter,
            or :func:`aspen_hardware.energy.prices.prices`; default: the board measures it.

    Returns:
        The program, with the bytes of RAM and flash that it takes.

    Raises:
        InputError: the network is in floating point; a prefix, profile, early end, encoder or sensor is not allowed; or
            the folder holds something else or cannot be written.
        ChipError: a population has more than 65,535 neurons, or a threshold leaves 17 bits on the dial; the dial
            switches outputs off, or neurons that could still fire on the deployment's chip; or no part that the chip's
            file knows has the memory.
    """
    if not isinstance(deployment, Deployment):
        raise InputError(f"to_c: found {shown(deployment)}, allowed is a deployment; compile the network first")
    turned, path, ends = levers_of(calibration, deployment.network, profile, early)
    program = Program(deployment.network, turned, prefix, early=ends, path=path)
    parts: list[Part] = [*encoder_parts(program, encoder, sensor), *_budget(program, budget, prices)]
    if deployment.chip in chip_names():
        beside = sum(part.ram for part in parts), sum(part.flash for part in parts)
        check_memory(program, chip(deployment.chip), *beside)
    made = files(program, parts)
    write_folder(folder, {name: text.encode() for name, text in made.items()}, _is_ours)
    return program


def encoder_parts(program: Program, encoder: StoredEncoder | None, sensor: Sensor | None) -> list[EncoderProgram]:
    """The encoder beside a network's program, if there is one.

    Raises:
        InputError: only one of the two was given, or the encoder does not go into C.
    """
    if encoder is None and sensor is None:
        return []
    if encoder is None or sensor is None:
        missing = "a sensor without an encoder" if encoder is None else "an encoder without a sensor"
        raise InputError(f"encoder: found {missing}, allowed are both or neither; say what the raw integers stand for")
    fixed = sensor_encoder(encoder, sensor, program.network)
    return [EncoderProgram(program.prefix, fixed, sensor, program.early is not None)]


def _budget(program: Program, budget: FixedBudget | None, prices: Priced | None) -> list[BudgetProgram]:
    if budget is None:
        if prices is not None:
            raise InputError("to_c: found prices without a budget, allowed are they with one; leave them out")
        return []
    made = BudgetProgram(program.prefix, budget, program.network, prices, bool(program.nests))
    if budget.numbers.scale != (program.profile is None):
        raise InputError(
            "budget: found one of another dial than the program's, allowed is a table of the dial in profile, or of "
            "the threshold scale where there is none; calibrate for this one"
        )
    if budget.is_front != (program.path is not None):
        raise InputError(
            f"budget: found one of {'a front' if budget.is_front else 'a single lever'} for a program whose knob "
            f"{'turns a single lever' if budget.is_front else 'runs along a front'}, allowed is one of the same table; "
            f"pass that as calibration"
        )
    return [made]


def files(program: Program, parts: Sequence[Part] = ()) -> dict[str, str]:
    """File name -> text; ``parts`` are beside the network."""
    prefix = program.prefix
    return {
        f"{prefix}.c": program.source(),
        f"{prefix}.h": header(program),
        "example.c": example(program),
        "README.md": "".join([readme(program), *(part.readme() for part in parts)]),
        **{name: text for part in parts for name, text in part.files().items()},
    }


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a program that was written here, and nothing else."""
    names = {path.name for path in folder.iterdir()}
    prefix = min((Path(name).stem for name in names - {"example.c", "README.md"}), key=len, default="")
    always = {"example.c", "README.md", f"{prefix}.c", f"{prefix}.h"}
    if not always <= names or not names - always <= {f"{prefix}_{part}.{end}" for part in PARTS for end in "ch"}:
        return False
    begins = (folder / f"{prefix}.c").read_bytes()[:100].decode("utf-8", "replace")
    return begins.startswith(f"/* {prefix}.c: written by ASPEN ")
