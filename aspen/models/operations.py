"""Operations of a model and the tensors in their arguments, as an export and a fused training see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SAME_VALUES = frozenset(
    {"detach", "clone", "contiguous", "to", "float", "double", "type_as", "type", "data", "cpu", "cuda"}
)
"""Operations after which a tensor still holds the same values in the same places."""
DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout"})
RESHAPES = frozenset({"flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten"})
"""Operations after which a tensor holds the same values in the same order."""
PICKS = frozenset(
    {"__getitem__", "unbind", "select", "narrow", "chunk", "split", "permute", "transpose", "movedim", "index_select"}
)
"""Operations that pick or reorder values."""
REPEATS = frozenset({"repeat", "expand", "expand_as", "repeat_interleave", "tile", "broadcast_to"})
"""Operations that hold the same values several times."""
SUMS = frozenset({"add", "__add__", "__radd__", "__iadd__", "add_"})
JOINS = frozenset({"cat", "concat", "concatenate", "stack", "sub", "__sub__", "__rsub__", "rsub", "sum", "mean", "neg"})
PRODUCTS = frozenset(
    {
        "mul", "__mul__", "__rmul__", "multiply", "div", "__truediv__", "matmul", "__matmul__", "mm", "linear",
        "conv1d", "conv2d", "batch_norm", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
        "pad",
    }
)  # fmt: skip
"""Operations that are linear as long as only their first tensor depends on spikes."""
LINEAR = RESHAPES | PICKS | REPEATS | SUMS | JOINS | PRODUCTS
FRESH = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})
"""Operations that take the shape of a tensor, not its values."""
LOOKS = frozenset({"__bool__", "item", "tolist", "__int__", "__float__", "numpy", "__index__"})
"""Operations by which a program looks at values: what it does then may depend on them."""


def convert(value: Any, kind: type | tuple[type, ...], change: Callable[[Any], Any]) -> Any:
    """``value`` with every part of type ``kind`` changed, also within lists, tuples and dicts."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(convert(part, kind, change) for part in value)
    if isinstance(value, dict):
        return {key: convert(part, kind, change) for key, part in value.items()}
    return value


def parts(value: Any, kind: type) -> list[Any]:
    """All parts of type ``kind`` within lists, tuples and dicts."""
    found: list[Any] = []
    convert(value, kind, found.append)
    return found


def operation_name(function: Any) -> str:
    name = getattr(function, "__name__", str(function))
    return getattr(function.__self__, "__name__", name) if name == "__get__" else name
