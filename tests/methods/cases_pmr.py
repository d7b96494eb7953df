import torch
from torch.nn.functional import cross_entropy

from mmpid.methods.pmr import PMR, entropy, prototypes, pull, similarities
from tests.methods.close import same


def check(values, settings, expected):
    y = values["y"]
    if "C" in settings:
        seen = settings["batch"] * (settings["n_batches"] // 10)
        momentum = settings["momentum"] if settings["epoch"] else 0.0
        same(prototypes(values["z"][:seen], y[:seen], settings["C"], values["old"], momentum), expected["proto"])
        return
    z = {name: values[name].requires_grad_() for name in ("a", "v")}
    near = {name: similarities(x, values[f"proto_{name}"]) for name, x in z.items()}
    scores = [float(x.detach().softmax(1).gather(1, y[:, None]).sum()) for x in near.values()]
    same(scores, expected["score"])
    factors = pull(scores, settings["variant"])
    same(factors, [expected["coef_a"], expected["coef_v"]])
    losses = [cross_entropy(x, y) for x in near.values()]
    same(torch.stack(losses).detach(), expected["proto_ce"])
    joint = cross_entropy(torch.cat(list(z.values()), 1) @ values["W"].T + values["b"], y)
    loss = joint + settings["alpha"] * sum(c * x for c, x in zip(factors, losses, strict=True))
    if settings.get("early"):
        leader = list(z)[scores.index(max(scores))]
        loss = loss - settings["mu"] * max(factors) * entropy(near[leader]) / len(y)
    same(loss.detach(), expected["loss"])
    loss.backward()
    for name, x in z.items():
        same(x.grad, expected[f"grad_{name}"])


CHECKS = {"PMR": check}
RUNS = {"paper": PMR, "released": lambda: PMR(share=1.0, variant="released")}
