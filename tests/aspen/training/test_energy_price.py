"""The price of a training in joules: of the whole network, by the synapses that it has at the time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from aspen.errors import InputError
from aspen.exporting import export
from aspen.models.spikes import count_spikes
from aspen.training.fit import fit
from aspen.training.measuring import measure
from aspen.training.penalties import SpikePenalty, costs_of
from aspen.training.recipes import DialTraining, Joules, Recipe
from aspen.training.stage import Stage, Task
from aspen_emulator import run
from aspen_hardware import chip
from aspen_hardware.energy.prices import training_prices
from tests.aspen.training.test_fit import DATA, QUICK, model

LOIHI = training_prices(chip("loihi1"))
PRICED = replace(QUICK, cost="energy", joules=LOIHI)


def test_the_penalty_is_what_the_network_spends() -> None:
    """In units of the mean spike of its 22 hidden neurons, for each 100 of them and each of 12 steps."""
    torch.manual_seed(0)
    net, inputs = model(), DATA.spikes("train")[:, :6]
    frames = torch.from_numpy(inputs).float()
    penalty = SpikePenalty(PRICED, costs_of(net, frames[:, :2], joules=LOIHI))
    with torch.no_grad(), count_spikes({"lif1": net.lif1, "lif2": net.lif2}) as spikes:
        net(frames)
        found = penalty(spikes, 6, frames).mean()
    record = run(export(net, frames), inputs, record="spikes")
    fired = sum(float(record.spikes[name].sum()) for name in ("lif1", "lif2"))
    operations = sum(float(counts.sum()) for counts in record.synaptic_operations.values())
    spent = fired * LOIHI.spike + operations * LOIHI.operation + 24 * 12 * 6 * LOIHI.update
    mean = LOIHI.spike + (12 * 10 + 10 * 2) / 22 * LOIHI.operation
    assert fired > 0
    assert float(found) == pytest.approx(100 * spent / mean / (22 * 12 * 6), rel=1e-5)


def test_a_target_counts_what_spikes_do_not_move() -> None:
    spikes = {name: [torch.zeros(1, n)] * 4 for name, n in (("lif1", 12), ("lif2", 10))}
    costs, frames = costs_of(model(), torch.ones(2, 2, 8), joules=LOIHI), torch.ones(4, 1, 8)
    rest = SpikePenalty(PRICED, costs)(spikes, 1, frames)
    assert float(rest) > float(SpikePenalty(PRICED, costs)(spikes, 1)) > 0
    above = SpikePenalty(replace(PRICED, target=0.9 * float(rest)), costs)(spikes, 1, frames)
    assert float(above) == pytest.approx(0.1 * float(rest), rel=1e-5)


def test_a_spike_costs_what_is_left_of_its_synapses() -> None:
    net = model()
    recipe = replace(PRICED, density={"fc2": 0.1}, prune_from=0.0, prune_until=0.0, dial=DialTraining())
    stage = Stage(Task(net, net, DATA, torch.ones(12, 1, 8), 0), recipe)
    before = stage.penalty._costs.spikes["lif1"]
    assert float(before.min()) == float(before.max())
    for epoch in (0, 1):
        measure(stage, stage.run_epoch(epoch), epoch)
    after = stage.penalty._costs.spikes["lif1"]
    left = net.fc2.weight.count_nonzero(dim=0)
    assert int(left.sum()) == 12
    assert torch.equal(after.argsort(stable=True), left.argsort(stable=True))
    stage.close()


def test_a_price_in_joules_lets_fewer_spikes_through() -> None:
    spent = []
    for price in (0.0, 1.0):
        net = model()
        fit(net, DATA, replace(PRICED, spike_price=price, epochs=6), progress=False)
        network = export(net, torch.from_numpy(DATA.spikes("train")[:, :2]).float())
        spent.append(sum(counts.sum() for counts in run(network, DATA.spikes("train")).synaptic_operations.values()))
    assert spent[1] < 0.9 * spent[0]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no joules": ({"cost": "energy"}, "joules: found None with the cost 'energy', allowed are Joules with 'energy'"),
    "no energy": ({"joules": LOIHI}, "with the cost 'spikes', allowed are Joules with 'energy' and None otherwise"),
    "a chip": ({"cost": "energy", "joules": "loihi1"}, "joules: found 'loihi1' with the cost 'energy'"),
    "squares": ({"cost": "energy", "joules": LOIHI, "penalty": "l2"}, "found the penalty 'l2' with joules"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_prices_that_do_not_fit_are_refused(case: str) -> None:
    settings, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        Recipe("refused", **settings)


def test_joules_are_numbers_that_spikes_can_move() -> None:
    with pytest.raises(InputError, match="joules: operation: found -1, allowed"):
        Joules(spike=0, operation=-1, update=0)
    with pytest.raises(InputError, match="found no cost of spikes and of synaptic operations"):
        Joules(spike=0, operation=0, update=1e-12)
    with pytest.raises(InputError, match="odin: found no energy of synaptic operations and of active neuron updates"):
        training_prices(chip("odin"))
