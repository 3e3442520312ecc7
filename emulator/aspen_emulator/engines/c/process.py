"""A compiled network in a process of its own: whatever it does, this one goes on."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import EngineError
from aspen_emulator.engines.c.compiler import compiled
from aspen_emulator.engines.c.harness import HARNESS
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program

AT_ONCE = 2**22
"""Bytes of input and answers that are on their way at once."""


@dataclass(frozen=True)
class Answer:
    """What a program says of a sample so far: see the page that :func:`aspen_hardware.to_c` writes beside it."""

    winner: int
    margin: int
    refused: int
    steps: int
    scores: Array
    spikes: Array
    operations: Array
    off: Array
    off_operations: Array
    off_pairs: Array


class Running(Protocol):
    """A program of :class:`aspen_hardware.c.program.Program` that runs somewhere; see :class:`Process`."""

    @property
    def program(self) -> Program: ...

    def reset(self) -> None: ...

    def turn(self, setting: int) -> None: ...

    def set_thresholds(self, thresholds: Array) -> None: ...

    def steps(self, given: Array) -> tuple[Array, Array]: ...

    def events(self, indices: Sequence[int]) -> tuple[Array, Array]: ...

    def answer(self) -> Answer: ...

    def done(self) -> bool: ...

    def close(self) -> None: ...


class Process:
    """A program of :class:`aspen_hardware.c.program.Program`, prefix ``network``, compiled and running.

    Args:
        program: what runs.
        flags: for the compiler, beside its own.

    Raises:
        MissingDependencyError: there is no C compiler.
        EngineError: it refuses the program.
    """

    def __init__(self, program: Program, flags: Sequence[str] = ()) -> None:
        self.program = program
        network = program.network
        self._type = np.uint8 if program.spikes_in else np.int16
        turn = "threshold_scale" if program.profile is None else "knob"
        first = next(each.offset for each in program.populations if each.is_output)
        own = [
            "-Dnetwork_TRACE", "-Dnetwork_COUNTERS", f"-DTURN=network_set_{turn}", f"-DOUTPUT_AT={first}",
            f"-DINPUT_TYPE={'uint8_t' if program.spikes_in else 'int16_t'}",
        ]  # fmt: skip
        own += ["-DTAKES_EVENTS"] if program.spikes_in else []
        own += ["-DSWITCHES_OFF"] if program.nests else []
        own += ["-DENDS_EARLY"] if program.early is not None else []
        texts = files(program)
        sources = {name: texts[name] for name in ("network.c", "network.h")}
        executable = compiled({**sources, "harness.c": HARNESS}, [*own, *flags])
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([str(executable)], stdin=pipe, stdout=pipe, stderr=pipe)
        self._inputs, self._neurons = network.input.size, network.n_neurons
        self._outputs = network[network.output].size

    def reset(self) -> None:
        """Back to the state at the start of a sample."""
        self._send(b"R")

    def turn(self, setting: int) -> None:
        """Turn the program's own knob: the dial's setting, or the threshold scale in units of 1/4096."""
        self._send(b"K", setting)

    def set_thresholds(self, thresholds: Array) -> None:
        """Set every threshold: (n_neurons,) in units of the membrane, by population in the order of updates."""
        self._send(b"T", 0, thresholds.astype(np.int32).tobytes())

    def steps(self, given: Array) -> tuple[Array, Array]:
        """Run on (steps, n_inputs): spikes (steps, n_neurons) uint8, and membranes before resets, int32."""
        spikes = np.empty((len(given), self._neurons), np.uint8)
        membranes = np.empty((len(given), self._neurons), np.int32)
        each = 5 * self._neurons + self._inputs * np.dtype(self._type).itemsize
        most = max(1, AT_ONCE // each)
        for start in range(0, len(given), most):
            part = given[start : start + most]
            self._send(b"S", len(part), np.ascontiguousarray(part, self._type).tobytes())
            self._receive_steps(spikes[start : start + most], membranes[start : start + most])
        return spikes, membranes

    def events(self, indices: Sequence[int]) -> tuple[Array, Array]:
        """One step on a list of input events, as :meth:`steps`: (n_neurons,) each."""
        self._send(b"E", len(indices), np.asarray(indices, np.uint16).tobytes())
        spikes, membranes = np.empty((1, self._neurons), np.uint8), np.empty((1, self._neurons), np.int32)
        self._receive_steps(spikes, membranes)
        return spikes[0], membranes[0]

    def answer(self) -> Answer:
        """What the program says so far."""
        self._send(b"A")
        network = self.program.network
        winner, margin, refused, steps = struct.unpack("<4q", self._receive(32))
        scores = np.frombuffer(self._receive(8 * self._outputs), np.int64)
        spikes = np.frombuffer(self._receive(4 * len(network.names)), np.uint32)
        operations = np.frombuffer(self._receive(4 * len(network.connections)), np.uint32)
        off = [np.zeros_like(spikes), np.zeros_like(operations), np.zeros_like(operations)]
        if self.program.nests:
            off = [np.frombuffer(self._receive(each.nbytes), np.uint32) for each in off]
        return Answer(winner, margin, refused, steps, scores, spikes, operations, *off)

    def done(self) -> bool:
        """Whether the inference may end; for a program that has an early end."""
        self._send(b"D")
        return self._receive(1) == b"\1"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what was on its way to it
                    pipe.close()

    def _receive_steps(self, spikes: Array, membranes: Array) -> None:
        data = np.frombuffer(self._receive(5 * self._neurons * len(spikes)), np.uint8).reshape(len(spikes), -1)
        spikes[:] = data[:, : self._neurons]
        membranes[:] = np.ascontiguousarray(data[:, self._neurons :]).view(np.int32)

    def _send(self, command: bytes, number: int = 0, data: bytes = b"") -> None:
        stream = self._process.stdin
        assert stream is not None  # it was asked for
        try:
            stream.write(command + struct.pack("<I", number) + data)
            stream.flush()
        except (OSError, ValueError) as error:
            raise self._ended() from error

    def _receive(self, size: int) -> bytes:
        stream = self._process.stdout
        assert stream is not None  # it was asked for
        try:
            data = stream.read(size)
        except (OSError, ValueError) as error:
            raise self._ended() from error
        if len(data) < size:
            raise self._ended()
        return data

    def _ended(self) -> EngineError:
        stream, code = self._process.stderr, self._process.wait()
        text = b"" if stream is None or stream.closed else stream.read()
        told = " ".join(text.decode("utf-8", "replace").split())[:600]
        return EngineError(f"engine c: the program ended (code {code}{': ' if told else ''}{told}); use engine='fast'")
