"""Keep a run: save it to a folder that Trainer.load reads, and write its report as one HTML page."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import ipywidgets as widgets

from mmpid.errors import ConfigError
from mmpid.plots.run_report import write_report
from mmpid.widgets.board import text
from mmpid.widgets.board.branches import MAIN, Run, Runs
from mmpid.widgets.parts.look import row


class Keep:
    """A name for folder and page, and a button for each; nothing that exists is ever overwritten.

    Parameters
    ----------
    runs
        The chosen one is kept.
    guarded
        Wraps callbacks so that the board shows their exceptions.
    say
        Shows a sentence (HTML) in the board; callable from any thread.
    on_error
        Told of an exception outside of a callback, and None when all went well.
    """

    def __init__(self, runs: Runs, guarded: Callable, say: Callable[[str], None], on_error: Callable):
        self._runs, self._say, self._on_error = runs, say, on_error
        self._named_for: str | None = None
        self.folder = widgets.Text(
            description="Keep as", tooltip="Folder for Save; the report is written beside it, with .html at the end"
        )
        self.folder.style.description_width = "initial"
        self.folder.layout.width = "330px"
        self.save = _button("Save", "save", "Write record, model and checkpoints to the folder")
        self.report = _button("Export report", "file-text-o", "Write one HTML page that needs no kernel and no network")
        self.save.on_click(guarded(lambda _: self._save(self._runs.chosen)))
        self.report.on_click(guarded(lambda _: self._export(self._runs.chosen)))
        self.widget = row([self.folder, self.save, self.report])

    def show(self) -> None:
        """Offer a name for the chosen run; a name typed by the user stays until another run is chosen."""
        run = self._runs.chosen
        if self._named_for != run.name:
            self._named_for = run.name
            self.folder.value = default_folder(run)

    def _path(self, ending: str = "") -> Path:
        typed = self.folder.value.strip()
        if not typed:
            raise ConfigError("The folder has no name. Type one, such as runs/first.")
        return Path(f"{typed}{ending}").expanduser().resolve()

    def _save(self, run: Run) -> None:
        wanted = self._path()

        def write(trainer):
            path = free(wanted)
            trainer.save(path)
            self._say(text.saved(str(path)))

        run.session.post(write, "save")  # between two micro-steps, so that the state is whole

    def _export(self, run: Run) -> None:
        wanted = self._path(".html")
        self._say(text.note("Writing the report."))

        def write():
            try:
                self._say(text.exported(str(write_report(run.record, free(wanted)))))
                self._on_error(None)
            except Exception as error:  # a thread of its own has nobody else to tell
                self._say("")
                self._on_error(error)

        threading.Thread(target=write, name="mmpid-report", daemon=True).start()  # pictures take a second


def free(path: Path) -> Path:
    """Return the path, with a number if something is there already: nothing is overwritten."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return found


def default_folder(run: Run) -> str:
    """Return a name that says what and when: runs/av-digits-branch-1-1121-2130."""
    data = run.record.metadata.get("data", {}).get("name", "run")
    parts = [data, *([] if run.name == MAIN else [run.name]), datetime.now().strftime("%m%d-%H%M%S")]
    words = "-".join(parts)
    return "runs/" + "".join(c if c.isalnum() or c in "-_." else "-" for c in words)


def _button(description: str, icon: str, tooltip: str) -> widgets.Button:
    layout = widgets.Layout(width="auto", min_width="72px")
    return widgets.Button(description=description, icon=icon, tooltip=tooltip, layout=layout)
