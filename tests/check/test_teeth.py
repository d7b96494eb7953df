"""The check bites: it names notebook and value when a solver is off by 0.05 bit, or a reference was changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmpid.check.suite import check

ROOT = Path(__file__).parents[2]
NAME = "01_quickstart"
OFF_BY = 0.05  # bits
AND_REDUNDANCY = 0.311278
SPOILED_SOLVER = f"""
import math, sys
from dataclasses import replace
import mmpid.pid.decompose
from mmpid.pid import small

error = {OFF_BY} * math.log(2)
solver = sys.modules["mmpid.pid.decompose"]
of_batch, of_one = solver.make_result, small._result
solver.make_result = lambda terms, value, *rest: of_batch(terms, value + error, *rest)
small._result = lambda *given: of_one(*given[:5], replace(given[5], upper=given[5].upper + error), given[6])
"""
BOTH_WAYS = """
import torch
from mmpid.pid import decompose, joints
one, batch = joints.and_(), torch.stack([joints.and_()] * 2)
print(*decompose(one).redundancy.view(1).tolist(), *decompose(batch).redundancy.tolist())
"""


@pytest.fixture
def root(tmp_path):
    """A checkout with the quick start alone, and its references."""
    folder = tmp_path / "notebooks"
    (folder / "references").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / f"{NAME}.ipynb", folder)
    shutil.copy(ROOT / "notebooks" / "references" / f"{NAME}.json", folder / "references")
    return tmp_path


def run_check(root, **settings):
    lines = []
    agreed = check(root=root, smoke=True, jobs=1, out=root / "out", say=lines.append, **settings)
    return agreed, "\n".join(lines)


@pytest.mark.notebook
def test_a_solver_that_is_off_by_a_twentieth_of_a_bit_fails_the_check(root, monkeypatch):
    (root / "sitecustomize.py").write_text(SPOILED_SOLVER)  # every process of the check starts with it
    monkeypatch.setenv("PYTHONPATH", f"{root}:{ROOT}")
    found = subprocess.run([sys.executable, "-c", BOTH_WAYS], capture_output=True, text=True, check=True).stdout
    assert all(abs(abs(float(bits) - AND_REDUNDANCY) - OFF_BY) < 1e-5 for bits in found.split()), found
    agreed, said = run_check(root)
    assert not agreed
    assert (
        f"MISS {NAME}: and_gate_redundancy is 0.3612" in said or f"MISS {NAME}: and_gate_redundancy is 0.2612" in said
    )


@pytest.mark.notebook
def test_each_changed_reference_is_named_and_no_other(root):
    path = root / "notebooks" / "references" / f"{NAME}.json"
    stored = json.loads(path.read_text())
    changed = {"and_gate_redundancy": 2e-6, "gain_over_joint": 0.07}  # beyond their tolerances
    for name, by in changed.items():
        stored["smoke"]["values"][name]["value"] += by
    path.write_text(json.dumps(stored))
    agreed, said = run_check(root)
    missed = {line.split(": ")[1].split(" is ")[0] for line in said.splitlines() if line.startswith(f"MISS {NAME}")}
    assert not agreed and missed == set(changed), said
