import torch

from mmpid.methods.inforeg import InfoReg, fisher_trace, growth, pulls
from tests.methods.close import same


def check(values, settings, expected):
    if "trace" in expected:
        n = range(settings["layers"])
        squares = [sum(values[f"g{i}_{b}"] ** 2 for b in range(settings["batches"])) for i in n]
        same(fisher_trace([*squares, torch.ones(3)]), expected["trace"])
        return
    names = ("a", "v")
    same(growth(values["trace"].tolist()), expected["growth"])
    right = [values[f"o_{name}"].softmax(1).gather(1, values["y"][:, None]).sum() for name in names]
    same(right, expected["score"])
    inside = growth(values["trace"].tolist()) > settings["K"]
    betas = pulls([float(x) for x in right], [settings["beta_a"], settings["beta_v"]])
    for name, beta in zip(names, betas, strict=True):
        beta = beta if inside else 0.0
        same(beta, expected[f"beta_{name}"])
        moved = values[f"g_{name}"] + beta * (values[f"th_{name}"] - values[f"th0_{name}"])
        same(moved, expected[f"grad_{name}"])


CHECKS = {"InfoReg": check}
RUNS = {"paper": InfoReg, "released": lambda: InfoReg([0.95, 0.1], how="split", score="mean", variant="released")}
REFUSED = {"released": {"film", "gated", "attention"}}
LARGEST = {"released": 2}  # its settings are for two
