"""ASPEN: train a spiking network once, then trade spikes for accuracy at run time with one knob.

The names below are loaded on first use, so that a saved network can be loaded and run without torch.
"""

from aspen._base.lazy import lazily

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
