"""Ready-made snnTorch models for the command line and the examples. Any other snnTorch model works as well."""

from __future__ import annotations

from collections.abc import Sequence

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from aspen.errors import InputError


class DenseNet(nn.Module):
    """A feed-forward chain of ``nn.Linear`` and ``snntorch.Leaky``: ``fc1, lif1, fc2, lif2, ...``.

    Args:
        sizes: neurons per layer, the inputs first: ``(64, 128, 64, 10)``.
        beta: membrane decay per step, 0 to 1.
        reset_mechanism: ``zero`` (what Loihi does), ``subtract`` or ``none``.
        bias: whether the linear layers have biases.
        reset_delay: snnTorch's: the reset acts in the step after the spike (as it does by default there), or at once.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        beta: float = 0.9,
        reset_mechanism: str = "zero",
        bias: bool = False,
        reset_delay: bool = True,
    ) -> None:
        super().__init__()
        if len(sizes) < 2 or min(sizes) < 1:
            raise InputError(
                f"sizes: found {tuple(sizes)}, allowed are two or more sizes of at least 1; e.g. (64, 128, 10)"
            )
        self.depth = len(sizes) - 1
        for i in range(self.depth):
            setattr(self, f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1], bias=bias))
            neuron = snntorch.Leaky(
                beta=beta,
                reset_mechanism=reset_mechanism,
                reset_delay=reset_delay,
                spike_grad=surrogate.atan(alpha=2.0),
            )
            setattr(self, f"lif{i + 1}", neuron)

    def forward(self, spikes: Tensor) -> Tensor:
        """Output spikes (time, batch, n_out) for input spikes (time, batch, n_in)."""
        membranes = [getattr(self, f"lif{i + 1}").reset_mem() for i in range(self.depth)]
        recorded = []
        for step in spikes:
            for i in range(self.depth):
                linear, neuron = getattr(self, f"fc{i + 1}"), getattr(self, f"lif{i + 1}")
                step = step.to(linear.weight.dtype)  # snnTorch's spikes are float32 in a float64 model too
                step, membranes[i] = neuron(linear(step), membranes[i])
            recorded.append(step)
        return torch.stack(recorded)
