"""What ASPEN says of each model: perturb, fuse, export, compile; and why not, with the remedy."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

import aspen
from aspen.errors import AspenError
from aspen.models.probing import read_sample
from aspen.network.network import Network
from aspen_emulator.measuring.parity import parity
from aspen_hardware import compile
from tests import ROOT
from tests.real_models.entry import Entry

CHIP = "loihi1"
PAGE = ROOT / "docs" / "models.md"
_BEGIN, _END = "<!-- python -m tests.real_models --write -->", "<!-- end -->"


@dataclass(frozen=True)
class Verdict:
    """Of one model: ``ok`` or ``no`` for each way; ``why`` is the first refusal's message."""

    name: str
    source: str
    perturb: str
    fuse: str
    export: str
    compile: str
    why: str

    @property
    def row(self) -> str:
        """A line of the table."""
        return f"| {self.name} | {self.perturb} | {self.fuse} | {self.export} | {self.compile} | {self.why} |"


def judge(entry: Entry) -> Verdict:
    """Try everything on one model."""
    problems: dict[str, str] = {}

    def tried(what: str, attempt: Callable[[nn.Module], Any]) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return attempt(entry.model())
        except AspenError as error:
            problems[what] = " ".join(str(error).split()).partition(" (and ")[0].replace("|", "/")
            return None

    done: dict[str, Any] = {}
    done["perturb"] = tried("perturb", lambda model: bool(aspen.perturb_thresholds(model).remove() or True))
    done["fuse"] = tried("fuse", lambda model: _fused(model, entry))
    done["export"] = tried("export", lambda model: _exported(model, entry))
    done["compile"] = None if done["export"] is None else tried("compile", lambda model: _compiled(done["export"]))
    says = {what: "no" if result is None else "ok" for what, result in done.items()}
    says["compile"] = "" if done["export"] is None else says["compile"]
    why = next((problems[what] for what in ("export", "compile", "fuse", "perturb") if what in problems), "")
    return Verdict(entry.name, entry.source, **says, why=why)


def _fused(model: nn.Module, entry: Entry) -> bool:
    aspen.fuse(model.train(), entry.inputs(), **entry.arguments)
    return True


def _exported(model: nn.Module, entry: Entry) -> Network:
    network = aspen.export(model, entry.inputs(), **entry.arguments)
    _, frames = read_sample(entry.model(), entry.inputs(), **entry.arguments)
    given = frames.numpy() if network.input.current else frames.numpy().astype(np.uint8)
    report = parity(entry.model(), network, None, given, arguments=entry.arguments.get("arguments"))
    different = sum(d.different for d in report.differences)
    fired = sum(d.spikes_before for d in report.differences)
    if different or not fired:
        raise AssertionError(f"{entry.name}: {different} of {fired} spikes differ")
    return network


def _compiled(network: Network) -> bool:
    if network.input.is_analog:
        network = network.with_input_peak(1.0)
    compile(network, CHIP)
    return True


def table(verdicts: list[Verdict]) -> Iterator[str]:
    """The table of docs/models.md."""
    yield f"| model | perturb | fuse | export | compile {CHIP} | why not, and the remedy |"
    yield "|---|---|---|---|---|---|"
    for verdict in verdicts:
        yield verdict.row
    counts = {way: sum(getattr(v, way) == "ok" for v in verdicts) for way in ("perturb", "fuse", "export", "compile")}
    yield f"| **of {len(verdicts)}** | {' | '.join(str(n) for n in counts.values())} | |"


def page_with(lines: list[str]) -> str:
    """The page, with these lines as its table."""
    text = PAGE.read_text("utf-8")
    before, after = text.partition(_BEGIN)[0], text.partition(_END)[2]
    return f"{before}{_BEGIN}\n{chr(10).join(lines)}\n{_END}{after}"
