import torch

from mmpid.methods.aug import AUG, boosted_loss
from tests.methods.close import same


def check(values, settings, expected):
    layers = [(values[f"W{i}"], values[f"b{i}"]) for i in ("e", 0, 1)][: settings["added"] + 1]
    stages = [torch.relu(values["x"] @ w.T + b) @ values["Wo"].T + values["bo"] for w, b in layers]
    same(sum(stages), expected["full"])
    same(boosted_loss(stages, values["y"], settings["sigma"]), expected["loss"])


CHECKS = {"AUG": check}
RUNS = {"paper": lambda: AUG(every=1), "released": lambda: AUG(every=1, variant="released")}
