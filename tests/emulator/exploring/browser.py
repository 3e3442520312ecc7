"""A browser without a window, where there is one, and pages to look at in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.network.network import Network
from aspen_emulator import calibrate, run, stream
from aspen_emulator.exploring.explored import Exploration
from aspen_emulator.exploring.measuring import Told, explore
from aspen_emulator.exploring.streams import streamed
from aspen_emulator.measuring.bench import Bench
from aspen_hardware import chip, compile
from tests.networks import float_network, random_spikes

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
KNOBS = (0.5, 0.8, 1.0, 1.5, 2.0, 4.0)
BAD = '<img src=x onerror="window.broken=1"></script><script>window.broken=1</script>%{x}'
PATIENCE, PAUSE = 120_000, 20
"""Milliseconds."""


@dataclass
class Opened:
    """A page in the browser.

    Args:
        tab: Playwright's page.
        asked: what it asked for beside itself.
        complaints: errors, and what its policy has refused.
    """

    tab: Any
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def figures(self, within: str = "#figures, #more") -> dict[str, float]:
        """The figures as they stand in some elements of the page, by name."""
        found = self.tab.eval_on_selector_all(
            f":is({within}) [data-figure]", "all => all.map(each => [each.dataset.figure, each.dataset.value])"
        )
        return {name: float(value) for name, value in found if value}

    def text(self, selector: str) -> str:
        """What stands in an element."""
        return str(self.tab.locator(selector).first.inner_text())

    def until(self, expression: str) -> None:
        """Wait until it is true on the page, whose policy lets Playwright not wait in it.

        Raises:
            AssertionError: it is not after a long while.
        """
        for _ in range(PATIENCE // PAUSE):
            if self.tab.evaluate(expression):
                return
            self.tab.wait_for_timeout(PAUSE)
        raise AssertionError(expression)

    def settle(self) -> None:
        """Wait until all pictures are those of the setting."""
        self.tab.evaluate("drawVisible(true)")


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; skips the test, with the reason, where there is none."""
    reason = "playwright is not installed: pip install playwright"
    driver = pytest.importorskip("playwright.sync_api", reason=reason)
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    with driver.sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).is_file():
            pytest.skip(
                f"no browser: none of {', '.join(NAMES)} is on PATH, and `playwright install chromium` was not run"
            )
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"], timeout=PATIENCE)
        yield started
        started.close()


@contextmanager
def opened(started: Any, path: Path, size: tuple[int, int] = (1366, 768), theme: str = "light") -> Iterator[Opened]:
    """A page of a file, in a window of a size."""
    tab = started.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme, reduced_motion="reduce")
    tab.set_default_timeout(PATIENCE)
    found = Opened(tab)
    tab.on("request", lambda request: found.asked.append(request.url))
    tab.on("pageerror", lambda error: found.complaints.append(str(error)))
    tab.on("console", lambda said: found.complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.goto(path.as_uri())
    yield found
    tab.close()


def network_and_samples() -> tuple[Network, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A network, spikes, and labels, some of which it gets wrong."""
    network, spikes = float_network(1), random_spikes(0, 12, 24, 6)
    labels = np.maximum(run(network, spikes).predictions, 0)
    labels[::5] = 0
    return network, spikes, labels


def exploration() -> Exploration:
    """What a page is made of: two chips, a recording, and names that would do harm as HTML."""
    network, spikes, labels = network_and_samples()
    bench = Bench(compile(network, "loihi1"), [spikes], labels, [chip("loihi1"), chip("cortex-m4")])
    told = Told(BAD, "loihi1 integers", BAD, "threshold scale", (BAD, "b", "c", "d"))
    table = calibrate(bench.program, spikes, labels, KNOBS)
    with stream(bench.program, table, budget="8nJ/window", dynamic=True) as running:
        recording = streamed(running, spikes.swapaxes(0, 1), f"a budget {BAD}", allowed=8e-9, labels=labels)
    return replace(explore(bench, KNOBS, told, original=network), stream=recording)
