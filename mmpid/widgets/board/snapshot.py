"""The static picture of a board: an output of its own that outlives the kernel."""

from mmpid.plots.overview import heading, overview


class Snapshot:
    """Shows a picture of the run in the notebook and replaces it when asked.

    It is a separate output because a saved widget shows nothing without its kernel, not even a picture in the same
    output. Under papermill, nbconvert and GitHub it is the only thing visible.

    Parameters
    ----------
    record
        A `RunRecord`.
    hint
        What to do if the live board is gone; shown under the picture.
    """

    def __init__(self, record, hint: str = ""):
        self._record, self._hint = record, hint
        self._handle = None

    def display(self, note: str = "") -> None:
        """Put the picture into the output of the running cell."""
        from IPython.display import display

        self._handle = display(self.bundle(note), raw=True, display_id=True)

    def update(self, note: str = "", proxy: str | None = None) -> None:
        """Replace the picture wherever it is shown; callable from any thread."""
        if self._handle is not None:
            self._handle.update(self.bundle(note, proxy), raw=True)

    @property
    def displayed(self) -> bool:
        """Whether there is an output to update."""
        return self._handle is not None

    def bundle(self, note: str = "", proxy: str | None = None) -> dict:
        """Return the picture and its words by MIME type."""
        words = f"mmpid board: {heading(self._record, note)}"
        if not self._record.rows:
            return {"text/plain": f"{words}. Its picture appears here when training pauses. {self._hint}".rstrip()}
        picture = overview(self._record, note=note, proxy=proxy, hint=self._hint)
        return {"image/png": picture.png(dpi=90), "text/plain": f"{words}. {self._hint}".rstrip(". ") + "."}
