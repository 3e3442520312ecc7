"""Windows of a stream: where each begins, in which recording, and which have a label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aspen.data import CurrentEncoder, DeltaEncoder, LatencyEncoder, RateEncoder
from aspen_emulator.streaming.sources import Source, from_hapt, from_values
from tests.aspen.data.har_files import write_folder


@pytest.mark.parametrize("first", range(8))
def test_windows_go_on_in_the_recording_that_they_stopped_in(first: int) -> None:
    """Three recordings of 2, 3 and 1 windows, and rests that make none."""
    parts = (np.arange(9), np.arange(100, 112), np.arange(200, 207))
    source = Source(tuple(part[:, None] for part in parts), 4)
    wanted = [0, 4, 100, 104, 108, 200]
    assert len(source) == 6
    assert [window[0, 0] for window in source.windows(first)] == wanted[first:]


def test_each_window_draws_anew_and_alike_where_a_stream_goes_on() -> None:
    """Ten times the same values: as many encodings of them, which are the same from whichever window on."""
    source = from_values(RateEncoder(steps=20), np.full((10, 4), 0.5, np.float32), 20)
    windows = list(source.windows())
    assert len({window.tobytes() for window in windows}) == 10
    np.testing.assert_array_equal(list(source.windows(7)), windows[7:])


def test_windows_of_one_activity_below_the_classes_have_a_label(tmp_path: Path) -> None:
    """HAPT's sixth activity and its transitions, 7 to 12, are none of a network with five outputs."""
    samples = np.random.default_rng(0).normal(size=(32, 3))
    text = "".join(" ".join(map(str, sample)) + "\n" for sample in samples)
    rows = ["1 1 1 1 8", "1 1 6 9 12", "1 1 7 13 16", "1 1 5 17 22", "1 1 2 23 32"]
    write_folder({"acc_exp01_user01.txt": text, "labels.txt": "\n".join(rows) + "\n"}, tmp_path)
    encoder = CurrentEncoder()
    assert encoder.temporal
    for classes, wanted in ((5, [0, 0, -1, -1, 4, -1, 1, 1]), (6, [0, 0, 5, -1, 4, -1, 1, 1]), (1, [0, 0, *[-1] * 6])):
        source = from_hapt(tmp_path, encoder, 4, classes)
        assert source.labels is not None
        assert source.labels.tolist() == wanted
        assert source.window_seconds == pytest.approx(4 / 50)


def test_a_change_of_exactly_the_threshold_is_a_spike() -> None:
    signal = np.array([0.0, 1.0, 1.0, 0.0, 0.0])[None, :, None]
    spikes = DeltaEncoder((1.0,)).encode(signal)[:, 0]
    np.testing.assert_array_equal(spikes[:, 0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(spikes[:, 1], [0, 0, 0, 1, 0])


def test_a_reset_stream_of_delta_begins_at_0_again() -> None:
    stream = DeltaEncoder((1.0,)).stream()
    first = [stream.step(np.array([value])).tolist() for value in (3.0, 3.0)]
    stream.reset()
    assert [stream.step(np.array([value])).tolist() for value in (3.0, 3.0)] == first
    assert stream.step(np.array([3.0])).tolist() == [[1, 0]]


def test_latencies_are_rounded_halves_to_even() -> None:
    """In 5 steps, value 1 - k/8 lies at step k/2: 0.5 goes to 0, 1.5 and 2.5 to 2, 3.5 to 4."""
    values = 1 - np.arange(8) / 8
    spikes = LatencyEncoder(5).encode(values[None])[:, 0]
    assert spikes.sum(axis=0).tolist() == [1] * 8
    assert spikes.argmax(axis=0).tolist() == [0, 0, 1, 2, 2, 2, 3, 4]
