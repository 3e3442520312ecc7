"""Data sets, split once by a seed, and encoders that turn values into spikes."""

from __future__ import annotations

from aspen.data.datasets import DATASETS as DATASETS
from aspen.data.datasets import Dataset as Dataset
from aspen.data.datasets import Samples as Samples
from aspen.data.datasets import digits as digits
from aspen.data.encoders import Encoder as Encoder
from aspen.data.encoders import RateEncoder as RateEncoder

__all__ = ["DATASETS", "Dataset", "Encoder", "RateEncoder", "Samples", "digits"]
