"""ASPEN: train a spiking network once, then trade spikes for accuracy at run time with one knob.

The names below are loaded on first use, so that a saved network can be loaded and run without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aspen._version import __version__

if TYPE_CHECKING:
    from aspen.calibration import CalibrationTable as CalibrationTable
    from aspen.calibration import load_table as load_table
    from aspen.calibration import save_table as save_table
    from aspen.confidence import EarlyStop as EarlyStop
    from aspen.confidence import calibrate_early as calibrate_early
    from aspen.control import AccuracyFloor as AccuracyFloor
    from aspen.control import Battery as Battery
    from aspen.control import Budget as Budget
    from aspen.control import Manual as Manual
    from aspen.dialing import learn_dial as learn_dial
    from aspen.errors import AspenError as AspenError
    from aspen.exporting import export as export
    from aspen.fused import fuse as fuse
    from aspen.fused import unfuse as unfuse
    from aspen.network import Conv as Conv
    from aspen.network import Dense as Dense
    from aspen.network import FixedLif as FixedLif
    from aspen.network import Lif as Lif
    from aspen.network import Network as Network
    from aspen.network import Population as Population
    from aspen.network import Sparse as Sparse
    from aspen.network import load_network as load_network
    from aspen.perturbation import Perturbation as Perturbation
    from aspen.perturbation import get_perturbation as get_perturbation
    from aspen.perturbation import perturb_thresholds as perturb_thresholds
    from aspen.profiles import DialProfile as DialProfile
    from aspen.profiles import load_profile as load_profile
    from aspen.profiles import save_profile as save_profile
    from aspen.recipes import Recipe as Recipe
    from aspen.record import Record as Record
    from aspen.thresholds import get_threshold_scale as get_threshold_scale
    from aspen.thresholds import set_threshold_scale as set_threshold_scale
    from aspen.training import fit as fit

_HOMES = {
    "AccuracyFloor": "aspen.control",
    "AspenError": "aspen.errors",
    "Battery": "aspen.control",
    "Budget": "aspen.control",
    "CalibrationTable": "aspen.calibration",
    "Conv": "aspen.network",
    "Dense": "aspen.network",
    "DialProfile": "aspen.profiles",
    "EarlyStop": "aspen.confidence",
    "FixedLif": "aspen.network",
    "Lif": "aspen.network",
    "Manual": "aspen.control",
    "Network": "aspen.network",
    "Perturbation": "aspen.perturbation",
    "Population": "aspen.network",
    "Recipe": "aspen.recipes",
    "Record": "aspen.record",
    "Sparse": "aspen.network",
    "calibrate_early": "aspen.confidence",
    "export": "aspen.exporting",
    "fit": "aspen.training",
    "fuse": "aspen.fused",
    "get_perturbation": "aspen.perturbation",
    "get_threshold_scale": "aspen.thresholds",
    "learn_dial": "aspen.dialing",
    "load_network": "aspen.network",
    "load_profile": "aspen.profiles",
    "load_table": "aspen.calibration",
    "perturb_thresholds": "aspen.perturbation",
    "save_profile": "aspen.profiles",
    "save_table": "aspen.calibration",
    "set_threshold_scale": "aspen.thresholds",
    "unfuse": "aspen.fused",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'aspen' has no attribute {name!r}; it offers {', '.join(sorted(_HOMES))}")
    from aspen._packages import needed_for

    with needed_for(f"aspen.{name}"):
        home = importlib.import_module(_HOMES[name])
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
