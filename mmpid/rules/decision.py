"""A decision and what it rests on: plain data that a rule returns and the trainer obeys."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite

CERTIFIED = 1e-6  # bit; what a certified decomposition cannot tell from nothing


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do after a probe, and why, in one sentence.

    Attributes
    ----------
    action : {"hold", "pause", "resume", "switch"}
        "switch" starts joint training; "hold" changes nothing and says what is being waited for. A record also has
        "rewind", "learning_rate", "batch_size" and "rule", which only the user and the trainer itself decide.
    reason : str
        The evidence in words, with its numbers and units.
    epoch : int
        Epoch of the probe that it rests on.
    modality : str
        Whose encoder is paused or resumed; empty otherwise.
    rule : str
        Who decided.
    rewind_to : int, optional
        Epoch whose state a switch should start from; None means the present one.
    from_scratch : bool
        Whether a switch hands nothing over: joint training then starts as it does without a stage 1, with the joint
        head as it was initialized and the full learning rate.
    """

    action: str
    reason: str
    epoch: int
    modality: str = ""
    rule: str = ""
    rewind_to: int | None = None
    from_scratch: bool = False

    def to_dict(self) -> dict:
        """Return plain values, ready for a row of the record."""
        return asdict(self)


def one_per_epoch(probes: Iterable[dict]) -> list[dict]:
    """Return the first of the probes that share an epoch and a stage.

    Further ones were asked for by hand before the epoch's end: they are no evidence of what more training brings.
    """
    first: dict[tuple, dict] = {}
    for probe in probes:
        first.setdefault((probe["stage"], probe["epoch"]), probe)
    return list(first.values())


def is_known(probe: Mapping, atom: str) -> bool:
    """Whether an atom of a probe row is a finite number, and so are the bounds of its interval where there is one."""
    value, low, high = probe.get(atom), probe.get(f"{atom}_low"), probe.get(f"{atom}_high")
    if value is None or not isfinite(value):
        return False
    return (low is None or isfinite(low)) and (high is None or isfinite(high))


def knows_nothing(probe: Mapping, n_modalities: int) -> bool:
    """Whether redundancy and the unique information of every modality lie within what shuffled labels give.

    Where shuffled labels were not measured the bar is nothing at all, and what is not a number is not nothing.
    """
    atoms = ("redundancy", *(f"unique{i + 1}" for i in range(n_modalities)))
    return all(
        is_known(probe, atom) and probe[atom] <= max(probe.get(f"{atom}_null_high", 0.0), CERTIFIED) for atom in atoms
    )


def half_width(probe: Mapping, atom: str) -> float:
    """Return half the 95 % interval of an atom in a probe row, in bits; 0 when no interval was measured."""
    low, high = probe.get(f"{atom}_low"), probe.get(f"{atom}_high")
    return 0.0 if low is None or high is None else max(0.0, (high - low) / 2)


def unique_values(probe: Mapping) -> list[float]:
    """Return the unique information of every modality in a probe row, in bits, in the order of the modalities."""
    values = []
    while f"unique{len(values) + 1}" in probe:
        values.append(probe[f"unique{len(values) + 1}"])
    return values


def noise_of_difference(a: Mapping, atom_a: str, b: Mapping, atom_b: str) -> float:
    """Return the 95 % half-width of a difference of two atoms, as if their errors were independent, in bits."""
    return (half_width(a, atom_a) ** 2 + half_width(b, atom_b) ** 2) ** 0.5
