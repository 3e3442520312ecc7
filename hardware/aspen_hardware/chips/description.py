"""What a chip is: limits, number formats, power and energies by scenario, read from one TOML file per chip.

Every figure keeps its unit, its source and a mark for how far it can be trusted; see
:mod:`aspen_hardware.chips.schema` for the format of the files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aspen._base.arrays import Rebuilt
from aspen._base.checks import shown
from aspen._base.names import unknown_name
from aspen.errors import ChipError, InputError
from aspen_hardware.chips.figures import expect
from aspen_hardware.chips.formats import Formats
from aspen_hardware.chips.programs import completed
from aspen_hardware.chips.ranges import NOTHING, ByScenario, Range
from aspen_hardware.chips.schema import FACTORS, check_chip_table, iter_figures

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 2**20
"""Of a chip file; those that come with ASPEN have some ten thousand."""
KINDS = {"conv": "convolution"}
"""Kind of connection -> what a chip file calls it, where that is another word."""


def key_of_kind(event: str, connection: str) -> str:
    """The key of an event's figure that holds for one kind of connection alone, e.g. synaptic_operation_sparse."""
    return f"{event}_{KINDS.get(connection, connection)}"


@dataclass(frozen=True)
class Figure:
    """One published number, in the unit of the file.

    Args:
        value: the nominal value; where ``low`` and ``high`` differ, ``note`` says why it is this one.
        unit: as in the file, e.g. ``"pJ"``, ``"mW"``, ``"bits"``.
        source: key of the chip's ``sources``, and the place in it after a colon.
        trust: one of :data:`aspen_hardware.chips.figures.TRUST`.
        low, high: lowest and highest published value.
        low_source, high_source, low_trust, high_trust: who published those, and how far to trust them.
        note: remarks.
    """

    value: float
    unit: str
    source: str
    trust: str
    low: float
    high: float
    low_source: str
    high_source: str
    low_trust: str
    high_trust: str
    note: str = ""

    @property
    def si(self) -> Range:
        """In joules, watts or seconds; counts stay counts."""
        factor = FACTORS.get(self.unit, 1.0)
        return Range(self.low * factor, self.value * factor, self.high * factor)


@dataclass(frozen=True)
class Limits:
    """What fits; ``None`` where there is no limit, or none is known (the chip's ``missing`` says which).

    ``max_delay`` is in time steps; ``output_axons_per_core`` counts edges from a neuron to a core that it reaches.
    """

    cores: int | None = None
    neurons_per_core: int | None = None
    populations_per_core: int | None = None
    synaptic_memory_bits_per_core: int | None = None
    input_axons_per_core: int | None = None
    output_axons_per_core: int | None = None
    threshold_configurations_per_core: int | None = None
    decay_configurations_per_core: int | None = None
    membrane_floors_per_core: int | None = None
    max_delay: int | None = None


@dataclass(frozen=True)
class Scenario:
    """One coherent set of energies and times of operations: one source, one state of the chip.

    Args:
        title: what it is.
        active: which neuron updates it prices as active: a key of :data:`aspen_hardware.chips.schema.ACTIVE`.
    """

    title: str
    active: str


@dataclass(frozen=True)
class Chip(Rebuilt):
    """A chip, as its file describes it.

    >>> loihi = chip("loihi1")
    >>> loihi.limits.neurons_per_core, loihi.scenarios[loihi.usual].title
    (1024, "the chip's makers: simulated before silicon, 0.75 V")

    Args:
        name: short name; the file's name for chips that come with ASPEN.
        title: full name.
        figures: ``section.key`` (or ``step_time``) -> figure, as in the file.
        resets: the file's entry on reset modes: ``value``, ``source``, ``trust``, perhaps ``note``.
        missing: ``section.key`` -> why the file has no figure for it.
        contained: ``scenarios.name.key`` -> in the figure of which other event a scenario has the energy of this one.
        sources: key -> full citation.
        not_covered: what the chip's energies leave out.
        energy_only: why networks are not compiled to it; empty where they are.
        like: the chip whose limits and number formats it has; empty where they are its own.
        scenarios: name -> scenario; empty where no energy of an operation is published.
        usual: the scenario that counts as typical; empty where there is none.
        powered: the file's entry on how the chip is powered: ``rule`` (a key of
            :data:`aspen_hardware.chips.schema.POWER_RULES`), ``source``, ``trust``, perhaps ``note``; empty where that
            is unknown.
        gating: the file's entry on what a knob can switch off: ``unit`` (a key of
            :data:`aspen_hardware.chips.gating.GATING`), ``source``, ``trust``, perhaps ``note``; empty where that is
            unknown.
    """

    name: str
    title: str
    figures: Mapping[str, Figure]
    resets: Mapping[str, Any]
    missing: Mapping[str, str]
    sources: Mapping[str, str]
    not_covered: tuple[str, ...] = ()
    energy_only: str = ""
    like: str = ""
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    usual: str = ""
    powered: Mapping[str, str] = field(default_factory=dict)
    contained: Mapping[str, str] = field(default_factory=dict)
    gating: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._close("figures", "resets", "missing", "sources", "scenarios", "powered", "contained", "gating")

    def section(self, name: str) -> dict[str, Figure]:
        """Figures of one section of the file, by key; e.g. ``power``, or ``scenarios.davies2018.energies``."""
        prefix = f"{name}."
        return {key[len(prefix) :]: figure for key, figure in self.figures.items() if key.startswith(prefix)}

    @cached_property
    def limits(self) -> Limits:
        """What fits on the chip."""
        return Limits(**{key: int(figure.value) for key, figure in self.section("limits").items()})

    @cached_property
    def formats(self) -> Formats:
        """Number formats."""
        widths = {key: int(figure.value) for key, figure in self.section("formats").items()}
        return Formats(tuple(self.resets["value"]), **widths)

    @cached_property
    def energies(self) -> Mapping[str, ByScenario]:
        """Joules of one operation, by kind of operation; those for which some scenario has a figure.

        A scenario without a figure for a kind adds nothing for it; ``contained`` says which other figure has it, or
        ``missing`` why there is none.
        """
        by_name = {name: self.section(f"scenarios.{name}.energies") for name in self.scenarios}
        kinds = dict.fromkeys(kind for figures in by_name.values() for kind in figures)
        found = {
            kind: ByScenario(
                {name: figures[kind].si if kind in figures else NOTHING for name, figures in by_name.items()},
                self.usual,
            )
            for kind in kinds
        }
        return MappingProxyType(found)

    def energy(self, event: str, connection: str = "dense") -> ByScenario | None:
        """Joules of one event, ``None`` where no scenario has a figure.

        Args:
            event: a key of :data:`aspen_hardware.energy.costs.WORDS`.
            connection: kind of the connection whose synapses are meant; a scenario without a figure of its own for that
                kind takes the one for a dense matrix.
        """
        key = key_of_kind(event, connection)
        found, special = self.energies.get(event), self.energies.get(key)
        if found is None or special is None:
            return found
        own = {name: f"scenarios.{name}.energies.{key}" for name in found.of}
        values = {name: special.of[name] if own[name] in self.figures else value for name, value in found.of.items()}
        return ByScenario(values, self.usual)

    def elsewhere(self, event: str) -> dict[str, str]:
        """Scenarios that have the energy of an event in another one's, and in which."""
        keys = {name: f"scenarios.{name}.{event}" for name in self.scenarios}
        return {name: self.contained[key] for name, key in keys.items() if key in self.contained}

    def unpriced(self, event: str) -> dict[str, str]:
        """Scenarios that have no energy of an event, nor in another one's, and why not.

        A chip without scenarios has the one reason of its file, under an empty name.
        """
        otherwise = "the chip's file has no figure for it"
        if not self.scenarios:
            return {"": self.missing.get("scenarios", otherwise)}
        priced = {name for name in self.scenarios if f"scenarios.{name}.energies.{event}" in self.figures}
        rest = [name for name in self.scenarios if name not in priced | set(self.elsewhere(event))]
        return {name: self.missing.get(f"scenarios.{name}.{event}", otherwise) for name in rest}

    def only(self, scenario: str) -> Chip:
        """This chip with one scenario alone, as typical.

        Raises:
            ChipError: the chip has no such scenario.
        """
        if scenario not in self.scenarios:
            raise ChipError(unknown_name(f"scenario of {self.name}", scenario, list(self.scenarios)))
        others = tuple(f"scenarios.{name}." for name in self.scenarios if name != scenario)
        return replace(
            self,
            figures={key: figure for key, figure in self.figures.items() if not key.startswith(others)},
            missing={key: reason for key, reason in self.missing.items() if not key.startswith(others)},
            contained={key: where for key, where in self.contained.items() if not key.startswith(others)},
            scenarios={scenario: self.scenarios[scenario]},
            usual=scenario,
        )

    @property
    def gates(self) -> str:
        """What a knob can switch off: a key of :data:`aspen_hardware.chips.gating.GATING`; ``none`` where the file does
        not know."""
        return self.gating.get("unit", "none")

    @property
    def power(self) -> dict[str, Figure]:
        """Power that is drawn whatever the network does: of a ``core``, the ``chip``, ...; those that the file has."""
        return self.section("power")

    @property
    def clock(self) -> float | None:
        """The usual clock in MHz; ``None`` where the file has none."""
        return self.figures["clock"].value if "clock" in self.figures else None

    @property
    def step_time(self) -> float | None:
        """The tick of real time in seconds; ``None`` where the file has none."""
        return self.figures["step_time"].si.typical if "step_time" in self.figures else None

    @property
    def measured_step(self) -> Range | None:
        """Seconds of a step as measured on the chip somewhere; ``None`` where the file has no measurement."""
        return self.figures["measured_step"].si if "measured_step" in self.figures else None

    @property
    def usual_step(self) -> float | None:
        """Seconds that a step takes where nobody says otherwise: as measured, else the tick of real time."""
        return self.step_time if self.measured_step is None else self.measured_step.typical

    def cite(self, source: str) -> str:
        """The full citation of a figure's ``source``."""
        key, colon, place = source.partition(":")
        return f"{self.sources[key]}{', ' if colon else ''}{place.strip()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        return {
            "name": self.name,
            "title": self.title,
            "step_time_s": self.step_time,
            "power": dict(self.powered),
            "gating": dict(self.gating),
            "typical": self.usual,
            "scenarios": {name: asdict(scenario) for name, scenario in self.scenarios.items()},
            "limits": asdict(self.limits),
            "formats": {**asdict(self.formats), "resets": list(self.formats.resets)},
            "figures": {key: asdict(figure) for key, figure in self.figures.items()},
            "resets": dict(self.resets),
            "missing": dict(self.missing),
            "contained": dict(self.contained),
            "sources": dict(self.sources),
            "not_covered": list(self.not_covered),
            "energy_only": self.energy_only,
            "like": self.like,
        }


def chip_names() -> list[str]:
    """Names of the chips that come with ASPEN, sorted.

    >>> chip_names()[-3:]
    ['spinnaker2', 'truenorth', 'xylo']
    """
    folder = resources.files("aspen_hardware").joinpath("chips")
    return sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def chip(name_or_path: str | Path) -> Chip:
    """Read a chip: one that comes with ASPEN, by name, or your own ``.toml`` file, by path.

    >>> chip("loihi1").limits.neurons_per_core
    1024

    Args:
        name_or_path: one of :func:`chip_names`, or the path of a chip file.

    Raises:
        ChipError: there is no chip of that name, or the file is no valid chip file, or has the name of another chip.
        InputError: there is no such file.
    """
    if not isinstance(name_or_path, (str, Path)):
        allowed = f"the name of a chip or the path of a .toml file; choose of {', '.join(chip_names())}"
        raise ChipError(f"chip: found {shown(name_or_path)}, allowed is {allowed}")
    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix == ".toml" or len(path.parts) > 1:
        found = _parse(data := _read(path), path.name)
        taken = found.name in chip_names() and data != _known(found.name)  # deployments and tables are kept by a name
        name, allowed = f"{found.name!r}, a chip that comes with ASPEN", "a name of its own"
        expect(not taken, path.name, "name", name, allowed, f'write e.g. name = "my-{found.name}"')
        return found
    if name_or_path not in chip_names():
        here = f"{name_or_path}.toml is here: give that" if Path(f"{name_or_path}.toml").is_file() else ""
        otherwise = here or "choose one of these, or give the path of your own .toml file"
        raise ChipError(unknown_name("chip", name_or_path, chip_names(), otherwise))
    return _parse(_known(name_or_path), f"{name_or_path}.toml")


def _known(name: str) -> bytes:
    return resources.files("aspen_hardware").joinpath("chips", f"{name}.toml").read_bytes()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:  # which may be a device that never ends
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: found no readable chip file ({error.strerror}); check the path") from error
    if len(data) > MAX_BYTES:
        raise ChipError(f"{path}: found more than {MAX_BYTES} bytes, allowed is a chip file; check the path")
    return data


def _parse(data: bytes, file: str) -> Chip:
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # of UTF-8 or TOML, of integers too long, or of nesting too deep
        raise ChipError(f"{file}: found no valid TOML ({error}), allowed is a UTF-8 TOML file; correct it") from error
    table = completed(table, file, lambda name: tomllib.loads(_known(name).decode()) if name in chip_names() else None)
    check_chip_table(table, file)
    scenarios = table.get("scenarios", {})
    return Chip(
        name=table["name"],
        title=table["title"],
        figures={key: _figure(entry) for key, entry, _ in iter_figures(table)},
        resets=table["formats"]["resets"],
        missing=dict(_reasons(table.get("missing", {}), scenarios)),
        contained=dict(_of_scenarios(scenarios, "contained")),
        sources=table["sources"],
        not_covered=tuple(table.get("not_covered", ())),
        energy_only=table.get("energy_only", ""),
        like=table.get("like", ""),
        scenarios={name: Scenario(entry["title"], entry["active"]) for name, entry in scenarios.items()},
        usual=table.get("typical", ""),
        powered={key: text for key, text in table.get("power", {}).items() if isinstance(text, str)},
        gating=dict(table.get("gating", {})),
    )


def _reasons(missing: Mapping[str, Any], scenarios: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section, entry in missing.items():
        if isinstance(entry, str):
            yield section, entry
        else:
            yield from ((f"{section}.{key}", reason) for key, reason in entry.items())
    yield from _of_scenarios(scenarios, "missing")


def _of_scenarios(scenarios: Mapping[str, Any], part: str) -> Iterator[tuple[str, str]]:
    for name, scenario in scenarios.items():
        yield from ((f"scenarios.{name}.{key}", text) for key, text in scenario.get(part, {}).items())


def _figure(entry: Mapping[str, Any]) -> Figure:
    bounds = {bound: entry.get(bound, entry["value"]) for bound in ("low", "high")}
    for bound in ("low", "high"):
        for part in ("source", "trust"):
            bounds[f"{bound}_{part}"] = entry.get(f"{bound}_{part}", entry[part])
    return Figure(**{**entry, **bounds})
