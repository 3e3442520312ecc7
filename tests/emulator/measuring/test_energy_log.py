"""Energy from epoch to epoch: in the log of a training, and in anybody's own loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import snntorch
import torch
from snntorch import functional, utils
from torch import nn

import aspen
from aspen.training.recipes import Recipe
from aspen_emulator import EnergyLog, profile, run
from tests.aspen.training.test_fit import DATA, DIALLED, QUICK, model

INPUTS = torch.from_numpy(DATA.spikes("validation")[:, :8]).float()


@pytest.mark.parametrize("recipe", [replace(QUICK, epochs=2, perturbation=None), DIALLED], ids=["plain", "dial"])
def test_the_last_epoch_of_a_training_costs_what_the_model_then_does(recipe: Recipe) -> None:
    recipe = recipe.each(lambda stage: replace(stage, epochs=1, batch_size=80, average=0.0))
    fitted = aspen.fit(model(), DATA, recipe, each_epoch=EnergyLog(INPUTS, "loihi1"))
    last = fitted.history[-1].also
    if fitted.profile is not None:  # after a training the dial is no longer in the model, but in its network
        record = run(aspen.export(fitted.model, INPUTS), INPUTS.numpy().astype(np.uint8), fitted.profile.scale(0.0))
        assert last["spikes"] == sum(int(record.spikes[name].sum()) for name in ("lif1", "lif2", "lif3")) / 8
        return
    found = profile(fitted.model, INPUTS, "loihi1")
    battery = found.energy["loihi1"].per_inference.total
    assert battery is not None
    assert last["loihi1 total (J)"] == battery.typical
    assert last["synaptic operations"] == found.counts.operations / 8


def test_a_loop_with_snntorch_alone_logs_energy() -> None:
    snntorch.SpikingNeuron.instances.clear()  # which utils.reset goes through, those of other tests too
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 12), snntorch.Leaky(0.9, init_hidden=True), nn.Linear(12, 2),
        snntorch.Leaky(0.9, init_hidden=True, output=True),
    )  # fmt: skip
    optimiser, log, rows = torch.optim.Adam(net.parameters(), 1e-2), EnergyLog(INPUTS, "loihi1"), []
    labels = torch.from_numpy(DATA.validation.labels[:8])
    for epoch in range(3):
        utils.reset(net)
        spikes = torch.stack([net(step)[0] for step in INPUTS])
        loss = functional.ce_count_loss()(spikes, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rows.append(log(net, epoch))
    assert len({row["spikes"] for row in rows}) > 1
    assert all(row["loihi1 total (J)"] > row["loihi1 dynamic (J)"] > 0 for row in rows)
    assert net.training
