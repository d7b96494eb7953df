from mmpid.methods.valuation import SampleValuation, copies, values, weakest
from tests.methods.close import same


def check(given, settings, expected):
    names = ("a", "v")
    right = {each: given[f"f_{''.join(each)}"].argmax(1) == given["y"] for each in (("a",), ("v",), names)}
    found = values(right, names)
    for name in names:
        same(found[name], expected[f"v_{name}"])
        same(copies(found[name]), expected[f"copies_keep_{name}"])
    same([found[name].mean() for name in names], expected["mean"])
    least, share = weakest(found, settings["alpha"])
    assert least == expected["modality_level_keep"]
    same(share, expected["modality_level_share"])


CHECKS = {"SampleValuation": check}
RUNS = {
    "sample": lambda: SampleValuation(warmup=1),
    "modality": lambda: SampleValuation("modality", alpha=3.0, warmup=0),
}
