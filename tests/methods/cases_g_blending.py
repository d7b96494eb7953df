import torch

from mmpid.methods.g_blending import GBlending, blend, shares
from tests.methods.close import same

VARIANTS = {"delta": "released", "final": "final", "paper": "paper"}


def check(values, settings, expected):
    columns = [values[name].tolist() for name in ("train0", "val0", "train1", "val1")]
    variant = VARIANTS[settings["variant"]]
    raw = [blend((t0, v0), (t1, v1), variant) for t0, v0, t1, v1 in zip(*columns, strict=True)]
    same(raw, expected["raw"])
    same(torch.tensor(raw, dtype=torch.float64) / sum(raw), expected["weight"])
    if min(raw) > 0:
        same(shares(raw), expected["weight"])


CHECKS = {"G-Blending": check}
RUNS = {
    "online": lambda: GBlending(every=1, window=1),
    "offline": lambda: GBlending(every=None, window=2, variant="final"),
}
