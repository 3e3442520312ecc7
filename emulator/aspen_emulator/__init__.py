"""Run spiking networks: engines, sessions with a live knob, sweeps, Lava, and the ``aspen`` command line."""

from aspen._base.lazy import lazily

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
