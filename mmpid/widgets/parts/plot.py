"""A live plot in the browser: a scene is one message, and costs the page one frame."""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from mmpid.widgets.parts.marks import Mark


def _script() -> str:
    """Return the two halves of the script as a single module for the browser."""
    return "\n".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("paths.js", "plot.js"))


class Plot(anywidget.AnyWidget):
    """Axes, marks, legend and the words of an empty panel; `mmpid.widgets.parts.marks` makes what it draws.

    This does not use a charting library: one such chart cost the browser three frames per update, on the cores that
    train, because it took one message per mark and moved every mark in transitions.
    """

    _esm = traitlets.Unicode(_script()).tag(sync=True)
    scene = traitlets.Dict({}).tag(sync=True)

    def __init__(self):
        super().__init__()
        self.add_class("mmpid-plot-host")

    def show(
        self,
        marks: Sequence[Mark],
        x: dict,
        y: dict,
        *,
        legend: str = "",
        empty: str = "",
        title: str = "",
        left: int = 56,
    ) -> None:
        """Draw marks on two axes; unchanged parts are not sent. `left` is the margin in pixels."""
        packed, numbers = pack(marks)
        words = {"legend": legend, "empty": empty, "title": title, "left": left}
        self.scene = {"marks": packed, "numbers": numbers, "x": x, "y": y, **words}

    @property
    def marks(self) -> dict[str, Mark]:
        """The marks that are drawn, by key, with arrays (n,) of single precision."""
        numbers = np.frombuffer(self.scene.get("numbers", b""), np.float32)
        return {
            mark["key"]: mark | {name: numbers[a : a + n] for name, (a, n) in mark["arrays"].items()}
            for mark in self.scene.get("marks", [])
        }


def pack(marks: Sequence[Mark]) -> tuple[list[Mark], bytes]:
    """Return the marks with (start, length) in place of each array, and all numbers as one buffer."""
    parts, packed, start = [], [], 0
    for mark in marks:
        places = {}
        for name, values in mark["arrays"].items():
            parts.append(np.asarray(values, np.float32))
            places[name] = [start, len(parts[-1])]
            start += len(parts[-1])
        packed.append(mark | {"arrays": places})
    return packed, np.concatenate([np.zeros(0, np.float32), *parts]).tobytes()
