"""Files of other kinds where a ``.npy`` array is asked for: the message says what they are, and how to make one."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.errors import InputError
from aspen.storage.kinds import HEAD, other_than_npy
from aspen_emulator.engines.inputs import load_spikes
from tests.networks import float_network

ARRAY = np.arange(6).reshape(2, 3)


def made(save: Any, *things: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, *things)
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "found", "remedy"),
    [
        ("x.csv", b"0,1,0\n1,1,0\n", "text, as in a .csv file",
         "numpy.save('x.npy', numpy.loadtxt('x.csv', delimiter=',')), with dtype=int for spikes and labels"),
        ("x.npy", b"a;b\n1;2\n", "text, as in a .csv file",
         "numpy.save('x-array.npy', numpy.loadtxt('x.npy', delimiter=';', skiprows=1))"),
        ("x.txt", b"1 2\n3 4", "text, as in a .csv file", "numpy.save('x.npy', numpy.loadtxt('x.txt')), with"),
        ("x.tsv", b"1\t2\n3\t4", "text, as in a .csv file", r"numpy.loadtxt('x.tsv', delimiter='\t'))"),
        ("x.npy", "größe".encode() * 200, "text, as in a .csv file", "skiprows=1"),
        ("x.json", json.dumps(ARRAY.tolist()).encode(), "JSON",
         "numpy.save('x.npy', numpy.array(json.load(open('x.json'))))"),
        ("x.npy", b"", "an empty file", "write the array again with numpy.save"),
        ("x.npz", made(np.savez, ARRAY), "an .npz archive",
         "numpy.save('x.npy', numpy.load('x.npz')['arr_0'])"),
        ("x.pt", made(lambda f, a: torch.save(torch.tensor(a), f), ARRAY), "a PyTorch file",
         "numpy.save('x.npy', torch.load('x.pt').numpy())"),
        ("x.zip", zipped("train.txt"), "a zip archive", "unpack it; a data set as published is named by --data and"),
        ("x.mat", b"MATLAB 5.0 MAT-file, Platform" + bytes(200), "a MATLAB file", "scipy.io.loadmat"),
        ("x.mat", b"MATLAB 7.3 MAT-file, Platform" + bytes(200), "a MATLAB file", "read it with h5py"),
        ("x.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "read it with h5py"),
        ("x.npy.gz", gzip.compress(made(np.save, ARRAY)), "a gzip archive", "unpack it with gunzip"),
        ("x.pkl", pickle.dumps(ARRAY), "a pickle, which is never loaded as it can execute anything",
         "write the array with numpy.save where it was made"),
        ("x.npy", b"\x89PNG\r\n\x1a\n" + bytes(100), "a file of another kind", "write the array with numpy.save"),
        ("x.npy", bytes(range(256)), "a file of another kind", "write the array with numpy.save"),
    ],
)  # fmt: skip
def test_what_it_is_and_what_makes_an_array_of_it(
    tmp_path: Path, name: str, content: bytes, found: str, remedy: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_spikes(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: found {found}, allowed is a .npy file with one array; ")
    assert remedy in message
    assert "allow_pickle" not in message
    assert "\n" not in message


def test_a_network_is_told(tmp_path: Path) -> None:
    float_network(1).save(tmp_path / "net.aspen")
    with pytest.raises(InputError, match=r"found a network or other safetensors, .*; check which argument is which"):
        load_spikes(tmp_path / "net.aspen")


def test_an_array_is_none_of_these(tmp_path: Path) -> None:
    assert other_than_npy(tmp_path / "x.npy", made(np.save, ARRAY)[:HEAD]) is None
    np.save(tmp_path / "x.npy", ARRAY)
    np.testing.assert_array_equal(load_spikes(tmp_path / "x.npy"), ARRAY)


def test_the_remedy_of_a_table_makes_the_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.csv").write_text("a,b,c\n0,1,2\n3,4,5\n")
    with pytest.raises(InputError) as caught:
        load_spikes("x.csv")
    remedy = str(caught.value).split("; ", 1)[1].removesuffix(", with dtype=int for spikes and labels")
    exec(remedy, {"numpy": np})
    np.testing.assert_array_equal(load_spikes("x.npy"), ARRAY)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "x.npy").touch(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_spikes(tmp_path / "x.npy")
