import torch
from torch.nn.functional import cross_entropy

from mmpid.methods.agm import AGM, coefficients, lead, response_loss, scaled, shapley
from tests.methods.close import same


def check(values, settings, expected):
    if "phi_t" in expected:
        phi = shapley(lambda present: values["".join(n for n in "avt" if n in present)], "avt")
        for name, response in phi.items():
            same(response, expected[f"phi_{name}"])
        same(sum(phi.values()), expected["total"])
    elif "run" in values:
        s, usual = values["s"].tolist(), values["run"].tolist()
        same(lead(s), expected["ratio"])
        same(lead(usual), expected["optimal"])
        same(coefficients(s, usual, settings["alpha"], settings["cap"]), expected["coeff"])
    else:
        check_two_steps(values, settings, expected)


def check_two_steps(values, settings, expected):
    encoders = {name: values[f"E_{name}"].requires_grad_() for name in ("a", "v")}
    usual = [0.0, 0.0]
    for step in (0, 1):
        y = values[f"y{step}"]
        z = {name: torch.tanh(values[f"{name}{step}"] @ weight) for name, weight in encoders.items()}

        def fuse(present, z=z):
            a, v = (x if name in present else torch.zeros_like(x) for name, x in z.items())
            joint = torch.cat([a, v], 1) @ values["W"].T + values["b"]
            return joint + settings["bilinear"] * (a * v) @ values["U"]

        phi = shapley(fuse, ("a", "v"))
        losses = [float(response_loss(response, y)) for response in phi.values()]
        same(losses, expected["s"][step])
        factors = coefficients(losses, usual, settings["alpha"], settings["cap"])
        same(factors, expected["coeff"][step])
        usual = losses
        loss = cross_entropy(scaled(phi, factors), y)
        same(loss.detach(), expected[f"loss{step}"])
        for name, gradient in zip("av", torch.autograd.grad(loss, list(encoders.values())), strict=True):
            same(gradient, expected[f"grad_E{name}{step}"])


CHECKS = {"AGM": check}
RUNS = {"inputs": AGM, "features": lambda: AGM(2.5, absent="features")}
