import torch

from mmpid.methods.mla import MLA, entropy_weights, project
from tests.methods.close import same


def check(values, settings, expected):
    if "per" in settings:
        per_sample = settings["per"] == "sample"
        weights = entropy_weights([values[f"o_{name}"] for name in settings["modalities"]], per_sample)
        same(weights if per_sample else weights[:, 0], expected["weight"])
        return
    p = torch.eye(values["h0"].shape[1], dtype=torch.float64)
    for call, batch in enumerate(settings["batch_index"]):
        gradient = values[f"g{call}"]
        if call and settings["active"]:
            alpha = 0.1 ** (1 + batch / settings["n_batches"])
            p = project(p, values[f"h{call}"].mean(0), alpha, scalar=settings["denominator"] == "scalar")
            gradient = gradient @ p.T
        same(gradient, expected[f"g{call}"])
    same(p, expected["P"])


CHECKS = {"MLA": check}
RUNS = {"released": MLA, "rls": lambda: MLA(variant="rls")}
