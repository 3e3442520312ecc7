"""What can be wrong with a file: bytes, values, text and headers, each damaged at one place, at random."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

Rng = np.random.Generator


def nested(depth: int) -> list[Any]:
    """Lists within lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


JUNK: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 1.5, -0.0, 1e-320, 1e9, 1e308, 10**9, 2**31, 2**62, 2**63, 10**18, 10**30, 10**400,
    float("inf"), float("-inf"), float("nan"), "", "x", "1", "input", "\x00", "é\n", "a" * 3000, [], [0], [1, 2], [[]],
    [10**12, 10**12], {}, {"kind": "conv"}, {"": 0}, nested(40), nested(900),
)  # fmt: skip
TOKENS = (
    "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "inf", "-inf", "nan", "-1", "0", "1e308", "1e999", "9" * 400,
    "9" * 5000, "true", '""', '"x"', "[]", "[[]]", "{}", "[" * 40 + "]" * 40, "[" * 5000, "0x10", "1_000", "'", "\x00",
    "?", "1.5", "1000000000000", ",", ":", "@data", "@missing true", "",
)  # fmt: skip
_TOKEN = re.compile(r'"[^"\n]*"|[+-]?\d[\d.e+-]*|[A-Za-z]+')


def damaged_bytes(data: bytes, rng: Rng) -> bytes:
    """One of: flipped bits, a cut, a repeated or removed part, a run of random bytes."""
    bad = bytearray(data)
    at, length = int(rng.integers(len(bad))), int(rng.integers(1, 40))
    how = rng.integers(5)
    if how == 0:
        for place in rng.integers(0, len(bad), rng.integers(1, 5)):
            bad[place] ^= 1 << int(rng.integers(8))
    elif how == 1:
        del bad[at:]
    elif how == 2:
        bad[at:at] = bad[at : at + length]
    elif how == 3:
        del bad[at : at + length]
    else:
        bad[at : at + length] = rng.bytes(length)
    return bytes(bad)


def damaged_text(data: bytes, rng: Rng) -> bytes:
    """One word, number or string replaced, or one line removed, repeated or moved."""
    text = data.decode("utf-8")
    if rng.random() < 0.8:
        found = list(_TOKEN.finditer(text))
        place = found[rng.integers(len(found))]
        return (text[: place.start()] + TOKENS[rng.integers(len(TOKENS))] + text[place.end() :]).encode()
    lines = text.splitlines()
    line = lines.pop(int(rng.integers(len(lines))))
    for _ in range(int(rng.integers(3))):
        lines.insert(int(rng.integers(len(lines) + 1)), line)
    return "\n".join(lines).encode()


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def damaged_values(values: Any, rng: Rng, junk: tuple[Any, ...] = JUNK) -> Any:
    """A copy with one part, however deep, replaced, removed or doubled; another part's value among the replacements."""
    bad = copy.deepcopy(values)
    places = list(_places(bad))
    *way, last = places[rng.integers(len(places))]
    inner: Any = bad
    for key in way:
        inner = inner[key]
    how = rng.random()
    if how < 0.15:
        del inner[last]
    elif how < 0.25:
        other: Any = values
        for key in places[rng.integers(len(places))]:
            other = other[key]
        inner[last] = copy.deepcopy(other)
    elif how < 0.3 and isinstance(inner, list):
        inner.append(inner[last])
    else:
        inner[last] = junk[rng.integers(len(junk))]
    return bad


def damaged_json(data: bytes, rng: Rng) -> bytes:
    """One value of a JSON text replaced, removed or doubled."""
    return json.dumps(damaged_values(json.loads(data), rng)).encode()


def damaged_npy(data: bytes, rng: Rng) -> bytes:
    """A ``.npy`` file with another header, of the right length."""
    shapes = (
        "(1000000000000,)", f"({10**20},)", "(True,)", f"({'-' * 5000}1,)", "()", "(0,)", "(-1,)", "(1.5,)", "('a',)",
        "[1]", "((1,),)", f"({'1,' * 40})", "None", "(2, 3", f"({'9' * 5000},)", "(0, 10**9)", "(0, 9999999999999999)",
    )  # fmt: skip
    types = ("'<f8'", "'|O'", "'<U8'", "'|V8'", "'<M8'", "()", "[]", "[('a', '<f8')]", "'<f9'", "'f'", "None", "1",
             "'>i4'", "'|b1'", "'<c8'", "'\\x00'", "'" + "<" * 900 + "'")  # fmt: skip
    orders = ("False", "True", "None", "1", "'x'", "[]")
    parts = [
        f"'descr': {types[rng.integers(len(types))] if rng.random() < 0.6 else types[0]}",
        f"'fortran_order': {orders[rng.integers(len(orders))] if rng.random() < 0.3 else orders[0]}",
        f"'shape': {shapes[rng.integers(len(shapes))] if rng.random() < 0.7 else '(1,)'}",
    ]
    if rng.random() < 0.1:
        parts.pop(int(rng.integers(3)))
    header = f"{{{', '.join(parts)}, }}".encode()
    version = int(rng.integers(1, 4)) if rng.random() < 0.3 else 1
    width = 2 if version == 1 else 4
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(width, "little") + header + data[-64:]


def damaged_safetensors(data: bytes, rng: Rng) -> bytes:
    """A safetensors file with another type, shape or place of one tensor in its own header; the length is right."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    names = [name for name in header if name != "__metadata__"]
    entry = header[names[rng.integers(len(names))]]
    if rng.random() < 0.6:
        kinds = (
            "BF16",
            "F8_E4M3",
            "F8_E5M2",
            "F8_E8M0",
            "F4",
            "F6_E2M3",
            "F16",
            "U16",
            "U64",
            "I64",
            "BOOL",
            "C64",
            "X",
        )
        entry["dtype"] = kinds[rng.integers(len(kinds))]
        width = {"F16": 2, "U16": 2, "BF16": 2, "U64": 8, "I64": 8, "C64": 8, "F4": 0.5, "F6_E2M3": 0.75}
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        if rng.random() < 0.9:
            entry["shape"] = [int(size / width.get(entry["dtype"], 1))]
    else:
        header = damaged_values(header, rng)
    made = json.dumps(header).encode()
    return len(made).to_bytes(8, "little") + made + data[8 + length :]
