"""The bound of a page: below 5 MB for any input, and what was left out is said."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from aspen.errors import InputError
from aspen.network import Dense, Lif, Network, Population
from aspen_emulator.exploring import thinning
from aspen_emulator.exploring.measuring import Told, explore
from aspen_emulator.exploring.page import page
from aspen_emulator.exploring.thinning import in_bins, merged, most_confused
from aspen_emulator.measuring.bench import Bench
from tests.networks import random_spikes

CLASSES, HIDDEN, STEPS, SAMPLES = 1100, 3000, 600, 3
KNOBS = tuple(np.linspace(0.5, 2, 12).tolist())


def large() -> Bench:
    rng, lif = np.random.default_rng(0), Lif(threshold=1.0, beta=0.9)
    layers = Population("input", (6,)), Population("hidden", (HIDDEN,), lif), Population("output", (CLASSES,), lif)
    first = Dense("input", "hidden", rng.normal(size=(HIDDEN, 6)) / 4)
    second = Dense("hidden", "output", rng.normal(size=(CLASSES, HIDDEN)) / 200)
    network = Network(layers, (first, second))
    return Bench(network, [random_spikes(0, STEPS, SAMPLES, 6)], np.array([3, 700, 1099]), (None,))


def test_a_page_of_a_large_network_is_below_five_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "MOST_VALUES", 10_000)
    made = explore(large(), KNOBS, Told("large", "floating point", "made up", "threshold scale"))
    text = page(made)
    assert len(text.encode()) < 5e6
    found = json.loads(made.to_json())
    assert (len(found["classes"]), len(found["confused"])) == (CLASSES, thinning.MOST_CLASSES)
    assert found["together"] == 3
    assert {3, 700, 1099} <= {*found["confused"]}
    for each in found["settings"]:
        assert np.shape(each["confusion"]) == (51, 52)
        assert np.sum(each["confusion"]) == SAMPLES
        assert len(each["spikes"]["hidden"]) == STEPS // 3
        assert sum(each["spikes"]["hidden"]) == pytest.approx(each["points"]["none"]["hidden_spikes"], rel=1e-4)


def test_what_cannot_be_thinned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = dataclasses.replace(large(), encodings=[random_spikes(0, 3, SAMPLES, 6)])
    made = explore(bench, (1.0, 2.0), Told("large", "floating point", "made up", "threshold scale"))
    monkeypatch.setattr(thinning, "MOST_BYTES", 10_000)
    with pytest.raises(InputError, match=r"page: found 0\.\d MB of data, allowed are 0.0.*; give fewer --knobs"):
        page(made)


def test_the_most_confused_classes_keep_all_inferences() -> None:
    rng = np.random.default_rng(1)
    table = rng.integers(0, 3, (80, 81))
    table[7] += 50
    kept = most_confused([table])
    small = merged(table, kept)
    assert (len(kept), 7 in kept, small.sum()) == (50, True, table.sum())
    np.testing.assert_array_equal(small[:50, :50], table[np.ix_(kept, kept)])
    np.testing.assert_array_equal(small[:50, -1], table[kept, -1])
    assert merged(table, range(80)) is table
    assert in_bins(np.arange(7), 3).tolist() == [3, 12, 6]
