import torch
from torch.nn.functional import cosine_similarity

from mmpid.methods.cggm import CGGM, direction_loss, gain_factors
from tests.methods.close import same


def check(values, settings, expected):
    gains = (values["acc_new"] - values["acc_old"]).tolist()
    factors = gain_factors(gains, bounded=False)
    if sum(gains) > 1e-6 or not any(gains):
        same(factors, expected["coeff"])
        same([settings["rho"] * factor for factor in factors], expected["grad_scale"])
    else:  # D is 1e-8 plus what rounding leaves of it
        assert torch.allclose(torch.tensor(factors), torch.tensor(expected["coeff"]), rtol=1e-6)
    heads = [values[f"w_{i}"].flatten() for i in range(len(gains))]
    cosines = [cosine_similarity(values["w_fused"].flatten(), w, 0) for w in heads]
    same(torch.stack(cosines), expected["cos"])
    same(direction_loss(expected["coeff"], cosines), expected["l_gm"])


CHECKS = {"CGGM": check}
RUNS = {"paper": CGGM, "released": lambda: CGGM(variant="released")}
REFUSED = {"released": {"film", "gated", "attention"}}
