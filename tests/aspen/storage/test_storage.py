"""Files: whole or not at all, and into what was named."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aspen.errors import InputError, UnwrittenError
from aspen.storage import locks, temporaries
from aspen.storage.growing import GrowingFile
from aspen.storage.locks import try_lock
from aspen.storage.reading import opened
from aspen.storage.writing import write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="pipes, links and locks of POSIX")
pytestmark = posix


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_keeps_its_permissions_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        write_atomically(old, b"a")
        write_atomically(new, b"b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (old, new)] == [0o640, 0o640]
    old.chmod(0o604)
    write_atomically(old, b"c")
    assert stat.S_IMODE(old.stat().st_mode) == 0o604


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files to others")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.chown(path, 12345, 23456)
    write_atomically(path, b"a")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@pytest.mark.parametrize("exists", [True, False])
def test_links_are_followed(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "first").symlink_to("second")
    (tmp_path / "second").symlink_to(folder / "file")
    if exists:
        (folder / "file").write_bytes(b"old")
    write_atomically(tmp_path / "first", b"new")
    assert [path.is_symlink() for path in (tmp_path / "first", tmp_path / "second")] == [True, True]
    assert ((folder / "file").read_bytes(), names(folder)) == (b"new", ["file"])


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    path, data = tmp_path / "pipe", bytes(range(256)) * 1000  # more than a pipe holds
    os.mkfifo(path)
    (tmp_path / "link").symlink_to(path)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(path.read_bytes)
        write_atomically(tmp_path / "link", data)
        assert found.result(10) == data
    assert (stat.S_ISFIFO(path.lstat().st_mode), names(tmp_path)) == (True, ["link", "pipe"])


def test_a_device_is_written_to_and_stays() -> None:
    terminal, device = os.openpty()
    try:
        path = Path(os.ttyname(device))
        before = path.stat()
        write_atomically(path, b"told")
        assert os.read(terminal, 100) == b"told"
        assert (stat.S_ISCHR(path.lstat().st_mode), path.stat().st_ino) == (True, before.st_ino)
    finally:
        os.close(terminal)
        os.close(device)


def test_standard_output_is_written_to(tmp_path: Path) -> None:
    program = (
        "from aspen.storage.writing import write_atomically; print('text'); write_atomically('/dev/stdout', b'data')"
    )
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout == b"text\ndata"
    with (tmp_path / "out").open("wb") as file:  # where it is a file, which is not replaced
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
    assert (tmp_path / "out").read_bytes() == b"text\ndata"


def test_what_cannot_be_written_is_named_and_kept_with_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "nowhere" / "a", r"nowhere/a: cannot write there \(No such file.*\); choose an existing folder"),
        (tmp_path / "file" / "a", r"file/a: cannot write there \(Not a directory\); choose an existing folder"),
        (tmp_path, r"cannot write there \(Is a directory\); add the name of a file"),
    ):
        with pytest.raises(UnwrittenError, match=message) as caught:
            write_atomically(path, b"data")
        assert (caught.value.path, caught.value.data) == (path, b"data")
    assert names(tmp_path) == ["file"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomically(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UnwrittenError, match=r"cannot write there \(File too large\); raise the limit"):
            write_atomically(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a"])


KILLED = """
import os, signal, sys
from aspen.storage.writing import write_atomically
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)  # all is written, nothing is moved into place
write_atomically(sys.argv[1], bytes(100))
"""


def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)  # as long as names may nearly be
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", KILLED, str(path)]).returncode == -signal.SIGKILL
        assert (len(names(tmp_path)), path.exists()) == (1, False)
    write_atomically(path, b"new")
    assert names(tmp_path) == [path.name]


def test_temporaries_of_living_writers_and_of_other_files_stay(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "a.b"
    handle, living = temporaries.begin(path, 0o666)
    closing_other, of_another = temporaries.begin(other, 0o666)
    os.close(closing_other)
    write_atomically(path, b"new")
    assert names(tmp_path) == sorted([living.name, of_another.name, "a"])
    os.close(handle)
    write_atomically(path, b"newer")
    assert names(tmp_path) == sorted([of_another.name, "a"])


def test_what_may_be_another_machines_is_removed_only_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporaries.platform, "node", lambda: "elsewhere")
    handle, left = temporaries.begin(tmp_path / "a", 0o666)
    os.close(handle)
    monkeypatch.undo()
    write_atomically(tmp_path / "a", b"new")
    assert left.exists()
    old = time.time() - temporaries.OLD - 60
    os.utime(left, (old, old))
    write_atomically(tmp_path / "a", b"newer")
    assert names(tmp_path) == ["a"]


def test_without_locks_nothing_counts_as_dead_before_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    handle, left = temporaries.begin(tmp_path / "a", 0o666)
    os.close(handle)
    write_atomically(tmp_path / "a", b"new")
    assert left.exists()


def test_a_writer_whose_temporary_was_taken_for_a_dead_ones_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sweep_first(handle: int) -> bool | None:
        monkeypatch.undo()
        temporaries.remove_abandoned(tmp_path / "a")  # another writer, between creation and lock
        return try_lock(handle)

    monkeypatch.setattr(temporaries, "try_lock", sweep_first)
    write_atomically(tmp_path / "a", b"new")
    assert ((tmp_path / "a").read_bytes(), names(tmp_path)) == (b"new", ["a"])


@pytest.mark.parametrize("name", [b"\xff.csv", b"\xc3\xbc" * 120 + b"\xff", "\n ü".encode()])
def test_a_name_that_is_no_text_is_a_files_name_too(tmp_path: Path, name: bytes) -> None:
    """Bytes that are no UTF-8, as in an archive of another system, or where the locale is none of UTF-8."""
    target = tmp_path / os.fsdecode(name)
    handle, _ = temporaries.begin(target, 0o666)
    os.close(handle)  # of a writer that is dead
    write_atomically(target, b"new")
    assert (os.listdir(os.fsencode(tmp_path)), target.read_bytes()) == ([name], b"new")


def test_a_growing_file_begins_anew_or_goes_on(tmp_path: Path) -> None:
    for append, expected in ((False, "1\n"), (True, "1\n1\n"), (False, "1\n")):
        with GrowingFile(tmp_path / "a", append=append) as file:
            file.write("1\n")
        assert (tmp_path / "a").read_text() == expected


def test_a_growing_file_says_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnwrittenError, match="Is a directory"):
        GrowingFile(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with (
            pytest.raises(UnwrittenError, match=r"a: cannot write there \(File too large\)"),
            GrowingFile(tmp_path / "a") as file,
        ):
            file.write("x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_all_that_comes_out_of_a_pipe_is_read(tmp_path: Path) -> None:
    path, data = tmp_path / "pipe", b"MAGIC" + bytes(100_000)
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write_atomically, path, data)
        with opened(path, b"MAGIC") as (stream, size):
            assert (stream.read(), size) == (data, len(data))
        written.result(10)


def test_a_pipe_of_something_else_is_not_read_to_its_end(tmp_path: Path) -> None:
    endless = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
    assert endless.stdout is not None
    try:
        with opened(f"/dev/fd/{endless.stdout.fileno()}", b"MAGIC") as (stream, size):
            assert (stream.read(), size) == (b"y\ny\ny", 5)
    finally:
        endless.stdout.close()
        endless.wait(10)


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"), opened(tmp_path, b""):
        pass
    with pytest.raises(InputError, match="no such file"), opened("/dev/tty", b""):
        pass
    (tmp_path / "file").touch()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")  # what a file of others answers to anybody but root

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"file: cannot be read \(Permission denied\)"), opened(tmp_path / "file", b""):
        pass
