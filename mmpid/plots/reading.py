"""Read the values of a probe row by name: the one place that knows how rows name their atoms."""

import math
from collections.abc import Mapping, Sequence
from typing import cast

from mmpid.pid.names import unique_key
from mmpid.runs.probe import Atom


def read_atom(probe: Mapping, atom: str) -> Atom | None:
    """Return an atom of a probe row, or None where it is missing or not a number.

    If the probe does not say whether the atom is proven, its interval decides, provided that the sample identifies the
    atom.
    """
    low, high = probe.get(f"{atom}_low"), probe.get(f"{atom}_high")
    null_low, null_high = probe.get(f"{atom}_null_low"), probe.get(f"{atom}_null_high")
    identified = probe.get(f"{atom}_identified") is not False
    proven = probe.get(f"{atom}_proven")
    proven = identified and low is not None and low > 0 if proven is None else bool(proven)
    found = Atom(probe.get(atom), low, high, null_low, null_high, identified, proven)
    return found if found.is_known else None


def value_of(reading: Atom) -> float:
    """Return the value, in bits, of an atom that `read_atom` or `known_by` returned: it is never None."""
    return cast(float, reading.value)


def known_by(probe: Mapping, index: int, name: str) -> Atom | None:
    """Return all that one modality knows about the label, I(X; Y) in bits: what it alone knows plus what is shared.

    With two modalities the second part is the redundancy; with more, each has its own.
    """
    shared = f"redundancy.{name}" if f"redundancy.{name}" in probe else "redundancy"
    own, both = read_atom(probe, unique_key(index + 1)), read_atom(probe, shared)
    if own is None or both is None:
        return None
    noise = math.hypot(own.half_width, both.half_width)
    value = value_of(own) + value_of(both)
    known = own.identified and both.identified
    return Atom(value, value - noise, value + noise, identified=known, proven=value > noise)


def label_entropy(metadata: Mapping, probes: Sequence[Mapping] = ()) -> float:
    """Return H(Y) in bits: all there is to know about the label.

    It comes from the class frequencies if the record has them and from equally frequent classes otherwise, and is never
    less than what a probe found.
    """
    prior, classes = metadata.get("data", {}).get("prior_loss"), metadata.get("class_names") or ()
    bits = prior / math.log(2) if prior else math.log2(len(classes)) if len(classes) > 1 else 1.0
    totals = [probe["total"] for probe in probes if probe.get("total") is not None and math.isfinite(probe["total"])]
    return max([bits, *totals])


def steps_per_epoch(metadata: Mapping, path: Sequence[Mapping] = ()) -> int | None:
    """Return how many batches make an epoch, from the settings or from two epochs of the path; None if neither says."""
    samples, size = (
        metadata.get("data", {}).get("sizes", {}).get("train"),
        metadata.get("settings", {}).get("batch_size"),
    )
    if samples and size:
        return math.ceil(samples / size)
    steps = [row["step"] for row in path if row["kind"] == "epoch"][-2:]
    return steps[1] - steps[0] if len(steps) == 2 and steps[1] > steps[0] else None


def placed_probes(path: Sequence[Mapping], metadata: Mapping) -> list[Mapping]:
    """Return the probe rows of a path; a probe requested within an epoch stands at its fraction of that epoch.

    `path` holds rows of every kind, in order. A row at the end of an epoch is returned as it is.
    """
    per_epoch, base, placed = steps_per_epoch(metadata, path), 0, []
    for row in path:
        if row["kind"] == "epoch" or row.get("action") == "rewind":
            base = row.get("step", base)
        elif row["kind"] == "probe":
            beyond = row.get("step", base) - base
            if per_epoch and 0 < beyond < per_epoch:
                row = {**row, "epoch": row["epoch"] + beyond / per_epoch}
            placed.append(row)
    return placed
