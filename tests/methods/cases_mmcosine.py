from torch.nn.functional import cross_entropy

from mmpid.methods.mmcosine import MMCosine, cosine_logits
from tests.methods.close import same


def check(values, settings, expected):
    weights = dict(zip(("a", "v"), values["W"].split([6, 6], dim=1), strict=True))
    parts = cosine_logits(values, weights, settings["scale"])
    for name, part in parts.items():
        same(part, expected[f"o_{name}"])
    joint = parts["a"] + parts["v"]
    same(joint, expected["out"])
    same(cross_entropy(joint, values["y"]), expected["loss"])


CHECKS = {"MMCosine": check}
RUNS = {"paper": MMCosine, "released": lambda: MMCosine(15.0, variant="released")}
REFUSED = dict.fromkeys(RUNS, {"film", "gated", "attention"})
