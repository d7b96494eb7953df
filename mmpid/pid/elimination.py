"""Newton systems of the interior point, solved in batches by one of two eliminations.

The matrix is H = sum over the cells ij of diag(q_ij.) + R_ij c_ij w_ij. w_ij.', placed at the k unknowns lam_i.
and the k unknowns mu_.j of the cell (q = R w). It is never formed as a whole. Joints are held as q[b, x1, y, x2].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmpid.pid.constants import JITTER, TRIES
from mmpid.pid.typed import cholesky_ex, solve_triangular

_SMALL = 1e-30
_BLOCK = 40
_FEW = 0.75  # leaving out dead unknowns takes a few calls: not worth it above this share


class Kept:
    """The unknowns mu that are worth computing, by their index (m,) among all k * n2."""

    def __init__(self, index: Tensor, k: int, n2: int):
        self.index = index
        y, x2 = index // n2, index % n2
        self.source = ((y.unsqueeze(1) * k + y) * n2 + x2).flatten()  # (m * m,): entries of a tensor k x k x n2 ...
        self.met = x2.unsqueeze(1) == x2  # (m, m): ... which count only if both are of the same x2


@dataclass
class Support:
    """Where mass can be: what is dead, which is None for a batch in which every cell is possible."""

    dead: Tensor | None  # (b, n1, 1, n2) bool: no class is possible
    dead1: Tensor | None  # (b, n1, k): 1.0 or 0.0
    dead2: Tensor | None  # (b, k, n2)
    pin: Tensor  # (b, k, n2): closes the gauge (lam_.y + c, mu_y. - c) by doubling one diagonal entry per class
    eye: Tensor  # (k, k)
    kept: Kept | None = None  # the unknowns mu that are alive in some problem, where these are few

    def rows(self, index: Tensor) -> "Support":
        """Return the supports of the problems at `index`."""
        dead, dead1, dead2 = (_at(part, index) for part in (self.dead, self.dead1, self.dead2))
        return Support(dead, dead1, dead2, self.pin[index], self.eye, self.kept)


def _at(value: Tensor | None, index: Tensor) -> Tensor | None:
    return None if value is None else value[index]


def support_of(p1: Tensor, p2: Tensor) -> Support:
    """Find the support of a batch, and pin the most likely x2 of each class."""
    pin = torch.full_like(p2, 1.0 + JITTER).scatter_(2, p2.argmax(2, keepdim=True), 2.0)
    eye = torch.eye(p2.shape[1], dtype=p2.dtype, device=p2.device)
    if bool(p1.all()) and bool(p2.all()):
        return Support(None, None, None, pin, eye)
    alive1, alive2 = (p1 > 0).to(p1), (p2 > 0).to(p2)
    dead = torch.bmm(alive1, alive2) == 0
    kept = alive2.amax(0).flatten().nonzero().squeeze(1)
    few = len(kept) < _FEW * p2[0].numel()
    kept = Kept(kept, *p2.shape[1:]) if few else None
    return Support(dead.unsqueeze(2), 1.0 - alive1, 1.0 - alive2, pin, eye, kept)


class Workspace:
    """Large buffers that are used again at each iteration: fresh pages from the system cost more than the work."""

    def __init__(self):
        self._flat: dict[str, Tensor] = {}
        self._last: dict[str, Tensor] = {}

    def take(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Return an uninitialized tensor of that shape; taking the same name again overwrites it."""
        last = self._last.get(name)
        if last is not None and last.shape == shape:
            return last
        size = math.prod(shape)
        flat = self._flat.get(name)
        if flat is None or len(flat) < size:
            flat = self._flat[name] = like.new_empty(size)
        last = self._last[name] = flat[:size].view(shape)
        return last


def _raise(diagonal: Tensor, factor: Tensor | float, dead: Tensor | None) -> Tensor:
    """Raise a diagonal in place, put 1 where an unknown is dead: it then stays 0."""
    if dead is not None:
        diagonal += dead
    return diagonal.mul_(factor)


def robust_cholesky(build: Callable[[], Tensor], scale: Tensor) -> Tensor:
    """Lower Cholesky factors of the matrices that `build` makes again; above the diagonal anything may stand.

    Where a factorization fails the diagonal is raised by a growing share of `scale`. Never raises.
    """
    factor, info = _cholesky(build())
    if not info.any():
        return factor
    jitter, failed = JITTER, info > 0
    for _ in range(TRIES):
        jitter *= 20.0
        matrix = build()
        diagonal = matrix.diagonal(dim1=-2, dim2=-1)
        diagonal.add_(jitter * failed.unsqueeze(-1) * scale.reshape(diagonal.shape))
        factor, info = _cholesky(matrix)
        if not info.any():
            return factor
        failed |= info > 0
    # only NaN gets here: an identity keeps the batch alive, and the solver drops the element
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.where(info[..., None, None] > 0, eye, factor)


def _cholesky(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Factor, and tell by numbers above 0 which elements failed; batches of middle size go block by block, in place.

    On a CPU the library takes the matrices of a batch one by one, at a tenth of the speed of a product.
    """
    b, side = matrix.shape[0], matrix.shape[-1]
    if matrix.ndim != 3 or b < 4 or side < 3 * _BLOCK or matrix.is_cuda:
        return cholesky_ex(matrix)
    failed = torch.zeros(b, dtype=torch.int32)
    for start in range(0, side, _BLOCK):
        here, rest = slice(start, start + _BLOCK), slice(start + _BLOCK, side)
        corner, info = cholesky_ex(matrix[:, here, here])
        failed |= info
        matrix[:, here, here] = corner
        if start + _BLOCK < side:
            panel = solve_triangular(corner.mT, matrix[:, rest, here], upper=True, left=False)
            matrix[:, rest, here] = panel
            matrix[:, rest, rest] -= panel @ panel.mT
    return matrix, failed


def _solve_factored(factor: Tensor, rhs: Tensor) -> Tensor:
    # torch.cholesky_solve would copy every factor first
    half = solve_triangular(factor, rhs, upper=False)
    return solve_triangular(factor.mT, half, upper=True)


class EliminateRows:
    """Eliminate lam, whose blocks over x1 are k x k; one Schur matrix of side n2 * k remains.

    Its cost is about 2 n1 n2^2 k^3: best while k is small.
    """

    def __init__(self, q: Tensor, w: Tensor, rc: Tensor, support: Support, space: Workspace):
        b, n1, k, n2 = q.shape
        block = space.take("block", q, b, n1, k, k, n2)  # b x1 y y' x2
        torch.mul((w * rc).unsqueeze(3), w.unsqueeze(2), out=block)
        block.diagonal(dim1=2, dim2=3).add_(q.transpose(2, 3))
        rows, columns = block.sum(-1), block.sum(1)
        size = _raise(rows.diagonal(dim1=-2, dim2=-1), 1.0 + JITTER, support.dead1)
        factor = robust_cholesky(rows.clone, size).view(b * n1, k, k)
        self.inverse = solve_triangular(factor, support.eye, upper=False)
        self.kept = kept = support.kept
        wide = block.view(b * n1, k, k * n2)
        wide = wide if kept is None else wide.index_select(2, kept.index)
        half = torch.bmm(self.inverse, wide, out=space.take("half", q, *wide.shape))
        self.tall = half.view(b, n1 * k, -1)
        self.flat = self.tall.mT
        size = _raise(columns.diagonal(dim1=1, dim2=2).mT, support.pin, support.dead2)

        def schur() -> Tensor:
            if kept is not None:
                out = columns.flatten(1).index_select(1, kept.source).view(b, *kept.met.shape).mul_(kept.met)
                return out.baddbmm_(self.flat, self.tall, alpha=-1)
            out = space.take("schur", q, b, k * n2, k * n2)
            out.baddbmm_(self.flat, self.tall, beta=0, alpha=-1)  # beta = 0: whatever stood there is ignored
            out.view(b, k, n2, k, n2).diagonal(dim1=2, dim2=4).add_(columns)
            return out

        self.factor = robust_cholesky(schur, size if kept is None else size.flatten(1).index_select(1, kept.index))

    def solve(self, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the steps of lam (b, n1, k, 1) and mu (b, 1, k, n2)."""
        b, n1, k, _ = b1.shape
        # the inverse as one matrix would square the condition number of the triangle
        x1 = torch.bmm(self.inverse, b1.reshape(b * n1, k, 1)).view(b, n1 * k, 1)
        rhs = b2.reshape(b, -1, 1)
        rhs = rhs if self.kept is None else rhs.index_select(1, self.kept.index)
        dmu = _solve_factored(self.factor, torch.baddbmm(rhs, self.flat, x1, alpha=-1))
        back = torch.baddbmm(x1, self.tall, dmu, alpha=-1)
        dlam = torch.bmm(self.inverse.mT, back.view(b * n1, k, 1))
        if self.kept is not None:
            dmu = b2.new_zeros(b, b2[0].numel(), 1).index_copy_(1, self.kept.index, dmu)
        return dlam.view_as(b1), dmu.view_as(b2)


class EliminateMarginals:
    """Eliminate lam and mu class by class; one matrix over the cells, of side n1 * n2, remains (Woodbury).

    Its cost is about 4 n1^2 n2^2 k + (n1 n2)^3 / 3: best when k is large.
    """

    def __init__(self, q: Tensor, w: Tensor, rc: Tensor, support: Support, space: Workspace):
        b, n1, _, n2 = q.shape
        rc = rc.squeeze(2)
        self.q, self.w, self.rc = q, w, rc
        self._invert_classes(support)
        by_class = w.transpose(1, 2).unsqueeze(1)  # b 1 y x1 x2
        # S[ij, i'j'] = sum_y w_ij w_i'j' (A_ii' + B_ij' + B_i'j + C_jj'): one half of it, the other is its transpose
        left = by_class * (0.5 * self.a.transpose(1, 2).unsqueeze(-1) + self.b.transpose(1, 2).unsqueeze(3))
        half = (left.flatten(3).mT @ w).view(b, n1, n1, n2, n2).permute(0, 2, 3, 1, 4)
        left = by_class * (0.5 * self.c).permute(0, 3, 1, 2).unsqueeze(3)  # b x2' y x1 x2
        other = (left.flatten(3).mT @ w.permute(0, 3, 2, 1)).view(b, n2, n1, n2, n1).permute(0, 2, 3, 4, 1)
        half = (half + other).reshape(b, n1 * n2, n1 * n2)
        schur = half + half.mT
        diagonal = schur.diagonal(dim1=1, dim2=2)
        diagonal.mul_(1.0 + JITTER).add_(1.0 / rc.clamp_min(_SMALL).flatten(1))
        # without this scale the entries 1 / rc span too many powers of ten
        self.scale = diagonal.rsqrt()
        schur.mul_(self.scale.unsqueeze(-1)).mul_(self.scale.unsqueeze(-2))
        self.factor = robust_cholesky(schur.clone, torch.ones_like(self.scale))

    def _invert_classes(self, support: Support) -> None:
        """Invert [[diag d1, q], [q', diag d2]] per class as [[a, b], [b', c]], its gauge closed."""
        q = self.q.transpose(1, 2).contiguous()
        d1, d2 = q.sum(-1), q.sum(-2)
        if support.dead1 is not None and support.dead2 is not None:
            d1, d2 = d1 + support.dead1.transpose(1, 2), d2 + support.dead2
        scaled = q / d1.unsqueeze(-1)
        matrix = torch.diag_embed(d2 * support.pin) - q.mT @ scaled
        factor = robust_cholesky(matrix.clone, d2)
        self.c = torch.cholesky_inverse(factor.flatten(0, 1)).view_as(matrix)
        self.b = -(scaled @ self.c)
        self.a = torch.diag_embed(1.0 / d1) - self.b @ scaled.mT

    def _classwise(self, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the inverse of the class blocks."""
        b1, b2 = b1.transpose(1, 2).unsqueeze(-1), b2.unsqueeze(-1)
        x1 = self.a @ b1 + self.b @ b2
        x2 = self.b.mT @ b1 + self.c @ b2
        return x1.squeeze(-1).transpose(1, 2), x2.squeeze(-1)

    def _woodbury(self, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
        x1, x2 = self._classwise(b1, b2)
        seen = (self.w * (x1.unsqueeze(-1) + x2.unsqueeze(1))).sum(2).flatten(1)
        z = _solve_factored(self.factor, (seen * self.scale).unsqueeze(-1)).squeeze(-1) * self.scale
        vz = self.w * z.view(len(z), -1, 1, self.w.shape[-1])
        y1, y2 = self._classwise(vz.sum(-1), vz.sum(1))
        return x1 - y1, x2 - y2

    def _apply(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        """Multiply by H."""
        x = x1.unsqueeze(-1) + x2.unsqueeze(1)
        x = self.q * x + self.w * (self.rc * (self.w * x).sum(2)).unsqueeze(2)
        return x.sum(-1), x.sum(1)

    def solve(self, b1: Tensor, b2: Tensor) -> tuple[Tensor, Tensor]:
        """Return the steps of lam (b, n1, k) and mu (b, k, n2), refined once: Woodbury's formula cancels."""
        b1, b2 = b1.squeeze(3), b2.squeeze(1)
        x1, x2 = self._woodbury(b1, b2)
        h1, h2 = self._apply(x1, x2)
        e1, e2 = self._woodbury(b1 - h1, b2 - h2)
        return (x1 + e1).unsqueeze(3), (x2 + e2).unsqueeze(1)
