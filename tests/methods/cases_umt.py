import torch

from mmpid.methods.umt import UMT, distillation
from tests.methods.close import same


def check(values, settings, expected):
    ce = torch.nn.functional.cross_entropy(values["f"], values["y"])
    same(ce, expected["ce"])
    students = {name: values[f"z_{name}"].clone().requires_grad_() for name in settings["modalities"]}
    apart = [distillation(z, values[f"t_{name}"]) for name, z in students.items()]
    same([x.detach() for x in apart], expected["mse"])
    loss = ce + settings["lam"] * sum(apart)
    same(loss.detach(), expected["loss"])
    same(
        [g[0].tolist() for g in torch.autograd.grad(loss, list(students.values()))], expected["distill_grad_first_row"]
    )


CHECKS = {"UMT": check}
RUNS = {"taught": lambda: UMT(1.0, epochs=2)}
