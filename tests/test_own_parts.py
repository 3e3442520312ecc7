"""Mistakes of those who add an engine, an encoder, a neuron or a chip: each is told as what it is, and whose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snntorch
import torch
from torch import Tensor, nn

from aspen import add_neuron, export, perturb_thresholds
from aspen._base.arrays import Array
from aspen.data import EncoderStream, add_encoder, arrays, save_encoder
from aspen.data.encoder_values import ENCODERS
from aspen.data.encoders import ScaledEncoder, StoredEncoder
from aspen.errors import EngineError, InputError, ModelError
from aspen_emulator import add_engine, run
from aspen_emulator.cli import doctor
from aspen_emulator.engines.replay import record_from_rasters
from aspen_emulator.engines.run import ENGINES
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import fixed_network, random_spikes
from tests.pages import blocks

__all__ = ["aspen"]

CHIP = blocks("extending.md", "toml")[0]
NETWORK = fixed_network(2)
SPIKES = random_spikes(0, 7, 3, NETWORK.input.shape[0])
HIDDEN = NETWORK.hidden[0]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """What a test adds is taken away again."""
    before = {*ENGINES}, {*ENCODERS}
    yield
    for registry, names in zip((ENGINES, ENCODERS), before, strict=True):
        for name in {*registry} - names:
            del registry[name]  # type: ignore[attr-defined]


def quiet(network: Any, spikes: Array, record: str, changes: Mapping[str, Array | None]) -> Any:
    """A record in which nothing spikes; of a population in ``changes`` that, or none."""
    rasters = {p.name: np.zeros((*spikes.shape[:2], *p.shape), np.uint8) for p in network.populations} | {**changes}
    return record_from_rasters(network, {n: r for n, r in rasters.items() if r is not None}, "own", record)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({HIDDEN: None}, rf"spikes: found those of .*, allowed is each of .*; correct {HIDDEN}"),
        ({HIDDEN: np.zeros((3, 7, 2), np.uint8)}, rf"spikes of {HIDDEN}: found \(3, 7, 2\), allowed is \(steps, batch"),
        ({HIDDEN: np.full((7, 3, *NETWORK[HIDDEN].shape), 2)}, f"spikes of {HIDDEN}: found other values than 0 and 1"),
    ],
)
def test_spikes_of_an_engine_that_are_none(changes: Mapping[str, Any], message: str) -> None:
    add_engine("own", lambda network, spikes, thresholds, record: quiet(network, spikes, record, changes))
    with pytest.raises(InputError, match=message):
        run(NETWORK, SPIKES, engine="own")


def test_membranes_of_an_engine_that_are_none() -> None:
    rasters = run(NETWORK, SPIKES, record="spikes").rasters
    with pytest.raises(InputError, match=rf"membranes of {HIDDEN}: found \(1, 1\), allowed is"):
        record_from_rasters(NETWORK, rasters, "own", "membranes", {HIDDEN: np.zeros((1, 1))})
    with pytest.raises(InputError, match=r"membranes: found those of nobody, allowed is each of .*; correct nobody"):
        record_from_rasters(NETWORK, rasters, "own", "membranes", {"nobody": np.zeros((1, 1))})


def fails(network: Any, spikes: Array, thresholds: Any, record: str) -> Any:
    return spikes.shap


@pytest.mark.parametrize(
    ("engine", "record", "message"),
    [
        (fails, "counts", r"engine own: AttributeError \(.*no attribute 'shap'\); mend the engine"),
        (lambda *given: None, "counts", "engine own: found None as its result, allowed is a Record"),
        (lambda network, spikes, *given: run(network, spikes[:1]), "counts", "engine own: found output of"),
        (lambda network, spikes, *given: run(network, spikes), "spikes", "engine own: found no rasters of"),
        (
            lambda network, spikes, *given: run(network, spikes, record="spikes"),
            "membranes",
            "engine own: found no membranes of .*, allowed where record is 'membranes' are",
        ),
    ],
)
def test_an_engine_that_does_anything_wrong_is_named(engine: Any, record: str, message: str) -> None:
    add_engine("own", engine)
    with pytest.raises(EngineError, match=message):
        run(NETWORK, SPIKES, engine="own", record=record)


def test_an_engine_that_takes_other_arguments() -> None:
    message = r"engine own: found a function of \(network, spikes\), allowed is one of \(network, spikes, thresholds, "
    with pytest.raises(InputError, match=message):
        add_engine("own", lambda network, spikes: None)  # type: ignore[misc,arg-type]


class Plain(StoredEncoder):
    kind = "plain-class"

    def stream(self, seed: int = 0) -> EncoderStream:
        return EncoderStream(lambda values: (values > 0)[None].astype(np.uint8), lambda: None)


class Inherits(ScaledEncoder):
    kind = "inherits"
    stream = Plain.stream


@dataclass(frozen=True)
class Nameless(ScaledEncoder):
    stream = Plain.stream


@dataclass(frozen=True)
class Unfinished(ScaledEncoder):
    kind = "unfinished"


@dataclass(frozen=True)
class Seedless(ScaledEncoder):
    kind = "seedless"

    def stream(self) -> EncoderStream:  # type: ignore[override]
        return EncoderStream(lambda values: values, lambda: None)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Plain, r"encoder plain-class: found .*, allowed is a class of StoredEncoder with @dataclass\(frozen=True\)"),
        (Inherits, r"encoder inherits: found .*Inherits.*, allowed is a class of StoredEncoder with @dataclass"),
        (Nameless, "encoder: found no kind in .*Nameless.*, allowed is a name for files: kind = 'name'"),
        (Unfinished, r"encoder unfinished: found Unfinished without stream\(self, seed=0\); write it"),
        (Seedless, r"encoder seedless: stream: found a function of \(self\).*, allowed is one of \(self, seed\)"),
        (5, "encoder: found no kind in 5"),
    ],
)
def test_an_encoder_that_is_not_finished(encoder: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        add_encoder(encoder)


@dataclass(frozen=True)
class Gives(StoredEncoder):
    """Gives what it is told to."""

    what: str = "halves"
    kind = "gives"

    def stream(self, seed: int = 0) -> EncoderStream:
        if self.what == "no stream":
            return np.zeros(3)  # type: ignore[return-value]
        made: dict[str, Callable[[Array], Any]] = {
            "halves": lambda values: np.full((4, *values.shape), 0.5),
            "twos": lambda values: np.full((4, *values.shape), 2, np.uint8),
            "nothing": lambda values: None,
        }
        return EncoderStream(made[self.what], lambda: None)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("halves", "found an encoder that gives other values than 0 and 1, allowed are spikes; correct it, or say"),
        ("twos", "found an encoder that gives other values than 0 and 1, allowed are spikes; correct it, or say"),
        ("nothing", r"found an encoder that gives NoneType, allowed is an array \(time, "),
        ("no stream", r"encoder gives: found array\(.*as its stream, allowed is EncoderStream"),
    ],
)
def test_an_encoder_that_gives_anything_else(what: str, message: str) -> None:
    y = np.arange(20) % 2
    with pytest.raises(InputError, match=message):
        arrays(np.ones((20, 6)) * y[:, None], y, encoder=Gives(what)).spikes("train")


@dataclass(frozen=True)
class Sign(ScaledEncoder):
    """1 for what is above the middle."""

    steps: int = 4
    kind = "sign"

    def fit(self, values: Array) -> Sign:
        return replace(self, low=float(values.min()), high=float(values.max()), clip=True)

    def stream(self, seed: int = 0) -> EncoderStream:
        made: Callable[[Array], Array] = lambda values: np.stack([self.scaled(values) > 0.5] * 4).astype(np.uint8)  # noqa: E731
        return EncoderStream(made, lambda: None)


def test_c_says_that_it_does_not_have_an_encoder_of_ones_own(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    NETWORK.save("net.aspen")
    add_encoder(Sign)
    save_encoder(Sign(), "net.aspen")
    code, out, err = aspen("compile", "net.aspen", "--chip", "cortex-m", "--to", "c", "--output", "program")
    assert code == 0, err
    assert "encoder    none: that in the file is sign, which C does not have" in out


class Cuba(nn.Module):
    """As snnTorch's Synaptic; where ``threshold`` is False it keeps it in another place."""

    def __init__(self, threshold: bool = True) -> None:
        super().__init__()
        self.level, self.spike = 1.0, snntorch.surrogate.atan()
        if threshold:
            self.threshold = 1.0

    def forward(self, x: Tensor, syn: Tensor, mem: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fired = self.spike(mem - self.level).detach()
        syn = 0.5 * syn + x
        mem = 0.75 * mem + syn - fired * self.level
        return self.spike(mem - self.level), syn, mem


class Hidden(Cuba):
    """The same, so that one class is added and the other not."""


class Net(nn.Module):
    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, 5), neuron
        self.fc2, self.lif2 = nn.Linear(5, 3), snntorch.Leaky(0.9)

    def forward(self, x: Tensor) -> Tensor:
        syn = mem1 = torch.zeros(x.shape[1], 5)
        mem2, spikes = self.lif2.init_leaky(), []
        for step in x:
            spk1, syn, mem1 = self.lif1(self.fc1(step), syn, mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


SAMPLE = (torch.rand(6, 4, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()


def test_a_neuron_that_was_not_added() -> None:
    with pytest.raises(
        ModelError, match=r"lif2: found the output .*; lif1: Cuba has a threshold and does not do as Le"
    ):
        perturb_thresholds(Net(Cuba()))
    with pytest.raises(
        ModelError, match=r"'gt', which cannot be exported.*or, if it is a neuron class of your own, say"
    ):
        export(Net(Cuba()), SAMPLE)


def test_a_neuron_that_was_added_without_a_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aspen.models.added_neurons._TWINS", {})
    add_neuron(Hidden, lambda own: snntorch.Synaptic(alpha=0.5, beta=0.75))
    for act in (perturb_thresholds, lambda model: export(model, SAMPLE)):
        with pytest.raises(ModelError, match=r"lif1: Hidden was added as a neuron, but has no threshold; give it self"):
            act(Net(Hidden(threshold=False)))


def test_a_chip_of_ones_own_is_named_by_its_file(aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some parts.toml").write_text(CHIP, "utf-8")
    np.savez("my.npz", X=np.random.default_rng(0).random((1400, NETWORK.input.size)), y=np.arange(1400) % 3)
    NETWORK.save("net.aspen")
    code, out, err = aspen("calibrate", "net.aspen", "--data", "my.npz", "--chip", "some parts.toml", "--early")
    assert code == 0, err
    assert "run it: aspen run net.aspen --knob 0.5 --chip 'some parts.toml'" in out
    (tmp_path / "mychip.toml").write_text(CHIP, "utf-8")
    code, _, err = aspen("compile", "net.aspen", "--chip", "mychip")
    assert code == 2
    assert "mychip.toml is here: give that" in err


def test_the_doctor_tries_what_was_added(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = doctor.self_test
    monkeypatch.setattr(doctor, "self_test", lambda name: tried(name) if name == "own" else "ok")
    add_engine("own", fails)
    add_encoder(Sign)
    code, out, _ = aspen("doctor")
    assert code == 1
    assert "  own           engine own: AttributeError (" in out
    assert "encoders of installed packages:\n  sign          ok\n" in out
    del ENGINES["own"]
    assert (aspen("doctor")[0], json.loads(aspen("doctor", "--json")[1])["added_encoders"]) == (0, {"sign": "ok"})
