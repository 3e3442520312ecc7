"""Kernels in C: how weights are laid out for them, which connections take which, and what sums they add to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aspen.network import Dense, FixedLif, Network, Population, Sparse
from aspen_hardware.c.connections import Stored
from aspen_hardware.c.kernels import paired
from aspen_hardware.c.packing import packed, padded, parts
from aspen_hardware.c.program import Program

NEURON = FixedLif(1000, 410)


def of(*connections: Dense | Sparse, sizes: dict[str, int], analog: bool = False) -> Network:
    first, *others = sizes
    populations = [Population(first, (sizes[first],), current=analog)]
    return Network((*populations, *(Population(name, (sizes[name],), NEURON) for name in others)), connections)


def dense(n: int, m: int, seed: int = 0, density: float = 1.0, source: str = "in", target: str = "out") -> Dense:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (m, n)) | 1  # odd ones cannot be halved
    return Dense(source, target, weight * (rng.random((m, n)) < density))


def stored(connection: Dense, analog: bool = False) -> Stored:
    sizes = {"in": connection.weight.shape[1], "out": connection.weight.shape[0]}
    (found,) = Program(of(connection, sizes=sizes, analog=analog)).connections
    return found


def test_every_weight_stands_where_its_kernel_looks() -> None:
    n, m = 5, 27  # blocks of 16 and 8 targets, and 3 in the last word
    matrix = np.random.default_rng(1).integers(-128, 128, (n, m))
    words, found = packed(matrix), np.zeros((n, padded(m)), int)
    assert parts(m) == [(4, 0, 1), (2, 4, 1), (1, 6, 1)]
    for width, begin, blocks in parts(m):
        for block in range(blocks):
            for source in range(n):
                for i in range(width):
                    word = int(words[(begin + block * width) * n + source * width + i])
                    even, odd = word & 0x00FF00FF, word >> 8 & 0x00FF00FF
                    four = [even & 0xFFFF, even >> 16, odd & 0xFFFF, odd >> 16]
                    first = 4 * (begin + block * width + i)
                    found[source, first : first + 4] = np.array(four) - 128
    np.testing.assert_array_equal(found[:, :m], matrix)
    assert not found[:, m:].any()


def test_pairs_hold_each_synapse_once_and_two_targets_each() -> None:
    counts, targets = np.array([3, 0, 1, 2]), np.array([0, 7, 255, 0, 4, 5])
    weights = np.array([-128, 127, -1, 5, 6, -7])
    starts = np.concatenate([[0], np.cumsum(counts)])
    begins, words = paired(starts, targets, weights)
    assert begins.tolist() == [0, 2, 2, 3, 4]
    for source in range(4):
        row = words[begins[source] : begins[source + 1]]
        halves = np.stack([row & 0xFFFF, row >> 16], axis=1)
        assert (halves[:, 0] >> 8 != halves[:, 1] >> 8).all()
        synapses = [(int(h) >> 8, int(np.int8(np.uint8(h & 0xFF)))) for h in halves.reshape(-1)]
        wanted = slice(starts[source], starts[source + 1])
        expected = list(zip(targets[wanted].tolist(), weights[wanted].tolist(), strict=True))
        assert [each for each in synapses if each[1] != 0] == expected


@pytest.mark.parametrize(
    ("connection", "analog", "form"),
    [
        (dense(20, 16), False, "packed"),
        (dense(20, 16), True, "dense"),  # values are multiplied
        (dense(20, 2), False, "dense"),  # half of each word would be empty
        (dense(200, 5), False, "dense"),  # 3 bytes for each source, too many
        (replace(dense(20, 16), weight=dense(20, 16).weight * 255 + 1), False, "dense"),  # not of 8 bits
        (replace(dense(300, 16), weight=np.full((16, 300), 127)), False, "dense"),  # sums leave 16 bits
        (dense(40, 64, density=0.4), False, "packed"),  # larger than sparse rows, but not twice
        (dense(40, 64, density=0.2), False, "sparse"),
    ],
)
def test_which_connections_are_packed(connection: Dense, analog: bool, form: str) -> None:
    assert stored(connection, analog).form == form


def test_sparse_rows_of_few_targets_stand_in_pairs() -> None:
    few, many = (stored(dense(30, m, density=0.05)) for m in (256, 257))
    assert (few.form, many.form) == ("sparse", "sparse")
    assert [len(few.tables), len(many.tables)] == [2, 3]
    assert not stored(dense(30, 64, density=0.05), analog=True).pairs


def test_sums_have_16_bits_where_all_that_arrives_together_fits() -> None:
    one = dense(100, 16)
    sizes = {"in": 100, "out": 16}
    (alone,) = Program(of(one, sizes=sizes)).connections
    assert (alone.sum_type, alone.sets) == ("int16_t", True)
    back = Dense("out", "out", np.full((16, 16), 127), delay=1)
    large = replace(one, weight=np.full((16, 100), 255))  # 25,500 by themselves
    together = {c.name: c for c in Program(of(one, back, sizes=sizes)).connections}
    assert {c.sum_type for c in together.values()} == {"int16_t"}
    assert {c.sum_type for c in Program(of(large, replace(back, weight=back.weight * 4), sizes=sizes)).connections} == {
        "int32_t"
    }


def test_the_connection_that_sets_the_sums_comes_first() -> None:
    sizes = {"in": 40, "out": 16}
    sparse = Sparse("out", "out", np.array([3]), [0], [1], (16, 16), delay=1)
    program = Program(of(sparse, dense(40, 16), sizes=sizes))
    (group,) = program.into("out")
    assert [(c.form, c.sets) for c in group] == [("packed", True), ("sparse", False)]
    assert "sums = 0" not in program.source()  # set anew at each step


def test_sums_are_cleared_where_a_population_that_shares_them_does_not_set_its_own() -> None:
    sizes = {"in": 40, "a": 16, "out": 16}
    sparse = dense(16, 16, density=0.05, source="a")
    text = Program(of(dense(40, 16, target="a"), sparse, sizes=sizes)).source()
    assert text.count("*sums = 0;") == 2


def test_a_delayed_packed_connection_lists_what_spiked_then() -> None:
    program = Program(of(replace(dense(40, 16), delay=2), sizes={"in": 40, "out": 16}))
    assert program.connections[0].recalls
    assert "uint16_t recalled[40];" in program.source()


def test_the_assembler_stands_behind_conditions() -> None:
    text, depth = Program(of(dense(40, 16), sizes={"in": 40, "out": 16})).source(), 0
    for line in text.splitlines():
        depth += line.startswith("#if") - line.startswith("#endif")
        assert depth or "__asm__" not in line
