"""Quantisation-aware fine-tuning sees what the compiler does, and leaves a plain model whose rounding costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from aspen.errors import ModelError
from aspen.exporting import export
from aspen.models.ready import DenseNet
from aspen_hardware import compile
from aspen_hardware.compiling.aware import quantization_aware, rounded
from aspen_hardware.compiling.formats import quantize_weight, weight_limit


def model() -> DenseNet:
    torch.manual_seed(0)
    return DenseNet((8, 12, 4))


@pytest.mark.parametrize("sign", [0, 1, -1])
def test_rounding_is_that_of_the_compiler(sign: int) -> None:
    weight = torch.randn(5, 7) if sign == 0 else sign * torch.rand(5, 7)
    per_unit = weight_limit(weight.numpy()) / float(weight.abs().max())
    np.testing.assert_allclose(rounded(weight).numpy() * per_unit, quantize_weight(weight.numpy(), per_unit), atol=1e-4)
    torch.testing.assert_close(rounded(rounded(weight)), rounded(weight))
    assert torch.equal(rounded(torch.zeros(2, 2)), torch.zeros(2, 2))


def test_training_inside_leaves_weights_that_compile_without_loss() -> None:
    net, spikes = model(), (torch.rand(10, 4, 8) < 0.5).float()
    keys = list(net.state_dict())
    with quantization_aware(net):
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        before = net.fc1.weight.detach().clone()
        torch.testing.assert_close(before, rounded(before))
        for _ in range(3):
            optimizer.zero_grad()
            net(spikes).sum().backward()
            optimizer.step()
        assert not torch.equal(net.fc1.weight, before)
    assert list(net.state_dict()) == keys
    deployment = compile(export(net, spikes), "loihi1")
    assert all(entry.weight_error < 1e-6 for entry in deployment.rounding.values())
    rough = compile(export(model(), spikes), "loihi1")
    assert all(entry.weight_error > 1e-3 for entry in rough.rounding.values())


def test_models_that_cannot_be_rounded_are_refused() -> None:
    with pytest.raises(ModelError, match="found no Linear, Conv1d or Conv2d layer"), quantization_aware(nn.ReLU()):
        pass
    net = model()
    twice = pytest.raises(ModelError, match="fc1: found a parametrized weight")
    with quantization_aware(net), twice, quantization_aware(net):
        pass
