"""What a run leaves behind: the output spikes, and exact counts of everything that costs energy.

It is defined here, on the lowest floor, so that the energy model needs no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from aspen._base.arrays import Array, Rebuilt
from aspen._base.tables import Table, Tabled
from aspen.errors import InputError
from aspen.network.connection import Connection
from aspen.network.network import Network
from aspen.network.off import Off, neurons_off, reached_off
from aspen.network.readout import NO_ANSWER, answers, counted, final_scores, told

RECORDS = ("counts", "spikes", "membranes")
"""What a run can be asked to keep: counts only, the spikes of every population too, their membranes too."""


@dataclass(frozen=True, eq=False)
class Record(Tabled, Rebuilt):
    """Counts of one run. All are integers; ``steps`` and ``batch`` are time steps and samples.

    Every neuron is updated at every step. What an update costs a chip depends on whether the neuron has something to
    do, and published energies do not agree on what that is. Both definitions are counted, and a chip's file says which
    is priced: ``active_updates`` look at the input alone, ``awake_updates`` are those of SANA-FE (Boyle et al., TCAD
    2025; ``LoihiLifModel::update`` in its ``src/models.cpp``: potential, input current or bias), but for inputs that
    cancel out: SANA-FE charges any spike that arrives, here the net input decides. What is not active by one
    definition, or not awake by the other, is an inactive update.

    In integers the counts of all engines are the same; in floating point too, where sums of weights are exact in
    double precision, as those of float32 weights are. Where they are not, an input that cancels out in one order of
    addition leaves a rounding error in another. A membrane in floating point decays for hundreds of steps without
    being zero: what a chip does is counted in its integers.

    >>> import numpy as np
    >>> from aspen import Dense, Lif, Network, Population
    >>> from aspen_emulator import run
    >>> populations = Population("input", (2,)), Population("output", (2,), Lif(threshold=1.0, beta=0.9))
    >>> network = Network(populations, (Dense("input", "output", [[1.2, 0.1], [0.1, 1.2]]),))
    >>> record = run(network, np.ones((8, 1, 2), np.uint8))  # 8 steps, 1 sample
    >>> record.spikes["output"].sum(axis=0), record.total_synaptic_operations
    (array([16]), array([32]))
    >>> record.predictions  # both outputs fire alike: the first one
    array([0])

    Args:
        network: what ran.
        output: (steps, batch, *shape) uint8: spikes of the output population.
        spikes: population (the input included) -> (steps, batch) int64: spikes emitted.
        synaptic_operations: connection -> (steps, batch) int64: synapses with a weight other than zero reached
            by a spike, counted at the step in which the spike is emitted.
        multiply_accumulates: connection that weighs an analog input -> (steps, batch) int64: synapses with a weight
            other than zero reached by a value other than zero. They are no synaptic operations: a value is multiplied.
        active_updates: population with neurons -> (steps, batch) int64: neurons whose net synaptic input in the step is
            not zero: the sum of the weights of arriving spikes (or weighed values), biases left out.
        awake_updates: the same for neurons of which any of three is not zero: the net synaptic input; the membrane
            carried over from the step before, after its reset (a delayed reset is still to be made; 0 at the first
            step); a bias, be it the neuron's, with a direct current added, or that of its connections. A synaptic
            current that is carried over (``alpha``) does not count by itself.
        rasters: population -> (steps, batch, *shape) uint8, where the run was asked to keep them; else empty.
        engine: name of the engine.
        membranes: population with neurons -> (steps, batch, *shape), float64 or int64: the membrane that is compared
            with the threshold, before the reset of the same step (snnTorch's ``mem`` with ``reset_delay=True``). All,
            where the run was asked to keep them; else those of the output, where the read-out needs them.
        off: what of these counts fell on neurons that the knob had switched off.
    """

    network: Network
    output: Array
    spikes: Mapping[str, Array]
    synaptic_operations: Mapping[str, Array]
    active_updates: Mapping[str, Array]
    awake_updates: Mapping[str, Array]
    rasters: Mapping[str, Array] = field(default_factory=dict)
    engine: str = ""
    multiply_accumulates: Mapping[str, Array] = field(default_factory=dict)
    membranes: Mapping[str, Array] = field(default_factory=dict)
    off: Off = field(default_factory=Off)

    def __post_init__(self) -> None:
        self._close("output", "spikes", "synaptic_operations", "active_updates", "awake_updates")
        self._close("rasters", "multiply_accumulates", "membranes")

    @property
    def steps(self) -> int:
        """Time steps of the run."""
        return int(self.output.shape[0])

    @property
    def batch(self) -> int:
        """Samples of the run."""
        return int(self.output.shape[1])

    @property
    def predictions(self) -> Array:
        """(batch,) int64: the answers, -1 for a sample without one; see :func:`aspen.network.readout.answers`."""
        return answers(self.scores)

    @property
    def unanswered(self) -> float:
        """Share of the samples without an answer, 0 to 1."""
        return float((self.predictions == NO_ANSWER).mean())

    @property
    def scores(self) -> Array:
        """(batch, n): what the network's read-out says of each output neuron.

        ``spikes``: how often it fired. ``membrane``: its membrane summed over time; ``membrane-last``: at the last
        step; ``membrane-max``: at its highest.
        """
        return final_scores(self.network.readout, self.readings)

    @property
    def readings(self) -> Array:
        """(steps, batch, n): what the read-out goes by at each step, the outputs' spikes or their membranes."""
        shown = self.membranes[self.network.output] if self.network.reads_membranes else self.output
        return shown.reshape(self.steps, self.batch, -1)

    @property
    def hidden_spikes(self) -> Array:
        """(batch,) int64: spikes of all hidden populations, per sample."""
        return self._per_sample({name: self.spikes[name] for name in self.network.hidden})

    @property
    def total_synaptic_operations(self) -> Array:
        """(batch,) int64: synaptic operations of all connections, per sample."""
        return self._per_sample(self.synaptic_operations)

    def _per_sample(self, counts: Mapping[str, Array]) -> Array:
        return np.asarray(sum((c.sum(axis=0) for c in counts.values()), np.zeros(self.batch, np.int64)))

    def _shown(self) -> Iterator[str | Table]:
        yield f"{self.batch:,} sample{'s' * (self.batch != 1)}, {self.steps} steps, engine {self.engine}"
        spikes = {name: int(counts.sum()) for name, counts in self.spikes.items()}
        yield Table(
            ("population", "neurons", "spikes", "per sample"),
            [(n, f"{self.network[n].size:,}", f"{s:,}", f"{s / self.batch:,.1f}") for n, s in spikes.items()],
        )
        for name, counts in (
            ("synaptic operations", self.synaptic_operations),
            ("multiply-accumulates of the analog input", self.multiply_accumulates),
        ):
            if counts:
                total = sum(int(count.sum()) for count in counts.values())
                yield f"{total:,} {name}, {total / self.batch:,.1f} per sample"
        for name, off in self.off.neurons.items():
            yield f"{name}: {off.mean():,.4g} of {self.network[name].size:,} neurons off on average"
        yield f"answers: {told(self.predictions)}"

    def updates(self, name: str) -> int:
        """Neuron updates of population ``name`` in the whole run: neurons x steps x samples."""
        return self.network[name].size * self.steps * self.batch

    def summary(self) -> dict[str, Any]:
        """Totals over steps and samples, as plain values that JSON can hold."""
        return {
            "engine": self.engine,
            "steps": self.steps,
            "samples": self.batch,
            **self.totals(),
            "predictions": self.predictions.tolist(),
            "answers": counted(self.predictions),
            "unanswered": self.unanswered,
        }

    def totals(self) -> dict[str, dict[str, dict[str, int]]]:
        """What was counted over steps and samples: the part of :meth:`summary` that needs no answers, and so no
        membranes."""
        populations = {
            name: {
                "neurons": self.network[name].size,
                "spikes": int(self.spikes[name].sum()),
                **self._update_counts(name),
            }
            for name in self.network.names
        }
        connections = {
            name: {"synaptic_operations": int(count.sum())} for name, count in self.synaptic_operations.items()
        }
        for name, count in self.off.synaptic_operations.items():
            connections[name]["off_synaptic_operations"] = int(count.sum())
        return {"populations": populations, "connections": connections}

    def _update_counts(self, name: str) -> dict[str, int]:
        if name not in self.active_updates:
            return {}
        active, awake = (int(counts[name].sum()) for counts in (self.active_updates, self.awake_updates))
        off = {"off_updates": int(self.off.neurons[name].sum())} if name in self.off.neurons else {}
        return {
            "active_updates": active,
            "inactive_updates": self.updates(name) - active,
            "awake_updates": awake,
            **off,
        }


def rows_by_off(record: Record, connection: Connection) -> Array:
    """(n_target + 1,) int64: spikes of the connection's source that came while so many neurons of its target were off;
    the first, of none, is 0.

    Of counts that are sums over several steps, the mean number is taken, unless the record has them apart.
    """
    known, spikes = record.off.rows.get(connection.name), record.spikes[connection.source]
    if known is not None:
        return known
    off = record.off.neurons.get(connection.target, np.zeros_like(spikes))
    each = off if off.shape == spikes.shape else off.mean(keepdims=True)
    together = record.steps * record.batch / off.size
    counts = np.zeros(record.network[connection.target].size + 1, np.int64)
    np.add.at(counts, np.broadcast_to(np.rint(each / together).astype(np.int64), spikes.shape), spikes)
    counts[0] = 0
    return counts


def part_of(
    record: Record,
    change: Callable[[Mapping[str, Array]], dict[str, Array]],
    rasters: Mapping[str, Array],
    membranes: Mapping[str, Array],
) -> Record:
    """The record of a part of a run.

    Args:
        record: of the whole.
        change: makes of arrays (steps, batch, ...) by name those of the part; for all counts and the output.
        rasters, membranes: of the part.
    """
    return replace(
        record,
        output=change({"output": record.output})["output"],
        spikes=change(record.spikes),
        synaptic_operations=change(record.synaptic_operations),
        active_updates=change(record.active_updates),
        awake_updates=change(record.awake_updates),
        multiply_accumulates=change(record.multiply_accumulates),
        off=record.off.changed(record.steps, record.batch, change),
        rasters=rasters,
        membranes=membranes,
    )


def kept_membranes(network: Network, record: str) -> list[str]:
    """The populations whose membranes a run keeps that was asked for ``record``, one of :data:`RECORDS`."""
    if record == "membranes":
        return list(network.order)
    return [network.output] if network.reads_membranes else []


def counted_record(
    network: Network,
    rasters: Mapping[str, Array],
    updates: Mapping[str, Array],
    engine: str,
    record: str = "counts",
    membranes: Mapping[str, Array] | None = None,
    off: Mapping[str, Array] | None = None,
) -> Record:
    """Count what the spikes of all populations reach.

    Args:
        network: what ran.
        rasters: population (the input included) -> (steps, batch, *shape) uint8; an analog input's values.
        updates: population with neurons -> (4, steps, batch) int64: its active and its awake updates, and what of both
            were updates of neurons that were off.
        engine: name of the engine.
        record: one of :data:`RECORDS`.
        membranes: population -> (steps, batch, *shape), those that are to be kept.
        off: population -> (steps or 1, batch or 1, n) bool: which neurons were off, where any was.
    """
    who = off or {}
    analog = network.input.name if network.input.is_analog else None
    busy = {name: raster.reshape(*raster.shape[:2], -1) != 0 for name, raster in rasters.items()}
    reached = {c.name: busy[c.source].astype(np.int64) @ c.fan_out() for c in network.connections}
    lost = {c.name: reached_off(c, busy[c.source], who[c.target]) for c in network.connections if c.target in who}
    return Record(
        network=network,
        output=rasters[network.output],
        spikes={name: raster.sum(axis=2, dtype=np.int64) * (name != analog) for name, raster in busy.items()},
        synaptic_operations={name: count for name, count in reached.items() if name not in network.weighing},
        active_updates={name: counts[0] for name, counts in updates.items()},
        awake_updates={name: counts[1] for name, counts in updates.items()},
        rasters=dict(rasters) if record != "counts" else {},
        engine=engine,
        multiply_accumulates={name: count for name, count in reached.items() if name in network.weighing},
        membranes=dict(membranes or {}),
        off=Off(
            neurons=neurons_off(who, *rasters[network.output].shape[:2]),
            active_updates={name: updates[name][2] for name in who},
            awake_updates={name: updates[name][3] for name in who},
            synaptic_operations={name: count for name, count in lost.items() if name not in network.weighing},
            multiply_accumulates={name: count for name, count in lost.items() if name in network.weighing},
            who=who,
        ),
    )


def check_counts(record: Record) -> None:
    """Raise unless the counts of a record can be those of its network: one for each place, none negative or too large.

    Raises:
        InputError: a count is missing, is no integer, or is more than all neurons or synapses can make in that time.
    """
    network = record.network
    neurons = {name: network[name].size for name in network.names}
    updated = {name: neurons[name] for name in network.order}
    synapses = {connection.name: connection.n_synapses for connection in network.connections}
    limits = {
        "spikes": neurons,
        "active_updates": updated,
        "awake_updates": updated,
        "synaptic_operations": {name: most for name, most in synapses.items() if name not in network.weighing},
        "multiply_accumulates": {name: most for name, most in synapses.items() if name in network.weighing},
    }
    for part, most in limits.items():
        counts: Mapping[str, Array] = getattr(record, part)
        if set(counts) != set(most):
            raise InputError(
                f"record: found {part} of {', '.join(counts) or 'nothing'}, allowed are those of "
                f"{', '.join(most) or 'nothing'}; take the record of a run as it is"
            )
        for name, each in counts.items():
            _check_count(f"{part} of {name}", each, most[name], record)
    for connection in network.summed:
        _check_rows(record, connection)
    limits["neurons"] = updated
    for part in ("neurons", *list(limits)[1:5]):
        _check_off(part, limits[part], record)


def _check_off(part: str, most: Mapping[str, int], record: Record) -> None:
    """What fell on neurons that are off is a part of what was counted."""
    counts: Mapping[str, Array] = getattr(record.off, part)
    for name, each in counts.items():
        whole = getattr(record, part, {}).get(name)
        what = f"{part} of {name} that were off" if part == "neurons" else f"{part} of {name} on neurons that were off"
        if name not in most:
            raise InputError(f"record: found {what}, allowed are those of {', '.join(most) or 'nothing'}; take the "
                             f"record of a run as it is")  # fmt: skip
        _check_count(what, each, most[name], record)
        if whole is not None and (each.shape != whole.shape or (each > whole).any()):
            raise InputError(f"record: found {what} beyond the count itself, allowed is a part of it; take the record "
                             f"of a run as it is")  # fmt: skip


def _check_rows(record: Record, connection: Connection) -> None:
    """Spikes that came while neurons were off are a part of all."""
    rows, spikes = record.off.rows.get(connection.name), int(record.spikes[connection.source].sum())
    if rows is None:
        return
    size = record.network[connection.target].size + 1
    if rows.shape != (size,) or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.sum() > spikes:
        raise InputError(
            f"record: found rows of {connection.name} by how many neurons were off, {rows.dtype} of shape "
            f"{rows.shape} with {rows.sum()} spikes, allowed are {size} integers that add up to {spikes} or less; take "
            f"the record of a run as it is"
        )


def _check_count(what: str, counts: Array, most: int, record: Record) -> None:
    """Counts of each step and sample, or of several together, where each can have at most ``most`` events."""
    whole, together = record.steps * record.batch, record.steps * record.batch // max(counts.size, 1)
    fits = counts.dtype.kind in "iu" and counts.size > 0 and counts.size * together == whole
    if not fits or counts.min() < 0 or int(counts.max()) > most * together:
        found = f"{counts.min()} to {counts.max()}" if counts.size else "none"
        raise InputError(
            f"record: found {what}: {found} ({counts.dtype}, {counts.size} in {record.steps} steps of {record.batch} "
            f"samples), allowed are integers from 0 to {most * together}; take the record of a run as it is"
        )
