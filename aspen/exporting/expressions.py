"""The expression of a neuron's input: where it begins, its value, whether it is the same at every step."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from aspen.errors import ModelError
from aspen.exporting.gates import MAX_FUNCTIONS
from aspen.exporting.layers import MAX_REMEDY, Doubles, check_layer
from aspen.exporting.nodes import EVERY_STEP, Node
from aspen.models.operations import convert, parts

Key = tuple[str, int]
"""Where an expression begins: population's module (the input: ``""``) and call."""
Values = Mapping[Key, Tensor]
_COMPARISONS = ("gt", "ge", "lt", "le")


def key(atom: Node) -> Key:
    """The key of spikes or of an input."""
    return (atom.module, atom.call)


def atoms(node: Node) -> dict[Key, Node]:
    """Where an expression begins."""
    found: dict[Key, Node] = {}
    seen: set[int] = set()

    def walk(part: Node) -> None:
        if id(part) in seen:
            return
        seen.add(id(part))
        if part.is_atom:
            found[key(part)] = part
        for inner in parts((part.args, part.kwargs), Node):
            walk(inner)

    walk(node)
    return found


def compute(node: Node, values: Values, doubles: Doubles, constants: bool = True) -> Tensor:
    """The value of an expression in float64.

    Args:
        node: the expression.
        values: (batch, n) or (batch, *shape) float64 for each atom.
        doubles: the layers in float64.
        constants: whether layers add their constants; without, they are linear.
    """
    done: dict[int, Tensor] = {}

    def double(tensor: Tensor) -> Tensor:
        return tensor.detach().cpu().double() if tensor.is_floating_point() else tensor.cpu()

    def value(part: Node) -> Tensor:
        if id(part) not in done:
            done[id(part)] = made(part)
        return done[id(part)]

    def made(part: Node) -> Tensor:
        if part.is_atom:
            given = values[key(part)]
            return given.reshape(len(given), *part.shape[1:])
        function = doubles(part.function, constants) if isinstance(part.function, nn.Module) else part.function
        args, kwargs = convert(convert((part.args, part.kwargs), Tensor, double), Node, value)
        result = function(*args, **kwargs)
        picked: Tensor = result if part.item is None else result[part.item]
        return picked

    with torch.no_grad():
        return value(node)


def operations(node: Node) -> list[str]:
    found = {node.operation: None} if node.operation else {}
    for part in parts((node.args, node.kwargs), Node):
        found.update(dict.fromkeys(operations(part)))
    return list(found)


def widest(node: Node) -> int:
    return max([prod(node.shape[1:])] + [widest(part) for part in parts((node.args, node.kwargs), Node)])


def check_expression(node: Node, consumer: str, parameters: set[int], used: dict[str, None]) -> None:
    """Refuse an expression that is not made by linear operations from the input and from spikes.

    Args:
        node: the expression.
        consumer: the neuron or layer that reads it, for messages.
        parameters: ids of the model's parameters and buffers.
        used: names of the layers in the expression; filled.
    """
    if node.kind == "whole":
        raise ModelError(
            f"{consumer}: its input is not the sample's step; read the input step by step, all of a step at once"
        )
    if node.kind == "state":
        raise ModelError(
            f"{consumer}: reads {node.operation!r} of {node.module}, allowed are spikes, or by a layer of Leaky, and "
            f"alone, the membranes of Leaky with one beta and the reset 'subtract' (delayed) or 'none'; feed it with "
            f"spikes"
        )
    if node.kind == "mixed" and node.operation in MAX_FUNCTIONS:
        raise ModelError(f"{consumer}: its input comes from {node.operation!r} over currents; {MAX_REMEDY}")
    if node.kind == "mixed":
        own = node.operation in _COMPARISONS  # of a membrane with a threshold
        remedy = ", or, if it is a neuron class of your own, say with aspen.add_neuron as what it does" if own else ""
        raise ModelError(
            f"{consumer}: its input comes from {node.operation!r}, which cannot be exported: it is not linear, or acts "
            f"in place; feed it straight from a layer or from the input{remedy}"
        )
    if node.is_atom:
        return
    if node.module:
        used[node.module] = None
        check_layer(node.module, node.function)
    for constant in parts((node.args, node.kwargs), Tensor):
        _check_constant(constant, node, consumer, parameters)
    for part in parts((node.args, node.kwargs), Node):
        check_expression(part, node.module or consumer, parameters, used)


def _check_constant(constant: Tensor, node: Node, consumer: str, parameters: set[int]) -> None:
    if id(constant) in parameters or not constant.is_floating_point():
        return
    if node.module or not bool(constant.any()):
        raise ModelError(
            f"{node.module or consumer}: its input comes from 'a new tensor', which cannot be exported; feed it from a "
            f"layer or the input, and give a sample with more steps than the longest delay"
        )


def same_expression(one: Any, two: Any, shift: int) -> bool:
    """Whether two expressions are built alike, ``two`` reading what lies ``shift`` steps before what ``one`` reads."""
    if isinstance(one, Node) and isinstance(two, Node):
        if (one.kind, one.module, one.item, one.shape) != (two.kind, two.module, two.item, two.shape):
            return False
        if one.is_atom:
            return one.call == two.call if one.call == EVERY_STEP else one.call - two.call == shift
        return one.function == two.function and same_expression((one.args, one.kwargs), (two.args, two.kwargs), shift)
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return one is two or (one.shape == two.shape and torch.equal(one, two))
    if isinstance(one, (list, tuple)) and type(one) is type(two) and len(one) == len(two):
        return all(same_expression(a, b, shift) for a, b in zip(one, two, strict=True))
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        return all(same_expression(one[key], two[key], shift) for key in one)
    return not isinstance(one, (Node, Tensor)) and type(one) is type(two) and bool(one == two)


def same_values(one: Node, two: Node, last: int, step: int, sizes: Mapping[str, int], doubles: Doubles) -> bool:
    """Whether two expressions have the same value, that of step ``last`` and that of an earlier step.

    They are computed on the same random numbers for what lies as many steps back; before the start lie zeros.
    """
    if one.shape != two.shape:
        return False
    drawn: dict[tuple[str, int], Tensor] = {}

    def draw(module: str, delay: int) -> Tensor:
        if (module, delay) not in drawn:
            seed = torch.Generator().manual_seed(len(drawn))
            size = (one.shape[0], sizes[module])
            drawn[module, delay] = torch.randn(size, generator=seed, dtype=torch.float64)
        return drawn[module, delay]

    def values(node: Node, at: int) -> dict[Key, Tensor]:
        given = {}
        for module, call in atoms(node):
            delay = 0 if call == EVERY_STEP else at - call
            given[module, call] = draw(module, delay) * (call == EVERY_STEP or delay <= step)
        return given

    try:
        first = compute(one, values(one, last), doubles)
        second = compute(two, values(two, step), doubles)
    except (RuntimeError, ValueError, IndexError, TypeError):
        return False
    return torch.allclose(first, second, rtol=1e-9, atol=1e-9 * (1 + float(first.abs().max())))
