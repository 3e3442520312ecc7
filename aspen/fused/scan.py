"""A layer of spiking neurons over all time steps as one differentiable function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aspen.fused import kernels
from aspen.fused.arrays import Arriving, Derivative, Layer, Passing, States, Steps, Totals
from aspen.fused.loops import Loops
from aspen.fused.recurrence import Recurrence
from aspen.fused.surrogates import Surrogate
from aspen.fused.vectors import LANES


@dataclass(frozen=True)
class Rule:
    """How a layer of neurons steps, apart from its parameters.

    Args:
        loops: those that run it.
        reset: one of the constants of :mod:`aspen.fused.kernels`.
        at_once: whether the reset happens in the step of the spike (snnTorch's ``reset_delay=False``).
        surrogate: of the spikes.
        recurrence: how the layer's own spikes come back to it, or ``None``.
        recompute: whether the backward pass steps forwards once more, instead of keeping what the states were.
        bits: whether it is kept in bits too which neurons fired; on a CPU, for whole vectors of neurons.
        near: whether it is kept likewise where the surrogate, a triangle, is other than zero.
    """

    loops: Loops
    reset: int
    at_once: bool
    surrogate: Surrogate
    recurrence: Recurrence | None = None
    recompute: bool = False
    bits: bool = False
    near: bool = False

    def layer(self, parameters: Sequence[Tensor | None], like: Tensor) -> Layer:
        """The neurons for the loops, with ``parameters`` alpha, beta, theta and amount."""
        alpha, beta, theta, amount = (_given(value, like) for value in parameters)
        return Layer(alpha, beta, theta, amount, self.reset, self.at_once, self.surrogate.slope if self.near else 0.0)

    def steps(self, layer: Layer, signal: Tensor) -> Steps:
        """All steps of such neurons with an input (time, n), from states of zero."""
        empty, states = self.loops.empty, layer.beta.dtype
        spikes, membrane = empty(signal.shape, self.surrogate.dtype, signal), empty(signal.shape, states, signal)
        charged = empty(signal.shape, states, signal) if self.at_once else membrane
        current = empty(signal.shape if layer.alpha.numel() else (1, 0), states, signal)
        words = len(signal), signal.shape[1] // LANES
        bits, near = (empty(words if kept else (1, 0), torch.int16, signal) for kept in (self.bits, self.near))
        made = Steps(current, charged, membrane, spikes, bits, near)
        run = self.loops.forward(layer, signal, made)
        if self.recurrence is None:
            run(0, len(signal), layer.beta.new_empty(1, 0))
            return made
        before = torch.zeros_like(spikes[0])
        for t in range(len(signal)):  # what the spikes of one step bring back is part of the next one's input
            feedback = self.recurrence.apply(before).to(states).reshape(1, -1).contiguous()
            run(t, t + 1, feedback)
            before = spikes[t]
        return made


class Scan(torch.autograd.Function):
    """Spikes, membranes and synaptic currents of all steps, and who fired or was near it; see :func:`scan`."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, signal: Tensor, alpha: Tensor | None, *rest: Tensor) -> Any:
        """Arguments as :func:`scan` has them, the parameters of the recurrence behind them."""
        parameters = alpha, *rest[:3]
        made = rule.steps(rule.layer(parameters, rest[0]), signal)
        ctx.rule, ctx.of_signal = rule, signal.dtype
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*parameters, *([signal] if rule.recompute else made))
        ctx.mark_non_differentiable(made.bits, made.near, *([made.current] if alpha is None else []))
        return made.spikes, made.membrane, made.current, made.bits, made.near

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        """Gradients of the signal and of the parameters, as the loop over the steps would have them."""
        alpha, beta, theta, amount, *kept = ctx.saved_tensors
        rule: Rule = ctx.rule
        layer = rule.layer((alpha, beta, theta, amount), beta)
        made = rule.steps(layer, kept[0]) if rule.recompute else Steps(*kept)
        arriving = _arriving(grads[:3], made, alpha is not None, rule.recurrence is not None)
        surrogate = rule.surrogate
        table = surrogate.table(made.charged - theta) if surrogate.kind == kernels.TABLE else beta.new_empty(1, 0)
        none = beta.new_empty(0)
        totals = [torch.zeros_like(beta) if needed else none for needed in ctx.needs_input_grad[2:6]]
        passing = Passing(
            layer,
            Derivative(surrogate.kind, surrogate.slope, table),
            made,
            arriving,
            States(torch.zeros_like(beta), torch.zeros_like(beta)),
            rule.loops.empty(made.membrane.shape, ctx.of_signal, beta),
            Totals(*totals),
        )
        own = _go_back(rule, passing, ctx.needs_input_grad[6:])
        needed = [total if wanted else None for total, wanted in zip(totals, ctx.needs_input_grad[2:6], strict=True)]
        return None, passing.of_signal, *needed, *own


def scan(
    rule: Rule, signal: Tensor, alpha: Tensor | None, beta: Tensor, theta: Tensor, amount: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Step a layer of neurons through time, from states of zero.

    Args:
        rule: how they step.
        signal: input (time, n), of a type that the loops take, contiguous; n runs over samples and neurons.
        alpha: decay of the synaptic current (n,), or ``None`` for neurons without.
        beta: decay of the membrane (n,); its type, float32 or float64, is that of the states.
        theta: threshold (n,).
        amount: what a reset by subtraction takes (n,).

    Returns:
        spikes (of the surrogate's dtype), membranes and synaptic currents (time, n), and who fired and who was near
        it, as :class:`aspen.fused.arrays.Steps` has it.
    """
    own = rule.recurrence.parameters if rule.recurrence is not None else ()
    made: tuple[Tensor, Tensor, Tensor, Tensor, Tensor] = Scan.apply(rule, signal, alpha, beta, theta, amount, *own)
    return made


def _given(value: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if value is None else value.detach().contiguous()


def _arriving(grads: Sequence[Tensor | None], made: Steps, has_current: bool, added_to: bool) -> Arriving:
    """The gradients of spikes, membranes and currents for the loops; ``added_to``: those of the spikes are changed."""
    of_spikes, of_membrane, of_current = grads
    if of_spikes is None:
        of_spikes = torch.zeros_like(made.spikes)
    elif added_to:
        of_spikes = of_spikes.clone(memory_format=torch.contiguous_format)
    none = made.membrane.new_empty(1, 0)
    of_current = of_current if has_current else None
    states = (none if grad is None else grad.contiguous() for grad in (of_membrane, of_current))
    return Arriving(of_spikes.contiguous(), *states)


def _go_back(rule: Rule, passing: Passing, wanted: tuple[bool, ...]) -> list[Tensor | None]:
    """Run the backward pass: all of it at once, or step by step where spikes come back.

    Returns:
        the gradients of the recurrence's parameters.
    """
    run, last = rule.loops.backward(passing), len(passing.of_signal) - 1
    if rule.recurrence is None:
        run(0, last + 1)
        return []
    of_spikes, spikes = passing.arriving.spikes, passing.made.spikes
    for t in range(last, -1, -1):
        if t < last:
            of_spikes[t] += rule.recurrence.back(passing.of_signal[t + 1]).reshape(-1).to(of_spikes.dtype)
        run(t, t + 1)
    earlier = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
    return rule.recurrence.gradients(earlier, passing.of_signal, wanted)
