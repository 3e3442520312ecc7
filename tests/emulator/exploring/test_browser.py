"""The page in a real browser: its knob is turned by mouse and keyboard, and the figures are those of its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen_emulator.exploring.page import write_page
from tests.emulator.exploring.browser import BAD, KNOBS, Opened, browser, exploration, opened

SIZES = {"phone": (390, 844), "wide": (1920, 1080), "laptop": (1366, 768)}
PICTURES = ("front", "parts", "events", "spikes", "course", "raster", "confusion", "rounding", "cores", "stream")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    path, found = tmp_path_factory.mktemp("page") / "page.html", exploration()
    write_page(found, path)
    return path, found.to_dict()


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def shown(started: Any, made: tuple[Path, dict[str, Any]]) -> Iterator[Opened]:
    with opened(started, made[0]) as page:
        yield page


def expected(data: dict[str, Any], index: int, chip: str = "loihi1") -> dict[str, float]:
    setting = data["settings"][index]
    point, cost = setting["points"][chip], setting["costs"][chip]
    energies = {part: cost[part]["typical"] for part in ("total", "dynamic", "static")}
    counts = {name: point[name] for name in ("accuracy", "hidden_spikes", "synaptic_operations", "unanswered")}
    return {**energies, **counts, "steps": setting["steps"], "off": sum(setting["off"].values())}


def standing(page: Opened) -> int:
    """The setting at which the knob stands, by what a screen reader says of it."""
    return KNOBS.index(float(page.tab.get_attribute("#knob", "aria-valuetext")))


def test_the_knob_turns_by_keyboard(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    shown.tab.focus("#knob")
    accuracies = [each["points"]["loihi1"]["accuracy"] for each in made[1]["settings"]]
    assert standing(shown) == accuracies.index(max(accuracies))
    for key, place in (
        ("Home", 0),
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("End", 5),
        ("ArrowRight", 5),
        ("ArrowLeft", 4),
    ):
        shown.tab.keyboard.press(key)
        assert standing(shown) == place
        assert shown.text("#knob-value") == f"{KNOBS[place]:g}"
        assert shown.figures() == pytest.approx(expected(made[1], place))
    assert shown.text("[data-figure=accuracy]") == f"{100 * accuracies[4]:.1f} %"
    assert shown.tab.get_attribute("#figures", "aria-live") == "polite"


def test_the_knob_turns_by_mouse(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    box = shown.tab.locator("#knob").bounding_box()
    for share, place in ((0.01, 0), (0.99, 5), (0.4, 2)):
        shown.tab.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        assert standing(shown) == place
        assert shown.figures() == pytest.approx(expected(made[1], place))


def test_a_point_of_the_front_turns_the_knob(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    shown.tab.click("#costs [data-value=hidden_spikes]")
    shown.settle()
    points = shown.tab.locator("#front-picture .scatterlayer .trace").nth(1).locator(".point")
    assert points.count() == len(KNOBS)
    points.nth(5).scroll_into_view_if_needed()
    for place in (5, 0):
        box = points.nth(place).bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        shown.tab.mouse.move(*middle)
        shown.tab.wait_for_selector("#front-picture .hoverlayer .hovertext")
        shown.tab.mouse.click(*middle)
        shown.until(f"state.setting === {place}")
        assert standing(shown) == place
        assert shown.figures() == pytest.approx(expected(made[1], place))


def test_the_chip_is_chosen(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    for chip in ("cortex-m4", "loihi1"):
        shown.tab.check(f"#chips [value={chip}]")
        shown.settle()
        assert shown.figures() == pytest.approx(expected(made[1], standing(shown), chip))
        assert chip in shown.text("#energy-note")
        assert f"Cores of {chip}" in shown.tab.locator("#cores-table caption").text_content()


def test_a_raster_says_where_it_was_recorded(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    recorded = [each["setting"] for each in made[1]["rasters"]["recorded"]]
    shown.tab.focus("#knob")
    shown.tab.keyboard.press("Home")
    for place, knob in enumerate(KNOBS):
        shown.settle()
        nearest = min(recorded, key=lambda each: abs(each - place))
        said = shown.text("#raster-note")
        here = (
            f"Recorded at this setting, knob {knob:g}."
            if place in recorded
            else f"Recorded at knob {KNOBS[nearest]:g}, the"
        )
        assert said.startswith(here)
        raster = next(each for each in made[1]["rasters"]["recorded"] if each["setting"] == nearest)
        drawn = shown.tab.evaluate("element('raster-picture').data.map(trace => trace.x.length)")
        assert drawn == [len(places) for places in raster["samples"][0].values()]
        shown.tab.keyboard.press("ArrowRight")
    assert set(recorded) < set(range(len(KNOBS)))


def test_tables_say_what_pictures_show(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    shown.settle()
    data, place = made[1], standing(shown)
    cells = "all => all.map(row => [...row.children].map(cell => cell.textContent))"
    rows = shown.tab.eval_on_selector_all("#confusion-table tbody tr", cells)
    counts = [row[: len(rows[0]) - 1] for row in data["settings"][place]["confusion"]]
    assert [list(map(int, row[1:])) for row in rows] == counts
    assert rows[0][0] == BAD
    drawn = shown.tab.evaluate("element('confusion-picture').data[0].text")
    assert [[int(each or 0) for each in row] for row in drawn] == counts
    front = shown.tab.eval_on_selector_all("#front-table tbody tr", cells)
    assert [float(row[0]) for row in front] == list(KNOBS)
    assert shown.tab.locator("#front-table tr.chosen th").text_content() == f"{KNOBS[place]:g}"
    for name in PICTURES:
        picture = shown.tab.locator(f"#{name}-picture")
        assert picture.get_attribute("role") == "img"
        assert len(picture.get_attribute("aria-label")) > 30


def test_a_recording_in_one_view(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    shown.settle()
    stream = made[1]["stream"]
    assert shown.figures("#stream-figures") == pytest.approx({
        "stream_windows": stream["windows"],
        "stream_total": stream["dynamic_j"] + stream["static_j"],
        "stream_dynamic": stream["dynamic_j"] / stream["windows"],
        "stream_accuracy": stream["accuracy"],
    })  # fmt: skip
    drawn = shown.tab.evaluate("element('stream-picture').data.map(each => [each.name ?? each.type, each.y, each.z])")
    traces = {name: (y, z) for name, y, z in drawn}
    spent = [each["dynamic_j"] for each in stream["bins"]]
    each, mean, budget = (traces[name][0] for name in ("each window", "mean since the start", "budget"))
    unit = budget[0] / 8e-9
    assert each == pytest.approx([unit * joules for joules in spent])
    assert mean[-1] == pytest.approx(unit * sum(spent) / len(spent))
    assert traces["knob"][0] == [each["knob"] and each["knob"]["mean"] for each in stream["bins"]]
    assert [sum(column) for column in zip(*traces["heatmap"][1], strict=True)] == [1] * len(spent)
    assert shown.tab.locator("#stream-table tbody tr").count() == len(spent)


def test_nothing_is_asked_for_and_no_name_does_anything(shown: Opened, made: tuple[Path, dict[str, Any]]) -> None:
    assert shown.asked == [made[0].as_uri()]
    assert shown.complaints == []
    assert shown.tab.evaluate("window.broken") is None
    assert shown.tab.locator("img").count() == 0
    assert shown.text("#title") == BAD


def test_light_and_dark(started: Any, made: tuple[Path, dict[str, Any]]) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "element('front-picture').layout.font.color"
    with opened(started, made[0], theme="dark") as page:
        page.settle()
        dark = page.tab.evaluate(f"[{ground}, {ink}]")
        assert page.tab.get_attribute("#theme", "aria-pressed") == "true"
        page.tab.emulate_media(color_scheme="light")
        page.until("document.documentElement.dataset.theme === 'light'")
        page.settle()
        light = page.tab.evaluate(f"[{ground}, {ink}]")
        assert page.tab.get_attribute("#theme", "aria-pressed") == "false"
        assert [first != second for first, second in zip(dark, light, strict=True)] == [True, True]
        page.tab.click("#theme")
        page.settle()
        assert page.tab.evaluate(f"[{ground}, {ink}]") == dark
        assert page.tab.get_attribute("#theme", "aria-pressed") == "true"
        page.tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.tab.evaluate(f"[{ground}, {ink}]") == light
        assert page.tab.locator("details:not([open])").count() == 0
        page.tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.tab.evaluate(ground) == dark[0]


def test_it_fits_the_window(shown: Opened) -> None:
    """Pictures follow its width, and with it the size of their letters."""
    letters = {}
    for name, (wide, high) in SIZES.items():
        shown.tab.set_viewport_size({"width": wide, "height": high})
        shown.until("Math.abs(element('front-picture')._fullLayout.width - element('front-picture').clientWidth) < 1")
        shown.until(f"small.matches === {str(wide < 600).lower()} && (drawVisible(true), true)")
        width, bar, letters[name] = shown.tab.evaluate(
            "[document.documentElement.scrollWidth, document.querySelector('.bar').offsetHeight, "
            "element('front-picture').layout.font.size]"
        )
        assert width <= wide, name
        assert bar < high / 3, name
    assert letters["phone"] < letters["wide"] == letters["laptop"]


def test_many_steps_and_many_classes(started: Any, tmp_path: Path) -> None:
    """More figures than a function takes arguments, and more names than an axis has room for."""
    found = exploration()
    long = {name: [0.0] * 25_000 for name in found.settings[0].spikes}
    settings = [replace(each, spikes=long, confusion=np.eye(51, 52, dtype=int).tolist()) for each in found.settings]
    classes = [f"class {k}" for k in range(100)]
    assert found.stream is not None
    bins = [{**each, "answers": [each["of"], *[0] * 100]} for each in found.stream["bins"]]
    groups = [replace(each, neurons=300) for each in found.groups]
    many = replace(
        found, settings=settings, classes=classes, confused=[*range(50)], together=2, steps=50_000, groups=groups,
        stream={**found.stream, "bins": bins},
    )  # fmt: skip
    write_page(many, tmp_path / "page.html")
    with opened(started, tmp_path / "page.html") as page:
        page.settle()
        assert page.complaints == []
        assert len(page.tab.evaluate("element('confusion-picture').layout.xaxis.ticktext")) == 17
        assert "The 50 of 100 classes" in page.tab.inner_text("#confusion-note")
        axes = page.tab.evaluate(
            "Object.values(element('stream-picture').layout).filter(axis => axis && axis.ticktext)"
        )
        assert [len(axis["ticktext"]) for axis in axes] == [20]
        shown = len(found.rasters.neurons["layer1"])
        assert f"{shown} of 300 neurons of layer1" in page.tab.inner_text("#raster-note")
        assert "of 128 cores in use" in page.tab.inner_text("#cores-note")
        assert page.tab.evaluate("element('course-picture').data[0].x.at(-1)") == 50_000
