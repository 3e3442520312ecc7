"""Several processes train one network, each with its share of every batch, as ``torchrun`` starts them.

They are PyTorch's: a process group that the caller has opened (``torch.distributed.init_process_group("gloo")``), on
one machine or many. Without one all of this does nothing. Import ``aspen.training.fit`` before the group is opened,
so that it ends when it is destroyed.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, distributed, nn

# Default arguments of this module keep the process group that is open when it is imported, and optimizers import it at
# their first step. The group's threads then outlive destroy_process_group(), and may abort the process at its exit.
if distributed.is_available():
    import_module("torch.distributed.nn")


def rank_and_world() -> tuple[int, int]:
    """Number of this process, from 0, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def first_says(value: Any) -> Any:
    """What the first process has as ``value``, in all of them."""
    if rank_and_world()[1] == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def begin_alike(model: nn.Module) -> None:
    """Give all processes the first one's weights and buffers."""
    if rank_and_world()[1] == 1:
        return
    with torch.no_grad():
        for values in model.state_dict().values():
            if values.numel():
                distributed.broadcast(values, src=0)


def sum_gradients(parameters: Sequence[Tensor], loss: Tensor) -> float:
    """Add up the gradients of all processes, in place, and their losses.

    Args:
        parameters: those that are trained; one without a gradient counts as zero.
        loss: of this process's share of the batch.

    Returns:
        the loss of the whole batch.
    """
    if rank_and_world()[1] == 1:
        return float(loss.detach())
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    parts = [parameter.grad for parameter in parameters if parameter.grad is not None]
    whole = torch.cat([*(part.reshape(-1) for part in parts), loss.detach().reshape(1).to(parts[0].dtype)])
    distributed.all_reduce(whole)
    for part, summed in zip(parts, whole[:-1].split([part.numel() for part in parts]), strict=True):
        part.copy_(summed.reshape(part.shape))
    return float(whole[-1])
