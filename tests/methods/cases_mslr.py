from mmpid.methods.mslr import MSLR, rate_factor
from tests.methods.close import same


def check(values, settings, expected):
    for name, initial in settings["init"].items():
        accuracies = values[f"acc_{name}"].tolist()
        same(
            [rate_factor(initial, accuracies[:epoch]) for epoch in range(settings["epochs"])],
            expected[f"factor_{name}"],
        )


CHECKS = {"MSLR": check}
RUNS = {
    "dynamic": lambda: MSLR([0.7, 1.3], window=1),
    "head": lambda: MSLR(window=1, how="head"),
    "keep": lambda: MSLR([0.5, 1.0], strategy="keep"),
}
LARGEST = {"dynamic": 2, "keep": 2}  # its settings are for two
