"""One handle on an ``.aspen`` file: one state is read, once, and all that was put is written at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from aspen.calibration.storage import CALIBRATION, CalibrationTable, OperatingPoint, list_tables
from aspen.data import CurrentEncoder, RateEncoder, load_encoder, save_encoder
from aspen.data.stored import ENCODER
from aspen.dial.profile import DIAL, DialProfile, load_profile, save_profile
from aspen.errors import FileFormatError, InputError
from aspen.network.files import NETWORK
from aspen.network.network import load_network
from aspen.storage.container import read_container
from aspen.storage.file import AspenFile, Section
from aspen_hardware import compile, load_deployment, store_deployment
from aspen_hardware.compiling.deployment import deployment_on, stored_chips
from tests.networks import float_network

PROFILE = DialProfile({"layer1": 1.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a network alone."""
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    return tmp_path / "net.aspen"


def table(chip: str) -> CalibrationTable:
    point = OperatingPoint(1.0, 0.9, 0.85, 0.95, 5.0, 20.0, 10.0, 1.0, 2.0, 100)
    return CalibrationTable(chip, "scale", 10, 1e-3, "digits validation", 1, (point,))


def test_a_section_is_decoded_once(path: Path) -> None:
    file = AspenFile.open(path)
    assert load_network(file) is file.read(NETWORK) is load_network(file)
    assert AspenFile.of(file) is file
    assert load_network(path) is not load_network(path)


def test_what_is_put_is_read_at_once_and_written_with_save(path: Path) -> None:
    file, before = AspenFile.open(path), path.read_bytes()
    network = file.read(NETWORK)
    file.put(DIAL, PROFILE)
    file.put(ENCODER, RateEncoder(5))
    file.put(deployment_on("loihi1"), compile(network, "loihi1"))
    assert file.sections == ["deployment/loihi1", "dial", "encoder", "network"]
    assert (load_profile(file).slopes["layer1"], load_encoder(file).kind) == (1.0, "rate")
    assert path.read_bytes() == before
    file.save()
    assert load_profile(path).slopes["layer1"] == 1.0
    assert (load_encoder(path).kind, stored_chips(path)) == ("rate", ["loihi1"])
    after = path.stat()
    file.save()  # nothing was put since
    assert path.stat() == after


def test_one_state_is_read_and_no_other_writers_section_is_lost(path: Path) -> None:
    file = AspenFile.open(path)
    network = load_network(path)
    store_deployment(compile(network, "loihi1"), path)
    assert file.sections == ["network"]
    file.put(DIAL, PROFILE)
    file.save()
    assert AspenFile.open(path).sections == ["deployment/loihi1", "dial", "network"]
    save_encoder(RateEncoder(5), path)
    file.put(deployment_on("loihi2"), compile(network, "loihi2"))
    file.save()
    assert AspenFile.open(path).sections == ["deployment/loihi1", "deployment/loihi2", "dial", "encoder", "network"]


def test_handles_that_save_at_once_lose_nothing(path: Path) -> None:
    together = Barrier(4)

    def add(number: int) -> None:
        file = AspenFile.open(path)
        file.put(Section[int](f"s{number}", lambda file: 0, lambda value, file: ({}, {"a": np.arange(value)})), number)
        together.wait(10)
        file.save()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert AspenFile.open(path).sections == ["network", "s0", "s1", "s2", "s3"]
    assert [AspenFile.open(path).parts(f"s{number}")[1]["a"].size for number in range(4)] == [0, 1, 2, 3]


def test_tables_join_those_of_other_writers(path: Path) -> None:
    file = AspenFile.open(path)
    file.put(CALIBRATION, [table("loihi1"), table("loihi2")])
    other = AspenFile.open(path)
    other.put(CALIBRATION, [table("generic-45nm")])
    other.save()
    file.save()
    assert sorted(str(each.chip) for each in list_tables(path)) == ["generic-45nm", "loihi1", "loihi2"]


def test_what_does_not_fit_changes_neither_handle_nor_file(path: Path) -> None:
    file, before = AspenFile.open(path), path.read_bytes()
    with pytest.raises(InputError, match="profile: found population 'nowhere'"):
        file.put(DIAL, DialProfile({"nowhere": 1.0}))
    with pytest.raises(InputError, match="found current, which gives current, the network takes spikes"):
        file.put(ENCODER, CurrentEncoder())
    with pytest.raises(FileFormatError, match=r"net.aspen: found no dial"):
        load_profile(file)
    file.save()
    assert path.read_bytes() == before


def test_what_does_not_fit_any_more_is_refused_and_the_file_stays(path: Path) -> None:
    file = AspenFile.open(path)
    file.put(DIAL, DialProfile({"layer2": 1.0}))
    float_network(1, (6, 4), bias=False).save(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="profile: found population 'layer2'"):
        file.save()
    assert path.read_bytes() == before


def test_a_new_file_replaces_what_was_there_and_is_added_to_after(path: Path) -> None:
    save_profile(PROFILE, path)
    file, network = AspenFile.new(path), float_network(2, bias=False)
    file.put(NETWORK, network)
    assert "dial" in AspenFile.open(path).sections
    file.save()
    assert AspenFile.open(path).sections == ["network"]
    save_profile(PROFILE, path)
    file.put(ENCODER, RateEncoder(5))
    file.save()
    assert AspenFile.open(path).sections == ["dial", "encoder", "network"]


def test_all_sections_go_into_another_file(path: Path, tmp_path: Path) -> None:
    save_profile(PROFILE, path)
    file, before = AspenFile.open(path), path.read_bytes()
    file.put(deployment_on("loihi1"), compile(load_network(file), "loihi1"))
    file.save_as(tmp_path / "other.aspen")
    assert AspenFile.open(tmp_path / "other.aspen").sections == ["deployment/loihi1", "dial", "network"]
    assert path.read_bytes() == before


def test_a_fingerprint_is_of_the_sections_that_it_names(path: Path) -> None:
    file = AspenFile.open(path)
    first = file.fingerprint("network", "dial")
    file.put(ENCODER, RateEncoder(5))
    assert file.fingerprint("network", "dial") == first
    file.put(DIAL, PROFILE)
    assert file.fingerprint("network", "dial") != first == file.fingerprint("network")


@pytest.mark.parametrize("section", [NETWORK, deployment_on("loihi1"), CALIBRATION])
def test_what_is_not_there_is_named(tmp_path: Path, section: Section[object]) -> None:
    file = AspenFile.new(tmp_path / "new.aspen")
    assert file.find(section) is None
    with pytest.raises(FileFormatError, match=rf"section: found none called '{section.name}', the file has \[\]"):
        file.read(section)
    with pytest.raises(InputError, match=r"new.aspen: found no encoder"):
        file.read(ENCODER)


def test_a_deployment_is_the_one_of_its_chip(path: Path) -> None:
    store_deployment(compile(load_network(path), "loihi2"), path)
    assert load_deployment(path, "loihi2").chip == "loihi2"
    with pytest.raises(FileFormatError, match="found none called 'deployment/loihi1'"):
        load_deployment(path, "loihi1")
    assert sorted(read_container(path).headers) == ["deployment/loihi2", "network"]
