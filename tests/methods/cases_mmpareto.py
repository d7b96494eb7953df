from mmpid.methods.mmpareto import MMPareto, combine
from tests.methods.close import same


def check(values, settings, expected):
    for name in settings["modalities"]:
        joint, own = ([values[f"{kind}_{name}_{i}"] for i in range(2)] for kind in ("mm", "u"))
        combined, weight = combine(joint, own, settings["gamma"])
        same([weight, 1 - weight], expected[f"w_{name}"])
        for i, gradient in enumerate(combined):
            same(gradient, expected[f"grad_{name}_{i}"])


CHECKS = {"MMPareto": check}
RUNS = {"default": MMPareto}
