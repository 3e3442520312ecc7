"""What the benchmarks share."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aspen


def machine(**more: object) -> dict[str, Any]:
    """What the figures were measured on; ``more`` comes on top."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    packages = {name: version(name) for name in ("numpy", "numba", "torch", "snntorch")}
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "command": shlex.join(["python", *sys.argv]),
        "processor": model,
        "cores": os.cpu_count(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "aspen": aspen.__version__,
        **packages,
        **more,
    }
