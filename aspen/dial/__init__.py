"""What the knob does to the thresholds: a factor, or a learned profile. Without torch."""

from aspen.dial.path import KnobPath as KnobPath
from aspen.dial.profile import DialProfile as DialProfile
from aspen.dial.profile import load_profile as load_profile
from aspen.dial.profile import save_profile as save_profile
from aspen.dial.scale import ThresholdScale as ThresholdScale
