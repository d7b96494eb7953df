"""What a proxy returns, and the table of proxies on offer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from math import isnan

import torch
from torch import Tensor


class ByModality(Mapping[str, Tensor]):
    """Rows of a table by modality, cut out of it on request.

    Parameters
    ----------
    modalities : tuple of str
        Names of the rows.
    table : Tensor, shape (R, K) or wider
        The table that contains the rows.
    first : int
        Index of the row of the first modality.
    n_classes : int
        K, the number of values per row.
    """

    def __init__(self, modalities: tuple[str, ...], table: Tensor, first: int, n_classes: int):
        self._modalities, self._table, self._first, self._n_classes = modalities, table, first, n_classes

    def __getitem__(self, modality: str) -> Tensor:
        if modality not in self._modalities:
            raise KeyError(modality)
        return self._table[self._first + self._modalities.index(modality), : self._n_classes]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modalities)

    def __len__(self) -> int:
        return len(self._modalities)

    def __repr__(self) -> str:
        return repr(dict(self))


def weighted_sums(table: Tensor, weights: Tensor) -> list[float]:
    """Return sums (R,) over the columns of a table (R, C), and where some are NaN, means of the others."""
    sums = torch.linalg.vecdot(table, weights).tolist()
    if any(map(isnan, sums)):
        sums = ((table * weights).nansum(1) / (~table.isnan() * weights).sum(1)).tolist()
    return sums


@dataclass(frozen=True, kw_only=True)
class ProxyResult:
    """One proxy of competitive strength, measured on one probe batch.

    Attributes
    ----------
    name : str
        Name of the proxy, one of those in `available`.
    by_modality : dict of str to float
        Strength of each modality. NaN where nothing could be measured.
    by_class : mapping of str to Tensor, shape (K,)
        Strength of each modality on each class. NaN for classes that the probe batch does not contain.
    unit : str
        Unit of the numbers, for axes and tables.
    cost : float
        Forward passes through the model over the probe batch; a backward pass counts as two. 0 for proxies that
        need only the logits or embeddings which the probe has already computed.
    """

    name: str
    by_modality: dict[str, float]
    by_class: Mapping[str, Tensor]
    unit: str
    cost: float

    @classmethod
    def of(cls, **fields) -> "ProxyResult":
        """Build a result from all its fields, in half the time that a frozen dataclass takes to set them one by one."""
        result = object.__new__(cls)
        object.__setattr__(result, "__dict__", fields)
        return result

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.by_modality.items())
        return f"ProxyResult({self.name}: {values} [{self.unit}], cost {self.cost:g})"

    def to_frame(self):
        """Return one row per modality and class as a pandas DataFrame."""
        import pandas as pd

        rows = [
            {"proxy": self.name, "modality": modality, "class": index, "value": float(value), "unit": self.unit}
            for modality, values in self.by_class.items()
            for index, value in enumerate(values)
        ]
        return pd.DataFrame(rows, columns=["proxy", "modality", "class", "value", "unit"])


@dataclass(frozen=True, kw_only=True)
class ProxyInfo:
    """Name, formula, unit, needs and cost of one proxy."""

    name: str
    formula: str
    unit: str
    needs: str
    cost: float


@dataclass(frozen=True)
class ProxyTable:
    """The proxies on offer; iterating gives their names, and a notebook shows it as a table.

    Examples
    --------
    >>> from mmpid.ecs import available
    >>> table = available()
    >>> "mi" in table, table["mi"].cost
    (True, 0.0)
    """

    rows: tuple[ProxyInfo, ...]

    def __iter__(self) -> Iterator[str]:
        return (row.name for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> ProxyInfo:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __repr__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [f"{row.name:<{width}}  cost {row.cost:>4g}  [{row.unit}]  {row.formula}" for row in self.rows]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("name", "formula", "unit", "needs", "forward passes"))
        cells = (
            (f"<code>{row.name}</code>", escape(row.formula), row.unit, row.needs, f"{row.cost:g}") for row in self.rows
        )
        body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def to_frame(self):
        """Return one row per proxy as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows])
