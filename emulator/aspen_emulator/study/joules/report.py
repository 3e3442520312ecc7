"""The study in joules as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from statistics import mean

from aspen.calibration.points import OperatingPoint
from aspen_emulator.study.joules.measuring import key
from aspen_emulator.study.joules.problems import NESTED, JoulesProblem
from aspen_emulator.study.joules.results import (
    Account,
    Row,
    Setting,
    accurate_end,
    budgets,
    least_at,
    over_range,
    plain_points,
    range_of_all,
    range_within,
    row,
    settings,
    steady_until,
)
from aspen_emulator.study.measuring import Points
from aspen_emulator.study.results import Spread
from aspen_hardware import chip
from aspen_hardware.chips.parts import runs_programs

ANN = "- An int8 ANN of the same accuracy: [cycles beside ours, two problems](microcontroller.md#beside-an-int8-ann)."


def accounts(problem: JoulesProblem) -> list[Account]:
    """What is compared: the total where a chip sleeps between steps, the dynamic energy where it is priced at all."""
    each = [(name, chip(name)) for name in problem.chips]
    return [
        Account(name, "total" if runs_programs(description) else "dynamic")
        for name, description in each
        if description.energies
    ]


def document_in_joules(names: Sequence[str], texts: Sequence[str], seeds: int, final: bool) -> str:
    """The whole report: how it was made, and the tables and plots of all problems."""
    options = f'--data-path "UCI HAR Dataset.zip" --seeds {seeds}{" --final" if final else ""}'
    how = resources.files("aspen_emulator.study").joinpath("how-joules.md").read_text()
    head = f"# Results in joules\n\nMade by `aspen study {' '.join(names)} --energy {options} --report joules.md`.\n\n"
    parts = [f"{text}\n![{name}](images/joules-{name}.png)\n" for name, text in zip(names, texts, strict=True)]
    return "\n".join([f"{head}{how}", *parts])


def in_joules(
    problem: JoulesProblem,
    validation: Points,
    test: Points,
    on: Mapping[str, Sequence[float]],
    seeds: int,
    part: str,
    missing: Sequence[str] = (),
) -> str:
    """All tables of one problem.

    Args:
        problem: what was trained.
        validation: operating points that choices rest on.
        test: those that are shown.
        on: of each dialled network, by name, the hidden neurons that are on at each knob.
        seeds: networks of each kind.
        part: what data ``test`` are of.
        missing: networks of the envelope that were not trained.
    """
    lines = [f"## {problem.name} in joules, {part} data, {seeds} seeds (mean ± half of the 95 % interval)", ""]
    compared = accounts(problem)
    for account in compared:
        rows = [
            row(problem, validation, test, seeds, account, budget) for budget in budgets(validation, seeds, account)
        ]
        lines += [f"### At equal {account}", "", *_budget_table(rows, account), "", *_verdict(rows), ""]
    for cell, network in problem.dialled.items():
        shown = [account for account in compared if problem.dial_on(account.chip) == cell]
        if shown:
            names = " and ".join(account.chip for account in shown)
            lines += [f"### The dial on {names}: {network.levers.size}", ""]
            lines += [*_dial_table(test, seeds, shown, on[cell]), ""]
    lines += ["### In words", ""]
    lines += [*_facts(problem, validation, test, seeds, compared), ""]
    lines += ["### The envelope", "", *_envelope_table(problem, test, seeds, compared), ""]
    if missing:
        lines += [f"Not in the envelope, as they were not trained: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _energy(nj: float) -> str:
    """A number of microjoules with three digits."""
    return f"{nj / 1e3:.3g}" if nj < 1e6 else f"{nj / 1e3:,.0f}"


def _budget_table(rows: Sequence[Row], account: Account) -> Iterator[str]:
    yield (
        f"| {account.kind}, µJ at most | envelope % | one dialled network % | dial - envelope, points | µJ used "
        f"| chosen |"
    )
    yield "|---|---|---|---|---|---|"
    for each in rows:
        cells = ["-" if part is None else str(part) for part in (each.envelope, each.dial)]
        cells.append("-" if each.gain is None else f"{each.gain:+.1f}")
        used = " / ".join("-" if nj != nj else _energy(nj) for nj in (each.envelope_nj, each.dial_nj))
        chosen = ", ".join(each.chosen) or "-"
        yield f"| {_energy(each.budget)} | {' | '.join(cells)} | {used} | {chosen} |"


def _verdict(rows: Sequence[Row]) -> Iterator[str]:
    whole, compared = over_range(rows), [each.gain for each in rows if each.gain is not None]
    if whole is None:
        yield "- No budget that both keep."
        return
    gains = [gain.mean for gain in compared]
    yield (
        f"- Over the dial's range, {len(compared)} of {len(rows)} budgets: dial - envelope {whole:+.1f} points; at "
        f"single budgets from {min(gains):+.1f} to {max(gains):+.1f}."
    )


def _columns(found: Sequence[Setting], compared: Sequence[Account]) -> list[str]:
    """The joules of one setting on each chip, as cells."""
    return [
        _energy(setting.total_nj if account.kind == "total" else setting.dynamic_nj)
        for setting, account in zip(found, compared, strict=True)
    ]


def _dial_table(test: Points, seeds: int, compared: Sequence[Account], on: Sequence[float]) -> Iterator[str]:
    chips = [account.chip for account in compared]
    heads = [f"% on {name} | sd | {account.kind} µJ" for name, account in zip(chips, compared, strict=True)]
    yield f"| knob | hidden neurons on | hidden spikes | {' | '.join(heads)} |"
    yield f"|{'---|' * (3 + 3 * len(chips))}"
    each = [settings(test, seeds, name) for name in chips]
    for number, found in enumerate(zip(*each, strict=True)):
        if number % 2:
            continue
        joules = _columns(found, compared)
        cells = [
            f"{one.accuracy} | {one.accuracy.std:.1f} | {energy}" for one, energy in zip(found, joules, strict=True)
        ]
        yield f"| {found[0].knob:g} | {on[number]:.0f} | {found[0].spikes:.0f} | {' | '.join(cells)} |"


def _envelope_table(problem: JoulesProblem, test: Points, seeds: int, compared: Sequence[Account]) -> Iterator[str]:
    heads = [f"% on {account.chip} | {account.kind} µJ" for account in compared]
    yield f"| network | hidden spikes | {' | '.join(heads)} |"
    yield f"|{'---|' * (2 + 2 * len(compared))}"
    for cell in problem.rivals:
        found = [settings(test, seeds, account.chip, cell)[0] for account in compared]
        joules = _columns(found, compared)
        cells = [f"{one.accuracy} | {energy}" for one, energy in zip(found, joules, strict=True)]
        yield f"| {cell} | {found[0].spikes:.0f} | {' | '.join(cells)} |"


def _facts(
    problem: JoulesProblem, validation: Points, test: Points, seeds: int, compared: Sequence[Account]
) -> Iterator[str]:
    for account in compared:
        yield (
            f"- {_first_upper(str(account))} within 2 points of each network's own best, most over least: "
            f"{range_within(test, seeds, account):.2f} (within 7 points: {range_within(test, seeds, account, 7):.2f}). "
            f"{_levers(problem.every)}, one knob over all, the dial's dearest over the cheapest: "
            f"{range_of_all(test, seeds, account):.2f}."
        )
        if account.kind == "dynamic":
            yield f"- {_whole(account.chip, test, seeds)}"
        yield f"- {_ends(validation, test, seeds, account)}"
        yield f"- {_steadiness(test, seeds, account.chip)}"
    if problem.goal is not None:
        yield from (_goal(problem, test, seeds, account) for account in compared if account.kind == "dynamic")
    yield from (_flat(test, seeds, name) for name in problem.chips if name not in [a.chip for a in compared])
    yield ANN


def _levers(every: tuple[int, ...]) -> str:
    """What the front has beside the dial."""
    if every == (1,):
        return "With inferences that end early too (`aspen calibrate --early`)"
    steps = ",".join(str(n) for n in every if n > 1)
    return f"With inferences that end early and fewer steps too (`aspen calibrate --early --every {steps}`)"


def _first_upper(text: str) -> str:
    return text[0].upper() + text[1:]


def _whole(name: str, test: Points, seeds: int) -> str:
    totals = [setting.total_nj for setting in settings(test, seeds, name)]
    return (
        f"What a battery sees there: {_energy(max(totals))} µJ at most and {_energy(min(totals))} at least, as the "
        f"chip is powered as a whole."
    )


def _ends(validation: Points, test: Points, seeds: int, account: Account) -> str:
    best, plain = accurate_end(validation, test, seeds, account.chip), plain_points(test, seeds, account.chip)
    ahead = Spread.of([100 * (one.accuracy - two.accuracy) for one, two in zip(best, plain, strict=True)])
    share = mean(map(account.cost, plain)) / mean(map(account.cost, best))
    return (
        f"Accurate end on {account.chip}: {Spread.of([100 * point.accuracy for point in best])} %, {ahead:+.1f} points "
        f"beside the plain network, which takes {share:.1f} times the {account.kind} energy."
    )


def _steadiness(test: Points, seeds: int, name: str) -> str:
    found = settings(test, seeds, name)
    worst = max(found, key=lambda setting: setting.accuracy.std)
    until = ", ".join(f"{knob:g}" for knob in steady_until(test, seeds, name))
    return (
        f"Spread over seeds on {name}: at most {worst.accuracy.std:.1f} points (sd, at knob {worst.knob:g}); each seed "
        f"stays within 1.5 points of its own best up to knob {until}."
    )


def _goal(problem: JoulesProblem, test: Points, seeds: int, account: Account) -> str:
    goal = problem.goal
    assert goal is not None
    ours = least_at(settings(test, seeds, account.chip), goal)
    members = {cell: settings(test, seeds, account.chip, cell) for cell in problem.rivals}
    rivals = {cell: least_at(found, goal) for cell, found in members.items()}
    best = min(((s.dynamic_nj, cell) for cell, s in rivals.items() if s is not None), default=None)
    mine = "at no knob" if ours is None else f"{_energy(ours.dynamic_nj)} µJ, at knob {ours.knob:g}"
    theirs = "by none" if best is None else f"{_energy(best[0])} µJ, by {best[1]}"
    return (
        f"- {goal:g} % and more (mean over seeds) with the least {account}: the dial {mine}; a network of the envelope "
        f"{theirs}."
    )


def _flat(test: Points, seeds: int, name: str) -> str:
    found: list[OperatingPoint] = [point for seed in range(seeds) for point in test[key(NESTED, seed, name)]]
    static = [point.static_nj for point in found]
    if None in static:
        return f"- {name}: no joules; nobody has published any."
    return (
        f"- {name}: {_energy(mean(s for s in static if s is not None))} µJ a window at every knob and by every "
        f"network, its idle power; what a clock cycle costs there is not published."
    )
