"""What becomes of a model, said before it is trained."""

from __future__ import annotations

import pytest
import snntorch as snn
import torch
from torch import nn

from aspen.errors import ChipError, InputError
from aspen_hardware import check_model
from tests.spiking_models import spikes

SAMPLE = spikes(1, 10, 10).float()


def test_a_model_that_goes_everywhere() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), snn.Leaky(0.9, init_hidden=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 3),
        snn.Leaky(0.9, init_hidden=True, output=True),
    )  # fmt: skip
    report = check_model(model, SAMPLE, ("loihi1", "loihi2"))
    assert report.ok
    assert report.layers == ["layer1", "layer1.pool", "layer5"]
    assert str(report).splitlines()[1].split() == ["layer", "perturb", "fuse", "export", "loihi1", "loihi2"]
    assert "forward() does one time step" in str(report)
    assert report.network is not None


def test_every_layer_that_does_not_go_is_named_with_what_mends_it() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), snn.Leaky(0.9, init_hidden=True), nn.ReLU(), nn.Flatten(),
        nn.Linear(32, 3), snn.Leaky(0.9, init_hidden=True),
    )  # fmt: skip
    report = check_model(model, SAMPLE, "loihi1")
    assert {(p.where, p.mend.split(",")[0]) for p in report.problems if p.way == "export"} == {
        ("layer1", "pool behind the neurons"),
        ("layer3", "remove it: spikes are 0 or 1"),
    }
    rows = [row.split()[-2:] for row in str(report).splitlines()[2:5]]
    assert rows == [["ok", "costs"], ["ok", "costs"], ["no", "?"]]
    assert report.to_dict()["problems"][0]["way"] == "export"
    assert "?: loihi1 can tell once the model is exported" in str(report)


def test_what_a_chip_takes_beside_the_neurons_is_told() -> None:
    model = nn.Sequential(nn.Linear(6, 5), snn.Leaky(0.9, init_hidden=True), nn.Linear(5, 3), snn.Synaptic(0.9, 0.8))
    model[3].init_hidden = True
    report = check_model(model, spikes(6).float(), ("loihi1", "loihi2"))
    assert report.ok
    assert [row.split()[-2:] for row in str(report).splitlines()[2:4]] == [["costs", "ok"]] * 2
    first, second = report.costs
    assert (first.way, first.where, second.where) == ("loihi1", "layer1", "layer3")
    assert "5 synapses and 5 compartments more" in first.message
    assert "3 synapses and 6 compartments more" in second.message  # a third compartment keeps the current
    assert str(report).splitlines()[4] == f"loihi1: {first.message}"
    assert report.to_dict()["costs"][0]["where"] == "layer1"


def test_resets_are_told_of_a_model_that_cannot_be_exported() -> None:
    model = nn.Sequential(
        nn.Linear(6, 5), snn.Leaky(0.9, init_hidden=True, reset_delay=False), nn.ReLU(), nn.Linear(5, 4),
        snn.Leaky(0.9, init_hidden=True), nn.Linear(4, 3),
        snn.Leaky(0.9, init_hidden=True, reset_mechanism="zero"),
    )  # fmt: skip
    report = check_model(model, spikes(6).float(), ("loihi1", "odin"))
    found = {(p.way, p.where): p.mend for p in report.problems}
    assert "reset_mechanism='zero' or 'subtract' and the default" in found["loihi1", "layer1"]
    assert [cost.where for cost in report.costs] == ["layer4"]
    cells = {row.split()[0]: row.split()[-2:] for row in str(report).splitlines()[2:6]}
    assert cells == {"layer1": ["no", "-"], "layer4": ["costs", "-"], "layer6": ["?", "-"], "layer2": ["?", "-"]}
    assert "\nodin: found a chip for energies only" in str(report)


def test_neurons_chips_and_models_that_do_not_go() -> None:
    model = nn.Sequential(nn.Linear(6, 5), snn.Alpha(0.9, 0.8, init_hidden=True), nn.Linear(5, 3), snn.SLSTM(3, 3))
    found = check_model(model, spikes(6).float()).problems
    assert [p.where for p in found if p.way == "export"] == ["layer1", "layer3"]
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    report = check_model(plain, spikes(6).float(), "loihi1")
    assert {p.way: p.where for p in report.problems} == dict.fromkeys(("perturb", "fuse", "export"), "the model")
    current = nn.Sequential(nn.Linear(6, 5), snn.Leaky(0.9, init_hidden=True))
    told = check_model(current, torch.rand(8, 3, 6), "loihi1").problems
    assert [(p.way, p.where) for p in told] == [("perturb", "layer1"), ("loihi1", "input")]
    with pytest.raises(ChipError):
        check_model(current, torch.rand(8, 3, 6), "no chip")
    with pytest.raises(ChipError, match="chip: found 3, allowed is the name of a chip"):
        check_model(current, torch.rand(8, 3, 6), 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="model: found 'net', allowed is a snnTorch model"):
        check_model("net", torch.rand(8, 3, 6))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"arguments: found \[1\], allowed is a mapping from name to value"):
        check_model(current, torch.rand(8, 3, 6), arguments=[1])  # type: ignore[arg-type]


def test_without_a_chip_it_is_said_which_refuse_an_analog_input_and_with_one_what_its_range_is() -> None:
    values = torch.rand(8, 3, 6, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(
        nn.Linear(6, 5),
        snn.Leaky(0.9, init_hidden=True),
        nn.Linear(5, 3),
        snn.Leaky(0.9, init_hidden=True, output=True),
    )
    report = check_model(model, values)
    assert report.ok
    assert report.notes == ["no chip was asked for; input: an analog input, which loihi1 refuses: give chip="]
    assert str(report).endswith(report.notes[0])
    assert not check_model(model, values, "loihi1").ok
    ranged = check_model(model, values, "loihi2")
    assert (ranged.ok, len(ranged.notes)) == (True, 1)
    assert ranged.notes[0].startswith(f"input: an analog input, here taken to reach {float(values.max()):.3g}, the lar")
    assert ranged.to_dict()["notes"] == ranged.notes
    assert check_model(model, spikes(6).float()).notes == []
