"""Where an estimate is known to mislead, told from its replicates; the bounds were found by simulation.

They compare the counting bias that resampling sees with the one that shuffled labels show, and change no number.
"""

from torch import Tensor

from mmpid.estimate.notes import Notes

# The redundancy of sources that know nearly the same, over the smaller unique part.
TWICE = 2.0
# Of the bias of I1 + I2 under shuffled labels: where resampling sees less, replicates miss what the sample missed.
BLIND = 0.65
# Half-widths of its interval by which the smaller unique part lies above zero.
ABOVE = 0.75
# Of what shuffled labels show of the bias of S: where resampling sees less, cells hold one class and have little bias.
SETTLED = 0.15
# Bits of S that shuffled labels subtract and resampling does not see, below which there is nothing to say.
WORTH_SAYING = 0.05

EQUAL = (
    "unique1 and unique2 may be counting error: of sources that know nearly the same, each seems to have something of "
    "its own in a sample of this size, so that U1 and U2 read too high, R and S too low, and the intervals are too "
    "narrow. Take more samples before you believe either."
)
LOW = (
    "synergy probably reads low, and its interval may lie below the truth: shuffled labels show {shown:.2f} bit of "
    "counting bias, of which resampling sees {seen:.2f}, as where the codes nearly settle the class. More samples, or "
    "fewer codes, help."
)


def note_diagnostics(
    boot: Tensor, null: Tensor, atoms: Tensor, interval: dict[str, tuple[float, float]], identified: bool, notes: Notes
) -> None:
    """Say where unique information may be noise of equal sources, and where an identified synergy reads low.

    ``boot`` and ``null`` are the biases in bits of I1, I2, Iq and I12 that resampling and shuffled labels show;
    ``atoms`` are the corrected R, U1, U2 and S.
    """
    if look_equal(boot, null, atoms, interval):
        notes.add(EQUAL)
    seen, shown = (float(bias[3] - bias[2]) for bias in (boot, null))
    if identified and seen < SETTLED * shown and shown - seen > WORTH_SAYING:
        notes.add(LOW.format(shown=shown, seen=max(seen, 0.0)))


def prevails(redundancy: float, unique1: float, unique2: float) -> bool:
    """Whether redundancy is so much of what two sources know that they may know nearly the same."""
    return redundancy > max(unique1, unique2, TWICE * min(unique1, unique2))


def look_equal(boot: Tensor, null: Tensor, atoms: Tensor, interval: dict[str, tuple[float, float]]) -> bool:
    """Whether R prevails and what both sources have of their own may come from sampling alone.

    At a smooth point Iq is biased less than I1 + I2. Where the sources know nearly the same it has a kink, and
    resampling sees more bias of Iq than of I1 + I2; where cells are too few to be drawn anew it sees hardly any.
    """
    r, *unique = atoms[:3].tolist()
    bounds = [interval[atom] for atom in ("unique1", "unique2")]
    if not prevails(r, *unique):
        return False
    pairwise, shuffled = float(boot[0] + boot[1]), float(null[0] + null[1])
    if float(boot[2]) >= pairwise > 0:
        smaller, (low, high) = min(zip(unique, bounds, strict=True))
        return smaller >= ABOVE * (high - low) / 2
    return pairwise <= BLIND * shuffled and all(low > 0 for low, _ in bounds)
