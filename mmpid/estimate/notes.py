"""What an estimate chose and what is wrong with its input, in words."""

import warnings
from dataclasses import dataclass, field

from mmpid.errors import MMPIDWarning


@dataclass
class Notes:
    """Sentences for the result; those with a warning class are also warned at the public door."""

    sentences: list[str] = field(default_factory=list[str])
    alerts: list[tuple[str, type[MMPIDWarning]]] = field(default_factory=list[tuple[str, type[MMPIDWarning]]])

    def add(self, sentence: str, category: type[MMPIDWarning] | None = None) -> None:
        """Keep a sentence, and warn of it later if it has a category."""
        self.sentences.append(sentence)
        if category is not None:
            self.alerts.append((sentence, category))

    def warn(self, stacklevel: int) -> None:
        """Give the collected warnings, attributed to the caller of the public door."""
        for sentence, category in self.alerts:
            warnings.warn(sentence, category, stacklevel=stacklevel + 1)
