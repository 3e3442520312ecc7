"""Ready-made snnTorch models for the command line and the examples. Any other snnTorch model works as well.

All are chains: a layer of weights, BatchNorm where it is asked for, neurons; then the next. The layers are called
``fc1`` or ``conv1``, ``norm1`` and ``lif1``, and so on, and a linear read-out ``readout``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from aspen._base.names import unknown_name
from aspen.errors import InputError

READOUTS = ("spikes", "linear")
FIRST_GAIN = 0.5
"""Weight of BatchNorm at the start: currents with this standard deviation make neurons with a threshold of 1 fire."""
FIRST_BETAS = (0.5, 0.95)
"""Between these the learned decays start, evenly spread at random."""


def normalises_over_time(model: nn.Module) -> bool:
    """Whether the model's own loop takes BatchNorm's statistics over time and batch, as those of this module do."""
    return isinstance(model, _Chain)


class _Chain(nn.Module):
    """What the models share: the blocks, one after the other, and the loop over time.

    BatchNorm takes its statistics over time and batch, not for each step alone: each layer gets the inputs of all steps
    at once while it trains. In ``eval()`` mode it is a part of the weights, and folds into them at the export.

    Args:
        beta: membrane decay per step, 0 to 1.
        reset_mechanism: ``zero`` (what Loihi does), ``subtract`` or ``none``.
        bias: whether layers that feed neurons have biases; those before a BatchNorm have none.
        reset_delay: snnTorch's: the reset acts in the step after the spike (as it does by default there), or at once.
        batch_norm: whether a BatchNorm stands before each layer of neurons.
        learn_beta: whether each neuron (each channel of a convolution) learns a decay of its own. They start at random
            by torch's seed, and ``beta`` does not count.
        readout: ``spikes``: the last layer's neurons spike for their classes. ``linear``: a linear layer with bias
            weighs the last hidden layer's spikes at each step; it does not spike.
        spike_grad: as in :class:`DenseNet`.
    """

    def __init__(
        self,
        beta: float,
        reset_mechanism: str,
        bias: bool,
        reset_delay: bool,
        batch_norm: bool,
        learn_beta: bool,
        readout: str,
        spike_grad: Callable[[Tensor], Tensor] | None,
    ) -> None:
        super().__init__()
        if readout not in READOUTS:
            raise InputError(unknown_name("readout", readout, READOUTS))
        self.depth = 0
        self.batch_norm = batch_norm
        self._beta, self._learn_beta = beta, learn_beta
        self._bias = bias and not batch_norm
        self._linear = readout == "linear"
        self._neuron_options: dict[str, Any] = {
            "reset_mechanism": reset_mechanism,
            "reset_delay": reset_delay,
            "spike_grad": spike_grad or surrogate.atan(alpha=2.0),
        }

    def _add_dense(self, n_in: int, n_out: int, recurrent: bool = False) -> None:
        layer = nn.Linear(n_in, n_out, bias=self._bias)
        options = {"linear_features": n_out} if recurrent else {}
        self._add("fc", layer, (n_out,), snntorch.RLeaky if recurrent else snntorch.Leaky, **options)

    def _add(
        self, kind: str, layer: nn.Module, betas: tuple[int, ...], neuron: type[nn.Module], **options: Any
    ) -> None:
        """Append a block; ``betas`` is the shape of its learned decays, whose first axis BatchNorm normalises."""
        self.depth += 1
        self.add_module(f"{kind}{self.depth}", layer)
        if self.batch_norm:
            norm = (nn.BatchNorm2d if len(betas) == 3 else nn.BatchNorm1d)(betas[0])
            nn.init.constant_(norm.weight, FIRST_GAIN)
            self.add_module(f"norm{self.depth}", norm)
        beta = torch.empty(betas).uniform_(*FIRST_BETAS) if self._learn_beta else self._beta
        made = neuron(beta=beta, learn_beta=self._learn_beta, **self._neuron_options, **options)
        self.add_module(f"lif{self.depth}", made)

    def _finish(self, n_in: int, classes: int) -> None:
        """Append the read-out."""
        if self._linear:
            self.readout = nn.Linear(n_in, classes)
        else:
            self._add_dense(n_in, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """The answer at each step, whose sum or mean over time is the score.

        Args:
            inputs: spikes or a current (time, batch, *shape).

        Returns:
            (time, batch, classes): the output's spikes, or the linear read-out's values.
        """
        steps = list(inputs.unbind(0))
        for number in range(1, self.depth + 1):
            steps = self._fire(getattr(self, f"lif{number}"), self._currents(number, steps))
        if self._linear:
            steps = [self.readout(self._shaped(self.readout, step)) for step in steps]
        return torch.stack(steps)

    def _currents(self, number: int, steps: list[Tensor]) -> list[Tensor]:
        """What a block's neurons are given at each step."""
        layer = getattr(self, f"fc{number}", None) or getattr(self, f"conv{number}")
        norm = getattr(self, f"norm{number}", None)
        shaped = [self._shaped(layer, step) for step in steps]
        if norm is None:
            return [layer(step) for step in shaped]
        if not norm.training:
            return [norm(layer(step)) for step in shaped]
        if len(shaped) == 1:  # fused, all steps are one
            return [norm(layer(shaped[0]))]
        return list(norm(layer(torch.cat(shaped))).unflatten(0, (len(steps), -1)).unbind(0))

    def _shaped(self, layer: Any, step: Tensor) -> Tensor:
        """One step's values as the layer takes them."""
        step = step.to(layer.weight.dtype)  # snnTorch's spikes are float32 in a float64 model too
        return step.flatten(1) if isinstance(layer, nn.Linear) and step.ndim > 2 else step

    def _fire(self, neuron: Any, currents: list[Tensor]) -> list[Tensor]:
        """The spikes of one layer of neurons at all steps, from states of zero."""
        left = neuron.reset_mem()
        states = left if isinstance(left, tuple) else (left,)
        spikes = []
        for current in currents:
            made = neuron(current, *states)
            spikes.append(made[0])
            states = made[-len(states) :]
        return spikes


class DenseNet(_Chain):
    """A feed-forward chain of ``nn.Linear`` and ``snntorch.Leaky``: ``fc1, lif1, fc2, lif2, ...``.

    >>> DenseNet((64, 32, 10))(torch.ones(25, 4, 64)).shape  # (time, batch, classes)
    torch.Size([25, 4, 10])

    Args:
        sizes: neurons per layer, the inputs first and the classes last: ``(64, 128, 64, 10)``.
        beta: membrane decay per step, 0 to 1.
        reset_mechanism: ``zero`` (what Loihi does), ``subtract`` or ``none``.
        bias: whether layers that feed neurons have biases; those before a BatchNorm have none.
        reset_delay: snnTorch's: the reset acts in the step after the spike (as it does by default there), or at once.
        batch_norm: whether a BatchNorm over time and batch stands before each layer of neurons.
        learn_beta: whether each neuron learns a decay of its own, which starts at random from 0.5 to 0.95 by torch's
            seed; ``beta`` does not count then.
        readout: ``spikes``: the last layer's neurons spike for their classes; ``linear``: a linear layer with a bias
            weighs the last hidden layer's spikes at each step, and does not spike.
        spike_grad: the neurons' surrogate; ``None``: snnTorch's ``atan(alpha=2.0)``.

    Raises:
        InputError: a size or the read-out is not allowed.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        beta: float = 0.9,
        reset_mechanism: str = "zero",
        bias: bool = False,
        reset_delay: bool = True,
        *,
        batch_norm: bool = False,
        learn_beta: bool = False,
        readout: str = "spikes",
        spike_grad: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(beta, reset_mechanism, bias, reset_delay, batch_norm, learn_beta, readout, spike_grad)
        least = 3 if self._linear else 2
        if len(sizes) < least or min(sizes) < 1:
            raise InputError(
                f"sizes: found {tuple(sizes)}, allowed are {least} or more sizes of at least 1; e.g. (64, 128, 10)"
            )
        for n_in, n_out in pairwise(sizes[:-1]):
            self._add_dense(n_in, n_out, self._recurrent)
        self._finish(sizes[-2], sizes[-1])

    _recurrent = False


class RecurrentNet(DenseNet):
    """A :class:`DenseNet` whose hidden layers are ``snntorch.RLeaky``: their spikes come back at the next step.

    Each hidden layer is connected to itself all to all, with biases. The reset acts at once if nothing is said: after a
    delayed reset to zero snnTorch's RLeaky loses what arrives in the step after a spike, which no chip does.

    >>> model = RecurrentNet((12, 32, 5), learn_beta=True)
    >>> type(model.lif1).__name__, model(torch.ones(25, 4, 12)).shape
    ('RLeaky', torch.Size([25, 4, 5]))

    Args:
        sizes, beta, reset_mechanism, bias, reset_delay, options: as in :class:`DenseNet`.

    Raises:
        InputError: a size or the read-out is not allowed.
    """

    _recurrent = True

    def __init__(
        self,
        sizes: Sequence[int],
        beta: float = 0.9,
        reset_mechanism: str = "zero",
        bias: bool = False,
        reset_delay: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(sizes, beta, reset_mechanism, bias, reset_delay, **options)


class ConvNet(_Chain):
    """Strided convolutions, then dense layers, all of ``snntorch.Leaky``: ``conv1, lif1, ..., fc3, lif3, ...``.

    With two axes, (channels, samples), it convolves over the samples. Where these are a window of a signal's last
    samples, as :class:`aspen.data.WindowEncoder` with ``flat=False`` gives at each step, that is a convolution in time.
    With three, (channels, height, width), it convolves over images, such as those of an event camera.

    >>> model = ConvNet(shape=(1, 28, 28), channels=(8, 16), hidden=(64,), classes=10)
    >>> model(torch.ones(5, 2, 1, 28, 28)).shape  # (time, batch, classes)
    torch.Size([5, 2, 10])

    Args:
        shape: of the input at each step. Flat inputs of as many values are brought to this shape.
        channels: of each convolution.
        hidden: sizes of the dense layers between the convolutions and the answer; may be empty.
        classes: number of classes.
        kernel: size of the convolutions' kernels, 1 or more; their borders are padded with ``kernel // 2`` zeros.
        stride: of the convolutions.
        beta, reset_mechanism, bias, reset_delay, batch_norm, learn_beta, readout, spike_grad: as in
            :class:`DenseNet`; each channel of a convolution learns one decay.

    Raises:
        InputError: a size or the read-out is not allowed.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        hidden: Sequence[int],
        classes: int,
        beta: float = 0.9,
        reset_mechanism: str = "zero",
        bias: bool = False,
        reset_delay: bool = True,
        *,
        kernel: int = 3,
        stride: int = 2,
        batch_norm: bool = False,
        learn_beta: bool = False,
        readout: str = "spikes",
        spike_grad: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(beta, reset_mechanism, bias, reset_delay, batch_norm, learn_beta, readout, spike_grad)
        sizes = (*shape, *channels, *hidden, classes, kernel, stride)
        if len(shape) not in (2, 3) or not channels or min(sizes) < 1:
            raise InputError(
                f"ConvNet: found the shape {tuple(shape)}, channels {tuple(channels)}, hidden {tuple(hidden)}, "
                f"{classes} classes, kernel {kernel} and stride {stride}, allowed are a shape (channels, samples) or "
                f"(channels, height, width), one convolution or more, and numbers of at least 1"
            )
        self.shape = tuple(shape)
        n_in, *extent = shape
        for n_out in channels:
            make = nn.Conv1d if len(extent) == 1 else nn.Conv2d
            layer = make(n_in, n_out, kernel, stride, kernel // 2, bias=self._bias)
            self._add("conv", layer, (n_out, *[1] * len(extent)), snntorch.Leaky)
            n_in, extent = n_out, [(size + kernel // 2 * 2 - kernel) // stride + 1 for size in extent]
        for size in extent:
            n_in *= size
        for n_out in hidden:
            self._add_dense(n_in, n_out)
            n_in = n_out
        self._finish(n_in, classes)

    def _shaped(self, layer: Any, step: Tensor) -> Tensor:
        flat = step.ndim == 2 and not isinstance(layer, nn.Linear)
        return super()._shaped(layer, step.unflatten(1, self.shape) if flat else step)
