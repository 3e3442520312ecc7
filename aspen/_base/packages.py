"""Optional packages: which extra of ASPEN brings each, and the one sentence that says how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aspen.errors import MissingDependencyError

EXTRAS = {
    "capstone": "microcontroller",
    "distributed": "cluster",
    "elftools": "microcontroller",
    "h5py": "exchange",
    "lava": "lava",
    "matplotlib": "plot",
    "nir": "exchange",
    "sklearn": "train",
    "snntorch": "train",
    "tonic": "events",
    "torch": "train",
    "triton": "gpu",
    "unicorn": "microcontroller",
    "ziglang": "microcontroller",
}
"""Module of an optional package -> the extra that brings it."""
_CALLED = {"elftools": "pyelftools", "lava": "lava-nc", "sklearn": "scikit-learn"}


def how_to_install(extra: str) -> str:
    """What brings an extra. ASPEN is on no package index: it is installed from its own folder."""
    return f'run pip install ".[{extra}]" in your clone of ASPEN'


@contextmanager
def needed_for(purpose: str, package: str = "") -> Iterator[None]:
    """Around imports: says of an optional package that is missing what it is needed for and how to get it.

    Args:
        purpose: such as ``"plots"``.
        package: the optional package that is imported, if packages that it needs itself may be missing too.

    Raises:
        MissingDependencyError: an import failed, and an extra brings what it is of.
    """
    try:
        yield
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        extra = EXTRAS.get(module) or EXTRAS.get(package)
        if extra is None:
            raise
        absent = isinstance(error, ModuleNotFoundError)
        problem = "not installed" if absent else f"cannot be imported ({error})"
        name = _CALLED.get(module, module)
        raise MissingDependencyError(f"{name}: {problem}, needed for {purpose}; {how_to_install(extra)}") from error
