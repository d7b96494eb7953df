"""What the estimators need of pandas, with types; pandas loads slowly, so import this where a table is made."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]  (pandas has none)

DataFrame = pd.DataFrame
_pandas: Any = pd


def frame_by_name(rows: Mapping[str, Mapping[str, object]], index_name: str) -> DataFrame:
    """Return one row for each name."""
    return _pandas.DataFrame.from_dict(dict(rows), orient="index").rename_axis(index_name)


def frame_of_rows(rows: Sequence[Mapping[str, object]], index: Sequence[str], index_name: str) -> DataFrame:
    """Return rows under a named index."""
    return pd.DataFrame(rows, index=pd.Index(index, name=index_name))


def frame_of_table(table: Any, columns: Sequence[str], index: Any) -> DataFrame:
    """Return an array (N, c) as a table."""
    return pd.DataFrame(table, columns=list(columns), index=index)


def frame_of_tables(tables: Mapping[tuple[str, str], DataFrame], levels: Sequence[str]) -> DataFrame:
    """Return tables below each other, their keys as outer levels of the index."""
    return _pandas.concat(dict(tables), names=list(levels))
