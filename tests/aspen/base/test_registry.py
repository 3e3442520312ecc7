"""Parts by name that others may add to, by a line of a program or by the metadata of an installed package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aspen._base.registry import Registry, installed
from aspen.errors import InputError, MissingDependencyError

GROUP = "example.colours"


def check(name: str, part: object) -> None:
    if not isinstance(part, int):
        raise InputError(f"{name}: no colour")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that names five colours, and says when it is imported."""
    metadata = tmp_path / "colours-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: colours\nVersion: 1.0\n")
    names = (
        "red = colours:red",
        "green = colours:green",
        "grey = colours:grey",
        "gone = colours_that_are_gone:red",
        "odd = odd_colours:red",
    )
    (metadata / "entry_points.txt").write_text("\n".join((f"[{GROUP}]", *names, "")))
    (tmp_path / "colours.py").write_text('print("imported")\nred, green, grey = 11, 12, "none"\n')
    (tmp_path / "odd_colours.py").write_text("red = (\n")
    monkeypatch.syspath_prepend(tmp_path)
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("package")
def test_an_installed_package_adds_parts_that_are_imported_when_they_are_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    colours = Registry(GROUP, {"red": 1}, check)
    assert (list(colours), len(colours), "green" in colours, "blue" in colours) == (
        ["red", "green", "grey", "gone", "odd"], 5, True, False,
    )  # fmt: skip
    assert (colours["red"], capsys.readouterr().out) == (1, "")  # ASPEN's own keeps its name
    assert (colours["green"], capsys.readouterr().out) == (12, "imported\n")


@pytest.mark.usefixtures("package")
def test_a_part_of_an_installed_package_that_is_none_is_refused() -> None:
    colours = Registry(GROUP, {}, check)
    with pytest.raises(MissingDependencyError, match="gone: found colours_that_are_gone:red as its entry point in"):
        colours["gone"]
    with pytest.raises(MissingDependencyError, match=r"odd: .*which cannot be imported \(SyntaxError: .*never closed"):
        colours["odd"]
    with pytest.raises(InputError, match="grey: no colour"):
        colours["grey"]
    with pytest.raises(InputError, match="'green', which is taken by 'colours:green'"):
        colours.add("green", 5)


@pytest.mark.usefixtures("package")
def test_a_name_that_two_packages_have_is_refused_when_it_is_asked_for(tmp_path: Path) -> None:
    other = tmp_path / "paints-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: paints\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text(f"[{GROUP}]\ngreen = paints:green\nred = paints:red\n")
    installed.cache_clear()
    colours = Registry(GROUP, {"red": 1}, check)
    assert (list(colours).count("green"), colours["red"]) == (1, 1)
    with pytest.raises(InputError, match="green: found colours:green and paints:green as its entry points"):
        colours["green"]


def test_a_program_adds_parts_and_none_takes_anothers_name() -> None:
    colours: Registry[int] = Registry(GROUP, {"red": 1000}, check)
    blue = 2000
    colours.add("blue", blue)
    colours.add("blue", blue)
    for name in ("red", "blue"):
        with pytest.raises(InputError, match=f"{GROUP}: found the name '{name}', which is taken by"):
            colours.add(name, 3)
    for name, part in (("", 4), ("green", "none")):
        with pytest.raises(InputError):
            colours.add(name, part)  # type: ignore[arg-type]
    assert dict(colours) == {"red": 1000, "blue": 2000}
    del colours["blue"]
    assert list(colours) == ["red"]
    with pytest.raises(KeyError):
        colours["blue"]
