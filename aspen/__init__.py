"""ASPEN: train a spiking network once, then trade spikes for accuracy at run time with one knob.

The names below are loaded on first use, so that a saved network can be loaded and run without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aspen._base.lazy import lazy_names
from aspen._version import __version__

if TYPE_CHECKING:
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
    from aspen.network.network import Conv as Conv
    from aspen.network.network import Dense as Dense
    from aspen.network.network import FixedLif as FixedLif
    from aspen.network.network import Lif as Lif
    from aspen.network.network import Network as Network
    from aspen.network.network import Population as Population
    from aspen.network.network import Sparse as Sparse
    from aspen.network.network import load_network as load_network
    from aspen.network.record import Record as Record
    from aspen.thresholds.guards import get_threshold_scale as get_threshold_scale
    from aspen.thresholds.guards import set_threshold_scale as set_threshold_scale
    from aspen.thresholds.learned_dial import learn_dial as learn_dial
    from aspen.thresholds.perturbation import Perturbation as Perturbation
    from aspen.thresholds.perturbation import get_perturbation as get_perturbation
    from aspen.thresholds.perturbation import perturb_thresholds as perturb_thresholds
    from aspen.training.fit import fit as fit
    from aspen.training.recipes import Recipe as Recipe

_HOMES = {
    "AccuracyFloor": "aspen.control",
    "AspenError": "aspen.errors",
    "Battery": "aspen.control",
    "Budget": "aspen.control",
    "CalibrationTable": "aspen.calibration.storage",
    "Conv": "aspen.network.network",
    "Dense": "aspen.network.network",
    "DialProfile": "aspen.dial.profile",
    "EarlyStop": "aspen.calibration.early",
    "FixedLif": "aspen.network.network",
    "Lif": "aspen.network.network",
    "Manual": "aspen.control",
    "Network": "aspen.network.network",
    "Perturbation": "aspen.thresholds.perturbation",
    "Population": "aspen.network.network",
    "Recipe": "aspen.training.recipes",
    "Record": "aspen.network.record",
    "Sparse": "aspen.network.network",
    "calibrate_early": "aspen.calibration.early",
    "export": "aspen.exporting",
    "fit": "aspen.training.fit",
    "fuse": "aspen.fused",
    "get_perturbation": "aspen.thresholds.perturbation",
    "get_threshold_scale": "aspen.thresholds.guards",
    "learn_dial": "aspen.thresholds.learned_dial",
    "load_network": "aspen.network.network",
    "load_profile": "aspen.dial.profile",
    "load_table": "aspen.calibration.storage",
    "perturb_thresholds": "aspen.thresholds.perturbation",
    "save_profile": "aspen.dial.profile",
    "save_table": "aspen.calibration.storage",
    "set_threshold_scale": "aspen.thresholds.guards",
    "unfuse": "aspen.fused",
}

__all__ = ["__version__", *_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES, "__version__")
