"""What becomes of a snnTorch model, said before it is trained: perturbed, fused, exported, and on each chip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from aspen._base.checks import shown
from aspen._base.tables import Table, Tabled
from aspen.errors import InputError, ModelError
from aspen.exporting.neurons import check_neuron, reset_of
from aspen.exporting.problems import export_problems
from aspen.fused.module import fuse
from aspen.models.copying import copy_of
from aspen.models.layers import population_name, spiking_layers
from aspen.models.probing import FIND, find_form
from aspen.network.network import Network
from aspen.network.neurons import BY_SYNAPSE
from aspen.thresholds.perturbation import perturb_thresholds
from aspen_hardware.chips.description import Chip, chip_names
from aspen_hardware.chips.description import chip as read_chip
from aspen_hardware.chips.parts import described
from aspen_hardware.compiling.checking import suit
from aspen_hardware.compiling.compile import no_integers
from aspen_hardware.placing.hosting import by_host, carries
from aspen_hardware.placing.resets import reset_on
from aspen_hardware.placing.rules import reset_refused

WHOLE = "the model"
BEFORE_CHIPS = ("perturb", "fuse", "export")
UNKNOWN = "?"


@dataclass(frozen=True)
class Problem:
    """One thing that does not go, or that costs something.

    Args:
        way: ``perturb``, ``fuse``, ``export`` or a chip's name.
        where: a module's name, a population's or connection's, or :data:`WHOLE`.
        message: what, found, allowed, remedy; or what it costs.
    """

    way: str
    where: str
    message: str

    @property
    def mend(self) -> str:
        """What to do: the end of the message."""
        return self.message.rpartition("; ")[2]


_Said = tuple[list[Problem], list[Problem]]
"""What keeps a model off a chip, and what it costs there."""


@dataclass(frozen=True)
class ModelReport(Tabled):
    """What :func:`check_model` found.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> print(check_model(DenseNet((4, 3, 2)), torch.ones(5, 2, 4), "loihi1"))
    forward() loops over time: time is axis 0, the batch is axis 1
    layer  perturb  fuse  export  loihi1
    lif1        ok    ok      ok      ok
    lif2        ok    ok      ok      ok

    Args:
        form: how the model takes its input, in words; empty where it could not be found.
        ways: ``perturb``, ``fuse``, ``export`` and the chips. In the table a chip says ``costs`` of a layer that takes
            more there than its neurons and synapses, ``?`` of what it cannot tell before the model is exported, and
            ``-`` where it takes no model.
        layers: modules that are spoken of, in the model's order.
        problems: in this order.
        costs: what the chips take beside, in their order.
        network: what was exported, or None.
        notes: what this rests on: the range of an analog input; where no chip was asked for, those that refuse it.
    """

    form: str
    ways: Sequence[str]
    layers: Sequence[str]
    problems: Sequence[Problem]
    costs: Sequence[Problem]
    network: Network | None
    notes: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """Whether everything goes that was asked for: without a chip, all before one."""
        return not self.problems

    def _shown(self) -> Iterable[str | Table]:
        yield self.form or "its input could not be read"
        rows = [(name, *(self._says(name, way) for way in self.ways)) for name in self._rows]
        yield Table(("layer", *self.ways), rows)
        for each in (*self.problems, *self.costs):
            yield each.message if each.message.startswith(f"{each.way}: ") else f"{each.way}: {each.message}"
        unsaid = [way for way in self.ways if any(self._says(name, way) == UNKNOWN for name in self._rows)]
        if unsaid:
            yield f"{UNKNOWN}: {', '.join(unsaid)} can tell once the model is exported; mend that first"
        yield from self.notes

    @property
    def _rows(self) -> list[str]:
        return list(dict.fromkeys([*self.layers, *(each.where for each in (*self.problems, *self.costs))]))

    def _says(self, layer: str, way: str) -> str:
        for found, word in ((self.problems, "no"), (self.costs, "costs")):
            if any((each.way, each.where) == (way, layer) for each in found):
                return word
        if self.network is not None or way in BEFORE_CHIPS:
            return "ok"
        return "-" if any((each.way, each.where) == (way, WHOLE) for each in self.problems) else UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        found = [{"way": p.way, "where": p.where, "message": p.message, "mend": p.mend} for p in self.problems]
        costs = [{"way": cost.way, "where": cost.where, "message": cost.message} for cost in self.costs]
        listed = {"ways": list(self.ways), "layers": list(self.layers)}
        return {"form": self.form, **listed, "problems": found, "costs": costs, "notes": list(self.notes)}


def check_model(
    model: nn.Module,
    sample: Tensor,
    chip: Chip | str | Sequence[Chip | str] = (),
    *,
    time_axis: int | str | None = FIND,
    arguments: Mapping[str, Any] | None = None,
) -> ModelReport:
    """What perturbing, fusing, exporting and each chip will say of a model, layer by layer, before it is trained.

    >>> import snntorch, torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), snntorch.Leaky(0.9, reset_delay=False, init_hidden=True))
    >>> report = check_model(model, torch.ones(5, 2, 4), "loihi1")
    >>> [(problem.way, problem.where) for problem in report.problems]
    [('perturb', 'layer1'), ('loihi1', 'layer1')]

    Args:
        model: a snnTorch model, trained or not; copies of it run.
        sample, time_axis, arguments: as for :func:`aspen.export`.
        chip: a chip or its name, or several.

    Raises:
        InputError: the sample or an argument is not allowed.
        ChipError: there is no such chip.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model: found {shown(model)}, allowed is a snnTorch model; pass that")
    chips = described(chip)
    network, refused = export_problems(model, sample, time_axis, arguments)
    problems = [*_perturbed(model), *_fused(model, sample, arguments)]
    for name, message in refused.items():
        problems.append(Problem("export", population_name(name) if name else WHOLE, message))
    costs: list[Problem] = []
    for one in chips:
        there = _on_chip(model, network, sample, one)
        problems += there[0]
        costs += there[1]
    ways = (*BEFORE_CHIPS, *(one.name for one in chips))
    form = _form(model, sample, time_axis, arguments)
    notes = [] if network is None else list(_notes(network, sample, chips))
    return ModelReport(form, ways, _layers(model, network), problems, costs, network, notes)


def chip_warning(
    model: nn.Module,
    chip: Chip | str | Sequence[Chip | str],
    sample: Tensor | None = None,
    *,
    time_axis: int | str | None = FIND,
    arguments: Mapping[str, Any] | None = None,
) -> str:
    """What keeps a model off a chip, or off several, to be said before it is trained; empty where nothing does.

    Args:
        model: a snnTorch model.
        chip: a chip or its name, or several.
        sample, time_axis, arguments: as for :func:`check_model`, whose table follows; without a sample neurons alone
            are looked at.

    Raises:
        ChipError: there is no such chip.
    """
    chips = described(chip)
    if sample is None:
        found = [(one, _resets(model, one)[0]) for one in chips]
        named = ", ".join(one.name for one, problems in found if problems)
        lines = [f"{problem.way}: {problem.message}" for _, problems in found for problem in problems]
    else:
        report = check_model(model, sample, chips, time_axis=time_axis, arguments=arguments)
        ways = {problem.way for problem in report.problems}
        named = ", ".join(one.name for one in chips if {one.name, "export"} & ways)
        lines = [str(report)]
    if not named:
        return ""
    head = f"{named}: found a model that will not go there as it is, allowed is one that does; mend it before training:"
    return "\n".join([head, *lines])


def _form(model: nn.Module, sample: Tensor, time_axis: int | str | None, arguments: Mapping[str, Any] | None) -> str:
    try:
        return str(find_form(model, sample, time_axis, arguments))
    except ModelError:
        return ""


def _layers(model: nn.Module, network: Network | None) -> list[str]:
    if network is not None:
        return list(network.order)
    try:
        return [population_name(name) for name in spiking_layers(model)]
    except ModelError:
        return []


def _perturbed(model: nn.Module) -> list[Problem]:
    twin = copy_of(model)
    try:
        perturb_thresholds(twin)
    except ModelError as error:
        return [Problem("perturb", _where(model, str(error)), str(error))]
    return []


def _fused(model: nn.Module, sample: Tensor, arguments: Mapping[str, Any] | None) -> list[Problem]:
    try:
        fuse(copy_of(model).train(), sample, arguments=arguments)
    except ModelError as error:
        return [Problem("fuse", _where(model, str(error)), str(error))]
    return []


def _on_chip(model: nn.Module, network: Network | None, sample: Tensor, on: Chip) -> _Said:
    if on.energy_only:
        return [Problem(on.name, WHOLE, no_integers(on))], []
    return _resets(model, on) if network is None else _compiled(network, sample, on)


def _compiled(network: Network, sample: Tensor, on: Chip) -> _Said:
    if network.input.is_analog:
        network = network.with_input_peak(float(sample.abs().max()))
    suited = suit(network, on)
    known = {*network.names, *(connection.name for connection in network.connections)}
    problems = [Problem(on.name, e.where if e.where in known else WHOLE, e.message) for e in suited.errors]
    return problems, [] if problems else [Problem(on.name, where, words) for where, words in suited.costs]


def _notes(network: Network, sample: Tensor, chips: Sequence[Chip]) -> Iterator[str]:
    """What is to be known of an analog input beside what the chips say of it."""
    name = network.input.name
    if not network.input.is_analog:
        return
    if not chips:
        known = [description for description in map(read_chip, chip_names()) if not description.energy_only]
        refusing = [one.name for one in known if not (carries(network, one) or by_host(network, one))]
        if refusing:
            yield f"no chip was asked for; {name}: an analog input, which {', '.join(refusing)} refuses: give chip="
    elif any(carries(network, one) or by_host(network, one) for one in chips if not one.energy_only):
        peak = float(sample.abs().max())
        yield (
            f"{name}: an analog input, here taken to reach {peak:.3g}, the largest magnitude in the sample; compiling "
            f"needs that of the training data: network.with_input_peak(...), which aspen.fit keeps by itself"
        )


def _resets(model: nn.Module, on: Chip) -> _Said:
    """What neurons alone tell, as the model cannot be exported: how they reset."""
    problems, costs = [], []
    for name, trained in _neuron_resets(model):
        reset = reset_on(trained, on)
        problems += [Problem(on.name, name, found.message) for found in reset_refused(name, reset, on)]
        if reset == BY_SYNAPSE:
            words = (
                f"{name}: a synapse of each neuron onto itself subtracts its threshold; what it takes shows on export"
            )
            costs.append(Problem(on.name, name, words))
    return problems, costs


def _neuron_resets(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Population and reset of each layer of neurons that can be exported."""
    try:
        layers = spiking_layers(model)
    except ModelError:
        return
    for name, layer in layers.items():
        with suppress(ModelError):
            check_neuron(name, layer)
            yield population_name(name), reset_of(name, layer)


def _where(model: nn.Module, message: str) -> str:
    """The population of the module that a message begins with, or :data:`WHOLE`."""
    first = message.split(":")[0].split(" ")[0]
    return population_name(first) if first in dict(model.named_modules()) else WHOLE
