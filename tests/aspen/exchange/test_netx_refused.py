"""netx files that are damaged, harmful or beyond us, and networks beyond the format: refused by name."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.errors import AspenError, FileFormatError, InputError, MissingDependencyError, NetworkError
from aspen.exchange.netx import load_netx, save_netx
from aspen.network.connections import Conv, Dense, Sparse
from aspen.network.network import FixedLif, Network, Population
from tests.aspen.exchange.netx_files import (
    CUBA,
    Layer,
    conv,
    dense,
    flatten,
    h5py,
    image,
    lif,
    networks,
    spiking,
    weights,
    write,
)
from tests.damage import damaged_bytes
from tests.networks import float_network

BROKEN: dict[str, tuple[list[Layer], str]] = {
    "no layers": ([], "layer: found nothing"),
    "only an input": ([image(1, 2, 2)], "network description|populations"),
    "unknown type": ([{"type": "convT"}], "type: found 'convT', allowed is input, flatten"),
    "average inside": ([dense([[2]]), {"type": "average"}, dense([[2]])], "layer/1/type: found 'average'"),
    "no type": ([{"shape": np.array([2])}], "type: found nothing"),
    "type of numbers": ([dense([[2]]) | {"neuron/type": 3}], "neuron/type: found type int64"),
    "two types": ([dense([[2]]) | {"neuron/type": np.array([b"CUBA", b"CUBA"])}], "allowed is one string"),
    "two inputs": ([image(2), image(2)], "second input"),
    "no weight": ([{"type": "dense", "shape": np.array([2]), **CUBA}], "weight: found nothing"),
    "no neuron": ([{"type": "dense", "shape": np.array([1]), "weight": [[2]], "bias": [5]}], "neuron: found nothing"),
    "no threshold": ([dense([[2]]) | {"neuron/vThMant": np.zeros(0)}], "no values"),
    "several thresholds": ([dense([[2]]) | {"neuron/vThMant": np.array([1, 2])}], "2 values"),
    "threshold too large": ([dense([[2]]) | {"neuron/vThMant": 131072}], "neuron: threshold mantissa"),
    "decay too large": ([dense([[2]]) | {"neuron/vDecay": 4096}], "voltage_decay"),
    "current decay 0": ([dense([[2]]) | {"neuron/iDecay": 0}], "current_decay: found -1"),
    "fractional decay": ([dense([[2]]) | {"neuron/vDecay": 2.5}], "vDecay: found fractions"),
    "refractory": ([dense([[2]]) | {"neuron/refDelay": 2}], "refDelay: found 2, allowed is 1"),
    "graded": ([dense([[2]]) | {"neuron/gradedSpike": True}], "gradedSpike: found 1"),
    "other neurons": ([dense([[2]]) | {"neuron/type": "SDNN"}], "found 'SDNN', allowed is LOIHI or CUBA"),
    "complex weights": ([dense([[2]]) | {"weight": np.array([[1j]])}], "weight: found type complex"),
    "text as weight": ([dense([[2]]) | {"weight": "abc"}], "weight: found type object"),
    "weights NaN": ([dense([[np.nan]])], "beyond 32 bits"),
    "weights clipped by the loader": ([dense([[255, -1]])], "what Lava keeps"),
    "weights too large": ([dense([[1000, 1]])], "found 1 to 1000"),
    "weights lost in Lava": ([dense([[-128, -1]])], "what Lava keeps"),
    "weights do not fit": ([dense([[2, 4]]), dense([[2, 4]])], r"found shape \(1, 2\), allowed is \(1, 1\)"),
    "rows do not fit": ([dense([[2, 4]], shape=np.array([3]))], r"allowed is \(3, inputs\)"),
    "bias of another size": ([dense([[2], [4]], bias=np.arange(3))], "bias: found shape"),
    "bias too large": ([dense([[2]], bias=np.array([5000]))], "bias_mantissa: found 5000"),
    "delay negative": ([dense([[2]], delay=np.array([-1]))], "values from 0 to 62"),
    "delay of another size": ([dense([[2, 2], [2, 2]], delay=np.arange(3))], "delay: found shape"),
    "delay for each input": ([dense([[2, 2], [2, 2]], delay=np.array([[0, 1]] * 2))], "delays for each input"),
    "several delays at the output": ([dense([[2], [2]], delay=np.arange(2))], "one output with one delay"),
    "delay of a convolution": ([image(1, 2, 2), conv([[[[2]]]], (1, 2, 2), delay=1)], "ignores delays"),
    "delay of recurrence": ([dense([[2]], delay=1) | {"type": "dense_rec"}], "none in recurrent layers"),
    "convolution first": ([conv([[[[2]]]], (1, 2, 2))], "give the file an input layer"),
    "convolution of a flat input": ([image(4), conv([[[[2]]]], (1, 2, 2))], r"an input of shape \(4,\)"),
    "convolution behind flatten": ([image(1, 2, 2), flatten(4), conv([[[[2]]]], (1, 2, 2))], "behind a flatten"),
    "dense without flatten": ([image(1, 2, 2), dense(np.ones((1, 4)))], "a flatten layer in front"),
    "convolution of wrong shape": ([image(1, 2, 2), conv([[[[2]]]], (1, 3, 2))], "what the kernel gives"),
    "wide padding": ([image(1, 2, 2), conv([[[[2]]]], (1, 4, 4), padding=1)], "less than the kernel's reach"),
    "padding beyond reason": (
        [image(4, 1000, 1000), conv(np.ones((1, 4, 1, 3)), (1, 1, 1), padding=np.array([0, 9000]), dilation=5000)],
        "16777216 values with the padding",
    ),
    "convolution without neurons": (
        [image(1, 2, 2), {k: v for k, v in conv([[[[2]]]], (1, 2, 2)).items() if not k.startswith("neuron")}],
        "layer/1/neuron: found nothing",
    ),
    "pool beyond reason": (
        [image(10**6, 1, 1), conv(np.ones((1, 1, 3, 3)), (10**6, 1, 1)) | {"type": "pool"}],
        "in all channels",
    ),
    "kernel of wrong shape": ([image(1, 2, 2), conv([[[2]]], (1, 2, 2))], "weight: found shape"),
    "groups": ([image(1, 2, 2), conv([[[[2]]]], (1, 2, 2), groups=7)], "groups: found 7"),
    "stride 0": ([image(1, 2, 2), conv([[[[2]]]], (1, 2, 2), stride=0)], "stride"),
    "pool of wrong shape": ([image(1, 2, 2), conv(np.ones((2, 1, 1, 1)), (1, 2, 2)) | {"type": "pool"}], r"\(1, 1,"),
    "huge input": ([image(3, 100000, 100000), flatten(1), dense([[2]])], "at most 4194304 neurons"),
    "no shape": ([image(), dense([[2]])], "shape: found no values"),
    "shape 0": ([image(0), dense([[2]])], "1 to 3 sizes"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    layers, message = BROKEN[name]
    path = write(tmp_path / "a.net", *layers)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_netx(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def _soft(group: Any) -> None:
    group["weight"] = h5py.SoftLink("/layer/0/other")


def _external_link(group: Any) -> None:
    group["weight"] = h5py.ExternalLink("/dev/stdin", "/weight")


def _external_storage(group: Any) -> None:
    group.create_dataset("weight", (1, 1), np.float32, external=[("/etc/hostname", 0, 4)])


def _virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((1, 1), np.float32)
    layout[:] = h5py.VirtualSource("/etc/hostname", "weight", (1, 1))
    group.create_virtual_dataset("weight", layout)


def _compressed(group: Any) -> None:
    group.create_dataset("weight", (1000, 1000), np.int8, compression="gzip", fillvalue=1)


def _claimed(group: Any) -> None:
    group.create_dataset("weight", (10**6, 10**6), np.int64)


def _group(group: Any) -> None:
    group.create_group("weight")


def _references(group: Any) -> None:
    group.create_dataset("weight", data=group.ref, dtype=h5py.ref_dtype)


def _empty(group: Any) -> None:
    group["weight"] = h5py.Empty("f")


def _itself(group: Any) -> None:
    group["weight"] = group


@pytest.mark.parametrize(
    "harm",
    [_soft, _external_link, _external_storage, _virtual, _compressed, _claimed, _group, _references, _empty, _itself],
)
def test_data_elsewhere_or_out_of_proportion_is_not_touched(tmp_path: Path, harm: Callable[[Any], None]) -> None:
    path = write(tmp_path / "a.net", {k: v for k, v in dense([[2]]).items() if k != "weight"})
    with h5py.File(path, "r+") as file:
        harm(file["layer/0"])
    with pytest.raises(FileFormatError, match="layer/0/weight: found"):
        load_netx(path)


def test_layers_that_are_one_and_the_same_do_not_multiply(tmp_path: Path) -> None:
    path = write(tmp_path / "a.net", dense(np.full((100, 100), 2)))
    with h5py.File(path, "r+") as file:
        for index in range(1, 100):
            file[f"layer/{index}"] = file["layer/0"]
    with pytest.raises(FileFormatError, match="no more data than the file has bytes"):
        load_netx(path)


def test_what_is_no_file_of_this_kind_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_netx(tmp_path)
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(1000)):
        (tmp_path / "a.net").write_bytes(content)
        with pytest.raises(FileFormatError, match="not a readable netx file"):
            load_netx(tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "w") as file:
        file["layer/first"] = 1
    with pytest.raises(FileFormatError, match="layer/0: found nothing"):
        load_netx(tmp_path / "a.net")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "\.\[exchange\]"'):
        load_netx(tmp_path / "a.net")


def test_damaged_files_are_refused_or_read_quickly(tmp_path: Path) -> None:
    """A sample; the strings of variable length in the heap are what libhdf5 itself hangs on."""
    layers = [image(2, 4, 4), conv(weights(2, 2, 2, 2), (2, 3, 3)), flatten(18), dense(weights(2, 18), delay=1)]
    data = write(tmp_path / "good.net", *layers).read_bytes()
    heap = data.index(b"GCOL")
    rng = np.random.default_rng(0)
    refused = 0
    for round_ in range(400):
        bad = damaged_bytes(data, rng)
        if round_ % 4 == 0:
            place = heap + int(rng.integers(64))
            bad = data[:place] + rng.bytes(2) + data[place + 2 :]
        (tmp_path / "bad.net").write_bytes(bad)
        start = time.perf_counter()
        try:
            load_netx(tmp_path / "bad.net")
        except AspenError:
            refused += 1
        assert time.perf_counter() - start < 10
    assert 100 < refused < 400


def _dense(weight: Any = ((2, 4),), target: FixedLif | None = None, **more: Any) -> Network:
    out = Population("out", (1,), target or lif())
    return spiking(out, connections=(Dense("input", "out", weight, **more),), n=(2,))


def _branch() -> Network:
    a, out = Population("a", (1,), lif()), Population("out", (1,), lif())
    links = (Dense("input", "a", [[2]]), Dense("a", "out", [[2]]), Dense("input", "out", [[2]]))
    return spiking(a, out, connections=links, n=(1,))


def _line() -> Network:
    conv1d = Conv("input", "out", [[[2]]], (1, 4))
    return spiking(Population("out", (1, 4), lif()), connections=(conv1d,), n=(1, 4))


def _shaped() -> Network:
    return spiking(Population("out", (1, 1), lif()), connections=(Dense("input", "out", [[2]]),), n=(1,))


def _late_conv() -> Network:
    late = Conv("input", "out", [[[[2]]]], (1, 2, 2), delay=1)
    return spiking(Population("out", (1, 2, 2), lif()), connections=(late,), n=(1, 2, 2))


def _sparse() -> Network:
    sparse = Sparse.from_matrix("input", "out", np.array([[2, 4]]))
    return spiking(Population("out", (1,), lif()), connections=(sparse,), n=(2,))


def _biased_input() -> Network:
    network = networks()["flat current"]
    return replace(network, populations=(replace(network.input, neuron=lif(1)), *network.populations[1:]))


def _open_end() -> Network:
    network = networks()["dense"]
    return replace(network, output="layer1")


UNSAYABLE: dict[str, tuple[Callable[[], Network], str]] = {
    "soft reset": (lambda: _dense(target=replace(lif(), reset="subtract")), "out.reset: found subtract"),
    "thresholds": (lambda: spiking(Population("out", (2,), FixedLif([1, 2], 0)),
                                   connections=(Dense("input", "out", [[2], [2]]),), n=(1,)), "out.threshold"),
    "bias": (lambda: _dense(target=FixedLif(9, 0, 0, 1, 5)), "out.bias: found values that need another exponent"),
    "weights": (lambda: _dense([[2, 256]]), "input->out.weight: found integers from 2 to 256 with exponent 0"),
    "exponent": (lambda: _dense([[2, 3]], exponent=-1), "with exponent -1"),
    "all zero": (lambda: _dense([[0, 0]]), "not all zero"),
    "lost in Lava": (lambda: _dense([[-128, 0]]), "does not clip"),
    "long delay": (lambda: _dense(delay=63), "input->out.delay: found 63, netx allows up to 62"),
    "recurrent": (lambda: replace(_dense(), connections=(*_dense().connections, Dense("out", "out", [[2]], delay=1))),
                  "branch, skip or recurrent"),
    "skip": (_branch, "branch, skip or recurrent"),
    "sparse": (_sparse, "a sparse connection"),
    "late convolution": (_late_conv, "none in convolutions"),
    "one dimension": (_line, "one-dimensional"),
    "shape": (_shaped, "behind a dense connection"),
    "bias of the input": (_biased_input, "input.bias_mantissa"),
    "output inside": (_open_end, "a chain that ends at layer2"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(UNSAYABLE))
def test_what_the_format_cannot_say_is_refused_by_name(tmp_path: Path, name: str) -> None:
    make, message = UNSAYABLE[name]
    with pytest.raises(NetworkError, match=message):
        save_netx(make(), tmp_path / "a.net")
    assert list(tmp_path.iterdir()) == []


def test_floating_point_and_missing_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="floating point"):
        save_netx(float_network(0), tmp_path / "a.net")
    with pytest.raises(InputError, match="cannot write"):
        save_netx(_dense(), tmp_path / "nowhere" / "a.net")
