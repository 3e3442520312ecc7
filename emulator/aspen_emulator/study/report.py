"""The study's tables in Markdown, and its plots."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from statistics import mean

from aspen.network.readout import FREQUENT
from aspen_emulator.study.cells import stem
from aspen_emulator.study.measuring import ARITHMETICS, Points, Spent, kept_key
from aspen_emulator.study.problems import DIAL, WARM, Problem
from aspen_emulator.study.results import DialFacts, Spread, at, budget_row, dial_facts

FEW = 3
"""Prices of an envelope below which its rows say little."""
_FEW_PRICES = (
    "The envelope has a single price here and ends at that network: how far the dial is ahead of it with more spikes "
    "is no result."
)


def document(names: Sequence[str], texts: Sequence[str], seeds: int, final: bool) -> str:
    """The whole report: how it was made, the tables and plots of all problems, and what did not help."""
    options = f'--data-path "UCI HAR Dataset.zip" --seeds {seeds}{" --final" if final else ""}'
    how, tried = (
        resources.files("aspen_emulator.study").joinpath(f"{name}.md").read_text() for name in ("how", "tried")
    )
    head = [f"# Results\n\nMade by `aspen study {' '.join(names)} {options} --report docs/results.md`.\n\n{how}"]
    parts = [f"{text}\n![{name}](images/study-{name}.png)\n" for name, text in zip(names, texts, strict=True)]
    return "\n".join([*head, *parts, tried])


def markdown(problem: Problem, validation: Points, test: Points, spent: Spent, seeds: int, part: str) -> str:
    """All tables of one problem; ``part`` names the data that ``test`` and ``spent`` were measured on."""
    sizes = "-".join(str(size) for size in problem.sizes)
    lines = [f"## {problem.name}, {sizes}", "", *_input(test, spent, seeds), ""]
    for arithmetic in ARITHMETICS:
        where = f"{problem.chip} integers" if arithmetic == "integers" else "floating point"
        lines += [f"### {where}, {part} data, {seeds} seeds (mean ± half of the 95 % interval)", ""]
        lines += _budget_table(problem, validation, test, seeds, arithmetic)
        lines += ["", _FEW_PRICES] if len(problem.prices) < FEW else []
        lines += ["", *_networks_table(problem, test, seeds, arithmetic)]
        lines += ["", *_facts(problem, validation, test, seeds, arithmetic), ""]
    return "\n".join(lines)


def _input(test: Points, spent: Spent, seeds: int) -> list[str]:
    """What the input costs, whatever the knob says."""
    events, first = f"{spent.input_events:,.0f}", f"{spent.first_layer:,.0f}"
    if spent.analog:
        return [
            f"Input: {events} values other than zero per inference, which cause {first} multiply-accumulates in the "
            f"first layer at every setting of the knob. No energy of these is published for the chip; they are not "
            f"among the synaptic operations below."
        ]
    points = [test[f"{stem(DIAL, seed)}/integers"][0] for seed in range(seeds)]
    whole = mean(point.synaptic_operations for point in points)
    return [
        f"Input: {events} spikes per inference, which cause {first} synaptic operations in the first layer at every "
        f"setting of the knob; that is {spent.first_layer / max(whole, 1e-9):.0%} of all at knob 0."
    ]


def _budget_table(problem: Problem, validation: Points, test: Points, seeds: int, arithmetic: str) -> list[str]:
    lines = ["| hidden spikes at most | envelope % | one dialled network % | dial - envelope, points | spikes used |"]
    lines += ["|---|---|---|---|---|"]
    for budget in problem.budgets:
        row = budget_row(problem, validation, test, seeds, budget, arithmetic)
        cells = [str(part) if part is not None else "-" for part in (row.envelope, row.dial, row.gain)]
        lines.append(f"| {budget} | {' | '.join(cells)} | {row.envelope_spikes:.0f} / {row.dial_spikes:.0f} |")
    return lines


def _networks_table(problem: Problem, test: Points, seeds: int, arithmetic: str) -> list[str]:
    lines = ["| network | knob | accuracy % | hidden spikes | total µJ | dynamic nJ |", "|---|---|---|---|---|---|"]
    for cell in problem.cells:
        if cell == WARM:
            continue
        settings: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0) if cell == DIAL else (1.0,)
        settings = (0.5, 1.0, 2.0, 3.0) if cell in ("plain", "perturbed") else settings
        for setting in settings:
            found = [at(test[f"{stem(cell, seed)}/{arithmetic}"], setting) for seed in range(seeds)]
            accuracy = Spread.of([100 * point.accuracy for point in found])
            total, dynamic = (
                "-" if any(v is None for v in column) else f"{mean(v for v in column if v is not None) / unit:,.{d}f}"
                for column, unit, d in (
                    ([p.total_nj for p in found], 1e3, 1),
                    ([p.dynamic_nj for p in found], 1, 0),
                )
            )
            spikes = Spread.of([point.hidden_spikes for point in found])
            lines.append(f"| {cell} | {setting:g} | {accuracy} | {spikes} | {total} | {dynamic} |")
    return lines


def facts(problem: Problem, validation: Points, test: Points, seeds: int, arithmetic: str) -> list[DialFacts]:
    """The dial's facts, one entry for each seed."""
    names = [f"{stem(DIAL, seed)}/{arithmetic}" for seed in range(seeds)]
    return [dial_facts(validation[kept_key(name)], test[name]) for name in names]


def silence(problem: Problem, test: Points, seeds: int, arithmetic: str) -> list[str]:
    """A line on the networks that often have no answer, means over seeds; none where all answer."""
    found = []
    for cell in problem.cells:
        runs = [] if cell == WARM else [test[f"{stem(cell, seed)}/{arithmetic}"] for seed in range(seeds)]
        shares = {points[0].knob: mean(p.unanswered for p in points) for points in zip(*runs, strict=True)}
        silent = [knob for knob, share in shares.items() if share > FREQUENT]
        if silent:
            found.append(f"{cell} at {', '.join(f'{knob:g}' for knob in silent)} (up to {max(shares.values()):.0%})")
    return [f"- No answer for more than {FREQUENT:.0%} of the samples: {'; '.join(found)}."] if found else []


def _facts(problem: Problem, validation: Points, test: Points, seeds: int, arithmetic: str) -> list[str]:
    found = facts(problem, validation, test, seeds, arithmetic)
    plain = [at(test[f"{stem('plain', seed)}/{arithmetic}"], 1.0) for seed in range(seeds)]
    accurate = Spread.of([fact.accurate[0] for fact in found])
    spikes = Spread.of([fact.accurate[1] for fact in found])
    own = sum(fact.accurate[1] for fact in found)
    share = sum(point.hidden_spikes for point in plain) / own if own else float("inf")
    behind = Spread.of([100 * p.accuracy - fact.accurate[0] for p, fact in zip(plain, found, strict=True)])
    return [
        f"- The dial's accurate end: {accurate} % with {spikes} hidden spikes; the plain network is {behind} points "
        f"better with {share:.1f} times as many.",
        f"- Span of the dial within 3 points of its own best: {Spread.of([fact.span for fact in found])} times the "
        f"hidden spikes ({Spread.of([fact.span_kept for fact in found])} between settings that were kept on validation "
        f"data), {mean(fact.span_total for fact in found):.2f} times the total energy (static included). Within 2 "
        f"points: {Spread.of([fact.span_close for fact in found])} times the hidden spikes.",
        f"- Kept settings that are worse than a cheaper one: by {max(fact.worst_drop for fact in found):.1f} points at "
        f"most (mean over seeds of the worst: {mean(fact.worst_drop for fact in found):.1f}).",
        *silence(problem, test, seeds, arithmetic),
    ]
