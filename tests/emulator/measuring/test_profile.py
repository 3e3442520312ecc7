"""Profiles of snnTorch models: exact where they can be exported, the same by both ways, and honest elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

import aspen
from aspen.errors import ChipError, InputError, ModelError
from aspen.models.layers import is_spiking
from aspen.models.ready import ConvNet, DenseNet, RecurrentNet
from aspen.network.layered import layers_of
from aspen_emulator import EnergyLog, Profile, profile, run
from aspen_hardware import ann_baseline, chip, energy_model
from tests.real_models import MODELS
from tests.spiking_models import settle, step

STEPS, SAMPLES = 8, 3


def spike_input(*shape: int, density: float = 0.15) -> Tensor:
    values = np.random.default_rng(0).random((STEPS, SAMPLES, *shape)) < density
    return torch.from_numpy(values.astype(np.float64))


def exactly(model: nn.Module) -> nn.Module:
    """Its parameters dyadic and partly zero, its spikes in its own precision."""
    settle(model)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.weight.data.flatten()[::5] = 0
        if is_spiking(module):
            module.spike_grad = step
    return model


class Static(nn.Module):
    """One input, given at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(16, 8), snntorch.Leaky(beta=0.75)
        self.fc2, self.lif2 = nn.Linear(8, 3), snntorch.Leaky(beta=0.75)

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        made = []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            made.append(spk2)
        return torch.stack(made)


class Skips(nn.Module):
    """Layers that are added up, with biases and norms on both ways, and a read-out; the batch comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.skip, self.norm = nn.Linear(16, 8), nn.Linear(16, 6), nn.BatchNorm1d(6)
        self.fc2, self.out = nn.Linear(8, 6), nn.Linear(6, 3)
        self.lif1, self.lif2 = (snntorch.Leaky(beta=0.75) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        made = []
        for t in range(x.shape[1]):
            spk1, mem1 = self.lif1(self.fc1(x[:, t]), mem1)
            spk2, mem2 = self.lif2(self.norm(self.fc2(spk1)) + self.skip(x[:, t]), mem2)
            made.append(self.out(spk2))
        return torch.stack(made)


MODELS_OF: dict[str, tuple[Any, Tensor]] = {
    "plain": (lambda: DenseNet((16, 12, 4), 0.75), spike_input(16)),
    "bias": (lambda: DenseNet((16, 12, 4), 0.75, bias=True), spike_input(16)),
    "norm": (lambda: DenseNet((16, 12, 4), 0.75, batch_norm=True), spike_input(16)),
    "current": (lambda: DenseNet((16, 12, 4), 0.75, reset_mechanism="subtract"), spike_input(16) * 0.75),
    "linear": (lambda: DenseNet((16, 12, 4), 0.75, readout="linear"), spike_input(16)),
    "conv": (lambda: ConvNet((2, 6, 7), (3,), (9,), 4, 0.75, bias=True), spike_input(2, 6, 7)),
    "recurrent": (lambda: RecurrentNet((16, 12, 4), 0.75, "subtract"), spike_input(16)),
    "static": (Static, spike_input(16)[0] * 0.75),
    "skips": (Skips, spike_input(16).transpose(0, 1).contiguous()),
}


def made(kind: str) -> tuple[nn.Module, Tensor]:
    make, inputs = MODELS_OF[kind]
    torch.manual_seed(0)
    return exactly(make()), inputs


@pytest.mark.parametrize("kind", MODELS_OF)
def test_both_ways_count_the_same(kind: str) -> None:
    model, inputs = made(kind)
    network, layers = profile(model, inputs, "loihi1"), profile(model, inputs, "loihi1", exported=False)
    assert (network.exact, layers.exact) == (True, False)
    a, b = network.counts, layers.counts
    counted = {n.name: (n.spikes, n.updates, n.active, n.dead, n.saturated) for n in b.neurons}
    own = [n for n in a.neurons if n.name in counted]
    assert {n.name: (n.spikes, n.updates, n.active, n.dead, n.saturated) for n in own} == counted
    assert len(a.neurons) - len(own) == (kind in ("linear", "skips"))  # the read-out is a population of the network
    assert (a.steps, a.samples, a.inputs) == (b.steps, b.samples, b.inputs)
    for count in ("operations", "multiply_accumulates", "synapses", "weights", "sources"):
        assert sum(getattr(s, count) for s in a.synapses) == sum(getattr(s, count) for s in b.synapses)
    assert a.operations + a.multiply_accumulates > 0
    assert layers.notes == ()
    assert network.ann == layers.ann


def test_counts_and_energy_are_those_of_a_run_of_the_exported_network() -> None:
    model, inputs = made("bias")
    found = profile(model, inputs)
    network = aspen.export(model, inputs)
    record = run(network, inputs.numpy().astype(np.uint8), record="spikes")
    assert found.counts == layers_of(record)
    assert found.counts.operations == int(record.total_synaptic_operations.sum())
    priced = ["cortex-m0plus", "cortex-m33", "cortex-m4", "generic-45nm", "loihi1", "odin", "spinnaker2", "truenorth"]
    assert list(found.energy) == priced
    assert {name: report.to_dict() for name, report in found.energy.items()} == {
        name: energy_model(record, chip(name)).to_dict() for name in found.energy
    }
    assert found.ann == ann_baseline(network)


def test_a_chip_that_cannot_subtract_is_charged_for_the_synapses_that_reset_there() -> None:
    torch.manual_seed(0)
    model, inputs = exactly(DenseNet((16, 12, 4), 0.75, reset_mechanism="subtract")), spike_input(16)
    found = profile(model, inputs, ["loihi1", "loihi2"])
    spikes = {layer.name: layer.spikes for layer in found.counts.neurons}
    entries = {e.where: e.count for e in found.energy["loihi1"].entries if e.event == "synaptic_operation"}
    assert {name: entries[f"{name}->{name} (reset)"] for name in spikes} == spikes
    assert found.counts.operations == found.energy["loihi2"].count("synaptic_operation")


def test_without_a_place_a_run_costs_what_its_events_do() -> None:
    """Packets and hops are what placement adds; where nothing is sent to another core, they are all of the rest."""
    model, inputs = made("plain")
    placed, unplaced = profile(model, inputs, "loihi1"), profile(model, inputs, "loihi1", exported=False)
    ours, theirs = unplaced.energy["loihi1"], placed.energy["loihi1"]
    ways = [e for e in theirs.entries if e.event.startswith(("spike_packet", "hop"))]
    sent = sum(entry.joules.of["davies2018"].typical for entry in ways if entry.joules is not None)
    assert ours.dynamic is not None
    assert theirs.dynamic is not None
    assert ours.dynamic.typical + sent == pytest.approx(theirs.dynamic.typical, rel=1e-12)
    assert ours.static == theirs.static
    assert ours.in_use == "not placed"
    assert "packets between cores" in " ".join(ours.not_covered)


def test_the_knob_of_the_model_is_turned_in_its_network_too() -> None:
    model, inputs = made("plain")
    before = profile(model, inputs, "loihi1")
    aspen.set_threshold_scale(model, 0.5)
    network, layers = profile(model, inputs, "loihi1"), profile(model, inputs, "loihi1", exported=False)
    assert network.exact
    assert network.counts.spikes == layers.counts.spikes > before.counts.spikes


@pytest.mark.parametrize("knob", [0.0, 1.0, torch.linspace(0, 1, 8)])
def test_a_dial_that_is_attached_stands_in_its_network_as_in_the_model(knob: float | Tensor) -> None:
    torch.manual_seed(0)
    model, inputs = DenseNet((6, 20, 3)), (torch.rand(12, 8, 6) < 0.5).float()
    aspen.learn_dial(model, inputs).turn(knob)
    aspen.set_threshold_scale(model, 0.8)
    exact, stands = (profile(model, inputs, chips=["loihi1"], exported=way) for way in (True, False))
    assert exact.exact
    assert [layer.spikes for layer in exact.counts.neurons] == [layer.spikes for layer in stands.counts.neurons]


def test_a_model_that_fires_otherwise_than_its_network_is_counted_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs = made("plain")
    monkeypatch.setattr("aspen_emulator.measuring.profiling.standing_scale", lambda *_: {"lif1": 0.25})
    found = profile(model, inputs, "loihi1")
    assert not found.exact
    assert found.counts.spikes == profile(model, inputs, "loihi1", exported=False).counts.spikes
    assert found.why == f"its network fires 166 spikes, the model as it stands {found.counts.spikes}"


NOT_EXPORTED = (
    "SConv2dLSTM", "LSM_partition", "SquatNet",
    "forward_forward", "tutorial_6 Sequential",
)  # fmt: skip
"""Public models that no network stands for: other neurons, products of spikes, weights or states that change."""
STEPWISE = ("SConv2dLSTM", "SquatNet", "forward_forward", "tutorial_6 Sequential")


@pytest.mark.parametrize("name", NOT_EXPORTED)
def test_public_models_that_cannot_be_exported_are_profiled(name: str) -> None:
    entry = next(each for each in MODELS if each.name == name)
    model = entry.model()
    fired = fired_by(model, entry.inputs(), name in STEPWISE)
    found = profile(entry.model(), entry.inputs(), **entry.arguments)
    assert not found.exact
    assert f"not counted as a network: {found.why}" in str(found)
    assert found.counts.operations + found.counts.multiply_accumulates > 0
    assert found.counts.spikes == fired
    total = found.energy["loihi1"].per_inference.total
    assert total is not None
    assert total.typical == pytest.approx(0.0963 * 337e-6 * found.counts.steps, rel=0.05)
    assert "odin" in found.unpriced
    json.dumps(found.to_dict())


def fired_by(model: nn.Module, inputs: Tensor, is_step: bool) -> int:
    """Spikes of all snnTorch neurons of a model that does one step, or takes the input as it is."""
    seen: list[int] = []
    for layer in filter(is_spiking, model.modules()):
        layer.register_forward_hook(
            lambda module, args, out: seen.append(int(((out[0] if isinstance(out, tuple) else out) != 0).sum()))
        )
    with torch.no_grad():
        if is_step:
            [model(step) for step in inputs]
        else:
            model(inputs)
    return sum(seen)


def test_a_report_reads_as_a_table(tmp_path: Path) -> None:
    model, inputs = made("plain")
    found = profile(model, inputs.float().numpy(), ["loihi1"])
    lines = str(found).splitlines()
    assert lines[0] == f"Profile of DenseNet: {SAMPLES} samples of {STEPS} steps, counted as the exported network runs"
    assert [line.split()[0] for line in lines] == [
        "Profile", "neurons,", "lif1", "lif2", "synapses,", "input->lif1", "lif1->lif2", "energy", "loihi1", "int8",
        "total", "counts",
    ]  # fmt: skip
    assert "<table>" in found._repr_html_()
    found.plot(tmp_path / "profile.png")
    assert (tmp_path / "profile.png").stat().st_size > 10_000
    assert len(found.plot().axes) == 3


def test_layers_that_never_fire_or_always_do_are_named() -> None:
    model = DenseNet((4, 3, 2), 0.5)
    with torch.no_grad():
        model.fc1.weight.fill_(3)
        model.fc2.weight.fill_(-1)
    found = profile(model, torch.ones(STEPS, SAMPLES, 4), "loihi1")
    assert (found.saturated, found.dead) == (("lif1",), ("lif2",))
    assert "lif2: no neuron fired on this input" in str(found)
    always = profile(nn.Sequential(nn.Linear(4, 3, bias=False), Always()), torch.ones(STEPS, SAMPLES, 4))
    assert always.saturated == ("1",)
    assert "1: every neuron fired at every step" in str(always)


class Always(nn.Module):
    """A neuron of one's own that never rests."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.ones_like(x)


def test_what_has_no_figure_is_said_to_be_in_no_sum() -> None:
    model, inputs = made("current")
    found = profile(model, inputs, "loihi1")
    assert "without a figure on loihi1, and in no sum" in str(found)
    assert "multiply-accumulates of analog input" in str(found)


def test_neurobench_names_and_figures() -> None:
    benchmarks = pytest.importorskip("neurobench.benchmarks", reason="the package neurobench is not installed")
    from neurobench.metrics.static import ConnectionSparsity, Footprint
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import SNNTorchModel
    from torch.utils.data import DataLoader, TensorDataset

    model, inputs = made("current")
    ours = profile(model, inputs, "loihi1").to_dict()["neurobench"]
    data = DataLoader(TensorDataset(inputs.transpose(0, 1), torch.zeros(SAMPLES)), batch_size=SAMPLES)
    benchmark = benchmarks.Benchmark(
        SNNTorchModel(model, custom_forward=True),
        data,
        [lambda batch: (batch[0].transpose(0, 1), batch[1])],
        [],
        [[Footprint, ConnectionSparsity], [ActivationSparsity, SynapticOperations]],
    )
    with torch.no_grad():
        theirs = benchmark.run(quiet=True)
    assert ours["ConnectionSparsity"] == theirs["ConnectionSparsity"] > 0
    assert ours["Footprint"] == theirs["Footprint"]
    assert ours["ActivationSparsity"] == pytest.approx(theirs["ActivationSparsity"], rel=1e-12)
    assert ours["SynapticOperations"] == pytest.approx(theirs["SynapticOperations"], rel=1e-12)


def test_the_model_is_left_as_it_is_found() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(6, 5), snntorch.Leaky(0.9, init_hidden=True), nn.Dropout(0.5), nn.Linear(5, 2),
        snntorch.Leaky(0.9, init_hidden=True),
    ).train()  # fmt: skip
    model(torch.ones(2, 6))
    membrane, state = model[1].mem, torch.random.get_rng_state()
    profile(model, (torch.rand(4, 2, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float())
    assert model.training
    assert model[1].mem is membrane
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_mistakes_are_refused() -> None:
    model, inputs = made("plain")
    network = aspen.export(model, inputs)
    with pytest.raises(InputError, match=r"allowed is a snnTorch model; .* energy_model\(run"):
        profile(network, inputs)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="inputs: found list"):
        profile(model, [1.0])  # type: ignore[arg-type]
    with pytest.raises(ChipError, match="did you mean 'loihi1'"):
        profile(model, inputs, "loihi")
    with pytest.raises(ChipError, match=r"chip: found 3, allowed is the name of a chip"):
        profile(model, inputs, [3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="exported: found 'yes', allowed is true or false"):
        profile(model, inputs, exported="yes")  # type: ignore[arg-type]
    entry = next(each for each in MODELS if each.name == "SquatNet")
    with pytest.raises(ModelError, match="state_quant"):
        profile(entry.model(), entry.inputs(), exported=True)
    with pytest.raises(InputError, match="step_time"):
        profile(model, inputs, step_time=0)


def test_a_log_has_a_column_for_everything_that_is_known() -> None:
    model, inputs = made("plain")
    columns = EnergyLog(inputs, ["loihi1", "generic-45nm"])(model, 3)
    found = profile(model, inputs, ["loihi1", "generic-45nm"])
    assert columns["spikes"] == found.counts.spikes / SAMPLES
    assert columns["synaptic operations"] == found.counts.operations / SAMPLES
    assert "generic-45nm dynamic (J)" in columns
    assert "generic-45nm total (J)" not in columns  # its static power is unknown
    assert isinstance(found, Profile)


def test_what_the_export_says_of_a_model_stands_among_the_notes() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = nn.Linear(6, 4), snntorch.Leaky(0.9)

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.lif(self.fc(step), torch.zeros(1))[0] for step in x])

    found = profile(Forgetful(), torch.ones(5, 2, 6), ["loihi1"])  # warnings would be errors
    assert found.exact
    assert [note.partition(":")[0] for note in found.notes] == ["lif"]
    assert found.notes[0] in str(found)
