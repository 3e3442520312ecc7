"""Calibration: what each setting of the dial costs and gives, measured once and kept beside the network.

The tables of an ``.aspen`` file are in its section ``calibration``, one for each chip and kind of dial, with a mark of
the network and the learned dial that they were measured on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint as EarlyPoint
from aspen.calibration.points import OperatingPoint as OperatingPoint
from aspen.calibration.points import pareto_front as pareto_front
from aspen.calibration.points import thin as thin
from aspen.calibration.table import NO_CHIP
from aspen.calibration.table import CalibrationTable as CalibrationTable
from aspen.dial.profile import SECTION as DIAL_SECTION
from aspen.errors import FileFormatError, InputError, one_line
from aspen.network.files import NETWORK_SECTION
from aspen.storage.container import MALFORMED, Container, digest, read_container, update_container

SECTION = "calibration"
PRICES = 2
"""Kept with each table: since 2, the static energy is that of what is powered, not that of the cores in use."""


def save_table(table: CalibrationTable, path: str | Path) -> None:
    """Keep ``table`` in the ``.aspen`` file at ``path``, in place of the one of the same chip and dial, if any.

    Tables of other networks, as they are left where the network or its dial was replaced, are removed.

    Raises:
        InputError: there is no such file, or the table is of a learned dial and the file has none.
    """

    def put(container: Container) -> None:
        if table.dial == "profile" and DIAL_SECTION not in container.headers:
            raise InputError(
                f"{path}: found no learned dial for the table {table.key}, allowed is a file with one; save the dial "
                f"first"
            )
        mark = _fingerprint(container)
        kept = _headers(container, path) if SECTION in container.headers else {}
        kept = {key: entry for key, entry in kept.items() if isinstance(entry, dict) and entry.get("network") == mark}
        container.put(SECTION, {"tables": {**kept, table.key: {**_entry(table), "network": mark}}}, {})

    update_container(path, put)


def _entry(table: CalibrationTable) -> dict[str, Any]:
    early = None if table.early is None else table.early.to_dict()
    return {**asdict(replace(table, early=None, early_points=())), "prices": PRICES, "early": early, "early_points": [
        asdict(point) for point in table.early_points
    ]}  # fmt: skip


def find_table(path: str | Path, chip: str | None = None, dial: str | None = None) -> CalibrationTable | None:
    """As :func:`load_table`, but None where the file has no such table."""
    found = list_tables(path)
    chosen = [t for t in found if chip in (None, t.chip or NO_CHIP) and dial in (None, t.dial)]
    if len(chosen) > 1:
        raise InputError(
            f"{path}: found {len(chosen)} calibration tables ({', '.join(t.key for t in chosen)}), allowed is one; "
            f"say which chip and which dial"
        )
    return chosen[0] if chosen else None


def load_table(path: str | Path, chip: str | None = None, dial: str | None = None) -> CalibrationTable:
    """The calibration table in the ``.aspen`` file at ``path``.

    Args:
        path: the file.
        chip: whose table, ``none`` for the one without a chip; default: the only one.
        dial: ``scale`` or ``profile``; default: the only one.

    Raises:
        InputError: there is none, or more than one fits.
        FileFormatError: it is malformed, or of another network.
    """
    table = find_table(path, chip, dial)
    if table is None:
        wanted = " ".join(word for word in (dial, chip and f"for {chip}") if word)
        stored = ", ".join(t.key for t in list_tables(path)) or "none"
        raise InputError(
            f"{path}: found no calibration table{wanted and ' '}{wanted} (stored: {stored}); make one with "
            f"`aspen sweep --save` or `aspen calibrate`"
        )
    return table


def list_tables(path: str | Path) -> list[CalibrationTable]:
    """All calibration tables in the ``.aspen`` file at ``path``.

    Of tables that laid the static energy on the cores in use, as those of earlier releases did, it is left out.

    Raises:
        FileFormatError: one is malformed, or of another network.
    """
    container = read_container(path)
    if SECTION not in container.headers:
        return []
    mark = _fingerprint(container)
    return [_table(key, entry, mark, container, path) for key, entry in _headers(container, path).items()]


def _headers(container: Container, path: str | Path) -> dict[str, Any]:
    header = container.headers[SECTION]
    tables = header.get("tables") if isinstance(header, dict) else None
    if not isinstance(tables, dict):
        raise FileFormatError(f"{path}: the calibration section is malformed; calibrate again")
    return dict(tables)


def _table(key: str, entry: Mapping[str, Any], mark: str, container: Container, path: str | Path) -> CalibrationTable:
    try:
        values = dict(entry)
        measured_on = values.pop("network")
        known = {} if values.pop("prices", 1) == PRICES else {"static_nj": None}
        values["points"] = tuple(OperatingPoint(**{**point, **known}) for point in values["points"])
        values["early_points"] = tuple(
            EarlyPoint(OperatingPoint(**{**entry["point"], **known}), entry["steps"])
            for entry in values["early_points"]
        )
        values["early"] = None if values["early"] is None else EarlyStop(**values["early"])
        table = CalibrationTable(**values)
        if table.key != key:
            raise InputError(f"key: found {key!r}, allowed is {table.key!r}")
        if table.dial == "profile" and DIAL_SECTION not in container.headers:
            raise InputError("dial: found none in the file")
    except (InputError, *MALFORMED) as error:
        raise FileFormatError(
            f"{path}: the calibration table {one_line(ValueError(key))} is malformed ({one_line(error)}); calibrate "
            f"again"
        ) from error
    if measured_on != mark:
        raise FileFormatError(
            f"{path}: the calibration table {key} was measured on another network or dial; calibrate again"
        )
    return table


def _fingerprint(container: Container) -> str:
    """Of the network and the learned dial: what a table was measured on."""
    sections = [name for name in (NETWORK_SECTION, DIAL_SECTION) if name in container.headers]
    tensors = {name: array for name, array in container.tensors.items() if name.partition(":")[0] in sections}
    return digest({name: container.headers[name] for name in sections}, tensors)
