"""What is sent to the page: scripts, styles, and charts as plain values with one block of numbers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmpid.plots.charts import Area, Chart
from mmpid.plots.palette import DARK, LIGHT
from mmpid.plots.traces import Trace

FRONT = Path(__file__).with_name("front")


def script(*names: str) -> str:
    """Return scripts in the given order as the single module for the browser."""
    return "\n".join((FRONT / name).read_text(encoding="utf-8") for name in names)


def styles(*names: str) -> str:
    """Return style sheets, after the colors of every role for light and dark backgrounds."""
    return "\n".join([_colors(), *((FRONT / name).read_text(encoding="utf-8") for name in names)])


def _colors() -> str:
    """Return a variable for the line, the text and the area of each role."""
    both = [
        f"--{role}-{part}: light-dark({getattr(LIGHT[role], part)}, {getattr(DARK[role], part)});"
        for role in LIGHT
        for part in ("line", "text", "area")
    ]
    plain = [f"--{role}-{part}: {getattr(LIGHT[role], part)};" for role in LIGHT for part in ("line", "text", "area")]
    dark = [f"--{role}-{part}: {getattr(DARK[role], part)};" for role in DARK for part in ("line", "text", "area")]
    old = (
        "@supports not (color: light-dark(#fff, #000)) { .mmpid-page { " + " ".join(plain) + " } "
        "@media (prefers-color-scheme: dark) { .mmpid-page { " + " ".join(dark) + " } } }"
    )
    return ".mmpid-page { " + " ".join(both) + " }\n" + old


class _Block:
    """Numbers of a message, one after the other."""

    def __init__(self):
        self._parts: list[np.ndarray] = []
        self._start = 0

    def add(self, values) -> list[int]:
        """Add numbers and return their position: start and length."""
        part = np.asarray(values, np.float32)
        self._parts.append(part)
        self._start += len(part)
        return [self._start - len(part), len(part)]

    def bytes(self) -> bytes:
        """Return all numbers, in single precision."""
        return np.concatenate([np.zeros(0, np.float32), *self._parts]).tobytes()


def packed(*charts: Chart, ghosts: Sequence[Trace] = (), others: Sequence[tuple[str, Sequence[Trace]]] = ()) -> dict:
    """Return charts as plain values.

    `ghosts` has the epochs that a rewind discarded, `others` the traces of other runs by name; both belong to the first
    chart.
    """
    block = _Block()
    sent = [_chart(chart, block) for chart in charts]
    if sent:
        sent[0]["ghosts"] = [_trace(trace, block) for trace in ghosts if len(trace.epoch) > 1]
        sent[0]["others"] = [
            {"name": name, "traces": [_trace(trace, block) for trace in traces if len(trace.epoch)]}
            for name, traces in others
        ]
    return {"charts": sent, "numbers": block.bytes()}


def _chart(chart: Chart, block: _Block) -> dict:
    band = chart.band
    return {
        "key": chart.key,
        "title": chart.title,
        "unit": chart.unit,
        "empty": chart.empty,
        "limits": list(chart.limits) if chart.limits else None,
        "switch": chart.switch,
        "areas": [_area(area, block) for area in chart.areas],
        "traces": [_trace(trace, block) for trace in chart.traces],
        "band": band
        and {"label": band.label, "x": block.add(band.epoch), "low": block.add(band.low), "high": block.add(band.high)},
    }


def _area(area: Area, block: _Block) -> dict:
    numbers = {"x": block.add(area.epoch), "low": block.add(area.low), "high": block.add(area.high)}
    return {"key": area.key, "label": area.label, "role": area.role, "sure": area.sure, **numbers}


def _trace(trace: Trace, block: _Block) -> dict:
    numbers = {"x": block.add(trace.epoch), "y": block.add(trace.value)}
    if trace.low is not None:
        numbers |= {"low": block.add(trace.low), "high": block.add(trace.high)}
    return {"key": trace.key, "label": trace.label, "role": trace.role, "dash": trace.dash, **numbers}
