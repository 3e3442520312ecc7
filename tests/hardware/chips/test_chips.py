"""Chip files: the ones that come with ASPEN are complete and sourced, and every mistake in one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aspen.errors import ChipError, InputError
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.chips.figures import TRUST
from aspen_hardware.chips.schema import ENERGY_KEYS, KEYS
from aspen_hardware.chips.text import describe

NAMES = ["generic-45nm", "loihi1", "loihi2", "odin", "spinnaker2", "truenorth", "xylo"]

SMALL = """
format = 2
name = "small"
title = "A small chip"
typical = "middle"
not_covered = ["everything else"]
[sources]
doe = "J. Doe: A small chip. 2020"
roe = "R. Roe: That small chip again. 2021"
[step_time]
value = 2
unit = "ms"
source = "doe"
trust = "P"
[power]
rule = "whole"
source = "doe: p. 3"
trust = "P"
[power.chip]
value = 5.0
low = 4.0
unit = "mW"
source = "doe: p. 3"
trust = "P"
low_source = "roe: p. 4"
note = "the other one slept"
[limits.cores]
value = 4
unit = "cores"
source = "doe: p. 2"
trust = "P"
[formats.resets]
value = ["zero"]
source = "doe"
trust = "P"
[scenarios.middle]
title = "as measured by Doe"
active = "input"
[scenarios.middle.energies.synaptic_operation]
value = 2.0
low = 1.0
high = 3.0
low_source = "roe: p. 1"
high_source = "roe: p. 2"
high_trust = "S"
note = "in the middle"
unit = "pJ"
source = "doe: Table 1"
trust = "Q"
[scenarios.middle.speeds.spike]
value = 7.0
unit = "ns"
source = "doe: Table 1"
trust = "Q"
[scenarios.middle.missing]
neuron_update_active = "unknown"
neuron_update_inactive = "unknown"
spike = "unknown"
spike_packet = "unknown"
hop_east_west = "unknown"
hop_north_south = "unknown"
learning_update = "unknown"
[missing.limits]
neurons_per_core = "unknown"
populations_per_core = "unknown"
synaptic_memory_bits_per_core = "unknown"
input_axons_per_core = "unknown"
output_axons_per_core = "unknown"
threshold_configurations_per_core = "unknown"
max_delay = "unknown"
[missing.formats]
weight_bits = "unknown"
synapse_overhead_bits = "unknown"
threshold_bits = "unknown"
state_bits = "unknown"
decay_bits = "unknown"
bias_mantissa_bits = "unknown"
bias_exponent_bits = "unknown"
"""


def small(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """Path of the small chip's file, with one piece of text replaced."""
    assert old in SMALL
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace(old, new, 1))
    return path


def test_these_chips_come_with_aspen() -> None:
    assert chip_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_unit_source_and_trust(name: str) -> None:
    found = chip(name)
    assert found.name == name
    for key, figure in found.figures.items():
        assert figure.unit, key
        assert {figure.trust, figure.low_trust, figure.high_trust} <= set(TRUST), key
        for source in (figure.source, figure.low_source, figure.high_source):
            assert len(found.cite(source)) > len(source), key
        assert figure.low <= figure.value <= figure.high, key
        assert figure.low == figure.high or figure.note, key


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_figure_has_a_reason(name: str) -> None:
    found = chip(name)
    wanted = {f"{section}.{key}" for section, keys in KEYS.items() for key in keys} | {"step_time"}
    assert wanted <= set(found.figures) ^ set(found.missing)
    for scenario in found.scenarios:
        reasons = {key.removeprefix(f"scenarios.{scenario}.") for key in (*found.missing, *found.contained)}
        assert set(ENERGY_KEYS) <= set(found.section(f"scenarios.{scenario}.energies")) ^ reasons
    assert bool(found.scenarios) != ("scenarios" in found.missing)
    assert bool(found.powered) != ("power" in found.missing)


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_used(name: str) -> None:
    found = chip(name)
    cited = [s for f in found.figures.values() for s in (f.source, f.low_source, f.high_source)]
    powered = [found.powered["source"]] if found.powered else []
    used = {source.split(":")[0] for source in [*cited, *powered, found.resets["source"]]}
    assert used == set(found.sources)


def test_loihi1_figures() -> None:
    loihi = chip("loihi1")
    assert (loihi.limits.cores, loihi.limits.neurons_per_core) == (128, 1024)
    assert loihi.limits.synaptic_memory_bits_per_core == 16384 * 64
    assert (loihi.limits.input_axons_per_core, loihi.limits.output_axons_per_core) == (4096, 4096)
    assert loihi.limits.threshold_configurations_per_core == 8
    assert loihi.formats.resets == ("zero", "none")
    assert (loihi.formats.threshold_bits, loihi.formats.state_bits, loihi.formats.decay_bits) == (17, 24, 12)
    assert (loihi.formats.bias_mantissa_bits, loihi.formats.bias_exponent_bits) == (13, 3)
    assert loihi.step_time == 1e-3
    assert loihi.measured_step is not None
    assert (loihi.measured_step.low, loihi.measured_step.high) == pytest.approx((5.8e-6, 879e-6))
    assert loihi.usual_step == loihi.measured_step.typical == pytest.approx(337e-6)
    power = loihi.power["chip"].si
    assert loihi.powered["rule"] == "whole"
    assert (power.low, power.typical, power.high) == pytest.approx((29.5e-3, 96.3e-3, 104e-3))
    assert power.high == pytest.approx(3.34 / 32, rel=5e-3)


def test_loihi1_has_two_scenarios_each_of_one_source() -> None:
    loihi = chip("loihi1")
    assert (list(loihi.scenarios), loihi.usual) == (["davies2018", "sanafe"], "davies2018")
    assert [scenario.active for scenario in loihi.scenarios.values()] == ["input", "awake"]
    sources = {
        name: {figure.source.split(":")[0] for figure in loihi.section(f"scenarios.{name}").values()}
        for name in loihi.scenarios
    }
    assert sources == {"davies2018": {"davies2018"}, "sanafe": {"boyle2025"}}
    expected = {
        "synaptic_operation": (23.6, 35.5),
        "neuron_update_active": (81.0, 72.8),
        "neuron_update_inactive": (52.0, 51.2),
        "spike": (0.0, 69.3),
        "spike_packet": (1.7, 111.0),
    }
    for event, values in expected.items():
        energy = loihi.energy(event)
        assert energy is not None
        found = [energy.of[name].typical * 1e12 for name in ("davies2018", "sanafe")]
        assert found == pytest.approx(values)
    kinds = {"dense": (23.6, 35.5), "sparse": (23.6, 33.6), "conv": (23.6, 24.0)}
    for kind, values in kinds.items():
        energy = loihi.energy("synaptic_operation", kind)
        assert energy is not None
        assert (energy.typical * 1e12, energy.high * 1e12) == pytest.approx(values)
    alone = loihi.only("sanafe")
    assert (list(alone.scenarios), alone.usual, set(loihi.energies) - set(alone.energies)) == (
        ["sanafe"],
        "sanafe",
        {"learning_update"},
    )
    assert alone.energies["spike"].low == pytest.approx(69.3e-12)
    with pytest.raises(ChipError, match=r"scenario of loihi1: found 'davis2018', .*did you mean 'davies2018'"):
        loihi.only("davis2018")


def test_loihi2_reuses_no_energy_of_loihi1() -> None:
    loihi = chip("loihi2")
    assert (loihi.limits.cores, loihi.limits.neurons_per_core) == (128, 8192)
    assert loihi.energies == {}
    assert loihi.scenarios == {}
    assert loihi.power["chip"].si.typical == pytest.approx(0.232)
    assert "no energy per operation of Loihi 2 is published" in loihi.missing["scenarios"]
    assert loihi.unpriced("synaptic_operation") == {"": loihi.missing["scenarios"]}


def test_generic_energies_follow_from_the_published_ones() -> None:
    generic = chip("generic-45nm")
    given = {key: figure.value for key, figure in generic.section("measurements").items()}
    small, medium, large = (given[f"sram_{size}_64bit_access"] for size in ("8kb", "32kb", "1mb"))

    def operation(weights: float, state: float) -> float:
        return weights / 8 + given["add_int32"] + 2 * state / 2

    def inactive(state: float) -> float:
        return 2 * state + 2 * given["multiply_int32"] + 2 * given["add_int32"]

    def active(state: float) -> float:
        return inactive(state) + 2 * state / 2 + given["add_int32"]

    expected = {
        "synaptic_operation": (operation(small, small), operation(medium, small), operation(large, medium)),
        "multiply_accumulate": tuple(
            operation(*sizes) + given["multiply_int8"] for sizes in ((small, small), (medium, small), (large, medium))
        ),
        "neuron_update_inactive": (inactive(small), inactive(small), inactive(medium)),
        "neuron_update_active": (active(small), active(small), active(medium)),
    }
    found = {
        key: tuple(energy.of[name].typical * 1e12 for name in ("small", "middle", "large"))
        for key, energy in generic.energies.items()
    }
    assert set(expected) <= set(found)
    for key, values in expected.items():
        assert found[key] == pytest.approx(values)
    assert "no static power" in generic.missing["power"]


def test_own_file_by_path(tmp_path: Path) -> None:
    path = small(tmp_path)
    for given in (path, str(path)):
        found = chip(given)
        assert (found.name, found.limits.cores, found.limits.max_delay) == ("small", 4, None)
        assert found.step_time == pytest.approx(2e-3)
        figure = found.figures["scenarios.middle.energies.synaptic_operation"]
        energy = found.energies["synaptic_operation"]
        assert (energy.low, energy.typical, energy.high) == pytest.approx((1e-12, 2e-12, 3e-12))
        assert (figure.low, figure.value, figure.high) == (1.0, 2.0, 3.0)
        assert (figure.trust, figure.low_trust, figure.high_trust) == ("Q", "Q", "S")
        assert found.cite(figure.high_source) == "R. Roe: That small chip again. 2021, p. 2"
        assert found.cite("doe") == "J. Doe: A small chip. 2020"


def test_unknown_name() -> None:
    with pytest.raises(
        ChipError, match=r"found 'loihi3', allowed are .*, loihi1, .*; did you mean 'loihi1' or 'loihi2'"
    ):
        chip("loihi3")
    with pytest.raises(
        ChipError, match=r"found .abc., allowed are .*, xylo; choose one of these, or give .* \.toml file"
    ):
        chip("abc")


@pytest.mark.parametrize("name", ["no/such.toml", "absent.toml"])
def test_missing_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found no readable chip file \(No such file"):
        chip(tmp_path / name)


def test_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("format = ")
    with pytest.raises(ChipError, match=r"bad\.toml: found no valid TOML"):
        chip(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ChipError, match=r"bad\.toml: found no valid TOML"):
        chip(path)


MISTAKES = [
    ("format = 2", "format = 1", r"format: found 1, allowed is 2; describe \[power\] and \[scenarios\] as"),
    ("format = 2", "", r"format: found nothing, .*add the key"),
    ("format = 2", "format = 2\ncolour = 3", r"colour: found an unknown key, allowed is format, "),
    ('name = "small"', 'name = "Small chip"', r"name: found 'Small chip', allowed is lower-case"),
    ('title = "A small chip"', 'title = " "', r"title: found ' ', allowed is a text"),
    ('["everything else"]', '"everything"', r"not_covered: found 'everything', allowed is a list"),
    ('["everything else"]', "[1]", r"not_covered: found 1, allowed is a text"),
    ('roe = "R. Roe: That small chip again. 2021"', "roe = 1", r"sources\.roe: found 1, allowed is a text"),
    ('rule = "whole"\n', "", r"power\.rule: found nothing, allowed is whole, core, gated; say which"),
    ('rule = "whole"', 'rule = "half"', r"power\.rule: found 'half', allowed is whole, core, gated"),
    (
        'rule = "whole"',
        'rule = "core"',
        r"power\.core: found nothing, allowed is a figure, as the rule is core; add it",
    ),
    ('rule = "whole"', 'rule = "gated"', r"power\.off: found nothing, allowed is a figure, as the rule is gated"),
    ("[power.chip]", "[power.off]", r"power\.chip: found nothing, allowed is a figure, as the rule is whole"),
    (
        "[power.chip]",
        "[power.chips]",
        r"power\.chips: found an unknown key, allowed is rule, source, trust, note, chip",
    ),
    ("[power]", "[power]\nnote = 3", r"power\.note: found 3, allowed is a text"),
    ('source = "doe: p. 3"\ntrust', 'source = "poe"\ntrust', r"power\.source: found 'poe', allowed is doe, roe"),
    ('unit = "mW"', 'unit = "pJ"', r"power\.chip\.unit: found 'pJ', allowed is W, mW"),
    ('typical = "middle"\n', "", r"typical: found nothing, allowed is middle; name the scenario"),
    ('typical = "middle"', 'typical = "left"', r"typical: found 'left', allowed is middle; name the scenario"),
    ("[scenarios.middle.speeds.spike]", "[scenarios.middle.speeds.spike_]", r"speeds\.spike_: found an unknown key"),
    ('active = "input"\n', "", r"scenarios\.middle\.active: found nothing"),
    (
        'active = "input"',
        'active = "sometimes"',
        r"scenarios\.middle\.active: found 'sometimes', allowed is input, awake",
    ),
    ('title = "as measured by Doe"', "title = 3", r"scenarios\.middle\.title: found 3, allowed is a text"),
    (
        'spike = "unknown"\n',
        "",
        r"middle\.energies\.spike: found nothing, .*say under scenarios\.middle\.missing\.spike",
    ),
    ('spike = "unknown"\n', "spike = 1\n", r"scenarios\.middle\.missing\.spike: found 1, allowed is a text"),
    (
        "[scenarios.middle.missing]",
        '[scenarios.middle.contained]\nspike = "in the update"\n[scenarios.middle.missing]',
        r"middle\.contained\.spike: found a reason for its absence too, allowed is one of them; remove what is not so",
    ),
    (
        "[scenarios.middle.missing]",
        '[scenarios.middle.contained]\nsynaptic_operation = "in the update"\n[scenarios.middle.missing]',
        r"middle\.contained\.synaptic_operation: found a figure of its own too, allowed is one of them",
    ),
    (
        'spike = "unknown"\n',
        "[scenarios.middle.contained]\nspike = 3\n[scenarios.left]\n",
        r"scenarios\.middle\.contained\.spike: found 3, allowed is a text",
    ),
    ("[limits.cores]", "[limits.kores]", r"limits\.kores: found an unknown key, allowed is cores, "),
    ('max_delay = "unknown"', "", r"limits\.max_delay: found nothing, .*missing\.limits\.max_delay why"),
    ('max_delay = "unknown"', 'max_delay = ""', r"missing\.limits\.max_delay: found '', allowed is a text"),
    ('max_delay = "unknown"', 'cores = "x"\nmax_delay = "x"', r"limits\.cores: found both a figure and a reason"),
    ("[missing.limits]", "[missing.dynamics]", r"missing\.dynamics: found an unknown key"),
    ("[step_time]\n", "[missing]\nstep_time = 'x'\n[step_time]\n", r"step_time: found both"),
    ('unit = "cores"\n', "", r"limits\.cores\.unit: found nothing"),
    ('unit = "cores"', 'unit = "bits"', r"limits\.cores\.unit: found 'bits', allowed is cores; convert"),
    ('unit = "pJ"', 'unit = "pW"', r"energies\.synaptic_operation\.unit: found 'pW', allowed is J, mJ, "),
    ('unit = "ms"', 'unit = "mJ"', r"step_time\.unit: found 'mJ', allowed is s, ms, us, ns"),
    ("value = 4", "value = -4", r"limits\.cores\.value: found -4, allowed is a number from 0"),
    ("value = 4", f"value = {10**400}", r"limits\.cores\.value: found 1000.*\.\.\., allowed is a number"),
    ("value = 4", f"value = {'9' * 5000}", r"found no valid TOML"),
    (
        "[scenarios.middle.energies.synaptic_operation]",
        '[formats.spike_bits]\nvalue = 1e12\nunit = "bits"\nsource = "doe"\ntrust = "P"\n'
        "[scenarios.middle.energies.synaptic_operation]",
        r"formats\.spike_bits\.value: found 1000000000000\.0, allowed is a number from 0 to 64",
    ),
    ("value = 4", "value = 1979-05-27", r"limits\.cores\.value: found datetime\.date"),
    ("value = 4", f"value = {'[' * 5000}", r"found no valid TOML"),
    ('note = "in the middle"', "note = 1979-05-27", r"synaptic_operation\.note: found datetime\.date\(1979, 5, 27\)"),
    ('value = ["zero"]', 'value = ["zero"]\nnote = 1979-05-27', r"formats\.resets\.note: found datetime\.date"),
    (
        "[missing.formats]",
        "[missing.formats]\nspike_bits = 07:32:00",
        r"missing\.formats\.spike_bits: found datetime",
    ),
    ("value = 4", "value = 4.5", r"limits\.cores\.value: found 4\.5, allowed is a whole number"),
    ("value = 4", "value = true", r"limits\.cores\.value: found True, allowed is a number"),
    ("value = 4", 'value = "4"', r"limits\.cores\.value: found '4', allowed is a number"),
    ("value = 2.0", "value = nan", r"synaptic_operation\.value: found nan, allowed is a number"),
    ("low = 1.0", "low = -1.0", r"synaptic_operation\.low: found -1\.0, allowed is a number"),
    ("low = 1.0", "low = 4.0", r"synaptic_operation: found low 4 above high 3, allowed is low <= high; swap"),
    ("value = 2.0", "value = 3.5", r"synaptic_operation\.value: found 3\.5, allowed is 1 to 3; widen"),
    ('low_source = "roe: p. 1"\n', "", r"synaptic_operation\.low_source: found nothing, .*say who published 1"),
    ('note = "in the middle"\n', "", r"synaptic_operation\.note: found nothing, .*say why"),
    ('note = "in the middle"', "note = 1", r"synaptic_operation\.note: found 1, allowed is a text"),
    ('source = "doe: Table 1"', 'source = "poe: Table 1"', r"\.source: found 'poe: Table 1', allowed is doe, roe"),
    ('trust = "Q"', 'trust = "A"', r"synaptic_operation\.trust: found 'A', allowed is P, Q, S, D"),
    ('high_trust = "S"', 'high_trust = "?"', r"synaptic_operation\.high_trust: found '\?', allowed is P, Q"),
    ('value = ["zero"]', 'value = ["half"]', r"formats\.resets\.value: found \['half'\], allowed is a list from zero"),
    ('value = ["zero"]', "value = []", r"formats\.resets\.value: found \[\], allowed is a list"),
    (
        '[formats.resets]\nvalue = ["zero"]\nsource = "doe"\ntrust = "P"',
        "[formats]",
        r"formats\.resets\.value: found noth",
    ),
    ("[formats.resets]", "[formats.reset]", r"formats\.reset: found an unknown key"),
    (
        "[power.chip]",
        "[measurements]\nstep = 3\n[power.chip]",
        r"measurements\.step: found 3, allowed is a table; write",
    ),
]


MISTAKES += [
    (
        "[scenarios.middle.energies.synaptic_operation]",
        "[scenarios.middle.energies.synaptic_operation_sparse]",
        r"energies\.synaptic_operation: found nothing beside synaptic_operation_sparse, allowed is a figure; add that",
    ),
    ("value = 2\n", "value = 0\n", r"step_time: found 0, allowed is more than 0; correct the figure"),
    (
        "[power.chip]",
        '[measured_step]\nvalue = 1\nlow = 0\nunit = "ms"\nsource = "doe"\ntrust = "P"\nlow_source = "roe"\n'
        'note = "x"\n'
        "[power.chip]",
        r"measured_step: found 0, allowed is more than 0",
    ),
    (
        "[limits.cores]",
        '[clock]\nvalue = 0\nunit = "MHz"\nsource = "doe"\ntrust = "P"\n[limits.cores]',
        r"clock: found 0",
    ),
    (
        "[scenarios.middle]",
        '[scenarios."a.b"]',
        r"scenarios\.a\.b: found 'a\.b', allowed is lower-case letters, digits, '_' ",
    ),
]


def powered(rule: str, *figures: str) -> str:
    """The section on power of a chip file; each figure is a name and further lines."""
    head = f'[power]\nrule = "{rule}"\nsource = "doe"\ntrust = "P"\n'
    tail = 'unit = "mW"\nsource = "doe"\ntrust = "P"\nlow_source = "roe"\nnote = "x"\n'
    return head + "".join(f"[power.{name}]\n{lines}\n{tail}" for name, _, lines in (f.partition("\n") for f in figures))


@pytest.mark.parametrize(
    ("rule", "on", "off", "found"),
    [
        (
            "gated",
            "chip\nvalue = 5.0",
            "off\nvalue = 6.0",
            r"power\.off: found 0\.006 W \(low\), allowed is at most power\.chip",
        ),
        (
            "core",
            "core\nvalue = 5.0\nlow = 1.0",
            "off\nvalue = 4.0",
            r"power\.off: found 0\.004 W \(low\), .* power\.core, 0\.001 W",
        ),
    ],
)
def test_what_is_off_draws_no_more_than_what_is_on(rule: str, on: str, off: str, found: str, tmp_path: Path) -> None:
    power = SMALL[SMALL.index("[power]") : SMALL.index("[limits.cores]")]
    with pytest.raises(ChipError, match=found):
        chip(small(tmp_path, power, powered(rule, on, off)))
    right = chip(small(tmp_path, power, powered(rule, on, "off\nvalue = 0.5")))
    assert right.powered["rule"] == rule


def test_an_inactive_update_costs_no_more_than_an_active_one(tmp_path: Path) -> None:
    updates = "".join(
        f'[scenarios.middle.energies.neuron_update_{name}]\nvalue = {value}\nunit = "pJ"\nsource = "doe"\ntrust = "P"\n'
        for name, value in (("active", 5.0), ("inactive", 6.0))
    )
    said = 'neuron_update_active = "unknown"\nneuron_update_inactive = "unknown"\n'
    path = small(tmp_path, said)
    path.write_text(path.read_text() + updates)
    with pytest.raises(
        ChipError, match=r"energies\.neuron_update_inactive: found 6e-12 J \(low\), allowed is at most .*5e-12"
    ):
        chip(path)


def test_a_chip_powered_by_core_says_how_many_there_are(tmp_path: Path) -> None:
    power = SMALL[SMALL.index("[power]") : SMALL.index("[formats.resets]")]
    without = powered("core", "core\nvalue = 5.0", "off\nvalue = 0.5") + "[limits]\n"
    path = small(tmp_path, power, without)
    path.write_text(path.read_text().replace('max_delay = "unknown"', 'max_delay = "unknown"\ncores = "unknown"'))
    with pytest.raises(ChipError, match=r"limits\.cores: found nothing beside the rule core, allowed is a figure; say"):
        chip(path)


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_refused_by_name(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ChipError, match=r"^small\.toml: .*(" + message + ")"):
        chip(small(tmp_path, old, new))


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    path = small(tmp_path)
    found = path.read_text()
    power = found[found.index("[power]") : found.index("[limits.cores]")]
    path.write_text(found.replace(power, ""))
    with pytest.raises(ChipError, match=r"small\.toml: power: found nothing, .*or say under missing\.power why"):
        chip(path)
    path.write_text("power = 3\n" + path.read_text())
    with pytest.raises(ChipError, match=r"power: found 3, allowed is a table; write \[power\]"):
        chip(path)


@pytest.mark.parametrize("name", NAMES)
def test_describe_shows_every_figure_and_source(name: str) -> None:
    found = chip(name)
    text = describe(found)
    for key, figure in found.figures.items():
        assert key.rpartition(".")[2] in text
        assert f"{figure.value:,.8g}" in text
        assert figure.source in text
    for reason in [*found.missing.values(), *found.sources.values(), *found.not_covered]:
        assert reason in text


@pytest.mark.parametrize("name", NAMES)
def test_to_dict_is_json(name: str) -> None:
    found = chip(name)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["name"] == name
    assert plain["limits"]["cores"] == found.limits.cores
    assert set(plain["figures"]) == set(found.figures)
    assert plain["formats"]["resets"] == list(found.formats.resets)


def test_chips_are_frozen() -> None:
    found: Chip = chip("loihi1")
    with pytest.raises(AttributeError):
        found.name = "mine"  # type: ignore[misc]
