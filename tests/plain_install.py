"""A plain install, as a user has it: build the wheel, install it into a fresh environment, use it from another folder.

    python tests/plain_install.py                     # with the Python that runs this
    python tests/plain_install.py --torch torch.whl   # first pip install torch.whl

Needs nothing but Python and pip. First without any extra (no torch), then with those for training, plots and exchange
and with Lava, then editable, from a clone that is called like the package.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("aspen", "hardware/aspen_hardware", "emulator/aspen_emulator")
FILES = ("setup.cfg", "setup.py", "setup_editable.py", "pyproject.toml", "constraints.txt", "README.md", "LICENSE")
EXTRAS = "train,plot,exchange,microcontroller,lava"
LAVA = "lava-nc==0.10.0"
COMPILING = "aspen: compiling machine code for this machine, once"
PERSONS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""What would let the environment see other code than its own."""
MAKE_FILES = """
import numpy as np
from aspen_emulator.cli.doctor import tiny_network
tiny_network().save("tiny.aspen")
np.save("tiny.npy", np.ones((5, 4, 2), np.uint8))
np.save("labels.npy", np.zeros(4, np.int64))
np.save("spikes.npy", np.zeros((25, 4, 64), np.uint8))
"""
LAVA_IN_A_PROGRAM = """
from aspen_emulator.lava import import_lava, to_lava; import_lava()
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.lif.process import LIF
from aspen_emulator.cli.doctor import tiny_network
with to_lava(tiny_network()) as net:
    net.run(RunSteps(num_steps=3), Loihi2SimCfg())
"""


class Failed(Exception):
    """A command did not do what it should."""


class Environment:
    """A virtual environment, and an empty folder beside it that everything runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.variables = {name: value for name, value in os.environ.items() if name not in PERSONS}
        self._run([sys.executable, "-m", "venv", str(folder / "venv")])
        self.programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")

    def pip(self, *arguments: str) -> None:
        """Run pip, with the versions that the tests know."""
        self.do("python", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    def do(self, program: str, *arguments: str, code: int = 0, says: str = "", where: Path | None = None) -> str:
        """Run a program of the environment, with pipes; what it printed on standard output and error.

        Raises:
            Failed: it ended with another code than ``code``, or did not print ``says``.
        """
        return self._run([str(self.programs / program), *arguments], code, says, where)

    def _run(self, command: Sequence[str], code: int = 0, says: str = "", where: Path | None = None) -> str:
        print("$", shlex.join(command)[:200].replace("\n", " "), flush=True)
        done = subprocess.run(
            command, cwd=where or self.elsewhere, env=self.variables, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1800, check=False,
        )  # fmt: skip
        if done.returncode != code or says not in done.stdout:
            raise Failed(f"ended with {done.returncode}, wanted {code} and {says!r}:\n{done.stdout}")
        return done.stdout


def copy_source(clone: Path) -> None:
    """The source without what earlier builds left in it."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in FILES:
        shutil.copy(ROOT / name, clone / name)


def check_files(environment: Environment, clone: Path) -> None:
    """Whether every file of the packages was installed."""
    site = Path(environment.do("python", "-I", "-c", "import aspen; print(aspen.__path__[0])").strip()).parent
    for package in PACKAGES:
        place = (clone / package).parent
        for file in (clone / package).rglob("*.*"):
            if not (site / file.relative_to(place)).is_file():
                raise Failed(f"{file.relative_to(clone)} is not in the installed package")


def check_without_extras(environment: Environment) -> None:
    """What a deployed network needs works without torch; the rest says what to install."""
    do = environment.do
    do("python", "-I", "-c", MAKE_FILES)
    do("python", "-I", str(ROOT / "tests" / "every_module.py"), says="without torch: ")
    do("aspen", "--help", says="sweep")
    do("aspen", "doctor", says=COMPILING)
    if COMPILING in do("aspen", "doctor", says="torch         missing"):
        raise Failed("machine code is compiled again")
    do("aspen", "run", "tiny.aspen", "--input", "tiny.npy", "--output", "out.npy")
    do("aspen", "compile", "tiny.aspen", "--chip", "loihi1")
    do("aspen", "sweep", "tiny.aspen", "--input", "tiny.npy", "--labels", "labels.npy")
    on_a_core = ("aspen", "run", "tiny.aspen", "--input", "tiny.npy", "--output", "out.npy", "--engine", "cortex-m")
    do(*on_a_core, code=1, says='needed for the engine cortex-m; run pip install ".[microcontroller]"')
    install = 'not installed, needed for training; run pip install ".[train]" in your clone of ASPEN'
    do("aspen", "train", "--output", "net.aspen", code=1, says=install)


def check_with_extras(environment: Environment) -> None:
    """The way of a newcomer."""
    do = environment.do
    print(do("python", "-I", str(ROOT / "tests" / "every_module.py"), says="imported ").strip())
    print(do("aspen", "doctor", says="lava          ok").strip())
    do("aspen", "train", "--output", "net.aspen", "--epochs", "2", says=COMPILING)
    do("aspen", "compile", "net.aspen", "--chip", "loihi1")
    do("aspen", "run", "net.aspen", "--input", "spikes.npy", "--output", "out.npy")
    on_a_core = ("aspen", "run", "net.aspen", "--input", "spikes.npy", "--output", "out.npy", "--engine", "cortex-m")
    do(*on_a_core, says="cycles on cortex-m4: ")
    do("aspen", "sweep", "net.aspen", "--data", "digits", "--plot", "dial.png")
    do("python", "-I", "-c", LAVA_IN_A_PROGRAM)


def check_editable(environment: Environment, clone: Path) -> None:
    """From the folder above a clone that is called like the package, Python finds the package and not the clone."""
    environment.pip("install", "--no-deps", "--editable", str(clone))
    environment.do("python", "-c", "import aspen, aspen_emulator; aspen.fit", where=clone.parent)


def install_and_check(folder: Path, torch: str) -> None:
    """All of it, in an empty folder; ``torch``: what pip is given for it first."""
    clone = folder / "aspen"
    copy_source(clone)
    environment = Environment(folder)
    environment.pip("wheel", "--no-deps", "--wheel-dir", str(folder / "dist"), str(clone))
    (wheel,) = (folder / "dist").glob("*.whl")
    constraints = ("--constraint", str(clone / "constraints.txt"))
    environment.pip("install", *constraints, str(wheel))
    check_files(environment, clone)
    check_without_extras(environment)
    if torch:
        environment.pip("install", *shlex.split(torch))
    environment.pip("install", *constraints, f"{wheel}[{EXTRAS}]")
    if sys.version_info >= (3, 11):  # Lava declares 3.10 only
        environment.pip("install", "--no-deps", "--ignore-requires-python", LAVA)
    check_with_extras(environment)
    check_editable(environment, clone)


def main() -> None:
    """Exit code 1, with what the command printed, where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", default="", metavar="ARGUMENTS", help="what pip is given to install torch first")
    with tempfile.TemporaryDirectory() as folder:
        try:
            install_and_check(Path(folder).resolve(), parser.parse_args().torch)
        except Failed as failure:
            sys.exit(f"plain install: {failure}")
    print(f"plain install: good on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
