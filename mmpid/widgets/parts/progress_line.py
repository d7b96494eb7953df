"""A progress bar with words: one small message an update."""

from pathlib import Path

import anywidget
import traitlets


class ProgressLine(anywidget.AnyWidget):
    """How far something is: a share from 0 to 1, words beside it, and a look ("", "finished" or "failed")."""

    _esm = traitlets.Unicode(Path(__file__).with_name("progress_line.js").read_text(encoding="utf-8")).tag(sync=True)
    about = traitlets.Unicode("").tag(sync=True)
    now = traitlets.Dict({"share": 0.0, "says": "", "look": ""}).tag(sync=True)

    def show(self, share: float, says: str, look: str = "") -> None:
        """Bring the bar and the words up to date."""
        self.now = {"share": round(float(share), 4), "says": says, "look": look}
