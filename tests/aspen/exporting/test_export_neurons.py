"""Export: every neuron with every reset, and random models of all parts, arrive spike for spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.spiking_models import dyadic, same_spikes, settle, spikes, step

RESET_OPTIONS = [(mechanism, delay) for mechanism in ("subtract", "zero", "none") for delay in (True, False)]


def neuron(rng: np.random.Generator, kind: str, n: int, reset: str, delay: bool, **options: Any) -> Any:
    """A snnTorch neuron with random parameters, scalar or one for each of ``n`` neurons."""

    def parameter(values: list[float]) -> Tensor:
        size = (n,) if rng.random() < 0.5 else ()
        return torch.from_numpy(np.asarray(rng.choice(values, size), np.float64))

    options |= {"threshold": parameter([0.5, 0.75, 1.0, 1.25]), "reset_mechanism": reset, "spike_grad": step}
    options["learn_threshold"] = bool(rng.random() < 0.3)
    decays = [parameter([0.5, 0.75])]
    if kind == "Lapicque":
        return snntorch.Lapicque(R=float(rng.choice([1.0, 2.0])), C=float(rng.choice([1.0, 2.0, 4.0])), **options)
    if kind.endswith("Synaptic"):
        decays.insert(0, parameter([0.0, 0.25, 0.5]))
    if kind.startswith("R"):
        if rng.random() < 0.5:
            options["linear_features"] = n
        else:
            options |= {"all_to_all": False, "V": parameter([-0.5, 0.25, 1.0])}
    options["reset_delay"] = delay or kind == "RSynaptic"
    return getattr(snntorch, kind)(*decays, learn_beta=bool(rng.random() < 0.3), **options)


KINDS = ["Leaky", "Synaptic", "RLeaky", "RSynaptic", "Lapicque"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("reset", "delay"), RESET_OPTIONS)
def test_every_neuron_with_every_reset(kind: str, reset: str, delay: bool) -> None:
    for seed in range(4):
        rng = np.random.default_rng([seed, 7])
        model = nn.Sequential(nn.Linear(6, 16), neuron(rng, kind, 16, reset, delay, init_hidden=True))
        network = same_spikes(settle(model, seed), spikes(6, seed=seed), stepwise=True)
        assert network["layer1"].neuron.reset.startswith(reset)


class RandomNet(nn.Module):
    """A random model of all supported parts: a stage on images, then stages on vectors with skips and feedback."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.rng, self.image = rng, bool(rng.random() < 0.5)
        self.shape: tuple[int, ...] = (2, 6, 6) if self.image else (6,)
        self.stages, self.neurons, self.sides = nn.ModuleList(), nn.ModuleList(), nn.ModuleDict()
        self.joins: list[tuple[str, int]] = []
        size: tuple[int, ...] = self.shape
        sizes: list[int] = []
        for index in range(int(rng.integers(2, 4))):
            image = self.image and index == 0
            join, other = self._join(index, sizes)
            n_in = int(np.prod(size)) + (sizes[other] if join == "cat" else 0)
            n_out = int(rng.integers(3, 7))
            stage = self._images() if image else self._vectors(n_in, n_out)
            size = tuple(stage(torch.zeros(1, *(self.shape if image else (n_in,)))).shape[1:])
            self.stages.append(stage)
            self.neurons.append(self._neuron(size))
            self.joins.append((join, other))
            sizes.append(int(np.prod(size)))
            if join in ("current", "feedback"):
                self.sides[str(index)] = nn.Linear(sizes[other], size[0])

    def _join(self, index: int, sizes: list[int]) -> tuple[str, int]:
        if index == 0:
            return "", 0
        join = str(self.rng.choice(["", "cat", "current", "feedback"]))
        if join == "feedback":  # from itself, or from a population that does not feed this one in the same step
            return join, index if index < 2 or self.rng.random() < 0.5 else 0
        return join, int(self.rng.integers(index))

    def _images(self) -> nn.Module:
        rng = self.rng
        parts: list[nn.Module] = [nn.ZeroPad2d((1, 0, 2, 1))] if rng.random() < 0.3 else []
        padding = rng.choice([0, 1, "same"])
        same = padding == "same"
        options = {"padding": "same" if same else int(padding), "stride": 1 if same else int(rng.integers(1, 3))}
        options |= {"dilation": int(rng.integers(1, 3)), "groups": int(rng.integers(1, 3))}
        options["bias"] = bool(rng.random() < 0.5)
        parts += [nn.BatchNorm2d(2)] if rng.random() < 0.3 else []
        parts.append(nn.Conv2d(2, 4, int(rng.integers(2, 4)), **options))
        parts += [nn.BatchNorm2d(4, affine=bool(rng.random() < 0.5))] if rng.random() < 0.5 else []
        stage = nn.Sequential(*parts, nn.Dropout(0.5)).eval()
        if min(stage(torch.zeros(1, 2, 6, 6)).shape[2:]) >= 2 and rng.random() < 0.5:
            stage.append(nn.AvgPool2d(2, ceil_mode=False))
        return stage

    def _vectors(self, n_in: int, n_out: int) -> nn.Module:
        norm = [nn.BatchNorm1d(n_out)] if self.rng.random() < 0.3 else []
        before = [nn.BatchNorm1d(n_in)] if self.rng.random() < 0.2 else []
        linear = nn.Linear(n_in, n_out, bias=bool(self.rng.random() < 0.5))
        return nn.Sequential(nn.Flatten(), *before, linear, *norm, nn.Dropout(0.3)).eval()

    def _neuron(self, size: tuple[int, ...]) -> Any:
        rng = self.rng
        reset, delay = RESET_OPTIONS[int(rng.integers(len(RESET_OPTIONS)))]
        kinds = KINDS if len(size) == 1 else ["Leaky", "Synaptic", "Lapicque"]
        return neuron(rng, str(rng.choice(kinds)), size[-1], reset, delay, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        past: list[Tensor] = []
        record = []
        for values in x:
            made: list[Tensor] = []
            for index, (stage, lif) in enumerate(zip(self.stages, self.neurons, strict=True)):
                join, other = self.joins[index]
                if join == "cat":
                    values = torch.cat([values.flatten(1), made[other].flatten(1)], 1)
                current = stage(values)
                if join == "current":
                    current = current + self.sides[str(index)](made[other].flatten(1))
                elif join == "feedback":
                    width = self.sides[str(index)].in_features
                    before = past[other] if past else torch.zeros(x.shape[1], width, dtype=x.dtype)
                    current = self.sides[str(index)](before.flatten(1)) + current
                values = lif(current)
                made.append(values)
            past = made
            record.append(values)
        return torch.stack(record)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@settings(derandomize=True, max_examples=70, deadline=None)
@given(st.integers(0, 2**31))
def test_random_models_of_all_parts_spike_alike(seed: int) -> None:
    model = RandomNet(np.random.default_rng(seed))
    sample = spikes(*model.shape, seed=seed)
    if seed % 4 == 0:
        sample = sample * dyadic(np.random.default_rng(seed), *sample.shape)
    same_spikes(settle(model, seed), sample)
