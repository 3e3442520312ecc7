"""NIR, the Neuromorphic Intermediate Representation: read and written through the ``nir`` package."""

from __future__ import annotations

from aspen.exchange.nir.api import from_nir as from_nir
from aspen.exchange.nir.api import load_nir as load_nir
from aspen.exchange.nir.api import save_nir as save_nir
from aspen.exchange.nir.api import to_nir as to_nir

__all__ = ["from_nir", "load_nir", "save_nir", "to_nir"]
