"""Control: the knob of a network in a closed loop over a stream, so that a budget, a battery or an accuracy is held.

A :class:`Controller` is told after each window what it cost (:class:`Spent`) and decides on the next one
(:class:`Decision`). It knows no engine; :mod:`aspen_emulator.streaming` runs networks with one.
"""

from aspen.control.battery import Battery as Battery
from aspen.control.budget import Budget as Budget
from aspen.control.fixed import FixedBudget as FixedBudget
from aspen.control.floor import AccuracyFloor as AccuracyFloor
from aspen.control.floor import margin_for as margin_for
from aspen.control.floor import margins as margins
from aspen.control.ledger import Ledger as Ledger
from aspen.control.manual import Manual as Manual
from aspen.control.spending import Controller as Controller
from aspen.control.spending import Decision as Decision
from aspen.control.spending import Spent as Spent
from aspen.control.spending import ended_early as ended_early
from aspen.control.spending import sparsest_worth_running as sparsest_worth_running
from aspen.units import Rate as Rate
from aspen.units import parse_battery as parse_battery
from aspen.units import parse_duration as parse_duration
from aspen.units import parse_energy as parse_energy
from aspen.units import parse_rate as parse_rate

__all__ = [
    "AccuracyFloor",
    "Battery",
    "Budget",
    "Controller",
    "Decision",
    "FixedBudget",
    "Ledger",
    "Manual",
    "Rate",
    "Spent",
    "ended_early",
    "margin_for",
    "margins",
    "parse_battery",
    "parse_duration",
    "parse_energy",
    "parse_rate",
    "sparsest_worth_running",
]
