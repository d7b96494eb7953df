"""The runs of a folder side by side: their curves, their results, and how their settings differ."""

from mmpid.plots.style import Picture
from mmpid.widgets.browser import picture, text
from mmpid.widgets.browser import runs as rn
from mmpid.widgets.browser.live import LiveBrowser, newest, where
from mmpid.widgets.parts.environment import resolve_mode
from mmpid.widgets.parts.lifecycle import StaticPicture, Still, heard, register_widget, show_widget

MOST_STATIC = 6  # runs that a picture without choices compares
_STILL_RULES = """<style>
.jp-OutputArea-child:has(.mmpid-board) ~ .jp-OutputArea-child:has(.mmpid-still) { display: none; }
.mmpid-still table { border-collapse: collapse; font-size: 12px; margin: 0 0 12px; }
.mmpid-still caption { text-align: left; font-weight: 600; white-space: nowrap; color: inherit; }
.mmpid-still th, .mmpid-still td { padding: 1px 10px; text-align: left !important; }
.mmpid-still .mmpid-reason { font-style: italic; }
</style>"""


class RunBrowser:
    """Find the runs in a folder, choose some, and see their curves, results, differences and decisions together.

    A run is a folder that `Trainer(..., out_dir=...)` or `trainer.save` wrote, or a file of `record.save`. Runs that
    another process is still writing are shown up to their current state. Unreadable entries are listed with the reason.

    Parameters
    ----------
    runs
        A folder, a record, a trainer, or a list or dict of these; a dict names them.
    mode
        "live", "static", or "auto": live where a front end shows widgets. Static leaves a picture and tables.

    Raises
    ------
    InputError
        If `runs` holds something that has no record.

    Notes
    -----
    Accuracies come from the test set once a run is finished, and from the validation set before; the table says which.
    Two runs with one seed each also differ by chance: `mmpid.compare` runs several seeds.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> one, two = RunRecord({"modalities": ["a", "b"], "seed": 0}), RunRecord({"modalities": ["a", "b"], "seed": 1})
    >>> browser = RunBrowser({"first": one, "second": two}, mode="static")
    >>> browser.differences()
    (['entry', 'first', 'second'], [['seed', '0', '1']])
    """

    def __init__(self, runs=".", mode: str = "auto"):
        self.mode = resolve_mode(mode)
        self._source = runs
        self._still = StaticPicture(self._bundle)
        self.origin = None
        self._found = rn.find(runs)
        self._live = LiveBrowser(runs, self._found, self._still.refresh) if self.mode == "live" else None
        if self._live:
            register_widget(self)

    def __repr__(self) -> str:
        return f"RunBrowser({self.mode}, {len(self.runs)} entries, {len(self.chosen)} chosen)"

    @property
    def runs(self) -> list[rn.Run]:
        """Everything that was found, including unreadable entries."""
        return self._live.found if self._live else self._found

    @property
    def chosen(self) -> list[rn.Run]:
        """The runs that are compared; in static mode the six newest."""
        return self._live.chosen if self._live else newest(self._found, MOST_STATIC)

    def refresh(self) -> None:
        """Look for runs again; live in the background."""
        if self._live:
            self._live.refresh()
        else:
            self._found = rn.find(self._source)

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the browser shows the current choice; raise an error that occurred. False after `timeout`."""
        return self._live.worker.wait(timeout) if self._live else True

    def differences(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and rows of the table of differences between the chosen runs' metadata."""
        return rn.differences(self.chosen)

    def picture(self) -> Picture:
        """Return the curves of the chosen runs as a matplotlib figure."""
        live = self._live
        view = live.shown if live else (next(iter(rn.CURVES)), rn.ANSWER, "synergy")
        return picture.picture(self.chosen, *view)

    def close(self) -> None:
        """End the background threads and remove the widgets; the picture stays."""
        self._still.close()
        if self._live:
            self._live.close()

    def _bundle(self) -> dict:
        return {"image/png": self.picture().png(dpi=80), "text/plain": f"Run browser: {len(self.chosen)} runs"}

    def _tables(self) -> dict:
        parts = [text.status(self.runs, self.chosen, where(self._source)), text.overview(self.runs, self.chosen)]
        page = "".join([_STILL_RULES, '<div class="mmpid-still">', *parts, text.comparison(self.chosen), "</div>"])
        return {"text/html": page, "text/plain": f"Run browser: {len(self.runs)} entries"}

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self._live.view) if self._live else Still(self._tables())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        if self._live:
            show_widget(self._live.view)
        self._still.display()
        display(self._tables(), raw=True)
