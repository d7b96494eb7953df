"""The curves of a run: from rows of the record to numbers with a name, a color and a dash.

No drawing here. The notebook board and the static pictures share these functions, so they cannot disagree.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmpid.errors import InputError
from mmpid.pid.names import ATOMS, position_of, unique_key
from mmpid.plots.palette import DASHES, LIGHT, dash_of, modality_role
from mmpid.runs.probe import unique_keys
from mmpid.runs.record import as_record

SHORT_NAMES = dict(zip(ATOMS, ("R", "U1", "U2", "S"), strict=True))

BLUE, ORANGE, VERMILION, SKY, BROWN, OLIVE = (LIGHT[f"m{i}"].line for i in range(6))
PINK, GREEN, GRAY = LIGHT["both"].line, LIGHT["joint"].line, LIGHT["average"].line
_OUTPUTS = {"ens": ("average", "average (ens)"), "joint": ("joint", "joint")}


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One curve: a value against the epoch, optionally with an interval.

    `epoch`, `value`, `low` and `high` have shape (n,) and no NaN; `low` and `high` are None without an interval.
    """

    key: str
    label: str
    epoch: np.ndarray
    value: np.ndarray
    color: str
    dash: str
    role: str = ""
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def thinned(self, most: int) -> "Trace":
        """Return at most `most` points, evenly spaced, always with the first and the last."""
        if len(self.epoch) <= most:
            return self
        keep = np.unique(np.linspace(0, len(self.epoch) - 1, most).round().astype(int))
        parts = {name: getattr(self, name) for name in ("epoch", "value", "low", "high")}
        return replace(self, **{name: part if part is None else part[keep] for name, part in parts.items()})


@dataclass(frozen=True, kw_only=True)
class Band:
    """A region between two curves, for example where synergy lies when the labels are shuffled."""

    label: str
    epoch: np.ndarray
    low: np.ndarray
    high: np.ndarray


def record_of(run):
    """Return the record of a run, given as a `RunRecord`, a trainer, a folder or a file.

    Raises
    ------
    InputError
        If it is none of these, or does not name its modalities.
    """
    record = as_record(run)
    if "modalities" not in record.metadata:
        raise InputError(
            "`record` must name its modalities in its metadata; it had none. Take the record of a run, or make one: "
            "RunRecord({'modalities': ['audio', 'image']})."
        )
    return record


def atoms_for(modalities: Sequence[str] | None) -> tuple[str, ...]:
    """Return the keys of the atoms in a probe row: R, one unique information for each modality, S.

    For three or more modalities R and S are means of the one-vs-rest decompositions.

    Examples
    --------
    >>> atoms_for(["audio", "image", "text"])
    ('redundancy', 'unique1', 'unique2', 'unique3', 'synergy')
    """
    return ("redundancy", *unique_keys(_names(modalities)).values(), "synergy")


def atom_labels(modalities: Sequence[str] | None) -> dict[str, str]:
    """Return readable names of the atoms, such as "unique to audio (U1)"."""
    names = _names(modalities)
    unique = {unique_key(i): f"unique to {name} (U{i})" for i, name in enumerate(names, start=1)}
    mean = ", mean" if len(names) > 2 else ""
    return {"redundancy": f"redundant (R{mean})", **unique, "synergy": f"synergistic (S{mean})"}


def atom_role(atom: str) -> str:
    """Return the role of an atom; a unique information looks like its modality."""
    position = position_of(atom)
    return {"redundancy": "both", "synergy": "together"}[atom] if position is None else modality_role(position - 1)


def atom_color(atom: str) -> str:
    """Return the line color of an atom on white."""
    return LIGHT[atom_role(atom)].line


def pid_traces(probes: Sequence[Mapping], modalities: Sequence[str]) -> list[Trace]:
    """Return the atoms in bits, in the order of `atoms_for`, with 95 % intervals if the probes have them.

    If the latest probe's sample does not identify an atom, the label says so: the atom is proven but its size is
    unknown, or nothing is known about it.
    """
    atoms, labels = atoms_for(modalities), atom_labels(modalities)
    if probes:
        for atom in (a for a in atoms if not probes[-1].get(f"{a}_identified", True)):
            labels[atom] += ", size unknown" if probes[-1].get(f"{atom}_proven") else ", not identified"
    return [_trace(probes, atom, labels[atom], atom_role(atom), interval=atom) for atom in atoms]


def null_band(probes: Sequence[Mapping], atom: str = "synergy") -> Band | None:
    """Return the range an atom has when the labels are shuffled, or None if no probe recorded it."""
    epoch, low, high = (_column(probes, key) for key in ("epoch", f"{atom}_null_low", f"{atom}_null_high"))
    known = np.isfinite(low + high)
    if not known.any():
        return None
    label = f"{SHORT_NAMES[atom]}, labels shuffled"
    return Band(label=label, epoch=epoch[known], low=low[known], high=high[known])


def ecs_proxies(probes: Sequence[Mapping]) -> list[str]:
    """Return the names of the recorded strength proxies, in the order of their first row."""
    names = (key.split(".")[1] for row in probes for key in row if key.startswith("ecs."))
    return list(dict.fromkeys(names))


def ecs_traces(probes: Sequence[Mapping], modalities: Sequence[str], proxy: str) -> list[Trace]:
    """Return one proxy for the strength of each modality, in the proxy's own unit."""
    return [_trace(probes, f"ecs.{proxy}.{name}", name, modality_role(i)) for i, name in enumerate(modalities)]


def keyed_traces(rows: Sequence[Mapping], keys: dict[str, str]) -> list[Trace]:
    """Return one curve for each modality, from the row entry that `keys` names for it."""
    return [_trace(rows, key, name, modality_role(i)) for i, (name, key) in enumerate(keys.items())]


def accuracy_traces(epochs: Sequence[Mapping], modalities: Sequence[str], split: str = "validation") -> list[Trace]:
    """Return the accuracy, 0 to 1, of each modality's head, of their average and of the joint head."""
    return _output_traces(epochs, modalities, f"{split}_accuracy")


def loss_traces(epochs: Sequence[Mapping], modalities: Sequence[str], split: str = "train") -> list[Trace]:
    """Return the cross-entropy of each output, as the record has it."""
    if split == "train":  # nothing minimizes the loss of the average
        return _output_traces(epochs, modalities, "loss", outputs=("joint",))
    return _output_traces(epochs, modalities, f"{split}_loss")


def switch_epoch(decisions: Sequence[Mapping]) -> float | None:
    """Return the epoch at which joint training started, or None."""
    epochs = [row["epoch"] for row in decisions if row["action"] == "switch"]
    return epochs[-1] if epochs else None


def left_behind(path: Sequence[dict], rows: Sequence[dict]) -> list[dict]:
    """Return the rows of the future that the latest rewind discarded; none without a rewind.

    `path` has the rows on the current path, the same objects as in `rows`, as `record.lineage()` returns them.
    """
    kept = {id(row) for row in path}
    left = [row for row in rows if id(row) not in kept]
    return [row for row in left if row["segment"] == left[-1]["segment"]] if left else []


def worth_showing(decisions: Sequence[dict]) -> list[dict]:
    """Return the decisions without the holds, except for a latest hold: it says what the controller waits for."""
    last = len(decisions) - 1
    return [row for i, row in enumerate(decisions) if row["action"] != "hold" or i == last]


def strength_by_class(probe: Mapping, modalities: Sequence[str], proxy: str) -> np.ndarray | None:
    """Return one probe's proxy by modality and class, shape (modalities, classes), or None if it has none."""
    table = []
    for name in modalities:
        start = f"ecs.{proxy}.{name}."
        cells = {int(key[len(start) :]): value for key, value in probe.items() if key.startswith(start)}
        table.append([_number(cells[c]) for c in sorted(cells)])
    complete = bool(table) and len(table[0]) > 0 and len({len(row) for row in table}) == 1
    return np.array(table) if complete else None


def modality_style(index: int) -> tuple[str, str]:
    """Return the color and the dash of a modality, by its position; from the fifth on, dashes repeat."""
    role = modality_role(index)
    return LIGHT[role].line, DASHES[index % len(DASHES)]


def nice_limit(value: float) -> float:
    """Return the next of 1, 1.5, 2, 3, 4, 6, 8 times a power of ten that is at least `value`, so that axes stay still.

    Examples
    --------
    >>> nice_limit(0.73), nice_limit(1.2), nice_limit(0)
    (0.8, 1.5, 1.0)
    """
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 6, 8, 10)
    return next(float(f"{step * power:.6g}") for step in steps if step * power >= value * (1 - 1e-9))


def nice_ticks(low: float, high: float, most: int = 6, whole: bool = False) -> list[float]:
    """Return round numbers from `low` to `high` in at most `most` steps; integers if `whole`.

    Examples
    --------
    >>> nice_ticks(0, 1.5), nice_ticks(0, 15, whole=True)
    ([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5], [0.0, 5.0, 10.0, 15.0])
    """
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = [step * power for step in (1, 2, 2.5, 5, 10)]
    if whole:
        steps = [step for step in steps if step >= 1 and step == int(step)] or [1.0]
    step = next((step for step in steps if (high - low) / step <= most * (1 + 1e-9)), steps[-1])
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _names(modalities: Sequence[str] | None) -> Sequence[str]:
    """Return the modalities' names, or default names for two unnamed sources."""
    return modalities if modalities is not None and len(modalities) >= 2 else ("source 1", "source 2")


def _output_traces(epochs: Sequence[Mapping], modalities: Sequence[str], quantity: str, outputs=("ens", "joint")):
    traces = [_trace(epochs, f"{quantity}.{name}", name, modality_role(i)) for i, name in enumerate(modalities)]
    for name in outputs:
        role, label = _OUTPUTS[name]
        traces.append(_trace(epochs, f"{quantity}.{name}", label, role))
    return traces


def _trace(rows, key: str, label: str, role: str, interval: str | None = None) -> Trace:
    epoch, value = _column(rows, "epoch"), _column(rows, key)
    known = np.isfinite(value)
    low = high = None
    if interval:
        low, high = _column(rows, f"{interval}_low")[known], _column(rows, f"{interval}_high")[known]
        if not len(low) or not np.isfinite(low + high).all():
            low = high = None
    return Trace(
        key=key, label=label, color=LIGHT[role].line, dash=dash_of(role), role=role, epoch=epoch[known],
        value=value[known], low=low, high=high,
    )  # fmt: skip


def _column(rows: Sequence[Mapping], key: str) -> np.ndarray:
    """Return one entry of each row; NaN where it is missing or None."""
    return np.array([row.get(key, math.nan) for row in rows], dtype=float)


def _number(value) -> float:
    return math.nan if value is None else float(value)
