"""A layer of spiking neurons over all time steps as one differentiable function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from aspen._base.arrays import Array
from aspen.fused import kernels
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


class Scan(torch.autograd.Function):
    """Spikes, membranes and synaptic currents of all steps; see :func:`scan`."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, signal: Tensor, alpha: Tensor | None, *rest: Tensor) -> Any:
        """Arguments as :func:`scan` has them, the parameters of the recurrence behind them."""
        beta, theta, amount = rest[:3]
        spikes, membrane = POOL.empty(signal.shape, rule.surrogate.dtype), POOL.empty(signal.shape, signal.dtype)
        charged = POOL.empty(signal.shape, signal.dtype) if rule.at_once else membrane
        current = POOL.empty(signal.shape if alpha is not None else (1, 0), signal.dtype)
        constants = [_array(value, signal) for value in (alpha, beta, theta, amount)]
        filled = (current, charged, membrane, spikes)
        if rule.recurrence is None:
            _run(rule, signal.numpy(), signal.new_empty(1, 0).numpy(), constants, [part.numpy() for part in filled])
        else:
            _run_recurrent(rule, rule.recurrence, signal, constants, filled)
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
        of_states = [_array_of_grad(grads[1], like), _array_of_grad(grads[2] if ctx.alpha_given else None, like)]
        table = like.new_empty(1, 0)
        if rule.surrogate.kind == kernels.TABLE:
            table = rule.surrogate.table(charged - theta)
        of_signal = POOL.empty(membrane.shape, membrane.dtype)
        totals = [torch.zeros_like(membrane[0] if needed else like) for needed in ctx.needs_input_grad[2:6]]
        parameters = [_array(value, like) for value in (alpha, beta, theta, amount)]
        made = [part.numpy() for part in (current, charged, membrane)]
        gathered = [total.numpy() for total in totals]
        back = _Backward(rule, parameters, made, table.numpy(), of_states, of_signal.numpy(), gathered)
        if rule.recurrence is None:
            back.run(of_spikes.numpy())
            own: list[Tensor | None] = []
        else:
            own = back.run_recurrent(rule.recurrence, of_spikes, of_signal, spikes, ctx.needs_input_grad[6:])
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


def _run(rule: Rule, signal: Array, feedback: Array, constants: list[Array], filled: list[Array]) -> None:
    steps, columns = signal.shape
    zeros = torch.zeros(columns, dtype=torch.from_numpy(signal).dtype).numpy()
    spread(
        kernels.forward, steps, columns, signal, feedback, *constants, rule.reset, rule.at_once, zeros, zeros, *filled
    )  # fmt: skip


def _run_recurrent(
    rule: Rule, recurrence: Recurrence, signal: Tensor, constants: list[Array], filled: tuple[Tensor, ...]
) -> None:
    """Step by step: what the spikes of one step bring back is part of the next one's input."""
    spikes = filled[-1]
    columns = signal.shape[1]
    zeros = torch.zeros_like(signal[0]).numpy()
    arrays = [part.numpy() for part in filled]
    before = torch.zeros_like(spikes[0])
    for t in range(len(signal)):
        feedback = recurrence.apply(before).to(signal.dtype).reshape(1, columns).contiguous()
        step = [part[t : t + 1] for part in arrays]
        step[0] = step[0] if constants[0].size else arrays[0]
        states = [arrays[i][t - 1] if t and arrays[i].size else zeros for i in (0, 2)]
        spread(
            kernels.forward, 1, columns, signal[t : t + 1].numpy(), feedback.numpy(), *constants,
            rule.reset, rule.at_once, *states, *step,
        )  # fmt: skip
        before = spikes[t]


@dataclass
class _Backward:
    """The backward pass of one layer: all of it at once, or step by step where spikes come back."""

    rule: Rule
    parameters: list[Array]
    made: list[Array]
    table: Array
    of_states: list[Array]
    of_signal: Array
    totals: list[Array]

    def __post_init__(self) -> None:
        zeros = torch.zeros(self.of_signal.shape[1], dtype=torch.from_numpy(self.of_signal).dtype)
        self.zeros = zeros.numpy()
        self.carries = [zeros.clone().numpy(), zeros.clone().numpy()]

    def run(self, of_spikes: Array) -> None:
        self._kernel(0, len(of_spikes), of_spikes)

    def run_recurrent(
        self, recurrence: Recurrence, of_spikes: Tensor, of_signal: Tensor, spikes: Tensor, wanted: tuple[bool, ...]
    ) -> list[Tensor | None]:
        """Also returns the gradients of the recurrence's parameters."""
        last = len(of_spikes) - 1
        for t in range(last, -1, -1):
            given = of_spikes[t]
            if t < last:
                given = given + recurrence.back(of_signal[t + 1]).reshape(-1).to(given.dtype)
            self._kernel(t, t + 1, given.reshape(1, -1).contiguous().numpy())
        earlier = torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])
        return recurrence.gradients(earlier, of_signal, wanted)

    def _kernel(self, start: int, stop: int, of_spikes: Array) -> None:
        current, charged, membrane = self.made
        states = [part[start - 1] if start and part.size else self.zeros for part in (current, membrane)]
        cut = [part[start:stop] if part.size else part for part in (current, charged, membrane)]
        grads = [part[start:stop] if part.size else part for part in self.of_states]
        surrogate = self.rule.surrogate
        table = self.table[start:stop] if self.table.size else self.table
        spread(
            kernels.backward, stop - start, of_spikes.shape[1], of_spikes, *grads, *self.parameters,
            self.rule.reset, self.rule.at_once, surrogate.kind, surrogate.slope, table, *states, *cut,
            *self.carries, self.of_signal[start:stop], *self.totals,
        )  # fmt: skip
