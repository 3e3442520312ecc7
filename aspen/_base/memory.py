"""What is asked of memory, compared with what there is before anything is allocated.

A file of a kilobyte can declare a population of any size, and a command line any number of steps. Two rules meet that:
a network has at most :data:`MAX_NEURONS` neurons, so that whatever takes a few numbers for each neuron fits; and what
grows with something else (steps, samples, synapses of a convolution) is estimated and compared with the memory that
is free.
"""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

from aspen._base.checks import shown
from aspen.errors import AspenError, InputError, NetworkError

MAX_NEURONS = 2**24
"""Neurons of a network, its input included, and places of a convolution's padded input: sixteen Loihi 2 chips."""
SMALL = 2**28
"""Bytes that any machine has: less is not worth a look."""
UNKNOWN = 2**33
"""Bytes that are taken for free where the system does not say."""
_GROUP = Path("/sys/fs/cgroup")


def check_neurons(what: str, shape: tuple[int, ...], error: type[AspenError] = NetworkError) -> None:
    """Raise unless there are at most :data:`MAX_NEURONS` places in ``shape``."""
    if prod(shape) > MAX_NEURONS:
        raise error(f"{what}: found {shown(shape)} neurons, allowed are {MAX_NEURONS} in a network; make it smaller")


def check_memory(what: str, size: int, remedy: str) -> None:
    """Raise unless ``size`` bytes are free; up to :data:`SMALL` without looking.

    Raises:
        InputError: they are not; the message names both numbers.
    """
    if size <= SMALL:
        return
    free = available_memory()
    if size > free:
        raise InputError(f"{what}: needs {size} bytes of memory, free are {free}; {remedy}")


def available_memory() -> int:
    """Bytes that this process may still take without swapping: of the system, or of its control group."""
    found = [_system_memory(), _group_memory()]
    return min((size for size in found if size is not None), default=UNKNOWN)


def _system_memory() -> int | None:
    """Linux says what is available; other systems how much there is in all."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _group_memory() -> int | None:
    """What a container (control groups, version 2) leaves."""
    try:
        limit, used = (int((_GROUP / f"memory.{part}").read_text(encoding="ascii")) for part in ("max", "current"))
        lines = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # no such group, or no limit ("max")
        return None
    cached = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return max(limit - used + cached, 0)
