"""Stand-in for a module of Intel's extension: no process has a model for the chip here."""


class AbstractNcProcessModel:
    """A model that runs on the chip's neuro cores."""
