"""Which connections the fast engine adds up by matrix products: the cheaper way by the costs that were measured.

No answer depends on it; these are the decisions that the speed depends on.
"""

from __future__ import annotations

import numpy as np
import pytest

from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen_emulator import run
from aspen_emulator.engines.fast.parts import Chooser
from aspen_emulator.engines.fast.plan import plan_of


def chain(*sizes: int, integer: bool = True) -> Network:
    """Dense layers, called a, b, c and so on."""
    neuron = FixedLif(100, 0) if integer else Lif(1.0, 0.5)
    names = "abcdef"[: len(sizes)]
    populations = [
        Population(name, (n,), None if name == "a" else neuron) for name, n in zip(names, sizes, strict=True)
    ]
    connections = [
        Dense(source, target, np.ones((m, n), np.int64 if integer else np.float64))
        for source, target, n, m in zip(names, names[1:], sizes, sizes[1:], strict=False)
    ]
    return Network(populations, connections)


BREAK_EVEN = [
    # n sources, m targets: a row of 2 m or 8 m bytes costs 1.5 ns and 0.01 ns a byte; a product 0.0165 ns n m + n + m
    (256, 256, True, (0.0165 * 2**16 + 512) / (256 * (1.5 + 5.12))),
    (256, 192, True, (0.0165 * 256 * 192 + 448) / (256 * (1.5 + 3.84))),
    # ... twice as much in double precision
    (256, 256, False, 2 * (0.0165 * 2**16 + 512) / (256 * (1.5 + 20.48))),
    # ... 2**20 bytes of weights are still near; more are not: 0.03 ns a byte
    (512, 256, False, 2 * (0.0165 * 2**17 + 768) / (512 * (1.5 + 20.48))),
    (576, 256, False, 2 * (0.0165 * 576 * 256 + 832) / (576 * (1.5 + 61.44))),
]


@pytest.mark.parametrize(("n", "m", "integer", "density"), BREAK_EVEN)
def test_a_product_is_taken_where_the_spikes_would_cost_more(n: int, m: int, integer: bool, density: float) -> None:
    chooser = Chooser(plan_of(chain(n, m, integer=integer)))
    assert 0.1 < density < 1.1
    assert [chooser.chosen(d) for d in (0.0, 0.999 * density)] == [set(), set()]
    assert chooser.chosen(1.001 * density) == {"a->b"}


def test_what_a_hidden_population_shows_decides_on_what_follows_it() -> None:
    plan = plan_of(chain(8, 256, 256, integer=False))
    density = BREAK_EVEN[2][3]
    for share, expected in ((0.99, set()), (1.01, {"b->c"})):
        chooser = Chooser(plan)
        assert chooser.chosen(0.0) == set()  # 5 % are assumed
        counts = np.zeros((2, 3, 4, 5))  # dials, populations, steps, samples
        counts[:, plan.slots.index("b")] = 256 * density * share
        chooser.learn(counts)
        assert chooser.chosen(0.0) == expected


def test_densities_are_looked_at_first_where_something_depends_on_them() -> None:
    single, double = (Chooser(plan_of(chain(*sizes))) for sizes in ((4, 5), (4, 5, 6)))
    assert [single.first_samples(batch) for batch in (3, 100)] == [3, 100]
    assert [double.first_samples(batch) for batch in (3, 100)] == [3, 16]


@pytest.mark.parametrize("layers", [1, 2])
def test_products_of_weights_in_floating_point_are_double(layers: int) -> None:
    """Sums that are exact in 53 bits and not in 24, in every order; dense spikes make products the cheaper way."""
    rng = np.random.default_rng(0)
    sizes = (64,) * (layers + 1)
    plain = chain(*sizes, integer=False)
    connections = [
        Dense(c.source, c.target, np.round(rng.uniform(0.5, 1, (64, 64)) * 2**30) / 2**30) for c in plain.connections
    ]
    network = Network(plain.populations, connections)
    spikes = np.ones((6, 20, 64), np.uint8)
    assert Chooser(plan_of(network)).chosen(1.0) >= {"a->b"}
    one, two = (run(network, spikes, engine=engine, record="membranes") for engine in ("reference", "fast"))
    for name in network.order:
        np.testing.assert_array_equal(one.membranes[name], two.membranes[name])
