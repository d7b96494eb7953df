"""No tensor slips between devices: everything that a GPU would be given runs on a stand-in that refuses to mix."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch cannot register a device from Python (2.9 and later can)",
)
def test_everything_runs_on_a_second_device():
    done = subprocess.run(
        [sys.executable, HERE / "work.py"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 11
