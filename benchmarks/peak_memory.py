"""The memory that a run needs, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from aspen._base.arrays import Array
from aspen.network.network import Network

PEAK = """
import sys
from pathlib import Path
import numpy as np
from aspen.network.network import load_network
from aspen_emulator import run
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
network, spikes = load_network(sys.argv[1]), np.load(sys.argv[2], mmap_mode="r")
run(network, spikes[:2, :2])
before = peak()
record = run(network, spikes)
counts = record.spikes, record.synaptic_operations, record.active_updates, record.awake_updates
kept = record.output.nbytes + sum(a.nbytes for f in counts for a in f.values())
print(before, peak(), kept)
"""


def peak_memory(network: Network, spikes: Array) -> dict[str, float]:
    """MiB that a process needs for a run on a memory-mapped input, beside what it needs to start and what it returns.

    Pages of the file that the system keeps in memory while there is room are counted too. Linux only.
    """
    if not Path("/proc/self/status").exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        network.save(Path(folder) / "network.aspen")
        np.save(Path(folder) / "spikes.npy", spikes)
        command = [sys.executable, "-c", PEAK, f"{folder}/network.aspen", f"{folder}/spikes.npy"]
        before, peak, kept = map(
            int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
    mib = 2**20
    return {"input": spikes.nbytes / mib, "record": kept / mib, "run": (peak - before - kept) / mib}
