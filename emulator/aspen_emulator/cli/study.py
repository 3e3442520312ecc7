"""``aspen study``: one dialled network against many that are each trained for one energy."""

from __future__ import annotations

from pathlib import Path

import click

from aspen._base.progress import bar
from aspen.data import DATASETS
from aspen.storage.outputs import REPORTS, make_folder
from aspen.storage.writing import write_atomically
from aspen_emulator.cli.common import OneOf, is_given
from aspen_emulator.cli.files import FileCommand, OutputFile, OutputFolder
from aspen_emulator.cli.numbers import Whole
from aspen_emulator.cli.shown import show
from aspen_emulator.study.cells import is_trained, train_all
from aspen_emulator.study.figures import plot
from aspen_emulator.study.joules.figures import plot_joules
from aspen_emulator.study.joules.measuring import measure_joules, neurons_on
from aspen_emulator.study.joules.problems import JOULES, JoulesProblem
from aspen_emulator.study.joules.report import document_in_joules, in_joules
from aspen_emulator.study.measuring import (
    measure_networks,
    measure_spent,
    read_points,
    read_spent,
    write_points,
    write_spent,
)
from aspen_emulator.study.problems import PROBLEMS, Problem
from aspen_emulator.study.report import document, markdown


@click.command("study", cls=FileCommand)
@click.argument("names", nargs=-1, required=True, type=OneOf(list(PROBLEMS)))
@click.option("--data-path", type=click.Path(exists=True, path_type=str),
              help="Where a data set lies that does not ship: UCI HAR, folder or zip.")  # fmt: skip
@click.option("--folder", default="runs/study", show_default=True, type=OutputFolder(),
              help="Networks and results; what is there is not trained again.")  # fmt: skip
@click.option("--seeds", default=5, show_default=True, type=Whole(min=1), help="Networks of each kind.")
@click.option("--processes", default=2, show_default=True, type=Whole(min=1), help="Trainings at a time.")
@click.option("--scheduler", metavar="ADDRESS",
              help="Train on the workers of this Dask scheduler, which must see --data-path and --folder.")  # fmt: skip
@click.option("--final", is_flag=True, help="Measure the test data, once: after all choices are made.")
@click.option("--energy", is_flag=True,
              help="The study in joules: a dial that switches neurons off, against networks that were pruned, narrowed "
                   "and shortened for one energy each.")  # fmt: skip
@click.option("--trained", is_flag=True,
              help="Train nothing: with --energy, compare the networks that --folder has for every seed, and name "
                   "those of the envelope that it lacks.")  # fmt: skip
@click.option("--report", type=OutputFile(REPORTS),
              help="Write all tables into one Markdown file; plots go into images/ beside it.")  # fmt: skip
def study_command(
    names: tuple[str, ...],
    data_path: str | None,
    folder: Path,
    seeds: int,
    processes: int,
    scheduler: str | None,
    final: bool,
    energy: bool,
    trained: bool,
    report: Path | None,
) -> None:
    """Train the envelope and the dialled networks of NAMES, compare them, and write tables and plots.

    They are compared at equal spikes, or, with --energy, at equal joules. May be broken off at any time and started
    again. Without --final everything is measured on validation data.
    """
    if trained and not energy:
        raise click.UsageError("--trained goes with --energy")
    useless = [f"--{name}" for name in ("processes", "scheduler") if trained and is_given(name)]
    if useless:
        raise click.UsageError(f"--trained trains nothing: leave out {' and '.join(useless)}")
    chosen = list(dict.fromkeys(names))
    paths = {name: None if DATASETS[name].ships else data_path for name in chosen}
    for name, path in paths.items():
        DATASETS[name].check_path(path)
    workers = scheduler or processes
    texts = [
        _joules(JOULES[name], paths[name], folder / name, seeds, None if trained else workers, final)
        if energy
        else _one(PROBLEMS[name], paths[name], folder / name, seeds, workers, final)
        for name in chosen
    ]
    show(*texts)
    if report is None:
        return
    part, drawn, shown = "test" if final else "validation", *(("joules",) * 2 if energy else ("dial", "study"))
    make_folder(report.parent / "images")
    for name in chosen:
        image = (folder / name / f"{drawn}-{part}.png").read_bytes()
        write_atomically(report.parent / "images" / f"{shown}-{name}.png", image)
    write_atomically(report, (document_in_joules if energy else document)(chosen, texts, seeds, final).encode())


def _train(problem: Problem | JoulesProblem, path: str | None, folder: Path, seeds: int, workers: int | str) -> None:
    trained = [is_trained(folder, cell, seed) for cell in problem.cells for seed in range(seeds)]
    with bar(f"train {problem.name}", len(trained), "networks") as shown:
        shown.begin(sum(trained))
        train_all(problem, path, folder, seeds, workers, lambda name: shown.advance())


def _joules(
    problem: JoulesProblem, path: str | None, folder: Path, seeds: int, workers: int | str | None, final: bool
) -> str:
    """Train, or take the networks that are trained where ``workers`` is ``None``, and compare them."""
    missing: tuple[str, ...] = ()
    if workers is None:
        problem, missing = problem.among(lambda cell: all(is_trained(folder, cell, seed) for seed in range(seeds)))
    else:
        _train(problem, path, folder, seeds, workers)
    parts = ("validation", "test") if final else ("validation",)
    for part in parts:
        file = folder / f"joules-{part}.json"
        known = read_points(file) if part == "test" and file.exists() else {}  # measured before: once is enough
        with bar(f"measure {problem.name}, {part}", seeds * len(problem.measured), "networks") as shown:
            done = measure_joules(problem, path, folder, seeds, part, lambda name: shown.advance(), known)
        write_points(done, file)
    validation, found = (read_points(folder / f"joules-{part}.json") for part in (parts[0], parts[-1]))
    on = {cell: neurons_on(folder, cell, seeds) for cell in problem.dialled}
    text = in_joules(problem, validation, found, on, seeds, parts[-1], missing)
    write_atomically(folder / f"joules-{parts[-1]}.md", text.encode())
    plot_joules(problem, found, seeds, folder / f"joules-{parts[-1]}.png")
    return text


def _one(problem: Problem, path: str | None, folder: Path, seeds: int, workers: int | str, final: bool) -> str:
    _train(problem, path, folder, seeds, workers)
    parts = ("validation", "test") if final else ("validation",)
    for part in parts:
        file = folder / f"points-{part}.json"
        if part == "test" and file.exists():
            continue  # measured before: once is enough
        with bar(f"measure {problem.name}, {part}", seeds * (len(problem.cells) - 1), "networks") as shown:
            write_spent(measure_spent(problem, path, folder, seeds, part), folder / f"spent-{part}.json")
            write_points(measure_networks(problem, path, folder, seeds, part, lambda name: shown.advance()), file)
    validation, found = read_points(folder / "points-validation.json"), read_points(folder / f"points-{parts[-1]}.json")
    spent = read_spent(folder / f"spent-{parts[-1]}.json")
    text = markdown(problem, validation, found, spent, seeds, parts[-1])
    write_atomically(folder / f"report-{parts[-1]}.md", text.encode())
    plot(problem, found, spent, seeds, folder / f"dial-{parts[-1]}.png")
    return text
