import torch

from mmpid.methods.ogm_ge import OGMGE, coefficients
from tests.methods.close import same


def logits_of(values, settings) -> list[torch.Tensor]:
    """Return each modality's share of the joint logits."""
    names = settings["modalities"]
    if settings["fusion"] == "sum":
        return [values[name] @ values[f"W_{name}"].T + values[f"b_{name}"] for name in names]
    parts = values["W"].split([values[name].shape[1] for name in names], dim=1)
    return [values[name] @ w.T + values["b"] / len(names) for name, w in zip(names, parts, strict=True)]


def check(values, settings, expected):
    y = values["y"]
    scores = [float(z.softmax(1).gather(1, y[:, None]).sum()) for z in logits_of(values, settings)]
    if "score" in expected:
        same(scores, expected["score"])
    variant = "paper" if settings["rule"] == "paper_k2" else "released"
    rule = "others" if settings["rule"] == "mla_k3" else "pairs"
    factors = coefficients(scores, settings["alpha"], variant, rule)
    same(factors, expected["coeff"])
    for name, factor in zip(settings["modalities"], factors, strict=True):
        if f"grad_{name}" in expected:
            same(values[f"G_{name}"] * factor, expected[f"grad_{name}"])


CHECKS = {"OGM-GE": check}
RUNS = {"released": lambda: OGMGE(alpha=0.5)}
