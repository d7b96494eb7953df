from mmpid.methods.greedy import Greedy, SpeedDifference, relative_speed
from tests.methods.close import same


def check(values, settings, expected):
    speed = SpeedDifference(2, settings["epsilon"], settings["window"])
    found = {"d": [], "curation_after_step": [], "caring": []}
    for step, epoch in enumerate(settings["epoch_of_step"]):
        parts = {
            part: (values[f"P_{part}"], values[f"G_{part}"] * values[f"f_{part}"][step])
            for part in ("main0", "main1", "byp0", "byp1", "shared")
        }
        main = [relative_speed([parts[f"main{m}"]]) for m in (0, 1)]
        bypass = [relative_speed([parts[f"byp{m}"], parts["shared"]]) for m in (0, 1)]
        speed.update(main, bypass, may_curate=epoch >= settings["starting_epoch"])
        found["d"].append(speed.ratios[0] - speed.ratios[1])
        found["curation_after_step"].append(float(speed.left > 0))
        if speed.left:
            assert float(speed.curated) == expected["caring"][step]
        same(speed.difference, abs(found["d"][-1]))
    same(found["curation_after_step"], expected["curation_after_step"])
    same(found["d"], expected["d"])


CHECKS = {"Greedy": check}
RUNS = {"heads": Greedy, "joint": lambda: Greedy(start=0, window=2, fused="joint", variant="released")}
