"""Time-fused training: a snnTorch model that runs all time steps of each layer at once."""

from __future__ import annotations

from aspen.fused.module import Fused as Fused
from aspen.fused.module import fuse as fuse
from aspen.fused.module import unfuse as unfuse

__all__ = ["Fused", "fuse", "unfuse"]
