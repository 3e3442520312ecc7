"""Import every module of the installed ASPEN, each as the first: ``python -I tests/every_module.py``.

Prints the modules that were left out because the optional package that they need is not installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from aspen._base.packages import EXTRAS
from aspen_emulator.engines.lava.shim import import_lava, lava_available

PACKAGES = ("aspen", "aspen_hardware", "aspen_emulator")


def module_names(package: str) -> list[str]:
    """The package and all modules in it, as their files say."""
    top = Path(import_module(package).__path__[0])
    places = [path.relative_to(top.parent).with_suffix("") for path in sorted(top.rglob("*.py"))]
    return [".".join(place.parts).removesuffix(".__init__") for place in places]


def lacks(name: str) -> str:
    """Import one module as if none of ours were; the optional package that it lacks, or nothing."""
    for loaded in [loaded for loaded in sys.modules if loaded.partition(".")[0] in PACKAGES]:
        del sys.modules[loaded]
    try:
        import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        return package
    return ""


def main() -> None:
    """Import them all; any other error ends the program."""
    if lava_available():
        import_lava()
    names = [name for package in PACKAGES for name in module_names(package)]
    lacking = {name: package for name in names if (package := lacks(name))}
    for package in sorted(set(lacking.values())):
        print(f"without {package}: {', '.join(name for name in lacking if lacking[name] == package)}")
    print(f"imported {len(names) - len(lacking)} of {len(names)} modules")


if __name__ == "__main__":
    main()
