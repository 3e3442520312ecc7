"""snnTorch's neurons over all time steps at once: what their modules say, as arguments of the scan."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.fused import kernels
from aspen.fused.fired import Fired
from aspen.fused.loops import LOOPS, NUMBA, STEPS, choose, has_triton, state_dtype
from aspen.fused.recurrence import read_recurrence
from aspen.fused.scan import Rule, scan
from aspen.fused.surrogates import Surrogate, read_surrogate
from aspen.fused.vectors import LANES
from aspen.models.layers import AT_ONCE, show
from aspen.thresholds.guards import find_guard
from aspen.thresholds.neuron_control import NeuronControl

STATES: dict[type[nn.Module], tuple[str, ...]] = {
    snntorch.Leaky: ("mem",),
    snntorch.Lapicque: ("mem",),
    snntorch.Synaptic: ("syn", "mem"),
    snntorch.RLeaky: ("mem",),
    snntorch.RSynaptic: ("syn", "mem"),
}
"""The neurons that can be fused, and the states that each returns beside its spikes."""
_RESETS = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}


class Neuron:
    """One spiking layer of a model.

    Args:
        name: qualified name of the layer.
        layer: the snnTorch neuron.
        recompute: as :class:`aspen.fused.scan.Rule` has it.

    Raises:
        ModelError: it does something that cannot be fused.

    Attributes:
        ran: what stepped it in the last pass, as :mod:`aspen.fused.loops` calls it; empty before.
    """

    def __init__(self, name: str, layer: Any, recompute: bool = False) -> None:
        self.what = f"{show(name)} ({type(layer).__name__})"
        self.name = name
        self.layer = layer
        self._check_kind()
        self.states = STATES[type(layer)]
        self.recurrent = isinstance(layer, (snntorch.RLeaky, snntorch.RSynaptic))
        self.control: NeuronControl | None = find_guard(layer, NeuronControl)
        self._check_forward()
        self.recompute, self.ran = recompute, ""
        self._surrogates: dict[torch.dtype, Surrogate] = {}
        self._read_from: Any = None
        self._graded: tuple[Any, int, bool] = None, 0, False

    def _check_kind(self) -> None:
        layer = self.layer
        if type(layer) in AT_ONCE:
            raise ModelError(
                f"{self.what}: found neurons that are given all time steps at once, allowed are such as step; train "
                f"the model as it is, which takes no loop over time either"
            )
        if type(layer) not in STATES:
            allowed = ", ".join(kind.__name__ for kind in STATES)
            raise ModelError(f"{self.what} cannot be fused, allowed are {allowed}; use one of these, or the plain loop")
        for option in ("inhibition", "state_quant"):
            if getattr(layer, option):
                raise ModelError(f"{self.what}: found {option}, which cannot be fused; use {option}=False")
        built = _RESETS.get(getattr(layer.state_function, "__name__", ""))
        number = snntorch.SpikingNeuron.reset_dict.get(built or "", -1)
        if built != layer.reset_mechanism or int(layer.reset_mechanism_val) != number:
            raise ModelError(
                f"{self.what}: found reset_mechanism={layer.reset_mechanism!r} on a neuron that was built with "
                f"{built!r}, which snnTorch obeys only in part; build it with the reset that it shall have"
            )
        if isinstance(layer, snntorch.RSynaptic) and not layer.reset_delay:
            raise ModelError(f"{self.what}: found reset_delay=False, which snnTorch 1.0 fails to do; use True")

    def _check_forward(self) -> None:
        guard = vars(self.layer).get("forward")
        if guard is not self.control or (self.control is not None and self.control.replaced is not None):
            raise ModelError(
                f"{self.what}: found a forward() of its own on this module, which cannot be fused; remove what was put "
                f"around it, or use the plain loop"
            )

    def refresh(self) -> None:
        """Look again for the knob and the perturbation, which come and go."""
        self.control = find_guard(self.layer, NeuronControl)
        self._check_forward()

    def run(self, current: Tensor, fired: Fired | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Spikes and states of all steps, from states of zero.

        Args:
            current: input (time, batch, *features).
            fired: where it is kept in bits which neurons fired, if anywhere.

        Returns:
            spikes and states, each (time, batch, *features).
        """
        self._check_input(current)
        self.ran = choose(current.device.type, current.dtype, self.recurrent, has_triton())
        if self.ran == STEPS:
            return self._step_through(current)
        shape, states = current.shape[1:], state_dtype(current.dtype)
        theta = self._threshold(shape, current[0].to(states))
        signal, alpha, beta = self._decays(current)
        returned = _promoted(current, alpha, beta, theta)
        surrogate = replace(self._surrogate(states), dtype=self._surrogate(returned).dtype)
        # snnTorch takes a lone threshold in the precision of the spikes where it multiplies it with the reset
        amount = theta.to(self._surrogate(states).dtype).to(theta.dtype) if theta.ndim == 0 else theta
        flat_theta = self._flat("threshold", theta, current)
        in_bits = fired is not None and self.ran == NUMBA and shape[1:].numel() % LANES == 0
        is_compact = in_bits and surrogate.kind == kernels.TRIANGLE and torch.is_grad_enabled()
        spikes, membrane, synaptic, bits, near = scan(
            self._rule(surrogate, tuple(shape), in_bits, is_compact),
            signal.reshape(len(signal), -1).contiguous(),
            None if alpha is None else self._flat("alpha", alpha, current),
            self._flat("beta", beta, current),
            flat_theta,
            flat_theta if amount is theta else self._flat("threshold", amount, current),
        )
        spikes = spikes.view(current.shape)
        if fired is not None and in_bits:
            fired.keep(spikes, bits, near if is_compact else None)
        made = {"syn": synaptic, "mem": membrane}
        graded = spikes * self.layer.graded_spikes_factor if self._is_graded() else spikes
        return graded, {state: made[state].view(current.shape).to(returned) for state in self.states}

    def _rule(self, surrogate: Surrogate, shape: tuple[int, ...], bits: bool, near: bool) -> Rule:
        """How the neurons step, ``shape`` (batch, *features) of them."""
        recurrence = read_recurrence(self.what, self.layer, shape) if self.recurrent else None
        at_once = not getattr(self.layer, "reset_delay", True)
        return Rule(LOOPS[self.ran], self._reset(), at_once, surrogate, recurrence, self.recompute, bits, near)

    def _is_graded(self) -> bool:
        """Whether spikes are multiplied by something else than 1; looked up once, as a look at a GPU makes it wait."""
        factor = self.layer.graded_spikes_factor
        if factor.requires_grad:
            return True
        seen, version, graded = self._graded
        if seen is not factor or version != factor._version:
            graded = bool((factor != 1).any())
            self._graded = factor, factor._version, graded
        return graded

    def spike_dtype(self, signal: Tensor) -> torch.dtype:
        """The type of the spikes for an input like ``signal``."""
        spikes = signal.new_empty(signal.shape, dtype=self._surrogate(signal.dtype).dtype, device="meta")
        factor = self.layer.graded_spikes_factor
        return torch.result_type(spikes, torch.empty(factor.shape, dtype=factor.dtype, device="meta"))

    def _check_input(self, current: Tensor) -> None:
        if self.recurrent and self._is_graded():
            raise ModelError(
                f"{self.what}: found a graded_spikes_factor other than 1 on a recurrent neuron, which cannot be fused; "
                f"multiply what it feeds instead"
            )
        if not current.is_floating_point():
            raise ModelError(f"{self.what}: found an input of {current.dtype}, allowed is a floating one; cast it")

    def _surrogate(self, dtype: torch.dtype) -> Surrogate:
        function = self.layer.spike_grad
        if self._read_from is not function:
            self._read_from, self._surrogates = function, {}
        if dtype not in self._surrogates:
            self._surrogates[dtype] = read_surrogate(self.what, function, dtype)
        return self._surrogates[dtype]

    def _threshold(self, shape: torch.Size, step: Tensor) -> Tensor:
        """The threshold under the knob and the perturbation, as the loop's first step would have it."""
        theta: Tensor = self.layer.threshold
        return theta if self.control is None else self.control.setting(shape, step).threshold(theta)

    def _reset(self) -> int:
        if self.layer.reset_mechanism == "zero":
            return kernels.ZERO_BEFORE if isinstance(self.layer, snntorch.Leaky) else kernels.ZERO_AFTER
        return kernels.SUBTRACT if self.layer.reset_mechanism == "subtract" else kernels.NO_RESET

    def _decays(self, current: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """The input as it enters the first state, and the decays."""
        layer = self.layer
        if isinstance(layer, snntorch.Lapicque):
            scaled = current.to(state_dtype(current.dtype)) * layer.R * (1 / (layer.R * layer.C)) * layer.time_step
            return scaled, None, 1 - (layer.time_step / (layer.R * layer.C))
        return current, layer.alpha.clamp(0, 1) if "syn" in self.states else None, layer.beta.clamp(0, 1)

    def _flat(self, parameter: str, value: Tensor, current: Tensor) -> Tensor:
        """A parameter for every neuron of every sample, (n,)."""
        shape, states = current.shape[1:], state_dtype(current.dtype)
        if value.ndim and value.is_floating_point() and value.dtype not in (current.dtype, states):
            raise ModelError(
                f"{self.what}: found {parameter} in {value.dtype} for an input in {current.dtype}, allowed is the same "
                f"for both; move the model with .to({current.dtype})"
            )
        try:
            spread = value.to(states).expand(shape)
        except RuntimeError:
            raise ModelError(
                f"{self.what}: found {parameter} of shape {tuple(value.shape)} for neurons of shape "
                f"{tuple(shape[1:])}, allowed is one value, or one for each neuron"
            ) from None
        return spread.reshape(-1).contiguous()  # of a single value, reshape() makes a view with a stride of 0

    def _step_through(self, current: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The same by snnTorch's own steps, where no loop of ours runs: see :func:`aspen.fused.loops.choose`."""
        layer = self.layer
        forward = type(layer).forward.__get__(layer) if self.control is None else self.control
        keep = {state: layer._buffers[state] for state in ("spk", *self.states) if state in layer._buffers}
        shown: list[Tensor] = []
        states: dict[str, list[Tensor]] = {state: [] for state in self.states}
        try:
            for state in keep:
                layer._buffers[state] = current.new_zeros(0)
            for step in current:
                made = forward(step)
                shown.append(made if isinstance(made, Tensor) else made[0])
                for state in self.states:
                    states[state].append(getattr(layer, state))
        finally:
            layer._buffers.update(keep)
        return torch.stack(shown), {state: torch.stack(values) for state, values in states.items()}


def _promoted(current: Tensor, *parameters: Tensor | None) -> torch.dtype:
    """The type of what snnTorch's steps make of an input and parameters, where lone values count for nothing."""
    spread = [value.dtype for value in parameters if value is not None and value.ndim and value.is_floating_point()]
    return reduce(torch.promote_types, spread, current.dtype)
