"""Test accuracies of several methods over seeds, and what their paired differences say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmpid import _validate
from mmpid._tables import html_table, text_table
from mmpid.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Comparison:
    """Test accuracies of several methods over seeds, and what their paired differences say.

    Attributes
    ----------
    rows : tuple of dict
        One row per seed and classifier: `seed`, `method`, `test_accuracy`, `selected_epoch`. Their order does not
        matter: methods are paired by seed.
    """

    rows: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        keys = [(row["method"], row["seed"]) for row in self.rows]
        twice = sorted({key for key in keys if keys.count(key) > 1}, key=str)
        if twice:
            method, seed = twice[0]
            raise InputError(
                f"`rows` must hold each method once per seed; {method!r} came more than once with {seed}. Drop one."
            )

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas table, one row per seed and classifier."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def difference(self, method: str, reference: str = "joint") -> tuple[float, float, float]:
        """Return mean and 95 % interval (Student t over seeds) of `method` minus `reference`, in accuracy."""
        table = self._table()
        for name in (method, reference):
            _validate.choice(name, "method", list(table))
        one, two = table[method], table[reference]
        if one.keys() != two.keys():
            lacking = [
                f"{name!r} lacks {', '.join(map(str, sorted(all_seeds - own)))}"
                for name, own in ((method, set(one)), (reference, set(two)))
                if (all_seeds := one.keys() | two.keys()) - own
            ]
            raise InputError(
                f"methods are compared seed by seed, so both must have the same seeds; {' and '.join(lacking)}. Train "
                "the missing ones, or leave those seeds out of `rows`."
            )
        return paired_interval(np.array([one[seed] - two[seed] for seed in one]))

    def summary(self, reference: str = "joint") -> "pd.DataFrame":
        """Return a pandas table: mean accuracy of each method, its paired difference to `reference`, and a verdict."""
        import pandas as pd

        rows = []
        for method, accuracy in self._table().items():
            mean, low, high = self.difference(method, reference)
            verdict = "reference" if method == reference else _verdict(low, high)
            rows.append((method, float(np.mean(list(accuracy.values()))), mean, low, high, verdict))
        columns = ["method", "test_accuracy", "mean", "low", "high", "verdict"]
        return pd.DataFrame(rows, columns=columns).set_index("method")

    def _table(self) -> dict[str, dict[int, float]]:
        """Return accuracies by method and seed."""
        table: dict[str, dict[int, float]] = {}
        for row in self.rows:
            table.setdefault(row["method"], {})[row["seed"]] = row["test_accuracy"]
        return table

    def _lines(self) -> list[list[str]]:
        reference = "joint" if "joint" in self._table() else next(iter(self._table()))
        return [
            [
                str(name),
                f"{100 * r.test_accuracy:.1f}",
                f"{100 * r['mean']:+.1f} [{100 * r.low:+.1f}, {100 * r.high:+.1f}]",
                str(r.verdict),
            ]
            for name, r in self.summary(reference).iterrows()
        ]

    def _header(self) -> list[str]:
        n = len({row["seed"] for row in self.rows})
        return ["method", f"test accuracy %, {n} seeds", "minus reference, points [95 %]", "verdict"]

    def __repr__(self) -> str:
        return text_table(self._header(), self._lines())

    def _repr_html_(self) -> str:
        return html_table(self._header(), self._lines())


def paired_interval(differences: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student-t interval of paired differences; the interval is infinite for a single pair.

    Examples
    --------
    >>> mean, low, high = paired_interval(np.array([0.02, 0.03, 0.04]))
    >>> f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    '0.030 [0.005, 0.055]'
    """
    from scipy.stats import t

    mean, n = float(np.mean(differences)), len(differences)
    if n < 2:
        return mean, -np.inf, np.inf
    half = float(t.ppf(0.5 + level / 2, n - 1) * np.std(differences, ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def _verdict(low: float, high: float) -> str:
    return "better" if low > 0 else "worse" if high < 0 else "within noise"
