"""What an estimate says in words: for each atom whether its size can be read, or only that it is there."""

from typing import TYPE_CHECKING

from mmpid.estimate.terms import ATOMS

if TYPE_CHECKING:
    from mmpid.estimate.results import PIDEstimate

BLIND_HEADS = (
    "what heads that each see one source predict cannot carry an exclusive-or: zero synergy holds for these codes, "
    'and may not hold for the embeddings. Estimate embeddings with discretizer="kmeans" to look for it.'
)
HEADS = ("prediction", "soft", "posterior")


def describe(estimate: "PIDEstimate") -> list[str]:
    """Sentences about each atom of a held-out estimate, and about what its codes cannot show."""
    if not estimate.scores:
        return []
    sentences = [describe_atom(estimate, atom) for atom in ATOMS]
    if set(estimate.observable.split("+")) <= set(HEADS) and not estimate.proven["synergy"]:
        sentences.append(BLIND_HEADS)
    return sentences


def describe_atom(estimate: "PIDEstimate", atom: str) -> str:
    """Say whether an atom is there, and whether its size can be read."""
    low, high = estimate.interval[atom]
    value = float(getattr(estimate.pid, atom))
    proven, readable = estimate.proven[atom], estimate.identified[atom]
    if proven and readable:
        return f"{atom} is there, and its size can be read: {value:.2f} bit, from {low:.2f} to {high:.2f}."
    if proven:
        return f"{atom} is there, at least {low:.2f} bit; its size cannot be read from a sample this small."
    if readable:
        return f"{atom} is not proven: it may be zero, and is at most {max(high, 0.0):.2f} bit."
    return f"{atom}: this small a sample shows neither presence nor size; at most {max(high, 0.0):.2f} bit."
