"""The board: a grid of runs that follows the folder of a study, no matter which process trains it."""

import threading
from html import escape
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from mmpid import _validate
from mmpid.errors import MMPIDError
from mmpid.widgets.parts.environment import resolve_mode
from mmpid.widgets.parts.lifecycle import Still, close_tree, heard, register_widget, show_widget
from mmpid.widgets.parts.page import script, styles
from mmpid.widgets.study.scene import Reader, sentence

HERE = Path(__file__).parent
LOOK_SECONDS = 1.0


def _own(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


class StudyView(anywidget.AnyWidget):
    """What the page knows about a study."""

    _esm = traitlets.Unicode("\n".join([script("theme.js"), _own("study.js")])).tag(sync=True)
    _css = traitlets.Unicode("\n".join([styles("board.css"), _own("study.css")])).tag(sync=True)
    scene = traitlets.Dict({}).tag(sync=True)
    words = traitlets.Unicode("").tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)


class StudyBoard:
    """Show the runs of a study as a grid: waiting, running, finished, or failed with its error. Click one for more.

    Parameters
    ----------
    out_dir : path
        The folder of :func:`mmpid.compare`; the study may be running in this or another process, or not have begun.
    mode : {"auto", "live", "static"}
        "live" reads the folder once per second; "static" leaves a table.

    Notes
    -----
    The estimate of the time left assumes that all runs take equally long. A run without news for two minutes counts as
    waiting: its process was killed, or an epoch takes that long.

    Examples
    --------
    >>> import tempfile
    >>> import mmpid
    >>> from mmpid.widgets import StudyBoard
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     call = {"epochs": 1, "device": "cpu", "out_dir": folder + "/study", "progress": False}
    ...     _ = mmpid.compare("av-digits", methods=["joint"], seeds=[0], **call)
    ...     print(StudyBoard(folder + "/study", mode="static"))
    StudyBoard(1 of 1 runs finished.)
    """

    def __init__(self, out_dir: Any, mode: str = "auto"):
        self.folder = _validate.path(out_dir, "out_dir")
        self.mode = resolve_mode(mode)
        self._reader = Reader(self.folder)
        self._closing = threading.Event()
        self.view: StudyView | None = None
        if self.mode == "live":
            self.view = StudyView()
            self.look()
            self._thread = threading.Thread(target=self._follow, name="mmpid-study", daemon=True)
            self._thread.start()
            register_widget(self)

    def __repr__(self) -> str:
        return f"StudyBoard({self.look()})"

    @property
    def chosen(self) -> Path | None:
        """Folder of the last clicked run: read it with `mmpid.RunRecord.load(board.chosen)`."""
        return self.folder / self.view.chosen if self.view is not None and self.view.chosen else None

    def look(self) -> str:
        """Read the folder now and return the progress of the study."""
        try:
            scene = self._reader.scene()
        except (MMPIDError, OSError):
            return "the study has not begun"
        words = sentence(scene)
        if self.view is not None and not self._closing.is_set():
            self.view.scene, self.view.words = scene, words
        return words

    def close(self) -> None:
        """End the thread and remove the board."""
        self._closing.set()
        if self.view is not None:
            if threading.current_thread() is not self._thread:
                self._thread.join(5.0)
            close_tree(self.view)

    def _follow(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            self.look()

    def _repr_html_(self) -> str:
        try:
            scene = self._reader.scene()
        except (MMPIDError, OSError):
            return "<p>The study has not begun.</p>"
        head = "".join(f"<th>seed {seed}</th>" for seed in scene["seeds"])
        body = "".join(_row(row, scene["seeds"]) for row in scene["rows"])
        return f"<p>{escape(sentence(scene))}</p><table><tr><th>runs</th>{head}</tr>{body}</table>"

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self.view) if self.view is not None else Still({"text/html": self._repr_html_()})

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self.view is not None:
            show_widget(self.view)
        else:
            display({"text/html": self._repr_html_(), "text/plain": repr(self)}, raw=True)


def _row(row: dict[str, Any], seeds: list[int]) -> str:
    by_seed = {cell["seed"]: cell for cell in row["cells"]}
    cells = ""
    for seed in seeds:
        cell = by_seed.get(seed)
        words = "" if cell is None else cell["detail"] if cell["state"] == "failed" else cell["mark"] or cell["state"]
        cells += f"<td>{escape(words)}</td>"
    return f'<tr><td style="text-align:left">{escape(row["name"])}</td>{cells}</tr>'
