"""Save a run to a folder that `Trainer.load` reads, and write its report as one HTML page; nothing is overwritten."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mmpid.errors import ConfigError
from mmpid.plots.run_report import write_report
from mmpid.widgets.board.branches import MAIN, Run


class Saving:
    """Folders and pages of runs.

    Parameters
    ----------
    say
        Called with a sentence and a line of code after something was written; callable from any thread.
    on_error
        Called with an exception raised outside a callback, and with None after success.
    """

    def __init__(self, say: Callable[[str, str], None], on_error: Callable):
        self._say, self._on_error = say, on_error
        self._offered: dict[str, str] = {}

    def offer(self, run: Run) -> str:
        """Return the name of a folder for a run; it stays the same as long as the run's name does."""
        return self._offered.setdefault(run.name, default_folder(run))

    def save(self, run: Run, folder: str) -> None:
        """Write record, model and checkpoints; a run that was stopped can still be saved."""
        wanted = _path(folder)

        def write(trainer):
            path = free(wanted)
            trainer.save(path)
            self._say(f"Saved to {path}. To go on from there:", f"mmpid.Trainer.load({str(path)!r}, data)")

        if not run.session.closing:
            run.session.post(write, "save")  # between two micro-steps, so that the state is whole
        elif run.session.alive:  # the last micro-step after Stop no longer takes commands
            self._say("Saving as soon as the last batch ends.", "")
            self._in_thread(lambda: run.session.close(timeout=None) and write(run.trainer), "mmpid-save")
        else:
            write(run.trainer)  # nothing trains any more

    def report(self, run: Run, folder: str) -> None:
        """Write the report in a thread: its pictures take a second."""
        wanted = _path(folder, ".html")
        self._say("Writing the report.", "")

        def write():
            path = write_report(run.record, free(wanted))
            self._say(f"The report is in {path}. It opens in any browser.", "")

        self._in_thread(write, "mmpid-report")

    def _in_thread(self, work: Callable[[], object], name: str) -> None:
        """Work in a thread, because a callback must not wait, and show any error."""

        def guarded():
            try:
                work()
                self._on_error(None)
            except Exception as error:  # nothing else would report an error from this thread
                self._say("", "")
                self._on_error(error)

        threading.Thread(target=guarded, name=name, daemon=True).start()


def _path(folder: str, ending: str = "") -> Path:
    typed = folder.strip()
    if not typed:
        raise ConfigError("the folder has no name. Type one, such as runs/first.")
    return Path(f"{typed}{ending}").expanduser().resolve()


def free(path: Path) -> Path:
    """Return the path, with a number added if it already exists: nothing is overwritten."""
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
