"""Stand-in for a module of Intel's extension: no process has a model in C here."""


class CLoihiProcessModel:
    """A model that runs on the chip's embedded processors."""
