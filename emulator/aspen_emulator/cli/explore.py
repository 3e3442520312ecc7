"""``aspen explore``: one page in which the knob can be turned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from aspen._base.progress import bar
from aspen_emulator.cli.common import (
    DEFAULT_CHIP,
    ChipParameter,
    NetworkFile,
    json_option,
    network_argument,
)
from aspen_emulator.cli.files import OutputFile, saving
from aspen_emulator.cli.knobs import KnobCommand
from aspen_emulator.cli.looped import Looped, looped_options
from aspen_emulator.cli.samples import Labelled, Measuring, measuring_options
from aspen_emulator.cli.shown import show
from aspen_emulator.cli.sweep import new_stop, stored_stop
from aspen_emulator.engines.run import network_of
from aspen_emulator.exploring.measuring import Told, explore
from aspen_emulator.exploring.page import write_page
from aspen_emulator.measuring.bench import Bench
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.deployment import Deployment

PAGES = (".html",)


@click.command("explore", cls=KnobCommand)
@network_argument
@measuring_options
@click.option("--chip", "chips", type=ChipParameter(), multiple=True,
              help=f"Chip name or file; several: compiled for the first, priced on all.  [default: {DEFAULT_CHIP}]"
              )  # fmt: skip
@looped_options
@click.option("--output", type=OutputFile(PAGES),
              help="The page, .html.  [default: NETWORK's name, in the present folder]")  # fmt: skip
@json_option
def explore_command(
    network: Path,
    measuring: Measuring,
    chips: tuple[Chip, ...],
    looped: Looped,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write one page in which the knob of NETWORK can be turned: accuracy, spikes, energy, and where they come from.

    It is one file that needs no server and no network: open it in a browser, keep it, send it. Every place of the knob
    on it was measured, as `aspen sweep` measures it; --knobs says which. The knob is that which was calibrated, or else
    of the learned dial, or a factor on all hidden thresholds.

    With a budget, a battery or a confidence there is a recording on it too, as `aspen stream` runs it.
    """
    trained, page = NetworkFile(network), output or _beside(network)
    looped.check()
    front = measuring.front(trained, chips)
    measuring = measuring if front is not None else measuring.turning(trained)
    knobs = measuring.knob_list(front is not None)
    samples = measuring.samples(trained)
    bench = measuring.bench(trained, samples, chips, knobs, front)
    early = None if front is None else front.early
    if measuring.early:
        early = stored_stop(measuring, trained, bench) or new_stop(measuring, bench, samples, knobs)
    loop = looped.open(trained, measuring, bench)
    compiled = isinstance(bench.program, Deployment)
    runs = len(knobs) * len(bench.encodings) * (1 + compiled)
    with bar("explore", runs, "runs") as shown:
        found = explore(
            bench,
            knobs,
            _told(network, measuring, samples, bench, front is not None),
            early=early,
            original=trained.network if compiled else None,
            progress=shown.advance,
        )
    if loop is not None:
        found = replace(found, stream=loop.run())
    if as_json:
        click.echo(found.to_json())
    with saving():
        write_page(found, page)
        show(f"wrote {page}, {page.stat().st_size / 1e6:.1f} MB: open it in a browser", err=as_json)


def _beside(network: Path) -> Path:
    """The page where none was named."""
    page = Path(f"{network.stem}.html")
    OutputFile(PAGES).convert(str(page), None, click.get_current_context())
    return page


def _told(path: Path, measuring: Measuring, samples: Labelled, bench: Bench, front: bool) -> Told:
    program = bench.program
    network_as_it_is = "integers" if network_of(program).is_integer else "floating point"
    integers = f"{program.chip} integers" if isinstance(program, Deployment) else network_as_it_is
    turned = "calibrated knob" if front else "learned dial" if measuring.dial else "threshold scale"
    return Told(path.stem, integers, samples.name, turned, samples.class_names)
