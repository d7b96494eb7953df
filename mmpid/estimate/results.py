"""`PIDEstimate`: atoms from samples with their uncertainty, and what was chosen on the way."""

from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmpid._tables import html_table, text_table
from mmpid.errors import InputError
from mmpid.estimate.terms import ATOMS
from mmpid.pid import PIDResult

if TYPE_CHECKING:
    from mmpid.estimate.frames import DataFrame

# Bits above zero that rounding alone can give to the lower end of an interval.
ROUNDING = 1e-9
HEADER = ("atom", "estimate", "95 % interval", "plug-in", "status")


@dataclass(frozen=True, kw_only=True, repr=False)
class PIDEstimate:
    """Partial information decomposition of codes, estimated from samples, in bits.

    Attributes
    ----------
    pid : PIDResult
        Estimated atoms. Negative numbers are kept: clipping them would bias averages.
    plugin : PIDResult
        Atoms of the counted joint, uncorrected; its ``gap`` certifies the solver, not the sample.
    interval : dict of str to (float, float)
        95 % interval of each atom, for one atom at a time. Held-out: from held-out scores. Counted: bootstrap, widened
        by what is unknown of the bias; empty without bootstrap.
    proven : dict of str to bool
        Whether the lower end of the interval is above 0; empty without intervals.
    scores : dict of str to float
        Mean held-out score in bits per sample, log2 of the probability given to the true class, of the predictors
        "prior", "source1", "source2", "without_synergy" and "full"; empty for the counted estimator.
    null : dict of str to (float, float)
        95 % band of each atom under shuffled labels, that is, of sources that know nothing; empty unless asked for. An
        atom inside it is not distinguishable from zero; outside, look at ``interval`` too.
    bracket : dict of str to (float, float)
        Two readings of each atom, lower first; it is not an interval. Held-out: from scores on held-out samples and on
        the training samples (S: both corrections of the counted table). Counted: permutation and chance adjustment.
    identified : dict of str to bool
        Whether the size of an atom can be read: two samples or more per cell of the table that it depends on.
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
        What was counted: "kmeans", "prediction", "soft", "posterior", "codes", "quantile" or "custom".
    correction, pairwise_correction : str
        "permutation", "ami", "mean" or "none": what was applied to S, and to R, U1 and U2 (held-out: "none").
    n_boot, n_null : int
        Bootstrap replicates behind ``interval``; shuffles behind the correction and ``null``.
    replicate_gap : float
        Largest certified solver error of a replicate, in bits; far below the statistical noise.
    notes : tuple of str
        What was chosen and why, what each atom's numbers say, and what to beware of.
    estimator : str
        "held-out" or "counted".
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
    estimator: str = "counted"
    scores: dict[str, float] = field(default_factory=dict[str, float])
    sample_scores: Tensor | None = field(default=None, repr=False)
    index: Any = field(default=None, repr=False)

    @property
    def proven(self) -> dict[str, bool]:
        """Whether the lower end of each atom's interval is above 0."""
        return {atom: low > ROUNDING for atom, (low, _) in self.interval.items()}

    def with_notes(self, notes: tuple[str, ...]) -> "PIDEstimate":
        """Return the same estimate with other notes."""
        return replace(self, notes=notes)

    def pointwise(self) -> "DataFrame":
        """Each sample's share in the atoms: which samples need both sources, and which only one.

        Returns
        -------
        pandas.DataFrame
            One row per sample, with the index of the input where that had one; columns redundancy, unique1, unique2 and
            synergy in bits. With s the score log2 p(class) of a predictor that did not see the sample, redundancy is
            s1 + s2 - s_without_synergy - s_prior, unique1 is s_without_synergy - s2, synergy is
            s_full - s_without_synergy.

        Raises
        ------
        InputError
            For the counted estimator, which has no scores.

        Notes
        -----
        Column means are the held-out readings of the atoms, which are lower than ``pid``. A single number is noisy and
        often negative: look at means over kinds of samples.
        """
        from mmpid.estimate.frames import frame_of_table

        if self.sample_scores is None:
            raise InputError('`pointwise` needs held-out scores; this estimate was made with estimator="counted".')
        prior, one, two, union, full = self.sample_scores
        table = torch.stack([one + two - union - prior, union - two, union - one, full - union], dim=1)
        return frame_of_table(table.numpy(), ATOMS, self.index)

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
            if self.scores:
                row[f"{atom}_proven"] = self.proven[atom]
        row["total"] = sum(float(row[atom]) for atom in ATOMS)
        row["gap"] = float(self.plugin.gap)
        row["n_samples"] = self.n_samples
        row["observable"], row["correction"] = self.observable, self.correction
        if self.scores:
            row["estimator"] = self.estimator
        return row

    def to_frame(self) -> "DataFrame":
        """One row per atom: estimate, interval, plug-in, null band, bracket, proven, identified, needed (pandas)."""
        from mmpid.estimate.frames import frame_of_rows

        return frame_of_rows([self._frame_row(atom) for atom in ATOMS], ATOMS, "atom")

    def _frame_row(self, atom: str) -> dict[str, float | bool | int]:
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
            "proven": self.proven.get(atom, False),
            "identified": self.identified[atom],
            "needed": self.needed[atom],
        }

    def _headline(self) -> str:
        n1, n2 = self.n_codes
        return (
            f"PIDEstimate in bits, of the codes ({self.observable}, {n1} x {n2}) about {self.n_classes} classes: "
            f"{self.n_samples} samples, {self.estimator}, correction {self.correction}"
        )

    def _cells(self, atom: str) -> tuple[str, str, str, str]:
        """Estimate, interval, plug-in and status of one atom as text."""
        interval = "[{:.3f}, {:.3f}]".format(*self.interval[atom]) if self.interval else "not asked for"
        status = "identified" if self.identified[atom] else f"not identified, needs {self.needed[atom]:,} samples"
        if self.scores:
            status = f"{'proven' if self.proven[atom] else 'not proven'}, {status}"
        return f"{float(getattr(self.pid, atom)):.3f}", interval, f"{float(getattr(self.plugin, atom)):.3f}", status

    def _rows(self) -> list[tuple[str, ...]]:
        return [(atom, *self._cells(atom)) for atom in ATOMS]

    def __repr__(self) -> str:
        table = text_table(HEADER, self._rows())
        return "\n".join([self._headline(), table, *(f"- {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"{html_table(HEADER, self._rows(), self._headline())}<ul>{notes}</ul>"
