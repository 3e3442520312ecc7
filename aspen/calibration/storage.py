"""Calibration: what each knob costs and gives, measured once and kept beside the network.

The tables of an ``.aspen`` file are in its section ``calibration``, one for each chip and kind of dial, with a mark of
the network and the learned dial that they were measured on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from aspen.calibration.early import EarlyStop
from aspen.calibration.points import EarlyPoint as EarlyPoint
from aspen.calibration.points import OperatingPoint as OperatingPoint
from aspen.calibration.points import pareto_front as pareto_front
from aspen.calibration.points import point_of
from aspen.calibration.points import thin as thin
from aspen.calibration.table import LEVERS, NO_CHIP
from aspen.calibration.table import CalibrationTable as CalibrationTable
from aspen.dial.profile import DIAL
from aspen.errors import FileFormatError, InputError, one_line
from aspen.network.files import NETWORK
from aspen.storage.container import MALFORMED
from aspen.storage.file import AspenFile, Parts, Section

PRICES = 2
"""Kept with each table: since 2, the static energy is that of what is powered, not that of the cores in use."""


def save_table(table: CalibrationTable, path: str | Path) -> None:
    """Keep ``table`` in the ``.aspen`` file at ``path``, in place of the one of the same chip and dial, if any.

    Tables of other networks, as they are left where the network or its dial was replaced, are removed.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen.calibration.points import OperatingPoint
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> network.save("net.aspen")
    >>> save_table(table, "net.aspen")
    >>> load_table("net.aspen", chip="loihi1").best.knob
    1.0

    Raises:
        InputError: there is no such file, or the table is of a learned dial and the file has none.
    """
    save_tables([table], path)


def save_tables(tables: Sequence[CalibrationTable], path: str | Path) -> None:
    """As :func:`save_table`, several at once: all of them or none."""
    AspenFile.update(path, lambda file: file.put(CALIBRATION, tables))


def _encode(tables: Sequence[CalibrationTable], file: AspenFile) -> Parts:
    """The tables in the place of those of the same key, beside all others of the same network."""
    for table in tables:
        if "profile" in (table.dial, table.turns) and DIAL.name not in file.sections:
            raise InputError(
                f"{file.path}: found no learned dial for the table {table.key}, allowed is a file with one; save the "
                f"dial first"
            )
    mark = _mark(file)
    kept = _entries(file) if CALIBRATION.name in file.sections else {}
    kept = {key: entry for key, entry in kept.items() if isinstance(entry, dict) and entry.get("network") == mark}
    return {"tables": {**kept, **{table.key: {**_entry(table), "network": mark} for table in tables}}}, {}


def _entry(table: CalibrationTable) -> dict[str, Any]:
    values = asdict(replace(table, early=None, early_points=()))
    if not table.is_front:  # as releases write and read it that know no front
        del values["turns"], values["places"]
    if not table.every:  # nor time steps that are left out; those refuse a table that leaves some out
        del values["every"]
    early = None if table.early is None else table.early.to_dict()
    ended = [asdict(point) for point in table.early_points]
    return {**values, "prices": PRICES, "early": early, "early_points": ended}


def find_table(
    path: str | Path | AspenFile, chip: str | None = None, dial: str | None = None
) -> CalibrationTable | None:
    """As :func:`load_table`, but None where the file has no such table."""
    file = AspenFile.of(path)
    allowed = LEVERS if dial is None else (dial,)
    chosen = [t for t in list_tables(file) if chip in (None, t.chip or NO_CHIP) and t.dial in allowed]
    if len(chosen) > 1:
        raise InputError(
            f"{file.path}: found {len(chosen)} calibration tables ({', '.join(t.key for t in chosen)}), allowed is "
            f"one; say which chip and which dial"
        )
    return chosen[0] if chosen else None


def load_table(path: str | Path | AspenFile, chip: str | None = None, dial: str | None = None) -> CalibrationTable:
    """The calibration table in the ``.aspen`` file at ``path``.

    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen.calibration.points import OperatingPoint
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> rows = (2.0, 0.94, 50, 400), (1.0, 0.95, 90, 900)  # knob, accuracy, hidden spikes, nJ: as a sweep measures them
    >>> points = tuple(OperatingPoint(k, a, a - 0.02, a + 0.02, n, 2e3, 500, nj, 8e5, 900) for k, a, n, nj in rows)
    >>> table = CalibrationTable("loihi1", "scale", 25, 1e-5, "digits validation", 1, points)
    >>> network.save("net.aspen")
    >>> save_table(table, "net.aspen")
    >>> load_table("net.aspen", chip="loihi1").best.knob
    1.0

    Args:
        path: the file.
        chip: whose table, ``none`` for the one without a chip; default: the only one.
        dial: ``scale`` or ``profile``; default: the only one of these. Or ``front``: the knob over all levers.

    Raises:
        InputError: there is none, or more than one fits.
        FileFormatError: it is malformed, or of another network.
    """
    file = AspenFile.of(path)
    table = find_table(file, chip, dial)
    if table is None:
        wanted = " ".join(word for word in (dial, chip and f"for {chip}") if word)
        stored = ", ".join(t.key for t in list_tables(file)) or "none"
        raise InputError(
            f"{file.path}: found no calibration table{wanted and ' '}{wanted} (stored: {stored}); make one with "
            f"`aspen sweep --save` or `aspen calibrate`"
        )
    return table


def list_tables(path: str | Path | AspenFile) -> list[CalibrationTable]:
    """All calibration tables in the ``.aspen`` file at ``path``.

    Of tables that laid the static energy on the cores in use, as those of earlier releases did, it is left out.

    Raises:
        FileFormatError: one is malformed, or of another network.
    """
    found = AspenFile.of(path).find(CALIBRATION)
    return [] if found is None else list(found)


def _decode(file: AspenFile) -> Sequence[CalibrationTable]:
    return tuple(_table(key, entry, file) for key, entry in _entries(file).items())


def _entries(file: AspenFile) -> dict[str, Any]:
    header, _ = file.parts("calibration")
    tables = header.get("tables")
    if not isinstance(tables, dict):
        raise FileFormatError(f"{file.path}: the calibration section is malformed; calibrate again")
    return dict(tables)


def _table(key: str, entry: Mapping[str, Any], file: AspenFile) -> CalibrationTable:
    try:
        values = dict(entry)
        measured_on = values.pop("network")
        known = {} if values.pop("prices", 1) == PRICES else {"static_nj": None}
        values["points"] = tuple(point_of({**point, **known}) for point in values["points"])
        values["early_points"] = tuple(
            EarlyPoint(point_of({**entry["point"], **known}), entry["steps"]) for entry in values["early_points"]
        )
        values["early"] = None if values["early"] is None else EarlyStop(**values["early"])
        table = CalibrationTable(**values)
        if table.key != key:
            raise InputError(f"key: found {key!r}, allowed is {table.key!r}")
        if "profile" in (table.dial, table.turns) and DIAL.name not in file.sections:
            raise InputError("dial: found none in the file")
    except (InputError, *MALFORMED) as error:
        raise FileFormatError(
            f"{file.path}: the calibration table {one_line(ValueError(key))} is malformed ({one_line(error)}); "
            f"calibrate again"
        ) from error
    if measured_on != _mark(file):
        raise FileFormatError(
            f"{file.path}: the calibration table {key} was measured on another network or dial; calibrate again"
        )
    return table


def _mark(file: AspenFile) -> str:
    """Of the network and the learned dial: what a table was measured on."""
    return file.fingerprint(NETWORK.name, DIAL.name)


CALIBRATION = Section[Sequence[CalibrationTable]]("calibration", _decode, _encode)
"""The tables of the network beside them; those that are put stand beside those that are there."""
