"""What is off, and at what price, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aspen.dial.profile import DialProfile, save_profile
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.emulator.cli.test_cli_dial import wide_network
from tests.networks import random_spikes

__all__ = ["aspen"]


@pytest.fixture
def nested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with a network of which a dial switches nine neurons off, and spikes."""
    monkeypatch.chdir(tmp_path)
    wide_network().save("net.aspen")
    until = np.where(np.arange(12) < 3, np.inf, 0.5)
    save_profile(DialProfile({"layer1": 0.1}, on_until={"layer1": until}), Path("net.aspen"))
    np.save("x.npy", random_spikes(0, 20, 8, 6, 0.5))
    np.save("y.npy", np.arange(8) % 4)


FILES = ("net.aspen", "--input", "x.npy")


def test_a_report_begins_what_it_rests_on_with_who_is_off(aspen: Aspen, nested: None) -> None:
    for chip, words in (
        ("loihi1", "a neuron that is off never fires, and costs what others cost: its spikes arrive, "),
        ("cortex-m4", "a neuron that is off costs nothing: nothing arrives there, and it is not updated (program"),
    ):
        code, out, err = aspen("report", *FILES, "--dial", "--knob", "1", "--chip", chip)
        assert code == 0, err
        assert f"assumed: 9 of 16 neurons off on average: {words}" in out
        assert "neurons off" not in aspen("report", *FILES, "--dial", "--knob", "0.4", "--chip", chip)[1]


def test_a_sweep_says_it_of_each_chip(aspen: Aspen, nested: None) -> None:
    chips = ("--chip", "loihi1", "--chip", "cortex-m4", "--dial", "--knobs")
    code, out, err = aspen("sweep", *FILES, "--labels", "y.npy", *chips, "0,0.4,0.8,1")
    assert code == 0, err
    lines = [line for line in out.splitlines() if "neurons off" in line]
    assert [line.split(":")[0] for line in lines] == ["up to 9 of 16 neurons off, at knob 0.8"] * 2
    assert "costs what others cost" in lines[0]
    assert "costs nothing" in lines[1]
    assert "neurons off" not in aspen("sweep", *FILES, "--labels", "y.npy", *chips, "0,0.4")[1]
    code, out, _ = aspen("sweep", *FILES, "--labels", "y.npy", *chips, "0,1", "--json")
    rows = {(row["chip"], row["knob"]): row for row in json.loads(out)}
    drop = {name: rows[name, 1.0]["dynamic_nj"] / rows[name, 0.0]["dynamic_nj"] for name in ("loihi1", "cortex-m4")}
    assert drop["cortex-m4"] < 0.75
    assert drop["loihi1"] > 0.8
