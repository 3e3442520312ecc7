"""What a snnTorch model does in PyTorch, as a record like those of the engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen.dial.profile import DialProfile, folded_offsets
from aspen.errors import ModelError, one_line
from aspen.network.idle import kept_neurons
from aspen.network.network import Network
from aspen.network.neurons import Lif
from aspen.network.record import Record
from aspen_emulator.engines.inputs import thresholds_for
from aspen_emulator.engines.replay import record_from_rasters

if TYPE_CHECKING:
    from torch import nn

    from aspen.models.forms import InputForm


def standing_scale(model: nn.Module, network: Network) -> Mapping[str, Array]:
    """The threshold scale at which ``network`` is as the model stands: its knob, and a dial that is attached to it.

    Of neurons behind a maximum it is that of those in front of it. Of an attached dial the network may have the offsets
    already (:func:`aspen.dial.profile.folded_offsets`).
    """
    from aspen.exporting.forgetting import EACH
    from aspen.models.copying import plain_of
    from aspen.models.layers import population_name
    from aspen.thresholds.knob import get_threshold_scale
    from aspen.thresholds.learned_dial import dial_scale

    model = plain_of(model)
    factors = {population_name(name): np.asarray(factor) for name, factor in get_threshold_scale(model).items()}
    offsets = folded_offsets(network)
    for name, factor in dial_scale(model).items():
        factor = _kept(network, name, factor)
        folded = np.exp(offsets[name]).reshape(1, 1, -1) if name in offsets else 1.0
        factors[name] = factors[name] * factor / folded
    turned = {name: factor for name, factor in factors.items() if name in network and (factor != 1).any()}
    return {f"{name}{EACH}" if network[name].gate else name: factor for name, factor in turned.items()}


def _kept(network: Network, name: str, values: Array) -> Array:
    """(..., n) values of a layer's neurons, of those that the network has kept."""
    kept = kept_neurons(network, name)
    return values if kept is None or values.shape[-1] != kept.size else values[..., kept]


def _whole(network: Network, name: str, values: Array) -> Array:
    """Values of a population's neurons, and zeros for those that the network has not kept."""
    kept = kept_neurons(network, name)
    if kept is None or values.ndim == 0:
        return values
    whole = np.zeros(kept.shape, values.dtype)
    whole[kept] = values
    return whole


@contextmanager
def _dialled(model: nn.Module, network: Network) -> Iterator[None]:
    """The model as the network is: with the offsets of its dial, unless the dial is attached still."""
    from aspen.thresholds.learned_dial import attach_dial, dial_scale

    offsets = {} if dial_scale(model) else folded_offsets(network)
    whole = {name: _whole(network, name, values) for name, values in offsets.items()}
    still = {name: np.zeros(values.shape) for name, values in whole.items()}
    dial = attach_dial(model, DialProfile(still, whole)) if offsets else None
    try:
        yield
    finally:
        if dial is not None:
            dial.remove()


def torch_record(
    model: nn.Module, network: Network, values: Array, arguments: Mapping[str, Any] | None = None
) -> Record:
    """What the model does in PyTorch, as a record that keeps the spikes of every population.

    Args:
        model: the snnTorch model, whose spiking layers have the names of the populations; those that it never calls
            are none. It runs in ``eval()`` mode, as it stands, the knob included; its hidden states are reset.
        network: exported from it. Where the offsets of a dial are folded into it, the model runs with them.
        values: (steps, samples, *input_shape), checked.
        arguments: what ``forward`` is given beside, where the network's file could not hold it.

    Raises:
        InputError: ``forward`` was given something at export that no file holds, and that is not among the arguments.
        ModelError: it is another model, or calls its neurons otherwise than once per step.
    """
    import torch

    from aspen.models.copying import plain_of
    from aspen.models.layers import population_name, spiking_layers

    model = plain_of(model)
    layers = spiking_layers(model)
    by_population = {population_name(name): name for name in layers}
    read = None
    if network.reads_membranes:
        read = next((part for name, part in model.named_modules() if population_name(name) == network.output), None)
    known = {name for name in by_population if name in network}
    gates = [name for name in network.order if name not in known and _is_unnoted(network, name)]
    if known | set(gates) | ({network.output} if read is not None else set()) != set(network.order):
        raise ModelError(
            f"parity: the model has the spiking layers {sorted(by_population)}, the network the populations "
            f"{sorted(network.order)}; pass the model that was exported"
        )
    by_population = {population: by_population[population] for population in known}
    weight = next(model.parameters())
    inputs = torch.from_numpy(values).to(weight.device, weight.dtype)
    was_training = model.training
    model.eval()
    try:
        sizes = {name: _whole(network, pop, np.zeros(network[pop].shape)).size for pop, name in by_population.items()}
        with _dialled(model, network):
            collected, shown = _play(model, inputs, _forms(network, inputs, arguments), sizes, read)
    finally:
        model.train(was_training)
    rasters = {
        name: _kept(network, name, np.stack([step.cpu().numpy() != 0 for step in collected[module]]).astype(np.uint8))
        for name, module in by_population.items()
    }
    rasters.setdefault(network.output, np.zeros((*values.shape[:2], network[network.output].size), np.uint8))
    scales = standing_scale(model, network)
    for name in gates:
        rasters[name] = _gated(network, name, rasters | {network.input.name: values}, scales.get(name, np.ones(())))
    shaped = {name: raster.reshape(*values.shape[:2], *network[name].shape) for name, raster in rasters.items()}
    if network.input.neuron is None:
        shaped[network.input.name] = values
    membranes = _as_integrated(network, shown, len(values)) if read is not None else {}
    thresholds = thresholds_for(network, scales, *values.shape[:2])
    return record_from_rasters(network, shaped, "snntorch", "spikes", membranes, thresholds, values)


def _is_unnoted(network: Network, name: str) -> bool:
    """Whether a model makes the spikes of a population without noting them: those of a maximum over spikes, of neurons
    without memory in front of one, and of the two for which ``DeltaLeaky`` spikes."""
    neuron, outgoing = network[name].neuron, network.outgoing(name)
    alone = isinstance(neuron, Lif) and (neuron.reset == "none" or not (neuron.beta.any() or neuron.alpha.any()))
    return network[name].gate or (alone and bool(outgoing) and all(network[c.target].gate for c in outgoing))


def _gated(network: Network, name: str, rasters: Mapping[str, Array], scale: Array) -> Array:
    """(steps, samples, n): the spikes of such a population, from those of its sources."""
    neuron = network[name].neuron
    assert isinstance(neuron, Lif)  # a model is compared with its network in floating point
    total: Array = np.zeros((*rasters[network.input.name].shape[:2], network[name].size)) + neuron.bias
    for connection in network.incoming(name):
        if connection.source == name:  # of a neuron that its bias lets spike at every step
            continue
        source = rasters[connection.source]
        drive = connection.drive(source.reshape(-1, network[connection.source].size)).reshape(*source.shape[:2], -1)
        late = np.zeros_like(drive)
        late[connection.delay :] = drive[: len(drive) - connection.delay]
        total = total + late + connection.bias_currents()
    keep, threshold = (
        np.broadcast_to(each, network[name].shape).reshape(-1) for each in (neuron.beta, neuron.threshold)
    )
    for step in range(1, len(total) if keep.any() else 0):
        total[step] += keep * total[step - 1]
    return (total > threshold * scale).astype(np.uint8)


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


def _forms(network: Network, inputs: Any, arguments: Mapping[str, Any] | None) -> list[InputForm]:
    """How the model is called: as it was at export, or for a network that does not say, in the ways that there are."""
    from aspen.models.forms import InputForm

    if "form" in network.provenance:
        return [InputForm.from_dict(network.provenance["form"], arguments)]
    same = bool((inputs == inputs[:1]).all())
    static = [InputForm("static", None, 0, arguments or {})] if same else []
    return [InputForm(arguments=arguments or {}), *static, InputForm("step", None, 0, arguments or {})]


def _play(
    model: nn.Module, inputs: Any, forms: list[InputForm], sizes: dict[str, int], read: Any
) -> tuple[dict[str, list[Any]], list[Array]]:
    """Call the model in the first of the forms in which it calls each neuron once per step.

    Args:
        model: the model.
        inputs: (steps, samples, *shape).
        forms: how it may take them.
        sizes: name of each spiking layer -> its neurons.
        read: the layer whose values are the answer, or None.

    Returns:
        spikes of each layer at each step, and what ``read`` showed.

    Raises:
        ModelError: none of these calls each neuron once per step.
    """
    import torch

    from aspen.models.copying import OF_THE_MODEL
    from aspen.models.layers import forget, spiking_layers
    from aspen.models.spikes import count_spikes

    every = spiking_layers(model)
    layers = {name: every[name] for name in sizes}
    problems = []
    for form in forms:
        forget(every.values())
        with torch.no_grad(), count_spikes(layers) as collected, _membranes(read) as shown:
            try:
                form.call(model, form.given(inputs))
            except OF_THE_MODEL as error:
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
