"""What the lessons ask of a learner: predictions, typed before a cell runs, and exercises, at which "Run All" stops."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

from mmpid._tables import html_table, text_table
from mmpid.errors import InputError

Answer = float | str | None
HEADER = ("", "predicted", "measured", "measured - predicted")
# Only just after the cell ran: a page with a stored output must stay where it is. Twice, since the page still grows.
_COME_INTO_VIEW = """
const show = () => element.closest('.jp-Cell, .cell')?.scrollIntoView({{block: 'center'}});
if (Math.abs(Date.now() - {now}) < 60000) [100, 1000].forEach(delay => setTimeout(show, delay));
"""


@dataclass(frozen=True)
class Outcome:
    """Predictions beside measured values; shows itself as a table.

    Attributes
    ----------
    rows : tuple
        For each question: name, prediction or None, measured value.
    """

    rows: tuple[tuple[str, Answer, float | str], ...]

    @property
    def differences(self) -> dict[str, float]:
        """Measured minus predicted, for every number that was predicted."""
        pairs = {name: (guess, value) for name, guess, value in self.rows}
        return {
            name: float(value) - float(guess)
            for name, (guess, value) in pairs.items()
            if isinstance(guess, Real) and isinstance(value, Real)
        }

    def _cells(self) -> list[tuple[str, ...]]:
        gaps = self.differences
        return [
            (name, "-" if guess is None else _shown(guess), _shown(value), _verdict(guess, value, gaps.get(name)))
            for name, guess, value in self.rows
        ]

    def __repr__(self) -> str:
        return text_table(HEADER, self._cells())

    def _repr_html_(self) -> str:
        return html_table(HEADER, self._cells())


class Prediction:
    """What you expect of a run, typed before it starts.

    A wrong prediction teaches more than a right one, but only if it was written down. The table shows both values and
    their difference, and gives no grade.

    Parameters
    ----------
    **guesses : float, str or None
        One per question: a number, or a word such as "rises". None leaves the question open.

    Raises
    ------
    InputError
        A guess is neither a number nor text.

    Examples
    --------
    >>> before = Prediction(audio=0.8, image=None, redundancy="rises")
    >>> before.compare(audio=0.71, image=0.66, redundancy="rises")
                predicted  measured  measured - predicted
    ----------  ---------  --------  --------------------
    audio             0.8      0.71                 -0.09
    image               -      0.66
    redundancy      rises     rises                  same
    """

    def __init__(self, /, **guesses: Answer):
        for name, guess in guesses.items():
            if not (guess is None or isinstance(guess, str | Real)):
                raise InputError(
                    f"`{name}` must be a number, text or None; it was {type(guess).__name__}. Try {name}=0.5."
                )
        self.guesses = guesses

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={'?' if guess is None else _shown(guess)}" for name, guess in self.guesses.items())
        return f"Prediction({told})"

    def compare(self, measured: Mapping[str, float | str] | None = None, /, **more: float | str) -> Outcome:
        """Return predictions beside measured values.

        Parameters
        ----------
        measured, **more : mapping, float or str
            The measured value of every question, under its name: as one mapping (a row of a frame too), or by name.

        Raises
        ------
        InputError
            A question has no measured value.
        """
        found = {**(dict(measured) if measured is not None else {}), **more}
        missing = [name for name in self.guesses if name not in found]
        if missing:
            had = ", ".join(map(str, found)) or "none"
            raise InputError(
                f"`measured` must have a value for {', '.join(missing)}; it had {had}. Try compare({missing[0]}=...)."
            )
        return Outcome(tuple((name, guess, found[name]) for name, guess in self.guesses.items()))


class Task(NotImplementedError):
    """The task of an exercise: raise it in a cell that the learner is to write.

    "Run All" stops there, as at every error. A notebook shows the task alone, without a traceback, and scrolls to it.

    Parameters
    ----------
    text : str
        "Exercise N: what to do".

    Examples
    --------
    >>> raise Task("Exercise 1: plot R over the epochs.")
    Traceback (most recent call last):
    mmpid.lessons.Task: Exercise 1: plot R over the epochs.
    """

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows, and ask a notebook page to scroll here."""
        try:
            from IPython import display, get_ipython
        except ImportError:  # IPython alone calls this method
            return [str(self)]
        if getattr(get_ipython(), "kernel", None) is not None:
            display.display(display.Javascript(_COME_INTO_VIEW.format(now=round(1000 * time.time()))))
        return [str(self)]


def _shown(value: Answer) -> str:
    return f"{round(float(value), 3) + 0.0:g}" if isinstance(value, Real) else str(value)


def _verdict(guess: Answer, value: float | str, gap: float | None) -> str:
    """Return the last cell of a row: a difference of numbers, or whether two words are the same."""
    if gap is not None:
        return f"{round(gap, 3) + 0.0:+g}"
    if guess is None:
        return ""
    return "same" if str(guess).strip().casefold() == str(value).strip().casefold() else "other"
