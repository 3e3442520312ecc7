"""What a chip is, and a network in a chip's integers: chip files, compiling, placement, design rules, energy."""

from aspen._base.lazy import lazily

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
