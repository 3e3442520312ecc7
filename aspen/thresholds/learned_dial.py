"""A learned dial: how one knob moves the threshold of each neuron, trained together with the network.

While it is attached, neuron i of a layer fires above ``threshold_i * exp(offset_i + knob * slope_i)``, in training and
evaluation alike. Offsets and slopes are parameters with gradients; the knob is a number, or one for each sample of a
batch. After training :meth:`LearnedDial.profile` is the :class:`aspen.DialProfile` for the exported network. Neurons
that are off at a knob (``DialProfile.on_until``) have a threshold there that no membrane of a training reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen._base.checks import as_integer, as_number
from aspen.dial.profile import DialProfile
from aspen.errors import InputError, ModelError
from aspen.models.forms import InputForm
from aspen.models.layers import AT_ONCE, check_positive, population_name, select_layers, show, spiking_layers
from aspen.thresholds.attachment import Attachment, check_unattached
from aspen.thresholds.guards import ForwardGuard, find_guard
from aspen.thresholds.neuron_control import NeuronControl

OFF = 1e8
"""Factor on the threshold of a neuron that is off in PyTorch: of infinity, gradients would be NaN."""


def learn_dial(
    model: nn.Module,
    sample: Tensor,
    *,
    slope: float = 1.2,
    offset: float = -0.2,
    layers: str | Iterable[str] = "all",
    jitter: float = 0.1,
    groups: int | None = None,
    begin: DialProfile | None = None,
    on_until: Mapping[str, Array] | None = None,
    seed: int | None = None,
    form: InputForm | None = None,
) -> LearnedDial:
    """Attach a dial to the thresholds of a snnTorch model, to be trained with it.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> dial = learn_dial(model, torch.ones(5, 1, 4), slope=0.7, offset=0.0)
    >>> dial.turn(1.0)  # the hidden thresholds are twice as high now
    >>> dial.profile().slopes["lif1"].round(2)
    array([0.7, 0.7, 0.7], dtype=float32)

    Args:
        model: a model with snnTorch neurons, not perturbed.
        sample: an input (time, batch, *shape), or of one step where the model does one, to see its layers' shapes.
        slope, offset: where the hidden layers begin, in the threshold's logarithm; the output layer begins at 0.
        layers: ``"all"``, ``"hidden"``, or names of spiking layers.
        jitter: in training mode thresholds are moved at random too, by ``exp(jitter * N)`` for each sample and neuron,
            which keeps the network from tuning itself to single knob values.
        groups: most different slopes in a layer, as a chip's core stores few thresholds (Loihi 8): neurons with similar
            slopes in ``begin`` share one from then on. ``None``: each neuron has its own.
        begin: a dial of the same model that was learned before, to go on with, instead of ``slope`` and ``offset``.
        on_until: layer -> the highest knob at which each neuron is on, in the layer's shape, see
            :class:`aspen.DialProfile`; default: those of ``begin``.
        seed: of the jitter; default: torch's global generator.
        form: how the model takes its input (:func:`aspen.find_form`), where ``sample`` is (time, batch, *shape) and
            ``forward`` takes something else, such as one step; default: ``forward`` is given the sample as it is.

    Returns:
        the dial, a module whose parameters (``slopes``, ``offsets``) belong into the optimizer beside the model's.

    Raises:
        InputError: a value that is not allowed.
        ModelError: no spiking layer, or one that is perturbed or dialled already.
    """
    jitter = as_number("jitter", jitter, 0, remedy="0.1 was the best measured")
    if groups is not None:
        groups = as_integer("groups", groups, 1, remedy="or pass None; Loihi's cores store 8 thresholds")
    shapes = _shapes(model, sample, form, dialled_layers(model, layers))
    hidden = set(select_layers(model, "hidden"))
    start = {}
    for name, shape in shapes.items():
        first = np.full(shape, offset if name in hidden else 0.0), np.full(shape, slope if name in hidden else 0.0)
        start[name] = first if begin is None else _begun(begin, name, shape)
    given = _on_until(begin, shapes) if on_until is None else on_until
    return LearnedDial(model, start, jitter, groups, seed, given)


def attach_dial(model: nn.Module, profile: DialProfile) -> LearnedDial:
    """Attach a dial that was learned with ``model`` before, without jitter: to run the model, not to train it.

    Args:
        model: not perturbed or dialled now.
        profile: slopes and offsets in the shapes of the layers.

    Raises:
        ModelError: the model is perturbed or dialled already.
    """
    spiking = {population_name(name): name for name in spiking_layers(model)}
    layers = {spiking[name]: slope for name, slope in profile.slopes.items()}
    check_unattached({name: module for name, module in spiking_layers(model).items() if name in layers})
    nothing = np.zeros(())
    start = {
        name: (np.broadcast_to(profile.offsets.get(population_name(name), nothing), slope.shape), slope)
        for name, slope in layers.items()
    }
    shapes = {name: slope.shape for name, slope in layers.items()}
    return LearnedDial(model, start, 0.0, None, None, _on_until(profile, shapes))


def dialled_layers(model: nn.Module, layers: str | Iterable[str] = "all") -> dict[str, nn.Module]:
    """The spiking layers of a model that a dial can be attached to, by name.

    Raises:
        InputError: there is no such layer.
        ModelError: no spiking layer, or one whose threshold is not above 0, or that is perturbed or dialled already.
    """
    spiking = spiking_layers(model)
    chosen = {
        name: spiking[name] for name in select_layers(model, layers if isinstance(layers, str) else tuple(layers))
    }
    for name, layer in chosen.items():
        check_positive(name, layer)
    check_unattached(chosen)
    return chosen


def _begun(begin: DialProfile, name: str, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Offsets and slopes of a layer in a profile."""
    population = population_name(name)
    parts = (begin.offsets.get(population, np.zeros(())), begin.slopes.get(population))
    if parts[1] is None or any(part.shape not in ((), shape) for part in parts if part is not None):
        raise InputError(f"begin: found no dial for {show(name)} of shape {shape}; pass the one of this model")
    return np.broadcast_to(parts[0], shape), np.broadcast_to(parts[1], shape)


def _on_until(profile: DialProfile | None, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The knobs up to which neurons are on, by layer, of those layers that have some which go off."""
    known = {} if profile is None else profile.on_until
    chosen = {name: known[population_name(name)] for name in shapes if population_name(name) in known}
    return {name: np.broadcast_to(until, shapes[name]) for name, until in chosen.items()}


def _until_of(layer: str) -> str:
    """The name of the buffer that says up to which knob the neurons of a layer are on."""
    return f"on_until/{layer.replace('.', '/')}"


def _grouped(slopes: Array, groups: int, until: Array | None) -> tuple[Array, Array]:
    """As :func:`group_slopes`; of neurons that go off at different knobs, those that do so together share a slope."""
    if until is None:
        return group_slopes(slopes, groups)
    index = np.unique(until, return_inverse=True)[1].reshape(until.shape)
    if int(index.max()) >= groups:
        raise InputError(
            f"groups: found {groups} for neurons that go off at {int(index.max()) + 1} different knobs, allowed are as "
            f"many or more; give more groups"
        )
    sums = np.bincount(index.reshape(-1), slopes.astype(np.float64).reshape(-1))
    return sums / np.bincount(index.reshape(-1)), index


def group_slopes(slopes: Array, groups: int) -> tuple[Array, Array]:
    """At most ``groups`` values for ``slopes``: k-means in one dimension, begun at the quantiles.

    Returns:
        values (g,), and for each slope the index of its value, in the shape of ``slopes``.
    """
    flat = slopes.astype(np.float64).reshape(-1)
    values = np.unique(flat)
    if len(values) > groups:
        values = np.unique(np.quantile(flat, (np.arange(groups) + 0.5) / groups))
    for _ in range(100):
        index = np.abs(flat[:, None] - values).argmin(axis=1)
        moved = np.array([flat[index == g].mean() for g in np.unique(index)])
        if len(moved) == len(values) and np.allclose(moved, values, rtol=0, atol=1e-12):
            break
        values = moved
    index = np.abs(flat[:, None] - values).argmin(axis=1)
    return values, index.reshape(slopes.shape)


def _shapes(
    model: nn.Module, sample: Tensor, form: InputForm | None, layers: Mapping[str, nn.Module]
) -> dict[str, tuple[int, ...]]:
    """The shape of each layer without the batch, seen on a forward pass in evaluation mode."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            spikes = output if isinstance(output, Tensor) else output[0]
            found[name] = tuple(spikes.shape[2 if type(module) in AT_ONCE else 1 :])

        return hook

    handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            model(sample) if form is None else form.call(model, form.given(sample))
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    silent = sorted(set(layers) - set(found))
    if silent:
        raise ModelError(f"{silent[0]}: not called on the sample, allowed are layers that the model uses; name others")
    return found


class LearnedDial(Attachment, nn.Module):
    """What :func:`learn_dial` attached; made by it alone.

    Attributes:
        slopes, offsets: parameters by layer, in the shape of the layer, or for grouped slopes (groups,); a dot in a
            name is written ``/``.
        knob: where the dial stands: a number, or (batch,).
    """

    additive = False
    always = True

    def __init__(
        self,
        model: nn.Module,
        start: Mapping[str, tuple[Array, Array]],
        jitter: float,
        groups: int | None,
        seed: int | None,
        on_until: Mapping[str, Array],
    ) -> None:
        super().__init__()
        self.layers = tuple(start)
        self.jitter = jitter
        like = next(model.parameters())
        self.offsets, self.slopes = nn.ParameterDict(), nn.ParameterDict()
        self._groups: dict[str, Tensor] = {}
        self._shared: dict[str, tuple[Tensor, int, Tensor]] = {}  # from the buffer of the knobs, as it was then
        for name, until in on_until.items():
            self.register_buffer(_until_of(name), torch.tensor(until, dtype=like.dtype, device=like.device))
        for name, (offset, slope) in start.items():
            key = name.replace(".", "/")
            if groups is not None:
                slope, index = _grouped(slope, groups, on_until.get(name))
                self._groups[key] = torch.from_numpy(index).to(like.device)
            self.offsets[key] = nn.Parameter(torch.tensor(offset, dtype=like.dtype, device=like.device))
            self.slopes[key] = nn.Parameter(torch.tensor(slope, dtype=like.dtype, device=like.device))
        self._generator = None if seed is None else torch.Generator().manual_seed(seed)
        self._factors: dict[str, Tensor] = {}
        self.knob: float | Tensor = 0.0
        self._attach(model, self.layers, lambda: _PassGuard(model, self))

    def turn(self, knob: float | Tensor) -> None:
        """Set the dial, from the next forward pass on: a number, or one for each sample, (batch,)."""
        if isinstance(knob, Tensor) and knob.ndim > 1:
            raise InputError(f"knob: found shape {tuple(knob.shape)}, allowed is a number or (batch,)")
        self.knob = knob
        self._factors = {}

    def reseed(self, seed: int) -> None:
        """Begin the jitter anew from ``seed``."""
        self._generator = torch.Generator().manual_seed(seed)

    def draw(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor | None:
        """The factors of ``layer`` in the present pass, (batch or 1, *features).

        Raises:
            ModelError: the knobs or the layer's shape do not fit the batch.
        """
        if layer not in self._factors:
            self._factors[layer] = self._make(layer, state, signal)
        return self._factors[layer]

    def _make(self, layer: str, state: torch.Size, signal: Tensor) -> Tensor:
        key = layer.replace(".", "/")
        offset, slope = self.offsets[key], self._slope(key)
        knob = torch.as_tensor(self.knob, dtype=signal.dtype, device=signal.device)
        if tuple(state[1:]) != tuple(offset.shape) or knob.numel() not in (1, state[0]):
            raise ModelError(
                f"{show(layer)}: found a membrane of shape {tuple(state)} under {knob.numel()} knobs, allowed are "
                f"(batch, {', '.join(map(str, offset.shape))}) and one knob, or one for each sample; turn() the dial"
            )
        spread = knob.reshape(-1, *[1] * offset.ndim)
        logarithm = offset.to(signal.dtype) + spread * slope.to(signal.dtype)
        if self.jitter > 0 and self._controls[layer].module.training:
            noise = torch.randn(tuple(state), generator=self._generator, dtype=torch.float32)
            logarithm = logarithm + self.jitter * noise.to(signal.device, signal.dtype)
        until = self._buffers.get(_until_of(layer))
        return logarithm.exp() if until is None else torch.where(spread > until, OFF, logarithm.exp())

    def _slope(self, key: str) -> Tensor:
        """The slope of each neuron."""
        return self.slopes[key][self._group(key)] if key in self._groups else self.slopes[key]

    def _group(self, key: str) -> Tensor:
        """Which slope each neuron shares: that of the neurons that go off with it, by the buffer, which a checkpoint
        may have put in place of the one that the dial was made with."""
        until = self._buffers.get(_until_of(key))
        if until is None:
            return self._groups[key]
        seen, version, groups = self._shared.get(key, (None, 0, until))
        if seen is not until or version != until._version:
            groups = torch.unique(until, return_inverse=True)[1]
            self._shared[key] = until, until._version, groups
        return groups

    def factors(self, layer: str) -> Array:
        """(1, batch or 1, n): the factors of ``layer`` where the dial stands, without jitter."""
        key = layer.replace(".", "/")
        knob = torch.as_tensor(self.knob, dtype=torch.float64).detach().cpu().reshape(-1, 1)
        offset, slope = (part.detach().cpu().double().reshape(1, -1) for part in (self.offsets[key], self._slope(key)))
        made: Array = (offset + knob * slope).exp().numpy()
        until = self._buffers.get(_until_of(layer))
        if until is not None:
            made = np.where(knob.numpy() > until.cpu().numpy().reshape(1, -1), np.inf, made)
        return made[None]

    def profile(self, low: float = 0.0, high: float = 1.0) -> DialProfile:
        """The dial as it stands, for the network that :func:`aspen.export` makes of the model."""

        keys = {population_name(name): name.replace(".", "/") for name in self.layers}
        slopes = {name: self._slope(key).detach().cpu().numpy() for name, key in keys.items()}
        offsets = {name: self.offsets[key].detach().cpu().numpy() for name, key in keys.items()}
        found = {name: self._buffers.get(_until_of(name)) for name in self.layers}
        until = {population_name(name): knobs.cpu().numpy() for name, knobs in found.items() if knobs is not None}
        return DialProfile(slopes, offsets, low, high, until)

    def __getstate__(self) -> dict[str, Any]:
        return self._stored(_factors={}, _shared={})


def dial_scale(model: nn.Module) -> dict[str, Array]:
    """The factors, population -> (1, batch or 1, n), by which a dial attached to ``model`` multiplies its thresholds.

    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> learn_dial(model, torch.ones(5, 1, 4), slope=0.7, offset=0.0).turn(1.0)
    >>> dial_scale(model)["lif1"].round(2)
    array([[[2.01, 2.01, 2.01]]])
    """
    controls = {name: find_guard(layer, NeuronControl) for name, layer in spiking_layers(model).items()}
    return {
        population_name(name): control.source.factors(control.name)
        for name, control in controls.items()
        if control is not None and isinstance(control.source, LearnedDial)
    }


class _PassGuard(ForwardGuard):
    """Makes every forward pass of the model compute its factors, and draw its jitter, once."""

    def __init__(self, module: nn.Module, dial: LearnedDial) -> None:
        super().__init__(module)
        self.dial = dial

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.dial._factors = {}
        return self.inner(*args, **kwargs)
