"""The specification of each chart of a run: title, unit, limits, empty state and data, defined once.

`mmpid.plots` draws these charts with matplotlib and the board draws them in the page, so the two cannot disagree.
Nothing here draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmpid.pid.names import ATOMS, unique_key
from mmpid.plots import traces as tr
from mmpid.plots.palette import modality_role
from mmpid.plots.reading import known_by, read_atom, value_of
from mmpid.plots.traces import Band, Trace


@dataclass(frozen=True, kw_only=True)
class Area:
    """A filled region between two curves: `epoch`, `low` and `high` have shape (n,).

    `sure` is False if the sample does not show how large the region is; the region is then hatched.
    """

    key: str
    label: str
    role: str
    epoch: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sure: bool = True


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One chart against the epoch, complete except for the place where it is drawn.

    `unit` is the label of the y axis, `limits` its fixed limits (None: they follow the data), `empty` what the chart
    says while it has no data, `switch` the epoch at which joint training started, `columns` those of the legend.
    """

    key: str
    title: str
    unit: str
    empty: str
    traces: tuple[Trace, ...] = ()
    areas: tuple[Area, ...] = ()
    band: Band | None = None
    switch: float | None = None
    limits: tuple[float, float] | None = None
    columns: int = 2

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw yet."""
        return not any(len(part.epoch) for part in (*self.traces, *self.areas))


def atoms_chart(probes: Sequence[Mapping], modalities: Sequence[str], switch: float | None = None) -> Chart:
    """Return R, the unique informations and S as curves with their intervals, and the null band of S."""
    return Chart(
        key="atoms",
        title="What the encoders know about the label",
        unit="information (bits)",
        empty="R, U1, U2 and S appear here\nafter the first probe",
        traces=tuple(tr.pid_traces(probes, modalities)),
        band=tr.null_band(probes),
        switch=switch,
    )


def knowledge_chart(
    probes: Sequence[Mapping], modalities: Sequence[str], entropy: float, switch: float | None = None
) -> Chart:
    """Return what two encoders know, stacked up to H(Y): the first alone, both, the second alone, only both together.

    The part that only both together tell is solid up to the proven amount and hatched up to the estimate. Negative
    estimates take no room.
    """
    if len(modalities) != 2:
        raise ValueError("the stack needs two modalities; use known_by_chart for each of several")
    rows = [row for row in probes if all(read_atom(row, atom) for atom in ATOMS[:3])]
    both, first, second, _ = ATOMS
    layers = [
        (first, f"{modalities[0]} alone", "m0", _values(rows, first), True),
        (both, "both know", "both", _values(rows, both), True),
        (second, f"{modalities[1]} alone", "m1", _values(rows, second), True),
        ("synergy proven", "only together", "together", _proven(rows, "synergy"), True),
    ]
    rest = np.maximum(_values(rows, "synergy") - layers[-1][3], 0)
    layers.append(("synergy", "only together, not proven", "together", rest, False))
    return _stack(layers, rows, "What the two encoders know", entropy, switch)


def known_by_chart(
    probes: Sequence[Mapping],
    modalities: Sequence[str],
    index: int,
    entropy: float,
    switch: float | None = None,
) -> Chart:
    """Return what one of several encoders knows, I(X; Y): what it alone knows, and what others know too, up to H(Y)."""
    name = modalities[index]
    rows = [row for row in probes if known_by(row, index, name)]
    shared = f"redundancy.{name}" if rows and f"redundancy.{name}" in rows[-1] else "redundancy"
    own = unique_key(index + 1)
    layers = [
        (own, "it alone", modality_role(index), _values(rows, own), True),
        (shared, "others too", "both", _values(rows, shared), True),
    ]
    return _stack(layers, rows, name, entropy, switch)


def _stack(layers, rows: Sequence[Mapping], title: str, entropy: float, switch: float | None) -> Chart:
    epoch, floor, areas = np.array([row["epoch"] for row in rows], float), np.zeros(len(rows)), []
    for key, label, role, height, sure in layers:
        areas.append(Area(key=key, label=label, role=role, epoch=epoch, low=floor, high=floor + height, sure=sure))
        floor = floor + height
    top = np.maximum(floor, entropy)
    areas.append(Area(key="missing", label="still missing", role="missing", epoch=epoch, low=floor, high=top))
    return Chart(
        key="known",
        title=title,
        unit="information (bits)",
        empty=f"This box is all there is to know about the label: {entropy:.2f} bits.\nIt fills up, probe by probe.",
        areas=tuple(areas),
        switch=switch,
        limits=(0.0, max([entropy, *floor.tolist()])),
        columns=3,
    )


def accuracy_chart(
    epochs: Sequence[Mapping], modalities: Sequence[str], switch: float | None = None, split: str = "validation"
) -> Chart:
    """Return the accuracy of each head, of their average and of the joint head."""
    return Chart(
        key="accuracy",
        title="Validation accuracy" if split == "validation" else "Training accuracy",
        unit="accuracy (fraction correct)",
        empty="Accuracies appear here\nafter the first epoch",
        traces=tuple(tr.accuracy_traces(epochs, modalities, split)),
        switch=switch,
        limits=(0.0, 1.0),
        columns=4,
    )


def loss_chart(
    epochs: Sequence[Mapping], modalities: Sequence[str], switch: float | None = None, split: str = "train"
) -> Chart:
    """Return the cross-entropy of each head and of the joint head."""
    return Chart(
        key="loss",
        title="Training loss" if split == "train" else "Validation loss",
        unit="cross-entropy (nats)",
        empty="Losses appear here\nafter the first epoch",
        traces=tuple(tr.loss_traces(epochs, modalities, split)),
        switch=switch,
        columns=4,
    )


def strength_chart(
    probes: Sequence[Mapping], modalities: Sequence[str], proxy: str | None, switch: float | None = None
) -> Chart:
    """Return one proxy for the competitive strength of each modality, in the proxy's own unit."""
    return Chart(
        key="strength",
        title="Strength of each modality",
        unit=f"{proxy} (own unit)" if proxy else "ECS proxy",
        empty="The strength of each modality (ECS proxies)\nappears here after the first probe",
        traces=tuple(tr.ecs_traces(probes, modalities, proxy)) if proxy else (),
        switch=switch,
        columns=4,
    )


def strength_by_class_chart(
    probes: Sequence[Mapping], modalities: Sequence[str], proxy: str, label: int, name: str
) -> Chart:
    """Return the strength of each modality in one class."""
    rows = [row for row in probes if any(f"ecs.{proxy}.{m}.{label}" in row for m in modalities)]
    traces = tr.keyed_traces(rows, {m: f"ecs.{proxy}.{m}.{label}" for m in modalities})
    return Chart(key=f"class {label}", title=name, unit=f"{proxy} (own unit)", empty="", traces=tuple(traces))


def _values(rows: Sequence[Mapping], atom: str) -> np.ndarray:
    readings = [read_atom(row, atom) for row in rows]
    return np.array([max(value_of(reading), 0.0) if reading else 0.0 for reading in readings])


def _proven(rows: Sequence[Mapping], atom: str) -> np.ndarray:
    """Return the proven part of an atom: its lower end if the probe proves it, else zero."""
    found = [read_atom(row, atom) for row in rows]
    return np.array([min(max(r.low or 0.0, 0.0), max(value_of(r), 0.0)) if r and r.proven else 0.0 for r in found])
