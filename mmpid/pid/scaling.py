"""Sinkhorn scalings of q_ijy = C_ij u_iy v_jy to its pairwise marginals, class first: p1 (b, k, n1), p2 (b, k, n2)."""

import torch
from torch import Tensor

TINY = 1e-290
# C, u, v and s_ij = sum_y u_iy v_jy, of `alternate`.
Scaling = tuple[Tensor, Tensor, Tensor, Tensor]


def tiny(like: Tensor) -> Tensor:
    """Return what keeps the denominators of `scale` above 0: added in the call that computes them."""
    return like.new_full((1, 1, 1), TINY)


def scale(cells: Tensor, right: Tensor, p1: Tensor, p2: Tensor, tiny: Tensor) -> tuple[Tensor, Tensor]:
    """One Sinkhorn sweep: scalings u of the rows to p1 and then v of the columns to p2, for every class."""
    left = p1 / torch.baddbmm(tiny, right, cells.mT)
    return left, p2 / torch.baddbmm(tiny, left, cells)


def alternate(p1: Tensor, p2: Tensor, sweeps: int, start: Scaling | None = None) -> Scaling:
    """Alternate from sources that are independent given the target, or from `start`; return C, u, v and s.

    Each sweep scales to the marginals and multiplies C by s ** 2 and by s in turn: steps toward s = 1 where C > 0,
    over-relaxed by s ** 1.5 on average.
    """
    if start is None:
        left, right = p1, p2 / p1.sum(2, keepdim=True).clamp_min(TINY)
        cells = density = torch.bmm(left.mT, right)
    else:
        cells, left, right, density = start
    least = tiny(p1)
    for sweep in range(sweeps):
        if sweep or start is not None:
            cells = cells * density
        if sweep % 2:
            cells *= density
        left, right = scale(cells, right, p1, p2, least)
        density = torch.bmm(left.mT, right)
    return cells, left, right, density
