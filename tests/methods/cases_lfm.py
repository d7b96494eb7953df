import torch

from mmpid.methods.lfm import LFM, alignment, fitted_share, learned_share
from tests.methods.close import same


def check(values, settings, expected):
    if "lr" in settings:
        check_learned(values, settings, expected)
        return
    share = fitted_share(settings["epoch"])
    same([1 - share, share], expected["alpha"])
    logits = [values["o_a"], values["o_v"]]
    align = alignment(logits, "paper" if settings["variant"] == "js" else "released")
    same(align, expected["align"])
    same(alignment(logits, "paper"), expected["align_js"])
    ce = torch.nn.functional.cross_entropy(sum(logits) / 2, values["y"])
    same(ce, expected["ce"])
    same(2 * ((1 - share) * ce + share * align), expected["loss"])


def check_learned(values, settings, expected):
    encoder = values["E"].clone().requires_grad_()
    rest = {name: values[name].clone().requires_grad_() for name in ("Wa", "ba", "Wv", "bv")}
    features = {"a": torch.tanh(values["a"] @ encoder), "v": values["v"]}
    logits = [(features[m] @ rest[f"W{m}"].T + rest[f"b{m}"])[:4] for m in ("a", "v")]  # half of the batch
    ce = torch.nn.functional.cross_entropy(sum(logits) / 2, values["y"][:4])
    share = settings["alpha"][1]
    total = (1 - share) * ce + share * alignment(logits, "released")
    lr = settings["lr"] * (0.5 if settings["epoch"] == 20 else 1)
    found = learned_share(share, ce, total, [encoder, *rest.values()], lr)
    same([1 - found, found], expected["alpha"])


CHECKS = {"LFM": check}
RUNS = {"fixed": lambda: LFM(0.3, variant="released")}
