"""Two processes that train one network together give what one process gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from aspen.training.fit import fit
from tests import ROOT
from tests.aspen.training.test_fit import DATA, QUICK, model

SCRIPT = """
import os
import sys
import torch
from torch import distributed
from aspen.errors import InputError
from aspen.training.fit import fit
from tests.aspen.training.test_fit import DATA, DIALLED, QUICK, model
from dataclasses import replace
torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank = distributed.get_rank()
net = model()
if rank:
    torch.nn.init.zeros_(net.fc1.weight)  # the first process's weights count
calls = []
fitted = fit(net, DATA, QUICK, seed=5, checkpoint=sys.argv[1] + ".checkpoint", progress=lambda *_: calls.append(1))
torch.save({"weights": net.state_dict(), "loss": fitted.loss, "calls": len(calls)}, f"{sys.argv[1]}.{rank}")
dialled = fit(model(), DATA, DIALLED.each(lambda stage: replace(stage, epochs=1)), seed=5)
assert dialled.profile is not None
try:
    fit(model(), DATA, replace(QUICK, batch_size=1))
except InputError as error:
    assert "batches of 1 samples for 2 processes" in str(error)
else:
    raise SystemExit("no error")
distributed.destroy_process_group()
if os.path.isdir("/proc/self/task"):
    threads = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    assert "pt_gloo_runloop" not in threads, threads  # else it would now and then abort the process at its end
"""


@pytest.mark.skipif(not distributed.is_available(), reason="this torch is built without distributed")
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(
        [*command, str(tmp_path / "out")],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "hardware", ROOT / "emulator"))),
            "OMP_NUM_THREADS": "1",
        },
        timeout=280,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    first, second = (torch.load(tmp_path / f"out.{rank}", weights_only=True) for rank in (0, 1))
    net = model()
    alone = fit(net, DATA, QUICK, seed=5)
    for name, values in net.state_dict().items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        np.testing.assert_allclose(first["weights"][name], values, atol=2e-3)
    np.testing.assert_allclose(first["loss"], alone.loss, rtol=1e-3)
    assert (first["calls"], second["calls"]) == (QUICK.epochs, 0)  # one reports
    assert (tmp_path / "out.checkpoint").exists()
