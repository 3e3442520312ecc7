"""Streams: a network in a closed loop with a controller, counted and priced exactly."""

from aspen_emulator.streaming.counting import Events as Events
from aspen_emulator.streaming.meter import Meter as Meter
from aspen_emulator.streaming.stream import Stream as Stream
from aspen_emulator.streaming.stream import Window as Window

__all__ = ["Events", "Meter", "Stream", "Window"]
