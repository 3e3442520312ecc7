"""Networks are validated, saved, and read back; a bad file is named as such and nothing is half-written."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import save_file

import aspen
import aspen_emulator
import aspen_hardware
from aspen.errors import AspenError, FileFormatError, InputError, NetworkError
from aspen.network.network import Dense, FixedLif, Lif, Network, Population, load_network
from aspen.storage.container import read_container, write_container
from tests.networks import fixed_network, float_network, resets, seeds


def parts(weight: object = ((1.0, 2.0),), neuron: object = None) -> Network:
    populations = (Population("input", (2,)), Population("out", (1,), neuron or Lif(1.0, 0.9)))
    return Network(populations, (Dense("input", "out", weight),))


def assert_equal(a: Network, b: Network) -> None:
    assert (a.names, a.output, a.provenance) == (b.names, b.output, b.provenance)
    pairs = [(x, y) for x, y in zip(a.connections, b.connections, strict=True)]
    pairs += [(x.neuron, y.neuron) for x, y in zip(a.populations, b.populations, strict=True) if x.neuron]
    for x, y in pairs:
        assert type(x) is type(y)
        for field in x.value_fields:
            assert getattr(x, field) == getattr(y, field)
        for field in x.array_fields:
            left, right = getattr(x, field), getattr(y, field)
            assert (left is None) == (right is None)
            if left is not None:
                assert (left.dtype, left.shape) == (right.dtype, right.shape)
                np.testing.assert_array_equal(left, right)


@settings(max_examples=25, deadline=None)
@given(seeds, resets)
def test_networks_come_back_from_a_file_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, seed: int, reset: str
) -> None:
    path = tmp_path_factory.mktemp("files") / "net.aspen"
    for network in (float_network(seed, reset=reset), fixed_network(seed, reset=reset)):
        network = replace(network, provenance={"note": "ä", "list": [1, 2.5, None]})
        network.save(path)
        assert_equal(network, load_network(path))
    assert [p.name for p in path.parent.iterdir()] == ["net.aspen"]


def test_float32_stays_float32(tmp_path: Path) -> None:
    parts(np.ones((1, 2), np.float32)).save(tmp_path / "a.aspen")
    assert load_network(tmp_path / "a.aspen").connections[0].weight.dtype == np.float32


def test_loading_and_running_need_no_torch(tmp_path: Path) -> None:
    float_network(0, bias=False).save(tmp_path / "net.aspen")
    code = (
        "import sys, numpy, aspen, aspen_emulator, aspen_hardware\n"
        f"net = aspen.load_network({str(tmp_path / 'net.aspen')!r})\n"
        "chip = aspen_hardware.compile(net, 'loihi1')\n"
        "aspen_emulator.run(chip, numpy.ones((3, 1, 6), 'uint8'))\n"
        "loaded = {'torch', 'snntorch', 'lava', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)


def test_networks_are_immutable() -> None:
    with pytest.raises(ValueError, match="read-only"):
        parts().connections[0].weight[0, 0] = 5
    with pytest.raises(AttributeError):
        parts().output = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parts([[1.0, np.nan]]), "weight: found NaN or infinity"),
        (lambda: parts([[1.0]]), r"input->out.weight: found shape \(1, 1\), allowed is \(1, 2\)"),
        (lambda: parts([1.0, 2.0]), r"found shape \(2,\), allowed is \(n_target, n_source\)"),
        (lambda: parts([["a", "b"]]), "weight: found values of type <U1, allowed are real numbers"),
        (lambda: parts([[1, 2]]), "found both floating-point and integer parts"),
        (lambda: Lif(0.0, 0.9), "threshold: found 0, allowed is above 0"),
        (lambda: Lif(1.0, 1.1), "beta: found 1.1, allowed is 0 to 1"),
        (lambda: Lif(1.0, 0.9, reset="hard"), "reset: found 'hard', allowed are zero, zero-delayed"),
        (lambda: Lif(np.nan, 0.9), "threshold: found NaN or infinity"),
        (lambda: Lif(np.inf, 0.9), "infinity with reset .zero., allowed is reset=.none."),
        (lambda: parts(neuron=Lif([1.0, 1.0], 0.9)), r"out.threshold: found shape \(2,\), allowed is \(\) or \(1,\)"),
        (lambda: FixedLif(2**17, 0), "threshold mantissa: found 131072"),
        (lambda: FixedLif(0, 0), "threshold mantissa: found 0, allowed is 1"),
        (lambda: FixedLif(5, 4096), "voltage_decay: found 4096"),
        (lambda: FixedLif(5, 1.5), "voltage_decay: found fractions, allowed are integers"),
        (lambda: FixedLif(5, 0, bias_mantissa=5000), "bias_mantissa: found 5000"),
        (lambda: FixedLif(2**40, 0), "found values beyond 32 bits"),
        (lambda: Population("2 bad", (3,)), "population name: found '2 bad'"),
        (lambda: Population("a", ()), r"a.shape: found \(\)"),
        (
            lambda: Dense("a", "b", [[1.0]], delay=64),
            "a->b.delay: found 64 steps, allowed is an integer from 0 to 63 steps",
        ),
        (lambda: Dense("a", "b", [[1]], bias=[1.0]), "found a bias beside integer weights"),
        (lambda: Dense("a", "b", [[1]], exponent=9), "a->b.exponent: found 9"),
        (lambda: Network((Population("a", (1,)),), ()), r"found the inputs \['a'\] among \['a'\]"),
    ],
)
def test_impossible_networks_are_refused(make: object, message: str) -> None:
    with pytest.raises(NetworkError, match=message) as error:
        make()  # type: ignore[operator]
    assert "\n" not in str(error.value)


def wire(*connections: Dense, names: str = "iab") -> Network:
    populations = [Population(n, (1,), None if n == "i" else Lif(1.0, 0.5)) for n in names]
    return Network(tuple(populations), connections)


def link(source: str, target: str, delay: int = 0) -> Dense:
    return Dense(source, target, [[1.0]], delay=delay)


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ([("i", "a"), ("a", "b"), ("b", "a")], r"cycle without delay among \['a', 'b'\]"),
        ([("i", "a"), ("a", "a"), ("a", "b")], "cycle without delay"),
        ([("i", "a")], "b: nothing drives this population"),
        ([("i", "a"), ("a", "x")], "a->x: found unknown population 'x'"),
        ([("i", "a"), ("a", "b"), ("b", "i", 1)], "b->i: drives the input population"),
        ([("i", "a"), ("i", "a"), ("a", "b")], "i->a: found twice"),
    ],
)
def test_impossible_wirings_are_refused(connections: list[tuple], message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        wire(*[link(*c) for c in connections])


def test_order_follows_the_connections_and_delayed_ones_may_close_a_cycle() -> None:
    network = wire(link("b", "a"), link("i", "b"), link("a", "b", 1), names="iab")
    assert network.order == ("b", "a")
    assert network.hidden == ["a"]  # the output is the last population, b
    assert (network.n_neurons, network.n_synapses) == (2, 3)
    assert re.search(r"b->a +dense +1 +0$", str(network), re.MULTILINE)


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "tail":
        path.write_bytes(bytes(data) + b"x")
    elif how == "weight":
        data[-3] ^= 1
        path.write_bytes(data)
    elif how == "header":
        path.write_bytes(bytes(data).replace(b"subtract", b"zero    ", 1))
    elif how == "text":
        path.write_text("hello")
    elif how == "other":
        save_file({"x": np.zeros(3)}, path)


@pytest.mark.parametrize("how", ["truncated", "empty", "tail", "weight", "header", "text", "other"])
def test_damaged_files_are_noticed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "net.aspen"
    float_network(1, reset="subtract").save(path)
    damage(path, how)
    with pytest.raises(FileFormatError, match=r"net.aspen: ") as error:
        load_network(path)
    assert "\n" not in str(error.value)


def test_every_single_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.aspen"
    parts().save(path)
    good = path.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        path.write_bytes(bad)
        try:
            assert_equal(load_network(path), parts())  # e.g. padding: nothing that counts may have changed
        except AspenError:
            continue


def test_a_newer_version_asks_for_a_newer_aspen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen.storage.container.VERSION", 99)
    parts().save(tmp_path / "a.aspen")
    monkeypatch.undo()
    with pytest.raises(FileFormatError, match="found format version 99, this ASPEN reads up to 4; install a newer"):
        load_network(tmp_path / "a.aspen")


@pytest.mark.parametrize(
    "change", [{"populations": []}, {"output": "x"}, {"connections": [{"kind": "magic"}]}, {"populations": 3}]
)
def test_files_with_a_valid_checksum_but_impossible_content_are_refused(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "net.aspen"
    parts().save(path)
    container = read_container(path)
    container.headers["network"] = {**json.loads(json.dumps(container.headers["network"])), **change}
    write_container(container, path)
    with pytest.raises(FileFormatError):
        load_network(path)


def test_a_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.aspen: no such file"):
        load_network(tmp_path / "gone.aspen")
    with pytest.raises(InputError, match="cannot write there"):
        parts().save(tmp_path / "nowhere" / "a.aspen")


def test_a_read_only_folder_is_named_and_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # what a read-only folder answers to anybody but root

    monkeypatch.setattr("aspen.storage.writing.begin", refuse)
    with pytest.raises(
        InputError, match=r"a.aspen: cannot write there \(Permission denied\); choose an existing folder"
    ):
        parts().save(tmp_path / "a.aspen")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.aspen"
    parts().save(path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left on device"):
        parts([[3.0, 4.0]]).save(path)
    monkeypatch.undo()
    assert_equal(load_network(path), parts())
    assert [p.name for p in tmp_path.iterdir()] == ["a.aspen"]


def test_public_names_all_resolve() -> None:
    for name in aspen.__all__:
        assert getattr(aspen, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'; it offers"):
        aspen.nonsense  # noqa: B018


def test_no_module_hides_a_public_name() -> None:
    """Importing a submodule sets an attribute on its package: it must not be one of the package's functions."""
    for package in (aspen, aspen_emulator, aspen_hardware):
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        assert not modules & set(package.__all__)


def test_a_network_names_what_weighs_its_analog_input_and_what_reads_a_population() -> None:
    spiking = float_network(1)
    assert spiking.weighing == frozenset()
    assert [c.name for c in spiking.outgoing("input")] == [c.name for c in spiking.connections if c.source == "input"]
    given = replace(spiking.input, current=True)
    analog = replace(spiking, populations=(given, *spiking.populations[1:]))
    assert analog.weighing == {c.name for c in spiking.outgoing("input")} != set()
    assert not spiking.reads_membranes
    assert replace(spiking, readout="membrane-max").reads_membranes
