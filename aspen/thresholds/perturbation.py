"""Threshold perturbation: train a snnTorch model under randomly moved thresholds, so that they can be dialled later."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType, TracebackType
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen._base.above import chip_warning
from aspen._base.checks import as_integer
from aspen.errors import ChipWarning, InputError, ModelError
from aspen.models.layers import check_positive, select_layers, show, spiking_layers
from aspen.thresholds.attachment import Attachment, check_unattached
from aspen.thresholds.draws import PassDraws
from aspen.thresholds.guards import ForwardGuard, find_guard
from aspen.thresholds.settings import AXES, PerturbationSettings


def perturb_thresholds(
    model: nn.Module,
    distribution: str = "log-uniform",
    *,
    low: float | None = None,
    high: float | None = None,
    sigma: float | None = None,
    mode: str = "multiplicative",
    per: str | Sequence[str] = "sample",
    layers: str | Sequence[str] = "hidden",
    seed: int | None = None,
    generator: torch.Generator | None = None,
    chip: Any = None,
) -> Perturbation:
    """Move the thresholds of a snnTorch model at random in every training forward pass.

    One line before anybody's own training loop::

        perturb_thresholds(model)

    At each forward pass of ``model`` every perturbed layer gets ``threshold * factor`` (multiplicative) or
    ``threshold + offset`` (additive, never below 0.05 of the threshold) for all the time steps inside; the knob of
    ``set_threshold_scale`` multiplies on top. Spikes and resets see the same threshold. Layers in ``eval()`` mode are
    left alone, like dropout. Parameters, ``state_dict`` and checkpoints stay those of the plain model, and learned
    thresholds get their gradients. Copies and pickles of the model carry their own perturbation along
    (``get_perturbation``).

    Where the loop over time stands outside ``model``, wrap it: ``with handle.sequence(): for x in xs: model(x)``.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> handle = perturb_thresholds(model, low=0.5, high=2.0, seed=0)
    >>> spikes = model(torch.ones(10, 2, 4))  # 10 steps of 2 samples
    >>> handle.factors["lif1"].shape  # one for each sample
    torch.Size([2, 1])
    >>> bool(((handle.factors["lif1"] >= 0.5) & (handle.factors["lif1"] <= 2.0)).all())
    True

    Args:
        model: A model with snnTorch neurons (Leaky, Synaptic, RLeaky, RSynaptic, Lapicque, Alpha, SLSTM, SConv2dLSTM or
            subclasses; StateLeaky, LeakyParallel, DeltaLeaky), or classes of your own that do as Leaky does. Under
            DistributedDataParallel give each rank a seed of its own; DataParallel is not supported.
        distribution: ``"log-uniform"`` (default, 0.5 to 2), ``"uniform"``, ``"gaussian"`` (factor ``1 + sigma * N``, at
            least 0.05) or ``"log-normal"`` (``exp(sigma * N)``).
        low, high: Bounds of the uniform kinds: factors > 0, or offsets in units of the threshold (additive).
        sigma: Standard deviation of the Gaussian kinds: relative, or in units of the threshold (additive).
        mode: ``"multiplicative"``, or ``"additive"`` with ``"gaussian"`` or ``"uniform"``: noise added to the
            threshold as in arXiv 2508.11689.
        per: What draws are independent along, one name or several: ``"batch"`` (one draw for everything), ``"sample"``
            (one for each sample, shared by all layers; the default and the best measured), ``"layer"``, ``"neuron"``
            (implies ``"layer"``). Axis 0 of a neuron's input is the sample.
        layers: ``"hidden"`` (all spiking layers but the output layer: the last one, if no module with weights is
            registered after it), ``"all"``, or a sequence of names such as ``["lif1", "block.lif"]``.
        seed: Seed of a generator of its own; the same seed gives the same draws on every device.
        generator: Generator to draw from; with neither, torch's global one. Draws are made on its device and moved.

        chip: where the network is to run, the name of a chip or several: neurons that will not go there are said. What
            else will not, :func:`aspen_hardware.check_model` says, of a sample.

    Returns:
        A handle: ``remove()``, ``sequence()``, ``redraw()``, ``factors``; also a context manager that removes at exit.

    Raises:
        InputError: A value that is not allowed, or parameters that do not go together.
        ModelError: No spiking layer to perturb, one that cannot be, or one perturbed already.
        ChipError: There is no such chip.

    Warns:
        ChipWarning: The chip will not take the neurons as they are.
    """
    settings = PerturbationSettings(distribution, low, high, sigma, mode, per, layers)
    drawn_from, chosen = _make_generator(seed, generator), perturbed_layers(model, settings)
    refused = "" if chip is None else chip_warning(model, chip)
    if refused:
        warnings.warn(refused, ChipWarning, stacklevel=2)
    return Perturbation(model, chosen, settings, drawn_from)


def attach_perturbation(
    model: nn.Module, settings: PerturbationSettings, generator: torch.Generator | None
) -> Perturbation:
    """As :func:`perturb_thresholds`, with settings that are checked already."""
    return Perturbation(model, perturbed_layers(model, settings), settings, generator)


def perturbed_layers(model: nn.Module, settings: PerturbationSettings) -> tuple[str, ...]:
    """The layers of a model that ``settings`` are for.

    Raises:
        InputError: The settings name layers that there are not.
        ModelError: One cannot be perturbed so, or the model is perturbed already.
    """
    chosen = select_layers(model, settings.layers)
    if isinstance(model, nn.DataParallel):
        raise ModelError(
            "model: found nn.DataParallel, allowed: plain or DistributedDataParallel models; use the latter"
        )
    layers = spiking_layers(model)
    check_unattached(layers)
    for name in chosen:
        check_positive(name, layers[name])
        _check_pooling(name, layers[name], settings.axes)
    return chosen


def get_perturbation(model: nn.Module) -> Perturbation | None:
    """Return the perturbation attached to exactly this module, ``None`` without one.

    A copied or loaded model has a perturbation of its own, which this returns.

    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> get_perturbation(model) is None
    True
    >>> handle = perturb_thresholds(model)
    >>> get_perturbation(model) is handle
    True

    Args:
        model: the module that was given to :func:`perturb_thresholds`.
    """
    guard = find_guard(model, PassGuard)
    return None if guard is None else guard.perturbation


class Perturbation(Attachment):
    """What ``perturb_thresholds`` attached to a model; made by it alone.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> handle = perturb_thresholds(DenseNet((4, 3, 2)), low=0.5, high=2.0, seed=0)
    >>> handle
    Perturbation(log-uniform(low=0.5, high=2), multiplicative, per sample, layers=['lif1'])
    >>> with handle:  # removed at the end
    ...     print(handle.layers)
    ('lif1',)

    Args:
        model, layers, settings, generator: as :func:`perturb_thresholds` made them of its arguments.

    Attributes:
        layers: Qualified names of the perturbed layers.
        distribution: What is drawn from.
        axes: What draws are independent along; empty for one draw for everything.
        additive: Whether draws are offsets.
        always: False: draws act in training mode only.
    """

    always = False

    def __init__(
        self,
        model: nn.Module,
        layers: tuple[str, ...],
        settings: PerturbationSettings,
        generator: torch.Generator | None,
    ) -> None:
        self.layers = layers
        self.distribution = settings.law
        self.additive = self.distribution.additive
        self.axes = settings.axes
        self._generator = generator
        self._factors: dict[str, Tensor] = {}
        self._draws: PassDraws | None = None
        self._depth = 0
        self._attach(model, spiking_layers(model), lambda: PassGuard(model, self))

    @property
    def factors(self) -> Mapping[str, Tensor]:
        """The last draws by layer: factors, or offsets in threshold units; (batch or 1, *features or 1s)."""
        return MappingProxyType(self._factors)

    @contextmanager
    def sequence(self) -> Iterator[Perturbation]:
        """Keep one draw until the block ends, for loops over time outside the model.

        The block should span whatever belongs to one batch: all its time steps, and ``backward()`` too if activation
        checkpointing runs layers again there. Blocks and forward passes inside it share the draw.
        """
        if self._depth == 0:
            self._draws = self._new_draws()
        self._depth += 1
        try:
            yield self
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._draws = None

    def redraw(self) -> None:
        """Draw afresh from the next time step on; outside a sequence every forward pass does so anyway."""
        if self._depth:
            self._draws = self._new_draws()

    def draw(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor | None:
        """Return the draw of ``layer`` in the present pass, ``None`` if it is not perturbed.

        Args:
            layer: Qualified name of a spiking layer.
            state: Shape of its membrane, (batch, *features).
            signal: Its input; the draw is moved to its device, and to its dtype if that is a floating one.

        Raises:
            ModelError: Outside a forward pass of the model, or the shape does not fit this pass.
        """
        if layer not in self.layers:
            return None
        if self._draws is None:
            raise ModelError(
                f"{show(layer)}: found a training step outside a forward pass of the perturbed model, allowed: inside "
                "one, or inside 'with handle.sequence():'; perturb the module that is called, or open a sequence"
            )
        self._factors[layer] = self._draws.get(layer, state, signal)
        return self._factors[layer]

    def _new_draws(self) -> PassDraws:
        return PassDraws(self.distribution, self.axes, self._generator)

    def __enter__(self) -> Perturbation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.remove()

    def __repr__(self) -> str:
        mode = "additive" if self.additive else "multiplicative"
        per = "+".join(axis for axis in AXES if axis in self.axes) or "batch"
        state = "" if self._guard else ", removed"
        return f"Perturbation({self.distribution}, {mode}, per {per}, layers={list(self.layers)}{state})"

    def __getstate__(self) -> dict[str, Any]:
        return self._stored(_draws=None, _depth=0)


class PassGuard(ForwardGuard):
    """Makes every forward pass of the perturbed model one sequence."""

    def __init__(self, module: nn.Module, perturbation: Perturbation) -> None:
        super().__init__(module)
        self.perturbation = perturbation

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with self.perturbation.sequence():
            return self.inner(*args, **kwargs)


def _make_generator(seed: int | None, generator: torch.Generator | None) -> torch.Generator | None:
    if generator is not None and not isinstance(generator, torch.Generator):
        raise InputError(
            f"generator: found {type(generator).__name__}, allowed: torch.Generator; pass one, or seed=..."
        )
    if seed is None:
        return generator
    if generator is not None:
        raise InputError(f"seed: found {seed!r} beside a generator, allowed: one of the two; leave one out")
    return torch.Generator().manual_seed(as_integer("seed", seed, 0, 2**63 - 1, remedy="pass one such as 0"))


def _check_pooling(name: str, module: nn.Module, axes: frozenset[str]) -> None:
    """Refuse a threshold for each neuron where snnTorch fires on a pooled membrane but resets the full one."""
    pooled = isinstance(module, snntorch.SConv2dLSTM) and (module.max_pool or module.avg_pool)
    if pooled and "neuron" in axes:
        raise ModelError(
            f"{show(name)}: SConv2dLSTM with pooling found, which spikes and resets in different shapes; allowed: per "
            "without 'neuron'; use per='sample' or 'layer', or pool in a module of its own"
        )
