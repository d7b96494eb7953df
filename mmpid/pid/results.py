"""The result of a decomposition: tensors of the batch shape, in bits, with a certificate."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmpid._tables import format_number, html_table, text_table
from mmpid.pid.names import ATOMS
from mmpid.pid.optimum import sparse_tensor
from mmpid.pid.typed import floats_of, integers_of

if TYPE_CHECKING:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

_SHOWN = 12


def _rows_of_sparse(optimum: Tensor, shape: torch.Size, index: Any) -> Tensor:
    """Index the batch axes of a sparse tensor, which torch does for single problems only."""
    optimum = optimum.coalesce()
    numbers = torch.arange(shape.numel(), device=optimum.device).view(shape)
    wanted = numbers[index]
    indices, depth = optimum.indices(), len(shape)
    problem = numbers[tuple(indices[:depth])] if depth else torch.zeros_like(indices[0])
    parts: list[tuple[Tensor, Tensor]] = []
    for place, number in enumerate(integers_of(wanted.flatten())):
        here = problem == number
        axes = torch.unravel_index(torch.full_like(problem[here], place), wanted.shape) if wanted.ndim else ()
        parts.append(
            (torch.cat([*(axis.unsqueeze(0) for axis in axes), indices[depth:, here]]), optimum.values()[here])
        )
    return sparse_tensor(parts, (*wanted.shape, *optimum.shape[depth:]), optimum.values())


@dataclass(frozen=True, kw_only=True, repr=False)
class PIDResult:
    """Partial information decomposition of a batch of joints; every number in bits.

    Attributes
    ----------
    redundancy, unique1, unique2, synergy : Tensor, shape (...)
        The four atoms; each is at least -gap, and their sum is I(Y; X1, X2).
    gap : Tensor, shape (...)
        Certified bound on the error of each of the four atoms.
    converged : Tensor of bool, shape (...)
        Whether the gap is within the tolerance that was asked for.
    optimum : Tensor, shape (..., n1, n2, k)
        The minimizing joint q; it has the pairwise marginals p(x1, y) and p(x2, y) of the input. Sparse on request.
    n_iter : Tensor of int64, shape (...)
        Iterations spent on each problem.
    method : str
        The method that produced it.
    """

    redundancy: Tensor
    unique1: Tensor
    unique2: Tensor
    synergy: Tensor
    gap: Tensor
    converged: Tensor
    optimum: Tensor
    n_iter: Tensor
    method: str

    @property
    def total(self) -> Tensor:
        """I(Y; X1, X2), the sum of the four atoms."""
        return self.redundancy + self.unique1 + self.unique2 + self.synergy

    @property
    def shape(self) -> torch.Size:
        """The batch shape."""
        return self.redundancy.shape

    def _map(self, function: Callable[[Tensor], Tensor]) -> "PIDResult":
        tensors = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "method"}
        return replace(self, **{name: function(value) for name, value in tensors.items()})

    def __getitem__(self, index: Any) -> "PIDResult":
        if self.optimum.is_sparse:
            rest = replace(self, optimum=self.redundancy)._map(lambda value: value[index])
            return replace(rest, optimum=_rows_of_sparse(self.optimum, self.shape, index))
        return self._map(lambda value: value[index])

    def detach(self) -> "PIDResult":
        """Return the same result without a graph behind it."""
        return self._map(torch.Tensor.detach)

    def cpu(self) -> "PIDResult":
        """Return the same result on the CPU."""
        return self._map(torch.Tensor.cpu)

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas frame with one row per problem and the columns of the four atoms, total, gap, converged."""
        import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

        flat = self.detach().cpu()
        columns = {name: getattr(flat, name).reshape(-1).numpy() for name in (*ATOMS, "total", "gap", "converged")}
        index = None
        if len(self.shape) > 1:
            index = pd.MultiIndex.from_product([range(size) for size in self.shape])
        return pd.DataFrame(columns, index=index)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        flat = self.detach().cpu()
        names = (*ATOMS, "total", "gap")
        values = torch.stack([getattr(flat, name).reshape(-1) for name in names], -1)[:_SHOWN]
        done = integers_of(flat.converged.reshape(-1)[:_SHOWN])
        rows = [
            [str(i), *(format_number(v) for v in floats_of(row)), "yes" if ok else "no"]
            for i, (row, ok) in enumerate(zip(values, done, strict=True))
        ]
        return ["problem", *names, "converged"], rows

    def _title(self) -> str:
        count = self.redundancy.numel()
        what = "1 problem" if count == 1 else f"{count} problems"
        shown = f", the first {_SHOWN} shown" if count > _SHOWN else ""
        return f"PIDResult: {what} of {tuple(self.optimum.shape[-3:])}, method {self.method!r}, in bits{shown}"

    def __repr__(self) -> str:
        header, rows = self._table()
        return f"{self._title()}\n{text_table(header, rows)}"

    def _repr_html_(self) -> str:
        header, rows = self._table()
        return html_table(header, rows, self._title())
