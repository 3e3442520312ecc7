"""Data sets, split once by a seed, and encoders that turn values into spikes or a current."""

from __future__ import annotations

from aspen.data.bundled import digits as digits
from aspen.data.datasets import Dataset as Dataset
from aspen.data.datasets import Samples as Samples
from aspen.data.datasets import split_stratified as split_stratified
from aspen.data.datasets import split_subjects as split_subjects
from aspen.data.encoder_values import ENCODERS as ENCODERS
from aspen.data.encoder_values import add_encoder as add_encoder
from aspen.data.encoder_values import encoder_from_dict as encoder_from_dict
from aspen.data.encoders import Encoder as Encoder
from aspen.data.encoders import EncoderStream as EncoderStream
from aspen.data.encoders import LatencyEncoder as LatencyEncoder
from aspen.data.encoders import RateEncoder as RateEncoder
from aspen.data.encoders import StoredEncoder as StoredEncoder
from aspen.data.event_data import events as events
from aspen.data.event_data import events_to_spikes as events_to_spikes
from aspen.data.event_data import tonic_events as tonic_events
from aspen.data.hapt_recordings import Recording as Recording
from aspen.data.hapt_recordings import hapt as hapt
from aspen.data.hapt_recordings import hapt_recordings as hapt_recordings
from aspen.data.hapt_recordings import windows as windows
from aspen.data.har_features import HarFeatures as HarFeatures
from aspen.data.levels import LevelEncoder as LevelEncoder
from aspen.data.motion import MotionAugmentation as MotionAugmentation
from aspen.data.own_arrays import arrays as arrays
from aspen.data.own_files import load_arrays as load_arrays
from aspen.data.registry import DATASETS as DATASETS
from aspen.data.registry import load_dataset as load_dataset
from aspen.data.static import StaticEncoder as StaticEncoder
from aspen.data.stored import find_encoder as find_encoder
from aspen.data.stored import load_encoder as load_encoder
from aspen.data.stored import save_encoder as save_encoder
from aspen.data.temporal import CurrentEncoder as CurrentEncoder
from aspen.data.temporal import DeltaEncoder as DeltaEncoder
from aspen.data.temporal import SpikeEncoder as SpikeEncoder
from aspen.data.temporal import WindowEncoder as WindowEncoder
from aspen.data.ts_files import TimeSeries as TimeSeries
from aspen.data.ts_files import read_ts as read_ts
from aspen.data.ts_files import ts_archive as ts_archive
from aspen.data.uci_har import HAR_CHANNELS as HAR_CHANNELS
from aspen.data.uci_har import har as har

__all__ = [
    "DATASETS",
    "ENCODERS",
    "HAR_CHANNELS",
    "CurrentEncoder",
    "Dataset",
    "DeltaEncoder",
    "Encoder",
    "EncoderStream",
    "HarFeatures",
    "LatencyEncoder",
    "LevelEncoder",
    "MotionAugmentation",
    "RateEncoder",
    "Recording",
    "Samples",
    "SpikeEncoder",
    "StaticEncoder",
    "StoredEncoder",
    "TimeSeries",
    "WindowEncoder",
    "add_encoder",
    "arrays",
    "digits",
    "encoder_from_dict",
    "events",
    "events_to_spikes",
    "find_encoder",
    "hapt",
    "hapt_recordings",
    "har",
    "load_arrays",
    "load_dataset",
    "load_encoder",
    "read_ts",
    "save_encoder",
    "split_stratified",
    "split_subjects",
    "tonic_events",
    "ts_archive",
    "windows",
]
