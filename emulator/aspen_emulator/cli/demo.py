"""``aspen demo``: the whole way in one command."""

from __future__ import annotations

from pathlib import Path

import click

from aspen_emulator.cli.files import FileCommand, OutputFolder
from aspen_emulator.cli.numbers import Whole
from aspen_emulator.cli.shown import show


@click.command("demo", cls=FileCommand)
@click.option("--output", default="runs/demo", show_default=True, type=OutputFolder(),
              help="Folder for the results.")  # fmt: skip
@click.option("--seeds", type=Whole(min=1), default=3, show_default=True, help="Networks of each kind.")
@click.option("--epochs", type=Whole(min=1), help="Training epochs.  [default: the recipes']")
@click.option("--lava/--no-lava", default=True, show_default=True, help="Compare with the real Lava runtime.")
def demo_command(output: Path, seeds: int, epochs: int | None, lava: bool) -> None:
    """Train plain, perturbed and dialled networks on handwritten digits, compile them, and turn their knobs.

    Compiled to loihi1 and cortex-m4. Takes about three minutes. Exit code 1 if a spike on Lava differs
    from the integer engine's.
    """
    from aspen_emulator.demo import run_demo, summary

    result = run_demo(output, seeds=seeds, epochs=epochs, lava=lava, say=show)
    show(f"\n{summary(result)}")
    if not result.parity.get("identical", True):
        raise click.ClickException("spikes on Lava differ from the integer engine's; see parity.json")
