"""Linear layers in a fused pass: by events where few of their inputs are other than zero, else as one dense product.

The result is the dense one up to the order of sums; only what is not finite differs: a weight that is infinite or NaN
counts where its input is not zero. The choice follows from the share of inputs that are not zero, never from a clock:
the same training gives the same numbers, whatever else the machine does, resumed or not, with one thread or several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from aspen.fused import events, sampled
from aspen.fused.fired import Fired
from aspen.fused.memory import POOL, past_the_cache
from aspen.fused.threads import spread
from aspen.fused.vectors import LANES

PRODUCTS = ("auto", "dense", "events")
"""How linear layers multiply: as is faster, or always the one or the other."""
_WORTH = 1 << 21
"""Multiplications below which a product is torch's own, and no events are counted."""
_MANY = 1 << 13
_NUMBERED = 1 << 15
"""Inputs that 16 bits can number."""
_CHECKED = 251
"""Every so many-th vector of spikes is compared with its bits."""
_EVERY, _SELDOM = 7, 61
"""Every so many-th row is counted, seldom of many; no batch size that is in use is a multiple of these."""


class _Product(torch.autograd.Function):
    """``inputs @ weight.T + bias``, in memory that is used again."""

    @staticmethod
    def forward(
        ctx: Any,
        lists: events.Lists | None,
        near: Tensor | None,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        """Inputs (*rows, m), weight (n, m), bias (n,); all of one type, float32 or float64, on the CPU.

        ``lists``: for the events of the inputs; ``None`` for a dense product. ``near``: of which inputs the gradient is
        asked for, in bits (rows, m / LANES); ``None``: of all.
        """
        ctx.lists, ctx.near = lists, near
        ctx.save_for_backward(inputs, weight)
        flat, n = _flat(inputs), len(weight)
        made = POOL.empty((len(flat), n), inputs.dtype)
        if lists is not None:
            biases = _padded(weight.new_zeros(n) if bias is None else bias.detach())
            given = flat.numpy(), _by_vectors(weight), biases.numpy(), made.numpy(), past_the_cache(made), lists
            spread(events.forward, len(flat), 0, n, *given)
        elif bias is None:
            torch.mm(flat, weight.t(), out=made)
        else:
            torch.addmm(bias, flat, weight.t(), out=made)
        return made.view(*inputs.shape[:-1], n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        """Gradients of inputs, weight and bias."""
        inputs, weight = ctx.saved_tensors
        flat, arriving = _flat(inputs), _flat(grad)
        of_inputs = of_weight = of_bias = None
        _, _, needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
        if needs_inputs:
            of_inputs = POOL.empty(flat.shape, flat.dtype)
            if ctx.near is None:
                torch.mm(arriving, weight, out=of_inputs)
            else:
                _sample(arriving, weight, ctx.near, of_inputs)
            of_inputs = of_inputs.view(inputs.shape)
        if needs_weight:
            dense = ctx.lists is None
            of_weight = arriving.t() @ flat if dense else _weight_gradient(flat, arriving, ctx.lists)
        if needs_bias:
            of_bias = arriving.sum(0)
        return None, None, of_inputs, of_weight, of_bias


def linear(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, products: str = "auto", fired: Fired | None = None
) -> tuple[Tensor, str]:
    """``inputs @ weight.T + bias``, and how it was done: ``events`` or ``dense``.

    Args:
        inputs: (*rows, m).
        weight: (n, m).
        bias: (n,) or ``None``.
        products: one of :data:`PRODUCTS`.
        fired: what is known of the spikes of this pass, if anything.
    """
    if not _fits(inputs, weight, bias):
        return functional.linear(inputs, weight, bias), "dense"
    small = inputs.numel() * len(weight) < _WORTH
    lists = near = None
    if products == "events" or (products == "auto" and not small):
        bits = _bits(inputs, fired)
        if products == "events" or _few(inputs, weight, bits):
            learns = torch.is_grad_enabled() and weight.requires_grad
            lists = _room(inputs.numel() // inputs.shape[-1] if learns else 0, inputs.shape[-1], bits)
        if fired is not None and bits is not None and inputs.requires_grad:
            near = _near(fired.near(inputs), weight, always=products == "events")
    if small and lists is None:
        return functional.linear(inputs, weight, bias), "dense"
    made: Tensor = _Product.apply(lists, near, inputs, weight, bias)
    return made, "dense" if lists is None else "events"


def linear_layers(model: nn.Module, neurons: list[nn.Module]) -> dict[str, nn.Module]:
    """The layers of a model that may run by events: linear ones with no ``forward`` of their own, outside neurons."""
    inside = {id(part) for neuron in neurons for part in neuron.modules()}
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and type(module).forward is nn.Linear.forward
        and "forward" not in vars(module)
        and id(module) not in inside
    }


def multiplier(
    layer: Any, products: str, say: Callable[[str], None], fired: Fired | None = None
) -> Callable[[Tensor], Tensor]:
    """A ``forward`` for a linear layer that tells ``say`` how it multiplied; ``fired`` as :func:`linear` has it."""

    def forward(input: Tensor) -> Tensor:  # named as torch names it
        made, how = linear(input, layer.weight, layer.bias, products, fired)
        say(how)
        return made

    return forward


def _fits(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the compiled loops take these."""
    given = [inputs, weight] if bias is None else [inputs, weight, bias]
    return (
        inputs.dtype in (torch.float32, torch.float64)
        and all(each.dtype == inputs.dtype and each.device.type == "cpu" for each in given)
        and inputs.ndim > 1
        and inputs.shape[-1] == weight.shape[-1]
        and inputs.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


def _bits(inputs: Tensor, fired: Fired | None) -> Tensor | None:
    """The bits of the inputs, (rows, m / LANES) int16, where they are spikes of which these are known.

    What was changed without a new version, as ``.data`` allows, is found by samples.
    """
    m = inputs.shape[-1]
    bits = fired.of(inputs) if fired is not None and m % LANES == 0 else None
    if bits is None or not events.agree(inputs.detach().view(-1).numpy(), bits.view(-1).numpy(), _CHECKED):
        return None
    return bits.view(-1, m // LANES)


def _few(inputs: Tensor, weight: Tensor, bits: Tensor | None) -> bool:
    """Whether so few of the inputs are events that these are faster."""
    flat = _flat(inputs.detach())
    n, m = weight.shape
    if bits is not None:
        share = events.count_bits(bits.view(-1).numpy()) / flat.numel()
        return _cost_of_known_events(m, n, share) < max(_dense_cost(m, n), _cost_of_reading(flat))
    every = _EVERY if len(flat) < _MANY else _SELDOM
    share = events.count_events(flat.numpy(), every) / flat[::every].numel()
    return _cost_of_events(m, n, share) < _dense_cost(m, n)


def _near(bits: Tensor | None, weight: Tensor, always: bool) -> Tensor | None:
    """Bits that tell of which inputs the gradient is asked for, (rows, m / LANES), where these are known and so few
    that they are faster alone, or ``always``."""
    if bits is None:
        return None
    n, m = weight.shape
    share = events.count_bits(bits.view(-1).numpy()) / (LANES * bits.numel())
    return bits.view(-1, m // LANES) if always or _cost_of_samples(m, n, share) < _cost_of_all(m, n) else None


def _cost_of_events(m: int, n: int, share: float) -> float:
    """Nanoseconds of a row of m inputs and n outputs, forwards and for the weights' gradient, as measured on one thread
    of a processor with AVX-512, with 18 to 512 of each; a little more, so that where both take as long the dense
    product is taken."""
    return 40 + 0.8 * m + share * m * (1 + 0.12 * n)


def _dense_cost(m: int, n: int) -> float:
    """The same of dense products: 0.025 a multiplication there, 0.05 on another machine."""
    return 0.03 * n * (m + 24)


def _cost_of_known_events(m: int, n: int, share: float) -> float:
    """As :func:`_cost_of_events`, of spikes whose bits are known: they are listed without reading the inputs."""
    return 40 + 0.16 * m + share * m * (2 + 0.12 * n)


def _cost_of_reading(inputs: Tensor) -> float:
    """The least that a dense product of a row takes, forwards and for the weights' gradient: reading the inputs (rows,
    m) twice, from memory where they were written past the cache."""
    return (0.8 if past_the_cache(inputs) else 0.35) * inputs.shape[1]


def _cost_of_samples(m: int, n: int, share: float) -> float:
    """Nanoseconds of the gradient of a row of m inputs, from n outputs, for such a share of the inputs: as measured on
    one thread of a processor with AVX-512, with 64 to 512 of each."""
    return 10 + 0.4 * m + share * m * (1 + 0.034 * n)


def _cost_of_all(m: int, n: int) -> float:
    """The same of a dense product."""
    return 0.0115 * m * n


def _flat(values: Tensor) -> Tensor:
    return values.reshape(-1, values.shape[-1]).contiguous()


def _padded(values: Tensor) -> Tensor:
    """With zeros behind, so that the first axis is a multiple of LANES."""
    missing = -len(values) % LANES
    return torch.cat([values, values.new_zeros(missing, *values.shape[1:])]) if missing else values.contiguous()


def _by_vectors(weight: Tensor) -> Any:
    """Weights (n, m) as (n / LANES rounded up, m, LANES)."""
    return _padded(weight.detach()).unflatten(0, (-1, LANES)).transpose(1, 2).contiguous().numpy()


def _room(rows: int, m: int, bits: Tensor | None) -> events.Lists:
    """Room for the events of half of the inputs (rows, m), with those bits: where there are more, they are listed
    again."""
    blocks, room = -(-rows // events.ROWS), events.ROWS * m // 2 if m <= _NUMBERED else 0
    places = POOL.empty((blocks, room), torch.int16).numpy()
    known = np.zeros((1, 0), np.int16) if bits is None else bits.numpy()
    return events.Lists(places, np.empty((blocks, events.ROWS + 1), np.int32), np.zeros(blocks, np.uint8), known)


def _sample(grad: Tensor, weight: Tensor, near: Tensor, made: Tensor) -> None:
    """Fill the gradient of inputs (rows, m) from that of the outputs (rows, n), where it is asked for."""
    n = len(weight)
    missing = -n % LANES
    arriving = functional.pad(grad, (0, missing)) if missing else grad
    table = functional.pad(weight.detach().t(), (0, missing, 0, 1))
    spread(sampled.input_gradient, len(made), 0, n, arriving.numpy(), table.numpy(), near.numpy(), made.numpy())


def _weight_gradient(inputs: Tensor, grad: Tensor, lists: events.Lists) -> Tensor:
    """(n, m), of inputs (rows, m) with such events, and the gradient of the outputs (rows, n)."""
    n = grad.shape[1]
    total = inputs.new_zeros(-(-n // LANES), inputs.shape[1], LANES)
    spread(events.weight_gradient, n, 0, len(inputs), inputs.numpy(), grad.numpy(), total.numpy(), lists)
    return total.transpose(1, 2).reshape(-1, inputs.shape[1])[:n].contiguous()
