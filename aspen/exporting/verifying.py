"""Is the exported network what the model runs? Tried on the model itself, not on its trace.

A trace tells what a model did once, as far as torch's functions show it. Hooks, counters and whatever else acts where
nobody looks may escape it. So the model runs again, on fresh copies and unwatched: as it is, on the sample; and on
random input with neurons that answer with random spikes, so that every synapse counts. At each step every neuron's
current, and every value of a linear read-out, must be what the network's connections make of the same spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aspen._base.arrays import Array
from aspen.errors import ModelError, one_line
from aspen.exporting.neurons import numpy
from aspen.exporting.nodes import STATES
from aspen.exporting.recording import title
from aspen.exporting.traces import Charged
from aspen.models.copying import copy_of
from aspen.models.delta import Changes
from aspen.models.forms import InputForm
from aspen.models.layers import forget, spiking_layers
from aspen.models.operations import parts
from aspen.network.connections import Connection

_ON_GPU = 2.0**-6
"""Tolerance on a GPU, whose products may be rounded to 10 bits; on a CPU it is the root of the precision."""


@dataclass(frozen=True)
class Wired:
    """What the network says of a layer's values.

    Args:
        connections: what they are made by, without a neuron's recurrence.
        scale: what a neuron's current is multiplied with before it is the network's, (n,).
        when: ``step`` where they are made at each step; ``sum`` or ``last`` where a read-out is made once, of all steps
            or of the last; ``gate`` for a maximum pool over spikes, which is no neuron of the model.
        above: the threshold of a gate.
        charged: how a layer is driven that reads membranes: what it is given is a current that keeps a part of itself.
        pool: what takes the largest of these values before the neuron is given them, (batch, m) -> (batch, n); or None.
    """

    connections: tuple[Connection, ...]
    scale: Array
    when: str = "step"
    above: float = 0.5
    charged: Charged | None = None
    pool: Callable[[Array], Array] | None = None


@dataclass(frozen=True)
class Wiring:
    """A network as it was made from a model.

    Args:
        layers: module -> what the network says of it: all neurons, and the linear layer that is read, if there is one.
        names: module -> population, ``""`` -> the input.
        form: how the model takes its input.
        output: module of the population that is read.
    """

    layers: Mapping[str, Wired]
    names: Mapping[str, str]
    form: InputForm
    output: str


def verify(model: nn.Module, sample: Tensor, wiring: Wiring) -> None:
    """Raise unless the model's own runs agree with the network.

    Args:
        model: the model; copies of it run, in ``eval()`` mode.
        sample: (time, batch, *shape).
        wiring: the network.

    Raises:
        ModelError: they do not, and where; or the model returns its output's neurons in another order.
    """
    asis = _Run(wiring, sample, "the sample")
    asis.run(copy_of(model).eval(), {})
    random = _Run(wiring, _random(sample), "random input and spikes")
    random.run(copy_of(model).eval(), asis.types)
    random.check_order()


def _random(sample: Tensor) -> Tensor:
    """Random input like the sample: spikes where it holds spikes, else a current as strong."""
    drawn = torch.rand(sample.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spikes = bool(((sample == 0) | (sample == 1)).all())
    values = drawn < 0.5 if spikes else (2 * drawn - 1) * float(sample.abs().max())
    return values.to(sample.device, sample.dtype)


class _Run:
    """One run of the model, and what the network makes of the same spikes.

    Args:
        wiring: the network.
        sample: (time, batch, *shape).
        on: what the run is on, for messages.
    """

    def __init__(self, wiring: Wiring, sample: Tensor, on: str) -> None:
        self.wiring, self.on = wiring, on
        self.inputs = wiring.form.given(sample)
        self.modules = {population: module for module, population in wiring.names.items()}
        self.fired: dict[str, list[Array]] = {name: [] for name in wiring.layers}
        given = sample[:1].expand_as(sample) if wiring.form.static else sample
        self.fired[""] = [numpy(step).reshape(len(step), -1) for step in given]
        self.types: dict[str, torch.dtype] = {}
        self.tolerance = 0.0
        self.shown: list[Array] = []
        self.charges: dict[str, tuple[Any, float]] = {}
        self.returned: Any = None

    def run(self, model: nn.Module, random: Mapping[str, torch.dtype]) -> None:
        """Run the model; the neurons in ``random`` answer with random spikes of that type.

        Raises:
            ModelError: a layer's values are not those of the network.
        """
        spiking = spiking_layers(model)
        generator = torch.Generator().manual_seed(1)
        forget(spiking.values())
        read = {wired.charged.source for wired in self.wiring.layers.values() if wired.charged is not None}
        for name, dtype in random.items():
            answering = _answering(spiking[name], dtype, generator)
            vars(spiking[name])["forward"] = _true_membranes(spiking[name], answering) if name in read else answering
        with torch.no_grad(), self._listening(dict(model.named_modules()), spiking):
            self.returned = self._call(model)
        if self.wiring.output not in spiking and self.wiring.layers[self.wiring.output].when != "gate":
            self._check_values(self.wiring.output)

    def _call(self, model: nn.Module) -> Any:
        try:
            return self.wiring.form.call(model, self.inputs)
        except ModelError:
            raise
        except Exception as error:  # it is the user's code that runs here
            raise ModelError(
                f"{title(model)}.forward() failed when it ran again, on {self.on}: {one_line(error)}; start each run "
                f"afresh"
            ) from error

    @contextmanager
    def _listening(self, modules: Mapping[str, nn.Module], spiking: Mapping[str, nn.Module]) -> Iterator[None]:
        """Hooks on what goes into neurons after all other hooks, and on what comes out before them."""
        handles = []
        for name, wired in self.wiring.layers.items():
            if wired.when == "gate":
                continue
            if name in spiking:
                handles.append(modules[name].register_forward_pre_hook(self._given(name), with_kwargs=True))
                handles.append(modules[name].register_forward_hook(self._fires(name), prepend=True))
            else:
                handles.append(modules[name].register_forward_hook(self._shows))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _given(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            current: Tensor = args[0] if args else kwargs["input_"]
            found = numpy(current).astype(np.float64).reshape(len(current), -1) * self.wiring.layers[name].scale
            step = len(self.fired[name])
            self.tolerance = _tolerance(current)
            self._compare(name, step, found, *self._current(name, step))

        return hook

    def _fires(self, name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            spikes: Tensor = output if isinstance(output, Tensor) else output[0]
            self.types[name] = spikes.dtype
            self.fired[name].append(numpy(spikes != 0).reshape(len(spikes), -1))
            if name == self.wiring.output:
                self.shown.append(numpy(module.mem))

        return hook

    def _shows(self, module: nn.Module, args: Any, output: Tensor) -> None:
        self.shown.append(numpy(output))

    def _current(self, name: str, step: int) -> tuple[Array, float]:
        """:meth:`_network`, or where the layer reads membranes, the current that these amount to."""
        total, size = self._network(name, step)
        how = self.wiring.layers[name].charged
        if how is None:
            return total, size
        before, largest = self.charges.get(name, (0.0, 0.0))
        self.charges[name] = how.beta * before + total, how.beta * largest + size
        constant = numpy(how.constant).reshape(len(how.constant), -1)
        return self.charges[name][0] + constant, self.charges[name][1] + float(np.abs(constant).max())

    def _network(self, name: str, step: int) -> tuple[Array, float]:
        """What the network gives a layer at a step, (batch, n), and how large the parts of that are."""
        total = np.zeros((len(self.fired[""][0]), 1))
        size = 0.0
        for connection in self.wiring.layers[name].connections:
            fired, at = self._fired(self.modules[connection.source], step), step - connection.delay
            if at >= len(fired):
                raise self._refusal(name, step, f"it is called before {connection.source}")
            terms = [connection.bias_currents(), *([connection.drive(fired[at])] if at >= 0 else [])]
            total = total + sum(terms)
            size += sum(float(np.abs(term).max()) for term in terms)
        pool = self.wiring.layers[name].pool
        return (total if pool is None else pool(total)), size

    def _fired(self, module: str, step: int) -> list[Array]:
        """The spikes of a layer; those of a gate are what its connections make of its source's, as far as these go."""
        fired = self.fired[module]
        wired = self.wiring.layers.get(module)
        if wired is not None and wired.when == "gate":
            while len(fired) <= step and self._arrived(wired, len(fired)):
                fired.append(self._network(module, len(fired))[0] > wired.above)
        return fired

    def _arrived(self, wired: Wired, step: int) -> bool:
        """Whether all has fired that drives a gate at a step."""
        return all(len(self._fired(self.modules[c.source], step)) > step - c.delay for c in wired.connections)

    def _check_values(self, name: str) -> None:
        """Compare the values of a linear read-out: those of each step, or of all together."""
        network = [self._network(name, step) for step in range(len(self.fired[""]))]
        wired = self.wiring.layers[name]
        if wired.when == "sum":
            network = [(np.sum([total for total, _ in network], axis=0), sum(size for _, size in network))]
        elif wired.when == "last":
            network = network[-1:]
        values = np.stack(self.shown).astype(np.float64).reshape(len(network), -1, len(wired.scale))
        for step, (total, size) in enumerate(network):
            self._compare(name, step, values[step], total, size)

    def _compare(self, name: str, step: int, found: Array, network: Array, size: float) -> None:
        if found.shape != network.shape:
            raise self._refusal(name, step, f"found values of shape {found.shape}, the network's are {network.shape}")
        wrong = ~(np.abs(found - network) <= self.tolerance * size)
        if wrong.any():
            place = tuple(np.argwhere(wrong)[0])
            raise self._refusal(name, step, f"found {found[place]:.6g} where the network gives {network[place]:.6g}")

    def _refusal(self, name: str, step: int, found: str) -> ModelError:
        return ModelError(
            f"{name}: on {self.on}, at step {step}, {found}, allowed is the same: something changes the model's values "
            f"that export cannot follow; look for hooks and counters, and put what they do into layers"
        )

    def check_order(self) -> None:
        """Raise where the model returns what its output shows, its neurons in another order."""
        spikes = self._fired(self.wiring.output, len(self.fired[""]) - 1)
        shown = [np.stack(made).astype(np.float64) for made in (spikes, self.shown) if made]
        n = len(self.wiring.layers[self.wiring.output].scale)
        wanted = [form.reshape(-1, n) for own in shown for form in (own, own.sum(axis=0), own.mean(axis=0), own[-1])]
        for values in _tensors(self.returned, len(self.fired[""])):
            found = numpy(values).astype(np.float64)
            if any(_is_shuffled(found.reshape(-1, n), own) for own in wanted if own.size == found.size):
                raise ModelError(
                    f"forward(): returns what {self.wiring.output} makes with its neurons in another order, allowed is "
                    f"their own, in which the network is read; return it as it is, and order the classes outside"
                )


def _answering(layer: Any, dtype: torch.dtype, generator: torch.Generator) -> Any:
    """A neuron's ``forward`` that answers with random spikes and states."""
    states = [state for state in STATES[type(layer).__name__] if state != "spk"]

    def forward(input_: Tensor, *args: Any, **kwargs: Any) -> Any:
        fired = (torch.rand(input_.shape, generator=generator) < 0.5).to(input_.device, input_.dtype)
        made = {"spk": (fired * layer.graded_spikes_factor).to(dtype)}
        made |= {state: torch.randn(input_.shape, generator=generator).to(input_) for state in states}
        layer._buffers.update({state: value for state, value in made.items() if state in layer._buffers})
        if isinstance(layer, Changes):
            return made["spk"], (made["mem"], made["mem"])
        return made["spk"] if layer.init_hidden and not layer.output else tuple(made.values())

    return forward


def _true_membranes(layer: Any, answering: Any) -> Any:
    """A neuron's ``forward`` that answers with random spikes, and with the membranes that go with them."""
    kept: dict[str, Any] = {"mem": 0.0, "spk": 0.0}

    def forward(input_: Tensor, *args: Any, **kwargs: Any) -> Any:
        made = answering(input_, *args, **kwargs)
        lost = kept["spk"] * layer.threshold if layer.reset_mechanism == "subtract" else 0.0
        kept["mem"] = layer.beta.clamp(0, 1) * kept["mem"] + input_ - lost
        kept["spk"] = made if isinstance(made, Tensor) else made[0]
        layer.mem = kept["mem"]
        return made if isinstance(made, Tensor) else (kept["spk"], kept["mem"])

    return forward


def _tolerance(values: Tensor) -> float:
    """How far a model's value may be from the exact one, in units of the parts that it is the sum of."""
    return _ON_GPU if values.device.type != "cpu" else float(torch.finfo(values.dtype).eps) ** 0.5


def _tensors(returned: Any, steps: int) -> list[Tensor]:
    """What a model returned; where that is one tensor for each step, in a list, stacked."""
    found = parts(returned, Tensor)
    per_step = len(found) // steps
    if not found or len(found) % steps or any(values.shape != found[0].shape for values in found[::per_step]):
        return found
    return [torch.stack(found[start::per_step]) for start in range(per_step)]


def _is_shuffled(found: Array, shown: Array) -> bool:
    """Whether the columns of one are those of the other in another order."""
    if np.array_equal(found, shown):
        return False
    return all(
        np.array_equal(a, b) for a, b in zip(*(rows[:, np.lexsort(rows)].T for rows in (found, shown)), strict=True)
    )
