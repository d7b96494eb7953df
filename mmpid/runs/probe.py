"""A probe of a record as an object: its atoms, with their uncertainty, by the names of the modalities.

On disk a probe is a flat row that numbers the modalities: "unique1" is the unique information of the first one. Nobody
else reads that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import hypot, inf, isfinite
from typing import Any, Literal, NamedTuple

from mmpid.pid.names import unique_key

CERTIFIED = 1e-6  # bits; a certified decomposition cannot tell less than this from zero


class Atom(NamedTuple):
    """One atom of a probe, in bits; what was not measured is None.

    Attributes
    ----------
    value : float or None
        The estimate, corrected for bias.
    low, high : float or None
        Ends of the 95 % interval.
    null_low, null_high : float or None
        The band that shuffled labels give.
    identified : bool
        Whether the sample is large enough for this atom.
    proven : bool
        Whether the lower end of the interval is above zero.

    Examples
    --------
    >>> atom = Atom(0.3, low=0.2, high=0.5)
    >>> atom.is_known, atom.half_width, atom.proven
    (True, 0.15, False)
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    null_low: float | None = None
    null_high: float | None = None
    identified: bool = True
    proven: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the value is a finite number, and so are the ends of its interval where there is one."""
        known = self.value is not None and isfinite(self.value)
        return known and (self.low is None or isfinite(self.low)) and (self.high is None or isfinite(self.high))

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval, in bits; 0 where no interval was measured."""
        return 0.0 if self.low is None or self.high is None else max(0.0, (self.high - self.low) / 2)

    @property
    def is_nothing(self) -> bool:
        """Whether the value lies within what shuffled labels give.

        Where shuffled labels were not measured, only zero is nothing. An atom that is not known is never nothing.
        """
        if self.value is None or not self.is_known:
            return False
        return self.value <= max(0.0 if self.null_high is None else self.null_high, CERTIFIED)

    def noise_of_difference(self, other: "Atom") -> float:
        """Return the 95 % half-width of the difference of two atoms, as if their errors were independent, in bits.

        It is never below what the solver certifies: two zeros that differ by rounding are equal.
        """
        return max(CERTIFIED, hypot(self.half_width, other.half_width))


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe: when it was made, and what the encoders knew then. A live, typed view of a row of the record.

    Attributes
    ----------
    row : dict
        The flat row itself, with everything that has no attribute here (proxies, pairs of modalities, seconds).
    modalities : tuple of str
        Names, in the order in which the row numbers them.

    Notes
    -----
    Every attribute is read from the row when it is asked for. With three or more modalities `unique` is against the
    rest, and `redundancy` and `synergy` are means over the modalities.

    Examples
    --------
    >>> row = {"epoch": 3, "stage": "unimodal", "redundancy": 0.9, "unique1": 0.4, "unique1_low": 0.1, "unique2": 0.2}
    >>> probe = Probe.from_row(row, ["audio", "image"])
    >>> probe.epoch, probe.unique["audio"].value, probe.unique["audio"].proven, probe.synergy.value
    (3, 0.4, True, None)
    >>> round(probe.information("image"), 3)
    1.1
    """

    row: Mapping[str, Any]
    modalities: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any], modalities: Sequence[str] = ()) -> "Probe":
        """Return the view of a row; without names of modalities they are taken from the row as well as it can tell."""
        return cls(row, tuple(modalities) or _names_in(row))

    @property
    def epoch(self) -> int:
        """Epoch after which the probe was made; 0 is the untrained network."""
        return self.row["epoch"]

    @property
    def step(self) -> int:
        """Number of batches before the probe."""
        return self.row.get("step", 0)

    @property
    def stage(self) -> str:
        """Stage of the run, "unimodal" or "joint"."""
        return self.row["stage"]

    @property
    def segment(self) -> int:
        """Number of the segment of the record."""
        return self.row.get("segment", 0)

    @property
    def redundancy(self) -> Atom:
        """What the modalities know in common."""
        return _read(self.row, "redundancy")

    @property
    def synergy(self) -> Atom:
        """What only the modalities together know."""
        return _read(self.row, "synergy")

    @property
    def unique(self) -> dict[str, Atom]:
        """What only one modality knows, by its name."""
        return {name: _read(self.row, unique_key(i)) for i, name in enumerate(self.modalities, start=1)}

    @property
    def total(self) -> float | None:
        """Information of all modalities together, in bits."""
        return self.row.get("total")

    @property
    def gap(self) -> float | None:
        """Certified bound on the error of each atom, in bits."""
        return self.row.get("gap")

    @property
    def n_samples(self) -> int | None:
        """Number of samples in the probe."""
        return self.row.get("n_samples")

    @property
    def n_groups(self) -> int | None:
        """Number of groups of samples; None where samples have none."""
        return self.row.get("n_groups")

    @property
    def observable(self) -> str | None:
        """What was decomposed: "prediction", "kmeans" or "soft"."""
        return self.row.get("observable")

    @property
    def active(self) -> dict[str, bool]:
        """Whether each modality was being trained, by its name."""
        return {name: bool(self.row.get(f"active.{name}", True)) for name in self.modalities}

    @property
    def is_held_out(self) -> bool:
        """Whether the atoms were estimated on held-out samples, so that the lower ends of their intervals hold."""
        return self.row.get("estimator") == "held-out"

    @property
    def knows_nothing(self) -> bool:
        """Whether redundancy and all unique information may be zero.

        Held out: none of them is proven. Counted: all lie within what shuffled labels give.
        """
        atoms = [self.redundancy, *self.unique.values()]
        if self.is_held_out:
            return all(atom.is_known for atom in atoms) and not any(atom.proven for atom in atoms)
        return all(atom.is_nothing for atom in atoms)

    def information(self, modality: str) -> float | None:
        """Return all that one modality knows about the label, ``I(Y; X_m) = R_m + U_m``, in bits."""
        unique = self.row.get(unique_key(1 + self.modalities.index(modality)))
        shared = self.row.get(f"redundancy.{modality}", self.row.get("redundancy"))
        return None if unique is None or shared is None else unique + shared


def unique_keys(modalities: Iterable[str]) -> dict[str, str]:
    """Return the key of each modality's unique information in a row, by the name of the modality.

    Examples
    --------
    >>> unique_keys(["audio", "image"])
    {'audio': 'unique1', 'image': 'unique2'}
    """
    return {name: unique_key(i) for i, name in enumerate(modalities, start=1)}


def one_per_epoch(probes: Iterable[Probe]) -> list[Probe]:
    """Return the first of the probes that share an epoch and a stage.

    The user asked for the others before the epoch ended: they do not show what more training brings.
    """
    first: dict[tuple[str, int], Probe] = {}
    for probe in probes:
        row = probe.row
        first.setdefault((row["stage"], row["epoch"]), probe)
    return list(first.values())


def highest(probes: Iterable[Probe], atom: Literal["redundancy", "synergy"]) -> Probe | None:
    """Return the first probe with the highest known value of an atom, or None; cheap for thousands of probes."""
    best, top = None, -inf
    for probe in probes:
        value = probe.row.get(atom)
        if value is not None and value > top and _read(probe.row, atom).is_known:
            best, top = probe, value
    return best


@cache
def _keys(atom: str) -> tuple[str, ...]:
    """Return the keys of what stands beside the value of an atom in a row."""
    return tuple(f"{atom}_{field}" for field in ("low", "high", "null_low", "null_high", "identified", "proven"))


def _read(row: Mapping[str, Any], atom: str) -> Atom:
    """Return one atom of a row."""
    low_key, high, null_low, null_high, identified, proven_key = _keys(atom)
    get = row.get
    low, proven = get(low_key), get(proven_key)
    if proven is None:
        proven = low is not None and low > 0
    return Atom(get(atom), low, get(high), get(null_low), get(null_high), get(identified) is not False, bool(proven))


def _names_in(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return names of modalities for a row of a record that does not tell them."""
    count = 0
    while unique_key(count + 1) in row:
        count += 1
    active = tuple(key.removeprefix("active.") for key in row if key.startswith("active."))
    return active if len(active) == count else tuple(f"source{i + 1}" for i in range(count))
