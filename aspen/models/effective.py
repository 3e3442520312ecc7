"""How many synapses the values that a layer reads reach: products of PyTorch, and what of them is other than zero.

Counted on the CPU, in float64 or integers: exact, and possible where a device has no float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CONVOLUTIONS = frozenset({f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)})
MATRICES = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv"})
CELLS = frozenset({"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"})
SEQUENCES = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
COUNTED = frozenset({"linear", *CONVOLUTIONS, *MATRICES, *CELLS})
"""Functions of torch whose products are counted."""
UNCOUNTED = frozenset(
    {
        "einsum", "tensordot", "bilinear", "addmm", "addbmm", "baddbmm", "addmv", "dot", "outer", "cdist", "inner",
        "embedding", "embedding_bag",
        "scaled_dot_product_attention", "multi_head_attention_forward",
        "layer_norm", "group_norm", "instance_norm", "rms_norm", "softmax", "log_softmax",
        *(f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)),
        *(f"{kind}_pool{n}d_with_indices" for kind in ("max", "adaptive_max") for n in (1, 2, 3)),
    }
)  # fmt: skip
"""Functions that compute on a layer's values, and are named, as their work is not in the counts."""


@dataclass(frozen=True)
class Reach:
    """What each value that a layer reads reaches.

    Args:
        fan_out: synapses with a weight other than zero, for each value of one sample.
        dense: synapses of one sample, weights of zero and all, as NeuroBench counts them.
        targets: values that are made of one sample.
        weights: other than zero, as they are stored.
        axes: how many axes of the layer's input one sample has.
    """

    fan_out: Tensor
    dense: int
    targets: int
    weights: int
    axes: int

    @property
    def synapses(self) -> int:
        """With a weight other than zero, of one sample."""
        return int(self.fan_out.sum())

    def rows(self, given: Tensor) -> int:
        """So many samples, or places that are treated alike, a call is given."""
        return given.numel() // self.fan_out.numel()

    def reached(self, given: Tensor) -> int:
        """Synapses that values other than zero reach in a call."""
        busy = (given != 0).reshape(-1, *self.fan_out.shape).sum(0)
        return int((busy.cpu() * self.fan_out).sum())


def reach_of(name: str, function: Callable[..., Tensor], given: Tensor, weight: Tensor, options: Any) -> Reach:
    """The reach of a layer.

    Args:
        name: one of :data:`COUNTED`, but for matrices and cells.
        function: that makes a linear map of an input and a weight.
        given: what it is given.
        weight: of the layer.
        options: arguments and keywords after input, weight and bias.
    """
    mask = (weight != 0).cpu().double()
    stored = int(mask.sum())
    if name == "linear":
        fan_out = mask.sum(0) if mask.ndim > 1 else mask
        return Reach(fan_out, mask.numel(), mask.shape[0] if mask.ndim > 1 else 1, stored, 1)
    axes = mask.ndim - 1
    shape = given.shape[-axes:]
    fan_out, targets = _counted_back(function, shape, mask, options)
    dense, _ = _counted_back(function, shape, torch.ones_like(mask), options)
    return Reach(fan_out, int(dense.sum()), targets, stored, axes)


def _counted_back(
    function: Callable[..., Tensor], shape: Sequence[int], mask: Tensor, options: Any
) -> tuple[Tensor, int]:
    """For each value of one sample, how many synapses leave it: the gradient of the sum over what it makes."""
    arguments, keywords = options
    with torch.enable_grad():
        like = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
        made = function(like, mask, None, *arguments, **keywords)
        (gradient,) = torch.autograd.grad(made.sum(), like)
    return gradient[0], made.numel()


def products(a: Tensor, b: Tensor) -> int:
    """Products of two values other than zero in ``a @ b``."""
    busy_a, busy_b = (a != 0).cpu().double(), (b != 0).cpu().double()
    if a.ndim == 1 or b.ndim == 1:
        return int((busy_a @ busy_b).sum())
    return int((busy_a.sum(-2) * busy_b.sum(-1)).sum())  # for each inner index: how many left, times how many right


def are_spikes(given: Tensor) -> bool:
    """Whether values are additions to whatever they reach: 0, 1, or -1."""
    return given.dtype == torch.bool or bool(((given == 0) | (given.abs() == 1)).all())


def operands(args: Any, kwargs: Any) -> tuple[Tensor, Tensor, tuple[Any, ...], dict[str, Any]]:
    """Input, weight, and what else a linear function was called with, but for its bias."""
    named = dict(zip(("input", "weight", "bias"), args, strict=False))
    rest = {name: value for name, value in kwargs.items() if name not in ("input", "weight", "bias")}
    named |= {name: kwargs[name] for name in ("input", "weight", "bias") if name in kwargs}
    return named["input"], named["weight"], tuple(args[3:]), rest


def conv_options(inner: nn.Conv2d) -> tuple[Any, ...]:
    """What a convolution's function takes after its bias."""
    return inner.stride, inner.padding, inner.dilation, inner.groups


def come_back(inner: Any, spikes: Tensor) -> Tensor | float:
    """What recurrent spikes add to a neuron's input, without the bias."""
    if isinstance(inner, nn.Linear):
        return torch.nn.functional.linear(spikes, inner.weight)
    if isinstance(inner, nn.Conv2d):
        return torch.conv2d(spikes, inner.weight, None, *conv_options(inner))
    return spikes * inner.V if hasattr(inner, "V") else 0.0
