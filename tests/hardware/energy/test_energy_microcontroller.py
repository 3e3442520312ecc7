"""What a run costs on a microcontroller: cycles by hand, sleep, wake-ups, batteries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen.errors import ChipError, InputError
from aspen.network.layered import LayerCounts, NeuronCounts, SynapseCounts
from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse
from aspen.network.record import Record
from aspen_emulator import calibrate, run, stream
from aspen_hardware import check, chip, compile, energy_model, energy_of_counts, to_c
from aspen_hardware.c.program import Program
from aspen_hardware.chips.parts import parts_of
from aspen_hardware.chips.programs import PROGRAM
from aspen_hardware.chips.ranges import Range
from aspen_hardware.energy.counted import energy_of_layers
from aspen_hardware.energy.program import Cycles, cycles_by, cycles_of, forms_of, most_cycles
from aspen_hardware.placing.memory import BESIDE, kept_ram
from tests.c_networks import drawn, profile_for
from tests.networks import float_network, random_spikes

M4 = chip("cortex-m4")
PART = parts_of(M4)["nrf52840"]
STEPS, SAMPLES = 6, 4


def figures(**given: float) -> dict[str, float]:
    return {**dict.fromkeys(PROGRAM, 0.0), **given}


def small(delay: int = 0) -> Network:
    """Three inputs, a dense layer of four, sparse synapses to two outputs."""
    populations = (
        Population("input", (3,)),
        Population("hidden", (4,), Lif(1.0, 0.9, reset="subtract-delayed")),
        Population("out", (2,), Lif(0.5, 0.9, alpha=0.5)),
    )
    weight = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    synapse = Sparse("hidden", "out", [1.0], [0], [0], (2, 4), delay=delay)
    return Network(populations, (Dense("input", "hidden", weight), synapse))


def counted() -> Record:
    network = float_network(1, (6, 8, 4))
    return run(network, random_spikes(2, STEPS, SAMPLES, 6), 0.5)


def report_at(step_time: float | None = 0.1, **options: object):  # type: ignore[no-untyped-def]
    return energy_model(counted(), M4, step_time=step_time, **options)


def test_each_figure_counts_what_it_says() -> None:
    """By hand, one figure at a time: 2 steps of one sample with 4 spikes of the input, 3 of hidden, 1 of the output."""
    network = small(delay=1)
    record = Record(
        network, np.zeros((2, 1, 2), np.uint8),
        spikes={"input": np.array([[4], [0]]), "hidden": np.array([[2], [1]]), "out": np.array([[0], [1]])},
        synaptic_operations={"input->hidden": np.array([[14], [0]]), "hidden->out": np.array([[2], [0]])},
        active_updates={"hidden": np.array([[4], [1]]), "out": np.array([[0], [1]])},
        awake_updates={"hidden": np.array([[4], [4]]), "out": np.array([[0], [1]])},
    )  # fmt: skip
    wanted = dict.fromkeys(PROGRAM, 0) | {
        "step": 2, "input": 2 * 3, "input_spike": 4, "population": 2 * 2, "turn": 2 * 6, "neuron": 2 * 6,
        "active_neuron": 6, "spike": 4, "output": 2 * 2, "past": 2 * 4, "row": 4 + 3, "loose_weight": 4 * 4,
        "paired_weight": 2, "current": 2 * 2, "owed": 2 * 4, "cleared": 2 * 6, "clipped": 2 * 4,
    }  # fmt: skip
    assert set(wanted) == set(PROGRAM)
    for key, count in wanted.items():
        assert cycles_by(network, figures(**{key: 1.0})).of(record) == count, key


def test_packed_rows_are_counted_by_words_and_blocks() -> None:
    """Twenty targets are five words, four in a block and one alone; in a pass four are
    updated. Two steps with 3 spikes of the input, at once or a step later."""
    weight = np.random.default_rng(0).normal(size=(20, 3))
    populations = Population("input", (3,)), Population("out", (20,), Lif(np.linspace(90, 99, 20), 0.9))
    packed_figures = ("packed_sums", "packed_row", "packed_word", "row", "turn", "own", "cleared")
    for delay, rows in ((0, 0), (1, 3)):
        network = Network(populations, (Dense("input", "out", weight, delay=delay),))
        record = run(network, np.array([[[1, 1, 0]], [[1, 0, 0]]], np.uint8))
        counts = [cycles_by(network, figures(**{key: 1.0})).of(record) for key in packed_figures]
        assert counts == [2 * 5, 3 * 2, 3 * 5, rows, 2 * 5, 2 * 20, 0]


def test_biases_and_decays_of_their_own_cost_before_compiling_what_they_cost_after() -> None:
    rng = np.random.default_rng(0)
    populations = (
        Population("input", (9,)),
        Population("hidden", (20,), Lif(1.0, rng.uniform(0.8, 0.95, 20), reset="subtract-delayed")),
        Population("out", (3,), Lif(1.0, 0.9)),
    )
    first = Dense("input", "hidden", rng.normal(size=(20, 9)), bias=rng.normal(size=20))
    network = Network(populations, (first, Dense("hidden", "out", rng.normal(size=(3, 20)))))
    compiled = compile(network, "cortex-m4").network
    for key in ("own", "clipped", "wrapped"):
        one = figures(**{key: 1.0})
        assert cycles_by(network, one).neurons == cycles_by(compiled, one).neurons, key
    assert cycles_by(network, figures(own=1.0)).neurons == {"hidden": 40, "out": 0}


def test_a_value_of_an_analog_input_takes_its_row() -> None:
    populations = Population("input", (2,), current=True), Population("out", (3,), Lif(1.0, 0.9))
    network = Network(populations, (Dense("input", "out", np.ones((3, 2))),))
    record = run(network, np.array([[[1.0, 0.0]], [[0.5, 2.0]]]))  # three values other than zero
    each = cycles_by(network, figures(input_value=1.0, row=10.0, value_weight=100.0, analog_input=1e4))
    assert each.of(record) == pytest.approx(3 * (1 + 10 + 3 * 100) + 2 * 2 * 1e4)
    assert each.spike["input"] == 0.0


def test_a_convolution_counts_its_synapses() -> None:
    populations = Population("input", (1, 4)), Population("out", (2, 2), Lif(1.0, 0.9))
    network = Network(populations, (Conv("input", "out", np.ones((2, 1, 3)), (1, 4)),))
    record = run(network, np.array([[[[1, 1, 0, 0]]]], np.uint8))  # reach 1 and 2 places, of 2 channels each
    each = cycles_by(
        network, figures(row=1.0, convolution_weight=10.0, convolution_place=100.0, packed_word=1e6, sparse_weight=1e6)
    )
    assert each.of(record) == 2 + 60 + 2 * 3 * 100


def test_no_step_takes_more_than_the_most() -> None:
    network = small()
    everything = run(network, np.ones((9, 1, 3), np.uint8), 1e-6)
    assert int(everything.spikes["hidden"][-1, 0]) == 4
    assert int(everything.spikes["out"][-1, 0]) == 1  # the other has no synapse
    each = cycles_of(network, M4)
    last = each.of(replace(everything, output=everything.output[-1:], **{
        part: {name: counts[-1:] for name, counts in getattr(everything, part).items()}
        for part in ("spikes", "synaptic_operations", "active_updates", "awake_updates")
    }))  # fmt: skip
    spike, active = each.spike["out"], each.active["out"]
    assert most_cycles(network, each) == pytest.approx(last + spike + active)


@pytest.mark.parametrize("seed", range(6))
def test_matrices_are_stored_as_the_program_stores_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    populations = [Population("input", (int(rng.integers(2, 300)),))]
    connections = []
    for index in range(3):
        size, before = int(rng.integers(2, 300)), populations[-1]
        populations.append(Population(f"layer{index}", (size,), Lif(1.0, 0.9)))
        there = rng.random((size, before.size)) < rng.choice([0.1, 0.4, 0.6, 1])
        weight = rng.normal(size=there.shape) * there
        weight[0, 0] = 1.0
        connections.append(Dense(before.name, f"layer{index}", weight))
    network = Network(tuple(populations), tuple(connections))
    deployment = compile(network, "cortex-m4")
    stored = {each.connection.name: each.form for each in Program(deployment.network).connections}
    assert forms_of(deployment.network) == forms_of(network) == stored


def test_the_account_adds_up_on_every_part() -> None:
    record, report = counted(), report_at(0.1)
    cycles, kept = cycles_of(record.network, M4).of(record), kept_ram(record.network)
    seconds, wakings, low = STEPS * SAMPLES * 0.1, STEPS * SAMPLES, M4.figures["program.spread"].low
    for name, part in parts_of(M4).items():
        wake = 0.0 if part.wake_up is None else part.wake_up.typical * part.clock * part.cycle.typical
        total = cycles * part.cycle.typical + wakings * wake + part.asleep(kept).typical * seconds
        assert report.total is not None
        assert report.total.of[name].typical == pytest.approx(total)
        wake = 0.0 if part.wake_up is None else part.wake_up.low * part.clock * part.cycle.low
        least = cycles * low * part.cycle.low + wakings * wake + part.asleep(kept).low * seconds
        assert report.total.of[name].low == pytest.approx(least)
    assert report.cycles is not None
    assert report.cycles.typical == pytest.approx(cycles)
    assert (report.timing, report.count("wake_up")) == ("step", wakings)
    assert report.power is not None
    assert report.power.typical == pytest.approx(report.total.typical / seconds)
    lasts = report.lasts("225mAh@3V")
    assert lasts is not None
    assert lasts.typical == pytest.approx(2430 / report.power.typical)
    assert lasts.low <= lasts.typical <= lasts.high
    assert report.to_dict()["cycles"]["typical"] == pytest.approx(cycles)


def test_asleep_only_the_ram_that_the_program_needs_is_paid_for() -> None:
    """12 neurons need one section of 4 kB, 512 need three."""
    for sizes, sections in (((6, 8, 4), 1), ((6, 508, 4), 3)):
        network = float_network(1, sizes)
        report = energy_model(run(network, random_spikes(2, STEPS, SAMPLES, 6), 0.5), M4, step_time=0.1)
        assert PART.sections(kept_ram(network)) == sections
        assert report.static is not None
        watts = PART.sleep.typical + sections * PART.kept.typical
        assert report.static.typical == pytest.approx(watts * STEPS * SAMPLES * 0.1)
        assert f"asleep with {4096 * sections:,} of 262,144 bytes of RAM kept, charged for all of it" in str(report)


def test_the_ram_that_is_kept_has_room_for_the_program() -> None:
    for seed in range(8):
        network = drawn(seed)
        assert Program(network, profile_for(network, seed)).ram <= kept_ram(network)
    assert kept_ram(float_network(1, (6, 8, 4))) == BESIDE + 4 * 6 + 16 * 12


def test_as_fast_as_the_work_allows_nothing_sleeps_or_wakes() -> None:
    report = report_at(None)
    assert (report.timing, report.count("wake_up"), report.power, report.lasts("1kJ")) == ("work", 0, None, None)
    assert report.seconds is not None
    assert report.cycles is not None
    assert report.seconds.typical == pytest.approx(report.cycles.typical / 64e6)
    assert report.seconds.high == pytest.approx(report.cycles.high / 48e6)  # the slowest part
    assert "not counted; give the time of a step" in str(report)
    assert "coin cell" not in str(report)
    assert "coin cell" not in str(energy_model(counted(), chip("loihi1"), step_time=0.1))
    assert "a coin cell (CR2032, 225mAh@3V) would last" in str(report_at(0.1))


def test_the_first_layer_is_the_input_with_its_synapses() -> None:
    report, record = report_at(0.1), counted()
    each, joules = cycles_of(record.network, M4), PART.cycle.typical
    spikes = int(record.spikes["input"].sum())
    assert report.input_energy is not None
    assert report.input_energy.typical == pytest.approx(spikes * each.spike["input"] * joules)


def test_measured_cycles_replace_the_model() -> None:
    report = report_at(0.1, cycles=Range(90.0, 100.0, 130.0), how="a stopwatch")
    assert report.dynamic is not None
    wake = PART.wake_up.typical * PART.clock * PART.cycle.typical * STEPS * SAMPLES  # type: ignore[union-attr]
    assert report.dynamic.typical == pytest.approx(100 * PART.cycle.typical + wake)
    assert report.cycles == Range(90.0, 100.0, 130.0)
    assert report.count("synaptic_operation") == int(counted().total_synaptic_operations.sum())
    assert "clock cycles an inference (22 to 32), by a stopwatch" in str(report)
    assert "elsewhere" in str(report)
    assert report_at(0.1, cycles=100).cycles == Range.exactly(100.0)


def test_a_step_with_more_work_than_time_is_pointed_out() -> None:
    lines = report_at(1e-6).not_covered
    assert lines[0].startswith("steps last, on average, longer than 1 us: their work takes")
    assert not any("longer than" in line for line in report_at(0.1).not_covered)


def test_what_is_not_allowed_is_refused() -> None:
    with pytest.raises(InputError, match="cycles: found some on loihi1, allowed are those of a microcontroller"):
        energy_model(counted(), chip("loihi1"), cycles=100)
    with pytest.raises(InputError, match="cycles"):
        report_at(0.1, cycles=-1)
    with pytest.raises(InputError, match="clock of cortex-m4: found 64, allowed is none"):
        report_at(0.1, clock=64)
    with pytest.raises(InputError, match="time: found 'step' on cortex-m4 without a step_time, allowed is one"):
        report_at(None, time="step")
    with pytest.raises(InputError, match="time: found 'measured' on cortex-m4"):
        report_at(None, time="measured")
    with pytest.raises(InputError, match="time: found 'work' with step_time"):
        report_at(0.1, time="work")
    layers = LayerCounts(
        5, 1, 2, (NeuronCounts("lif", 2, 1, 10, 4, 0, 0),), (SynapseCounts("fc", "dense", 4, 0, 8, 8, 2, 2),)
    )
    with pytest.raises(ChipError, match="cortex-m4: found counts by layer alone, allowed is a network"):
        energy_of_layers(layers, M4)


def test_cycles_of_anywhere_are_priced() -> None:
    parts = energy_of_counts({"clock_cycle": 1e6}, M4, 2.0)
    assert parts.dynamic is not None
    assert parts.static is not None
    assert (parts.dynamic.low, parts.static.typical) == pytest.approx(
        (41.3e-6, 2 * PART.asleep().typical)
    )  # all RAM is kept


def large(n: int) -> Network:
    populations = Population("input", (n,)), Population("out", (n,), Lif(1.0, 0.9))
    return Network(populations, (Dense("input", "out", np.ones((n, n))),))


def test_what_fits_no_part_is_refused_and_what_fits_some_is_told() -> None:
    with pytest.raises(
        ChipError,
        match=r"network: found at least 3,300 bytes of RAM and 1,210,000 of flash needed, without code, cortex-m4 "
        r"allows 262,144 and 1,048,576 \(nrf52840\), .+; use a smaller network",
    ):
        compile(large(1100), "cortex-m4")
    assert compile(large(1100), "cortex-m33").chip == "cortex-m33"
    (finding,) = [f for f in check(large(300), chip("cortex-m0plus")) if "flash" in f.message]
    assert finding.level == "warning"
    assert "stm32l053" in finding.message
    assert "cc2340r2" not in finding.message
    with pytest.raises(ChipError, match="stm32l053"):
        compile(large(300), chip("cortex-m0plus").only("stm32l053"))


def test_a_program_that_fits_no_part_is_not_written(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    deployment = compile(large(20), "cortex-m4")
    monkeypatch.setattr(Program, "ram", 400_000)
    with pytest.raises(ChipError, match=r"network: found 400,000 bytes of RAM and .+ needed, without code, cortex-m4"):
        to_c(deployment, tmp_path / "program")
    assert not (tmp_path / "program").exists()
    monkeypatch.setattr(Program, "ram", 300_000)  # apollo3 has room
    to_c(deployment, tmp_path / "program")


def test_a_stream_on_a_microcontroller_holds_its_budget() -> None:
    """Total energy, sleep and wake-ups in it: spent is what the model says of the steps that ran."""
    network = float_network(3, (6, 30, 4))
    spikes, labels = random_spikes(5, 8, 40, 6), np.arange(40) % 4
    table = calibrate(network, spikes, labels, (0.5, 1.0, 2.0, 4.0), on="cortex-m4", step_time=0.05)
    assert table.step_time == 0.05
    cheap, dear = table.points[0], table.points[-1]
    assert cheap.total_nj is not None
    assert dear.total_nj is not None
    budget = (cheap.total_nj + dear.total_nj) / 2
    with stream(network, table, budget=f"{budget}nJ/window", on="cortex-m4") as running:
        assert running.meter.window_seconds == pytest.approx(0.4)  # as the table was made
        windows = list(running.run(spikes.swapaxes(0, 1)))
        spent = running.dynamic + running.static
        report = running.report()
    assert spent <= 1e-9 * budget * 40 * (1 + 1e-9)
    assert report.dynamic is not None
    assert running.dynamic == pytest.approx(report.dynamic.typical)
    assert sum(window.dynamic for window in windows) == pytest.approx(running.dynamic)
    assert isinstance(cycles_of(network, M4), Cycles)
