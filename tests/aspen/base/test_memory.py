"""What is declared is compared with what there is before anything is allocated, printing included."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse  # noqa: F401 - imported when a Sparse is first made, which is not what one takes

from aspen._base import memory as _memory
from aspen._base.memory import MAX_NEURONS, available_memory, check_memory
from aspen.data import DeltaEncoder, RateEncoder, WindowEncoder
from aspen.data.event_data import events, events_to_spikes
from aspen.errors import FileFormatError, InputError, NetworkError
from aspen.network.connections import Connection
from aspen.network.network import Conv, Dense, Lif, Network, Population, Sparse, load_network
from aspen.storage.container import Container, read_container, write_container
from aspen_emulator import run
from aspen_emulator.cli.main import main
from tests.networks import float_network, random_spikes

HUGE = 10**9
EVENTS = np.zeros(1, [("t", np.int64), ("x", np.int64), ("y", np.int64), ("p", np.int64)])


@contextmanager
def less_than(most: int) -> Iterator[None]:
    """Within, no more is ever allocated."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 5000 bytes of memory."""
    monkeypatch.setattr(_memory, "available_memory", lambda: 5000)
    monkeypatch.setattr(_memory, "SMALL", 0)


def one_synapse(n: int) -> Network:
    """One synapse between two populations of ``n`` neurons."""
    populations = (Population("input", (n,)), Population("out", (n,), Lif(1.0, 0.5)))
    return Network(populations, (Sparse("input", "out", [1.0], [n - 1], [n - 1], (n, n)),))


def conv(**values: Any) -> Conv:
    return Conv("a", "b", np.ones((1, 1, 2)), **({"input_shape": (1, 4)} | values))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Population("p", (HUGE,)), f"p.shape: found .{HUGE},. neurons, allowed are {MAX_NEURONS}"),
        (lambda: Population("p", (2**62,)), "p.shape: found"),
        (lambda: Population("p", (2**13, 2**12)), r"p.shape: found \(8192, 4096\) neurons"),
        (lambda: Sparse("a", "b", [1.0], [0], [0], (HUGE, 2)), "a->b.shape: found"),
        (lambda: conv(padding=(HUGE,)), "a->b.padding: found 1000000000, allowed is an integer from 0 to"),
        (lambda: conv(padding=(MAX_NEURONS,)), "a->b: input with its padding: found"),
        (lambda: conv(padding=(HUGE,), dilation=(HUGE,)), "a->b.padding: found"),
        (lambda: conv(dilation=(10**30,)), "a->b.dilation: found"),
        (lambda: conv(stride=(10**30,)), "a->b.stride: found"),
        (lambda: conv(input_shape=(1, HUGE)), "a->b: input with its padding: found"),
        (lambda: Conv("a", "b", np.ones((2**10, 1, 1)), (1, 2**15)), "a->b: target: found"),
        (lambda: one_synapse(MAX_NEURONS // 2 + 1), "populations: found"),
        (lambda: Dense("a", "b", [[1.0]], delay=HUGE), "a->b.delay: found 1000000000 steps, allowed is"),
    ],
)  # fmt: skip
def test_what_is_too_large_is_refused_when_built(make: Callable[[], object], message: str) -> None:
    with less_than(2**18), pytest.raises(NetworkError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda header: header["populations"][0].update(shape=[HUGE]), "input.shape"),
        (lambda header: header["populations"][0].update(shape=[2**62]), "input.shape"),
        (lambda header: header["connections"][0].update(padding=[HUGE, HUGE]), "input->out.padding"),
        (lambda header: header["connections"][0].update(dilation=[HUGE, HUGE]), "input->out.dilation"),
    ],
)
def test_a_small_file_that_asks_for_gigabytes_is_refused(
    tmp_path: Path, change: Callable[[Any], None], found: str
) -> None:
    path = tmp_path / "net.aspen"
    populations = (Population("input", (1, 4, 4)), Population("out", (1, 3, 3), Lif(1.0, 0.5)))
    Network(populations, (Conv("input", "out", np.ones((1, 1, 2, 2)), (1, 4, 4)),)).save(path)
    held = read_container(path)
    change(held.headers["network"])
    write_container(Container(held.headers, held.tensors), path)
    assert path.stat().st_size < 2000
    with less_than(2**18), pytest.raises(FileFormatError, match=rf"network description: {found}: found .* allowed"):
        load_network(path)


def test_the_largest_networks_are_printed_without_writing_out_their_synapses() -> None:
    wide = Conv("input", "out", np.ones((4, 1, 9, 9)), (1, 2**10, 2**10), padding=(4, 4))
    populations = (Population("input", wide.input_shape), Population("out", wide.output_shape, Lif(1.0, 0.5)))
    convolution, sparse = Network(populations, (wide,)), one_synapse(MAX_NEURONS // 2)
    with less_than(2**20):
        assert convolution.n_synapses == 4 * (9 * 2**10 - 20) ** 2
        assert f"{convolution.n_synapses:,} synapses\n" in str(convolution)
        assert ", 1 synapses\n" in str(sparse)


def test_fan_out_is_counted_as_the_synapses_written_out_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        dims, groups = int(rng.integers(1, 3)), int(rng.integers(1, 4))
        kernel, size = (tuple(map(int, rng.integers(1, top, dims))) for top in (4, 9))
        stride, dilation = (tuple(map(int, rng.integers(1, 4, dims))) for _ in range(2))
        ins, outs = (groups * int(rng.integers(1, 3)) for _ in range(2))
        weight = rng.integers(-1, 2, (outs, ins // groups, *kernel)).astype(float)
        padding = tuple(int(d * (k - 1)) for d, k in zip(dilation, kernel, strict=True))
        made = Conv("a", "b", weight, (ins, *size), None, stride, padding, dilation, groups)
        _check_counts(made)
    _check_counts(Sparse("a", "b", [1.0, 0.0, 2.0], [0, 1, 1], [2, 2, 0], (2, 4)))


def _check_counts(connection: Connection) -> None:
    wanted = np.asarray(connection.synapses().astype(bool).sum(axis=0)).reshape(-1)
    assert connection.fan_out().dtype == np.int64
    np.testing.assert_array_equal(connection.fan_out(), wanted)
    assert connection.n_synapses == wanted.sum()


@pytest.mark.usefixtures("small")
def test_what_does_not_fit_in_memory_is_refused_with_its_bytes() -> None:
    network, wide = float_network(1), Conv("a", "b", np.ones((4, 1, 3)), (1, 40))
    values = np.zeros((2, 80, 3), np.float32)
    for work, message in (
        (
            lambda: run(network, random_spikes(0, 100, 2, 6)),
            r"100 steps of 2 samples: needs 18400 bytes of memory, free",
        ),
        (lambda: run(network, random_spikes(0, 20, 4, 6), record="membranes"), r"20 steps of 4 samples: needs 15680"),
        (lambda: wide.synapses(), r"a->b: its synapses one by one: needs 14592 bytes"),
        (lambda: wide.accumulate(np.ones((10, 40))), "a->b: inputs of a step: needs 9120 bytes"),
        (lambda: RateEncoder(10).encode(np.zeros((2, 100))), "values: 10 steps of them: needs 8000 bytes"),
        (lambda: WindowEncoder(DeltaEncoder((1.0,) * 3), 8, 1).encode(values), "what they become: needs 5088 bytes"),
        (lambda: events_to_spikes(EVENTS, (64, 64, 1), 2, 1.0), "events as spikes of shape .*: needs 8192 bytes"),
        (
            lambda: events("e", [(EVENTS, 0)] * 3, [], sensor_size=(48, 48, 1), classes=2, steps=1),
            "3 recordings .* 6912",
        ),
    ):
        with pytest.raises(InputError, match=message):
            work()  # type: ignore[no-untyped-call]
    assert run(network, random_spikes(0, 10, 2, 6)).steps == 10


def test_steps_beyond_memory_are_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    float_network(1, bias=False).save(tmp_path / "net.aspen")
    np.save(tmp_path / "x.npy", random_spikes(0, 4, 2, 6))
    with less_than(2**26), pytest.raises(SystemExit, match="1"):
        main(["run", f"{tmp_path}/net.aspen", "--input", f"{tmp_path}/x.npy", "--output", f"{tmp_path}/y.npy",
              "--steps", str(10**12)])  # fmt: skip
    err = capsys.readouterr().err
    assert "1000000000000 steps of 2 samples: needs 184000000000000 bytes of memory, free are " in err
    assert "step a session" in err
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.usefixtures("small")
def test_a_long_input_and_many_encodings_are_counted_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aspen_emulator.cli.common import NetworkFile
    from aspen_emulator.cli.run import fit_steps
    from aspen_emulator.cli.samples import Measuring

    with pytest.raises(InputError, match="--steps 1000: an input as long: needs 12000 bytes"):
        fit_steps(random_spikes(0, 4, 2, 6), 1000)
    monkeypatch.setattr(_memory, "available_memory", lambda: 10**9)
    asked = Measuring(
        source=None, values_path=None, labels_path=None, data="digits", data_path=None, part="validation", seeds=10**6,
        window_time=None, knobs=None, scales=None, dial=False, early=False, max_loss=0.5, engine="fast", floating=False,
    )  # fmt: skip
    float_network(1, (64, 6, 10)).save(tmp_path / "net.aspen")
    with pytest.raises(InputError, match="--seeds 1000000: as many encodings: needs"):
        asked.samples(NetworkFile(tmp_path / "net.aspen"))


def test_free_memory_is_that_of_the_system_or_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "_GROUP", tmp_path / "none")
    assert 2**24 < available_memory() < 2**50
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 1\ninactive_file 200\n")):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    monkeypatch.setattr(_memory, "_GROUP", tmp_path)
    assert available_memory() == 500
    check_memory("a little", 501, "no remedy is needed for so little")
    monkeypatch.setattr(_memory, "SMALL", 500)
    with pytest.raises(InputError, match="more: needs 501 bytes of memory, free are 500; take less"):
        check_memory("more", 501, "take less")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory() > 2**24
