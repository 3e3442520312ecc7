"""snnTorch models that compute exactly, and their spikes beside those of their exports.

Parameters are multiples of powers of two and models compute in float64, so that both sides compute exactly and a
membrane that meets its threshold meets it on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import snntorch
import torch
from torch import Tensor, nn

from aspen.exporting import export
from aspen.models.layers import population_name, spiking_layers
from aspen.network.network import Network
from aspen_emulator import run

Array = np.ndarray[Any, np.dtype[Any]]
STEPS, BATCH = 8, 3


def step(values: Tensor) -> Tensor:
    """A spike function in the precision of the model; snnTorch's own always make float32."""
    return (values > 0).to(values.dtype)


def dyadic(rng: np.random.Generator, *shape: int, mean: float = 0.0, spread: float = 0.5) -> Tensor:
    return torch.from_numpy(np.round(rng.normal(mean, spread, shape) * 128) / 128)


def settle(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 and eval mode, its weights dyadic and its BatchNorms with exact statistics."""
    rng = np.random.default_rng(seed)
    model.double().eval()
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            module.weight.data = dyadic(rng, *module.weight.shape, mean=0.15)
            if module.bias is not None:
                module.bias.data = dyadic(rng, *module.bias.shape) / 4
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            n = module.num_features
            module.eps = 2.0**-10
            module.running_var = torch.from_numpy(4.0 ** rng.integers(-1, 2, n)) - module.eps
            module.running_mean = dyadic(rng, n) / 4
            if module.affine:
                module.weight.data, module.bias.data = dyadic(rng, n, mean=1), dyadic(rng, n) / 4
    return model


def spikes(*shape: int, seed: int = 0, density: float = 0.5) -> Tensor:
    values = np.random.default_rng(seed).random((STEPS, BATCH, *shape)) < density
    return torch.from_numpy(values.astype(np.float64))


def record_model(model: nn.Module, run_model: Callable[[], Any]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Spikes (without graded factor) and membranes of all spiking layers: population -> (steps, batch, *shape).

    snnTorch shows the membrane after the reset where ``reset_delay=False``; these are left out.
    """
    layers, made, membranes = spiking_layers(model), dict[str, list[Array]](), dict[str, list[Array]]()
    handles = []
    for name, layer in layers.items():
        layer.reset_mem()

        def hook(module: Any, inputs: Any, output: Any, name: str = population_name(name)) -> None:
            spike = output[0] if isinstance(output, tuple) else output
            made.setdefault(name, []).append((spike != 0).numpy().astype(np.uint8))
            if getattr(module, "reset_delay", True) or module.reset_mechanism == "none":
                membranes.setdefault(name, []).append(module.mem.numpy().copy())

        handles.append(layer.register_forward_hook(hook, prepend=True))
    with torch.no_grad():
        run_model()
    for handle in handles:
        handle.remove()
    stacked = [{name: np.stack(values) for name, values in found.items()} for found in (made, membranes)]
    return stacked[0], stacked[1]


def same_spikes(model: nn.Module, sample: Tensor, stepwise: bool = False, static: bool = False) -> Network:
    """Export the model, compare the spikes of all populations with its own, and return the network."""
    network = export(model, sample[0] if static else sample)

    def whole() -> None:
        model(sample[0] if static else sample)

    def single() -> None:
        for values in sample:
            model(values)

    expected = record_model(model, single if stepwise else whole)
    compare(network, expected, sample[:1].expand_as(sample) if static else sample)
    return network


def compare(network: Network, expected: tuple[dict[str, Array], dict[str, Array]], sample: Tensor) -> None:
    """Spikes and membranes on our engines are those of the model."""
    spikes, membranes = expected
    given_ = sample.numpy() if network.input.current else sample.numpy().astype(np.uint8)
    for engine in ("reference", "fast"):
        record = run(network, given_, engine=engine, record="membranes")
        for name, raster in spikes.items():
            np.testing.assert_array_equal(record.rasters[name], raster, err_msg=f"{name}, {engine}")
        for name, values in membranes.items():
            shaped = values.reshape(record.membranes[name].shape)
            np.testing.assert_allclose(record.membranes[name], shaped, rtol=1e-12, atol=1e-12, err_msg=name)
    assert set(spikes) == set(network.names) - {"input"}


def leaky(**options: Any) -> snntorch.Leaky:
    return snntorch.Leaky(**{"beta": 0.75, "spike_grad": step, **options})
