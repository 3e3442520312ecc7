"""ASPEN: train a spiking network once, then trade spikes for accuracy at run time with one knob.

The names below are loaded on first use, so that a saved network can be loaded and run without torch.
"""

from __future__ import annotations

from aspen._base.lazy import lazily

with lazily(globals()):
    from aspen._version import __version__ as __version__
    from aspen.calibration.early import EarlyStop as EarlyStop
    from aspen.calibration.early import calibrate_early as calibrate_early
    from aspen.calibration.storage import CalibrationTable as CalibrationTable
    from aspen.calibration.storage import load_table as load_table
    from aspen.calibration.storage import save_table as save_table
    from aspen.control import AccuracyFloor as AccuracyFloor
    from aspen.control import Battery as Battery
    from aspen.control import Budget as Budget
    from aspen.control import Manual as Manual
    from aspen.dial.profile import DialProfile as DialProfile
    from aspen.dial.profile import load_profile as load_profile
    from aspen.dial.profile import save_profile as save_profile
    from aspen.errors import AspenError as AspenError
    from aspen.exporting import export as export
    from aspen.fused import fuse as fuse
    from aspen.fused import unfuse as unfuse
    from aspen.models.forms import InputForm as InputForm
    from aspen.models.probing import find_form as find_form
    from aspen.network.network import Conv as Conv
    from aspen.network.network import Dense as Dense
    from aspen.network.network import FixedLif as FixedLif
    from aspen.network.network import Lif as Lif
    from aspen.network.network import Network as Network
    from aspen.network.network import Population as Population
    from aspen.network.network import Sparse as Sparse
    from aspen.network.network import load_network as load_network
    from aspen.network.record import Record as Record
    from aspen.thresholds.knob import get_threshold_scale as get_threshold_scale
    from aspen.thresholds.knob import set_threshold_scale as set_threshold_scale
    from aspen.thresholds.learned_dial import learn_dial as learn_dial
    from aspen.thresholds.perturbation import Perturbation as Perturbation
    from aspen.thresholds.perturbation import get_perturbation as get_perturbation
    from aspen.thresholds.perturbation import perturb_thresholds as perturb_thresholds
    from aspen.training.fit import fit as fit
    from aspen.training.recipes import Recipe as Recipe
    from aspen.training.trained import Trained as Trained
