"""What every test gets: no display, no leftover figures, no changed torch defaults, one CPU thread."""

import os

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MMPID_HEADLESS", "1")
os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")

import pytest
import torch

torch.set_num_threads(1)

pytest_plugins = ["tests.small_runs"]


@pytest.fixture(autouse=True)
def untouched_torch_defaults():
    """Fail a test that changes a global default or the global random state behind the user's back."""
    before = torch.get_default_dtype(), torch.get_num_threads()
    yield
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before


@pytest.fixture(autouse=True)
def closed_figures():
    """Close figures, so that one test's pictures do not fill another's memory."""
    yield
    import sys

    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
