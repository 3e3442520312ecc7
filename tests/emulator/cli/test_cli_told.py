"""What commands say of answers and of what they cost, and whether their columns are explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from aspen.control import Manual
from aspen.network.network import load_network
from aspen_emulator import run
from aspen_emulator.cli.account import Kept, summary_of, text
from aspen_emulator.streaming import Meter, Stream
from aspen_hardware import chip, compile
from aspen_hardware.compiling.deployment import COLUMNS
from tests.emulator.cli.test_cli import Aspen, aspen, files, run_arguments
from tests.networks import float_network, random_spikes

__all__ = ["aspen", "files"]


def test_run_says_what_was_answered_and_what_it_cost(aspen: Aspen, files: Path) -> None:
    code, out, _ = aspen(*run_arguments(files))
    record = run(compile(load_network(files / "net.aspen"), "loihi1"), np.load(files / "x.npy"))
    answers = ", ".join("none" if a < 0 else str(a) for a in record.predictions)
    assert (code, f"\nanswers: {answers}\n" in out) == (0, True)
    assert f"\n{record.total_synaptic_operations.sum():,} synaptic operations, " in out
    assert re.search(r"^loihi1: .* uJ \(.* to .*\) per inference; .*; the run takes .* ms$", out, re.MULTILINE)
    assert "\non no chip: no energy\n" in aspen(*run_arguments(files, "--float"))[1]


def test_run_says_how_accurate_the_answers_are_where_labels_are_known(aspen: Aspen, files: Path) -> None:
    predictions = run(compile(load_network(files / "net.aspen"), "loihi1"), np.load(files / "x.npy")).predictions
    labels = np.where(np.arange(8) < 6, predictions, (predictions + 1) % 4)
    labels[0] = -1  # not known
    np.save(files / "labels.npy", labels)
    code, out, _ = aspen(*run_arguments(files, "--labels", files / "labels.npy"))
    right = (labels == predictions)[1:].mean()
    assert (code, f"accuracy: {right:.1%}" in out) == (0, True)
    found = json.loads(aspen(*run_arguments(files, "--labels", files / "labels.npy", "--json"))[1])
    assert found["accuracy"] == right
    assert sum(found["answers"].values()) == 8
    assert found["energy"]["per_inference_j"]["total"]["typical"] > 0
    assert json.loads(aspen(*run_arguments(files, "--float", "--json"))[1])["accuracy"] is None
    (files / "out.npy").unlink()
    np.save(files / "labels.npy", labels[1:])
    code, _, err = aspen(*run_arguments(files, "--labels", files / "labels.npy"))
    assert (code, "--labels: found 7 for 8 samples" in err, (files / "out.npy").exists()) == (1, True, False)
    np.save(files / "labels.npy", np.full(8, -1))
    code, _, err = aspen(*run_arguments(files, "--labels", files / "labels.npy"))
    assert (code, "found no class, allowed is at least one" in err) == (1, True)


def test_compile_explains_its_columns(aspen: Aspen, files: Path) -> None:
    code, out, _ = aspen("compile", files / "net.aspen", "--chip", "loihi1")
    explained = re.findall(r"^  (\S.*?) {2,}\S", out, re.MULTILINE)
    assert (code, explained[: len(COLUMNS)]) == (0, list(COLUMNS))


@pytest.mark.parametrize(
    ("windows", "told"), [(3, r"answers: [\dnone]+, [\dnone]+, [\dnone]+$"), (30, r"answers: .* times\)")]
)
def test_a_stream_says_its_answers(windows: int, told: str) -> None:
    network = float_network(1)
    with Stream(network, Meter.of(network, chip("loihi1"), 8), Manual(1.0)) as stream:
        kept = Kept([])
        for window in stream.run(random_spikes(0, 8, windows, 6).swapaxes(0, 1)):
            kept.count(window, -1)
        summary = summary_of(stream, None, kept)
    assert sum(summary["answers"].values()) == windows
    assert (summary["predictions"] is None) == (windows > 16)
    assert re.search(told, text(summary), re.MULTILINE)
    assert "answers of the last" in text({**summary, "windows": windows + 1})
