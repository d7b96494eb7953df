"""Where the optimum q goes that the solver finds problem by problem: a dense tensor, a sparse one, or nowhere."""

from typing import Literal

import torch
from torch import Tensor

from mmpid.pid.pattern import Floats, Pattern
from mmpid.pid.typed import sparse_coo, tensor_of

Storage = Literal["dense", "sparse", "none"]


class OptimumStore:
    """Takes q as (b, n1, k, n2), in parts, and gives it back as (b, n1, n2, k)."""

    def __init__(self, storage: Storage, batch: int, n1: int, n2: int, k: int, like: Tensor):
        self.storage, self.shape, self.like = storage, (batch, n1, n2, k), like
        self._dense: Tensor | None = None
        self._parts: list[tuple[Tensor, Tensor]] = []

    def put(self, index: Tensor | None, q: Tensor) -> None:
        """Store q of the problems at `index`, or of all of them."""
        if self.storage == "dense":
            if index is None:
                self._dense = q.transpose(2, 3)
            else:
                self._filled()[index] = q.transpose(2, 3)
        elif self.storage == "sparse":
            problem, x1, y, x2 = q.nonzero(as_tuple=True)
            values = q[problem, x1, y, x2]
            problem = problem if index is None else index[problem]
            self._parts.append((torch.stack([problem, x1, x2, y]), values))

    def put_cells(self, problem: int, pattern: Pattern, q: Floats) -> None:
        """Store q of one problem, given on the cells of its pattern."""
        x1, x2, y = pattern.x1[pattern.first], pattern.x2[pattern.second], pattern.y1[pattern.first]
        if self.storage == "dense":
            self._filled()[problem].numpy()[x1, x2, y] = q
        elif self.storage == "sparse":
            places = torch.stack([tensor_of(part) for part in (x1, x2, y)])
            first = torch.full_like(places[:1], problem)
            self._parts.append((torch.cat([first, places]), tensor_of(q)))

    def _filled(self) -> Tensor:
        if self._dense is None:
            self._dense = self.like.new_zeros(self.shape)
        return self._dense

    def tensor(self) -> Tensor:
        """Return what was stored; without storage an empty tensor."""
        if self.storage == "none":
            return self.like.new_zeros(0)
        if self.storage == "dense":
            return self._filled()
        return sparse_tensor(self._parts, self.shape, self.like)


def sparse_tensor(parts: list[tuple[Tensor, Tensor]], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Put parts, each indices (axes, m) and values (m,), together as a coalesced tensor in coordinate format."""
    if not parts:
        indices, values = torch.zeros(len(shape), 0, dtype=torch.int64, device=like.device), like.new_zeros(0)
    else:
        indices, values = (torch.cat([part[i] for part in parts], dim=-1) for i in (0, 1))
    return sparse_coo(indices, values, shape, coalesced=False).coalesce()
