"""Newton systems of the interior point: [[A, C], [C', D]] (dlam, dmu) = (b1, b2), solved in batches.

The matrix is sum_ij of R_ij (diag(e_ij) + e_ij e_ij' / g_ij), placed at the k unknowns lam_i. and the k
unknowns mu_.j of the cell. It is never formed as a whole.
"""

import torch
from torch import Tensor

_JITTER = 1e-13
_TRIES = 8


def robust_cholesky(matrix: Tensor) -> Tensor:
    """Cholesky factors of unit-diagonal matrices, adding to the diagonal only where it is needed."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    jitter = _JITTER
    for _ in range(_TRIES):
        failed = (info > 0) | ~torch.isfinite(factor.diagonal(dim1=-2, dim2=-1)).all(-1)
        if not failed.any():
            return factor
        jitter *= 30.0
        matrix = matrix.clone()
        matrix.diagonal(dim1=-2, dim2=-1).add_(jitter * failed.unsqueeze(-1))
        factor, info = torch.linalg.cholesky_ex(matrix)
    # NaN or hopeless: an identity keeps the batch alive, and the line search rejects the step
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.where(failed[..., None, None], eye, factor)


class EliminateRows:
    """Eliminate lam, whose blocks over x1 are k x k; one Schur matrix of side n2 * k remains."""

    def __init__(self, e: Tensor, r: Tensor, g: Tensor, dead1: Tensor, dead2: Tensor):
        b, n1, k, n2 = e.shape
        self.alive1, self.alive2 = 1.0 - dead1, 1.0 - dead2
        re = r.unsqueeze(2) * e
        block = (re / g.unsqueeze(2)).unsqueeze(3) * e.unsqueeze(2)  # b n1 y y' x2
        block.diagonal(dim1=2, dim2=3).add_(re.transpose(2, 3))
        rows, columns = block.sum(-1), block.sum(1)
        rows.diagonal(dim1=-2, dim2=-1).add_(dead1 + 1e-30)
        scale = rows.diagonal(dim1=-2, dim2=-1).rsqrt()
        factor = robust_cholesky(rows * scale.unsqueeze(-1) * scale.unsqueeze(-2))
        eye = torch.eye(k, dtype=e.dtype, device=e.device).expand_as(factor)
        self.inverse = torch.linalg.solve_triangular(factor, eye, upper=False) * scale.unsqueeze(-2)
        self.half = (self.inverse @ block.view(b, n1, k, k * n2)).view(b, n1 * k, k * n2)
        schur = torch.bmm(self.half.mT, self.half).neg_()
        schur.view(b, k, n2, k, n2).diagonal(dim1=2, dim2=4).add_(columns)
        self._factor(schur, columns.diagonal(dim1=1, dim2=2).transpose(1, 2).reshape(b, k, n2), dead2)

    def _factor(self, schur: Tensor, diagonal: Tensor, dead2: Tensor) -> None:
        """Scale by the diagonal, close the gauge lam_.y + c, mu_y. - c by a rank-one term a class, and factor."""
        b, k, n2 = diagonal.shape
        root = diagonal.clamp_min(1e-30).sqrt() * self.alive2
        self.scale = (self.alive2 / diagonal.clamp_min(1e-30).sqrt()).reshape(b, k * n2)
        schur.mul_(self.scale.unsqueeze(-1)).mul_(self.scale.unsqueeze(-2))
        gauge = root / root.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        blocks = schur.view(b, k, n2, k, n2).diagonal(dim1=1, dim2=3)
        blocks.add_((gauge.unsqueeze(-1) * gauge.unsqueeze(-2)).permute(0, 2, 3, 1))
        schur.diagonal(dim1=1, dim2=2).add_(dead2.reshape(b, k * n2) + _JITTER)
        self.factor = robust_cholesky(schur)

    def solve(self, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
        """Steps for lam (b, n1, k) and mu (b, k, n2)."""
        b, n1, k = b1.shape
        t = (self.inverse @ (b1 * self.alive1).unsqueeze(-1)).view(b, n1 * k, 1)
        rhs = (b2 * self.alive2).reshape(b, -1, 1) - self.half.mT @ t
        scale = self.scale.unsqueeze(-1)
        dmu = torch.cholesky_solve(rhs * scale, self.factor) * scale
        back = (t - self.half @ dmu).view(b, n1, k, 1)
        dlam = (self.inverse.mT @ back).squeeze(-1) * self.alive1
        return dlam, dmu.view(b, k, -1)
