"""What a look through a record found: a name, the evidence and what to try."""

from dataclasses import dataclass

from mmpid._tables import html_table, text_table


@dataclass(frozen=True)
class Finding:
    """One failure signature that was seen.

    Attributes
    ----------
    name : str
        Short name of the signature.
    evidence : str
        What was seen, with numbers and units.
    advice : str
        What to try.
    """

    name: str
    evidence: str
    advice: str


class Findings(tuple):
    """What :func:`mmpid.diagnose` found; empty when nothing stands out."""

    __slots__ = ()

    def to_frame(self):
        """Return a pandas table, one row per finding."""
        import pandas as pd

        return pd.DataFrame([vars(f) for f in self], columns=["name", "evidence", "advice"])

    def _rows(self) -> list[list[str]]:
        return [[f.name, f.evidence, f.advice] for f in self] or [["nothing stands out", "", ""]]

    def __repr__(self) -> str:
        return text_table(["finding", "evidence", "advice"], self._rows())

    def _repr_html_(self) -> str:
        return html_table(["finding", "evidence", "advice"], self._rows())
