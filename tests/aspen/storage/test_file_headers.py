"""Headers that are well formed and wrong: types that NumPy lacks, sections that are none, nesting without end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.data.ts_files import read_ts
from aspen.errors import FileFormatError, InputError
from aspen.network.network import FixedLif, load_network
from aspen.storage.container import Container, read_container, write_container
from aspen.storage.json import MAX_DEPTH, parse_json
from aspen_emulator.cli.stream import _read_state
from aspen_emulator.streaming import Events
from aspen_emulator.study.measuring import read_points, read_spent
from aspen_hardware import compile, load_deployment, store_deployment
from tests.aspen.data.ts_texts import ts_texts
from tests.damage import nested
from tests.networks import float_network

Header = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a network and a deployment."""
    made = tmp_path / "net.aspen"
    network = float_network(1, bias=False)
    network.save(made)
    store_deployment(compile(network, "loihi1"), made)
    return made


def rewrite(path: Path, change: Callable[[Header], object]) -> None:
    """Change the header of the safetensors file itself."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    made = json.dumps(header).encode()
    path.write_bytes(len(made).to_bytes(8, "little") + made + data[8 + length :])


@pytest.mark.parametrize(
    ("kind", "width"), [("BF16", 2), ("F8_E4M3", 1), ("F8_E5M2", 1), ("F8_E8M0", 1), ("F4", 0.5), ("C64", 8)]
)
def test_types_that_numpy_lacks_are_refused(path: Path, kind: str, width: float) -> None:
    def change(header: Header) -> None:
        name = next(name for name in header if name.endswith("weight"))
        size = header[name]["data_offsets"][1] - header[name]["data_offsets"][0]
        header[name].update(dtype=kind, shape=[int(size / width)])

    rewrite(path, change)
    with pytest.raises(FileFormatError, match=rf"net.aspen: not a readable .aspen file .*({kind}|unknown variant)"):
        load_network(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"format": "aspen", "version": true, "sections": {}}',
        '{"format": "aspen", "version": 1.0, "sections": {}}',
        '{"format": "aspen", "version": "4", "sections": {}}',
        '{"format": ["aspen"], "version": 4, "sections": {}}',
        '{"format": "aspen", "version": 4, "sections": []}',
        '{"format": "aspen", "version": 4, "sections": {"network": []}}',
        '{"format": "aspen", "version": 4, "sections": {"network": {"a": ' + "[" * 100 + "]" * 100 + "}}}",
        '{"format": "aspen", "version": 4, "sections": ' + "[" * 5000 + "]" * 5000 + "}",
        f'{{"format": "aspen", "version": {"9" * 5000}, "sections": {{}}}}',
        "[]",
        "",
    ],
)
def test_headers_that_are_none_are_refused(path: Path, text: str) -> None:
    rewrite(path, lambda header: header["__metadata__"].update(aspen=text))
    with pytest.raises(FileFormatError, match=r"found a (malformed|safetensors file without an) ASPEN header"):
        load_network(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight_error", "x", "weight_error: found 'x'"),
        ("thresholds", 1.5, "thresholds: found 1.5, allowed is an integer"),
        ("compensated", 0, "compensated: found 0"),
        ("sample_peak", [], "sample_peak: found"),
        ("kept_calibrated", 0.5, "kept_calibrated: found 0.5 beside kept_uncalibrated=None"),
    ],
)
def test_what_a_deployment_says_of_its_rounding_is_checked(path: Path, name: str, value: object, message: str) -> None:
    held = read_container(path)
    held.headers["deployment/loihi1"]["rounding"]["layer1"][name] = value
    write_container(Container(held.headers, held.tensors), path)
    with pytest.raises(FileFormatError, match=f"malformed deployment for loihi1 .*{message}"):
        load_deployment(path, "loihi1")


def test_json_is_nested_no_deeper_than_anybody_can_walk() -> None:
    assert parse_json(json.dumps(nested(MAX_DEPTH - 1))) == nested(MAX_DEPTH - 1)
    for depth in (MAX_DEPTH + 1, 500, 100_000):
        with pytest.raises(ValueError, match=f"nested deeper than {MAX_DEPTH}"):
            parse_json("[" * depth + "]" * depth)
    with pytest.raises(ValueError, match="Expecting"):
        parse_json(b"{")


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 5000, '{"a": 1}', '{"a": [{"b": 2}]}', "\x00", "null"])
def test_other_files_of_json_are_read_with_the_same_care(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    for read in (read_points, read_spent):
        with pytest.raises(FileFormatError, match=r"x\.json: not readable .* measure again"):
            read(path)
    if not text.startswith('{"'):
        with pytest.raises(FileFormatError, match=r"x\.json: found no state of a stream"):
            _read_state(path)


def test_numbers_at_the_edge_of_their_type_raise_no_warning() -> None:
    assert FixedLif(np.array([5, 1000], np.float16), 0).threshold.tolist() == [5, 1000]  # type: ignore[arg-type]
    text = ts_texts()["Wiggles_TRAIN.ts"]
    row = text.splitlines()[-1]
    for number in ("1e308", "-1e16", "nan", "inf", "9" * 400):
        bad = text.replace(row, row.replace(row.split(",")[0], number, 1))
        with pytest.raises(FileFormatError, match=r"x.ts, line 22: found NaN, infinity or numbers beyond 1e\+15"):
            read_ts(bad, "x.ts")


@pytest.mark.parametrize("totals", [[], 3, {"steps": 2**63}, {"steps": -1}, {"steps": True}])
def test_totals_of_a_stream_that_nothing_could_have_counted_are_refused(totals: Any) -> None:
    network = float_network(1)
    good = Events.none(network).to_dict()
    assert Events.from_dict(good | {"steps": 2**63 - 1}, network).steps == 2**63 - 1
    with pytest.raises(InputError, match=r"^state: found (totals|steps)="):
        Events.from_dict(good | totals if isinstance(totals, dict) else totals, network)
