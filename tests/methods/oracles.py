"""Reference numbers of every method, most of them from the authors' own code (float64, ten digits)."""

import gzip
import importlib
import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

HERE = Path(__file__).parent
ORACLES = json.loads(gzip.decompress((HERE / "oracles.json.gz").read_bytes()))
# A method has a file cases_NAME.py with
#   CHECKS = {oracle: function(values, settings, expected)}: run on every case of that oracle in `ORACLES`;
#   RUNS = {label: function that makes a callback}: trained, killed and resumed by test_runs.py;
#   REFUSED = {label: fusions that the method refuses}, if any, and
#   LARGEST = {label: number of modalities that it allows}, where that is not six.
METHODS = {
    path.stem.removeprefix("cases_"): importlib.import_module(f"tests.methods.{path.stem}")
    for path in sorted(HERE.glob("cases_*.py"))
}


def oracle_cases():
    """Return one parameter per case: the check of a method and the case."""
    return [
        pytest.param(check, case, id=f"{oracle}-{case['case']}")
        for method in METHODS.values()
        for oracle, check in getattr(method, "CHECKS", {}).items()
        for case in ORACLES[oracle]
    ]


def runs():
    """Return one parameter per run: a function that makes the callback of a method."""
    return [pytest.param(make, id=name) for name, make, _, _ in _all_runs()]


def shapes():
    """Return one parameter per run and kind of model: how the callback is made, fusion, modalities, and if refused."""
    kinds = [("concat", 6), ("sum", 3), ("attention", 2)]
    return [
        pytest.param(make, fusion, m, fusion in refused or m > largest, id=f"{name}-{fusion}-{m}")
        for name, make, refused, largest in _all_runs()
        for fusion, m in kinds
    ]


def _all_runs():
    for name, cases in METHODS.items():
        for label, make in cases.RUNS.items():
            refused = getattr(cases, "REFUSED", {}).get(label, ())
            yield f"{name}-{label}", make, refused, getattr(cases, "LARGEST", {}).get(label, 6)


def evaluated(case) -> dict:
    """Return the inputs of a case: expressions over torch, math and earlier inputs, in float64."""
    values = {"torch": torch, "math": math, "F": functional}
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for name, expression in case["inputs"].items():
            values[name] = eval(expression, {}, values)  # noqa: S307  our own file
    finally:
        torch.set_default_dtype(before)
    return values
