"""The values of one modality, and whether streamed samples repeat."""

import torch
from torch import Tensor

from mmpid.datasets import MultimodalData
from mmpid.datasets.scale import describe_scale, scale_problem
from mmpid.testing.report import BREAKS, FINE, WARNING, Finding

SHIFT = 1.0  # standard deviations between the means of training and test samples
CONSTANT = 0.5  # share of values that never vary


def check_modality(name: str, parts: dict[str, Tensor]) -> list[Finding]:
    """Check the values of one modality: finite, varying, of a usual scale, and alike in training and test."""
    train = parts["train"]
    wrong = {key: int((~torch.isfinite(x)).flatten(1).any(1).sum()) for key, x in parts.items()}
    if any(wrong.values()):
        text = ", ".join(f"{n} samples of {key} hold NaN or infinity" for key, n in wrong.items() if n)
        return [Finding(f"{name}, values", BREAKS, text, "Leave those samples out, or pass impute= to from_arrays.")]
    center, spread = describe_scale(train)
    text = f"{float(train.min()):.3g} to {float(train.max()):.3g}, standard deviation {spread:.3g} around {center:.3g}"
    strange = scale_problem(train)
    advice = (
        f"Pass standardize={{{name!r}: True}}: at this scale an encoder may stay at chance level." if strange else ""
    )
    found = [Finding(f"{name}, scale", WARNING if strange else FINE, text, advice)]
    flat = train.flatten(1)
    constant = int((flat == flat[:1]).all(0).sum())
    if constant == flat.shape[1]:
        found.append(
            Finding(f"{name}, variation", BREAKS, "all training samples are identical", "Check how it is loaded.")
        )
    elif constant > CONSTANT * flat.shape[1]:
        text = f"{constant:,} of {flat.shape[1]:,} values are the same in every training sample"
        found.append(
            Finding(f"{name}, variation", WARNING, text, "Leave out what never varies, if that is a surprise.")
        )
    return found + _check_shift(name, train, parts["test"])


def _check_shift(name: str, train: Tensor, test: Tensor) -> list[Finding]:
    """Compare the means of training and test samples, in standard deviations of training."""
    spread = max(describe_scale(train)[1], 1e-12)
    apart = abs(float(train.double().mean()) - float(test.double().mean())) / spread
    if apart <= SHIFT:
        return []
    text = f"the mean of the test samples lies {apart:.1f} standard deviations from that of training"
    return [Finding(f"{name}, shift", WARNING, text, "Were both prepared in the same way?")]


def check_repeats(data: MultimodalData) -> Finding:
    """Read one batch of streamed training samples twice: a resumed run must see the same numbers."""
    split = data.split("train")
    order = [torch.arange(min(8, len(split)))]
    (one, _), (two, _) = (next(iter(split.batches(order))) for _ in range(2))
    changed = [name for name in one if not torch.equal(one[name], two[name])]
    if changed:
        advice = (
            "Draw random numbers from torch, NumPy or random, which are seeded here, and keep no state in the dataset."
        )
        return Finding("repeats", BREAKS, f"the same batch of {', '.join(changed)} differs when read again", advice)
    return Finding("repeats", FINE, "the same batch is the same when read again")
