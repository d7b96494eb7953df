"""Where a counted estimate is known to mislead; nothing here changes a number."""

from torch import Tensor

from mmpid.estimate.notes import Notes

# Of what shuffled labels show of the bias of S: where resampling sees less, cells hold one class and have little bias.
SETTLED = 0.15
# Bits of S that shuffled labels subtract and resampling does not see, below which there is nothing to say.
WORTH_SAYING = 0.05

EQUAL = (
    "where both sources know nearly the same, counted intervals are too narrow and show unique information that is not "
    'there; estimator="held-out" does not.'
)
LOW = (
    "synergy probably reads low, and its interval may lie below the truth: shuffled labels show {shown:.2f} bit of "
    "counting bias, of which resampling sees {seen:.2f}, as where the codes nearly settle the class. More samples, or "
    "fewer codes, help."
)


def note_diagnostics(boot: Tensor, null: Tensor, identified: bool, notes: Notes) -> None:
    """Say what counted intervals cannot see, and where an identified synergy reads low.

    ``boot`` and ``null`` are the biases in bits of I1, I2, Iq and I12 that resampling and shuffled labels show.
    """
    notes.add(EQUAL)
    seen, shown = (float(bias[3] - bias[2]) for bias in (boot, null))
    if identified and seen < SETTLED * shown and shown - seen > WORTH_SAYING:
        notes.add(LOW.format(shown=shown, seen=max(seen, 0.0)))
