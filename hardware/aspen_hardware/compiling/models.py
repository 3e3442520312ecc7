"""What becomes of a snnTorch model, said before it is trained: perturbed, fused, exported, and on each chip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from aspen._base.checks import shown
from aspen._base.tables import Table, Tabled
from aspen.errors import ChipError, InputError, ModelError
from aspen.exporting.problems import export_problems
from aspen.fused.module import fuse
from aspen.models.copying import copy_of
from aspen.models.layers import population_name, spiking_layers
from aspen.models.probing import FIND, find_form
from aspen.network.network import Network
from aspen.thresholds.perturbation import perturb_thresholds
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.compiling.compile import compile
from aspen_hardware.placing.rules import check

WHOLE = "the model"


@dataclass(frozen=True)
class Problem:
    """One thing that does not go.

    Args:
        way: ``perturb``, ``fuse``, ``export`` or a chip's name.
        where: a module's name, a population's or connection's, or :data:`WHOLE`.
        message: what, found, allowed, remedy.
    """

    way: str
    where: str
    message: str

    @property
    def mend(self) -> str:
        """What to do: the end of the message."""
        return self.message.rpartition("; ")[2]


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
        ways: ``perturb``, ``fuse``, ``export`` and the chips; a chip is ``?`` for a model that cannot be exported.
        layers: modules that are spoken of, in the model's order.
        problems: in this order.
        network: what was exported, or None.
    """

    form: str
    ways: Sequence[str]
    layers: Sequence[str]
    problems: Sequence[Problem]
    network: Network | None

    @property
    def ok(self) -> bool:
        """Whether everything goes."""
        return not self.problems

    def _shown(self) -> Iterable[str | Table]:
        yield self.form or "its input could not be read"
        rows = [(name, *(self._says(name, way) for way in self.ways)) for name in self._rows]
        yield Table(("layer", *self.ways), rows)
        yield from (f"{problem.way}: {problem.message}" for problem in self.problems)

    @property
    def _rows(self) -> list[str]:
        return list(dict.fromkeys([*self.layers, *(problem.where for problem in self.problems)]))

    def _says(self, layer: str, way: str) -> str:
        if any((problem.way, problem.where) == (way, layer) for problem in self.problems):
            return "no"
        return "?" if self.network is None and way not in ("perturb", "fuse", "export") else "ok"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        found = [{"way": p.way, "where": p.where, "message": p.message, "mend": p.mend} for p in self.problems]
        return {"form": self.form, "ways": list(self.ways), "layers": list(self.layers), "problems": found}


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
    given = chip if isinstance(chip, Sequence) and not isinstance(chip, str) else (chip,)
    chips = [_described(one) for one in given]
    network, refused = export_problems(model, sample, time_axis, arguments)
    problems = [*_perturbed(model), *_fused(model, sample, arguments)]
    for name, message in refused.items():
        problems.append(Problem("export", population_name(name) if name else WHOLE, message))
    if network is not None:
        problems += [problem for one in chips for problem in _compiled(network, sample, one)]
    ways = ("perturb", "fuse", "export", *(one.name for one in chips))
    return ModelReport(_form(model, sample, time_axis, arguments), ways, _layers(model, network), problems, network)


def _described(one: Chip | str) -> Chip:
    return one if isinstance(one, Chip) else chip(one)


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


def _compiled(network: Network, sample: Tensor, on: Chip) -> list[Problem]:
    if network.input.is_analog:
        network = network.with_input_peak(float(sample.abs().max()))
    try:
        compile(network, on)
    except ChipError as error:
        found = [finding for finding in check(network, on) if finding.level == "error"]
        told = [Problem(on.name, finding.where, finding.message) for finding in found]
        where = str(error).split(":")[0]
        return told or [Problem(on.name, where if where in network else WHOLE, str(error))]
    return []


def _where(model: nn.Module, message: str) -> str:
    """The population of the module that a message begins with, or :data:`WHOLE`."""
    first = message.split(":")[0].split(" ")[0]
    return population_name(first) if first in dict(model.named_modules()) else WHOLE
