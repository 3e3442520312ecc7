"""Watch a snnTorch model run, and tell how every neuron's input is made.

The model runs on a sample. Every tensor that is made from the input or from spikes gets a :class:`Node`: what it is, or
which operation made it from which other nodes. The nodes of a neuron's input are an expression that can be computed
again (see :mod:`aspen.exporting.folding`). An operation that is not known to be linear makes the tensor *mixed*, and a
mixed tensor is refused where it would drive a neuron. So what cannot be mapped is found and named, not approximated.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aspen.errors import ModelError
from aspen.exporting.gates import MAX_FUNCTIONS, Window, source_of, window, window_of
from aspen.exporting.layers import IDENTITIES
from aspen.exporting.nodes import EVERY_STEP, STATES, Node, element, stack
from aspen.exporting.records import Record
from aspen.exporting.traces import Call, Trace
from aspen.models.forms import ENCODERS, InputForm
from aspen.models.operations import (
    DROPOUTS,
    FRESH,
    LINEAR,
    LOOKS,
    PICKS,
    PRODUCTS,
    REPEATS,
    RESHAPES,
    SAME_VALUES,
    convert,
    operation_name,
    parts,
)

_FILLS = ("__iadd__", "add_", "__setitem__")


class _Watcher(TorchFunctionMode):
    """Follows tensors through torch functions, except those inside leaf modules."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.nodes: dict[int, tuple[Node, weakref.ref[Tensor], int]] = {}
        self.inside = 0
        self.step_size = 0
        self.shape: tuple[int, ...] = ()
        self.records: dict[int, Record] = {}

    def mark(self, tensor: Tensor, node: Node) -> None:
        # the reference tells whether the id has passed on to another tensor; the version counts changes in place
        self.nodes[id(tensor)] = (node, weakref.ref(tensor), tensor._version)

    def knows(self, tensor: Tensor) -> bool:
        return id(tensor) in self.nodes and self.nodes[id(tensor)][1]() is tensor

    def node(self, tensor: Tensor) -> Node:
        if not self.knows(tensor):
            return Node("mixed", tuple(tensor.shape), operation="a new tensor")
        node, _, version = self.nodes[id(tensor)]
        changed = version != tensor._version
        return Node("mixed", node.shape, operation="a change in place") if changed else node

    def symbolic(self, value: Any) -> Any:
        """``value`` with nodes for the tensors that are known; others stay, as constants."""
        return convert(value, Tensor, lambda tensor: self.node(tensor) if self.knows(tensor) else tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.inside:
            return func(*args, **kwargs)
        known = [self.node(tensor) for tensor in parts((args, kwargs), Tensor) if self.knows(tensor)]
        symbolic = self.symbolic((tuple(args), kwargs)) if known else ((), {})
        begun = self._begun(args[0]) if known and operation_name(func) in _FILLS else None
        result = func(*args, **kwargs)
        if begun is not None:
            self._fill(operation_name(func), args[0], symbolic[0], begun)
        elif known:
            self._follow(func, known, args, symbolic, result)
        return result

    def _begun(self, target: Any) -> Record | None:
        """The record that a tensor is, as far as it is filled; None where it holds anything else than zeros beside."""
        if not isinstance(target, Tensor):
            return None
        if not self.knows(target):
            return None if bool(target.any()) else Record(weakref.ref(target))
        record = self.records.get(id(target))
        return record if record is not None and record.of() is target and record.version == target._version else None

    def _fill(self, name: str, target: Tensor, args: Any, record: Record) -> None:
        """Zeros were changed in place: a sum begins, or a slice of a record is filled."""
        value, shape = args[-1], tuple(target.shape)
        node = Node("mixed", shape, operation="a change in place")
        if name == "__setitem__" and record.take(args[1], value, target):
            record.version = target._version
            self.records[id(target)] = record
            node = stack(record.items(target), record.dim, shape)
        elif name != "__setitem__" and len(args) == 2 and isinstance(value, Node) and value.shape == shape:
            node = Node("apply", shape, operation="clone", function=torch.clone, args=(value,))
        self.mark(target, node)

    def _follow(self, func: Any, known: list[Node], args: Any, symbolic: Any, result: Any) -> None:
        name = operation_name(func)
        if name in LOOKS and not parts(result, Tensor):
            raise ModelError(
                f"forward(): found {name!r} on values that depend on the input, allowed is control flow that does not "
                f"depend on data; remove it, or export the part without it"
            )
        if name == "__setitem__" or (name.endswith("_") and not name.endswith("__")):
            self._change(name, known, args, symbolic)
            return
        if name in ENCODERS and all(node.raw or node.kind in ("input", "whole") for node in known):
            self._encode(name, result)
            return
        results = [] if name in FRESH else parts(result, Tensor)
        for item, tensor in enumerate(results):
            if self.knows(tensor) and name != "__iadd__":
                if name not in SAME_VALUES | RESHAPES | DROPOUTS:
                    self.mark(tensor, Node("mixed", tuple(tensor.shape), operation=name))
                continue
            pick = None if isinstance(result, Tensor) else item
            made = self._made(func, name, known, symbolic, tensor, pick)
            raw = made.kind in ("mixed", "apply") and all(n.raw or n.kind in ("input", "whole") for n in known)
            self.mark(tensor, replace(made, raw=True) if raw else made)

    def _encode(self, name: str, made: Tensor) -> None:
        """Spikes that the model draws of its input: the network begins behind them."""
        trace, shape = self.trace, tuple(made.shape)
        if len(shape) > len(self.shape):
            self.step_size = made[0].numel()
            self.mark(made, Node("whole", shape, index=torch.arange(made.numel()).reshape(shape)))
        else:
            self.mark(made, Node("input", shape, call=len(trace.encoded)))
        trace.encoder = name
        trace.encoded += list(made) if len(shape) > len(self.shape) else [made]

    def _change(self, name: str, known: list[Node], args: Any, symbolic: Any) -> None:
        """A function changed its first tensor: adding to a sum is fine, anything else is not."""
        target = args[0]
        if name == "add_" and isinstance(symbolic[0][0], Node) and symbolic[0][0].kind == "apply":
            self.mark(target, self._made(torch.add, "add", known, symbolic, target, None))
        elif name != "requires_grad_":
            self.mark(target, Node("mixed", tuple(target.shape), operation="a change in place"))

    def _made(self, func: Any, name: str, known: list[Node], symbolic: Any, tensor: Tensor, item: int | None) -> Node:
        shape = tuple(tensor.shape)
        args, kwargs = symbolic
        if name == "__iadd__":
            if known[0].kind != "apply":
                return Node("mixed", shape, operation="a change in place")
            func, name = torch.add, "add"
        if name in DROPOUTS and not kwargs.get("training", args[2] if len(args) > 2 else True):
            return known[0]
        if name in SAME_VALUES and tensor.dtype in (torch.float32, torch.float64):
            return known[0]
        if (picked := element(name, args, kwargs, item)) is not None:
            return picked
        same = known[0].kind == "input" and known[0].call == EVERY_STEP
        if len(known) == 1 and same and name in RESHAPES | PICKS | REPEATS:
            made = self._picked(func, args, kwargs, item)
            if name in REPEATS or torch.equal(_places(made).flatten(), _places(known[0]).flatten()):
                return made
        if known[0].kind == "whole" and len(known) == 1 and name in RESHAPES | PICKS | REPEATS:
            return self._picked(func, args, kwargs, item)
        if name in MAX_FUNCTIONS:
            over = window(MAX_FUNCTIONS[name], *args[1:], **kwargs)
            return self.gate(args[0], over, shape) or Node("mixed", shape, operation=name, function=over, args=args)
        if name not in LINEAR or (name in PRODUCTS and (len(known) > 1 or not isinstance(_first(args), Node))):
            of_two = [part for part in args if isinstance(part, Node)] == list(args) and not kwargs
            return Node("mixed", shape, operation=name, function=func, args=args if of_two else ())
        return Node("apply", shape, operation=name, function=func, args=args, kwargs=kwargs, item=item)

    def gate(self, given: Any, window: Window | None, shape: tuple[int, ...]) -> Node | None:
        """The spikes of a maximum pool over spikes, noted as a call of neurons; None for one over other values."""
        source = source_of(given)
        if window is None or source is None or (source.kind == "input" and not self.trace.spiking_input):
            return None
        stem = f"{source.module or 'input'}.pool"
        names = (stem, *(f"{stem}{number}" for number in range(2, len(self.trace.gates) + 3)))
        name = next(n for n in names if self.trace.gates.get(n, (source.module, window)) == (source.module, window))
        self.trace.gates[name] = (source.module, window)
        if not any((made.module, made.call) == (name, source.call) for made in self.trace.calls):
            summed = Node("apply", shape, operation="max_pool", function=window, args=(given,))
            self.trace.calls.append(Call(name, source.call, summed, ""))
        return Node("spikes", shape, name, source.call)

    def _picked(self, func: Any, args: Any, kwargs: Any, item: int | None) -> Node:
        """A part of the sample: one time step of it, or any other part."""
        index = func(*convert(args, Node, _places), **convert(kwargs, Node, _places))
        index = index if item is None else index[item]
        flat, size = index.reshape(-1), self.step_size
        first = int(flat[0]) if len(flat) else 0
        apart = not self.trace.form.static or index.shape[:1] == self.shape[:1]
        if apart and len(flat) == size and first % size == 0 and torch.equal(flat, torch.arange(first, first + size)):
            return Node("input", tuple(index.shape), call=EVERY_STEP if self.trace.form.static else first // size)
        return Node("whole", tuple(index.shape), index=index)


def _places(node: Node) -> Tensor:
    """For each value of a part of the sample its place in it, or in its step where that is always the same."""
    return torch.arange(prod(node.shape)).reshape(node.shape) if node.index is None else node.index


def _first(args: tuple[Any, ...]) -> Any:
    """The first operand that is no number: products are linear in it."""
    return next((value for value in args if isinstance(value, (Tensor, Node))), None)


def trace(
    run: Callable[[], Any], given: list[Tensor], leaves: dict[str, nn.Module], form: InputForm, frames: Tensor
) -> Trace:
    """What happens while ``run`` runs the model.

    Args:
        run: runs the model, and returns what it answers.
        given: the tensors that the model is given, as the form makes them of the frames.
        leaves: modules whose insides are not looked into, by name.
        form: how the model takes its input.
        frames: (time, batch, *shape).
    """
    traced = Trace(form=form)
    watcher = _Watcher(traced)
    watcher.step_size = frames[0].numel()
    watcher.shape = tuple(frames.shape[1:])
    traced.spiking_input = bool(((frames == 0) | (frames == 1)).all())
    if form.kind == "loop":
        (index,) = form.given(torch.arange(frames.numel()).reshape(frames.shape))
        watcher.mark(given[0], Node("whole", tuple(given[0].shape), index=index))
    for step, tensor in enumerate(given if form.kind != "loop" else []):
        watcher.mark(tensor, Node("input", tuple(tensor.shape), call=EVERY_STEP if form.static else step))
    with _hooks(leaves, watcher), torch.no_grad(), watcher:
        traced.returned = parts(watcher.symbolic(run()), Node)
    return traced


@contextmanager
def _hooks(leaves: dict[str, nn.Module], watcher: _Watcher) -> Iterator[None]:
    handles = []
    for name, leaf in leaves.items():
        neuron = type(leaf).__name__ in STATES
        hooks = (_NeuronHooks if neuron else _LayerHooks)(name, watcher)
        # what others' hooks do belongs to a layer, and is followed as operations before and after a neuron
        handles.append(leaf.register_forward_pre_hook(hooks.before, with_kwargs=True, prepend=not neuron))
        handles.append(leaf.register_forward_hook(hooks.after, with_kwargs=True, prepend=neuron))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _LayerHooks:
    """Notes what a layer, its hooks included, made of what."""

    def __init__(self, name: str, watcher: _Watcher) -> None:
        self.name, self.watcher = name, watcher
        self.given: Any = ((), {})
        self.same: Any = None

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.given, self.same = self.watcher.symbolic((tuple(args), kwargs)), args[0] if args else None
        self.watcher.inside += 1
        self.watcher.trace.ran[self.name] = None

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        made_here = self.watcher.trace.layers.setdefault(self.name, [])
        for item, tensor in enumerate(parts(output, Tensor)):
            if tensor is self.same and isinstance(module, IDENTITIES):
                node = self.watcher.node(tensor)
            else:
                pick = None if isinstance(output, Tensor) else item
                made, options = self.given
                node = self._gate(module, made, tensor) or Node(
                    "apply", tuple(tensor.shape), self.name, 0, self.name, module, made, options, pick
                )
            self.watcher.mark(tensor, node)
            made_here += [node] if item == 0 else []
        self.watcher.inside -= 1

    def _gate(self, module: nn.Module, args: tuple[Any, ...], made: Tensor) -> Node | None:
        """The layer as a gate, if it is a maximum over spikes and nobody's hooks change it."""
        found = window_of(module)
        node = None if found is None or not args else self.watcher.gate(args[0], found, tuple(made.shape))
        if node is not None:
            self.watcher.trace.pools.add(self.name)
        return node


class _NeuronHooks:
    """Notes the input of a neuron and what it made, and watches that its state goes from step to step unchanged."""

    def __init__(self, name: str, watcher: _Watcher) -> None:
        self.name, self.watcher = name, watcher
        self.calls = 0
        self.left: dict[str, Tensor] = {}

    def before(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self.watcher.inside += 1
        self.watcher.trace.ran[self.name] = None
        given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
        if not isinstance(given.get("input_"), Tensor):
            raise ModelError(f"{self.name}: found an input that is no tensor; pass the tensor as the first argument")
        states = STATES[type(module).__name__]
        problems = [self._problem(module, state, given.get(state)) for state in states]
        problem = next((problem for problem in problems if problem), "")
        anew = all(self._begins_anew(module, state, given.get(state)) for state in states)
        self.watcher.trace.calls.append(Call(self.name, self.calls, self.watcher.node(given["input_"]), problem, anew))

    def _begins_anew(self, module: nn.Module, state: str, given: Any) -> bool:
        """Whether a state is zero, and if it is handed over, made of nothing that the model did."""
        value = getattr(module, state) if given is None else given
        return not bool(value.any()) and (given is None or not self.watcher.knows(given))

    def _problem(self, module: nn.Module, state: str, given: Any) -> str:
        value = getattr(module, state) if given is None else given
        if self.calls == 0:
            return "" if bool((value == 0).all()) else f"starts with {state!r} other than zero"
        if given is None:
            return "" if torch.equal(value, self.left[state]) else f"has {state!r} changed between two steps"
        node = self.watcher.node(given)
        kind = "spikes" if state == "spk" else "state"
        fits = (node.kind, node.module, node.call) == (kind, self.name, self.calls - 1)
        if fits and node.operation in ("", state):
            return ""
        anew = ": it begins anew at zero, and remembers nothing" if not bool(value.any()) else ""
        return f"is given as {state!r} not what it made a step before{anew}"

    def after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        made = parts(output, Tensor)
        states = [state for state in STATES[type(module).__name__] if state != "spk"]
        self.watcher.mark(made[0], Node("spikes", tuple(made[0].shape), self.name, self.calls))
        for state, tensor in [*zip(states, made[1:], strict=False), *((s, getattr(module, s)) for s in states)]:
            self.watcher.mark(tensor, Node("state", tuple(tensor.shape), self.name, self.calls, state))
        self.left = {state: getattr(module, state).clone() for state in STATES[type(module).__name__]}
        self.calls += 1
        self.watcher.inside -= 1
