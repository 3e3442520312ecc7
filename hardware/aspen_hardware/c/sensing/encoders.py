"""The encoder in C, beside the network: a sensor's raw samples go in, and the network makes the steps that are due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from aspen._base.arrays import Array
from aspen._version import __version__
from aspen_hardware.c.helpers import HELPERS
from aspen_hardware.c.sensing.encoder_text import (
    BEGIN,
    CURRENT,
    DELTA,
    DRAWN,
    EACH,
    HEADER,
    LEVELS,
    ON_LINE,
    RANDOM,
    README,
    SOURCE,
    STATIC,
    WINDOW,
)
from aspen_hardware.c.sensing.features import FixedFeatures, features_code
from aspen_hardware.c.sensing.fixed import (
    SEED,
    UNIT,
    FixedCurrent,
    FixedDelta,
    FixedEncoder,
    FixedLatency,
    FixedLevels,
    FixedRate,
    FixedStatic,
    FixedWindow,
)
from aspen_hardware.c.sensing.sensor import Line, Sensor
from aspen_hardware.c.text import Field, Table, filled, type_of, widest_first


@dataclass(frozen=True)
class EncoderProgram:
    """The encoder as C, for the network's program of the same prefix.

    Args:
        prefix: of the network's program.
        fixed: the encoder in integers.
        sensor: what they stand for.
        early: whether that program ends inferences early; a sample that is a whole inference then does.
    """

    prefix: str
    fixed: FixedEncoder
    sensor: Sensor
    early: bool = False

    @cached_property
    def parts(self) -> Parts:
        """Tables, fields and functions."""
        return _PARTS[type(self.fixed)](self.fixed, self.prefix)

    @property
    def ram(self) -> int:
        """Bytes of the state."""
        return -(-sum(field.size for field in self.parts.fields) // 4) * 4

    @property
    def flash(self) -> int:
        """Bytes of the tables; the code comes on top."""
        return sum(table.size for table in self.parts.tables)

    def files(self) -> dict[str, str]:
        """File name -> text."""
        return {f"{self.prefix}_encoder.c": self.source(), f"{self.prefix}_encoder.h": self.header()}

    def header(self) -> str:
        """The text of ``PREFIX_encoder.h``."""
        fixed, steps = self.fixed, self.parts.steps
        values = {
            "p": self.prefix, "P": self.prefix.upper(), "channels": fixed.channels, "about": self.parts.about,
            "scale": _listed(self.sensor.scale), "offset": _listed(self.sensor.offset),
            "due": self.parts.due,
            "unit": f"{self.prefix}_SAMPLE_STEPS = {steps} /* time steps that a sample makes */" if steps
            else f"{self.prefix}_STEP_SAMPLES = {self.parts.every} /* samples from one time step to the next */",
        }  # fmt: skip
        return filled(HEADER, values)

    def source(self) -> str:
        """The text of ``PREFIX_encoder.c``."""
        parts = self.parts
        values = {
            "p": self.prefix, "version": __version__, "functions": filled(parts.code, {"ending": self._ending}),
            "tables": "".join(f"\n{table}\n" for table in parts.tables),
            "fields": "\n".join(str(field) for field in widest_first(parts.fields)),
        }  # fmt: skip
        return filled(SOURCE, values)

    @property
    def _ending(self) -> str:
        """Why a sample may make no further step, where it is a whole inference."""
        return f" && !{self.prefix}_done()" if self.early else ""

    def readme(self) -> str:
        """What the program's page says of it."""
        values = {"p": self.prefix, "kind": self.fixed.kind, "channels": self.fixed.channels, "ram": f"{self.ram:,}"}
        return filled(README, {**values, "flash": f"{self.flash:,}"})


def _listed(value: float | tuple[float, ...]) -> str:
    return f"{value!r}" if not isinstance(value, tuple) else f"({', '.join(map(repr, value))})"


@dataclass(frozen=True)
class Parts:
    """What the C of one kind of encoder consists of.

    Args:
        about: in a sentence.
        tables, fields, code: as they are written.
        every: samples from one time step to the next, of a signal.
        due: how many steps a sample makes, of a signal.
        steps: of an inference, where a sample is a whole one.
    """

    about: str
    tables: Sequence[Table]
    fields: Sequence[Field]
    code: str
    every: int = 1
    due: str = "1"
    steps: int = 0


ENDING = "@ending@"
"""Filled in by the program, which knows whether inferences may end early."""


def _whole(steps: int) -> str:
    return f"{steps}, or fewer where the inference ends early"


def _events(n: int) -> Field:
    return Field("uint16_t", "events", (n,), "inputs that spike in a step")


class _PerChannel:
    """Numbers of the channels: written into the code where all are alike, a table where they differ."""

    def __init__(self, name: str, numbers: Sequence[int], about: str, wide: bool = False) -> None:
        alike, array = len(set(numbers)) == 1, np.array(numbers, np.int64)
        self.tables = [] if alike else [Table("int64_t" if wide else type_of(array), name, array, about)]
        suffix = "ll" if wide else ""
        self.text = f"({numbers[0]}{suffix})" if alike and numbers[0] < 0 else f"{numbers[0]}{suffix}"
        self.text = self.text if alike else f"{name}[c]"


def _delta_parts(fixed: FixedDelta, p: str) -> Parts:
    encode, tables, fields = _delta_encode(fixed, p)
    step = EACH.replace("@step@", "@p@_step_events(encoder.events, encoder.count)")
    return Parts(
        "Send-on-delta: a spike for each threshold that a channel moves by.", tables, fields,
        encode + filled(step, {"p": p}),
    )  # fmt: skip


def _delta_encode(fixed: FixedDelta, p: str) -> tuple[str, list[Table], list[Field]]:
    about = f"in 1/{UNIT} of a raw unit"
    threshold = _PerChannel("thresholds", fixed.thresholds, f"thresholds, {about}")
    first = _PerChannel("starts", fixed.references or (0,), f"where the references start, {about}")
    begun = not fixed.references or any(fixed.references)
    values = {
        "p": p, "unit": UNIT, "threshold": threshold.text,
        "first": first.text if fixed.references else f"(int32_t)raw[c] * {UNIT}",
    }  # fmt: skip
    fields = [
        Field("int32_t", "reference", (fixed.channels,), f"where each channel last spiked, {about}"),
        Field("uint16_t", "events", (fixed.channels,), "what spikes"),
        Field("uint16_t", "count", (), "how many these are"),
    ]
    fields += [Field("uint8_t", "begun", (), "whether there was a sample")] if begun else []
    text = filled(DELTA, {**values, "begin": filled(BEGIN, values) if begun else ""})
    return text, [*threshold.tables, *first.tables], fields


def _levels_parts(fixed: FixedLevels, p: str) -> Parts:
    bounds, about = (
        fixed.levels - 1,
        f"for each channel, of the sum of {fixed.every} samples: it lies in the level after",
    )
    edges = Table(type_of(fixed.edges), "edges", fixed.edges, about + " all that it is above")
    code, tables, own = _taken(fixed.inner)
    rows = len(fixed.edges)
    values = {"p": p, "every": fixed.every, "bounds": bounds, "levels": fixed.levels, "edge": edges.ctype,
              **_reading(fixed.inner, rows)}  # fmt: skip
    fields = [
        *own,
        Field("int32_t", "sum", (rows,), "of the samples of a step so far"),
        _events(rows),
        Field("uint16_t", "samples", (), "how many these are"),
    ]
    what = (
        f"Levels: every {fixed.every} samples each channel spikes once, on the line of the level that their mean is at."
    )
    due = "1" if fixed.every == 1 else f"1 with every sample number {fixed.every}, else 0"
    return Parts(what, [*tables, edges], fields, code + filled(LEVELS, values), fixed.every, due)


def _taken(inner: FixedFeatures | None) -> tuple[str, list[Table], list[Field]]:
    """What makes the channels of the raw integers, where these are not the channels."""
    return ("", [], []) if inner is None else (features_code(), inner.tables, inner.fields)


def _reading(inner: FixedFeatures | None, rows: int) -> dict[str, object]:
    if inner is None:
        return {"take": "", "read": "raw[c]", "rows": rows}
    return {"take": "    take_features(raw);\n", "read": "encoder.features[c]", "rows": rows}


def _on_line(line: Line, low: int, high: int, ctype: str) -> tuple[str, list[Table]]:
    factor = _PerChannel("factors", line.factors, "of raw integers")
    addend = _PerChannel("addends", line.addends, "added to them", wide=True)
    tables = [*factor.tables, *addend.tables]
    values = {"factor": factor.text, "addend": addend.text, "shift": line.shift, "low": low, "high": high,
              "type": ctype, "unused": "" if tables else "\n    (void)c;"}  # fmt: skip
    return HELPERS["halved_wide"] + filled(ON_LINE, values), tables


def _current_encode(fixed: FixedCurrent, p: str) -> tuple[str, list[Table], list[Field]]:
    text, tables = _on_line(fixed.line, -fixed.largest, fixed.largest, "int16_t")
    code, before, own = _taken(fixed.inner)
    values = {"p": p, **_reading(fixed.inner, fixed.outputs)}
    fields = [*own, Field("int16_t", "values", (fixed.outputs,), "what they become")]
    return code + text + filled(CURRENT, values), [*before, *tables], fields


def _current_parts(fixed: FixedCurrent, p: str) -> Parts:
    encode, tables, fields = _current_encode(fixed, p)
    code = encode + filled(EACH.replace("@step@", "@p@_step(encoder.values)"), {"p": p})
    return Parts(
        "Values: raw integers shifted and scaled to what the network's weights multiply.", tables, fields, code
    )


def _static_parts(fixed: FixedStatic, p: str) -> Parts:
    encode, tables, fields = _current_encode(fixed.inner, p)
    code = encode + filled(STATIC, {"p": p, "steps": fixed.steps, "ending": ENDING})
    about = f"Values, scaled to what the network's weights multiply, the same at each of {fixed.steps} time steps."
    return Parts(about, tables, fields, code, due=_whole(fixed.steps), steps=fixed.steps)


def _window_parts(fixed: FixedWindow, p: str) -> Parts:
    inner, spikes = fixed.inner, isinstance(fixed.inner, FixedDelta)
    recent = "uint8_t" if spikes else "int16_t"
    if isinstance(inner, FixedDelta):
        encode, tables, fields = _delta_encode(inner, p)
        fields.append(Field("uint16_t", "shown", (fixed.channels * fixed.size,), "inputs that spike in a step"))
        fields.append(Field("uint16_t", "n_shown", (), "how many these are"))
    else:
        encode, tables, fields = _current_encode(inner, p)
        fields.append(Field("int16_t", "shown", (fixed.outputs,), "the window"))
    fields += [
        Field(recent, "recent", (fixed.size, inner.outputs), "the last samples, encoded"),
        Field("uint16_t", "slot", (), "where the next goes"),
        Field("uint16_t", "seen", (), "samples so far, at most a window"),
        Field("uint16_t", "wait", (), "samples since the last window"),
    ]
    values = {"p": p, "recent": recent, "size": fixed.size, "every": fixed.every, "inner": inner.outputs,
              "next": 1 if fixed.every > 1 else 0, **(_SPIKES_SHOWN if spikes else _VALUES_SHOWN)}  # fmt: skip
    values = {name: filled(str(value), {"size": fixed.size, "p": p}) for name, value in values.items()}
    what = "spikes" if spikes else "values"
    about = f"Windows: every {fixed.every} samples the {what} of the last {fixed.size}, those of a channel together."
    due = f"1 with sample number {fixed.size} and every {fixed.every} samples from there on, else 0"
    return Parts(about, tables, fields, encode + filled(WINDOW, values), fixed.every, due)


_SPIKES_SHOWN = {
    "keep": "    memset(now, 0, sizeof encoder.recent[0]);\n"
    "    for (uint32_t k = 0; k < encoder.count; k++) {\n"
    "        now[encoder.events[k]] = 1;\n    }",
    "clear": "encoder.n_shown = 0;",
    "show": "            if (encoder.recent[(encoder.slot + k) % @size@u][i] != 0) {\n"
    "                encoder.shown[encoder.n_shown++] = (uint16_t)(i * @size@u + k);\n            }",
    "step": "@p@_step_events(encoder.shown, encoder.n_shown)",
}
_VALUES_SHOWN = {
    "keep": "    memcpy(now, encoder.values, sizeof encoder.values);",
    "clear": "",
    "show": "            encoder.shown[i * @size@u + k] = encoder.recent[(encoder.slot + k) % @size@u][i];",
    "step": "@p@_step(encoder.shown)",
}


def _latency_parts(fixed: FixedLatency, p: str) -> Parts:
    least: Array = np.array(fixed.least)
    table = Table(type_of(least), "least", least, "for each step the least raw integer that has spiked by its end")
    spikes = "raw[c] >= least[t] && (t == 0 || raw[c] < least[t - 1])"
    values = {"p": p, "steps": fixed.steps, "prepare": "", "spikes": spikes, "ending": ENDING}
    about = f"Latency: in {fixed.steps} time steps each channel spikes once, the larger its value the earlier."
    code = filled(DRAWN, values)
    return Parts(about, [table], [_events(fixed.channels)], code, due=_whole(fixed.steps), steps=fixed.steps)


def _rate_parts(fixed: FixedRate, p: str) -> Parts:
    text, tables = _on_line(fixed.line, 0, 2**16, "uint32_t")
    fields = [
        Field("uint32_t", "chance", (fixed.channels,), "of a spike in a step, in 1/65536"),
        Field("uint32_t", "random", (), "state of the random numbers; 0 before the first"),
        _events(fixed.channels),
    ]
    prepare = (
        "\n    for (uint32_t c = 0; c < @p@_CHANNELS; c++) {\n        encoder.chance[c] = on_line(c, raw[c]);\n    }"
    )
    values = {
        "p": p,
        "steps": fixed.steps,
        "spikes": "drawn() < encoder.chance[c]",
        "prepare": filled(prepare, {"p": p}),
        "ending": ENDING,
    }
    about = f"Rate: in each of {fixed.steps} time steps a channel's value is the chance that it spikes."
    code = text + filled(RANDOM, {"seed": SEED}) + filled(DRAWN, values)
    return Parts(about, tables, fields, code, due=_whole(fixed.steps), steps=fixed.steps)


_PARTS: Mapping[type[FixedEncoder], Callable[[Any, str], Parts]] = {
    FixedDelta: _delta_parts,
    FixedLevels: _levels_parts,
    FixedCurrent: _current_parts,
    FixedWindow: _window_parts,
    FixedLatency: _latency_parts,
    FixedRate: _rate_parts,
    FixedStatic: _static_parts,
}
