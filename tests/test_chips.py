"""Chip files: the ones that come with ASPEN are complete and sourced, and every mistake in one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aspen.errors import ChipError, InputError
from aspen_hardware.chip_schema import KEYS, TRUST
from aspen_hardware.chips import Chip, chip, chip_names, describe

NAMES = ["generic-45nm", "loihi1", "loihi2", "odin", "spinnaker2", "truenorth", "xylo"]

SMALL = """
format = 1
name = "small"
title = "A small chip"
not_covered = ["everything else"]
[sources]
doe = "J. Doe: A small chip. 2020"
roe = "R. Roe: That small chip again. 2021"
[step_time]
value = 2
unit = "ms"
source = "doe"
trust = "P"
[limits.cores]
value = 4
unit = "cores"
source = "doe: p. 2"
trust = "P"
[formats.resets]
value = ["zero"]
source = "doe"
trust = "P"
[energies.synaptic_operation]
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
[statics]
[missing.limits]
neurons_per_core = "unknown"
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
[missing.energies]
neuron_update_active = "unknown"
neuron_update_inactive = "unknown"
spike = "unknown"
spike_packet = "unknown"
hop_east_west = "unknown"
hop_north_south = "unknown"
learning_update = "unknown"
[missing.statics]
core = "unknown"
chip = "unknown"
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


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_used(name: str) -> None:
    found = chip(name)
    cited = [s for f in found.figures.values() for s in (f.source, f.low_source, f.high_source)]
    used = {source.split(":")[0] for source in [*cited, found.resets["source"]]}
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
    operation = loihi.energies["synaptic_operation"]
    assert operation.si.low == operation.si.typical == pytest.approx(23.6e-12)
    assert operation.si.high == pytest.approx(35.5e-12)
    assert loihi.energies["neuron_update_active"].value == 81
    assert loihi.energies["neuron_update_inactive"].value == 52
    assert loihi.energies["spike_packet"].value == 1.7
    assert loihi.statics["core"].si.typical == pytest.approx(3.34 / 32 / 128, rel=1e-3)
    assert loihi.statics["core"].si.low == pytest.approx(0.029 / 128, rel=2e-3)
    assert set(loihi.missing) == {"energies.multiply_accumulate"}


def test_loihi2_reuses_no_energy_of_loihi1() -> None:
    loihi = chip("loihi2")
    assert (loihi.limits.cores, loihi.limits.neurons_per_core) == (128, 8192)
    assert loihi.energies == {}
    assert loihi.statics == {}
    assert "no energy per operation of Loihi 2 is published" in loihi.missing["energies.synaptic_operation"]


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
    found = {key: (figure.low, figure.value, figure.high) for key, figure in generic.energies.items()}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values)
    assert "no static power" in generic.missing["statics.core"]


def test_own_file_by_path(tmp_path: Path) -> None:
    path = small(tmp_path)
    for given in (path, str(path)):
        found = chip(given)
        assert (found.name, found.limits.cores, found.limits.max_delay) == ("small", 4, None)
        assert found.step_time == pytest.approx(2e-3)
        figure = found.energies["synaptic_operation"]
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
    ("format = 1", "format = 2", r"format: found 2, allowed is 1"),
    ("format = 1", "", r"format: found nothing, .*add the key"),
    ("format = 1", "format = 1\ncolour = 3", r"colour: found an unknown key, allowed is format, "),
    ('name = "small"', 'name = "Small chip"', r"name: found 'Small chip', allowed is lower-case"),
    ('title = "A small chip"', 'title = " "', r"title: found ' ', allowed is a text"),
    ('["everything else"]', '"everything"', r"not_covered: found 'everything', allowed is a list"),
    ('["everything else"]', "[1]", r"not_covered: found 1, allowed is a text"),
    ('roe = "R. Roe: That small chip again. 2021"', "roe = 1", r"sources\.roe: found 1, allowed is a text"),
    ("[statics]", "[statics.core]", r"statics\.core: found both a figure and a reason"),
    ("[limits.cores]", "[limits.kores]", r"limits\.kores: found an unknown key, allowed is cores, "),
    ('max_delay = "unknown"', "", r"limits\.max_delay: found nothing, .*missing\.limits\.max_delay why"),
    ('max_delay = "unknown"', 'max_delay = ""', r"missing\.limits\.max_delay: found '', allowed is a text"),
    ('max_delay = "unknown"', 'cores = "x"\nmax_delay = "x"', r"limits\.cores: found both a figure and a reason"),
    ("[missing.statics]", "[missing.dynamics]", r"missing\.dynamics: found an unknown key"),
    ("[step_time]\n", "[missing]\nstep_time = 'x'\n[step_time]\n", r"step_time: found both"),
    ('unit = "cores"\n', "", r"limits\.cores\.unit: found nothing"),
    ('unit = "cores"', 'unit = "bits"', r"limits\.cores\.unit: found 'bits', allowed is cores; convert"),
    ('unit = "pJ"', 'unit = "pW"', r"energies\.synaptic_operation\.unit: found 'pW', allowed is J, mJ, "),
    ('unit = "ms"', 'unit = "mJ"', r"step_time\.unit: found 'mJ', allowed is s, ms, us, ns"),
    ("value = 4", "value = -4", r"limits\.cores\.value: found -4, allowed is a number from 0"),
    ("value = 4", f"value = {10**400}", r"limits\.cores\.value: found 1000.*\.\.\., allowed is a number"),
    ("value = 4", f"value = {'9' * 5000}", r"found no valid TOML"),
    (
        "[energies.synaptic_operation]",
        '[formats.spike_bits]\nvalue = 1e12\nunit = "bits"\nsource = "doe"\ntrust = "P"\n[energies.synaptic_operation]',
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
        "[statics]",
        "[statics]\n[speeds]\nstep = 3",
        r"speeds\.step: found 3, allowed is a table; write \[speeds\.step\]",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_refused_by_name(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ChipError, match=r"^small\.toml: .*(" + message + ")"):
        chip(small(tmp_path, old, new))


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    path = small(tmp_path, "[statics]\n", "")
    with pytest.raises(ChipError, match=r"statics: found nothing"):
        chip(path)
    path.write_text("statics = 3\n" + path.read_text())
    with pytest.raises(ChipError, match=r"statics: found 3, allowed is a table; write \[statics\]"):
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
