"""45 public snnTorch models: structure as their sources define it, narrower, every line our own."""

from __future__ import annotations

from tests.real_models.loops import LOOPS
from tests.real_models.neurons import NEURONS
from tests.real_models.static import STATIC
from tests.real_models.steps import STEPWISE

MODELS = [*STATIC, *STEPWISE, *LOOPS, *NEURONS]
