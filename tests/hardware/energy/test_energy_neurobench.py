"""Our counts beside those of the package neurobench, on the same snnTorch models and data.

Where both count the same, the integers are the same. Where the definitions differ, the difference is computed here from
the definitions, and is exact too. ``docs/energy.md`` says what they are. The models compute exactly, see
``tests/spiking_models.py``, so that a membrane that does not change does not change on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from aspen._base.arrays import Array
from aspen.exporting import export
from aspen.models.layers import population_name, spiking_layers
from aspen.models.ready import ConvNet, DenseNet, RecurrentNet
from aspen.network.record import Record
from aspen_emulator import run
from tests.spiking_models import settle, step

WHY = "the package neurobench is not installed (it needs little here: `pip install --no-deps neurobench`)"
benchmarks = pytest.importorskip("neurobench.benchmarks", reason=WHY)
workload = pytest.importorskip("neurobench.metrics.workload", reason=WHY)
wrappers = pytest.importorskip("neurobench.models", reason=WHY)

STEPS, SAMPLES, BATCH = 12, 5, 3
BETA = 0.75


@dataclass(frozen=True)
class Theirs:
    """What neurobench says, as whole numbers of the whole run; ``sparsity`` as it gives it."""

    accumulates: int
    multiply_accumulates: int
    dense: int
    membrane_updates: int
    sparsity: float


def whole(per_sample: float) -> int:
    """A mean over the samples back as the total, which must be an integer."""
    total = per_sample * SAMPLES
    assert total == pytest.approx(round(total), abs=1e-6)
    return round(total)


def neurobench_of(model: nn.Module, sample: Tensor) -> Theirs:
    """Run neurobench's benchmark on (steps, samples, *shape), in batches of three samples and two."""
    metrics = [workload.SynapticOperations, workload.ActivationSparsity, workload.MembraneUpdates]
    data = TensorDataset(sample.transpose(0, 1), torch.zeros(SAMPLES))
    benchmark = benchmarks.Benchmark(
        wrappers.SNNTorchModel(model, custom_forward=True),
        DataLoader(data, batch_size=BATCH),
        [lambda batch: (batch[0].transpose(0, 1), batch[1])],  # our models take time first
        [],
        [[], metrics],
    )
    with torch.no_grad():
        found = benchmark.run(quiet=True)
    benchmark.workload_metric_manager.cleanup_hooks(benchmark.model)
    operations = found["SynapticOperations"]
    return Theirs(
        whole(operations["Effective_ACs"]),
        whole(operations["Effective_MACs"]),
        whole(operations["Dense"]),
        whole(found["MembraneUpdates"]),
        found["ActivationSparsity"],
    )


def both(model: nn.Module, sample: Tensor) -> tuple[Record, Theirs]:
    """Our record of the exported model, with everything kept, and their answer, of the same run."""
    network = export(model, sample)
    given = sample.numpy() if network.input.current else sample.numpy().astype(np.uint8)
    return run(network, given, record="membranes"), neurobench_of(model, sample)


def spike_input(*shape: int, density: float = 0.15, seed: int = 0) -> Tensor:
    """Sparse, so that some neurons are given nothing in some steps."""
    values = np.random.default_rng(seed).random((STEPS, SAMPLES, *shape)) < density
    return torch.from_numpy(values.astype(np.float64))


def model_of(kind: str) -> tuple[nn.Module, Tensor]:
    """A model whose parameters are dyadic and partly zero, and its input spikes."""
    if kind == "conv":
        model, sample = ConvNet((2, 6, 7), (3,), (9,), 4, BETA, bias=True), spike_input(2, 6, 7)
    elif kind.startswith("recurrent"):
        reset = "subtract" if kind.endswith("subtract") else "zero"
        model, sample = RecurrentNet((16, 12, 4), BETA, reset), spike_input(16)
    else:
        options = {
            "plain": {},
            "bias": {"bias": True},
            "subtract": {"reset_mechanism": "subtract"},
            "at once": {"reset_delay": False},
            "subtract at once": {"reset_mechanism": "subtract", "reset_delay": False},
            "norm": {"batch_norm": True},
            "linear": {"readout": "linear"},
        }[kind]
        model, sample = DenseNet((16, 12, 8, 4), BETA, **options), spike_input(16)
    settle(model)
    for layer in spiking_layers(model).values():
        layer.spike_grad = step
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.weight.data.flatten()[::5] = 0  # a synapse that is not there
    return model, sample


BIASED = ("bias", "norm", "conv", "recurrent", "recurrent subtract")
"""There every membrane may change at every step."""


def total(counts: Mapping[str, Array]) -> int:
    return sum(int(count.sum()) for count in counts.values())


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """Population -> the model's layer of neurons; a linear read-out is none."""
    return {population_name(name): layer for name, layer in spiking_layers(model).items()}


def shown_membranes(record: Record, name: str, layer: nn.Module) -> Array:
    """The membranes as snnTorch leaves them: after the reset, where it acts at once."""
    membranes = record.membranes[name].reshape(STEPS, SAMPLES, -1)
    if layer.reset_delay:
        return membranes
    fired = record.rasters[name].reshape(membranes.shape)
    if layer.reset_mechanism == "zero":
        return np.where(fired, 0.0, membranes)
    return membranes - fired * float(layer.threshold)


KINDS = ("plain", "bias", "subtract", "at once", "subtract at once", "norm", "linear", "conv")


@pytest.mark.parametrize("kind", KINDS)
def test_synaptic_operations_are_their_effective_accumulates(kind: str) -> None:
    """True fan-out on both sides: no bias, no reset, no padding, no weight of zero."""
    record, theirs = both(*model_of(kind))
    assert total(record.synaptic_operations) == theirs.accumulates > 0
    assert total(record.multiply_accumulates) == theirs.multiply_accumulates == 0
    assert theirs.accumulates < theirs.dense


@pytest.mark.parametrize("kind", ["recurrent", "recurrent subtract"])
def test_spikes_that_come_back_count_once_and_when_they_are_sent(kind: str) -> None:
    """They count each call of a layer. So the last step's spikes, which no step takes, are ours alone; and where
    snnTorch computes what comes back twice a step, as RLeaky does for its reset to zero, they count it twice.
    """
    model, sample = model_of(kind)
    record, theirs = both(model, sample)
    (back,) = [count for name, count in record.synaptic_operations.items() if name == "lif1->lif1"]
    heard, unheard = int(back[:-1].sum()), int(back[-1].sum())
    repeated = calls_a_step(model, sample) - 1
    assert heard > 0
    assert unheard > 0
    assert theirs.accumulates == total(record.synaptic_operations) - unheard + repeated * heard


def calls_a_step(model: nn.Module, sample: Tensor) -> int:
    """How often the model computes what comes back, per step."""
    calls: list[None] = []
    handle = model.lif1.recurrent.register_forward_pre_hook(lambda *_: calls.append(None))
    with torch.no_grad():
        model(sample)
    handle.remove()
    assert len(calls) % STEPS == 0
    return len(calls) // STEPS


def test_analog_input_is_multiplied_on_both_sides() -> None:
    model, _ = model_of("plain")
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(0, 1, (STEPS, SAMPLES, 16)) * 16) / 16
    values[rng.random(values.shape) < 0.3] = 0
    record, theirs = both(model, torch.from_numpy(values))
    assert total(record.multiply_accumulates) == theirs.multiply_accumulates > 0
    assert total(record.synaptic_operations) == theirs.accumulates > 0


def test_analog_steps_that_look_like_spikes_are_accumulates_to_them() -> None:
    """They decide by the values of each step of a batch, we once for the input: the sum is the same."""
    model, _ = model_of("plain")
    values = np.random.default_rng(2).choice([0.0, 1.0, 0.5], (STEPS, SAMPLES, 16))
    values[: STEPS // 2] = values[: STEPS // 2] > 0.5
    record, theirs = both(model, torch.from_numpy(values))
    (first,) = record.multiply_accumulates.values()
    taken = int(first[: STEPS // 2].sum())
    assert taken > 0
    assert total(record.multiply_accumulates) - theirs.multiply_accumulates == taken
    assert theirs.accumulates - total(record.synaptic_operations) == taken


@pytest.mark.parametrize("kind", [*KINDS, "recurrent", "recurrent subtract"])
def test_activation_sparsity_is_that_of_our_spikes(kind: str) -> None:
    """Neurons that did not fire over neurons, steps and samples, the output's with them and the input not."""
    model, sample = model_of(kind)
    record, theirs = both(model, sample)
    names = list(layers_of(model))
    fired = sum(int(record.spikes[name].sum()) for name in names)
    updates = sum(record.updates(name) for name in names)
    assert 0 < fired < updates
    assert theirs.sparsity == pytest.approx(float(1 - Fraction(fired, updates)), rel=1e-12)


@pytest.mark.parametrize("kind", [*KINDS, "recurrent", "recurrent subtract"])
def test_membrane_updates_are_ours_without_those_that_change_nothing(kind: str) -> None:
    """We count every neuron at every step. They leave out, after the first step, membranes that stay as they were."""
    model, sample = model_of(kind)
    record, theirs = both(model, sample)
    layers = layers_of(model)
    shown = [shown_membranes(record, name, layer) for name, layer in layers.items()]
    unchanged = sum(int((np.diff(membranes, axis=0) == 0).sum()) for membranes in shown)
    assert unchanged > 0 or kind in BIASED
    assert sum(record.updates(name) for name in layers) - theirs.membrane_updates == unchanged


def test_without_leak_and_reset_membrane_updates_are_active_updates() -> None:
    """A membrane changes then where its input is not zero, which is what an active update is."""
    model = settle(DenseNet((16, 12, 8, 4), 1.0, "none"))
    record, theirs = both(model, spike_input(16))
    later = sum(int(count[1:].sum()) for count in record.active_updates.values())
    first = sum(record.network[name].size * SAMPLES for name in record.network.order)
    assert theirs.membrane_updates == later + first
    assert 0 < later < sum(record.updates(name) for name in record.network.order) - first
