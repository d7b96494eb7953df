"""The check bites: it names notebook and value when a solver is off by 0.05 bit, or a reference was changed."""

import json
import shutil
from pathlib import Path

import pytest

from mmpid.check.suite import check

ROOT = Path(__file__).parents[2]
NAME = "01_quickstart"
OFF_BY = 0.05  # bits
AND_REDUNDANCY = 0.311278
SPOILED_SOLVER = f"""
import math, sys
import mmpid.pid.decompose

solver = sys.modules["mmpid.pid.decompose"]
result = solver._result
solver._result = lambda joint, nats, *rest: result(joint, nats + {OFF_BY} * math.log(2), *rest)
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
