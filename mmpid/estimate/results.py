"""`PIDEstimate`: atoms from samples with their uncertainty, and what was chosen on the way."""

from dataclasses import dataclass
from html import escape

from mmpid._tables import html_table, text_table
from mmpid.estimate.terms import ATOMS
from mmpid.pid import PIDResult

HEADER = ("atom", "estimate", "95 % interval", "plug-in", "status")


@dataclass(frozen=True, kw_only=True, repr=False)
class PIDEstimate:
    """Partial information decomposition estimated from samples, in bits.

    Attributes
    ----------
    pid : PIDResult
        Bias-corrected atoms. Negative numbers are kept: clipping them would bias averages.
    plugin : PIDResult
        Atoms of the counted joint, uncorrected; its ``gap`` certifies the solver, not the sample.
    interval : dict of str to (float, float)
        95 % bootstrap interval of each corrected atom, widened by what is unknown of the bias; for one atom at a
        time; empty without bootstrap.
    null : dict of str to (float, float)
        95 % band of each corrected atom under shuffled labels, that is, of sources that know nothing; empty without
        null replicates. An atom inside it is not distinguishable from zero; outside, look at ``interval`` too.
    bracket : dict of str to (float, float)
        Each atom by permutation and by chance adjustment, lower first; the plug-in twice where no labels were
        shuffled. For synergy the truth mostly lies between them, but it is not an interval: no probability belongs
        to it.
    identified : dict of str to bool
        Whether the sample has two samples or more per cell of the table that the atom depends on.
    needed : dict of str to int
        Number of samples from which the atom counts as identified.
    n_samples, n_groups : int
        Samples counted; independent groups among them (equal to ``n_samples`` without groups).
    n_clusters : int
        The larger of the two numbers of codes.
    n_codes : tuple of int
        Codes of source 1 and source 2.
    n_classes : int
        Classes of the target.
    observable : str
        What was counted: "kmeans", "prediction", "soft", "codes", "quantile" or "custom".
    correction, pairwise_correction : str
        "permutation", "ami", "mean" or "none": what was applied to S, and to R, U1 and U2.
    n_boot, n_null : int
        Replicates behind ``interval`` and behind the correction and ``null``.
    replicate_gap : float
        Largest certified solver error of a replicate, in bits; far below the statistical noise.
    notes : tuple of str
        What was chosen and why, and what to beware of.
    """

    pid: PIDResult
    plugin: PIDResult
    interval: dict[str, tuple[float, float]]
    null: dict[str, tuple[float, float]]
    bracket: dict[str, tuple[float, float]]
    identified: dict[str, bool]
    needed: dict[str, int]
    n_samples: int
    n_groups: int
    n_clusters: int
    n_codes: tuple[int, int]
    n_classes: int
    observable: str
    correction: str
    pairwise_correction: str
    n_boot: int
    n_null: int
    replicate_gap: float
    notes: tuple[str, ...]

    def to_row(self) -> dict[str, float | bool | int | str]:
        """Flat dictionary of JSON scalars for a run record: each atom with _low, _high, _plugin, ... beside it."""
        row: dict[str, float | bool | int | str] = {}
        for atom in ATOMS:
            row[atom] = float(getattr(self.pid, atom))
            row[f"{atom}_plugin"] = float(getattr(self.plugin, atom))
            row[f"{atom}_identified"] = self.identified[atom]
            if self.interval:
                row[f"{atom}_low"], row[f"{atom}_high"] = self.interval[atom]
            if self.null:
                row[f"{atom}_null_low"], row[f"{atom}_null_high"] = self.null[atom]
        row["total"] = sum(row[atom] for atom in ATOMS)
        row["gap"] = float(self.plugin.gap)
        row["n_samples"] = self.n_samples
        row["observable"], row["correction"] = self.observable, self.correction
        return row

    def to_frame(self):
        """One row per atom: estimate, interval, plug-in, null band, bracket, identified, needed (pandas)."""
        import pandas as pd

        return pd.DataFrame([self._frame_row(atom) for atom in ATOMS], index=pd.Index(ATOMS, name="atom"))

    def _frame_row(self, atom: str) -> dict:
        nothing = (float("nan"), float("nan"))
        low, high = self.interval.get(atom, nothing)
        null_low, null_high = self.null.get(atom, nothing)
        return {
            "estimate": float(getattr(self.pid, atom)),
            "low": low,
            "high": high,
            "plugin": float(getattr(self.plugin, atom)),
            "null_low": null_low,
            "null_high": null_high,
            "bracket_low": self.bracket[atom][0],
            "bracket_high": self.bracket[atom][1],
            "identified": self.identified[atom],
            "needed": self.needed[atom],
        }

    def _headline(self) -> str:
        n1, n2 = self.n_codes
        return (
            f"PIDEstimate in bits: {self.n_samples} samples, {self.observable} {n1} x {n2} codes, "
            f"{self.n_classes} classes, correction {self.correction}"
        )

    def _cells(self, atom: str) -> tuple[str, str, str, str]:
        """Estimate, interval, plug-in and status of one atom as text."""
        interval = "[{:.3f}, {:.3f}]".format(*self.interval[atom]) if self.interval else "not asked for"
        status = "identified" if self.identified[atom] else f"not identified, needs {self.needed[atom]:,} samples"
        return f"{float(getattr(self.pid, atom)):.3f}", interval, f"{float(getattr(self.plugin, atom)):.3f}", status

    def _rows(self) -> list[tuple[str, ...]]:
        return [(atom, *self._cells(atom)) for atom in ATOMS]

    def __repr__(self) -> str:
        table = text_table(HEADER, self._rows())
        return "\n".join([self._headline(), table, *(f"- {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"{html_table(HEADER, self._rows(), self._headline())}<ul>{notes}</ul>"
