"""Prices of single events, against the energy model's account of whole runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen.errors import InputError
from aspen.network.network import Conv, Dense, Lif, Network, Population
from aspen.network.record import Record
from aspen_emulator import run
from aspen_emulator.streaming import Events, Meter
from aspen_hardware import Chip, chip, chip_names, energy_model, place
from aspen_hardware.energy.prices import Prices, prices
from tests.networks import fixed_network, float_network, random_spikes

PRICED = [chip(name).only(scenario) for name in chip_names() for scenario in chip(name).scenarios]
STEPS, SAMPLES = 7, 3


def convolution(current: bool) -> Network:
    """A convolution beside a skip and a loop; of analog values where it takes a current."""
    rng = np.random.default_rng(4)
    populations = (
        Population("input", (1, 6), current=current),
        Population("a", (2, 4), Lif(0.7, 0.9)),
        Population("b", (3,), Lif(1.0, 0.5, bias=0.1)),
    )
    weights = [rng.normal(size=shape) * (rng.random(shape) < 0.7) for shape in ((2, 1, 3), (3, 8), (3, 6), (3, 3))]
    connections = (
        Conv("input", "a", weights[0], (1, 6)),
        Dense("a", "b", weights[1]),
        Dense("input", "b", weights[2], delay=1),
        Dense("b", "b", weights[3], delay=1),
    )
    return Network(populations, connections)


NETWORKS = {
    "floats on many cores": float_network(1, (6, 60, 30)),
    "integers": fixed_network(2),
    "convolution": convolution(current=False),
    "analog": convolution(current=True),
}


def counted(network: Network, seed: int) -> Record:
    """A run of which only counts are kept."""
    spikes = random_spikes(seed, STEPS, SAMPLES, network.input.size).reshape(STEPS, SAMPLES, *network.input.shape)
    values = spikes * np.random.default_rng(seed).normal(size=spikes.shape) if network.input.is_analog else spikes
    return run(network, values, 0.5)


def total(found: Prices, record: Record) -> float:
    """Prices times counts."""
    parts = (
        (found.spike, record.spikes),
        (found.active, record.active_updates),
        (found.awake, record.awake_updates),
        (found.operation, {**record.synaptic_operations, **record.multiply_accumulates}),
    )
    events = sum(each[name] * int(counts[name].sum()) for each, counts in parts for name in each)
    return record.steps * record.batch * found.idle_step + events


@pytest.mark.parametrize("target", PRICED, ids=lambda target: f"{target.name}, {target.usual}")
@pytest.mark.parametrize("name", NETWORKS)
def test_prices_times_counts_are_the_energy_of_a_run(name: str, target: Chip) -> None:
    network = NETWORKS[name]
    placement = place(network, target)
    for seed in range(3):
        record = counted(network, seed)
        assert record.hidden_spikes.any()
        dynamic = energy_model(record, target, placement, step_time=1e-3).dynamic
        assert dynamic is not None
        assert total(prices(network, target, placement), record) == pytest.approx(dynamic.typical, rel=1e-12)


@pytest.mark.parametrize("target", PRICED, ids=lambda target: f"{target.name}, {target.usual}")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_price_is_what_one_event_adds(name: str, target: Chip) -> None:
    network = NETWORKS[name]
    placement = place(network, target)
    nothing = replace(Events.none(network), steps=1)

    def joules(part: str = "spikes", where: str = "", count: int = 1) -> float:
        events = replace(nothing, **{part: {**getattr(nothing, part), **({where: count} if where else {})}})
        dynamic = energy_model(events.record(network), target, placement, step_time=1e-3).dynamic
        assert dynamic is not None
        return dynamic.typical

    found, idle = prices(network, target, placement), joules()
    assert found.idle_step == pytest.approx(idle, rel=1e-12)
    for part, each in (("spikes", found.spike), ("active", found.active), ("awake", found.awake),
                       ("operations", found.operation)):  # fmt: skip
        assert set(each) == set(getattr(nothing, part))
        for where, price in each.items():
            added = joules(part, where)
            assert price == pytest.approx(added - idle, abs=1e-12 * added)


def test_a_meter_takes_the_prices() -> None:
    network, target = NETWORKS["analog"], chip("loihi1")
    meter, found = Meter.of(network, target, STEPS), prices(network, target, place(network, target))
    assert meter.idle_step == found.idle_step > 0
    for part in ("spike", "active", "awake", "operation"):
        assert getattr(meter, part) == getattr(found, part)
    assert any(meter.spike.values())
    assert any(meter.operation.values())


def test_a_meter_runs_no_energy_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen_emulator.streaming.meter.energy_model", lambda *_, **__: pytest.fail("a model was run"))
    assert Meter.of(NETWORKS["integers"], chip("loihi1"), STEPS).worst_step > 0


def test_what_has_no_prices_is_refused() -> None:
    network = NETWORKS["integers"]
    loihi1, loihi2 = chip("loihi1"), chip("loihi2")
    with pytest.raises(InputError, match=r"loihi2: found no energies in joules \(.+\), allowed is a chip"):
        prices(network, loihi2, place(network, loihi2))
    with pytest.raises(InputError, match=r"placement: found neurons .* on loihi2, allowed is .* on loihi1"):
        prices(network, loihi1, place(network, loihi2))
    with pytest.raises(InputError, match="step_time: found 0, allowed are finite seconds above 0"):
        Meter.of(network, loihi1, STEPS, 0)
    unpowered = replace(loihi1, powered={}, missing={**loihi1.missing, "power": "nobody measured it"})
    with pytest.raises(InputError, match=r"loihi1: found no static power in its file \(nobody measured it\)"):
        Meter.of(network, unpowered, STEPS)
