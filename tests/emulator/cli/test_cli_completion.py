"""The tab key: what it completes, and how it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aspen_emulator.cli.completion import ASKED, MARK, SHELLS, install, script
from aspen_emulator.cli.main import COMMANDS, main
from aspen_emulator.cli.main import aspen as group
from tests.emulator.cli.test_cli import Aspen, aspen

__all__ = ["aspen"]


def completed(*words: str) -> list[tuple[str, str]]:
    """Kind and value of what is offered for the last word."""
    *before, last = words
    offered = SHELLS["bash"](group, {}, "aspen", ASKED).get_completions(before, last)
    return [(item.type, item.value) for item in offered]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ca", [("plain", "calibrate")]),
        ("run ", [("suffixes", "aspen|nir|net")]),
        ("run net.aspen --input ", [("suffixes", "npy")]),
        ("run net.aspen --chip loi", [("plain", "loihi1"), ("plain", "loihi2"), ("suffixes", "toml")]),
        ("chips x", [("plain", "xylo"), ("suffixes", "toml")]),
        ("run net.aspen --engine ref", [("plain", "reference")]),
        ("run net.aspen --thr", [("plain", "--threshold-scale")]),
        ("sweep net.aspen --data dig", [("plain", "digits"), ("suffixes", "npz|ts")]),
        ("sweep net.aspen --plot ", [("suffixes", "png|pdf|svg")]),
        ("train --recipe aspen-j", [("plain", "aspen-joules")]),
        ("export mymodels:net --state-dict ", [("suffixes", "pt|pth")]),
        ("demo --output ru", [("dir", "ru")]),
        ("help calib", [("plain", "calibrate")]),
    ],
)
def test_what_the_tab_key_offers(line: str, offered: list[tuple[str, str]]) -> None:
    assert completed(*line.split(" ")) == offered


def test_commands_are_offered_without_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(group), "get_command", lambda *_: pytest.fail("imported"))
    assert [value for _, value in completed("")] == [*COMMANDS]


def test_an_error_or_ctrl_c_while_completing_says_nothing(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ASKED, "bash_complete")
    monkeypatch.setattr(group, "main", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(SystemExit) as caught:
        main(["run"])
    assert (caught.value.code, capsys.readouterr().err) == (130, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_installed_once_however_often(shell: str, tmp_path: Path) -> None:
    start = tmp_path / f".{shell}rc"
    if shell != "fish":
        start.write_text("alias a=b\n")
    for _ in range(2):
        told = install(shell, tmp_path)
    assert all(str(tmp_path) in line or "every new" in line for line in told)
    (written,) = [path for path in tmp_path.rglob("*") if path.is_file() and path != start]
    assert written.read_text() == script(shell)
    if shell != "fish":
        lines = start.read_text().splitlines()
        assert lines[0] == "alias a=b"
        assert lines[-1] == f'source "{written}"  {MARK}'
        assert len(lines) == (3 if shell == "zsh" else 2)


def test_the_command_installs_for_the_users_own_shell(
    aspen: Aspen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    code, out, _ = aspen("--install-completion")
    assert (code, "aspen.fish" in out) == (0, True)
    assert aspen("--show-completion", "bash")[1] == script("bash")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    code, _, err = aspen("--install-completion")
    assert (code, "found the shell tcsh, allowed are bash, zsh, fish; name one" in err) == (2, True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_offers_files_with_the_suffixes_and_folders(tmp_path: Path) -> None:
    """The script in a real bash; what aspen answers stands in a file, so that no Python is started."""
    for name in ("a net.aspen", "b.nir", "c.npy"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    answer = tmp_path / "aspen"
    answer.write_text("#!/bin/sh\necho 'plain,begun'\necho 'suffixes,aspen|nir|net'\n")
    answer.chmod(0o755)
    program = (
        f"compopt() {{ :; }}\n{script('bash')}\n"
        "COMP_WORDS=(aspen run ''); COMP_CWORD=2; _aspen_completion ./aspen; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    shell = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert (shell.stdout.splitlines(), shell.stderr) == (["begun", "a net.aspen", "b.nir", "more"], "")
