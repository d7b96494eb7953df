"""What `estimate_marginals` returns: three atoms with intervals, and the range of the fourth."""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from mmpid._tables import html_table, text_table
from mmpid.estimate.terms import ATOMS

if TYPE_CHECKING:
    from mmpid.estimate.frames import DataFrame

PAIRWISE = ATOMS[:3]
HEADER = ("atom", "bits", "95 % interval", "status")


@dataclass(frozen=True, kw_only=True)
class MarginalEstimate:
    """R, U1 and U2 from two samples without pairs, in bits, and the range of S.

    Attributes
    ----------
    redundancy, unique1, unique2 : float
        Estimated atoms.
    interval : dict of str to (float, float)
        95 % interval of each of the three, for one atom at a time.
    identified : dict of str to bool
        Whether the size of an atom can be read: two samples or more per cell of either table of codes and classes.
    synergy_range : tuple of float
        Least and largest synergy that the two samples allow: 0, and H(Y) less the lower end of the union information.
    class_shares : tuple of float
        p(y), to which both samples are weighted.
    scores : dict of str to float
        Mean held-out score in bits of the predictors "prior", "source1", "source2" and "without_synergy".
    n_samples, n_codes : tuple of int
        Of either sample.
    observable : str
        What was counted, as in `PIDEstimate`.
    notes : tuple of str
        What was chosen, and what to beware of.
    """

    redundancy: float
    unique1: float
    unique2: float
    interval: dict[str, tuple[float, float]]
    identified: dict[str, bool]
    synergy_range: tuple[float, float]
    class_shares: tuple[float, ...]
    scores: dict[str, float]
    n_samples: tuple[int, int]
    n_codes: tuple[int, int]
    observable: str
    notes: tuple[str, ...]

    @property
    def proven(self) -> dict[str, bool]:
        """Whether the lower end of each atom's interval is above 0; synergy never is, without pairs."""
        return {atom: low > 0 for atom, (low, _) in self.interval.items()} | {"synergy": False}

    def to_frame(self) -> "DataFrame":
        """One row per atom: estimate, low, high, proven, identified (pandas); synergy has its range and no estimate."""
        from mmpid.estimate.frames import frame_of_rows

        rows: list[dict[str, object]] = [
            {"estimate": getattr(self, atom), "low": self.interval[atom][0], "high": self.interval[atom][1]}
            for atom in PAIRWISE
        ]
        rows.append({"estimate": float("nan"), "low": self.synergy_range[0], "high": self.synergy_range[1]})
        known = self.identified | {"synergy": False}
        rows = [row | {"proven": self.proven[a], "identified": known[a]} for row, a in zip(rows, ATOMS, strict=True)]
        return frame_of_rows(rows, ATOMS, "atom")

    def _headline(self) -> str:
        sizes, codes = (" and ".join(f"{n:,}" for n in pair) for pair in (self.n_samples, self.n_codes))
        return (
            f"MarginalEstimate in bits, of the codes ({self.observable}, {codes}) about {len(self.class_shares)} "
            f"classes: {sizes} samples that are not paired"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        rows = [
            (
                atom,
                f"{getattr(self, atom):.3f}",
                "[{:.3f}, {:.3f}]".format(*self.interval[atom]),
                "proven" if self.proven[atom] else "not proven",
            )
            for atom in PAIRWISE
        ]
        return [*rows, ("synergy", "", "", "from {:.3f} to {:.3f}, unknown without pairs".format(*self.synergy_range))]

    def __repr__(self) -> str:
        table = text_table(HEADER, self._rows())
        return "\n".join([self._headline(), table, *(f"- {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"{html_table(HEADER, self._rows(), self._headline())}<ul>{notes}</ul>"
