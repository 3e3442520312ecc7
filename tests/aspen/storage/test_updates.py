"""Files that several write at once: no writer loses what another wrote."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from aspen.errors import InputError, UnwrittenError
from aspen.storage import locks
from aspen.storage.container import Container, encode_container, read_container, write_container
from aspen.storage.locks import locked, try_lock
from aspen.storage.writing import update, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, links and locks of POSIX")
pytestmark = posix


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def section(name: str) -> Callable[[Container], None]:
    return lambda container: container.put(name, {"made": name}, {"values": np.arange(3)})


def update_container(path: Path, change: Callable[[Container], None]) -> None:
    """An update of sections whatever they are."""

    def changed(found: Path) -> bytes:
        container = read_container(found)
        change(container)
        return encode_container(container)

    update(path, changed)


ADDS = """
import sys
from aspen.storage.file import AspenFile, Section
for number in range(8):
    section = Section(f"{sys.argv[2]}-{number}", lambda file: None, lambda value, file: ({}, {}))
    AspenFile.update(sys.argv[1], lambda file: file.put(section, None))
"""


def test_sections_that_processes_add_at_once_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "a.aspen"
    write_container(Container(), path)
    writers = [subprocess.Popen([sys.executable, "-c", ADDS, str(path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert sorted(read_container(path).headers) == [f"{name}-{number}" for name in "abc" for number in range(8)]
    assert names(tmp_path) == ["a.aspen"]


def test_sections_that_threads_add_at_once_are_all_there(tmp_path: Path) -> None:
    path, together = tmp_path / "a.aspen", threading.Barrier(4)
    write_container(Container(), path)

    def add(number: int) -> None:
        def slowly(container: Container) -> None:
            time.sleep(0.02)
            section(f"s{number}")(container)

        together.wait(10)
        update_container(path, slowly)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert sorted(read_container(path).headers) == ["s0", "s1", "s2", "s3"]


def test_a_new_file_waits_for_an_update_that_would_undo_it(tmp_path: Path) -> None:
    path, reading = tmp_path / "a.aspen", threading.Event()
    write_container(Container({"old": {}}), path)

    def slowly(container: Container) -> None:
        reading.set()
        time.sleep(0.1)
        section("added")(container)

    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(update_container, path, slowly)
        assert reading.wait(10)
        write_container(Container({"new": {}}), path)
        update.result(10)
    assert list(read_container(path).headers) == ["new"]


def test_waiting_has_an_end_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.aspen"
    write_container(Container(), path)
    monkeypatch.setattr(locks, "PATIENCE", 0.02)
    with locked(path):
        with pytest.raises(UnwrittenError, match=r"another writer has held it for 0.02 s\); wait for it"):
            write_atomically(path, b"new")
        with pytest.raises(UnwrittenError, match="another writer") as caught:
            update_container(path, section("mine"))
    assert caught.value.data is not None
    path.write_bytes(caught.value.data)
    assert list(read_container(path).headers) == ["mine"]


def test_an_update_without_locks_is_made_again_where_another_was_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, others = tmp_path / "a.aspen", ["first", "second"]
    write_container(Container(), path)
    monkeypatch.setattr(locks, "fcntl", None)

    def overtaken(container: Container) -> None:
        if others:
            write_container(Container({**container.headers, others.pop(0): {}}), path)
        section("mine")(container)

    update_container(path, overtaken)
    assert sorted(read_container(path).headers) == ["first", "mine", "second"]


def test_an_update_without_locks_gives_up_when_others_are_always_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.aspen"
    write_container(Container(), path)
    monkeypatch.setattr(locks, "fcntl", None)
    with pytest.raises(InputError, match="other writers were faster 20 times"):
        update_container(path, lambda container: write_container(Container({"other": {}}), path))
    assert list(read_container(path).headers) == ["other"]


def test_a_refused_change_leaves_the_file_and_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.aspen"
    write_container(Container(), path)
    before = path.read_bytes()

    def refuse(container: Container) -> None:
        raise InputError("does not fit")

    with pytest.raises(InputError, match="does not fit"):
        update_container(path, refuse)
    assert path.read_bytes() == before
    update_container(path, section("next"))


def test_an_update_of_no_file_makes_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.aspen: no such file"):
        update_container(tmp_path / "gone.aspen", section("a"))
    assert names(tmp_path) == []


def test_a_section_is_replaced_without_its_namesakes() -> None:
    container = Container()
    for name in ("deployment/loihi1", "deployment/loihi1b"):
        section(name)(container)
    container.put("deployment/loihi1", {}, {})
    assert list(container.tensors) == ["deployment/loihi1b:values"]
    assert container.get("deployment/loihi1") == ({}, {})


def test_a_lock_counts_only_on_the_file_that_stands_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"new")

    def replace_first(handle: int) -> bool | None:
        monkeypatch.undo()
        os.replace(tmp_path / "new", path)  # another writer, between opening and locking
        return try_lock(handle)

    monkeypatch.setattr(locks, "try_lock", replace_first)
    with locked(path):
        handle = os.open(path, os.O_RDWR)
        assert try_lock(handle) is False
        os.close(handle)
