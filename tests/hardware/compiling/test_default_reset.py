"""What compiling a reset by synapses costs, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import ChipError
from aspen.network.network import Dense, FixedLif, Lif, Network, Population
from aspen.network.record import Record
from aspen_emulator import observe, run
from aspen_hardware import check, chip, compile, load_deployment, place, store_deployment
from aspen_hardware.chips.description import Chip
from aspen_hardware.compiling.search import Fit
from aspen_hardware.energy.costs import work_seconds
from tests.hardware.energy.recount import of_eight_bits
from tests.hardware.placing.networks import with_figures
from tests.networks import Array, float_network, random_spikes

LOIHI1 = chip("loihi1")
SPIKES = random_spikes(0, 20, 4, 6)


def layer(reset: str, n: int = 4, threshold: float = 1.0, alpha: float = 0.0) -> Network:
    neuron = Lif(threshold, 0.9, alpha, reset=reset)
    populations = (Population("input", (2,)), Population("out", (n,), neuron))
    return Network(populations, (Dense("input", "out", np.linspace(0.1, 1, 2 * n).reshape(n, 2)),))


@pytest.mark.parametrize(("alpha", "compartments"), [(0.0, 2), (0.5, 3)])
def test_the_default_reset_is_compiled_and_its_cost_told(alpha: float, compartments: int) -> None:
    network = layer("subtract-delayed", threshold=1.003, alpha=alpha)
    assert check(network, LOIHI1) == []
    deployment = compile(network, LOIHI1, max_threshold_scale=1.0)
    neuron, entry = deployment.network["out"].neuron, deployment.rounding["out"]
    assert isinstance(neuron, FixedLif)
    assert neuron.reset == "subtract-synapse"
    assert entry.compartments == compartments
    assert entry.largest_scale == FixedLif.MAX_SYNAPSE_THRESHOLD / int(neuron.threshold)
    exact = 1.003 * entry.state_per_unit / 64
    assert int(neuron.threshold) != of_eight_bits(int(neuron.threshold))
    assert entry.reset_error == pytest.approx(abs(of_eight_bits(int(neuron.threshold)) / exact - 1))
    assert entry.kept_subtracting is None
    (core,) = place(deployment.network, LOIHI1).cores
    assert (core.neurons, core.compartments, core.synapses, core.output_axons) == (4, 4 * compartments, 12, 4)
    assert (
        f"out: subtract-delayed by a synapse of each neuron onto itself: 4 synapses and {4 * (compartments - 1)} "
        f"compartments more, an operation for each spike; it subtracts the threshold within {entry.reset_error:.2%}, "
        f"and turns with it"
    ) in str(deployment).splitlines()


def test_thresholds_leave_room_for_the_knob_in_what_a_synapse_can_subtract() -> None:
    """Where they decide on the exponent: 255 * 20 * 4 fits 15 bits as it is, and 17 bits four times over."""
    by_synapse, exact = (compile(layer("subtract-delayed", threshold=20.0), name) for name in ("loihi1", "loihi2"))
    assert by_synapse.rounding["out"].weight_exponent == exact.rounding["out"].weight_exponent - 2 == 0
    assert by_synapse.rounding["out"].largest_scale >= 4


def test_a_step_takes_the_time_of_all_compartments_and_reset_synapses() -> None:
    network, spikes = compile(layer("subtract-delayed"), LOIHI1).network, random_spikes(0, 20, 4, 2)
    record, placement = run(network, spikes), place(network, LOIHI1)
    figures = {key: figure for key, figure in LOIHI1.figures.items() if key != "formats.reset_compartments"}
    speeds = {key: one.si.typical for key, one in LOIHI1.section("scenarios.davies2018.speeds").items()}
    name = "out->out (reset)"
    silent = {**record.synaptic_operations, name: np.zeros((20, 4), np.int64)}

    def seconds(of: Record, on: Chip) -> float:
        found = work_seconds(of, on, placement)
        assert found is not None
        return found.of["davies2018"].typical

    active, operations = int(record.active_updates["out"].sum()), int(record.synaptic_operations[name].sum())
    updates = active * speeds["neuron_update_active"] + (320 - active) * speeds["neuron_update_inactive"]
    took = seconds(record, LOIHI1)
    assert operations > 0
    assert took - seconds(record, replace(LOIHI1, figures=figures)) == pytest.approx(updates)
    without = seconds(replace(record, synaptic_operations=silent), LOIHI1)
    assert took - without == pytest.approx(operations * speeds["synaptic_operation"])


@pytest.mark.parametrize("reset", ["zero", "zero-delayed", "none"])
def test_resets_that_the_chip_has_are_kept(reset: str) -> None:
    deployment = compile(layer(reset), LOIHI1)
    assert deployment.network["out"].neuron.reset == reset  # type: ignore[union-attr]
    assert deployment.rounding["out"].reset_error is None
    assert deployment.rounding["out"].compartments == (2 if reset == "none" else 1)  # what fires is set to zero
    assert "synapse of each neuron" not in str(deployment)


def test_chips_that_subtract_need_no_synapse() -> None:
    deployment = compile(layer("subtract-delayed"), "loihi2")
    assert deployment.network["out"].neuron.reset == "subtract-delayed"  # type: ignore[union-attr]
    assert len(deployment.network.connections) == 1


def test_a_leaky_integrator_is_one_compartment() -> None:
    (core,) = place(layer("none", threshold=np.inf), LOIHI1).cores
    assert core.compartments == 4


def test_neurons_of_several_compartments_fill_a_core_sooner() -> None:
    few = with_figures(LOIHI1, neurons_per_core=7)
    assert place(compile(layer("zero", 7), few).network, few).cores_used == 1
    assert [core.neurons for core in place(compile(layer("subtract-delayed", 7), few).network, few).cores] == [3, 3, 1]
    with pytest.raises(ChipError, match=r"a single neuron needs 2 compartments, loihi1 allows 1 per core"):
        compile(layer("subtract-delayed"), with_figures(LOIHI1, neurons_per_core=1))


def test_calibration_says_what_the_chip_would_keep_if_it_subtracted(tmp_path: Path) -> None:
    network = float_network(4, reset="subtract-delayed", bias=False)
    network.save(tmp_path / "n.aspen")
    deployment = compile(network, LOIHI1, calibration=observe(network, SPIKES))
    exact = {name: entry.kept_subtracting for name, entry in deployment.rounding.items()}
    assert all(0.8 < kept <= 1 for kept in exact.values() if kept is not None)
    assert f"{exact['layer1']:.2%} of the sample's spikes would be kept if the chip subtracted" in str(deployment)
    store_deployment(deployment, tmp_path / "n.aspen")
    stored = load_deployment(tmp_path / "n.aspen", "loihi1")
    assert stored.rounding == deployment.rounding
    assert [c.name for c in stored.network.connections] == [c.name for c in deployment.network.connections]


class Lossy:
    """A sample on which the reset by synapses costs so many spikes of a hundred."""

    def __init__(self, cost: int) -> None:
        self.cost = cost

    def compare(self, integers: Network) -> dict[str, Fit]:
        by_synapse = integers["out"].neuron.reset == "subtract-synapse"  # type: ignore[union-attr]
        return {"out": Fit(100, 1 + self.cost * by_synapse, 0, 0.1)}

    def moments(self, connection: Dense) -> Array:
        return np.eye(2)


@pytest.mark.parametrize(("cost", "warned"), [(5, False), (6, True)])
def test_a_reset_that_loses_spikes_is_pointed_out_with_a_remedy(cost: int, warned: bool) -> None:
    warnings = compile(layer("subtract-delayed"), LOIHI1, calibration=Lossy(cost)).warnings
    wanted = (
        "out: 93.0% of the sample's spikes kept where synapses reset the neurons, 99.0% if the chip subtracted; train "
        "with reset_mechanism='zero'"
    )
    assert (wanted in warnings) == warned
