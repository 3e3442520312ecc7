"""What happened while a model ran: the calls of its neurons, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from aspen.exporting.gates import Window
from aspen.exporting.nodes import Node
from aspen.models.forms import InputForm


@dataclass(frozen=True)
class Call:
    """One call of a neuron: its name, which call it was, its input, and what is wrong with its state (or nothing).

    ``anew``: every state that it began with was zero, and made of nothing.
    """

    module: str
    call: int
    node: Node
    problem: str
    anew: bool = False


@dataclass(frozen=True)
class Charged:
    """How a layer is driven that reads membranes.

    Args:
        source: the layer whose membranes it reads.
        beta: what these keep at each step.
        constant: what it is given beside, (batch, *shape), such as a bias: it acts on its membrane at once.
    """

    source: str
    beta: float
    constant: Tensor


@dataclass
class Trace:
    """What happened while a model ran.

    Args:
        calls: the calls of all neurons.
        ran: the leaves that ran, in order.
        layers: what each other leaf made, call by call.
        returned: what the model returned, as far as it depends on the input.
        form: how the model takes its input.
        gates: maximum pools over spikes: name -> the neurons that they pool, and their window.
        pools: layers that are such pools, or maxima over the currents of neurons without memory.
        charged: layers that read another's membranes.
        products: gates in the place of products of spikes: name -> the neurons that they multiply.
        multiplied: names of the layers whose values are multiplied there.
        spiking_input: whether the input is spikes.
        forgetful: neurons whose state begins anew at each step.
        encoder: the function by which the model makes spikes of its input, or nothing.
        encoded: the spikes that it made, step by step.
    """

    calls: list[Call] = field(default_factory=list)
    ran: dict[str, None] = field(default_factory=dict)
    layers: dict[str, list[Node]] = field(default_factory=dict)
    returned: list[Node] = field(default_factory=list)
    form: InputForm = field(default_factory=InputForm)
    gates: dict[str, tuple[str, Window]] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)
    charged: dict[str, Charged] = field(default_factory=dict)
    products: dict[str, tuple[str, ...]] = field(default_factory=dict)
    multiplied: dict[str, None] = field(default_factory=dict)
    spiking_input: bool = False
    forgetful: list[str] = field(default_factory=list)
    encoder: str = ""
    encoded: list[Tensor] = field(default_factory=list)
