"""Work on many machines: a Dask scheduler, its workers, and what becomes of work whose worker is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from aspen._base.packages import needed_for
from aspen.errors import InputError

PATIENCE = 10
"""Seconds to wait for a scheduler."""
_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A ``distributed.Client`` of the scheduler at an address, as long as the block lasts.

    Raises:
        InputError: none answers there.
        MissingDependencyError: Dask's scheduler is not installed.
    """
    with needed_for("a Dask scheduler"):
        from distributed import Client
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"scheduler: found {address!r}, where none answers ({error}); start one with `dask scheduler` and give its "
            f"address, such as tcp://host:8786"
        ) from error
    with client:
        yield client


def spread(
    address: str, work: Callable[..., _Found], given: _Given, jobs: Sequence[tuple[Any, ...]]
) -> Iterator[_Found]:
    """``work(given, *job)`` for each job on the workers of a scheduler; the results, in the order of the jobs.

    What a lost worker had under way is done by another, ``given`` included, which is kept by the scheduler's graph and
    not by workers alone.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        work: a function that workers can import.
        given: what all jobs share; sent to a worker once.
        jobs: the other arguments.

    Raises:
        InputError, MissingDependencyError: as :func:`connected`.
    """
    with connected(address) as client:
        shared = client.submit(_same, given, pure=False)
        yield from (each.result() for each in [client.submit(work, shared, *job, pure=False) for job in jobs])


def _same(given: _Given) -> _Given:
    return given
