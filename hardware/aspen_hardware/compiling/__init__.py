"""A network in a chip's integers."""
