import torch

from mmpid.methods.modality_dropout import ModalityDropout, keep_mask
from tests.methods.close import same


def check(values, settings, expected):
    keep = keep_mask(values["u"], torch.tensor([settings["p"]] * 2))
    same(keep.double(), expected["keep"])
    for i, name in enumerate(("a", "v")):
        same(values[name].masked_fill(~keep[:, i : i + 1], 0.0), expected[name])


CHECKS = {"ModalityDropout": check}
RUNS = {"one": ModalityDropout, "each": lambda: ModalityDropout([0.6, 0.1])}
LARGEST = {"each": 2}  # its settings are for two
