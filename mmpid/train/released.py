"""The solver of the released script of arXiv 2509.20840, as it is, with its faults: what its controller saw.

It fits q to p(x2, y) first and to p(x1, y) last, so the marginal of the second source stays violated and the answer
depends on the order of the sources. It reads redundancy and both unique parts off its own q, in single precision, and
clips nothing: unique information can be negative. :func:`mmpid.decompose` is the solver to use for anything else.
"""

import torch
from torch import Tensor

from mmpid.pid.names import ATOMS

EPSILON = 1e-12  # in every denominator and logarithm
SWEEPS, RATE, STEPS, STOP, FEWEST = 10, 0.1, 2000, 1e-5, 3


def fit(joint: Tensor) -> Tensor:
    """Return the q (n1, n2, k) of the script for a joint (n1, n2, k), float32."""
    p = joint.to(torch.float32)
    p1, p2 = p.sum(1), p.sum(0)
    start = p1[:, None] * p2[None] / (p1.sum(0) + EPSILON)
    logits = (start + EPSILON).log().requires_grad_()
    adam = torch.optim.Adam([logits], lr=RATE)
    before = start
    with torch.enable_grad():
        for step in range(1, STEPS + 1):
            q = logits.flatten().softmax(0).view_as(p)
            for _ in range(SWEEPS):
                q = q * (p2 / (q.sum(0) + EPSILON))[None]
                q = q * (p1 / (q.sum(1) + EPSILON))[:, None]
            adam.zero_grad()
            (q * (q / (q.sum(-1, keepdim=True) + EPSILON) + EPSILON).log()).sum().backward()
            adam.step()
            moved, before = float((q.detach() - before).abs().max()), q.detach()
            if step >= FEWEST and moved < STOP:
                break
    return before / before.sum()


def information(joint: Tensor) -> float:
    """Return I(Y; X) of a joint (n, k) in bits."""
    independent = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return float((joint * ((joint + EPSILON) / (independent + EPSILON)).log2()).sum())


@torch.inference_mode(False)  # within it there are no gradients to descend on
def released_atoms(joint: Tensor) -> dict[str, float]:
    """Return redundancy, unique1, unique2 and synergy of a joint (n1, n2, k) in bits, as the script does.

    Examples
    --------
    >>> atoms = released_atoms(torch.eye(2, dtype=torch.float64)[:, None] / 2)  # only source 1 knows
    >>> round(atoms["unique1"], 2), round(atoms["synergy"], 2)
    (1.0, 0.0)
    """
    p, q = joint.to(torch.float32), fit(joint)
    first, second, both = information(q.sum(1)), information(q.sum(0)), information(q.flatten(0, 1))
    synergy = information(p.flatten(0, 1)) - both
    return dict(zip(ATOMS, (first + second - both, both - second, both - first, synergy), strict=True))
