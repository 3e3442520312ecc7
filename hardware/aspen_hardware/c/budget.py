"""The budget's controller in C: the arithmetic of :class:`aspen.control.FixedBudget`, which turns the knob."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from aspen._base.arrays import Array
from aspen._base.checks import as_number, shown
from aspen._version import __version__
from aspen.control.fixed import ONE, ROOTS, FixedBudget
from aspen.errors import InputError
from aspen.network.network import Network
from aspen.units import format_energy
from aspen_hardware.c.budget_text import COST, HEADER, OFF, PLACE, README, SOURCE, SPENT, SPENT_DECLARED
from aspen_hardware.c.helpers import HELPERS
from aspen_hardware.c.text import Table, filled, type_of

MOST_PRICE = 2**32 - 1
_PRICED = (
    "spike", "active", "awake", "operation", "off_neuron", "off_active", "off_awake", "off_operation", "off_row",
)  # fmt: skip


class Priced(Protocol):
    """Joules of single events: a :class:`aspen_emulator.streaming.Meter`, or
    :class:`aspen_hardware.energy.prices.Prices`."""

    @property
    def idle_step(self) -> float: ...
    @property
    def spike(self) -> Mapping[str, float]: ...
    @property
    def active(self) -> Mapping[str, float]: ...
    @property
    def awake(self) -> Mapping[str, float]: ...
    @property
    def operation(self) -> Mapping[str, float]: ...
    @property
    def off_neuron(self) -> Mapping[str, float]: ...
    @property
    def off_active(self) -> Mapping[str, float]: ...
    @property
    def off_awake(self) -> Mapping[str, float]: ...
    @property
    def off_operation(self) -> Mapping[str, float]: ...
    @property
    def off_row(self) -> Mapping[str, Array]: ...


P = TypeVar("P", bound="Priced")


def in_units(prices: P, network: Network, unit: float) -> P:
    """The same prices, each rounded to whole units, as the program in C has them: what a run costs is then one number
    on the board and in Python.

    The program does not count at how many neurons something arrives in a step. Where that costs more, it is taken to be
    all of them that are on. Nor does it count rows by how many neurons were off: each saves an even part of a row.

    Args:
        prices: of events, in joules: a dataclass, such as a meter.
        network: what they are of.
        unit: joules, that of a :class:`aspen.control.FixedBudget`.

    Raises:
        InputError: they are none, or of another network; or the unit is no number above 0.
    """
    as_number("unit", unit, 0, above=True, unit=" J")
    _check_prices(prices, network)
    if not is_dataclass(prices):
        raise InputError(f"prices: found {shown(prices)}, allowed is a dataclass of prices, such as a meter; make one")

    def whole_units(joules: Mapping[str, float]) -> dict[str, float]:
        return {name: round(each / unit) * unit for name, each in joules.items()}

    none = dict.fromkeys(network.order, 0.0)
    whole: P = replace(
        prices,
        idle_step=round(_busy_step(prices, network) / unit) * unit,
        spike=whole_units(prices.spike),
        operation=whole_units(prices.operation),
        off_neuron=whole_units(_saved(prices, network)),
        off_operation=whole_units(prices.off_operation),
        off_row={name: round(_pair(row) / unit) * unit * np.arange(len(row)) for name, row in prices.off_row.items()},
        **dict.fromkeys(("active", "awake", "off_active", "off_awake"), none),
    )
    return whole


def _check_prices(prices: object, network: Network) -> None:
    wanted = {"spike": set(network.names), "operation": {c.name for c in network.connections}}
    if not hasattr(prices, "idle_step") or any(not isinstance(getattr(prices, k, None), Mapping) for k in _PRICED):
        raise InputError(f"prices: found {shown(prices)}, allowed are a meter's or those of prices(); make a meter")
    for kind, names in wanted.items():
        if missing := sorted(names - set(getattr(prices, kind))):
            raise InputError(
                f"prices: found none of {kind} for {', '.join(missing[:3])}, allowed are prices of the network that is "
                f"written; make them of this deployment"
            )


def _pair(row: Array) -> float:
    """Joules that a neuron saves of a spike's row, where all save alike."""
    return float(row[-1]) / (len(row) - 1)


def _busy_step(prices: Priced, network: Network) -> float:
    """Joules of a step in which something arrives at every neuron, and none spikes."""
    more = (network[name].size * (prices.active[name] + prices.awake[name]) for name in network.order)
    return prices.idle_step + sum(more)


def _saved(prices: Priced, network: Network) -> dict[str, float]:
    """Joules that a neuron which is off saves of such a step."""
    parts = (prices.off_neuron, prices.off_active, prices.off_awake)
    return {name: sum(part[name] for part in parts) for name in network.order}


@dataclass(frozen=True)
class BudgetProgram:
    """The controller as C, for the network's program of the same prefix.

    Args:
        prefix: of the network's program.
        budget: in integers.
        network: what is counted.
        prices: of its events; something arrives at all neurons, as :func:`in_units` says. None: the program is told
            what windows spent.
        nested: whether the program's dial switches neurons off.

    Raises:
        InputError: it is no FixedBudget, or the prices are of another network.
    """

    prefix: str
    budget: FixedBudget
    network: Network
    prices: Priced | None = None
    nested: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.budget, FixedBudget):
            raise InputError(f"budget: found {shown(self.budget)}, allowed is a FixedBudget, which counts in integers")
        if self.prices is not None:
            _check_prices(self.prices, self.network)

    @property
    def tables(self) -> list[Table]:
        """In flash."""
        numbers = self.budget.numbers
        found = [
            Table("uint32_t", "roots", np.array(ROOTS, np.uint32), "2**(1/2), 2**(1/4), ... times 2**31"),
            Table(
                "int32_t", "costs", np.array(numbers.costs), "of the calibration: logarithms of windows' units, * 65536"
            ),
            Table("int32_t", "places", np.array(numbers.places), f"the knob there: {self._places}"),
        ]
        if numbers.slopes:
            found.append(Table("int32_t", "slopes", np.array(numbers.slopes), "of costs over places, times 65536"))
            found.append(Table("int32_t", "ways", np.array(numbers.ways), "of places over costs, times 65536"))
        return found

    @property
    def _places(self) -> str:
        return "logarithms of settings, times 65536" if self.budget.numbers.scale else "settings"

    @property
    def ram(self) -> int:
        """Bytes of the state."""
        return -(-(2 * 8 + 4 * (self.budget.numbers.parts + 1) + 2 * 4 + 2 * 2 + 1) // 8) * 8

    @property
    def flash(self) -> int:
        """Bytes of the tables; the code comes on top."""
        return sum(table.size for table in self.tables)

    def files(self) -> dict[str, str]:
        """File name -> text."""
        return {f"{self.prefix}_budget.c": self.source(), f"{self.prefix}_budget.h": self.header()}

    def header(self) -> str:
        """The text of ``PREFIX_budget.h``."""
        declared = "" if self.prices is None else filled(SPENT_DECLARED, {"p": self.prefix})
        numbers = self.budget.numbers
        values = {
            "p": self.prefix, "P": self.prefix.upper(), "unit": format_energy(numbers.unit), "hourly": numbers.hourly,
            "earned": numbers.earned, "seconds": f"{self.budget.window_seconds:g}", "spent": declared,
        }  # fmt: skip
        return filled(HEADER, values)

    def source(self) -> str:
        """The text of ``PREFIX_budget.c``."""
        numbers = self.budget.numbers
        several = bool(numbers.slopes)
        values = {
            **vars(numbers), "p": self.prefix, "version": __version__, "points": len(numbers.costs), "one": ONE,
            "tables": "".join(f"\n{table}\n" for table in self.tables), "halved": HELPERS["halved_wide"],
            "turned": "threshold_scale" if numbers.scale else "knob",
            "setting": "at_most(exp2_of(budget.place), 65535)" if numbers.scale else "budget.place",
            "cost": filled(COST, {"within": "<=" if numbers.rising else ">="}) if several else "",
            "place": PLACE if several else "",
        }  # fmt: skip
        return filled(SOURCE, values) + self._spent()

    def _spent(self) -> str:
        if self.prices is None:
            return ""
        names, connections = self.network.names, self.network.connections
        tables = [
            self._table("spike_price", [self.prices.spike[name] for name in names], "units of a spike, by population"),
            self._table(
                "operation_price", [self.prices.operation[c.name] for c in connections],
                "units of a synaptic operation, by connection",
            ),
        ]  # fmt: skip
        values: dict[str, object] = {"populations": len(names), "connections": len(connections), "off": ""}
        if self.nested:
            tables += self._saved_tables(self.prices)
            values["off"] = filled(OFF, values)
        values |= {"p": self.prefix, "tables": "\n".join(map(str, tables))}
        return filled(SPENT, {**values, "step": self._units(_busy_step(self.prices, self.network))})

    def _saved_tables(self, prices: Priced) -> list[Table]:
        saved = _saved(prices, self.network)
        each = [saved.get(name, 0.0) for name in self.network.names]
        operations = [prices.off_operation[c.name] for c in self.network.connections]
        pairs = [_pair(prices.off_row[c.name]) if c.name in prices.off_row else 0.0 for c in self.network.connections]
        return [
            self._table("off_saves", each, "units that a neuron saves in a step in which it is off, by population"),
            self._table("off_operation_saves", operations, "units that an operation onto one saves, by connection"),
            self._table("off_pair_saves", pairs, "units that one saves of the row of what came from a source"),
        ]

    def _table(self, name: str, joules: list[float], about: str) -> Table:
        units = np.array([self._units(each) for each in joules])
        return Table(type_of(units, True), name, units, about)

    def _units(self, joules: float) -> int:
        units = round(joules / self.budget.numbers.unit)
        if units > MOST_PRICE:
            raise InputError(f"prices: found an event of {units} units, allowed are {MOST_PRICE}; use a larger unit")
        return units

    def readme(self) -> str:
        """What the program's page says of it."""
        numbers = self.budget.numbers
        values = {
            "p": self.prefix, "ram": f"{self.ram:,}", "flash": f"{self.flash:,}", "unit": format_energy(numbers.unit),
            "hourly_energy": format_energy(numbers.hourly * numbers.unit),
        }  # fmt: skip
        return filled(README, values)
