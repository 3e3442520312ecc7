"""Profile a snnTorch model: counts by layer and energy on chips, whether or not the model can be exported."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_flag
from aspen.errors import AspenError, ChipError, ExportWarning, InputError, ModelError
from aspen.network.given import is_torch_model
from aspen.network.layered import LayerCounts, layers_of
from aspen.network.network import Network
from aspen.network.record import Record
from aspen_emulator.engines.run import run
from aspen_emulator.measuring.profile import Profile
from aspen_emulator.measuring.torch_record import standing_scale
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.energy.baseline import AnnCost, ann_baseline, ann_of_layers
from aspen_hardware.energy.counted import energy_of_layers
from aspen_hardware.energy.model import energy_model
from aspen_hardware.energy.report import EnergyReport
from aspen_hardware.placing.resets import with_resets_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from aspen.models.counting import ModelCounts

Chips = str | Path | Chip | Iterable[str | Path | Chip]
_DIFFERING = 0.01
"""Share of its spikes by which an exported network may differ from the model and still stand for it: roundings do."""


def profile(
    model: nn.Module,
    inputs: Tensor | Array,
    chips: Chips | None = None,
    *,
    exported: bool | None = None,
    time_axis: int | str | None = "find",
    arguments: Mapping[str, Any] | None = None,
    step_time: float | None = None,
) -> Profile:
    """What a snnTorch model does on some input, layer by layer, and what that costs on chips.

    A model that can be exported (:func:`aspen.export`) runs as the network that it then is, and its counts are exactly
    those of :func:`aspen_emulator.run`. Any other is counted as PyTorch runs it, layer by layer, which the report says,
    with the export's reason and what could not be counted. The model is left as it is found: its parameters, hidden
    states, mode and hooks, and torch's random generators. It runs in ``eval()`` mode, from rest, without gradients.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> seeded = torch.manual_seed(0)
    >>> model, spikes = DenseNet((64, 32, 10)), (torch.rand(25, 8, 64) < 0.2).float()  # (time, batch, inputs)
    >>> report = profile(model, spikes)
    >>> report.exact, [layer.name for layer in report.counts.neurons]
    (True, ['lif1', 'lif2'])
    >>> battery = report.energy["loihi1"].per_inference.total  # print(report) shows it all
    >>> f"{battery.typical * 1e6:.0f} uJ, {battery.low * 1e6:.0f} to {battery.high * 1e6:.0f}"
    '812 uJ, 5 to 2286'

    Args:
        model: any model with snnTorch neurons, or with neurons of your own that give out zeros and ones.
        inputs: what ``forward`` is given; where it does one step its steps stacked, (time, batch, *shape).
        chips: names, paths or descriptions of chips; ``None``: all that price single operations.
        exported: whether it is counted as a network; ``None``: where it can be exported.
        time_axis, arguments: how ``forward`` takes its input, see :func:`aspen.export`.
        step_time: seconds of a step; ``None``: as measured on each chip, else its tick of real time.

    Raises:
        InputError: the input is empty, not finite or all zero; a setting is not allowed.
        ModelError: the model fails on the input, has no neurons, or cannot be exported where that was asked for.
        ChipError: there is no such chip.
    """
    if not is_torch_model(model):
        raise InputError(
            f"model: found {type(model).__name__}, allowed is a snnTorch model; a network's counts and energy: "
            f"energy_model(run(network, spikes), chip)"
        )
    from aspen.models.copying import plain_of
    from aspen.models.counting import count_model

    if exported is not None:
        exported = as_flag("exported", exported)
    model = plain_of(model)
    priced = _chips(chips)
    given = _as_tensor(model, inputs)
    counted = count_model(model, given, time_axis=time_axis, arguments=arguments)
    ran, why = None, "exported=False"
    if exported is not False:
        ran, why = _as_network(model, given, counted.layers, time_axis, arguments, exported is True)
    energy, unpriced = _energies(counted.layers if ran is None else ran, priced, step_time)
    return Profile(
        model=type(model).__name__,
        counts=counted.layers if ran is None else layers_of(ran.record),
        exact=ran is not None,
        why=why,
        notes=counted.approximate if ran is None else tuple(ran.record.network.provenance.get("notes", ())),
        energy=energy,
        unpriced=unpriced,
        ann=_rival(counted.layers if ran is None else ran.record.network),
        neurobench=_neurobench(counted),
    )


@dataclass(frozen=True)
class _Ran:
    """A run of the exported network, and what it was given."""

    record: Record
    spikes: Array
    knob: Mapping[str, Array]

    @classmethod
    def of(cls, network: Network, spikes: Array, knob: Mapping[str, Array]) -> _Ran:
        return cls(run(network, spikes, knob, record="spikes"), spikes, knob)

    def on(self, chip: Chip) -> Record:
        """The run with the resets that the chip has: the same spikes, and the synapses by which neurons reset there."""
        network = self.record.network
        there = with_resets_of(network, chip)
        resets = [[p.neuron.reset for p in each.populations if p.neuron is not None] for each in (network, there)]
        return self.record if resets[0] == resets[1] else _Ran.of(there, self.spikes, self.knob).record


def _chips(chips: Chips | None) -> list[Chip]:
    if chips is None:
        return [each for each in map(chip, chip_names()) if each.energies]
    several = chips if isinstance(chips, Iterable) and not isinstance(chips, str) else (chips,)
    return [each if isinstance(each, Chip) else chip(each) for each in several]


def _as_tensor(model: nn.Module, inputs: Any) -> Tensor:
    """The input where the model is, and in its precision where it came from NumPy."""
    import torch

    like = next(model.parameters(), torch.zeros(()))
    if isinstance(inputs, torch.Tensor):
        return inputs.detach().to(like.device)
    if not isinstance(inputs, np.ndarray) or inputs.dtype.kind not in "buif":
        raise InputError(
            f"inputs: found {type(inputs).__name__}, allowed is a tensor or an array of numbers as forward() takes it"
        )
    return torch.from_numpy(np.ascontiguousarray(inputs)).to(like.device, like.dtype)


def _as_network(
    model: nn.Module,
    inputs: Tensor,
    counts: LayerCounts,
    time_axis: int | str | None,
    arguments: Mapping[str, Any] | None,
    wanted: bool,
) -> tuple[_Ran | None, str]:
    """The run of the model's network on the input, or None and why there is none."""
    import torch

    from aspen.exporting import export
    from aspen.models.layers import population_name
    from aspen.models.probing import read_sample

    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExportWarning)  # the profile says it among its notes
            network = export(model, inputs, time_axis=time_axis, arguments=arguments)
            _, frames = read_sample(model, inputs, time_axis, arguments)
        values = frames.cpu().numpy()
        spikes = values if network.input.current else values.astype(np.uint8)
        ran = _Ran.of(network, spikes, standing_scale(model, network))
    except AspenError as error:
        if wanted:
            raise
        return None, str(error)
    own = {population_name(layer.name) for layer in counts.neurons}
    fired = sum(int(ran.record.spikes[name].sum()) for name in network.order if name in own)
    if abs(fired - counts.spikes) > _DIFFERING * counts.spikes:
        why = f"its network fires {fired:,} spikes, the model as it stands {counts.spikes:,}"
        if wanted:
            raise ModelError(f"{type(model).__name__}: {why}, allowed are the same; pass exported=None to count both")
        return None, why
    return ran, ""


def _energies(
    counted: _Ran | LayerCounts, chips: list[Chip], step_time: float | None
) -> tuple[dict[str, EnergyReport], dict[str, str]]:
    """What the run costs on each chip, and why it has no price on the others."""
    energy, unpriced = dict[str, EnergyReport](), dict[str, str]()
    for each in chips:
        try:
            if isinstance(counted, _Ran):
                energy[each.name] = energy_model(counted.on(each), each, step_time=step_time)
            else:
                energy[each.name] = energy_of_layers(counted, each, step_time=step_time)
        except ChipError as error:
            unpriced[each.name] = str(error)
    return energy, unpriced


def _rival(of: Network | LayerCounts) -> AnnCost | None:
    if isinstance(of, Network):
        return ann_baseline(of) if of.n_synapses else None
    return ann_of_layers(of) if any(layer.synapses for layer in of.synapses) else None


def _neurobench(counted: ModelCounts) -> dict[str, Any]:
    """NeuroBench's metrics, by their names; operations per sample."""
    layers, zeros, weights = counted.layers, counted.connection_zeros, counted.connection_weights
    return {
        "Footprint": counted.footprint,
        "ConnectionSparsity": round(zeros / weights, 4) if weights else 0.0,
        "ActivationSparsity": 1 - layers.spikes / layers.updates,
        "SynapticOperations": {
            "Effective_MACs": counted.multiply_accumulates / layers.samples,
            "Effective_ACs": counted.accumulates / layers.samples,
            "Dense": counted.dense / layers.samples,
        },
    }


class EnergyLog:
    """Energy of a model from epoch to epoch: called with it, says what an inference costs as it now stands.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> seeded = torch.manual_seed(0)
    >>> log = EnergyLog((torch.rand(5, 4, 64) < 0.2).float(), "loihi1")
    >>> list(log(DenseNet((64, 32, 10))))  # in your own loop; or aspen.fit(model, data, each_epoch=log)
    ['spikes', 'synaptic operations', 'multiply-accumulates', 'loihi1 total (J)', 'loihi1 dynamic (J)']

    Args:
        inputs, chips, settings: as for :func:`profile`. ``exported=False`` is faster, and leaves out what depends on
            where neurons lie.
    """

    def __init__(self, inputs: Tensor | Array, chips: Chips = "loihi1", **settings: Any) -> None:
        self._inputs, self._chips, self._settings = inputs, chips, settings

    def __call__(self, model: nn.Module, epoch: int = 0) -> dict[str, float]:
        """Means per inference, by the name of their column; energies that are not known are left out."""
        found = profile(model, self._inputs, self._chips, **self._settings)
        counts = found.counts
        columns = {
            "spikes": counts.spikes / counts.samples,
            "synaptic operations": counts.operations / counts.samples,
            "multiply-accumulates": counts.multiply_accumulates / counts.samples,
        }
        for name, report in found.energy.items():
            parts = report.per_inference
            for part, energy in (("total", parts.total), ("dynamic", parts.dynamic)):
                if energy is not None:
                    columns[f"{name} {part} (J)"] = energy.typical
        return columns
