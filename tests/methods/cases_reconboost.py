import torch

from mmpid.methods.reconboost import ReconBoost, agreement, boosting_loss
from tests.methods.close import same


def check(values, settings, expected):
    own = values["o"].clone().requires_grad_()
    weights = settings["w1"], settings["w2"]
    boost = boosting_loss(own, values["others"], values["y"], weights)
    same(boost.detach(), expected["boost"])
    near = agreement(own.detach(), values["prev"])  # as released: it moves nothing
    same(near, expected["ga"])
    loss = boost + settings["alpha"] * near
    same(loss.detach(), expected["loss"])
    (gradient,) = torch.autograd.grad(loss, own)
    same(gradient, expected["grad"])


CHECKS = {"ReconBoost": check}
RUNS = {
    "paper": lambda: ReconBoost(1, 1, weights=(5, 1)),
    "released": lambda: ReconBoost(1, 2, variant="released", weights=(50, 1)),
}
