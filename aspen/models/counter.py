"""The functions of torch that a model calls, looked at as they are called: what they multiply, what neurons fire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aspen.models.effective import (
    CELLS,
    COUNTED,
    MATRICES,
    SEQUENCES,
    UNCOUNTED,
    Reach,
    are_spikes,
    come_back,
    conv_options,
    operands,
    products,
    reach_of,
)
from aspen.models.layers import is_spiking
from aspen.models.operations import operation_name, parts
from aspen.models.own_neurons import is_own
from aspen.models.tallies import NeuronTally, SynapseTally


class Counter(TorchFunctionMode):
    """Counts while a model runs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.names = {id(values): name for name, values in model.named_parameters()}
        self.neurons: dict[str, NeuronTally] = {}
        self.synapses: dict[str, SynapseTally] = {}
        self.left_out: dict[tuple[str, str], None] = {}
        self.notes: dict[str, None] = {}
        self.stack: list[str] = [""]
        self.reaches: dict[tuple[Any, ...], Reach] = {}
        self.silent: dict[str, list[Tensor]] = {}
        self.counting = True
        self.recurrent: set[str] = set()
        self.dynamics: set[str] = set()  # what neurons compute within themselves is in the price of their updates
        self.ticks = 0
        self._find_neurons()

    def _find_neurons(self) -> None:
        inside: list[str] = []
        for name, module in self.model.named_modules():
            if any(name.startswith(f"{outer}.") for outer in inside):
                continue
            if is_spiking(module):
                self.neurons[name] = NeuronTally(module, _at_once(module), False)
                inside.append(name)
                self.dynamics.add(name)
                if hasattr(module, "recurrent"):
                    self.recurrent.add(f"{name}.recurrent")
                    self.dynamics |= {
                        n for n, _ in self.model.named_modules() if f"{n}.".startswith(f"{name}.recurrent.")
                    }
            elif _may_be_a_neuron(module):
                self.neurons[name] = NeuronTally(module, False, True)

    def silence(self, run: Callable[[], object]) -> None:
        """Note what neurons are given where nothing arrives: a run on zeros, in which no neuron fires.

        What they are given beyond that is their net synaptic input, whatever biases lie on the way.
        """
        seen: dict[str, list[Tensor]] = {}
        with ExitStack() as stack:
            for name, layer in self.neurons.items():
                stack.callback(layer.module.register_forward_pre_hook(_noting(seen, name), with_kwargs=True).remove)
                stack.callback(layer.module.register_forward_hook(_muting).remove)
            run()
        self.silent = seen

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on all modules, and the mode that sees torch's functions."""
        with ExitStack() as stack:
            for name, module in self.model.named_modules():
                stack.callback(module.register_forward_pre_hook(self._enter(name), with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self._leave(name), prepend=True).remove)
            stack.enter_context(self)
            yield

    def _enter(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            self.stack.append(name)
            if name in self.neurons:
                with self._resting():
                    self._arrive(name, given_to(args, kwargs))

        return hook

    def _leave(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            self.stack.pop()
            given = parts(out, Tensor)
            if name in self.neurons and given:
                with self._resting():
                    self._fire(name, given[0])

        return hook

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """What is computed in the block is ours, not the model's."""
        before, self.counting = self.counting, False
        try:
            yield
        finally:
            self.counting = before

    def _tick(self) -> int:
        self.ticks += 1
        return self.ticks

    def _fire(self, name: str, out: Tensor) -> None:
        layer = self.neurons[name]
        if layer.own and not (out.ndim > 1 and are_spikes(out) and bool((out >= 0).all())):
            del self.neurons[name]
            return
        layer.order = layer.order or self._tick()
        layer.see(out)
        inner = getattr(layer.module, "recurrent", None)
        if inner is not None:
            self._come_back(f"{name}.recurrent", inner, out)

    def _come_back(self, name: str, inner: Any, out: Tensor) -> None:
        """Spikes of recurrent neurons are counted when they are sent, once, however often snnTorch computes it."""
        if isinstance(inner, (nn.Linear, nn.Conv2d)):
            function = torch.nn.functional.linear if isinstance(inner, nn.Linear) else torch.conv2d
            options = () if isinstance(inner, nn.Linear) else conv_options(inner)
            self._weigh(name, operation_name(function), function, out, inner.weight, (options, {}))
            return
        weight = inner.V.expand(out.shape[1:]) if hasattr(inner, "V") else None
        if weight is None:
            self.left_out[name, type(inner).__name__] = None
            return
        stored = int((weight != 0).sum())
        reach = Reach((weight != 0).cpu().double(), weight.numel(), weight.numel(), stored, weight.ndim)
        self._add(name, "sparse", reach, out)

    def _arrive(self, name: str, given: Any) -> None:
        """Updates of a neuron are active where its input, without biases and with what comes back, is not zero."""
        layer = self.neurons[name]
        if not isinstance(given, Tensor):
            return
        constants = self.silent.get(name, [])
        layer.rough |= len(constants) <= layer.calls
        drive = given if layer.rough else given - constants[layer.calls]
        inner = getattr(layer.module, "recurrent", None)
        if inner is not None and layer.previous is not None:
            drive = drive + come_back(inner, layer.previous)
        layer.active += int((drive != 0).sum())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        name = operation_name(func).lstrip("_")
        name = operation_name(func) if name not in COUNTED | UNCOUNTED else name
        where = self.stack[-1]
        if self.counting and where not in self.dynamics:
            if name in COUNTED:
                self._count(name, func, args, kwargs)
            elif name in SEQUENCES:
                self._sequence(where, args)
            elif name in UNCOUNTED:
                self.left_out[where, name] = None
        return made

    def _count(self, name: str, func: Any, args: Any, kwargs: Any) -> None:
        if name in CELLS:
            self._cell(args)
        elif name in MATRICES:
            self._multiply(name, args)
        else:
            given, weight, rest, keywords = operands(args, kwargs)
            self._weigh(self._name(weight, name), name, func, given, weight, (rest, keywords))

    def _name(self, weight: Tensor, name: str) -> str:
        """The layer of a product: that of its weights, else the module that computes it."""
        known = self.names.get(id(self._stored(weight)))
        return known.removesuffix(".weight") if known else self.stack[-1] or name

    def _stored(self, weight: Tensor) -> Tensor:
        """The parameter that a tensor is a view of, such as its transpose."""
        return weight if weight._base is None else weight._base

    def _weigh(self, layer: str, name: str, func: Any, given: Tensor, weight: Tensor, options: Any) -> None:
        fixed = id(weight) in self.names
        size = given.shape[-(weight.ndim - 1) :]
        key = (layer, id(weight), weight._version, size) if fixed else ()
        reach = self.reaches.get(key) if fixed else None
        if reach is None:
            reach = reach_of(name, func, given, weight, options)
            if fixed:
                self.reaches[key] = reach
        self._add(layer, "dense" if name == "linear" else "conv", reach, given)

    def _add(self, layer: str, kind: str, reach: Reach, given: Tensor) -> None:
        entry = self.synapses.setdefault(layer, SynapseTally(kind, order=self._tick()))
        rows = reach.rows(given)
        entry.see(reach.reached(given), are_spikes(given), rows * reach.dense, rows)
        entry.synapses, entry.weights, entry.targets = reach.synapses, reach.weights, reach.targets
        entry.sources = int((reach.fan_out != 0).sum())

    def _multiply(self, name: str, args: Any) -> None:
        a, b = args[:2] if name != "__rmatmul__" else (args[1], args[0])
        weight = next((each for each in (b, a) if id(self._stored(each)) in self.names), None)
        layer = self._name(weight, name) if weight is not None else f"{self.stack[-1]}.{name}".lstrip(".")
        others = [each for each in (a, b) if each is not weight]
        entry = self.synapses.setdefault(layer, SynapseTally("dense", order=self._tick()))
        size = b.shape[-1] if b.ndim > 1 else 1
        rows = others[0].numel() // (others[0].shape[-1] or 1) if weight is not None else len(others[0])
        entry.see(products(a, b), all(map(are_spikes, others)), a.numel() * size, rows)
        if weight is not None:
            entry.synapses = entry.weights = int((weight != 0).sum())
            entry.sources, entry.targets = int(weight.shape[-2]), int(weight.shape[-1])
        else:
            self.notes[f"{layer}: values are multiplied with values; there are no synapses to place on a chip"] = None

    def _cell(self, args: Any) -> None:
        """A recurrent cell: its input and its hidden state each times a matrix, all of them values."""
        given, hidden, *weights = parts(args, Tensor)
        state = [each for each in weights if each.ndim == 2]
        matrices = state[-2:]
        for values, weight in zip((given, hidden), matrices, strict=True):
            reach = reach_of("linear", torch.nn.functional.linear, values, weight, ((), {}))
            self._add(self._name(weight, "cell"), "dense", reach, values)
            self.synapses[self._name(weight, "cell")].valued = True

    def _sequence(self, where: str, args: Any) -> None:
        """A recurrent layer over all steps: the weights of its input are counted."""
        given = args[0]
        weight = next(each for each in parts(args[1:], Tensor) if id(each) in self.names)
        name = self._name(weight, where)
        self._add(name, "dense", reach_of("linear", torch.nn.functional.linear, given, weight, ((), {})), given)
        self.notes[f"{where}: the weights of its input are counted, not those by which it goes on in time"] = None

    def firing(self) -> dict[str, NeuronTally]:
        """Layers of neurons that ran; a module of one's own is one where it fired."""
        ran = {name: layer for name, layer in self.neurons.items() if layer.calls}
        return {name: layer for name, layer in ran.items() if layer.spikes or not layer.own}

    def approximate(self) -> Iterator[str]:
        """What is not counted, or not exactly."""
        for where, name in self.left_out:
            yield f"{where or type(self.model).__name__}: the work of {name} is not counted"
        for name, layer in self.firing().items():
            if layer.own:
                yield f"{name}: taken for neurons, as {type(layer.module).__name__} gives out zeros and ones"
            if layer.rough:
                yield f"{name}: active updates hold those by a bias alone, as the model does not run on silence"
        yield from self.notes


def _at_once(module: nn.Module) -> bool:
    """Whether neurons are given all time steps at once."""
    return not hasattr(module, "state_function") and not is_own(module)


def _may_be_a_neuron(module: nn.Module) -> bool:
    """A module of one's own without parts; what it gives out decides."""
    ours = type(module).__module__.partition(".")[0]
    return ours not in ("torch", "snntorch") and not list(module.children())


def _noting(seen: dict[str, list[Tensor]], name: str) -> Any:
    def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
        given = given_to(args, kwargs)
        if isinstance(given, Tensor):
            seen.setdefault(name, []).append(given.clone())

    return hook


def _muting(module: nn.Module, args: Any, out: Any) -> Any:
    """A hook by which neurons do not fire."""
    spikes = out[0] if isinstance(out, tuple) else out
    if not isinstance(spikes, Tensor) or not are_spikes(spikes):
        return out
    mute = torch.zeros_like(spikes)
    return (mute, *out[1:]) if isinstance(out, tuple) else mute


def given_to(args: Any, kwargs: Any) -> Any:
    """The input of a call of a neuron."""
    return args[0] if args else kwargs.get("input_")
