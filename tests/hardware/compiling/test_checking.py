"""Whether a network suits a chip, as compiling it finds."""

from __future__ import annotations

import numpy as np

from aspen.network.network import Dense, Lif, Network, Population
from aspen_hardware import chip, compile
from aspen_hardware.compiling.checking import suit
from aspen_hardware.placing.placement import place
from tests.hardware.placing.networks import LOIHI1, analog, floats, integers


def test_thresholds_count_as_they_are_stored() -> None:
    """150 that differ by a millionth are one in integers."""
    neurons = Lif(1.0 + 1e-6 * np.arange(150), 0.9)
    network = Network((Population("input", (4,)), Population("output", (150,), neurons)),
                      (Dense("input", "output", np.ones((150, 4))),))  # fmt: skip
    assert place(network, LOIHI1).cores_used > 1
    suited = suit(network, LOIHI1)
    assert (suited.findings, suited.deployment is not None) == ((), True)
    assert suited.placement == compile(network, LOIHI1).placement
    assert suited.placement is not None
    assert suited.placement.cores_used == 1


def test_all_that_keeps_it_off_is_said() -> None:
    suited = suit(floats([5000, 3, 2], reset="subtract"), LOIHI1)
    assert (suited.deployment, suited.placement) == (None, None)
    assert {finding.where for finding in suited.errors} >= {"hidden1", "output"}
    unset = suit(floats([20, 5, 2], threshold=1e9), LOIHI1)  # which no rule but compiling finds
    assert [finding.where for finding in unset.errors] == ["hidden1"]


def test_what_is_not_compiled_is_checked_as_it_is() -> None:
    whole = suit(integers(weight=300), LOIHI1)
    assert [finding.where for finding in whole.errors] == ["input->output"]
    priced = suit(floats([20, 5, 2]), chip("spinnaker2"))
    assert (priced.deployment, priced.errors) == (None, ())
    assert priced.placement is not None


def test_an_analog_input_without_a_range_fits_with_a_warning() -> None:
    network = analog(8)
    bare = Network((Population("input", (2,), current=True), network["output"]), network.connections)
    suited = suit(bare, chip("loihi2"))
    assert (suited.deployment, suited.errors) == (None, ())
    assert ["range is not known" in finding.message for finding in suited.findings] == [True]
    assert suit(network, chip("loihi2")).deployment is not None
