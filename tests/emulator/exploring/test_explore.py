"""``aspen explore`` as a user types it: its JSON says what sweep and report say, and its page holds just that."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.dial.profile import DIAL, DialProfile
from aspen.network.network import load_network
from aspen.storage.file import AspenFile
from aspen_emulator import run
from aspen_emulator.exploring.page import LIBRARY, SCRIPTS, escaped
from aspen_emulator.exploring.rasters import MOST_SETTINGS, spread
from aspen_emulator.measuring.bench import KNOBS as DIAL_KNOBS
from aspen_hardware import compile
from aspen_hardware.energy.costs import WORDS
from tests import ROOT
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.networks import float_network, random_spikes
from tests.pages import page

__all__ = ["aspen"]
STEPS, SAMPLES = 12, 24
KNOBS = "0.5,0.8,1,1.5,2,4"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a network, spikes and labels, some of which it gets right."""
    network, spikes = float_network(1), random_spikes(0, STEPS, SAMPLES, 6)
    network.save(tmp_path / "net.aspen")
    labels = run(network, spikes).predictions
    labels[::5] = 0
    np.save(tmp_path / "x.npy", spikes)
    np.save(tmp_path / "y.npy", np.maximum(labels, 0))
    return tmp_path


def given(files: Path, *more: object) -> list[object]:
    return [files / "net.aspen", "--input", files / "x.npy", "--labels", files / "y.npy", *more]


def explored(aspen: Aspen, files: Path, *more: object) -> dict[str, Any]:
    output = ["--output", files / "page.html", "--json"]
    code, out, err = aspen("explore", *given(files, *output, *more))
    assert (code, "wrote" in err) == (0, True), err
    return dict(json.loads(out))


CHIPS = "--chip", "loihi1", "--chip", "cortex-m4", "--chip", "generic-45nm"


def test_points_are_those_of_a_sweep(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS, *CHIPS)
    _, out, _ = aspen("sweep", *given(files, "--knobs", KNOBS, *CHIPS, "--json"))
    for row in json.loads(out):
        setting = next(each for each in found["settings"] if each["knob"] == row["knob"])
        point = setting["points"][row["chip"]]
        assert {key: row[key] for key in point} == point
        assert setting["steps"] == row["steps"]
    assert len(json.loads(out)) == 3 * len(found["settings"])
    assert found["chips"].keys() == {"loihi1", "cortex-m4", "generic-45nm"}


def test_energies_are_those_of_a_report(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS, *CHIPS)
    for setting in found["settings"][::2]:
        _, out, _ = aspen("report", files / "net.aspen", "--input", files / "x.npy", *CHIPS, "--json",
                          "--knob", setting["knob"], "--cycles", "model")  # fmt: skip
        for report in json.loads(out):
            cost = setting["costs"][report["chip"]]
            for part, energy in report["per_inference_j"].items():
                assert cost[part] == (None if energy is None else pytest.approx(energy)), part
            counts = {(each["where"], each["event"]): each["count"] * SAMPLES for each in cost["events"]}
            assert counts == pytest.approx({(e["where"], e["event"]): e["count"] for e in report["entries"]})
            known = [each["joules"]["typical"] for each in cost["events"] if each["joules"]]
            assert sum(known) == pytest.approx(cost["dynamic"]["typical"])
            said = found["chips"][report["chip"]]["assumed"] + cost["told"]
            assert set(report["assumed"]) <= set(said)


def test_what_else_is_told_is_what_a_run_did(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS)
    deployment, spikes, labels = compile(load_network(files / "net.aspen"), "loihi1"), *(
        np.load(files / name) for name in ("x.npy", "y.npy")
    )  # fmt: skip
    for setting in found["settings"]:
        record = run(deployment, spikes, setting["knob"])
        confusion = np.zeros((4, 5), int)
        for label, answer in zip(labels, record.predictions, strict=True):
            confusion[label, answer] += 1
        assert setting["confusion"] == confusion.tolist()
        for name, course in setting["spikes"].items():
            assert course == pytest.approx(record.spikes[name].mean(axis=1), rel=1e-5)
        exact = run(load_network(files / "net.aspen"), spikes, setting["knob"])
        assert setting["rounded"]["alike"] == (exact.predictions == record.predictions).mean()
        assert setting["rounded"]["accuracy_float"] == (exact.predictions == labels).mean()
        assert setting["rounded"]["accuracy_integers"] == (record.predictions == labels).mean()
    assert sum(map(sum, found["settings"][0]["confusion"])) == SAMPLES
    assert found["rounding"]["populations"].keys() == deployment.rounding.keys()


def test_a_raster_is_of_a_setting_that_was_recorded(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS)
    rasters, spikes = found["rasters"], np.load(files / "x.npy")
    assert [each["setting"] for each in rasters["recorded"]] == spread(6, MOST_SETTINGS)
    deployment = compile(load_network(files / "net.aspen"), "loihi1")
    labels = np.load(files / "y.npy")
    assert sorted(set(rasters["labels"])) == rasters["labels"] == labels[rasters["samples"]].tolist()
    for each in rasters["recorded"]:
        record = run(deployment, spikes, found["settings"][each["setting"]]["knob"], record="spikes")
        for sample, shown in zip(rasters["samples"], each["samples"], strict=True):
            for name, places in shown.items():
                assert places == np.flatnonzero(record.rasters[name][:, sample]).tolist()
        assert each["answers"] == record.predictions[rasters["samples"]].tolist()


def test_early_ends_are_those_of_a_sweep(aspen: Aspen, files: Path) -> None:
    asked = ["--knobs", "0.5,1", "--early", "--max-loss", 30]
    found = explored(aspen, files, *asked)
    _, out, _ = aspen("sweep", *given(files, *asked, "--json"))
    ended = {row["knob"]: row for row in json.loads(out) if row["early"]}
    for setting in found["settings"]:
        row = ended[setting["knob"]]
        assert setting["steps"] == row["steps"]
        assert setting["points"]["loihi1"] == {key: row[key] for key in setting["points"]["loihi1"]}
        cost = setting["costs"]["loihi1"]
        assert cost["dynamic"]["typical"] * 1e9 == pytest.approx(row["dynamic_nj"])
        assert cost["static"]["typical"] * 1e9 == pytest.approx(row["static_nj"])
        hidden = [group["name"] for group in found["groups"] if group["part"] == "hidden"]
        assert sum(sum(setting["spikes"][name]) for name in hidden) == pytest.approx(row["hidden_spikes"], rel=1e-5)
        right = sum(setting["confusion"][k][k] for k in range(4))
        assert right / SAMPLES == row["accuracy"]
    assert min(setting["steps"] for setting in found["settings"]) < STEPS


def test_a_learned_dial_and_the_neurons_that_it_switches_off(aspen: Aspen, files: Path) -> None:
    def put(file: AspenFile) -> None:
        file.put(DIAL, DialProfile({"layer1": 0.7}, on_until={"layer1": [0.5] * 3 + [np.inf] * 5}))

    AspenFile.update(files / "net.aspen", put)
    found = explored(aspen, files, "--dial", "--knobs", "0,0.5,1")
    assert found["knob"] == "learned dial"
    assert [setting["off"].get("layer1", 0) for setting in found["settings"]] == [0, 0, 3]


def test_the_knob_is_that_of_the_learned_dial_where_there_is_one(aspen: Aspen, files: Path) -> None:
    AspenFile.update(files / "net.aspen", lambda file: file.put(DIAL, DialProfile({"layer1": 0.7})))
    found = explored(aspen, files)
    assert (found["knob"], [each["knob"] for each in found["settings"]]) == ("learned dial", list(DIAL_KNOBS))
    assert explored(aspen, files, "--scales", "1,2")["knob"] == "threshold scale"


def test_floating_point_has_no_chip(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--float", "--knobs", "1")
    assert (found["chips"], found["rounding"], found["settings"][0]["rounded"]) == ({}, None, None)
    assert found["settings"][0]["points"]["none"]["dynamic_nj"] is None
    assert found["fronts"] == {"none": {"hidden_spikes": [0]}}


class Tags(HTMLParser):
    """The tags of a page, with their attributes, and what stands in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag == "script"
        self.scripts += [""] * self.inside

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data


def test_the_page_is_one_file_that_loads_nothing(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS)
    text = (files / "page.html").read_text("utf-8")
    assert len(text.encode()) < 2e6
    tags = Tags(text)
    loading = {"src", "href", "srcset", "action", "poster", "data"}
    asked = [value for _, attributes in tags.tags for name, value in attributes.items() if name in loading]
    assert [value for value in asked if not str(value).startswith("#")] == []
    assert not re.search(r"@import|url\(", text.partition("<style>")[2].partition("</style>")[0])
    own = "".join((ROOT / f"emulator/aspen_emulator/exploring/page/{name}").read_text() for name in SCRIPTS[1:])
    assert not re.search(r"https?:|innerHTML|insertAdjacentHTML|document\.write|fetch\(|eval\(", own)
    inside, *programs = (script for script in tags.scripts if script.strip())
    assert json.loads(inside) == found
    policy = next(str(a["content"]) for _, a in tags.tags if a.get("http-equiv") == "Content-Security-Policy")
    sums = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in programs]
    assert policy.startswith("default-src 'none'; script-src ")
    assert re.findall(r"'sha256-([^']+)'", policy) == sums
    assert len(sums) == len(SCRIPTS)


def test_a_name_cannot_put_anything_into_the_page(aspen: Aspen, files: Path) -> None:
    bad = "</script><script>alert(1)</script><!--\u2028&amp;"
    X = np.zeros((12, 6), np.float32)
    X[np.arange(12), np.arange(12) % 4] = 1
    names = np.array([bad, "<img src=x onerror=alert(1)>", "b", "c"])
    np.savez(files / "own.npz", X=X, y=np.arange(12) % 4, X_test=X, y_test=np.arange(12) % 4, class_names=names)
    (files / "net.aspen").rename(files / "a<b>&c.aspen")
    code, out, err = aspen("explore", files / "a<b>&c.aspen", "--data", files / "own.npz", "--part", "test", "--json",
                           "--knobs", "1", "--output", files / "page.html")  # fmt: skip
    assert code == 0, err
    text = (files / "page.html").read_text("utf-8")
    assert json.loads(out)["classes"][:2] == names[:2].tolist()
    assert "<img" not in text
    assert text.count("</script>") == len(SCRIPTS) + 1
    assert json.loads(next(script for script in Tags(text).scripts if script.strip()))["name"] == "a<b>&c"
    assert json.loads(escaped(json.dumps(bad, ensure_ascii=False))) == bad


def test_the_page_has_the_name_of_the_network_where_none_is_given(
    aspen: Aspen, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    code, out, _ = aspen("explore", *given(files, "--knobs", "1"))
    assert (code, (files / "net.html").is_file()) == (0, True)
    assert re.fullmatch(r"wrote net\.html, 1\.\d MB: open it in a browser\n", out)
    (files / "net.html").unlink()
    (files / "net.html").mkdir()
    code, _, err = aspen("explore", *given(files, "--knobs", "1"))
    assert code == 2
    assert "net.html: found a folder" in err
    code, _, err = aspen("explore", *given(files, "--output", files / "page.pdf"))
    assert code == 2
    assert "allowed is .html" in err


def keys(value: Any) -> set[str]:
    """Every key in plain values that is a field of the format, and not a name of the user's."""
    if isinstance(value, list):
        return {key for each in value for key in keys(each)}
    if not isinstance(value, dict):
        return set()
    named = {"points", "costs", "chips", "spikes", "off", "operations", "neurons", "fronts", "populations", "columns"}
    found = set(value)
    for key, inside in value.items():
        whole = list(inside.values()) if key in named and isinstance(inside, dict) else [inside]
        found |= {name for each in whole for name in keys(each)}
    return found


def test_every_field_is_told_on_its_page(aspen: Aspen, files: Path) -> None:
    found = explored(aspen, files, "--knobs", KNOBS, *CHIPS)
    for each in found["rasters"]["recorded"]:
        del each["samples"]
    for chip in found["chips"].values():
        for inside, part in ((chip, "events"), (chip["placement"], "limits"), (chip["placement"], "use")):
            inside[part].clear()  # names of events and limits
    for each in found["rounding"]["populations"].values():
        each.clear()
    told = page("explore.md")
    assert {key for key in keys(found) if f"`{key}`" not in told} == set()


def test_every_kind_of_event_has_a_look() -> None:
    text = (ROOT / "emulator/aspen_emulator/exploring/page/pictures.js").read_text("utf-8")
    looks = text.partition("const LOOKS = {")[2].partition("};")[0]
    found = dict(re.findall(r"(\w+): (\[[^\]]+\])", looks))
    assert found.keys() == WORDS.keys()
    assert len(set(found.values())) == len(found)


def test_the_library_is_as_it_was_published_and_has_its_licence() -> None:
    folder = ROOT / "emulator/aspen_emulator/exploring/page"
    library = (folder / LIBRARY).read_bytes()
    told = page("explore.md")
    version = re.search(rb"plotly\.js \(cartesian - minified\) v([\d.]+)", library[:200])
    assert version is not None
    assert f"plotly.js-cartesian-dist-min {version[1].decode()}" in told
    assert hashlib.sha256(library).hexdigest() in told
    assert "MIT License" in (folder / "plotly.LICENSE").read_text()
