"""One step of the neurons of a population."""

from __future__ import annotations

from typing import Any

from aspen_emulator.engines.fast.core.arithmetic import by_synapse, clip, decay, wrap
from aspen_emulator.engines.fast.core.columns import (
    NONE,
    NONE_RECTIFIED,
    SUBTRACT,
    SUBTRACT_GUARDED,
    SUBTRACT_SYNAPSE,
    ZERO,
    ZERO_DELAYED,
)  # fmt: skip
from aspen_emulator.engines.fast.core.intrinsics import inlined


@inlined
def integrate(v: Any, current: Any, owed: Any, keep: Any, bias: Any, reset: int) -> None:
    """The membranes that are compared with the threshold, in place."""
    n = len(v)
    kind = v.dtype.type
    if reset in (ZERO, NONE, SUBTRACT):
        for j in range(n):
            v[j] = clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]))
    elif reset == NONE_RECTIFIED:
        for j in range(n):
            v[j] = max(kind(0), clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j])))
    elif reset == ZERO_DELAYED:
        for j in range(n):
            integrated = clip(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]))
            v[j] = kind(0) if owed[j] != 0 else integrated
    else:
        for j in range(n):
            v[j] = clip(kind(kind(kind(decay(v[j], keep[j]) + current[j]) + bias[j]) - owed[j]))


@inlined
def fire(v: Any, owed: Any, threshold: Any, reset: int, fired: Any) -> None:
    """Which membranes are above the threshold, and what that does to them."""
    n = len(v)
    zero = v.dtype.type(0)
    if reset == ZERO:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] = zero if spike else v[j]
    elif reset in (NONE, NONE_RECTIFIED):
        for j in range(n):
            fired[j] = v[j] > threshold[j]
    elif reset == SUBTRACT:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] -= threshold[j] if spike else zero
    elif reset == SUBTRACT_GUARDED:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            v[j] -= (threshold[j] if spike else zero) - owed[j]
            owed[j] = threshold[j] if v[j] > threshold[j] else zero
    elif reset == SUBTRACT_SYNAPSE:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            owed[j] = by_synapse(threshold[j]) if spike else zero
    else:
        for j in range(n):
            spike = v[j] > threshold[j]
            fired[j] = spike
            owed[j] = threshold[j] if spike else zero


@inlined
def remember(u: Any, drive: Any, keep: Any) -> None:
    """The synaptic current, in place."""
    kind = u.dtype.type
    for j in range(len(u)):
        u[j] = wrap(kind(decay(u[j], keep[j]) + drive[j]))
