"""Memory that fused layers use again."""

from __future__ import annotations

import torch

from aspen.fused.memory import Pool


def test_memory_is_used_again_only_when_nobody_holds_it() -> None:
    pool = Pool()
    shape = (64, 4096)
    first = pool.empty(shape, torch.float32).fill_(1)
    part = first.view(-1)[5:].unflatten(0, (1, -1))
    address = first.data_ptr()
    del first
    second = pool.empty(shape, torch.float32).fill_(2)
    assert second.data_ptr() != address
    assert bool((part == 1).all())
    del part
    assert pool.empty(shape, torch.float32).data_ptr() == address
    assert bool((second == 2).all())


def test_memory_that_the_graph_holds_is_not_used_again() -> None:
    pool = Pool()
    values = pool.empty((64, 4096), torch.float64).fill_(3)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    product = factor * values
    del values
    pool.empty((64, 4096), torch.float64).fill_(4)
    product.sum().backward()
    assert float(factor.grad) == 3 * 64 * 4096  # type: ignore[arg-type]


def test_memory_that_nobody_asks_for_is_given_back() -> None:
    pool = Pool()
    pool.empty((64, 4096), torch.float32)
    for _ in range(100):
        pool.empty((64, 8192), torch.float32)
    assert [size > 64 * 4096 * 4 * 1.5 for size in pool._arrays] == [True]
    assert [len(entries) for entries in pool._arrays.values()] == [1]


def test_small_tensors_and_alignment() -> None:
    pool = Pool()
    assert pool.empty((3, 5), torch.float64).shape == (3, 5)
    assert not pool._arrays
    assert pool.empty((100, 1000), torch.float64).data_ptr() % 64 == 0
