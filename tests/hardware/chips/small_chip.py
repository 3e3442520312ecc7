"""The smallest chip file that is complete, to make mistakes in."""

from __future__ import annotations

from pathlib import Path

SMALL = """
format = 2
name = "small"
title = "A small chip"
typical = "middle"
not_covered = ["everything else"]
[sources]
doe = "J. Doe: A small chip. 2020"
roe = "R. Roe: That small chip again. 2021"
[gating]
unit = "none"
source = "doe: p. 5"
trust = "P"
[step_time]
value = 2
unit = "ms"
source = "doe"
trust = "P"
[power]
rule = "whole"
source = "doe: p. 3"
trust = "P"
[power.chip]
value = 5.0
low = 4.0
unit = "mW"
source = "doe: p. 3"
trust = "P"
low_source = "roe: p. 4"
note = "the other one slept"
[limits.cores]
value = 4
unit = "cores"
source = "doe: p. 2"
trust = "P"
[formats.resets]
value = ["zero"]
source = "doe"
trust = "P"
[scenarios.middle]
title = "as measured by Doe"
active = "input"
[scenarios.middle.energies.synaptic_operation]
value = 2.0
low = 1.0
high = 3.0
low_source = "roe: p. 1"
high_source = "roe: p. 2"
high_trust = "S"
note = "in the middle"
unit = "pJ"
source = "doe: Table 1"
trust = "Q"
[scenarios.middle.speeds.spike]
value = 7.0
unit = "ns"
source = "doe: Table 1"
trust = "Q"
[scenarios.middle.missing]
neuron_update_active = "unknown"
neuron_update_inactive = "unknown"
spike = "unknown"
spike_packet = "unknown"
hop_east_west = "unknown"
hop_north_south = "unknown"
learning_update = "unknown"
[missing.limits]
neurons_per_core = "unknown"
populations_per_core = "unknown"
synaptic_memory_bits_per_core = "unknown"
input_axons_per_core = "unknown"
output_axons_per_core = "unknown"
threshold_configurations_per_core = "unknown"
max_delay = "unknown"
[missing.formats]
weight_bits = "unknown"
synapse_overhead_bits = "unknown"
threshold_bits = "unknown"
state_bits = "unknown"
decay_bits = "unknown"
bias_mantissa_bits = "unknown"
bias_exponent_bits = "unknown"
"""


def small(tmp_path: Path, old: str = "", new: str = "") -> Path:
    """Path of the small chip's file, with one piece of text replaced."""
    assert old in SMALL
    path = tmp_path / "small.toml"
    path.write_text(SMALL.replace(old, new, 1))
    return path
