"""The budget's controller in C against its definition in Python: every decision, and the account to the unit."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from aspen.control import Budget, FixedBudget
from aspen.control.fixed import MOST_SPENT
from aspen.dial import DialProfile
from aspen.errors import InputError
from aspen.network import Network
from aspen.network.record import rows_by_off
from aspen_emulator import run
from aspen_emulator.engines.c.compiler import compiled
from aspen_hardware import Deployment, chip, to_c
from aspen_hardware.c.budget import BudgetProgram, in_units
from aspen_hardware.c.dial import knob_at
from aspen_hardware.compiling.off import gated
from tests.c_networks import SANITIZED, STRICT
from tests.control_tables import WINDOW, made_table
from tests.emulator.engines.c.programs import needs_compiler
from tests.networks import fixed_network, random_spikes

UNIT = 1e-11
PROFILE = DialProfile({"hidden": 0.7})
FALLING = DialProfile({"hidden": 0.7}, low=-1.0, high=3.0)
NESTED = DialProfile({"layer1": 0.4}, on_until={"layer1": np.array([0, 0.01, np.inf, 0, 1, 0.02, np.inf, 0])})
NETWORK = fixed_network(15)


def budget(dial: str = "profile", watts: float = 0.25e-6, points: int = 3, profile: DialProfile = PROFILE,
           unit: float = UNIT, seconds: float = WINDOW) -> FixedBudget:  # fmt: skip
    table = made_table(dial)
    table = replace(table, points=table.points[-points:])
    made = Budget(table, watts, seconds, worst_step=20e-9, sparsest=table.points[0].knob)
    return FixedBudget(made, unit, profile if dial == "profile" else None)


BUDGETS = {
    "dial": budget(),
    "scale": budget("scale"),
    "other ends": budget(profile=FALLING),
    "one point": budget(points=1, watts=0.5e-6),
    "two points": budget(points=2, watts=0.32e-6),
    "short windows": budget(watts=30e-6, seconds=0.02, unit=1e-9),
    "long windows": budget(watts=0.03e-6, seconds=100.0),
    "fine": budget(unit=2e-14),
}
CASE = """
    case {i}:
        if (first) {{
            {p}_budget_begin();
        }} else {{
            {p}_budget_update(given[0], given[1] != 0);
        }}
        row[0] = {p}_budget_left();
        row[1] = {p}_budget_run();
        row[2] = {p}_budget_setting();
        row[3] = set;
        row[4] = {p}_budget_covers(given[0]);
        break;
"""
MAIN = """#include <stdio.h>
#include <stdlib.h>
{includes}
static int64_t set = -1;
{stubs}
int main(int count, char **arguments)
{{
    const int which = count > 1 ? atoi(arguments[1]) : -1;
    uint32_t given[2] = {{0, 0}};
    for (int first = 1; first || fread(given, sizeof given, 1, stdin) == 1; first = 0) {{
        int64_t row[5];
        switch (which) {{{cases}        default:
            return 2;
        }}
        fwrite(row, sizeof row, 1, stdout);
    }}
    return 0;
}}
"""


@pytest.fixture(scope="module")
def program() -> Path:
    """All budgets in one program, each with a stub in the place of its network."""
    texts, includes, stubs, cases = {}, "", "", ""
    for i, each in enumerate(BUDGETS.values()):
        p = f"b{i}"
        called = f"void {p}_set_{'threshold_scale' if each.numbers.scale else 'knob'}(uint16_t setting)"
        texts |= BudgetProgram(p, each, NETWORK).files()
        texts[f"{p}.h"] = f"#include <stdint.h>\n{called};\n"
        includes += f'#include "{p}_budget.h"\n#include "{p}.h"\n'
        stubs += f"\n{called}\n{{\n    set = setting;\n}}\n"
        cases += CASE.format(i=i, p=p)
    return compiled({**texts, "main.c": MAIN.format(includes=includes, stubs=stubs, cases=cases)}, (*SANITIZED, "-O0"))


def spending(fixed: FixedBudget, seed: int) -> list[tuple[int, bool]]:
    """Windows around what is earned, calm and wild, skipped and not, and some beyond anything that can be."""
    rng, found = np.random.default_rng(seed), list[tuple[int, bool]]()
    for window in range(3000):
        activity = np.exp(np.sin(window / 200) * 2 + rng.standard_normal() * (window % 3))
        units = min(int(fixed.numbers.earned * activity), MOST_SPENT)
        if window % 700 < 3:
            units = MOST_SPENT >> int(rng.integers(0, 8))
        if window % 500 < 40:
            units = 0
        found.append((units, bool(rng.random() < 0.9)))
    return found


@needs_compiler
@pytest.mark.parametrize("name", BUDGETS)
def test_every_decision_is_that_of_the_definition(name: str, program: Path) -> None:
    fixed = budget_again(name)
    spent = spending(fixed, 4)
    given = np.array([(units, ran) for units, ran in spent], np.uint32)
    case = list(BUDGETS).index(name)
    done = subprocess.run([program, str(case)], input=given.tobytes(), capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    wanted = [[fixed.units_left, fixed.decision.run, fixed.setting, fixed.setting, fixed.covers(0)]]
    for units, ran in spent:
        fixed.book(units, ran)
        wanted.append([fixed.units_left, fixed.decision.run, fixed.setting, fixed.setting, fixed.covers(units)])
    found = np.frombuffer(done.stdout, np.int64).reshape(-1, 5)
    np.testing.assert_array_equal(found, np.array(wanted, np.int64))
    assert len(np.unique(found[:, 2])) > 100 or name == "one point"
    assert set(found[:, 1]) == {0, 1}


def budget_again(name: str) -> FixedBudget:
    """A fresh one, in its first state."""
    fixed = BUDGETS[name]
    fixed.load_state_dict(STATES[name])
    return fixed


STATES = {name: each.state_dict() for name, each in BUDGETS.items()}

SPENT = """#include "wrist.h"
#include "wrist_budget.h"

#include <stdio.h>

int main(void)
{
    uint8_t input[wrist_INPUTS];
    wrist_budget_begin();
    wrist_reset();
    while (fread(input, sizeof input, 1, stdin) == 1) {
        wrist_step(input);
        const uint32_t spent = wrist_budget_spent();
        fwrite(&spent, sizeof spent, 1, stdout);
    }
    return 0;
}
"""


def prices(network: Network, scale: float = 1.0, awake: float = 0.0) -> SimpleNamespace:
    names, routes = network.names, [c.name for c in network.connections]
    return SimpleNamespace(
        idle_step=700 * UNIT * scale,
        spike={name: (30 + i) * UNIT for i, name in enumerate(names)},
        active=dict.fromkeys(network.order, 0.0),
        awake=dict.fromkeys(network.order, awake),
        operation={name: (300 - 7 * i) * UNIT for i, name in enumerate(routes)},
        off_neuron={name: (11 + i) * UNIT for i, name in enumerate(network.order)},
        off_active=dict.fromkeys(network.order, 0.0),
        off_awake=dict.fromkeys(network.order, awake),
        off_operation={name: (290 - 5 * i) * UNIT for i, name in enumerate(routes)},
        off_row={c.name: 2 * UNIT * np.arange(network[c.target].size + 1) for c in network.connections[:2]},
    )


@needs_compiler
@pytest.mark.parametrize("profile", [None, NESTED])
def test_what_a_window_spends_is_told_by_its_counts(tmp_path: Path, profile: DialProfile | None) -> None:
    network = gated(NETWORK, chip("cortex-m"))
    spikes, cost = random_spikes(15, 9, 1, 6), prices(network, awake=3 * UNIT)
    step = cost.idle_step + 3 * UNIT * network.n_neurons  # as if something arrived everywhere
    held = budget("scale") if profile is None else budget(profile=profile)
    made = tmp_path / "made"
    to_c(Deployment(network, "cortex-m", {}), made, "wrist", budget=held, prices=cost, profile=profile)
    texts = {path.name: path.read_text() for path in made.iterdir() if path.name != "example.c"}
    path = compiled({**texts, "main.c": SPENT}, (*STRICT, "-Dwrist_COUNTERS"))
    found = subprocess.run([path], input=spikes.tobytes(), capture_output=True, timeout=60, check=True).stdout
    begun = held.setting / 4096 if profile is None else profile.scale(knob_at(profile, held.setting))
    for steps, spent in enumerate(np.frombuffer(found, np.uint32), 1):
        record = run(network, spikes[:steps], begun, engine="reference")
        assert bool(record.off.neurons) == (profile is not None)
        awake = dict.fromkeys(network.order, 3 * UNIT)
        events = (record.spikes, cost.spike), (record.synaptic_operations, cost.operation)
        less = (
            (record.off.neurons, cost.off_neuron),
            (record.off.neurons, awake),
            (record.off.synaptic_operations, cost.off_operation),
        )
        rows = sum(float(rows_by_off(record, c) @ cost.off_row[c.name]) for c in network.connections[:2])
        assert bool(rows) == (profile is not None)
        joules = step * steps + _priced(events) - _priced(less) - rows
        assert spent == round(joules / UNIT)


def _priced(events: Sequence[tuple[Mapping[str, np.ndarray], Mapping[str, float]]]) -> float:
    return sum(float(each[name] * counts[name].sum()) for counts, each in events for name in counts)


def test_a_budget_is_written_beside_the_network(tmp_path: Path) -> None:
    folder, deployed = tmp_path / "made", Deployment(NETWORK, "cortex-m", {})
    for _ in range(2):
        to_c(deployed, folder, "wrist", budget=budget("scale"))
    names = ["README.md", "example.c", "wrist.c", "wrist.h", "wrist_budget.c", "wrist_budget.h"]
    assert sorted(path.name for path in folder.iterdir()) == names
    page, head = (folder / "README.md").read_text(), (folder / "wrist_budget.h").read_text()
    assert "hold 900 uJ in any hour, beside static power" in page
    assert "They take 512 bytes of RAM" in page
    assert "units of 10 pJ: the budget is 90000000 units in any hour" in head
    assert "wrist_budget_spent" not in head


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    deployed, folder = Deployment(NETWORK, "cortex-m", {}), tmp_path / "made"
    with pytest.raises(InputError, match="found one of another dial than the program's"):
        to_c(deployed, folder, budget=budget())
    with pytest.raises(InputError, match="found prices without a budget"):
        to_c(deployed, folder, prices=prices(NETWORK))
    with pytest.raises(InputError, match=r"an event of \d+ units"):
        to_c(deployed, folder, budget=budget("scale"), prices=prices(NETWORK, scale=1e9))
    with pytest.raises(InputError, match="allowed is a FixedBudget"):
        to_c(deployed, folder, budget=Budget(made_table("scale"), 1e-6, WINDOW, 1e-9))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="prices: found 'dear', allowed are a meter's"):
        to_c(deployed, folder, budget=budget("scale"), prices="dear")  # type: ignore[arg-type]
    other = prices(NETWORK)
    other.operation = {}
    with pytest.raises(InputError, match=r"prices: found none of operation for .*, allowed are prices of the network"):
        to_c(deployed, folder, budget=budget("scale"), prices=other)
    assert not folder.exists()


@pytest.mark.parametrize("unit", [0, -1.0, float("nan"), "pJ"])
def test_prices_are_rounded_to_a_unit_above_0(unit: float) -> None:
    with pytest.raises(InputError, match=r"unit: found .* J, allowed is a finite number above 0 J"):
        in_units(prices(NETWORK), NETWORK, unit)


def test_only_prices_are_rounded() -> None:
    with pytest.raises(InputError, match="prices: found 7, allowed are a meter's"):
        in_units(7, NETWORK, UNIT)  # type: ignore[type-var]
