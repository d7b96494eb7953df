from mmpid.methods.synib import SynIB, anchor_divergence, dirichlet_divergence, gaussian_divergence
from tests.methods.close import same


def check(values, settings, expected):
    found = {
        "gaussian": lambda: gaussian_divergence(values["mu"], values["logvar"]),
        "dirichlet": lambda: dirichlet_divergence(values["evidence"]),
        "unimodal_anchor": lambda: anchor_divergence(values["mu"], values["uni"]),
    }[settings["type"]]()
    same(settings["l"] * found, expected["kl"])


CHECKS = {"SynIB": check}
RUNS = {
    "gaussian": SynIB,
    "dirichlet": lambda: SynIB(prior="dirichlet", variant="released"),
    "anchor": lambda: SynIB(prior="anchor"),
}
