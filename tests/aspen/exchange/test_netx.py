"""lava-dl's netx files: written, read back, and run as Lava runs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import NetworkError
from aspen.exchange.netx import load_netx, save_netx
from aspen.exchange.netx_writer import kept_by_lava
from aspen.network.connections import Dense
from aspen.network.network import FixedLif, Population
from aspen_emulator import run
from tests.aspen.data.recorded import recorded
from tests.aspen.exchange.netx_files import conv, dense, h5py, image, networks, spiking, weights, write
from tests.aspen.network.test_network import assert_equal

AXES = "(channels, height, width)"
ENGINES = ["reference", "fast", pytest.param("lava", marks=[pytest.mark.lava, pytest.mark.timeout(120)])]


@pytest.mark.parametrize("name", list(networks()))
def test_networks_come_back_from_a_file(tmp_path: Path, name: str) -> None:
    network = networks()[name]
    save_netx(network, tmp_path / "a.net")
    assert_equal(load_netx(tmp_path / "a.net"), network)
    assert [p.name for p in tmp_path.iterdir()] == ["a.net"]


def test_files_look_as_lava_dl_writes_them(tmp_path: Path) -> None:
    save_netx(networks()["conv"], tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net") as file:
        types = [file[f"layer/{i}/type"][0] for i in range(4)]
        assert types == [b"input", b"conv", b"flatten", b"dense"]
        layer = file["layer/1"]
        assert layer["neuron/type"][()] == b"CUBA"
        assert layer["neuron/iDecay"][()] == 1501
        assert layer["weight"].shape == (4, 1, 3, 2)
        np.testing.assert_array_equal(layer["bias"][()], [0, 1, 2, 3])
        assert [layer[key][()].tolist() for key in ("stride", "padding", "dilation", "groups")] == [
            [2, 1], [1, 0], [1, 2], 2,
        ]  # fmt: skip


def test_exponents_are_folded_where_that_is_exact(tmp_path: Path) -> None:
    neuron = FixedLif(90, 200, 1500, [64, 0, -128], 1)
    out = Population("layer1", (3,), neuron)
    for exponent in (2, -1):
        weight = 2 * np.random.default_rng(1).integers(-30, 30, (3, 6))
        network = spiking(out, connections=(Dense("input", "layer1", weight, exponent=exponent),))
        save_netx(network, tmp_path / "a.net")
        spikes = np.random.default_rng(0).integers(0, 2, (20, 2, 6))
        expected, found = run(network, spikes), run(load_netx(tmp_path / "a.net"), spikes)
        np.testing.assert_array_equal(found.output, expected.output)
        assert expected.output.any()


@pytest.mark.parametrize("engine", ENGINES)
def test_recorded_network_answers_as_in_lava(engine: str) -> None:
    """lava-dl's own test network, with the spikes that lava-dl recorded for one sample, all three layers.

    The recordings are (batch, channel, y, x, step), 16 steps; the current is stored (x, y, channel) and held for the
    whole sample. lava-dl shifts each layer by one step, so its step k is our step k - 1, and its step 0 is silent.
    Lava runs 17 steps for a sample and resets layer i at the step at which its first input arrives, i steps after
    the first layer; here every layer starts at rest with the first step, so its first 15 steps are compared, all that
    were recorded.
    """
    folder = recorded("netx_tiny")
    network = load_netx(folder / "tiny.net")
    assert network.provenance["input_transform"] == {"weight": 36, "bias": 34}
    current = np.load(folder / "input_bias.npy").astype(np.int64).transpose(2, 1, 0)
    found = run(network, np.broadcast_to(current, (17, 1, *current.shape)), engine=engine, record="spikes")
    for name, file in (("input", "input.npy"), ("layer1", "layer1.npy"), ("layer2", "output.npy")):
        expected = np.moveaxis(np.load(folder / file), -1, 0)
        assert not expected[0].any()
        np.testing.assert_array_equal(found.rasters[name][:15], expected[1:])
        assert expected.any()


def test_recorded_network_is_written_as_it_was_read(tmp_path: Path) -> None:
    network = load_netx(recorded("netx_tiny") / "tiny.net")
    save_netx(network, tmp_path / "a.net")
    assert_equal(load_netx(tmp_path / "a.net"), network)


def test_delays_hold_back_the_input_of_each_neuron(tmp_path: Path) -> None:
    first, second = np.abs(weights(4, 6)), np.abs(weights(3, 4))
    delays = np.array([0.0, 3, 70, 3], np.float32)
    late = load_netx(write(tmp_path / "a.net", dense(first, delay=delays), dense(second, delay=2)))
    prompt = load_netx(write(tmp_path / "b.net", dense(first), dense(second)))
    assert late.names == ["input", "layer1.delay0", "layer1.delay3", "layer1.delay62", "layer2"]
    assert late.provenance["notes"] == ["layer/0/delay: delays above 62 cut to it"]
    assert late.n_synapses == prompt.n_synapses
    spikes = np.random.default_rng(0).integers(0, 2, (80, 1, 6))
    a, b = run(late, spikes, record="spikes").rasters, run(prompt, spikes, record="spikes").rasters["layer1"]
    for name, rows, delay in (("delay0", [0], 0), ("delay3", [1, 3], 3), ("delay62", [2], 62)):
        np.testing.assert_array_equal(a[f"layer1.{name}"][delay:], b[: 80 - delay, :, rows])
        assert not a[f"layer1.{name}"][:delay].any()
    with pytest.raises(NetworkError, match="branch, skip or recurrent"):
        save_netx(late, tmp_path / "c.net")


def test_recurrent_layers_read_the_step_before(tmp_path: Path) -> None:
    layer = dense(weights(3, 2)) | {"type": "dense_rec", "weight_rec": weights(3, 3)}
    network = load_netx(write(tmp_path / "a.net", layer))
    assert [(c.name, c.delay) for c in network.connections] == [("input->layer1", 0), ("layer1->layer1", 1)]
    np.testing.assert_array_equal(network.connections[1].weight, weights(3, 3))


def test_pools_sum_within_each_channel(tmp_path: Path) -> None:
    pool = conv(np.full((1, 1, 2, 2, 1), 9), (3, 2, 2), stride=np.array([2, 2])) | {"type": "pool"}
    network = load_netx(write(tmp_path / "a.net", image(3, 4, 4), pool))
    matrix = network.connections[0].synapses().toarray()
    assert set(matrix.sum(axis=1)) == {36}
    assert all(row[channel * 16 : (channel + 1) * 16].sum() == 36 for row, channel in zip(matrix[::4], range(3)))  # noqa: B905


def test_read_outs_without_neurons_sum_up(tmp_path: Path) -> None:
    layer = {key: value for key, value in dense([[2, -4], [6, 8]]).items() if not key.startswith("neuron")}
    path = write(tmp_path / "a.net", dense([[2, 4], [2, 4]]), layer, {"type": "average", "shape": np.array([1])})
    network = load_netx(path)
    assert network.provenance["notes"] == ["layer/2: average over groups of outputs left out, as Lava has none"]
    neuron = network["layer2"].neuron
    assert isinstance(neuron, FixedLif)
    assert (neuron.reset, int(neuron.voltage_decay), int(neuron.current_decay)) == ("none", 0, 4095)
    assert not run(network, np.ones((50, 1, 2), np.uint8)).output.any()
    save_netx(network, tmp_path / "b.net")
    assert_equal(load_netx(tmp_path / "b.net"), replace(network, provenance={"format": "netx", "axes": AXES}))


def test_fractions_are_cut_off_and_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", dense([[1.9, -1.9]], bias=np.array([2.5])))
    network = load_netx(path)
    assert network.connections[0].weight.tolist() == [[1, -1]]
    assert network.provenance["notes"] == ["layer/0/weight: fractions cut off", "layer/0/bias: fractions cut off"]


@pytest.mark.lava
def test_weights_survive_lava_where_we_say_so() -> None:
    """Lava's own clipping and truncation, behind the shift that lava-dl's loader makes."""
    utils = pytest.importorskip("lava.utils.weightutils", reason="lava-nc is not installed")
    rng = np.random.default_rng(0)
    for _ in range(3000):
        low, high = sorted(rng.integers(-256, 256, 2) // 2 ** rng.integers(0, 8, 2))
        weight = rng.integers(low, high + 1, (1, 6)) * int(rng.choice([1, 1, 2, 4]))
        if not weight.any() or abs(weight + 0.5).max() > 256:
            continue
        low, high = int(weight.min()), int(weight.max())
        mixed = low < 0 <= high
        below, above = (-128, 127) if mixed else (-256, 255)
        room = min(below / low if low < 0 else np.inf, above / high if high > 0 else np.inf)
        shift = int(np.floor(np.log2(room))) + mixed
        common = next(n for n in range(8, -1, -1) if not (weight % 2**n).any())
        shifted = weight << shift
        sign = utils.determine_sign_mode(shifted)
        kept = utils.truncate_weights(utils.clip_weights(shifted, sign, 8), sign, 8 - shift - (common - mixed))
        assert kept_by_lava(weight) == (np.array_equal(kept, shifted) and not (mixed and high > 254)), weight
