"""Compare integers with the floats that they stand for, on sample data: what ``compile`` is calibrated by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from aspen._arrays import Array
from aspen.errors import InputError
from aspen.network import Network
from aspen_emulator.engines import run
from aspen_emulator.inputs import check_spikes, thresholds_for
from aspen_emulator.lif import LIMIT
from aspen_emulator.reference import Stepper
from aspen_hardware.calibration import Fit


def observe(network: Network, spikes: object) -> Callable[[Network], Mapping[str, Fit]]:
    """Run ``network`` on a sample, for ``aspen_hardware.compile(network, chip, calibration=observe(network, spikes))``.

    Args:
        network: in floating point.
        spikes: (time, samples, *input_shape), 0 and 1: like what the network will see, and not the test data.

    Returns:
        a function that runs the same network in integers on the sample and compares the spikes of every population.

    Raises:
        InputError: the network is in integers, takes a current, or the spikes do not fit it.
    """
    if network.is_integer or network.input.current:
        found = "integers" if network.is_integer else f"a current into {network.input.name}"
        raise InputError(
            f"calibration: found a network with {found}, allowed is one in floating point that takes spikes; "
            f"compile it without calibration"
        )
    sample = check_spikes(network, spikes)
    steps, samples = sample.shape[:2]
    rasters = run(network, sample, record="spikes").rasters
    wanted = {name: rasters[name].reshape(steps, samples, -1).astype(bool) for name in network.order}

    def measure(integers: Network) -> Mapping[str, Fit]:
        return _compare(integers, sample, wanted)

    return measure


def _compare(integers: Network, sample: Array, wanted: Mapping[str, Array]) -> dict[str, Fit]:
    stepper = _PeakStepper(integers, sample.shape[1])
    thresholds = {name: array[0] for name, array in thresholds_for(integers, 1.0, 1, sample.shape[1]).items()}
    different = dict.fromkeys(integers.order, 0)
    for t, given in enumerate(sample):
        now = stepper.step(given, thresholds)
        for name in different:
            different[name] += int(np.count_nonzero(now[name] != wanted[name][t]))
    return {
        name: Fit(int(wanted[name].sum()), count, sum(stepper.overflows[name]), stepper.peaks[name] / LIMIT)
        for name, count in different.items()
    }


class _PeakStepper(Stepper):
    """Also keeps the largest magnitude of a current or membrane of each population in ``peaks``."""

    def __init__(self, network: Network, batch: int) -> None:
        super().__init__(network, batch, watch=True)
        self.peaks = dict.fromkeys(network.order, 0)

    def step(self, spikes: Array, thresholds: Mapping[str, Array]) -> dict[str, Array]:
        """See :meth:`Stepper.step`."""
        now = super().step(spikes, thresholds)
        for name in self.peaks:
            values = (self._states[name].u, self.membranes[name])
            self.peaks[name] = max(self.peaks[name], *(int(np.abs(array).max()) for array in values))
        return now
