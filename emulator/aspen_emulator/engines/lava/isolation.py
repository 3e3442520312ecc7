"""The process in which Lava runs, seen from the user's process.

Lava fixes the start method of ``multiprocessing``, forks a process for every part of a network, and leaves them and
their shared memory behind when it fails or hangs. It therefore runs in a worker process of ours with a session (in the
sense of POSIX) of its own, which is ended as a whole:

* SIGTERM to the process group ends the worker and every process that Lava has forked. Python's resource tracker, which
  ignores SIGTERM, sees that they are gone, removes the shared memory they have left, and ends as well.
* All of them, the tracker included, hold the worker's output; its end says that none is left.
* The worker does the same by itself when this process ends, however that happens
  (:mod:`aspen_emulator.engines.lava.worker`).
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from aspen.errors import EngineError
from aspen_emulator.engines.lava.schedule import START_SECONDS
from aspen_emulator.engines.lava.shim import require_lava

SHUTDOWN_SECONDS = 10.0
EXIT_SECONDS = 0.05
"""Processes that have closed everything take a moment more to vanish; where nobody reaps orphans, they never do."""
STALL_SECONDS = 60
"""A message is sent and received within this time, or the worker is taken for dead."""
LOG_LINES = 50
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Progress = Callable[[int, int], None]


class LavaWorker:
    """A process that runs Lava; use it in a ``with`` block. Any error ends it, with all processes it has started.

    Args:
        start_timeout: seconds within which it must be ready.

    Attributes:
        pid: process id of the worker; also the id of its session and process group.

    Raises:
        MissingDependencyError: Lava is not installed.
        EngineError: the worker does not start, or the system is not supported.
    """

    def __init__(self, start_timeout: float = START_SECONDS) -> None:
        require_lava()
        if os.name != "posix":
            raise EngineError("engine 'lava': found Windows, allowed are Linux and macOS; use engine='fast'")
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._reader: threading.Thread | None = None
        self._log: deque[bytes] = deque(maxlen=LOG_LINES)
        self._scratch = tempfile.mkdtemp(prefix="aspen-lava-")
        try:
            self._start()
            self._receive("start", start_timeout, None)
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", STALL_SECONDS, 0))
            self._connection = Connection(os.dup(ours.fileno()))
            arguments = [str(theirs.fileno()), str(os.getpid()), self._scratch]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "aspen_emulator.engines.lava.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd=self._scratch,
                env=_environment(self._scratch),
            )
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stdout, self._log), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None once it is closed."""
        return self._process.pid if self._process else None

    def request(self, command: str, *arguments: object, timeout: float, progress: Progress | None = None) -> Any:
        """Let the worker do something.

        Args:
            command: a key of :data:`aspen_emulator.engines.lava.worker.COMMANDS`.
            arguments: what it takes; must be picklable.
            timeout: seconds to wait for the answer.
            progress: called with steps done and steps in all, where the command reports them.

        Returns:
            The answer.

        Raises:
            EngineError: it failed, did not answer in time or has died. The worker is then closed.
        """
        if self._connection is None:
            raise EngineError(f"lava: cannot {command}, as the worker is closed; open a new one")
        try:
            try:
                self._connection.send((command, arguments, progress is not None))
            except OSError as error:
                raise self._failure(f"cannot {command}, as the worker takes no messages ({error})") from error
            return self._receive(command, timeout, progress)
        except BaseException:
            self.close()
            raise

    def _receive(self, command: str, timeout: float, progress: Progress | None) -> Any:
        deadline = time.monotonic() + timeout
        while True:
            self._wait(command, deadline, timeout)
            try:
                kind, value = self._connection.recv()  # type: ignore[union-attr]  # open: it was polled just now
            except (EOFError, OSError) as error:
                raise self._failure(f"{command} failed, as the worker has died") from error
            if kind == "done":
                return value
            if kind == "failed":
                raise self._failure(f"{command} failed: {value}", show_log=False)
            if progress is not None:
                progress(*value)

    def _wait(self, command: str, deadline: float, timeout: float) -> None:
        assert self._connection is not None
        while not self._connection.poll(max(0.0, min(0.25, deadline - time.monotonic()))):
            if self._process is None or self._process.poll() is not None:
                raise self._failure(f"{command} failed, as the worker has died")
            if time.monotonic() >= deadline:
                raise self._failure(
                    f"{command} took longer than the time-out of {timeout:g} s and was ended; give a longer timeout"
                )

    def _failure(self, message: str, show_log: bool = True) -> EngineError:
        """The error to raise. The worker's log is its cause; ``show_log`` puts the last line into the message too."""
        self.close()
        lines = [line.decode(errors="replace").rstrip() for line in self._log.copy()]
        lines = [line for line in lines if line.strip()]
        last = f" (last line of its log: {lines[-1].strip()[:200]})" if lines and show_log else ""
        error = EngineError(f"lava: {message}; engine='fast' gives the same spikes without Lava{last}")
        error.__cause__ = RuntimeError("log of the Lava worker:\n" + "\n".join(lines)) if lines else None
        return error

    def close(self) -> None:
        """End the worker and every process it has started, and remove what they have left; may be called twice."""
        connection, self._connection = self._connection, None
        process, self._process = self._process, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if process is not None:
                _end_session(process, self._reader)
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> LavaWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _environment(scratch: str) -> dict[str, str]:
    """This process's environment, with its import path, temporary files in ``scratch``, and no threads in NumPy.

    Warnings are shown, never errors, whatever this process makes of them; that the resource tracker cleans up is none.
    """
    own = {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        "PYTHONWARNINGS": "ignore:resource_tracker",
        "TMPDIR": scratch,
    }
    return {**os.environ, **own, **dict.fromkeys(ONE_THREAD, "1")}


def _read_lines(stream: Any, log: deque[bytes]) -> None:
    """Keep the last lines of ``stream``; returns when no process holds its other end."""
    with suppress(OSError, ValueError):
        log.extend(stream)


def _end_session(process: subprocess.Popen[bytes], reader: threading.Thread | None) -> None:
    """End all processes of the worker's session and wait until they are gone."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        if reader is None or reader.is_alive():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, stop)
                os.killpg(process.pid, signal.SIGCONT)
        if reader is not None:
            reader.join(SHUTDOWN_SECONDS)
            if not reader.is_alive():
                break
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    deadline = time.monotonic() + EXIT_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.001)
