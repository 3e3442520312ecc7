"""What was checked, placed or planned is passed on: nobody does it a second time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aspen.errors import ChipError, InputError
from aspen.network.network import Network
from aspen_emulator import observe, run, session, sweep
from aspen_emulator.engines.inputs import check_input
from aspen_emulator.engines.lava import engine as lava_engine
from aspen_emulator.engines.lava import loihi as loihi_engine
from aspen_emulator.engines.lava.schedule import make_schedule
from aspen_emulator.measuring.bench import Bench, measure
from aspen_emulator.measuring.tables import make_tables
from aspen_hardware import chip, compile, energy_model, place
from aspen_hardware.energy.hops import ways_on
from aspen_hardware.placing import rules
from tests.emulator.cli.test_cli import Aspen, aspen
from tests.hardware.placing.networks import with_figures
from tests.networks import fixed_network, float_network, random_spikes

__all__ = ["aspen"]

Calls = Callable[[Callable[..., Any]], list[tuple[Any, ...]]]

NAMES = [rule.__name__ for rule in rules.RULES]


def replace_everywhere(monkeypatch: pytest.MonkeyPatch, old: object, new: object) -> None:
    """In every module that has it under some name."""
    for module in [each for name, each in sys.modules.items() if name.startswith("aspen")]:
        for name, value in list(vars(module).items()):
            if value is old:
                monkeypatch.setattr(module, name, new)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Makes a list of the arguments that a function is called with from now on, whoever calls it."""

    def watch(function: Callable[..., Any]) -> list[tuple[Any, ...]]:
        seen: list[tuple[Any, ...]] = []

        @wraps(function)
        def noted(*arguments: Any, **named: Any) -> Any:
            seen.append(arguments)
            return function(*arguments, **named)

        replace_everywhere(monkeypatch, function, noted)
        return seen

    return watch


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each design rule is checked."""
    counts: Counter[str] = Counter()

    def noted(rule: rules.Rule) -> rules.Rule:
        def counting(network: Network, *others: Any) -> Any:
            counts[rule.__name__] += 1
            return rule(network, *others)

        return counting

    watched = {rule: noted(rule) for rule in rules.RULES}
    replace_everywhere(monkeypatch, rules.DESIGN, tuple(watched[rule] for rule in rules.DESIGN))
    replace_everywhere(monkeypatch, rules.RULES, list(watched.values()))
    return counts


@pytest.mark.parametrize("network", [float_network(1, bias=False), fixed_network(1)], ids=["floats", "integers"])
def test_compiling_places_and_checks_once(network: Network, calls: Calls, checked: Counter[str]) -> None:
    placed = calls(place)
    deployment = compile(network, "loihi1")
    assert [each for each, *_ in placed] == [deployment.network]
    assert checked == dict.fromkeys(NAMES, 1)
    assert deployment.placement == place(deployment.network, chip("loihi1"))


def test_calibrating_places_what_it_starts_from_and_what_it_chose(calls: Calls, checked: Counter[str]) -> None:
    """What it tries on the way is not placed. Other choices leave other synapses and thresholds, so that what they
    give is placed, too; a rule asks besides where it would sit if a core stored any number of thresholds."""
    network = float_network(3, (8, 12, 4), bias=False)
    placed = calls(place)
    deployment = compile(network, "loihi1", calibration=observe(network, random_spikes(3, 20, 8, 8)))
    assert any(entry.compensated or entry.weights_clipped for entry in deployment.rounding.values())
    on_chip = [each for each, on, *_ in placed if on.limits == chip("loihi1").limits]
    assert len(on_chip) == 2
    assert on_chip[1] is deployment.network
    assert checked == {name: 1 if name in NAMES[:3] else 2 for name in NAMES}


def test_a_network_that_does_not_fit_is_refused_before_the_search() -> None:
    network = float_network(3, (8, 200, 150), bias=False)
    sample = observe(network, random_spikes(3, 5, 2, 8))
    sample.compare = lambda integers: pytest.fail("a search although it does not fit")  # type: ignore[method-assign]
    with pytest.raises(ChipError, match="cores needed, loihi1 has 30"):
        compile(network, with_figures(chip("loihi1"), cores=30), calibration=sample)


def test_thresholds_that_are_grouped_are_placed_as_they_are_then() -> None:
    """In floating point the network takes more cores than there are, each neuron with a threshold of its own."""
    network, small = float_network(3, (8, 200, 150), bias=False), with_figures(chip("loihi1"), cores=30)
    with pytest.raises(ChipError, match="compile with threshold_groups=8"):
        compile(network, small)
    placement = compile(network, small, threshold_groups=8).placement
    assert placement is not None
    assert placement.cores_used <= 30


def test_a_sweep_places_once_for_each_chip(calls: Calls) -> None:
    network, labels = float_network(1), np.zeros(4, int)
    spikes = random_spikes(1, 5, 4, 6)
    placed = calls(place)
    sweep(network, spikes, labels, [0.5, 1.0, 2.0], on="loihi1")
    assert len(placed) == 1
    placed.clear()
    bench = Bench(network, [spikes, spikes], labels, [chip("loihi1"), chip("truenorth"), None])
    make_tables(bench, measure(bench, [0.5, 1.0, 2.0]), "data", max_loss=0.5)
    assert [on.name for _, on, *_ in placed] == ["loihi1", "truenorth"]


def test_a_sweep_of_a_deployment_takes_the_cores_that_compile_found(calls: Calls) -> None:
    deployment = compile(float_network(1, bias=False), "loihi1")
    placed = calls(place)
    bench = Bench(deployment, [random_spikes(1, 5, 4, 6)], np.zeros(4, int), [chip("loihi1"), chip("truenorth")])
    assert bench.placements["loihi1"] is deployment.placement
    assert [on.name for _, on, *_ in placed] == ["truenorth"]
    small = with_figures(chip("loihi1"), neurons_per_core=2)
    again = Bench(deployment, bench.encodings, bench.labels, [small])
    assert again.placements["loihi1"] == place(deployment.network, small) != deployment.placement


def test_a_sweep_asks_once_for_each_chip_how_far_spikes_go(calls: Calls) -> None:
    network, spikes = float_network(1), random_spikes(1, 5, 4, 6)
    bench = Bench(network, [spikes, spikes], np.zeros(4, int), [chip("loihi1"), chip("truenorth"), None])
    asked = calls(ways_on)
    points = measure(bench, [0.5, 1.0]).points["loihi1"]
    assert [on.name for on, *_ in asked] == ["loihi1", "truenorth"]
    (record,) = bench.records([1.0], 0)
    dynamic = energy_model(record, chip("loihi1")).dynamic
    assert dynamic is not None
    assert points[1].dynamic_nj == pytest.approx(dynamic.typical / 4 * 1e9)


@pytest.mark.parametrize(
    ("command", "targets"),
    [("run", ["loihi1"]), ("report", ["loihi1", "truenorth"]), ("report --ann", ["loihi1", "generic-45nm"])],
)
def test_a_command_places_once_for_each_chip(
    command: str, targets: list[str], tmp_path: Path, aspen: Aspen, calls: Calls
) -> None:
    """What it compiles is placed already; the four rivals of ``--ann`` stand beside one account of the run."""
    float_network(1).save(tmp_path / "net.aspen")
    np.save(tmp_path / "in.npy", random_spikes(2, 6, 3, 6))
    names = [name for name in targets if name != "generic-45nm"]
    given = [argument for name in names for argument in ("--chip", name)]
    places = calls(place)
    name, *flags = command.split()
    outputs = ["--output", tmp_path / "out.npy"] if name == "run" else []
    code, _, error = aspen(name, tmp_path / "net.aspen", "--input", tmp_path / "in.npy", *outputs, *given, *flags)
    assert code == 0, error
    assert [on.name for _, on, *_ in places] == targets


class Silent:
    """A worker without a process: nothing spikes."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def request(self, command: str, *given: Any, **named: Any) -> Any:
        if command in ("run", "run_stock"):
            return self._run(command, *given)
        return ({"layer1": np.zeros(8, np.uint8), "layer2": np.zeros(4, np.uint8)}, {}) if command == "step" else None

    def _run(self, command: str, network: Network, given: Any, *others: Any) -> Any:
        rasters = {name: np.zeros((*given.shape[:2], network[name].size), np.uint8) for name in network.order}
        return (rasters, {}) if command == "run" else rasters


def test_a_run_on_lava_checks_and_plans_once(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    monkeypatch.setattr(lava_engine, "LavaWorker", Silent)
    inputs, schedules = calls(check_input), calls(make_schedule)
    network, spikes = float_network(1, bias=False), random_spikes(1, 5, 2, 6)
    assert not run(network, spikes, engine="lava").output.any()
    assert (len(inputs), len(schedules)) == (1, 1)
    thresholds = {name: np.ones((1, 1, 1)) for name in network.order}
    lava_engine.run_lava(network, spikes, thresholds)
    lava_engine.run_on(Silent(), network, spikes, thresholds)  # type: ignore[arg-type]
    assert (len(inputs), len(schedules)) == (3, 3)


def test_a_step_on_lava_checks_once(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    monkeypatch.setattr(lava_engine, "LavaWorker", Silent)
    network, step = float_network(1, bias=False), random_spikes(1, 1, 1, 6)[0]
    with session(network, engine="lava") as live:
        inputs = calls(check_input)
        live.step(step.astype(np.int64))
        assert len(inputs) == 1
    with lava_engine.LavaSession(network) as alone, pytest.raises(InputError, match="spikes: found values"):
        alone.step(2 * np.ones(6, int))


def test_a_run_on_loihi_checks_once(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    monkeypatch.setattr(loihi_engine, "LavaWorker", Silent)
    monkeypatch.setattr(loihi_engine, "require_loihi", lambda: None)
    monkeypatch.setattr(loihi_engine, "check_stock", lambda network, thresholds, record: {})
    inputs = calls(check_input)
    assert not run(fixed_network(1), random_spikes(1, 5, 2, 6), engine="loihi").output.any()
    assert len(inputs) == 1
