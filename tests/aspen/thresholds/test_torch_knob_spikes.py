"""The threshold knob: the spikes of moved thresholds, and resets that follow their spikes."""

from __future__ import annotations

import copy
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import snntorch as snn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aspen.thresholds.knob import set_threshold_scale
from tests.aspen.thresholds.knob_models import BATCH, RESETS, STEPS, N, as_hidden, run


def make_neuron(kind: str, **options: Any) -> nn.Module:
    if kind == "SLSTM":
        return snn.SLSTM(N, N, **options)
    if kind == "SConv2dLSTM":
        return snn.SConv2dLSTM(2, 2, 3, **options)
    decays = {"alpha": 0.9, "beta": 0.8} if kind in ("Synaptic", "RSynaptic", "Alpha") else {"beta": 0.8}
    recurrent = {"linear_features": N} if kind in ("RLeaky", "RSynaptic") else {}
    return getattr(snn, kind)(**decays, **recurrent, **options)


def spikes_of(record: list[tuple[Tensor, ...]]) -> Tensor:
    return torch.stack([step[0] for step in record])


CASES = [
    (kind, {"reset_mechanism": reset, **delay})
    for kind in ("Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque", "Alpha", "SLSTM", "SConv2dLSTM")
    for reset in RESETS
    for delay in ([{}, {"reset_delay": False}] if kind in ("Leaky", "Synaptic", "RLeaky") else [{}])
]


@pytest.mark.parametrize("per_neuron", [False, True])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=str)
def test_scale_gives_the_spikes_of_a_plain_model_with_moved_thresholds(kind, options, per_neuron):
    torch.manual_seed(1)
    image = kind == "SConv2dLSTM"
    shape = (2, 3, 3) if image else (N,)
    low = 0.05 if kind in ("SLSTM", "SConv2dLSTM") else 0.6  # LSTM membranes stay within -1 .. 1
    threshold = low + low * torch.rand(shape) if per_neuron else torch.tensor(low)
    neuron = make_neuron(kind, threshold=threshold, **options)
    plain = copy.deepcopy(neuron)
    xs = torch.randn(STEPS, BATCH, *shape) + (0.3 if image else 0.8)
    model = as_hidden(neuron)
    with torch.no_grad():
        unscaled = spikes_of(run(neuron, xs))
        set_threshold_scale(model, 1.5)
        plain.threshold.mul_(1.5)
        neuron.reset_mem()
        dialled, expected = run(neuron, xs), run(plain, xs)
    assert spikes_of(expected).sum() > 0
    assert not torch.equal(unscaled, spikes_of(expected))
    for ours, theirs in zip(dialled, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("pool", ["max_pool", "avg_pool"])
def test_scale_with_pooled_spikes(pool):
    neuron = make_neuron("SConv2dLSTM", threshold=0.05, reset_mechanism="subtract", **{pool: 2})
    plain, xs = copy.deepcopy(neuron), torch.randn(5, BATCH, 2, 4, 4)
    set_threshold_scale(as_hidden(neuron), 2.0)
    with torch.no_grad():
        plain.threshold.mul_(2.0)
        assert torch.equal(spikes_of(run(neuron, xs)), spikes_of(run(plain, xs)))


def test_inhibition_fires_under_the_scaled_threshold():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        neuron = snn.Leaky(beta=0.9, inhibition=True)
    plain, xs = copy.deepcopy(neuron), torch.rand(STEPS, BATCH, N)
    set_threshold_scale(as_hidden(neuron), 1.7)
    plain.threshold.mul_(1.7)
    assert torch.equal(spikes_of(run(neuron, xs)), spikes_of(run(plain, xs)))


def numpy_lif(xs: np.ndarray, thresholds: np.ndarray, beta: float, reset: str, delay: bool) -> np.ndarray:
    """LIF whose threshold changes from step to step, independent of snnTorch; xs (time, ...), one threshold a step."""
    beta, thresholds = np.float32(beta), thresholds.astype(np.float32)
    v, last = np.zeros_like(xs[0]), np.float32(np.inf)
    out = []
    for x, theta in zip(xs, thresholds, strict=True):
        above = (v > last).astype(np.float32)
        taken = np.where(above > 0, last, np.float32(0))
        v = beta * ((1 - above) * v) + x if reset == "zero" else beta * v + x - taken
        spike = (v > theta).astype(np.float32)
        if not delay and reset == "zero":
            v = v - (spike - above) * v
        elif not delay:
            v = np.where((above > 0) & (spike == 0), v + taken, v - (spike - above) * theta)
        out.append(spike)
        last = theta
    return np.stack(out)


scales = st.lists(st.sampled_from([0.4, 0.7, 1.0, 1.9, 3.0]), min_size=STEPS, max_size=STEPS)


@given(scales=scales, seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None, derandomize=True)
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("state", ["handed on", "detached", "hidden"])
def test_every_spike_is_reset_with_the_threshold_it_was_fired_under(state, reset, delay, scales, seed):
    neuron = snn.Leaky(beta=0.9, reset_mechanism=reset, reset_delay=delay, init_hidden=state == "hidden")
    model = as_hidden(neuron)
    xs = np.random.default_rng(seed).uniform(-0.5, 2.5, (STEPS, BATCH, N)).astype(np.float32)
    membrane, spikes = neuron.reset_mem(), []
    for x, scale in zip(torch.from_numpy(xs), scales, strict=True):
        set_threshold_scale(model, scale)
        if state == "hidden":
            spikes.append(neuron(x))
        else:
            spike, membrane = neuron(x, mem=membrane)
            membrane = membrane.detach().clone() if state == "detached" else membrane
            spikes.append(spike)
    expected = numpy_lif(xs, np.array(scales), 0.9, reset, delay)
    np.testing.assert_array_equal(torch.stack(spikes).numpy(), expected)


def test_knob_turned_away_from_a_stream_that_ran_plain():
    neuron = snn.Leaky(beta=0.9, init_hidden=True)
    xs = torch.full((4, 1, 1), 1.2)
    spikes = [float(neuron(xs[0]))]  # 1.2 > 1 fires: 1 is to be subtracted
    set_threshold_scale(as_hidden(neuron), 0.5)
    neuron(xs[1])
    assert spikes == [1.0]
    assert float(neuron.mem) == pytest.approx(0.9 * 1.2 + 1.2 - 1.0)


def test_one_module_for_two_layers_keeps_the_resets_of_both():
    shared, apart = snn.Leaky(beta=0.9), [snn.Leaky(beta=0.9), snn.Leaky(beta=0.9)]
    models = [as_hidden(neuron) for neuron in (shared, *apart)]
    xs = torch.rand(STEPS, 2, BATCH, N) * 2
    states = [[neuron.reset_mem() for neuron in pair] for pair in ((shared, shared), apart)]
    for x, scale in zip(xs, itertools.cycle([1.0, 0.5, 2.0, 1.0]), strict=False):
        for model in models:
            set_threshold_scale(model, scale)
        for layer in (0, 1):
            one, states[0][layer] = shared(x[layer], states[0][layer])
            two, states[1][layer] = apart[layer](x[layer], states[1][layer])
            assert torch.equal(one, two)


def test_a_new_batch_size_starts_afresh():
    neuron = snn.Leaky(beta=0.9, init_hidden=True)
    model = as_hidden(neuron)
    set_threshold_scale(model, 2.0)
    neuron(torch.full((5, N), 9.0))
    set_threshold_scale(model, 3.0)
    assert neuron(torch.full((2, N), 4.0)).sum() == 2 * N
