"""What a snnTorch model does in PyTorch, as a record like those of the engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import ModelError, one_line
from aspen.network.network import Network
from aspen.network.neurons import Lif
from aspen.network.record import Record
from aspen_emulator.engines.replay import record_from_rasters

if TYPE_CHECKING:
    from torch import nn


def torch_record(model: nn.Module, network: Network, values: Array) -> Record:
    """What the model does in PyTorch, as a record that keeps the spikes of every population.

    Args:
        model: the snnTorch model, whose spiking layers have the names of the populations. It runs in ``eval()`` mode,
            as it stands, the knob included; its hidden states are reset.
        network: exported from it.
        values: (steps, samples, *input_shape), checked.
    """
    import torch

    from aspen.fused.module import plain_of
    from aspen.models.layers import population_name, spiking_layers

    model = plain_of(model)
    layers = spiking_layers(model)
    by_population = {population_name(name): name for name in layers}
    read = None
    if network.readout != "spikes":
        read = next((part for name, part in model.named_modules() if population_name(name) == network.output), None)
    if set(by_population) | ({network.output} if read is not None else set()) != set(network.order):
        raise ModelError(
            f"parity: the model has the spiking layers {sorted(by_population)}, the network the populations "
            f"{sorted(network.order)}; pass the model that was exported"
        )
    weight = next(model.parameters())
    inputs = torch.from_numpy(values).to(weight.device, weight.dtype)
    was_training = model.training
    model.eval()
    try:
        collected, shown = _play(model, inputs, {name: network[p].size for p, name in by_population.items()}, read)
    finally:
        model.train(was_training)
    rasters = {
        name: np.stack([step.cpu().numpy() != 0 for step in collected[module]]).astype(np.uint8)
        for name, module in by_population.items()
    }
    rasters.setdefault(network.output, np.zeros((*values.shape[:2], network[network.output].size), np.uint8))
    shaped = {name: raster.reshape(*values.shape[:2], *network[name].shape) for name, raster in rasters.items()}
    if network.input.neuron is None:
        shaped[network.input.name] = values
    membranes = _as_integrated(network, shown, len(values)) if read is not None else {}
    return record_from_rasters(network, shaped, "snntorch", "spikes", membranes, current=values)


@contextmanager
def _membranes(layer: Any) -> Iterator[list[Array]]:
    """Collect what a layer shows while the block runs: the membranes of neurons, the values of any other layer."""
    shown: list[Array] = []

    def keep(module: Any, inputs: object, output: Any) -> None:
        shown.append((module.mem if hasattr(module, "mem") else output).detach().cpu().double().numpy())

    handle = None if layer is None else layer.register_forward_hook(keep)
    try:
        yield shown
    finally:
        if handle is not None:
            handle.remove()


def _as_integrated(network: Network, shown: list[Array], steps: int) -> dict[str, Array]:
    """What the read-out layer showed as the output population's membranes.

    A linear layer is called at each step, or once of what was collected over all steps; its population adds up.
    """
    output = network[network.output]
    values = np.stack(shown).reshape(len(shown), -1, *output.shape)
    neuron = output.neuron
    if isinstance(neuron, Lif) and not neuron.fires and bool((neuron.beta == 1).all()):
        values = np.cumsum(values, axis=0)
    return {output.name: np.broadcast_to(values, (steps, *values.shape[1:])) if len(shown) == 1 else values}


def _forget(layer: Any) -> None:
    """Zero the hidden state of a spiking layer that keeps one."""
    if hasattr(layer, "reset_mem"):
        layer.reset_mem()


def _play(model: nn.Module, inputs: Any, sizes: dict[str, int], read: Any) -> tuple[dict[str, list[Any]], list[Array]]:
    """Call the model as it is written: with all steps, with one that it repeats, or step by step with its states.

    Args:
        model: the model.
        inputs: (steps, samples, *shape).
        sizes: name of each spiking layer -> its neurons.
        read: the layer whose values are the answer, or None.

    Returns:
        spikes of each layer at each step, and what ``read`` showed.

    Raises:
        ModelError: none of these calls each neuron once per step.
    """
    import torch

    from aspen.exporting.forms import call
    from aspen.models.layers import spiking_layers
    from aspen.models.spikes import count_spikes

    layers = spiking_layers(model)
    forms = {"whole": [inputs], "steps": list(inputs)}
    if bool((inputs == inputs[:1]).all()):
        forms = {"whole": [inputs], "static": [inputs[0]], "steps": list(inputs)}
    problems = []
    for form, given in forms.items():
        for layer in layers.values():
            _forget(layer)
        with torch.no_grad(), count_spikes(layers) as collected, _membranes(read) as shown:
            try:
                call(model, given, form)
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                problems.append(one_line(error))
        wanted = {name: [inputs.shape[1] * size] * len(inputs) for name, size in sizes.items()}
        if {name: [step.numel() for step in steps] for name, steps in collected.items()} == wanted:
            return collected, shown
    found = sorted({len(steps) for steps in collected.values()})
    raise ModelError(
        f"parity: {type(model).__name__}.forward() calls its neurons {found} times on {len(inputs)} steps of "
        f"{inputs.shape[1]} samples ({problems[0] if problems else 'or with other shapes'}), allowed is once per step; "
        f"give a model that repeats one input of its own accord that input at every step, as many as it repeats"
    )
