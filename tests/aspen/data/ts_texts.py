"""A tiny problem in the ``.ts`` format."""

from __future__ import annotations

import numpy as np

HEADER = """# generated
@problemName Wiggles
@timeStamps false
@missing false
@univariate false
@dimensions 3
@equalLength true
@seriesLength 8
@classLabel true Slow Fast
@data
"""


def ts_values(part: str) -> np.ndarray:
    """(n, 8, 3): what the file of ``part`` holds; series i is of class i % 2."""
    n, seed = {"TRAIN": (12, 0), "TEST": (4, 1)}[part]
    return np.random.default_rng(seed).normal(size=(n, 8, 3)).round(4)


def ts_texts() -> dict[str, str]:
    """File name -> contents."""
    texts = {}
    for part in ("TRAIN", "TEST"):
        rows = []
        for i, series in enumerate(ts_values(part)):
            dimensions = [",".join(str(value) for value in dimension) for dimension in series.T]
            rows.append(":".join([*dimensions, ("Slow", "Fast")[i % 2]]))
        texts[f"Wiggles_{part}.ts"] = HEADER + "\n".join(rows) + "\n"
    return texts
