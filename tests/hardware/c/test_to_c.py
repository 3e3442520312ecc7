"""``to_c``: the same bytes for the same deployment, sizes that are true, and folders that hold nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import ChipError, InputError
from aspen.network import Dense, FixedLif, Network, Population, Sparse
from aspen_hardware import Deployment, to_c
from aspen_hardware.c.export import files
from aspen_hardware.c.program import Program
from aspen_hardware.c.ranges import bounds
from aspen_hardware.c.text import identifiers, smallest_type
from tests.networks import fixed_network, float_network

NETWORK = fixed_network(15)
DEPLOYED = Deployment(NETWORK, "cortex-m", {})
NAMES = ["README.md", "example.c", "network.c", "network.h"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def chain(weights: list[list[int]], neuron: FixedLif, exponent: int = 0) -> Network:
    matrix = np.array(weights)
    populations = Population("in", (matrix.shape[1],)), Population("out", (matrix.shape[0],), neuron)
    return Network(populations, (Dense("in", "out", matrix, exponent=exponent),))


def source(network: Network) -> str:
    return Program(network).source()


def test_the_same_deployment_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        to_c(DEPLOYED, tmp_path / folder)
    assert names(tmp_path / "one") == NAMES
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in NAMES)


def test_what_the_page_says_of_ram_and_flash_is_what_the_program_has(tmp_path: Path) -> None:
    program = to_c(DEPLOYED, tmp_path / "made")
    text = (tmp_path / "made" / "README.md").read_text()
    assert f"| RAM | {program.ram:,} bytes, static;" in text
    assert f"| flash, tables | {program.flash:,} bytes |" in text
    assert "80 synaptic operations, 12 neuron updates" in text
    assert program.flash == sum(table.size for table in program.tables) == 8 * 2 + 4 * 2 + 8 * 2 + 4 + 48 + 32


def test_another_prefix_is_in_every_name(tmp_path: Path) -> None:
    to_c(DEPLOYED, tmp_path / "made", "wrist")
    assert names(tmp_path / "made") == ["README.md", "example.c", "wrist.c", "wrist.h"]
    assert not any("network_" in path.read_text() for path in (tmp_path / "made").iterdir())


@pytest.mark.parametrize("prefix", ["", "2nd", "with space", "_hidden", "while", "a" * 32, None, "a-b"])
def test_a_prefix_that_is_no_identifier_is_refused(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prefix: found .*allowed is an identifier of C"):
        to_c(DEPLOYED, tmp_path / "made", prefix)
    assert names(tmp_path) == []


def test_a_program_written_before_is_replaced_and_anything_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    to_c(DEPLOYED, folder, "first")
    to_c(Deployment(fixed_network(16), "cortex-m", {}), folder)
    assert names(folder) == NAMES
    before = (folder / "network.c").read_bytes()
    (folder / "main.c").write_text("int main(void) { return 0; }")
    with pytest.raises(InputError, match="found a folder with other files"):
        to_c(DEPLOYED, folder)
    (folder / "main.c").unlink()
    (folder / "network.c").write_text("/* my own */")
    with pytest.raises(InputError, match="found a folder with other files"):
        to_c(DEPLOYED, folder)
    assert (folder / "network.c").read_text() == "/* my own */"
    assert before != b""
    assert names(tmp_path) == ["made"]  # nothing temporary is left


def test_a_folder_through_a_link_is_written_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    to_c(DEPLOYED, tmp_path / "link")
    assert names(tmp_path / "real") == NAMES
    assert (tmp_path / "link").is_symlink()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "made").write_text("mine")
    with pytest.raises(InputError, match="which is a file, allowed is a folder"):
        to_c(DEPLOYED, tmp_path / "made")
    assert (tmp_path / "made").read_text() == "mine"


def test_a_folder_with_a_name_that_no_system_takes_is_refused() -> None:
    with pytest.raises(InputError, match=r"path: found .*, allowed is text or a pathlib.Path"):
        to_c(DEPLOYED, "a\0b")


def test_what_c_cannot_run_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"to_c: found a network in floating point, .*compile it"):
        Program(float_network(1))
    with pytest.raises(InputError, match=r"to_c: found .*allowed is a deployment"):
        to_c(NETWORK, "nowhere")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="profile: found 3, allowed is a DialProfile"):
        Program(NETWORK, 3)  # type: ignore[arg-type]
    neuron = FixedLif(threshold=1, voltage_decay=0)
    one = Sparse("in", "out", np.array([1]), [0], [0], (2**16, 1))
    large = Network((Population("in", (1,)), Population("out", (2**16,), neuron)), (one,))
    with pytest.raises(ChipError, match="out: found 65536 neurons, allowed in C are 65535"):
        Program(large)


@pytest.mark.parametrize(
    ("weights", "ctype", "divided"),
    [
        ([[254, -254]], "int8_t", 2),
        ([[127, -128]], "int8_t", 1),
        ([[255, 0]], "uint8_t", 1),
        ([[256, -512]], "int8_t", 256),
        ([[255, -1]], "int16_t", 1),
        ([[40000, 1]], "uint16_t", 1),
        ([[40000, -1]], "int32_t", 1),
    ],
)
def test_weights_take_the_smallest_type_once_a_common_power_of_two_is_out(
    weights: list[list[int]], ctype: str, divided: int
) -> None:
    (stored,) = Program(chain(weights, FixedLif(10, 410))).connections
    table = stored.tables[-1]
    assert table.ctype == ctype
    assert stored.exponent == divided.bit_length() - 1
    np.testing.assert_array_equal(table.values.reshape(-1) * divided, np.array(weights).reshape(-1))


def test_rows_are_sparse_where_that_is_smaller() -> None:
    matrix = np.zeros((40, 40), int)
    matrix[3, 5] = 7
    sparse, dense = (Program(chain(m.tolist(), FixedLif(10, 410))).connections[0] for m in (matrix, matrix + 1))
    assert (sparse.form, dense.form) == ("sparse", "packed")
    assert [table.size for table in sparse.tables] == [41, 4]


def test_states_are_short_where_no_input_can_fill_more() -> None:
    light, heavy = (chain([[w, w]], FixedLif(100, 2048), 0) for w in (100, 200))
    assert "int16_t membrane_out[1]" in source(light)  # 200 * 64 * 4096 / 2048 + 1 is 25,601
    assert "int32_t membrane_out[1]" in source(heavy)
    late = replace(
        light,
        populations=(light.populations[0], Population("out", (1,), FixedLif(100, 2048, reset="subtract-guarded"))),
    )
    assert "int32_t membrane_out[1]" in source(late)  # a reset that is made later may push it further down


def test_wrapping_and_clipping_are_left_out_where_they_cannot_happen() -> None:
    light, heavy = (source(chain([[255, 255]], FixedLif(100, 410), e)) for e in (0, 7))
    assert "wrapped(" not in light
    assert "clipped(" not in light
    assert "v = 1 - LIMIT" in heavy  # a membrane above the threshold is reset to zero
    late = chain([[255, 255]], FixedLif(100, 410, reset="subtract-delayed"), 7)
    assert "clipped(" in source(late)
    assert "wrapped(" in source(chain([[255] * 5], FixedLif(100, 410, 100), 7))


def test_bounds_count_the_peak_of_graded_values() -> None:
    neuron = FixedLif(100, 4095)
    populations = Population("in", (2,), current=True), Population("out", (1,), neuron)
    network = Network(populations, (Dense("in", "out", np.array([[10, -10]])),))
    found = bounds(network, "out")
    assert (found.total, found.current) == (20 * 4096, 20 * 4096 * 64)


def test_names_stay_apart_in_c() -> None:
    assert identifiers(["a.b", "a-b", "a_b", "while"]) == {
        "a.b": "a_b",
        "a-b": "a_b_2",
        "a_b": "a_b_3",
        "while": "while",
    }


@pytest.mark.parametrize(
    ("low", "high", "ctype"),
    [(0, 127, "int8_t"), (0, 128, "uint8_t"), (-1, 128, "int16_t"), (-(2**31), 0, "int32_t"), (0, 2**32, "uint64_t")],
)
def test_the_smallest_type(low: int, high: int, ctype: str) -> None:
    assert smallest_type(low, high) == ctype


def test_no_allocation_no_floats_no_other_headers() -> None:
    for network in (NETWORK, fixed_network(3, reset="subtract-guarded", extreme=True)):
        text = files(Program(network))["network.c"]
        assert not any(word in text for word in ("malloc", "float", "double", "long long"))
        assert [line for line in text.splitlines() if line.startswith("#include")] == [
            '#include "network.h"',
            "#include <string.h>",
        ]
