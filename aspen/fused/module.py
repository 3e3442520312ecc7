"""The fused model: the user's own modules and ``forward``, given all time steps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from aspen._base.checks import as_flag, as_name
from aspen.errors import AspenError, InputError, ModelError
from aspen.fused.fired import Fired
from aspen.fused.hooks import changing_hooks
from aspen.fused.linear import PRODUCTS, linear_layers, multiplier
from aspen.fused.loops import choose, has_triton
from aspen.fused.neurons import Neuron
from aspen.fused.passes import replaced, stepper
from aspen.fused.rehearsal import Form, rehearse, rehearse_repeating, twin_of
from aspen.fused.repeating import Replay
from aspen.models.copying import StandIn
from aspen.models.forms import InputForm
from aspen.models.layers import show, spiking_layers
from aspen.models.probing import FIND, find_form

_BATCH_NORMS = ("refuse", "over_time")
_Forwards = dict[nn.Module, Callable[..., Any]]


def fuse(
    model: nn.Module,
    sample: Tensor | None = None,
    *,
    batch_norm: str = "refuse",
    arguments: Mapping[str, Any] | None = None,
    recompute: bool = False,
    products: str = "auto",
) -> Fused:
    """Run a snnTorch model over all time steps at once, for training several times faster.

    Each layer gets the inputs of all steps in one call; each spiking layer then steps through time in one compiled loop
    with its own backward pass. The arithmetic is snnTorch's, operation by operation: the same spikes, the same
    gradients up to the order of sums. Nothing else changes::

        fused = aspen.fuse(model)
        spikes = fused(inputs)          # (time, batch, *shape), as the loop would return it
        loss(spikes).backward()         # gradients in the model's own parameters

    On the CPU a linear layer multiplies by events, by those of its inputs that are not zero, where these are few enough
    for that to be faster: forwards and for the gradient of its weights. Which layers did is in ``fused.products``.
    Where neurons have a :class:`aspen.models.Triangle` as surrogate, the gradient that arrives at their spikes is
    computed where the triangle is not zero, if these places are few.

    The result shares its parameters, buffers and submodules with ``model``, which remains usable as it is: the same
    ``state_dict``, optimisers, hooks, ``train()`` and ``to()``. Perturbed thresholds and the knob work in it, with the
    same draws. Hooks on submodules see all steps at once, (time x batch, *shape); those that change values must do so
    for each step and sample alone.

    The model may loop over a dimension of its input, which is found out, have a number of steps of its own, such as one
    that repeats its input, or do one step (with ``init_hidden``, or taking and returning its states), and what it does
    between the neurons is free as long as each step and sample is treated alone: dropout, pooling, reshaping and skips
    are fine. At the first call with a new shape, mode or greater length, a rehearsal with random spikes, on a copy of
    the model, finds out whether that is so.

    >>> import torch
    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> inputs = torch.ones(10, 2, 4)  # (time, batch, inputs)
    >>> torch.equal(fuse(model)(inputs), model(inputs))
    True

    Args:
        model: a snnTorch model with Leaky, Synaptic, RLeaky, RSynaptic or Lapicque neurons, whose states start at zero.
        sample: an input (time, batch, *shape) to rehearse with at once; without, this happens at the first call.
        batch_norm: ``"refuse"`` BatchNorm in training mode, whose statistics the loop takes for each step alone, or
            let it take them ``"over_time"`` and batch, which trains another network. In ``eval()`` mode both agree.
        arguments: what ``forward`` is given beside its input and the states of its neurons, by name.
        recompute: whether the backward pass computes the states of the neurons again from their input, instead of
            keeping them: the same numbers, one time loop more for each layer, and less memory where a neuron has
            synaptic currents, resets at once or takes half precision.
        products: how linear layers multiply: ``"auto"`` by events where it is faster, by the share of inputs that are
            not zero, so that the same run gives the same numbers; or always ``"dense"``, or ``"events"``.

    Returns:
        a module to be called with all steps, (time, batch, *shape); it returns what the model's loop returns, or for a
        model that does one step what it returns at each, stacked. On the CPU, float32 and float64 run compiled, on a
        GPU where Triton is installed half precision too, with states in float32; elsewhere the neurons step as snnTorch
        has them, only the layers between are fused. After a pass, ``str()`` of it says which.

    Raises:
        InputError: an argument is not allowed.
        ModelError: the model cannot be fused; the message names the module, the reason and a remedy. Train such models
            in the plain loop.
    """
    if isinstance(model, Fused):
        raise InputError("model: found a fused model, allowed is a plain one; use it as it is, or unfuse() it")
    as_name("batch_norm", batch_norm, _BATCH_NORMS)
    as_name("products", products, PRODUCTS)
    fused = Fused(model, batch_norm, arguments, as_flag("recompute", recompute), products)
    if sample is not None:
        fused.check(sample)
    return fused


def unfuse(fused: nn.Module) -> nn.Module:
    """The user's own model behind a fused one, with the weights as they are now.

    >>> from aspen.models import DenseNet
    >>> model = DenseNet((4, 3, 2))
    >>> unfuse(fuse(model)) is model
    True

    Args:
        fused: what :func:`fuse` returned.

    Raises:
        InputError: the module is not fused.
    """
    if not isinstance(fused, Fused):
        raise InputError(f"fused: found {type(fused).__name__}, allowed is what fuse() returned; pass that")
    return fused.plain


class Fused(StandIn):
    """What :func:`fuse` returns; made by it alone."""

    def __init__(
        self,
        model: nn.Module,
        batch_norm: str,
        arguments: Mapping[str, Any] | None = None,
        recompute: bool = False,
        products: str = "auto",
    ) -> None:
        layers = spiking_layers(model)
        if "" in layers:
            raise ModelError(
                f"{type(model).__name__}: found a neuron alone, allowed is a model of layers; use nn.Sequential"
            )
        training = model.training
        vars(self)["_plain"] = model  # not a submodule: the names of parameters stay those of the model
        super().__init__()
        self.training = training
        self._batch_norm = batch_norm
        self._layout = InputForm(arguments=dict(arguments or {}))
        self._products = products
        self.products: dict[str, str] = {}  # linear layer -> how it multiplied in the last pass
        self._neurons = [Neuron(name, layer, recompute) for name, layer in layers.items()]
        self._forms: dict[tuple[Any, ...], tuple[int, Form]] = {}
        for shared in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            vars(self)[shared] = getattr(model, shared)

    @property
    def plain(self) -> nn.Module:
        """The user's own model."""
        return cast(nn.Module, vars(self)["_plain"])

    @property
    def training(self) -> bool:
        """Whether the model is in training mode."""
        return self.plain.training

    @training.setter
    def training(self, mode: bool) -> None:
        self.plain.training = mode

    def train(self, mode: bool = True) -> Fused:
        """Set the model's mode."""
        self.plain.train(mode)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The model's."""
        return self.plain.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The model's."""
        return self.plain.load_state_dict(*args, **kwargs)

    def forward(self, inputs: Tensor) -> Any:
        """What the model returns for all steps.

        Args:
            inputs: all steps, as the model's loop takes them; (time, batch, *shape) for a model that does one.

        Raises:
            InputError: the input has no steps or samples.
            ModelError: the model cannot be fused.
        """
        if torch.compiler.is_compiling():  # runs as it is: what it runs is compiled already
            return torch.compiler.disable(self._pass)(inputs)
        return self._pass(inputs)

    def _pass(self, inputs: Tensor) -> Any:
        form = self.check(inputs)
        if form.restore is None:
            return self._repeated(inputs, form)
        frames = form.layout.frames(inputs)
        with self._running(len(frames)), changing_hooks(self.plain) as changing:
            made = form.call(self.plain, frames)
        if changing:  # these count in the rehearsal too
            form = self.check(inputs, tuple(changing))
        assert form.restore is not None  # the layout stays the same
        return form.restore(made, len(frames))

    def _repeated(self, inputs: Tensor, form: Form) -> Any:
        """What a model returns that has a number of steps of its own."""
        steps = form.layout.steps or 1
        forwards, multipliers = self._forwards(steps)
        with replaced(multipliers), changing_hooks(self.plain) as changing:
            made = Replay(self.plain, forwards, form.layers, steps).run(inputs, form.layout)
        if changing:
            self.check(inputs, tuple(changing))
        return made

    def check(self, inputs: Tensor, hooks: tuple[int, ...] = ()) -> Form:
        """Rehearse with inputs like these (time, batch, *shape), unless that was done; see :func:`fuse`.

        ``hooks`` are the numbers of forward hooks that change values, if there are any: then all hooks run as well.
        """
        if not isinstance(inputs, Tensor) or inputs.ndim < 2 or 0 in inputs.shape[:2]:
            found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            raise InputError(f"inputs: found {found}, allowed is a tensor (time, batch, *shape) with 1 step or more")
        self._check_batch_norm()
        layout = self._layout
        try:
            return self._rehearsed(inputs, hooks, layout)
        except ModelError:
            other = self._other_layout(inputs)
            if other is None:
                raise
            made = self._rehearsed(inputs, hooks, other)
            self._layout = other
            return made

    def stepped_by(self, inputs: Tensor) -> str:
        """What will step the neurons in a pass with inputs like these, in words; see :mod:`aspen.fused.loops`."""
        kind, dtype = inputs.device.type, inputs.dtype
        return ", ".join(sorted({choose(kind, dtype, each.recurrent, has_triton()) for each in self._neurons}))

    def _rehearsed(self, inputs: Tensor, hooks: tuple[int, ...], layout: InputForm) -> Form:
        names = [neuron.name for neuron in self._neurons]
        if layout.steps is not None:
            shape = inputs.movedim(layout.batch_axis, 0).shape[1:]
            where = (self.training, shape, inputs.dtype, inputs.device, hooks, layout.time_axis, layout.batch_axis)
            if where not in self._forms:
                self._forms[where] = 1, rehearse_repeating(self.plain, names, inputs, bool(hooks), layout)
            return self._forms[where][1]
        frames = layout.frames(inputs)
        key = (self.training, frames.shape[2:], frames.dtype, frames.device, hooks, layout.time_axis, layout.batch_axis)
        known, form = self._forms.get(key, (0, None))
        if form is None or known < len(frames):
            form = rehearse(self.plain, names, frames, bool(hooks), layout)
            self._forms[key] = (len(frames), form)
        return form

    def _other_layout(self, inputs: Tensor) -> InputForm | None:
        """Another axis that the model loops over, or steps of its own, found by running it; None: neither."""
        if not inputs.is_floating_point():
            return None
        try:
            found = find_form(twin_of(self.plain, False), torch.rand_like(inputs), FIND, self._layout.arguments)
        except AspenError:
            return None
        if found.steps is not None and not (found.states or found.encoder):
            return found
        axes = (found.time_axis, found.batch_axis)
        return found if found.kind == "loop" and axes != (self._layout.time_axis, self._layout.batch_axis) else None

    def _check_batch_norm(self) -> None:
        if self._batch_norm == "over_time":
            return
        for name, module in self.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
                raise ModelError(
                    f"{show(name)} ({type(module).__name__}): found in training mode, where the loop takes the "
                    f"statistics of each step alone; put it into eval(), train in the plain loop, or pass "
                    f"batch_norm='over_time'"
                )

    @contextmanager
    def _running(self, steps: int) -> Iterator[None]:
        forwards, multipliers = self._forwards(steps)
        with replaced(forwards | multipliers):
            yield

    def _forwards(self, steps: int) -> tuple[_Forwards, _Forwards]:
        """What the neurons and the linear layers run in a pass."""
        for neuron in self._neurons:
            neuron.refresh()
        layers = linear_layers(self.plain, [neuron.layer for neuron in self._neurons])
        fired = Fired() if layers and self._products != "dense" else None
        say = self.products.__setitem__
        neurons: _Forwards = {neuron.layer: stepper(neuron, steps, fired) for neuron in self._neurons}
        return neurons, {
            layer: multiplier(layer, self._products, partial(say, name), fired) for name, layer in layers.items()
        }

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_forms"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _forms={})

    def extra_repr(self) -> str:
        """Names the model, and after a pass what stepped its neurons."""
        ran = sorted({neuron.ran for neuron in self._neurons} - {""})
        return f"{type(self.plain).__name__}, fused over time{' by ' if ran else ''}{', '.join(ran)}"
