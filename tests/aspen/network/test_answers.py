"""A sample that nothing comes out for has no answer: it is seen as such everywhere, and counts as wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from aspen.calibration.early import EarlyStop, calibrate_early
from aspen.calibration.sheet import table
from aspen.calibration.storage import EarlyPoint, OperatingPoint, load_table, save_table
from aspen.control import Decision, Manual
from aspen.errors import InputError
from aspen.network.network import READOUTS
from aspen.network.readout import NO_ANSWER, accumulated, answers, final_scores, running_scores
from aspen.storage.container import read_container, write_container
from aspen_emulator import run, sweep
from aspen_emulator.cli.common import warn_unanswered
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.parity import parity
from aspen_emulator.streaming import Meter, Stream
from aspen_emulator.streaming.plot import plot_stream
from aspen_hardware import chip
from tests.aspen.calibration.test_calibration_table import file, made, point
from tests.echoes import STEPS, echo, spikes_for
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen", "file"]

GIVEN = np.array([0, 1, 2, NO_ANSWER, 1, NO_ANSWER, 0, NO_ANSWER])
"""What the inputs say; three of eight samples say nothing."""
LABELS = np.array([0, 1, 2, 0, 1, 0, 0, 0])
"""Silent samples are of class 0, which a guess would get right."""


def test_nothing_is_no_answer_and_ties_go_to_the_first() -> None:
    scores = np.array([[0, 0, 0], [0, 2, 2], [-1.0, -3.0, -1.0], [0.0, -0.0, 0.0], [-2.0, 0.0, -1.0]])
    assert answers(scores).tolist() == [NO_ANSWER, 1, 0, NO_ANSWER, 1]
    assert answers(scores).dtype == np.int64
    assert answers(scores[None, :2]).tolist() == [[NO_ANSWER, 1]]
    assert int(answers(scores[1])) == 1


@pytest.mark.parametrize("readout", READOUTS)
def test_scores_are_the_same_step_by_step_and_all_at_once(readout: str) -> None:
    rng = np.random.default_rng(0)
    each = rng.integers(0, 2, (300, 4, 3)).astype(np.uint8) if readout == "spikes" else rng.normal(size=(300, 4, 3))
    running, now = running_scores(readout, each), None
    for t, step in enumerate(each):
        now = accumulated(readout, now, step)
        np.testing.assert_allclose(now, running[t], rtol=1e-12)
    assert now is not None
    assert now.dtype == running.dtype == final_scores(readout, each).dtype
    np.testing.assert_allclose(final_scores(readout, each), running[-1], rtol=1e-12)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("engine", ["reference", "fast"])
def test_a_run_says_which_samples_have_none(readout: str, engine: str) -> None:
    record = run(echo(readout), spikes_for(GIVEN), engine=engine)
    assert record.predictions.tolist() == GIVEN.tolist()
    assert record.unanswered == 3 / 8
    assert record.summary()["predictions"] == GIVEN.tolist()
    assert record.summary()["unanswered"] == 3 / 8


@pytest.mark.parametrize("early", [False, True])
def test_a_sweep_counts_them_as_wrong(early: bool) -> None:
    network = echo()
    fewer = np.where(np.arange(8) == 3, 0, GIVEN)  # another encoding, in which one of them spikes
    bench = Bench(network, [spikes_for(GIVEN), spikes_for(fewer)], LABELS)
    stop = EarlyStop(5.0, 0.0, (1.0, 2.0), (0.3, 0.3), "spikes", STEPS, 0.01) if early else None
    heard, silent = measure(bench, [1.0, 2.0], early=stop).points[None]
    assert (heard.accuracy, heard.unanswered) == (11 / 16, 5 / 16)
    assert (silent.accuracy, silent.unanswered) == (0.0, 1.0)


def test_the_table_shows_them_where_there_are_any() -> None:
    points = sweep(echo(), spikes_for(GIVEN), LABELS, [1.0, 2.0])
    assert table(points).head[-1] == "no answer"
    assert [row[-1] for row in table(points).rows] == ["37.5%", "100.0%"]
    assert table(points, [5.0, 6.0]).head[-2:] == ["steps", "no answer"]
    assert "no answer" not in table([replace(p, unanswered=0.0) for p in points]).head


def test_an_early_end_waits_for_an_answer() -> None:
    stop = EarlyStop(1.0, 0.0, (1.0,), (0.0,), "spikes", STEPS, 0.1)
    running = stop.start()
    running.update(np.zeros(3, np.uint8))
    assert running.prediction == NO_ANSWER
    running.update(np.array([0, 0, 1], np.uint8))
    assert running.prediction == 2
    first = np.random.default_rng(0).integers(1, 9, 400)  # the step with the first spike, of the right output
    scores = np.zeros((10, 400, 3), np.int64)
    scores[..., 0] = np.maximum(np.arange(1, 11)[:, None] - first + 1, 0)
    taken = calibrate_early({1.0: scores}, np.zeros(400, np.int64), max_loss=0.5).stops(scores, 1.0)
    assert (taken >= first).all()
    assert taken.mean() < 9


class _Skipping(Manual):
    """Skips every second window."""

    @property
    def decision(self) -> Decision:
        return Decision(self.knob, self._count % 2 == 0)


def test_a_stream_counts_them_and_goes_on_from_its_state(tmp_path: Path) -> None:
    network, windows = echo(), spikes_for(GIVEN).swapaxes(0, 1)
    meter = Meter.of(network, chip("loihi1"), STEPS)
    with Stream(network, meter, Manual(1.0)) as stream:
        found = list(stream.run(windows))
        state = json.loads(json.dumps(stream.state_dict()))
    assert [window.prediction for window in found] == GIVEN.tolist()
    assert [window.margin for window in found] == [float(given >= 0) for given in GIVEN]
    assert stream.unanswered == 3
    plot_stream(found, tmp_path / "a.png", "echo", labels=LABELS)
    with Stream(network, meter, Manual(1.0)) as other:
        other.load_state_dict(state)
        assert other.window(windows[3]).prediction == NO_ANSWER
        assert other.unanswered == 4
    with Stream(network, meter, _Skipping(1.0)) as skipping:
        kept = [window.prediction for window in skipping.run(windows[2:6])]
    assert kept == [2, 2, 1, 1]
    assert skipping.unanswered == 0
    with Stream(network, meter, _Skipping(1.0)) as skipping:
        assert [window.prediction for window in skipping.run(windows[3:5])] == [NO_ANSWER, NO_ANSWER]
    assert skipping.unanswered == 1  # the skipped window was not asked


def test_parity_counts_them_as_wrong() -> None:
    report = parity(None, echo(), None, spikes_for(GIVEN), LABELS)
    assert (report.accuracy, report.unanswered) == ({"float": 5 / 8}, {"float": 3 / 8})
    assert "no answer, float: 37.5% of the samples" in str(report)
    assert "no answer" not in str(parity(None, echo(), None, spikes_for(LABELS)))


def test_points_are_kept_in_files_and_older_files_have_none(file: Path) -> None:
    silent = replace(point(3.0, 10.0, 0.6), unanswered=0.25)
    table_of = made(points=(silent, *made().points[1:]))
    save_table(table_of, file)
    assert load_table(file) == table_of
    container = read_container(file)
    header, tensors = container.get("calibration")
    for entry in header["tables"]["scale@loihi1"]["points"]:
        del entry["unanswered"]
    container.put("calibration", header, tensors)
    write_container(container, file)
    assert load_table(file) == made()
    with pytest.raises(InputError, match=r"unanswered: found 0\.5 beside 0\.6 correct"):
        made(points=(replace(silent, unanswered=0.5), *made().points[1:]))
    assert EarlyPoint(OperatingPoint(**asdict(silent)), 4.0).point == silent


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """A folder with a network, samples and labels; one sample in 16 says nothing."""
    echo().save(tmp_path / "net.aspen")
    given = np.where(np.arange(16) == 3, NO_ANSWER, np.arange(16) % 3)
    np.save(tmp_path / "x.npy", spikes_for(given))
    np.save(tmp_path / "y.npy", np.arange(16) % 3)
    np.save(tmp_path / "heard.npy", spikes_for(np.arange(16) % 3))
    np.save(tmp_path / "day.npy", spikes_for(given).swapaxes(0, 1).reshape(-1, 3))
    return tmp_path


WARNING = "6.2% of the {} got no answer"


def test_run_and_report_say_so(aspen: Aspen, spoken: Path) -> None:
    for command in (["run", "--output", spoken / "out.npy"], ["report"]):
        code, out, err = aspen(*command[:1], spoken / "net.aspen", "--input", spoken / "x.npy", *command[1:])
        assert code == 0
        assert "no answer for 6.2% of the samples" in out
        assert err.startswith("warning: " + WARNING.format("samples"))
        code, out, err = aspen(*command[:1], spoken / "net.aspen", "--input", spoken / "heard.npy", *command[1:])
        assert (code, err, "no answer" in out) == (0, "", False)
        *_, out, err = aspen(*command[:1], spoken / "net.aspen", "--input", spoken / "x.npy", "--json", *command[1:])
        shown = json.loads(out)
        assert (shown if isinstance(shown, dict) else shown[0])["unanswered"] == 1 / 16
        assert WARNING.format("samples") in err


def test_one_in_twenty_is_not_frequent(capsys: pytest.CaptureFixture[str]) -> None:
    warn_unanswered(1 / 20)
    assert capsys.readouterr().err == ""
    warn_unanswered(1 / 19, "windows", "knob at 2: ")
    assert capsys.readouterr().err.startswith("warning: knob at 2: 5.3% of the windows got no answer")


def test_sweep_says_so_at_which_settings(aspen: Aspen, spoken: Path) -> None:
    given = [spoken / "net.aspen", "--input", spoken / "x.npy", "--labels", spoken / "y.npy"]
    code, out, err = aspen("sweep", *given, "--knobs", "1,1.2,2", "--output", spoken / "points.csv")
    assert (code, "no answer" in out) == (0, True)
    assert "warning: knob at 1,1.2,2: up to 100.0% of the samples got no answer" in err
    assert "unanswered" in (spoken / "points.csv").read_text().splitlines()[0]
    rows = json.loads(aspen("sweep", *given, "--knobs", "1,2", "--json")[1])
    assert [row["unanswered"] for row in rows] == [1 / 16, 1.0]


def test_calibrate_and_stream_say_so(aspen: Aspen, spoken: Path) -> None:
    network, labels = spoken / "net.aspen", spoken / "y.npy"
    given = ["--input", spoken / "x.npy", "--labels", labels, "--knobs", "1,2", "--min-accuracy", "0.9"]
    code, out, err = aspen("calibrate", network, *given)
    assert (code, "no answer" in out) == (0, True)
    assert "warning: knob at 1, which was chosen: " + WARNING.format("samples") in err
    assert json.loads(aspen("calibrate", network, *given, "--json")[1])["unanswered"] == 1 / 16
    code, out, err = aspen("stream", network, "--input", spoken / "day.npy", "--knob", 1, "--labels", labels)
    assert (code, "1 without an answer" in out, "93.8% of 16 labelled windows" in out) == (0, True, True)
    assert "warning: " + WARNING.format("windows that ran") in err
    found = json.loads(aspen("stream", network, "--input", spoken / "day.npy", "--knob", 1, "--json")[1])
    assert (found["windows"], found["unanswered"]) == (16, 1)
