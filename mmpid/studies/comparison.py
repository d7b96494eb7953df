"""The table of a study: test scores of methods over data sets and seeds, and what their paired differences say."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError, InputError
from mmpid.studies import exports
from mmpid.studies.pairs import Pair, estimate
from mmpid.studies.predictions import Predictions
from mmpid.studies.space import Space
from mmpid.studies.statistics import Interval, bootstrap, holm, mcnemar, paired_interval, rank_methods
from mmpid.studies.tuning import edges, mean_scores
from mmpid.train.scores import metric_name

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05  # of the family-wise error


@dataclass(frozen=True, repr=False)
class Comparison:
    """Test scores of several methods over data sets and seeds, and what their paired differences say.

    Attributes
    ----------
    rows : tuple of dict
        One row per seed and classifier (and data set): `seed`, `method`, `test_accuracy`, further metrics,
        `selected_epoch`; with several data sets `data`, with tuning `setting`, with a folder `run`. Their order does
        not matter: methods are paired by data set and seed.
    failures : tuple of dict
        Runs that failed: `data`, `seed`, `method`, `setting`, `error`, `run`.
    trials : tuple of dict
        With tuning, one row per run, chosen or not.
    metrics : tuple
        The metrics of the table.
    space : mapping
        What a search could try of each setting; it knows an optimum at an edge by it.
    """

    rows: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...] = ()
    trials: tuple[dict[str, Any], ...] = ()
    metrics: tuple[Any, ...] = ("accuracy",)
    stored: Mapping[tuple[str, str, int], Predictions] = field(default_factory=dict, compare=False)
    space: Space = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self.rows))
        keys = [(row["method"], row["seed"], row.get("data")) for row in self.rows]
        twice = sorted({key for key in keys if keys.count(key) > 1}, key=str)
        if twice:
            method, seed, _ = twice[0]
            raise InputError(
                f"`rows` must hold each method once per seed; {method!r} occurs more than once with seed {seed}. "
                "Drop one."
            )

    # ---- what is in it ---------------------------------------------------------------------------------------------

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in order."""
        return list(dict.fromkeys(row["method"] for row in self.rows))

    @property
    def data(self) -> list[str | None]:
        """Names of the data sets; [None] where there was one without a name."""
        return list(dict.fromkeys(row.get("data") for row in self.rows))

    def to_frame(self, kind: str = "rows") -> "pd.DataFrame":
        """Return a pandas table: the "rows", the "trials" of the tuning, or the "failures"."""
        import pandas as pd

        return pd.DataFrame(getattr(self, _validate.choice(kind, "kind", ("rows", "trials", "failures"))))

    def predictions(self, method: str, seed: int, data: str | None = None) -> "pd.DataFrame":
        """Return one row per test sample: index, group, target, predicted, correct, and p of each class."""
        return self._stored(method, seed, data).to_frame()

    def runs(self, method: str | None = None, data: str | None = None) -> list[Path]:
        """Return the folders behind the numbers of a method (default: all); empty without an `out_dir`."""
        if method is not None:
            _validate.choice(method, "method", self.methods)
        wanted = [r for r in self.rows if method in (None, r["method"]) and data in (None, r.get("data"))]
        return [Path(row["run"]) for row in wanted if "run" in row]

    # ---- pairs -----------------------------------------------------------------------------------------------------

    def difference(
        self, method: str, reference: str = "joint", *, metric: str = "accuracy", data: str | None = None
    ) -> tuple[float, float, float]:
        """Return mean and 95 % interval of `method` minus `reference`, paired by data set and seed.

        The interval holds the noise of the seeds (Student t) and, where the runs' predictions are known, that of the
        test samples, with whole groups as its unit; see :func:`mmpid.studies.statistics.unit_component`. Of several
        data sets it is the mean over exactly these. A seed with which either method failed is left out.
        """
        found = self._estimate(method, reference, metric, data)
        return found.mean, found.low, found.high

    def mcnemar(self, method: str, reference: str = "joint", *, data: str | None = None) -> "pd.DataFrame":
        """Return McNemar's exact test for each seed: samples that only one of the two answers rightly, and p.

        The test takes samples as independent; where groups hold several, read :meth:`bootstrap` instead.
        """
        import pandas as pd

        pair = self._pairs(method, reference, "accuracy", data, need=True)
        rows = []
        for each in pair:
            for seed, one, two in each.correct():
                first, second, p = mcnemar(one, two)
                rows.append(
                    {"data": each.data, "seed": seed, f"only {method}": first, f"only {reference}": second, "p": p}
                )
        frame = pd.DataFrame(rows)
        return frame if self.data != [None] else frame.drop(columns="data")

    def bootstrap(
        self, method: str, reference: str = "joint", *, data: str | None = None, n_boot: int = 2000, seed: int = 0
    ) -> Interval:
        """Return the paired bootstrap of the difference in accuracy: seeds and whole groups are drawn again.

        With fewer than ten seeds percentile intervals are too narrow; :meth:`difference` corrects for that.
        """
        n_boot = _validate.number(n_boot, "n_boot", low=100, integer=True)
        pairs = self._pairs(method, reference, "accuracy", data, need=True)
        if len(pairs) > 1:
            raise ConfigError(f"`data` must name one of {', '.join(str(p.data) for p in pairs)} for a bootstrap.")
        return bootstrap(*pairs[0].deltas(), n_boot, seed)

    def summary(self, reference: str = "joint", *, metric: str = "accuracy") -> "pd.DataFrame":
        """Return a pandas table: mean score of each method, its paired difference to `reference`, and a verdict.

        `p` is of the difference, `p_holm` adjusted for all comparisons of the table; the verdict uses the latter.
        With tuning `setting` won on validation, `edge` names values at an end of what was tried, and `best_on_test`
        is what choosing on the test split would have reported.
        """
        import pandas as pd

        rows = []
        for data in self.data:
            for method in dict.fromkeys(row["method"] for row in self.rows if row.get("data") == data):
                rows.append(self._summarize(method, reference, metric, data))
        asked = [row for row in rows if row["method"] != reference]
        for row, p in zip(asked, holm([row["p"] for row in asked]), strict=True):
            row["p_holm"] = p
            row["verdict"] = "within noise" if p >= LEVEL else "better" if row["mean"] > 0 else "worse"
        return pd.DataFrame(rows).set_index("method" if self.data == [None] else ["data", "method"])

    def _summarize(self, method: str, reference: str, metric: str, data: str | None) -> dict[str, Any]:
        found = self._estimate(method, reference, metric, data)
        scores = list(self._table(metric, data)[method].values())
        row: dict[str, Any] = {} if self.data == [None] else {"data": data}
        row |= {"method": method, f"test_{metric}": float(np.mean(scores)), "mean": found.mean, "low": found.low}
        row |= {"high": found.high, "verdict": "reference", "p": found.p, "p_holm": 1.0, "n": found.n}
        if self.failures:
            row["failed"] = sum(f["method"] == method and data in (None, f["data"]) for f in self.failures)
        return row | (self._tuned(method, metric, data) if self.trials else {})

    def _tuned(self, method: str, metric: str, data: str | None) -> dict[str, Any]:
        own = [t for t in self.trials if t["method"] == method and data in (None, t["data"])]
        by_setting: dict[str, list[float]] = {}
        for trial in own:
            by_setting.setdefault(exports.words(trial["setting"]), []).append(trial[f"test_{metric}"])
        won = next(t["setting"] for t in own if t["chosen"])
        ends = edges(won, [t["setting"] for t in self.trials], self.space)
        best = max(by_setting, key=lambda name: np.mean(by_setting[name]))
        return {
            "setting": exports.words(won), "edge": ", ".join(f"{k} is {end}" for k, end in ends.items()),
            "best_on_test": float(np.mean(by_setting[best])), "best_setting": best,
        }  # fmt: skip

    # ---- several data sets, several settings -----------------------------------------------------------------------

    def ranks(self, *, metric: str = "accuracy") -> "pd.DataFrame":
        """Return mean ranks over data sets, best first; `attrs` hold "critical_difference" (Nemenyi), "p" and "n_data".

        A method that lacks a data set is left out. With few data sets hardly any difference is beyond chance.
        """
        import pandas as pd

        tables = [self._table(metric, data) for data in self.data]
        names = [name for name in self.methods if all(name in table for table in tables)]
        if len(tables) < 2 or len(names) < 2:
            raise ConfigError(
                f"ranks need at least two data sets and two methods that ran on all; there were {len(tables)} and "
                f"{len(names)}. Try compare({{'first': ..., 'second': ...}}, methods=[...])."
            )
        scores = np.array([[np.mean(list(table[name].values())) for name in names] for table in tables])
        found = rank_methods(scores)
        frame = pd.DataFrame({"method": names, "mean_rank": found.mean}).set_index("method").sort_values("mean_rank")
        frame.attrs |= {"critical_difference": found.critical_difference, "p": found.p, "n_data": len(tables)}
        return frame

    def sensitivity(self) -> "pd.DataFrame":
        """Return mean scores for each data set, method and setting, and whether it was chosen."""
        if not self.trials:
            raise ConfigError("nothing was tuned. Try compare(..., tune={'lr': [0.005, 0.02, 0.08]}).")
        return mean_scores(self.trials)

    # ---- exports ---------------------------------------------------------------------------------------------------

    def to_csv(self, path: Any = None) -> str | None:
        """Write the rows as CSV, with the folder of every run; without a path return the text."""
        return exports.written(self.to_frame().to_csv(index=False), path)

    def to_markdown(self, path: Any = None, *, reference: str = "") -> str | None:
        """Write the summary as a Markdown table; without a path return the text."""
        return exports.written(exports.markdown(self, reference), path)

    def to_latex(self, path: Any = None, *, reference: str = "") -> str | None:
        """Write the summary as a LaTeX tabular, noise in gray (package xcolor); without a path return the text."""
        return exports.written(exports.latex(self, reference), path)

    def to_html(self, path: Any = None, *, reference: str = "") -> str | None:
        """Write the summary as HTML, every number with links to its runs; without a path return the text."""
        return exports.written(exports.html(self, reference), path)

    def __repr__(self) -> str:
        return exports.text(self)

    def _repr_html_(self) -> str:
        return exports.html(self)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _table(self, metric: str, data: str | None = None) -> dict[str, dict[int, float]]:
        """Return scores by method and seed, of one data set."""
        name = _validate.choice(metric, "metric", ["accuracy", *map(metric_name, self.metrics)])
        table: dict[str, dict[int, float]] = {}
        for row in self.rows:
            if data in (None, row.get("data")):
                table.setdefault(row["method"], {})[row["seed"]] = row[f"test_{name}"]
        return table

    def _stored(self, method: str, seed: int, data: str | None) -> Predictions:
        _validate.choice(method, "method", self.methods)
        known = [key for key in self.stored if key[1] == method and data in (None, key[0])]
        found = [key for key in known if key[2] == seed]
        if not found:
            _validate.choice(seed, "seed", [key[2] for key in known])
        if len({key[0] for key in found}) != 1:
            raise ConfigError(f"`data` must be one of {', '.join(sorted({key[0] for key in found}))}; it was {data!r}.")
        return self.stored[found[0]]

    def _pairs(self, method: str, reference: str, metric: str, data: str | None, need: bool = False) -> list[Pair]:
        for name in (method, reference):
            _validate.choice(name, "method", self.methods)
        if data is not None:
            _validate.choice(data, "data", self.data)
        wanted = self.data if data is None else [data]
        pairs = [self._pair(method, reference, metric, each) for each in wanted]
        if need and not all(pair.predictions for pair in pairs):
            raise ConfigError(
                "this needs predictions of single samples; these rows have none. Use a table from compare()."
            )
        return [pair for pair in pairs if pair.seeds] or pairs[:1]

    def _pair(self, method: str, reference: str, metric: str, data: str | None) -> Pair:
        table = self._table(metric, data)
        one, two = table.get(method, {}), table.get(reference, {})
        failed = {f["seed"] for f in self.failures if f["method"] in self._trained(method, reference)
                  and data in (None, f["data"])}  # fmt: skip
        if one.keys() - failed != two.keys() - failed:
            lacking = [
                f"{name!r} lacks {', '.join(map(str, sorted(missing)))}"
                for name, own in ((method, one), (reference, two))
                if (missing := (one.keys() | two.keys()) - own.keys() - failed)
            ]
            raise InputError(
                f"methods are compared seed by seed, so both must have the same seeds; {' and '.join(lacking)}. Train "
                "the missing ones, or leave those seeds out of `rows`."
            )
        seeds = [seed for seed in one if seed in two]
        stored = {(m, s): p for (d, m, s), p in self.stored.items() if data in (None, d) and m in (method, reference)}
        return Pair(
            data, seeds, np.array([one[s] - two[s] for s in seeds]), method, reference, metric, self.metrics, stored
        )

    def _trained(self, *methods: str) -> set[str]:
        """Return names under which runs of these methods can have failed: modalities come from "unimodal"."""
        return {*methods, "unimodal"}

    def _estimate(self, method: str, reference: str, metric: str, data: str | None) -> Interval:
        return estimate(self._pairs(method, reference, metric, data))


__all__ = ["Comparison", "paired_interval"]
