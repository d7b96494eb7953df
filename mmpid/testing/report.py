"""A table of checks: what was looked at, what was found, and what to do about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from mmpid import _validate
from mmpid._tables import html_table

FINE, WARNING, BREAKS = "fine", "warning", "breaks"
HEADER = ("check", "verdict", "found", "what to do")


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes
    ----------
    check : str
        What was looked at.
    verdict : {"fine", "warning", "breaks"}
        "breaks": training stops with an error, or its figures mean nothing. "warning": it runs, and may mislead.
    found : str
        What was found, with figures.
    advice : str
        What to do; empty where all is fine.
    """

    check: str
    verdict: str
    found: str
    advice: str = ""

    def __post_init__(self):
        _validate.choice(self.verdict, "verdict", (FINE, WARNING, BREAKS))


@dataclass(frozen=True)
class CheckReport:
    """Findings in the order in which they were made; print it, iterate it, or call :meth:`to_frame`."""

    title: str
    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing breaks; there may be warnings."""
        return not self.of(BREAKS)

    def of(self, verdict: str) -> tuple[Finding, ...]:
        """Return the findings of one verdict."""
        _validate.choice(verdict, "verdict", (FINE, WARNING, BREAKS))
        return tuple(finding for finding in self.findings if finding.verdict == verdict)

    def to_frame(self):
        """Return a pandas table, one row per check."""
        import pandas as pd

        rows = [(f.check, f.verdict, f.found, f.advice) for f in self.findings]
        return pd.DataFrame(rows, columns=["check", "verdict", "found", "advice"])

    def _verdict(self) -> str:
        counts = [(len(self.of(BREAKS)), "would break"), (len(self.of(WARNING)), "may mislead")]
        said = ", ".join(f"{n} {word}" for n, word in counts if n)
        return f"{self.title}: {len(self)} checks, {said or 'all fine'}"

    def __repr__(self) -> str:
        width = max((len(f.check) for f in self.findings), default=0)
        lines = [self._verdict()]
        for finding in self.findings:
            lines.append(f"{finding.verdict:<8} {finding.check:<{width}}  {finding.found}")
            if finding.advice:
                lines.append(f"{'':<8} {'':<{width}}  -> {finding.advice}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [[f.check, f.verdict, f.found, f.advice] for f in self.findings]
        return html_table(HEADER, rows, caption=escape(self._verdict()))
