"""Write the tables of docs/benchmarks.md from what the benchmarks measured: nothing on that page is typed by hand.

    python benchmarks/page.py [FOLDER [PAGE]]

``make bench`` measures into ``runs/bench`` and ends with this.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aspen.storage.writing import write_atomically

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- written by make bench -->\n", "<!-- end of what make bench wrote -->\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown; numbers on the right."""
    lines = [head, ("---", *["---:"] * (len(head) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def times(value: float | None) -> str:
    """A ratio, in three digits."""
    return "not measured" if value is None else f"{float(f'{value:.3g}'):,g} x"


def milliseconds(value: float | None) -> str:
    """A time of any size, in three digits."""
    return "not measured" if value is None else f"{float(f'{value:.3g}'):,g} ms"


def percent(value: float) -> str:
    """A share that is given in percent."""
    return f"{value:.1f} %"


def measured(machine: dict[str, Any]) -> str:
    """Date, machine, versions and command."""
    load = machine["load_at_start"]
    busy = "unknown" if load is None else f"{load:.1f}"
    versions = ", ".join(f"{name} {machine[name]}" for name in ("numpy", "numba", "torch", "snntorch"))
    return (
        f"`{machine['command']}`, {machine['date']}; {machine['processor']}, {machine['cores']} cores, load {busy} at "
        f"the start; Python {machine['python']}, {versions}.\n"
    )


def emulation(found: dict[str, Any]) -> str:
    """What the engines take."""
    head, convolutions = found["headline"], found["convolutions"]
    by_batch = head["snntorch_over_float_by_batch"].items()
    ratios = [
        ("Lava's runtime / fast, all samples", head.get("lava_over_fast")),
        ("Lava's runtime / fast, one sample", head.get("lava_over_one_sample")),
        ("Lava's runtime / fast, a convolutional network of PilotNet's size", convolutions.get("lava_over_fast")),
        ("reference / fast", head["reference_over_fast"]),
        ("snnTorch's loop / fast, in floating point", head["snntorch_over_float"]),
        *((f"the same, batch {size}", value) for size, value in by_batch),
        ("matrix products alone (float32, all steps at once) / fast", head["products_over_fast"]),
        ("the same, the convolutional network", convolutions.get("products_over_fast")),
    ]
    rows = [(name, milliseconds(value)) for name, value in head["ms"].items()]
    rows += [("one sample in C", milliseconds(head["one_sample_in_c_ms"]))]
    rows += [("a step of a stream", milliseconds(head["stream_us"] / 1000))]
    grown = [
        (what, f"{row['at']:g}", milliseconds(row["fast_ms"]), times(row["products_over_fast"]))
        for what, found_rows in found["growth"].items()
        for row in found_rows
    ]
    memory = [(name, f"{value:,.0f} MiB") for name, value in found["memory"].items()]
    return "\n".join(
        (
            "### Running a network\n",
            measured(found["machine"]),
            f"Network {found['setting']}; {found['repeats']} rounds; ratios are medians over the rounds of the ratio "
            f"within a round.\n",
            table(("how many times as long", "ratio"), ((name, times(value)) for name, value in ratios)),
            table(("median time", ""), rows),
            table(("what grows", "to", "fast", "products alone / fast"), grown),
            table(("peak memory", ""), memory),
        )
    )


def training(found: dict[str, Any]) -> str:
    """What a training step takes."""
    base = found["base"]
    rows = [(name, milliseconds(ms), milliseconds(base["fastest_ms"][name])) for name, ms in base["ms"].items()]
    grown = [
        (
            what,
            f"{row['at']:g}",
            times(row["loop_over_fused"]),
            times(row["fused_over_products"]),
            times(row["dense_over_fused"]),
            percent(row["activity"]),
        )
        for what, found_rows in found["growth"].items()
        for row in found_rows
    ]
    whole = []
    if "har" in found:
        share = found["har"]["fused_over_dense"]
        whole = [
            f"Whole trainings of `har-levels`, encoding and validation included: {share:.2f} times as long by spikes "
            f"as with dense products.\n"
        ]
    setting = base["setting"]
    sizes = "-".join(map(str, setting["sizes"]))
    return "\n".join(
        (
            "### Training one\n",
            measured(found["machine"]),
            f"A training step of {sizes}, batch {setting['batch']}, {setting['steps']} steps; {found['repeats']} "
            f"rounds, {found['machine']['threads']} threads. Perturbed thresholds cost "
            f"{100 * (base['perturbed_over_fused'] - 1):+.1f} %.\n",
            table(("training step", "median", "fastest"), rows),
            table(
                (
                    "what grows",
                    "to",
                    "snnTorch's loop / fused",
                    "fused / dense products alone",
                    "dense / fused",
                    "spiking",
                ),
                grown,
            ),
            *whole,
        )
    )


def main(arguments: list[str] | None = None) -> None:
    """Put the tables between the marks of the page."""
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0]) if given else ROOT / "runs" / "bench"
    page = Path(given[1]) if len(given) > 1 else ROOT / "docs" / "benchmarks.md"
    results = [json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("emulation", "training")]
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{before}{BEGIN}\n{emulation(results[0])}\n{training(results[1])}\n{END}{after}"
    write_atomically(page, made.encode())
    print(made[len(before) :])


if __name__ == "__main__":
    main()
