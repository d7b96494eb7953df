from mmpid.methods.relearning import DiagnosingRelearning, purity, reset_share
from tests.methods.close import same


def check(values, settings, expected):
    for name in settings["modalities"]:
        pure = []
        for split in ("train", "val"):
            pure.append(purity(values[f"{split}_{name}"], values[f"y_{split}"], settings["C"]))
            same(pure[-1], expected["purity"][f"{split}_{name}"])
        share = reset_share(*pure, settings["lam"])
        same(share, expected["weight"][name])
        same(values[f"now_{name}"].lerp(values[f"init_{name}"], share), expected[f"theta_{name}"])


CHECKS = {"D&R": check}
RUNS = {"every": lambda: DiagnosingRelearning(every=1, times=1)}
