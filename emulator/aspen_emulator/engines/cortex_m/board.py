"""A network's program on an emulated core, with what :class:`aspen_emulator.engines.c.process.Process` offers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen_emulator.engines.c.process import Answer
from aspen_emulator.engines.cortex_m.cores import Core
from aspen_emulator.engines.cortex_m.image import Image
from aspen_emulator.engines.cortex_m.machine import EXCHANGE, Machine
from aspen_emulator.engines.cortex_m.toolchain import cross_compiled
from aspen_hardware.c.export import Part, files
from aspen_hardware.c.program import Program

MOST_EVENTS = 2**16
TRACED = ("-Dnetwork_TRACE", "-Dnetwork_COUNTERS")


@lru_cache(maxsize=16)
def _image(path: Path) -> Image:
    return Image(path)


def image_of(program: Program, core: Core, flags: Sequence[str] = (), parts: Sequence[Part] = ()) -> Image:
    """A network's program, prefix ``network``, linked for a core with all of its interface.

    Args:
        program: what is compiled.
        core: for what.
        flags: for the compiler, beside its own.
        parts: what is beside the network.

    Raises:
        MissingDependencyError: there is no cross-compiler.
        EngineError: it refuses the program.
    """
    texts = files(program, parts)
    sources = {name: text for name, text in texts.items() if name.endswith((".c", ".h")) and name != "example.c"}
    headers = "".join(text for name, text in sources.items() if name.endswith(".h"))
    names = set(re.findall(r"\b(network_\w+)\(", headers))
    return _image(cross_compiled(sources, core, names, flags))


class Board:
    """A program of :class:`aspen_hardware.c.program.Program`, prefix ``network``, on an emulated core.

    Args:
        program: what runs.
        core: what it is compiled for.
        flags: for the compiler, beside its own.

    Raises:
        MissingDependencyError: there is no cross-compiler.
        EngineError: it refuses the program.
    """

    def __init__(self, program: Program, core: Core, flags: Sequence[str] = ()) -> None:
        self.program = program
        network = program.network
        self._type = np.dtype(np.uint8 if program.spikes_in else np.int16)
        self._neurons, self._outputs = network.n_neurons, network[network.output].size
        room = max(network.input.size * self._type.itemsize, 4 * self._neurons, 2 * MOST_EVENTS)
        self.machine = Machine(image_of(program, core, [*TRACED, *flags]), core, room)
        self._turn = f"network_set_{'threshold_scale' if program.profile is None else 'knob'}"
        self._trace = self.machine.call("network_traced")

    def reset(self) -> None:
        """Back to the state at the start of a sample."""
        self.machine.call("network_reset")

    def turn(self, setting: int) -> None:
        """Turn the program's own knob: the dial's setting, or the threshold scale in units of 1/4096."""
        self.machine.call(self._turn, setting)

    def set_thresholds(self, thresholds: Array) -> None:
        """Set every threshold: (n_neurons,) in units of the membrane, by population in the order of updates."""
        self.machine.write(EXCHANGE, thresholds.astype("<i4").tobytes())
        self.machine.call("network_set_thresholds", EXCHANGE)

    def steps(self, given: Array) -> tuple[Array, Array]:
        """Run on (steps, n_inputs): spikes (steps, n_neurons) uint8, and membranes before resets, int32."""
        spikes = np.empty((len(given), self._neurons), np.uint8)
        membranes = np.empty((len(given), self._neurons), np.int32)
        for t, values in enumerate(np.ascontiguousarray(given, self._type.newbyteorder("<"))):
            self.machine.write(EXCHANGE, values.tobytes())
            self.machine.call("network_step", EXCHANGE)
            spikes[t], membranes[t] = self._traced()
        return spikes, membranes

    def events(self, indices: Sequence[int]) -> tuple[Array, Array]:
        """One step on a list of input events, as :meth:`steps`: (n_neurons,) each."""
        self.machine.write(EXCHANGE, np.asarray(indices, "<u2").tobytes())
        self.machine.call("network_step_events", EXCHANGE, len(indices))
        return self._traced()

    def _traced(self) -> tuple[Array, Array]:
        padded = -(-self._neurons // 4) * 4
        data = self.machine.read(self._trace, padded + 4 * self._neurons)
        return np.frombuffer(data, np.uint8, self._neurons), np.frombuffer(data, "<i4", self._neurons, padded)

    def answer(self) -> Answer:
        """What the program says so far."""
        call, network, wide = self.machine.call, self.program.network, self.program.score_type == "int64_t"
        populations, connections = len(network.names), len(network.connections)
        scores = self._array(call("network_scores"), self._outputs, "<i8" if wide else "<i4")
        size, more = 1 + populations + connections, populations + 2 * connections
        nested = bool(self.program.nests)
        counted = self._array(call("network_counted"), size + nested * more, "<u4")
        left_out = counted[size:] if nested else np.zeros(more, counted.dtype)
        return Answer(
            winner=signed(call("network_winner"), 32),
            margin=signed(call("network_margin", bits=64 if wide else 32), 64 if wide else 32),
            refused=call("network_refused"),
            steps=int(counted[0]),
            scores=scores.astype(np.int64),
            spikes=counted[1 : 1 + populations],
            operations=counted[1 + populations : size],
            off=left_out[:populations],
            off_operations=left_out[populations : populations + connections],
            off_pairs=left_out[populations + connections :],
        )

    def done(self) -> bool:
        """Whether the inference may end; for a program that has an early end."""
        return bool(self.machine.call("network_done"))

    def _array(self, address: int, size: int, kind: str) -> Array:
        return np.frombuffer(self.machine.read(address, size * np.dtype(kind).itemsize), kind)

    def close(self) -> None:
        """Nothing is left to end."""


def signed(value: int, bits: int) -> int:
    """An unsigned integer of so many bits, as a signed one."""
    return value - (value >> (bits - 1) << bits)
