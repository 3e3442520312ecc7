"""``.npy`` files: all that NumPy writes is read alike, and whatever else claims to be one is refused."""

from __future__ import annotations

import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import InputError
from aspen.storage.npy import read_npy
from aspen_emulator.engines.inputs import load_spikes

ARRAYS = [
    np.zeros((3, 4), np.uint8), np.asfortranarray(np.arange(12.0).reshape(3, 4)), np.array(3), np.arange(5) > 2,
    np.zeros((0, 3)), np.arange(4, dtype=">i4"), np.arange(3, dtype=np.float16), np.zeros((1,) * 20),
    np.arange(24, dtype=np.longdouble).reshape(2, 3, 4),
]  # fmt: skip
GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"


def written(header: str, data: bytes = bytes(8)) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_what_numpy_writes_is_read_alike(version: tuple[int, int]) -> None:
    for array in ARRAYS:
        stream = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy says that version 1 would do
            np.lib.format.write_array(stream, array, version)
        size = stream.tell()
        stream.seek(0)
        found = read_npy(stream, size)
        assert (found.dtype, found.shape, found.flags.writeable) == (array.dtype, array.shape, True)
        assert found.flags.f_contiguous == array.flags.f_contiguous
        np.testing.assert_array_equal(found, array)


def test_headers_of_other_writers_are_read() -> None:
    for header in (
        "{'descr':'<f8','fortran_order':False,'shape':(1,)}",
        '{"shape": (1,),\n"fortran_order":False, "descr":"<f8"}',
    ):
        data = written(header)
        assert read_npy(io.BytesIO(data), len(data)).tolist() == [0.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (written(GOOD.replace("(1,)", "(1000000000000,)")), "found 8000000000000 bytes declared, the file has 8"),
        (written(GOOD.replace("1,", "100000000000000000000,")), "found float64 values of shape"),
        (written(GOOD.replace("1,", "True,")), "found the header"),
        (written(GOOD.replace("1,", "-1,")), "found the header"),
        (written(GOOD.replace("1,", "-" * 5000 + "1,")), "found a header of 505. bytes, allowed are 4096"),
        (written(GOOD.replace("1,", "-" * 3000 + "1,")), "found the header"),
        (written(GOOD.replace("1,", "0, " + "9" * 30)), "found float64 values|dimension"),
        (written(GOOD.replace("'<f8'", "()")), "found the header"),
        (written(GOOD.replace("<f8", "|O")), "found the header"),
        (written(GOOD.replace("<f8", "|O8")), "found object values"),
        (written(GOOD.replace("<f8", "<c8")), "found complex64 values"),
        (written(GOOD.replace("<f8", "<f9")), "not understood"),
        (written(GOOD.replace("'descr': '<f8', ", "")), "found the header"),
        (written(GOOD)[:-1], "found 8 bytes declared, the file has 7"),
        (written(GOOD).replace(b"\x01\x00", b"\x09\x00", 1), "found another kind of file"),
        (b"\x93NUMPY\x01\x00\xff", "found the header|bytes"),
    ],
)  # fmt: skip
def test_malformed_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match=rf"x.npy: not a readable .npy array \(.*({message})"):
        load_spikes(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_an_archive_in_disguise_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", "b")
    with pytest.raises(InputError, match=r"found an \.npz archive, allowed is a .npy file with one array"):
        load_spikes(path)
