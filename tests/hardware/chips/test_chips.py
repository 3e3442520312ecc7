"""Chip files: the ones that come with ASPEN are complete and sourced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aspen.errors import ChipError, InputError
from aspen_hardware.chips.description import Chip, chip, chip_names
from aspen_hardware.chips.figures import TRUST
from aspen_hardware.chips.parts import runs_programs
from aspen_hardware.chips.schema import ENERGY_KEYS, KEYS
from aspen_hardware.chips.text import describe
from tests.hardware.chips.small_chip import small

NAMES = [
    "cortex-m",
    "cortex-m0plus",
    "cortex-m33",
    "cortex-m4",
    "generic-45nm",
    "loihi1",
    "loihi2",
    "odin",
    "spinnaker2",
    "truenorth",
    "xylo",
]


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
        assert (
            runs_programs(found) or set(ENERGY_KEYS) <= set(found.section(f"scenarios.{scenario}.energies")) ^ reasons
        )
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
    assert loihi.formats.resets == ("zero", "zero-delayed", "subtract-synapse", "none", "none-rectified")
    assert loihi.formats.reset_compartments == 2
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
