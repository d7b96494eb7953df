"""The methods' formulas against numbers that the authors' own code gave (float64, ten digits)."""

import gzip
import json
import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mmpid.methods.mla import entropy_weights, project
from mmpid.methods.mmpareto import combine
from mmpid.methods.ogm_ge import coefficients

ORACLES = json.loads(gzip.decompress((Path(__file__).parent / "oracles.json.gz").read_bytes()))


def cases(method):
    return [pytest.param(case, id=case["case"]) for case in ORACLES[method]]


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


def same(found, expected):
    found, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (found, expected))
    assert torch.allclose(found, expected, atol=1e-8, rtol=1e-8)


def logits_of(case, values) -> list[torch.Tensor]:
    """Return each modality's share of the joint logits."""
    names = case["settings"]["modalities"]
    if case["settings"]["fusion"] == "sum":
        return [values[name] @ values[f"W_{name}"].T + values[f"b_{name}"] for name in names]
    parts = values["W"].split([values[name].shape[1] for name in names], dim=1)
    return [values[name] @ w.T + values["b"] / len(names) for name, w in zip(names, parts, strict=True)]


@pytest.mark.parametrize("case", cases("OGM-GE"))
def test_ogm_ge(case):
    values, settings, expected = evaluated(case), case["settings"], case["output"]
    y = values["y"]
    scores = [float(z.softmax(1).gather(1, y[:, None]).sum()) for z in logits_of(case, values)]
    if "score" in expected:
        same(scores, expected["score"])
    variant = "paper" if settings["rule"] == "paper_k2" else "released"
    rule = "others" if settings["rule"] == "mla_k3" else "pairs"
    factors = coefficients(scores, settings["alpha"], variant, rule)
    same(factors, expected["coeff"])
    for name, factor in zip(settings["modalities"], factors, strict=True):
        if f"grad_{name}" in expected:
            same(values[f"G_{name}"] * factor, expected[f"grad_{name}"])


@pytest.mark.parametrize("case", cases("MMPareto"))
def test_mmpareto(case):
    values, expected, gamma = evaluated(case), case["output"], case["settings"]["gamma"]
    for name in case["settings"]["modalities"]:
        joint, own = ([values[f"{kind}_{name}_{i}"] for i in range(2)] for kind in ("mm", "u"))
        combined, weight = combine(joint, own, gamma)
        same([weight, 1 - weight], expected[f"w_{name}"])
        for i, gradient in enumerate(combined):
            same(gradient, expected[f"grad_{name}_{i}"])


@pytest.mark.parametrize("case", [case for case in cases("MLA") if "projection" in case.id])
def test_the_projection_of_mla(case):
    values, settings = evaluated(case), case["settings"]
    p = torch.eye(values["h0"].shape[1], dtype=torch.float64)
    for call, batch in enumerate(settings["batch_index"]):
        gradient = values[f"g{call}"]
        if call and settings["active"]:
            alpha = 0.1 ** (1 + batch / settings["n_batches"])
            p = project(p, values[f"h{call}"], alpha, scalar=settings["denominator"] == "scalar")
            gradient = gradient @ p.T
        same(gradient, case["output"][f"g{call}"])
    same(p, case["output"]["P"])


@pytest.mark.parametrize("case", [case for case in cases("MLA") if "weights" in case.id])
def test_the_weights_of_mla(case):
    values, settings = evaluated(case), case["settings"]
    per_sample = settings["per"] == "sample"
    weights = entropy_weights([values[f"o_{name}"] for name in settings["modalities"]], per_sample)
    same(weights if per_sample else weights[:, 0], case["output"]["weight"])
