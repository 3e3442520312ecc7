"""The parity report: agreement where there is agreement, and the first difference where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen.network.network import Dense, Lif, Network, Population
from aspen.storage.container import read_container
from aspen.thresholds.knob import get_threshold_scale, set_threshold_scale
from aspen.thresholds.learned_dial import learn_dial
from aspen_emulator import run
from aspen_emulator.engines.lava.shim import lava_available
from aspen_emulator.measuring.parity import parity, store_parity
from aspen_emulator.measuring.torch_record import standing_scale, torch_record
from aspen_hardware import compile
from aspen_hardware.compiling.deployment import Deployment
from tests.aspen.exporting.models import sequential
from tests.emulator.engines.off_networks import same
from tests.networks import float_network, random_spikes

SPIKES = random_spikes(0, 25, 6, 6)


def trained() -> tuple[DenseNet, Network, Deployment]:
    torch.manual_seed(0)
    model = DenseNet((6, 12, 4)).double()
    network = export(model, torch.from_numpy(SPIKES).double())
    return model, network, compile(network, "loihi1")


def test_all_stages_are_compared_population_by_population() -> None:
    model, network, deployment = trained()
    labels = np.arange(6) % 4
    report = parity(model, network, deployment, SPIKES, labels)
    assert [(d.before, d.after, d.population) for d in report.differences] == [
        ("snntorch", "float", "lif1"),
        ("snntorch", "float", "lif2"),
        ("float", "integers", "lif1"),
        ("float", "integers", "lif2"),
    ]
    assert all(d.different == 0 and d.agreement == 1.0 and d.first is None for d in report.between("snntorch", "float"))
    assert min(d.agreement for d in report.between("float", "integers")) > 0.8
    assert set(report.accuracy) == {"snntorch", "float", "integers"}
    assert report.accuracy["snntorch"] == report.accuracy["float"]
    assert "lif1" in str(report)
    assert model.training


def test_where_the_knob_of_the_model_is_turned_that_of_every_stage_is() -> None:
    model, network, deployment = trained()
    before = parity(model, network, deployment, SPIKES)
    set_threshold_scale(model, 0.6)
    report = parity(model, network, deployment, SPIKES)
    assert report.differences[0].spikes_before > before.differences[0].spikes_before
    assert all(d.different == 0 for d in report.between("snntorch", "float"))
    assert min(d.agreement for d in report.between("float", "integers")) > 0.8


def test_the_network_of_a_learned_dial_is_compared_with_the_model_as_it_was_trained() -> None:
    model, network, _ = trained()
    rng = np.random.default_rng(0)
    offsets = {"lif1": rng.normal(0, 0.3, 12), "lif2": np.full(4, -0.2)}
    profile = DialProfile({"lif1": rng.normal(1, 0.3, 12), "lif2": np.zeros(4)}, offsets)
    folded, rest = profile.folded(network)
    plain, report = parity(model, network, None, SPIKES), parity(model, folded, compile(folded, "loihi1"), SPIKES)
    assert report.differences[0].spikes_before != plain.differences[0].spikes_before
    assert all(d.different == 0 for d in report.between("snntorch", "float"))
    assert get_threshold_scale(model) == {"lif1": 1.0, "lif2": 1.0}
    before = model(torch.from_numpy(SPIKES).double())
    dial = learn_dial(model, torch.from_numpy(SPIKES).double(), begin=profile, jitter=0.0)
    dial.turn(0.6)  # while it is attached, knob and offsets are the model's own, whichever network it is compared with
    turned = [parity(model, each, None, SPIKES) for each in (network, folded)]
    assert [d.different for report in turned for d in report.differences] == [0] * 4
    assert turned[0].differences[0].spikes_before < report.differences[0].spikes_before
    dial.remove()
    assert torch.equal(model(torch.from_numpy(SPIKES).double()), before)
    assert rest.offsets == {}


def test_a_stepwise_model_is_fed_step_by_step() -> None:
    torch.manual_seed(0)
    model = sequential(reset_mechanism="zero")
    network = export(model, torch.from_numpy(SPIKES).float())
    report = parity(model, network, None, SPIKES)
    assert sum(d.different for d in report.differences) <= 1  # float32 against float64
    assert all(d.spikes_before > 0 for d in report.differences[:1])


def test_the_first_difference_is_named() -> None:
    _, network, deployment = trained()
    neuron = deployment.network["lif1"].neuron
    threshold = np.broadcast_to(neuron.threshold, (12,)).copy()
    threshold[5] = 1  # neuron 5 fires whenever its membrane is above 0
    populations = [
        replace(p, neuron=replace(neuron, threshold=threshold)) if p.name == "lif1" else p
        for p in deployment.network.populations
    ]
    wrong = replace(deployment, network=replace(deployment.network, populations=tuple(populations)))
    difference = parity(None, network, wrong, SPIKES).between("float", "integers")[0]
    assert difference.first is not None
    assert difference.first[2] == 5
    assert difference.agreement < 1


def test_dead_saturated_and_wrapping_neurons_are_said() -> None:
    _, network, deployment = trained()
    silent = parity(None, network, deployment, np.zeros_like(SPIKES))
    assert [(h.neurons, h.dead) for h in silent.health] == [(12, 12), (4, 4)]
    assert "12 of 12 neurons never spike" in str(silent)
    for exponent, expected in ((6, (0, 12, 0)), (7, (12, 0, 25 * 6 * 12))):  # 6 * 254 << 13 is above 2^23 and wraps
        first, last = deployment.network.connections
        loud = replace(first, weight=np.full_like(first.weight, 254), exponent=exponent)
        changed = replace(deployment, network=replace(deployment.network, connections=(loud, last)))
        report = parity(None, network, changed, np.ones_like(SPIKES))
        assert (report.health[0].dead, report.health[0].saturated, report.health[0].wrapped) == expected
    assert "1800 currents wrapped around 24 bits" in str(report)


@pytest.mark.lava
@pytest.mark.timeout(120)
@pytest.mark.skipif(not lava_available(), reason="lava-nc is not installed")
def test_lava_is_the_last_stage() -> None:
    _, network, deployment = trained()
    report = parity(None, network, deployment, SPIKES[:, :2], lava=True)
    assert all(d.different == 0 for d in report.between("integers", "lava"))
    assert len(report.between("integers", "lava")) == 2


def test_the_report_is_kept_with_the_network(tmp_path: Path) -> None:
    _, network, deployment = trained()
    network.save(tmp_path / "a.aspen")
    report = parity(None, network, deployment, SPIKES)
    store_parity(report, tmp_path / "a.aspen")
    header, _ = read_container(tmp_path / "a.aspen").get("parity")
    assert header["steps"] == 25
    assert len(header["differences"]) == 2


def test_wrong_labels_and_models_are_refused() -> None:
    model, network, _ = trained()
    with pytest.raises(InputError, match=r"labels: found 3 for 6 samples, allowed is one"):
        parity(model, network, None, SPIKES, np.zeros(3, int))
    with pytest.raises(ModelError, match="the model has the spiking layers"):
        parity(model, float_network(0), None, SPIKES)


class LinearReadout(torch.nn.Module):
    """Hidden spikes, and a linear layer that is summed over time."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        self.once = once
        self.hidden, self.fc = DenseNet((6, 12)), torch.nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.hidden(x).to(x.dtype)
        return self.fc(spikes.mean(0)) if self.once else torch.stack([self.fc(step) for step in spikes]).sum(0)


@pytest.mark.parametrize("once", [False, True])
def test_a_linear_readout_gives_the_accuracy_of_the_model(once: bool) -> None:
    torch.manual_seed(0)
    model = LinearReadout(once).double().eval()
    values = torch.from_numpy(SPIKES).double()
    network = export(model, values)
    labels = model(values).argmax(dim=1).numpy()
    report = parity(model, network, compile(network, "loihi1"), SPIKES, labels)
    assert report.accuracy["snntorch"] == report.accuracy["float"] == 1.0
    assert [h.dead for h in report.health if h.population == "fc"] == [0]
    assert {d.population: d.different for d in report.between("snntorch", "float")} == {"hidden.lif1": 0, "fc": 0}


@pytest.mark.parametrize(("chip", "static"), [("loihi1", True), ("loihi2", False)])
def test_values_of_an_analog_input_are_watched_as_the_chip_is_given_them(chip: str, static: bool) -> None:
    given, neurons = Population("input", (2,), current=True, static=static), Lif(threshold=1.0, beta=0.9)
    populations = given, Population("hidden", (2,), neurons), Population("output", (2,), neurons)
    weights = [[1.2, 0.1], [0.1, 1.2]]
    connections = Dense("input", "hidden", weights), Dense("hidden", "output", weights)
    network = Network(populations, connections).with_input_peak(1.0)
    deployment, values = compile(network, chip), np.full((8, 3, 2), 0.5)
    report = parity(None, network, deployment, values)
    assert [(h.wrapped, h.clipped) for h in report.health] == [(0, 0), (0, 0)]
    assert report.between("float", "integers")[0].agreement > 0.8
    if not static:  # 64 * 2 * 254 << 9 is above 2^23
        first, last = deployment.network.connections
        loud = replace(first, weight=np.full_like(first.weight, 254), exponent=3)
        changed = replace(deployment, network=replace(deployment.network, connections=(loud, last)))
        assert parity(None, network, changed, values).health[0].wrapped == 8 * 3 * 2


def test_pytorch_counts_what_fell_on_neurons_that_a_dial_has_switched_off() -> None:
    torch.manual_seed(0)
    model = DenseNet((6, 12, 4)).double()
    sample = torch.from_numpy(SPIKES).double()
    until = np.where(np.arange(12) < 5, np.inf, 0.5)
    dial = learn_dial(model, sample, slope=0.3, on_until={"lif1": until}, jitter=0.0)
    dial.turn(0.8)
    network = export(model, sample)
    found = torch_record(model, network, SPIKES)
    wanted = run(network, SPIKES, standing_scale(model, network))
    np.testing.assert_array_equal(found.awake_updates["lif1"], wanted.awake_updates["lif1"])
    same(found.off, wanted.off)
    assert (found.off.neurons["lif1"] == 7).all()
    assert found.off.synaptic_operations["input->lif1"].any()
