from mmpid.methods.arl import ARL, weights
from tests.methods.close import same


def check(values, settings, expected):
    found = weights([values["o_a"], values["o_v"]], settings["T"])
    same(found, expected["weight"])
    same(1 + found, expected["grad_factor"])


CHECKS = {"ARL": check}
RUNS = {"start": lambda: ARL(start=1)}
