"""The words of a headline: names that fit, bits with two decimals, whole percentages, each with its noise."""

import math
from collections.abc import Mapping, Sequence

from mmpid.plots.palette import modality_role
from mmpid.plots.reading import read_atom, value_of
from mmpid.plots.story.view import View
from mmpid.rules import FixedEpoch
from mmpid.runs.probe import Atom

SENTENCE = 58  # characters of a sentence
SHORTEST = 6  # length to which a name may be cut
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
LEVELED, RATE_95 = 0.05, 1.96


def bits(value: float) -> str:
    """Return bits with two decimals; negative values are written as zero."""
    return f"{max(value, 0.0):.2f}"


def percent(share: float) -> str:
    """Return a share as a whole percentage."""
    return f"{100 * share:.0f} %"


def pair(first: float, second: float) -> str:
    """Return two shares that differ, with one digit where they would look equal."""
    digits = 0 if round(100 * first) != round(100 * second) else 1
    return f"{100 * first:.{digits}f} to {100 * second:.{digits}f} %"


def count(n: int) -> str:
    """Return a small number as a word."""
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def capital(words: str) -> str:
    """Return words with a capital first letter; the rest stays as it is."""
    return words[:1].upper() + words[1:]


def clip(words: str, most: int) -> str:
    """Return words on one line, cut to `most` characters with an ellipsis."""
    words = " ".join(words.split())
    return words if len(words) <= most else words[: max(most - 1, 1)].rstrip() + "…"


def shown(names: Sequence[str], most: int = 14) -> list[str]:
    """Return names short enough for a sentence and still distinct."""
    short = [clip(name, most) for name in names]
    return [cut if short.count(cut) == 1 else clip(f"{i + 1} {cut}", most) for i, cut in enumerate(short)]


def about(view: View, template: str, *who: int) -> tuple[tuple[str, str], ...]:
    """Return a sentence in parts, with the modalities `who` in place of {0}, {1}, each in its color.

    Long names are cut so that the sentence keeps its length.
    """
    fixed = len(template) - 3 * len(who)
    room = max((SENTENCE - fixed) // max(len(who), 1), SHORTEST)
    names = shown(view.names, room)
    parts: list[tuple[str, str]] = []
    rest = template
    for place, index in enumerate(who):
        before, rest = rest.split(f"{{{place}}}", 1)
        name = capital(names[index]) if not before and place == 0 else names[index]
        parts += [(before, "")] if before else []
        parts.append((name, modality_role(index)))
    return (*parts, (rest, "")) if rest else tuple(parts)


def noise_between(a: Atom, b: Atom) -> float:
    """Return the 95 % half-width of a difference, treating both errors as independent."""
    return math.hypot(a.half_width, b.half_width)


def leads(high: Atom, low: Atom) -> bool:
    """Whether one unique information is above another one beyond the noise."""
    return value_of(high) - value_of(low) > max(noise_between(high, low), 1e-6)


def ratio(view: View, high: Atom, low: Atom) -> float:
    """Return how many times as much one knows alone, as the controller counts it."""
    return value_of(high) / max(value_of(low), view.floor)


def apart(view: View, unique: Sequence[Atom], high: int, low: int, times: bool = True) -> str:
    """Return two unique informations with their ratio and their noise."""
    names, a, b = shown(view.names), unique[high], unique[low]
    words = f"{capital(names[high])} alone {bits(value_of(a))} bits, {names[low]} alone {bits(value_of(b))}"
    by = f" ({ratio(view, a, b):.1f} to 1)" if times and value_of(a) > value_of(b) > 0 else ""
    return f"{words}{by}, noise ±{bits(noise_between(a, b))}."


def alone(row: Mapping, key: str, names: Sequence[str]) -> str:
    """Return how often the best and the worst single heads are right; with two heads, both."""
    found = [
        (row[f"{key}.{name}"], cut)
        for name, cut in zip(names, shown(names), strict=True)
        if row.get(f"{key}.{name}") is not None
    ]
    found.sort(reverse=True)
    ends = found if len(found) <= 2 else [found[0], found[-1]]
    return (", " if len(found) <= 2 else " to ").join(
        f"{name} {percent(share)}" for share, name in ends
    ) or "not measured"


def points(share: float, n: int | None) -> int | None:
    """Return the 95 % half-width of an accuracy, in points."""
    return None if not n else max(1, math.ceil(100 * RATE_95 * math.sqrt(share * (1 - share) / n)))


def noise_of(first: float | None, second: float | None, n: int | None) -> tuple[int | None, bool]:
    """Return the noise of a difference of two accuracies in points, and whether the difference is beyond it."""
    if first is None or second is None or not n:
        return None, False
    half = RATE_95 * math.sqrt((first * (1 - first) + second * (1 - second)) / n)
    return max(1, math.ceil(100 * half)), abs(first - second) > half


def _gain_of_both(view: View) -> tuple[float, int, float] | None:
    """Return what "both know" gained over the rule's patience in stage 1, over how many probes, and its noise."""
    probes = [row for row in view.probes if row["stage"] == "unimodal"]
    patience = int(getattr(view.rule, "patience", 5))
    if len(probes) <= patience:
        return None
    now, before = read_atom(probes[-1], "redundancy"), read_atom(probes[-1 - patience], "redundancy")
    if now is None or before is None:
        return None
    return value_of(now) - value_of(before), patience, max(now.half_width, LEVELED)


def change_of_both(view: View) -> str:
    """Return how much of what both know has changed before joint training started."""
    found = _gain_of_both(view)
    if found is None:
        return "The controller's rule says so."
    gain, patience, noise = found
    whom = "both know" if len(view.names) == 2 else "several know"
    return f"What {whom} changed by {gain:+.2f} bits in {patience} probes, noise {noise:.2f}.".replace("-", "−")


def what_is_next(view: View) -> str:
    """Return what happens next in stage 1 while nobody leads."""
    if not view.auto:
        return "you decide."
    found = _gain_of_both(view)
    whom = "both know" if len(view.names) == 2 else "several know"
    if found is None or found[0] > found[2]:
        return f"stage 1; what {whom} still rises."
    epoch = _expected_switch(view)
    return f"joint training at epoch {epoch} or later." if epoch else "joint training, when the rule says so."


def _expected_switch(view: View) -> int | None:
    """Return the epoch at which the rule allows joint training, if it names one in the future."""
    budget, share, epoch = view.settings.get("epochs"), getattr(view.rule, "min_share", None), None
    if isinstance(view.rule, FixedEpoch):
        epoch = view.rule.epoch
    elif budget and share is not None:
        epoch = math.ceil(share * budget)
    return int(epoch) if epoch is not None and view.epoch is not None and epoch > view.epoch else None
