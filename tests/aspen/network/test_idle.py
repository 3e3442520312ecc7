"""Neurons that never matter are taken away, and nothing that the others do changes, at any setting of the knob."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aspen.errors import InputError
from aspen.models.ready import DenseNet
from aspen.network.connections import Connection, Conv, Dense, Sparse
from aspen.network.idle import kept_neurons, without_idle
from aspen.network.network import Lif, Network, Population
from aspen.training.fit import fit
from aspen.training.recipes import DialTraining
from aspen_emulator import parity, run
from tests.aspen.training.test_fit import DATA, QUICK
from tests.networks import float_network, random_spikes, resets, seeds

LIF = Lif(threshold=1.0, beta=0.5)


def thinned(seed: int, reset: str, bias: bool) -> Network:
    """A random chain of which most synapses are gone."""
    rng = np.random.default_rng(seed)
    network = float_network(seed, (5, 9, 7, 3), reset, bias)
    made: list[Connection] = []
    for connection in network.summed:
        weight = connection.weight * (rng.random(connection.weight.shape) < 0.2)
        chosen = None if connection.bias is None else connection.bias * (rng.random(connection.bias.shape) < 0.5)
        thin = replace(connection, weight=weight, bias=chosen)  # type: ignore[type-var]
        if rng.random() < 0.5:
            made.append(Sparse.from_matrix(thin.source, thin.target, weight, chosen))
        else:
            made.append(thin)
    return replace(network, connections=tuple(made))


@settings(max_examples=30, deadline=None)
@given(seeds, resets, st.booleans(), st.sampled_from([0.05, 1.0, 3.0]))
def test_what_is_left_does_as_before(seed: int, reset: str, bias: bool, scale: float) -> None:
    network = thinned(seed, reset, bias)
    fewer = without_idle(network)
    spikes = random_spikes(seed, 12, 2, 5)
    one, two = (run(n, spikes, scale, engine="reference", record="spikes") for n in (network, fewer))
    for name in network.order:
        kept = kept_neurons(fewer, name)
        before = one.rasters[name] if kept is None else one.rasters[name][..., kept]
        np.testing.assert_array_equal(two.rasters[name], before)
    for name in network.order:
        assert two.spikes[name].sum() <= one.spikes[name].sum()


def chain(first: object, second: object, bias: object = None, **options: bool) -> Network:
    populations = (Population("input", (2,), **options), Population("a", (3,), LIF), Population("out", (1,), LIF))
    arrays = [None if values is None else np.asarray(values, float) for values in (first, bias, second)]
    return Network(populations, (Dense("input", "a", arrays[0], arrays[1]), Dense("a", "out", arrays[2])))  # type: ignore[arg-type]


FIRST = [[1, 2], [-1, -2], [1, 1]]


@pytest.mark.parametrize(
    ("network", "gone"),
    [
        (chain(FIRST, [[1, 1, 0]]), [1, 2]),  # nothing lifts the second, the third leads nowhere
        (chain(FIRST, [[1, 1, 1]], bias=[-4, 0.1, -0.5]), [0]),  # 3 at most, and a bias of -4
        (chain(FIRST, [[1, 1, 1]], current=True), []),  # a current may be negative
        (chain(FIRST, [[0, 0, 0]]), [0, 2]),  # one is left, which cannot fire
        (chain(FIRST, [[1, 1, 1]], bias=[-3, 0, 0]), [1]),  # within rounding nothing is said
    ],
)
def test_neurons_that_cannot_fire_or_lead_nowhere_are_found(network: Network, gone: list[int]) -> None:
    fewer = without_idle(network)
    assert fewer.provenance.get("removed", {}) == ({"a": gone} if gone else {})
    assert fewer["a"].size == 3 - len(gone)
    if not gone:
        assert fewer is network


def test_what_hangs_on_them_goes_with_them() -> None:
    """The first population cannot fire, of the second only the neuron with a bias; one of the third feeds itself."""
    populations = tuple(
        Population(name, (n,), None if name == "input" else LIF)
        for name, n in (("input", 1), ("a", 1), ("b", 2), ("c", 2), ("out", 1))
    )
    connections = (
        Dense("input", "a", [[-1.0]]),
        Dense("a", "b", [[5.0], [5.0]], bias=[0.0, 1.2]),
        Dense("b", "c", [[1.0, 1.0], [0.0, 0.0]]),
        Dense("c", "c", [[0.0, 0.0], [0.0, 2.0]], delay=1),
        Dense("c", "out", [[1.0, 1.0]]),
    )
    fewer = without_idle(Network(populations, connections, "out"))
    assert fewer.provenance["removed"] == {"b": [0], "c": [1]}
    assert [population.size for population in fewer.populations] == [1, 1, 1, 1, 1]
    assert "c: 1 of 2 neurons taken away, which change no answer: 1 can never fire, 0 lead nowhere" in str(fewer)


def test_maps_keep_their_shape() -> None:
    populations = (Population("input", (1, 4)), Population("a", (2, 4), LIF), Population("out", (1,), LIF))
    weight = np.array([[[1.0]], [[-1.0]]])
    network = Network(populations, (Conv("input", "a", weight, (1, 4)), Dense("a", "out", np.ones((1, 8)))))
    assert without_idle(network) is network


def test_a_pruned_model_its_network_and_its_dial_belong_together() -> None:
    torch.manual_seed(0)
    net = DenseNet((8, 24, 20, 2))
    dial = replace(QUICK, name="dial", dial=DialTraining(high_price=3.0))
    fitted = fit(net, DATA, replace(QUICK, density=0.05, prune_from=0, prune_until=0, then=(dial,)), progress=False)
    trained = fitted.export()
    network, profile = trained.network, trained.profile
    assert network.n_neurons < 46
    assert profile is not None
    assert profile.slopes["lif1"].shape == network["lif1"].shape
    spikes = DATA.spikes("test")
    report = parity(net, network, None, spikes)
    assert sum(d.spikes_before for d in report.differences) > 0
    assert all(d.different == 0 for d in report.differences)
    with fitted.at(0.7) as model:
        turned = parity(model, network, None, spikes)
    assert all(d.agreement > 0.99 for d in turned.differences)


def test_a_provenance_that_does_not_fit_is_refused() -> None:
    network = replace(chain(FIRST, [[1, 1, 1]]), provenance={"removed": {"a": [7]}})
    with pytest.raises(InputError, match="provenance: removed of a: found"):
        kept_neurons(network, "a")
