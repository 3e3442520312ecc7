"""Compare integers with the floats that they stand for, on sample data: what ``compile`` is calibrated by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aspen._base.arrays import Array
from aspen.errors import InputError
from aspen.network.given import as_network
from aspen.network.host import HostLayer
from aspen.network.network import Dense, FixedLif, Lif, Network
from aspen_emulator.engines.inputs import check_input, repeated, thresholds_for
from aspen_emulator.engines.lif import LIMIT, LifState, lif_step, overflows
from aspen_emulator.engines.reference import Stepper
from aspen_emulator.engines.run import run
from aspen_hardware.compiling.search import Fit
from aspen_hardware.placing.steady import biased_by_spikes


@dataclass(frozen=True)
class _Layer:
    """A population as it last ran: its neurons and connections, (steps, samples, n) spikes, and how they compare."""

    parts: tuple[object, ...]
    raster: Array
    fit: Fit


class Observation:
    """A network in floating point on sample data; see :func:`observe`.

    Attributes:
        network: in floating point.
        sample: (steps, samples, *input_shape) uint8.
    """

    def __init__(self, network: Network, sample: Array) -> None:
        self.network = network = biased_by_spikes(network)
        self.sample = sample
        rasters = run(network, sample, record="spikes").rasters
        self._rasters = {name: raster.reshape(*sample.shape[:2], -1) for name, raster in rasters.items()}
        self._layers: dict[str, _Layer] = {}

    def compare(self, integers: Network) -> dict[str, Fit]:
        """Run the same network in integers on the sample and compare the spikes of every population.

        What has not changed since the last call, and gets the same spikes, is not run again.
        """
        if _loops(integers):
            return _compare_stepwise(integers, check_input(integers, self.sample), self._rasters)
        changed: set[str] = set()
        for name in integers.order:
            parts = (integers[name].neuron, integers[name].host, *integers.incoming(name))
            known = self._layers.get(name)
            fed_anew = any(connection.source in changed for connection in integers.incoming(name))
            if known is None or fed_anew or any(a is not b for a, b in zip(known.parts, parts, strict=True)):
                self._layers[name] = self._run_layer(integers, name, parts)
                changed.add(name)
        return {name: self._layers[name].fit for name in integers.order}

    def _run_layer(self, integers: Network, name: str, parts: tuple[object, ...]) -> _Layer:
        neuron, wanted = integers[name].neuron, self._rasters[name]
        assert isinstance(neuron, FixedLif)  # it is compared with the floats
        threshold = thresholds_for(integers, 1.0, 1, 1)[name][0]
        steps, batch, n = wanted.shape
        state = LifState.zeros(batch, n, neuron)
        raster = np.empty_like(wanted)
        left = peak = 0
        current = self._written(integers, name)
        for t in range(steps):
            drive = self._drive(integers, name, t)
            left += sum(overflows(state, drive, neuron, current))
            raster[t], membrane = lif_step(state, drive, threshold, neuron, current)
            peak = max(peak, int(np.abs(state.u).max()), int(np.abs(membrane).max()))
        fit = Fit(int(wanted.sum()), int(np.count_nonzero(raster != wanted)), left, peak / LIMIT)
        return _Layer(parts, raster, fit)

    def _written(self, integers: Network, name: str) -> Array | int:
        """(samples, n): the bias mantissas that the host writes for a population, or 0."""
        host = integers[name].host
        return 0 if host is None else host.encode(self.sample[0])

    def largest_current(self, host: HostLayer) -> float:
        """Largest magnitude of what a host makes of the sample, in units of the membrane."""
        return float(np.abs(host.current(self.sample[0])).max())

    def _drive(self, integers: Network, name: str, t: int) -> Array:
        drive: Array = np.zeros(self._rasters[name].shape[1:], np.int64)
        for connection in integers.incoming(name):
            source = connection.source
            raster = self._layers[source].raster if source in self._layers else self._rasters[source]
            if t >= connection.delay:
                drive = drive + connection.drive(raster[t - connection.delay])
        return drive

    def moments(self, connection: Dense) -> Array:
        """(n_source, n_source): mean products of what the spikes of two inputs leave in the target's membranes.

        A population with many decays is taken at their means; resets are left out.
        """
        neuron = self.network[connection.target].neuron
        assert isinstance(neuron, Lif)  # observe() takes networks in floating point
        alpha, beta = float(neuron.alpha.mean()), float(neuron.beta.mean())
        spikes = self._rasters[connection.source]
        u = v = np.zeros(spikes.shape[1:])
        products = np.zeros((spikes.shape[2], spikes.shape[2]))
        for now in spikes:
            u = alpha * u + now
            v = beta * v + u
            products += v.T @ v
        return products / spikes[..., 0].size


def observe(network: Network, spikes: object, steps: int | None = None) -> Observation:
    """Run ``network`` on a sample, for ``aspen_hardware.compile(network, chip, calibration=observe(network, spikes))``.

    >>> import numpy as np
    >>> from aspen.network import Dense, Lif, Network, Population
    >>> from aspen_hardware import compile
    >>> lif = Lif(threshold=1.0, beta=0.9)
    >>> layers = Population("input", (2,)), Population("hidden", (3,), lif), Population("output", (2,), lif)
    >>> weights = [[0.9, 0.2], [0.2, 0.9], [0.5, 0.5]], [[1.0, 0.0, 0.4], [0.0, 1.0, 0.4]]
    >>> network = Network(layers, (Dense("input", "hidden", weights[0]), Dense("hidden", "output", weights[1])))
    >>> sample = (np.random.default_rng(0).random((20, 8, 2)) < 0.5).astype(np.uint8)  # 20 steps, 8 samples
    >>> deployment = compile(network, "loihi1", calibration=observe(network, sample))
    >>> deployment.rounding["hidden"].kept_calibrated  # share of the spikes
    1.0

    Args:
        network: in floating point.
        spikes: (time, samples, *input_shape), 0 and 1: like what the network will see, and not the test data. Of a
            static input the values.
        steps: ``spikes`` is the input of one step, (samples, *input_shape), and given so many times.

    Raises:
        InputError: the network is in integers, takes a current that is not static, or the spikes do not fit it.
    """
    as_network(network)
    direct = network.input.current and not (network.input.static and network.input.is_analog)
    if network.is_integer or direct:
        found = "integers" if network.is_integer else f"a current into {network.input.name}"
        raise InputError(
            f"calibration: found a network with {found}, allowed is one in floating point that takes spikes or a "
            f"static input; compile it without calibration"
        )
    return Observation(network, check_input(network, spikes if steps is None else repeated(spikes, steps)))


def _loops(network: Network) -> bool:
    """Whether a population is driven by one that comes after it, or by itself."""
    place = {name: index for index, name in enumerate([network.input.name, *network.order])}
    return any(place[connection.source] >= place[connection.target] for connection in network.summed)


def _compare_stepwise(integers: Network, sample: Array, rasters: Mapping[str, Array]) -> dict[str, Fit]:
    stepper = _PeakStepper(integers, sample.shape[1])
    thresholds = {name: array[0] for name, array in thresholds_for(integers, 1.0, 1, sample.shape[1]).items()}
    different = dict.fromkeys(integers.order, 0)
    for t, given in enumerate(sample):
        now = stepper.step(given, thresholds)
        for name in different:
            different[name] += int(np.count_nonzero(now[name] != rasters[name][t]))
    return {
        name: Fit(int(rasters[name].sum()), count, sum(stepper.overflows[name]), stepper.peaks[name] / LIMIT)
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
