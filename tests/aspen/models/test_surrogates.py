"""A triangle as surrogate: what it fires, what it derives, and what it refuses."""

from __future__ import annotations

import pickle

import pytest
import snntorch
import torch

from aspen.errors import InputError
from aspen.models.ready import ConvNet, DenseNet, RecurrentNet
from aspen.models.surrogates import Triangle


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [0.25, 1, 3])
def test_its_derivative_is_a_triangle_of_area_1(width: float, dtype: torch.dtype) -> None:
    place = torch.linspace(-4, 4, 8001, dtype=dtype, requires_grad=True)
    spikes = Triangle(width)(place)
    assert spikes.dtype == dtype
    assert torch.equal(spikes.detach(), (place > 0).to(dtype))
    (derivative,) = torch.autograd.grad(spikes.sum(), place)
    assert bool((derivative[place.abs() >= width] == 0).all())
    assert bool((derivative[place.abs() < width] > 0).all())
    assert float(derivative.max()) == pytest.approx(1 / width)
    assert float(torch.trapezoid(derivative, place.detach())) == pytest.approx(1, rel=1e-4)


def test_a_gradient_is_weighed_by_it() -> None:
    place = torch.tensor([-0.25, 0.0, 0.25, 0.75], requires_grad=True)
    (derivative,) = torch.autograd.grad(Triangle(0.5)(place), place, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert derivative.tolist() == [1.0, 4.0, 3.0, 0.0]


@pytest.mark.parametrize("width", [0, -1, float("nan"), float("inf"), "wide", None])
def test_a_width_that_is_none_is_refused(width: object) -> None:
    with pytest.raises(InputError, match="width: found"):
        Triangle(width)  # type: ignore[arg-type]


def test_two_of_one_width_are_equal_and_can_be_stored() -> None:
    assert pickle.loads(pickle.dumps(Triangle(0.5))) == Triangle(0.5) != Triangle(1) == Triangle()


def test_ready_made_models_take_another_surrogate() -> None:
    models = [
        DenseNet((5, 4, 3), spike_grad=Triangle(0.25)),
        RecurrentNet((5, 4, 3), spike_grad=Triangle(0.25)),
        ConvNet((1, 8), (2,), (4,), 3, spike_grad=Triangle(0.25)),
    ]
    for model in models:
        neurons = [module for module in model.modules() if isinstance(module, snntorch.SpikingNeuron)]
        assert neurons
        assert all(neuron.spike_grad == Triangle(0.25) for neuron in neurons)
    assert "ATan" in repr(DenseNet((5, 3)).lif1.spike_grad) or "atan" in repr(DenseNet((5, 3)).lif1.spike_grad)
