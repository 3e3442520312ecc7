"""``to_c``: a deployment as a folder with a C program."""

from __future__ import annotations

from pathlib import Path

from aspen._base.checks import shown
from aspen.calibration.early import EarlyStop
from aspen.dial.profile import DialProfile
from aspen.errors import InputError
from aspen.storage.folders import write_folder
from aspen_hardware.c.files import example, header, readme
from aspen_hardware.c.program import Program
from aspen_hardware.compiling.deployment import Deployment


def to_c(
    deployment: Deployment, folder: str | Path, prefix: str = "network", *, profile: DialProfile | None = None,
    early: EarlyStop | None = None,
) -> Program:  # fmt: skip
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

    Returns:
        The program, with the bytes of RAM and flash that it takes.

    Raises:
        InputError: the network is in floating point; the prefix, the profile or the early end is not allowed; or the
            folder holds something else or cannot be written.
        ChipError: a population has more than 65,535 neurons, or a threshold leaves 17 bits on the dial.
    """
    if not isinstance(deployment, Deployment):
        raise InputError(f"to_c: found {shown(deployment)}, allowed is a deployment; compile the network first")
    program = Program(deployment.network, profile, prefix, early=early)
    write_folder(folder, {name: text.encode() for name, text in files(program).items()}, _is_ours)
    return program


def files(program: Program) -> dict[str, str]:
    """File name -> text."""
    prefix = program.prefix
    return {
        f"{prefix}.c": program.source(),
        f"{prefix}.h": header(program),
        "example.c": example(program),
        "README.md": readme(program),
    }


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a program that was written here, and nothing else."""
    names = {path.name for path in folder.iterdir()}
    sources = names - {"example.c", "README.md"}
    prefixes = {Path(name).stem for name in sources}
    if len(prefixes) != 1 or names != {"example.c", "README.md", *(f"{p}.{end}" for p in prefixes for end in "ch")}:
        return False
    (prefix,) = prefixes
    begins = (folder / f"{prefix}.c").read_bytes()[:100].decode("utf-8", "replace")
    return begins.startswith(f"/* {prefix}.c: written by ASPEN ")
