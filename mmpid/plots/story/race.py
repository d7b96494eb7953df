"""The sentence about two runs of one seed side by side: whether an encoder starves in one of them."""

import math
from collections.abc import Mapping

import numpy as np

from mmpid.plots.palette import modality_role
from mmpid.plots.story import wording as wd
from mmpid.plots.story.view import Headline

STARVES = 2 / 3  # share of its knowledge in the other run, below which an encoder starves if the gap exceeds the noise
TOO_EARLY = 2  # epochs before anything is said
RATE_95 = 1.96


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the mean of second - first over the same samples, and its 95 % half-width."""
    gap = np.asarray(second, float) - np.asarray(first, float)
    return float(gap.mean()), RATE_95 * float(gap.std(ddof=1)) / math.sqrt(len(gap)) if len(gap) > 1 else math.inf


def race_headline(
    left: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray], names: tuple[str, str], epoch: float
) -> Headline:
    """Return the sentence for one epoch of two runs.

    An encoder starves in a run where it knows less than two thirds of what it knows in the other one, by more than the
    noise; it falls behind if the difference only exceeds the noise.

    Parameters
    ----------
    left, right : mapping of str to array, shape (n,)
        For each modality, what its encoder knows about each of the same n held-out samples, in bits.
    names : tuple of str
        Names of the two runs.
    epoch : float
        The epoch of both runs.

    Examples
    --------
    >>> race_headline({"audio": np.full(9, 0.5)}, {"audio": np.full(9, 1.5)}, ("joint", "two-stage"), 9).sentence
    'joint: audio starves.'
    """
    if epoch < TOO_EARLY:
        words = (("Too early to see a difference.", ""),)
        evidence = "Both runs have the same data, the same seed and the same budget."
        return Headline(situation="early", words=words, sure="early", evidence=evidence, epoch=epoch)
    worst: tuple[float, int, str, float, float] | None = None
    for i, name in enumerate(left):
        gap, noise = paired_difference(left[name], right[name])
        if worst is None or abs(gap) - noise > worst[0]:
            worst = abs(gap) - noise, i, name, gap, noise
    if worst is None or worst[0] <= 0:
        evidence = "Every encoder knows as much in one run as in the other, within the noise; one seed."
        words = (("No clear difference between the two runs.", ""),)
        return Headline(situation="equal", words=words, sure="noise", evidence=evidence, epoch=epoch)
    _, i, name, gap, noise = worst
    a, b = (max(float(np.mean(side[name])), 0.0) for side in (left, right))
    low, high, where = (a, b, names[0]) if gap > 0 else (b, a, names[1])
    starves = low < STARVES * high
    who, what = wd.clip(name, 14), " starves." if starves else " falls behind."
    return Headline(
        situation="starves" if starves else "falls behind",
        words=((f"{wd.clip(where, 24)}: ", ""), (who, modality_role(i)), (what, "")),
        sure="clear",
        evidence=f"{wd.capital(who)} knows {wd.bits(low)} bits there, {wd.bits(high)} in the other run: "
        f"{wd.bits(abs(gap))} less, noise ±{wd.bits(noise)}; one seed.",
        next="more seeds, mmpid.compare.",
        epoch=epoch,
    )
