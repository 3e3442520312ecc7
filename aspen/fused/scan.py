"""A layer of spiking neurons over all time steps as one differentiable function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aspen._base.arrays import Array
from aspen.fused import kernels
from aspen.fused.arrays import Arriving, Derivative, Layer, States, Steps, Totals
from aspen.fused.memory import POOL
from aspen.fused.recurrence import Recurrence
from aspen.fused.surrogates import Surrogate
from aspen.fused.threads import spread


@dataclass(frozen=True)
class Rule:
    """How a layer of neurons steps, apart from its parameters.

    Args:
        reset: one of the constants of :mod:`aspen.fused.kernels`.
        at_once: whether the reset happens in the step of the spike (snnTorch's ``reset_delay=False``).
        surrogate: of the spikes.
        recurrence: how the layer's own spikes come back to it, or ``None``.
    """

    reset: int
    at_once: bool
    surrogate: Surrogate
    recurrence: Recurrence | None = None

    def layer(self, parameters: Sequence[Tensor | None], like: Tensor) -> Layer:
        """The neurons for the compiled loops, with ``parameters`` alpha, beta, theta and amount."""
        alpha, beta, theta, amount = (_array(value, like) for value in parameters)
        return Layer(alpha, beta, theta, amount, self.reset, self.at_once)


class Scan(torch.autograd.Function):
    """Spikes, membranes and synaptic currents of all steps; see :func:`scan`."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, signal: Tensor, alpha: Tensor | None, *rest: Tensor) -> Any:
        """Arguments as :func:`scan` has them, the parameters of the recurrence behind them."""
        beta, theta, amount = rest[:3]
        spikes, membrane = POOL.empty(signal.shape, rule.surrogate.dtype), POOL.empty(signal.shape, signal.dtype)
        charged = POOL.empty(signal.shape, signal.dtype) if rule.at_once else membrane
        current = POOL.empty(signal.shape if alpha is not None else (1, 0), signal.dtype)
        layer = rule.layer((alpha, beta, theta, amount), signal)
        made = Steps(*(part.numpy() for part in (current, charged, membrane, spikes)))
        if rule.recurrence is None:
            _run(layer, signal, made)
        else:
            _run_recurrent(layer, rule.recurrence, signal, made, spikes)
        ctx.rule, ctx.alpha_given, ctx.like = rule, alpha is not None, signal.new_empty(0)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(alpha, beta, theta, amount, current, charged, membrane, spikes)
        if alpha is None:
            ctx.mark_non_differentiable(current)
        return spikes, membrane, current

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        """Gradients of the signal and of the parameters, as the loop over the steps would have them."""
        alpha, beta, theta, amount, current, charged, membrane, spikes = ctx.saved_tensors
        rule, like = ctx.rule, ctx.like
        of_spikes = torch.zeros_like(spikes) if grads[0] is None else grads[0].contiguous()
        if rule.recurrence is not None and grads[0] is not None:
            of_spikes = of_spikes.clone()  # what comes back is added to it
        of_current = grads[2] if ctx.alpha_given else None
        table = like.new_empty(1, 0)
        if rule.surrogate.kind == kernels.TABLE:
            table = rule.surrogate.table(charged - theta)
        of_signal = POOL.empty(membrane.shape, membrane.dtype)
        totals = [torch.zeros_like(membrane[0] if needed else like) for needed in ctx.needs_input_grad[2:6]]
        back = _Backward(
            rule.layer((alpha, beta, theta, amount), like),
            Derivative(rule.surrogate.kind, rule.surrogate.slope, table.numpy()),
            Steps(*(part.numpy() for part in (current, charged, membrane, spikes))),
            of_spikes,
            Arriving(of_spikes.numpy(), _array_of_grad(grads[1], like), _array_of_grad(of_current, like)),
            of_signal,
            Totals(*(total.numpy() for total in totals)),
        )
        own: list[Tensor | None] = []
        if rule.recurrence is None:
            back.run()
        else:
            own = back.run_recurrent(rule.recurrence, spikes, ctx.needs_input_grad[6:])
        needed = [total if wanted else None for total, wanted in zip(totals, ctx.needs_input_grad[2:6], strict=True)]
        return None, of_signal, *needed, *own


def scan(
    rule: Rule, signal: Tensor, alpha: Tensor | None, beta: Tensor, theta: Tensor, amount: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Step a layer of neurons through time, from states of zero.

    Args:
        rule: how they step.
        signal: input (time, n), float32 or float64 on the CPU, contiguous; n runs over samples and neurons.
        alpha: decay of the synaptic current (n,), or ``None`` for neurons without.
        beta: decay of the membrane (n,).
        theta: threshold (n,).
        amount: what a reset by subtraction takes (n,).

    Returns:
        spikes (of the surrogate's dtype), membranes and synaptic currents (time, n).
    """
    own = rule.recurrence.parameters if rule.recurrence is not None else ()
    made: tuple[Tensor, Tensor, Tensor] = Scan.apply(rule, signal, alpha, beta, theta, amount, *own)
    return made


def _array(value: Tensor | None, like: Tensor) -> Array:
    return (like.new_empty(0) if value is None else value.detach().contiguous()).numpy()


def _array_of_grad(grad: Tensor | None, like: Tensor) -> Array:
    return (like.new_empty(1, 0) if grad is None else grad.contiguous()).numpy()


def _run(layer: Layer, signal: Tensor, made: Steps) -> None:
    steps, columns = signal.shape
    no_feedback = signal.new_empty(1, 0).numpy()
    spread(kernels.forward, columns, 0, steps, signal.numpy(), no_feedback, layer, _at_rest(signal), made)


def _run_recurrent(layer: Layer, recurrence: Recurrence, signal: Tensor, made: Steps, spikes: Tensor) -> None:
    """Step by step: what the spikes of one step bring back is part of the next one's input.

    Args:
        layer: the neurons.
        recurrence: how spikes come back.
        signal: input (time, n).
        made: filled.
        spikes: those of ``made``.
    """
    columns, first, given = signal.shape[1], _at_rest(signal), signal.numpy()
    before = torch.zeros_like(spikes[0])
    for t in range(len(signal)):
        feedback = recurrence.apply(before).to(signal.dtype).reshape(1, columns).contiguous()
        spread(kernels.forward, columns, t, t + 1, given, feedback.numpy(), layer, first, made)
        before = spikes[t]


def _at_rest(signal: Tensor) -> States:
    """States of zero, for neurons with that input (time, n)."""
    return States(*(signal.new_zeros(signal.shape[1]).numpy() for _ in States._fields))


@dataclass
class _Backward:
    """The backward pass of one layer: all of it at once, or step by step where spikes come back."""

    layer: Layer
    surrogate: Derivative
    made: Steps
    of_spikes: Tensor
    arriving: Arriving
    of_signal: Tensor
    totals: Totals

    def __post_init__(self) -> None:
        given = self.arriving, self.layer, self.surrogate, _at_rest(self.of_signal), self.made
        self._arguments = *given, _at_rest(self.of_signal), self.of_signal.numpy(), self.totals

    def run(self) -> None:
        self._kernel(0, len(self.of_signal))

    def run_recurrent(self, recurrence: Recurrence, spikes: Tensor, wanted: tuple[bool, ...]) -> list[Tensor | None]:
        """Also returns the gradients of the recurrence's parameters."""
        last = len(self.of_signal) - 1
        for t in range(last, -1, -1):
            if t < last:
                self.of_spikes[t] += recurrence.back(self.of_signal[t + 1]).reshape(-1).to(self.of_spikes.dtype)
            self._kernel(t, t + 1)
        earlier = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
        return recurrence.gradients(earlier, self.of_signal, wanted)

    def _kernel(self, start: int, stop: int) -> None:
        spread(kernels.backward, self.of_signal.shape[1], start, stop, *self._arguments)
