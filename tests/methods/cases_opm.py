from mmpid.methods.opm import OPM, drop, drop_rates
from tests.methods.close import same


def check(values, settings, expected):
    parts, y = values["W"].split([6, 6], dim=1), values["y"]
    logits = [values[name] @ w.T + values["b"] / 2 for name, w in zip(("a", "v"), parts, strict=True)]
    scores = [float(z.softmax(1).gather(1, y[:, None]).sum()) for z in logits]
    rates = drop_rates(scores, settings["q_base"], settings["lam"])
    same(rates, expected["q"])
    kept, theta = drop({"a": values["a"], "v": values["v"]}, rates, values["mask"])
    same(theta, expected["theta"])
    alive = values["mask"].any(0)
    same(alive.double(), expected["alive"])
    for name, features in kept.items():
        same(features[alive], expected[f"feat_{name}"])


CHECKS = {"OPM": check}
RUNS = {"default": lambda: OPM(warmup=1), "head": lambda: OPM(p=1.0, warmup=0, how="head", rule="others")}
