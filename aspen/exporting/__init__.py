"""Export: a trained snnTorch model becomes an :class:`aspen.Network`, or is refused by name."""

from __future__ import annotations

from aspen.exporting.exporter import export as export
from aspen.models.layers import population_name as population_name

__all__ = ["export", "population_name"]
