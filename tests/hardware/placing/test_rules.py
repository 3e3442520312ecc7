"""Design rules: each is tripped by a network that breaks it alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aspen.errors import ChipError
from aspen.network.network import Dense, Lif, Network, Population
from aspen_hardware.chips.description import Chip, chip
from aspen_hardware.placing.placement import place
from aspen_hardware.placing.rules import RULES, check, enforce
from tests.hardware.placing.networks import LOIHI1, analog, floats, integers, with_figures


def test_a_network_that_fits_has_no_findings() -> None:
    assert check(floats([20, 30, 5]), LOIHI1) == []
    assert check(integers(), LOIHI1) == []
    enforce(floats([20, 30, 5]), LOIHI1)


def delayed(steps: int) -> Network:
    network = floats([4, 3])
    return replace(network, connections=(replace(network.connections[0], delay=steps),))


def spread_thresholds(n: int) -> Network:
    return Network(
        (Population("input", (2,)), Population("output", (n,), Lif(np.arange(1.0, n + 1), 0.9))),
        (Dense("input", "output", np.ones((n, 2))),),
    )


BROKEN: list[tuple[str, Callable[[], Network], Chip, str, str]] = [
    (
        "reset_supported",
        lambda: floats([4, 3], reset="subtract"),
        LOIHI1,
        "error",
        r"^output: found reset 'subtract', loihi1 allows zero, zero-delayed, subtract-synapse, none, none-rectified; "
        r"train with the reset that you deploy, in snnTorch reset_mechanism='zero' or 'subtract' and the default "
        r"reset_delay$",
    ),
    (
        "delay_supported",
        lambda: delayed(63),
        LOIHI1,
        "error",
        r"^input->output: found a delay of 63 steps, loihi1 allows 62; shorten it$",
    ),
    (
        "delay_supported",
        lambda: delayed(9),
        LOIHI1,
        "warning",
        r"^input->output: found a delay of 9 steps, loihi1 always has 8 and up to 62 only",
    ),
    (
        "spikes_carry_the_input",
        lambda: analog(9),
        with_figures(LOIHI1, spike_bits=8),
        "error",
        r"^input: found an analog input, graded spikes of 9 bits, loihi1 allows spikes of 8; encode the data as spikes",
    ),
    (
        "threshold_in_range",
        lambda: integers(threshold=256),
        with_figures(LOIHI1, threshold_bits=8),
        "error",
        r"^output: found thresholds from 256 to 256, loihi1 allows 1 to 255; compile",
    ),
    (
        "decay_in_range",
        lambda: integers(voltage_decay=256, current_decay=0),
        with_figures(LOIHI1, decay_bits=8),
        "error",
        r"^output: found voltage decays from 256 to 256, loihi1 allows 0 to 255; compile",
    ),
    (
        "bias_in_range",
        lambda: integers(bias_mantissa=-129),
        with_figures(LOIHI1, bias_mantissa_bits=8),
        "error",
        r"^output: found bias mantissas from -129 to -129, loihi1 allows -128 to 127; compile",
    ),
    (
        "bias_in_range",
        lambda: integers(bias_exponent=4),
        with_figures(LOIHI1, bias_exponent_bits=2),
        "error",
        r"^output: found bias exponents from 4 to 4, loihi1 allows 0 to 3; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=256),
        LOIHI1,
        "error",
        r"^input->output: found weights from 256 to 256, loihi1 allows -255 to 255; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=[-2, 256]),
        LOIHI1,
        "error",
        r"^input->output: found weights of both signs from -2 to 256, loihi1 allows -256 to 254; compile",
    ),
    (
        "weight_in_range",
        lambda: integers(weight=[-2, 3]),
        LOIHI1,
        "error",
        r"^input->output: found odd weights in a matrix with both signs, loihi1 allows even ones; compile",
    ),
    (
        "cores_available",
        lambda: floats([2, 9, 1]),
        with_figures(LOIHI1, cores=9, neurons_per_core=1),
        "error",
        r"^network: found 10 cores needed, loihi1 has 9; use smaller populations$",
    ),
    (
        "memory_available",
        lambda: floats([300, 300]),
        chip("cortex-m0plus").only("stm32l053"),
        "error",
        r"^network: found at least 900 bytes of RAM and 90,000 of flash needed, without code, cortex-m0plus allows "
        r"8,192 and 65,536 \(stm32l053\); use a smaller network, prune its weights, or give the file of a larger part$",
    ),
    (
        "memory_available",
        lambda: floats([300, 300]),
        chip("cortex-m0plus"),
        "warning",
        r"allows 8,192 and 65,536 \(stm32l053\); take another part, or a smaller network$",
    ),
    (
        "close_to_limit",
        lambda: floats([2, 9, 1]),
        with_figures(LOIHI1, cores=12, neurons_per_core=1),
        "warning",
        r"^network: uses 83% of the cores of loihi1",
    ),
    (
        "close_to_limit",
        lambda: floats([2, 1000, 1]),
        LOIHI1,
        "warning",
        r"^hidden1, output: uses 98% of loihi1's neurons per core; little room is left$",
    ),
    (
        "close_to_limit",
        lambda: floats([9, 4, 1]),
        with_figures(LOIHI1, input_axons_per_core=10, neurons_per_core=2),
        "warning",
        r"^hidden1: uses 90% of loihi1's input axons per core",
    ),
    (
        "configurations",
        lambda: spread_thresholds(9),
        LOIHI1,
        "warning",
        r"^output: found 9 different thresholds, loihi1 stores 8 per core; they take 2 cores where 1 would do: train "
        r"one threshold per population, or compile with threshold_groups=8$",
    ),
    (
        "configurations",
        lambda: floats([2, 40], beta=np.linspace(0.1, 0.9, 40)),
        LOIHI1,
        "warning",
        r"^output: found 40 different decays, loihi1 stores 32 per core; they take 2 cores where 1 would do: train one "
        r"decay per population$",
    ),
]


@pytest.mark.parametrize(("rule", "build", "target", "level", "message"), BROKEN)
def test_each_rule_is_tripped(rule: str, build: Callable[[], Network], target: Chip, level: str, message: str) -> None:
    network = build()
    function = next(function for function in RULES if function.__name__ == rule)
    findings = list(function(network, target, place(network, target)))
    (finding,) = [finding for finding in findings if re.search(message, finding.message)]
    assert finding.level == level
    assert finding.message.startswith(finding.where)
    assert finding in check(network, target)


def test_every_rule_has_such_a_case() -> None:
    assert {case[0] for case in BROKEN} == {rule.__name__ for rule in RULES}


def test_number_ranges_at_their_edges() -> None:
    for network in (integers(weight=255), integers(weight=-255), integers(weight=[-256, 254]), integers(weight=0)):
        assert check(network, LOIHI1) == []
    edges = integers(threshold=2**17 - 1, voltage_decay=4095, current_decay=4095, bias_mantissa=-4096, bias_exponent=7)
    assert check(edges, LOIHI1) == []


def test_delays_that_the_chip_always_has() -> None:
    assert check(delayed(8), LOIHI1) == []
    assert check(delayed(63), chip("generic-45nm")) == []


def test_full_cores_of_a_split_population_are_no_news() -> None:
    assert check(floats([2, 2048, 1]), with_figures(LOIHI1, input_axons_per_core=10000)) == []


def test_all_errors_are_collected_and_come_first() -> None:
    network = floats([20, 30, 5], reset="subtract", threshold=1.0)
    findings = check(network, with_figures(LOIHI1, input_axons_per_core=25))
    assert [(finding.level, finding.where) for finding in findings] == [
        ("error", "output"),
        ("error", "hidden1"),
        ("error", "output"),
    ]
    assert "a single neuron needs 30 input axons" in findings[0].message
    with pytest.raises(ChipError, match=r"^output: a single neuron .*\(and 2 more: see `aspen check`\)$"):
        enforce(network, with_figures(LOIHI1, input_axons_per_core=25))


def test_warnings_do_not_refuse() -> None:
    network = spread_thresholds(9)
    assert [finding.level for finding in check(network, LOIHI1)] == ["warning"]
    enforce(network, LOIHI1)


def test_all_resets_on_programmable_chips() -> None:
    for reset in ("zero", "subtract", "subtract-delayed", "subtract-guarded", "none"):
        for name in ("loihi2", "generic-45nm"):
            assert check(floats([4, 3], reset=reset), chip(name)) == []
