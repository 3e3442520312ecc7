"""All that keeps a model from being exported, module by module; :func:`aspen.export` names the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.exporting.exporter import export
from aspen.exporting.layers import check_layer, leaf_modules
from aspen.exporting.neurons import NEURONS, check_neuron
from aspen.exporting.nodes import Node
from aspen.exporting.recording import record
from aspen.models.at_once import step_by_step
from aspen.models.copying import copy_of
from aspen.models.delta import of_changes
from aspen.models.layers import spiking_layers
from aspen.models.operations import parts
from aspen.models.own_neurons import adopted
from aspen.models.probing import FIND, read_sample
from aspen.network.network import Network


def export_problems(
    model: nn.Module, sample: Tensor, time_axis: int | str | None = FIND, arguments: Mapping[str, Any] | None = None
) -> tuple[Network | None, dict[str, str]]:
    """The network, or None; and module -> what is wrong with it, ``""`` for what concerns the whole model.

    Args:
        model, sample, time_axis, arguments: as for :func:`aspen.export`.

    Raises:
        InputError: the sample or an argument is not allowed.
    """
    twin = copy_of(model).eval()
    try:
        spiking = spiking_layers(twin)
    except ModelError as error:
        return None, {_named(twin, str(error)): str(error)}
    found = _refused(spiking, check_neuron)
    if not found:
        found = _refused(_between(twin, sample, time_axis, arguments), check_layer)
    if found:
        return None, found
    try:
        return export(model, sample, time_axis=time_axis, arguments=arguments), {}
    except ModelError as error:
        return None, {_named(twin, str(error)): str(error)}


def _refused(modules: Mapping[str, nn.Module], check: Callable[[str, nn.Module], None]) -> dict[str, str]:
    found = {}
    for name, module in modules.items():
        try:
            check(name, module)
        except ModelError as error:
            found[name] = str(error)
    return found


def _between(
    twin: nn.Module, sample: Tensor, time_axis: int | str | None, arguments: Mapping[str, Any] | None
) -> dict[str, nn.Module]:
    """The layers that ran, but for neurons and for maxima over spikes; none where the model cannot be followed."""
    try:
        twin = of_changes(adopted(twin)[0])
        form, frames = read_sample(twin, sample, time_axis, arguments)
        twin, form = step_by_step(twin, form, frames)
        leaves = leaf_modules(twin)
        traced = record(twin, frames, form, leaves, spiking_layers(twin))
    except ModelError:
        return {}
    ran = [name for name in traced.ran if name not in traced.pools and not isinstance(leaves[name], NEURONS)]
    return {name: leaves[name] for name in ran if name in _feeding(traced.layers, traced.calls)}


def _feeding(layers: Mapping[str, Any], calls: Any) -> set[str]:
    """Names of the layers that neurons are driven by."""
    found: set[str] = set()
    waiting = [call.node for call in calls]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        found |= {node.module} & layers.keys()
        waiting += parts((node.args, node.kwargs), Node)
    return found


def _named(model: nn.Module, message: str) -> str:
    """The module that a message begins with, or nothing."""
    first = message.split(":")[0].split(" ")[0]
    return first if first in dict(model.named_modules()) else ""
