"""The board of a training run, live in a notebook or as a picture if nobody can press buttons."""

from mmpid.errors import MMPIDError
from mmpid.widgets.board.live import LiveBoard
from mmpid.widgets.board.snapshot import Snapshot
from mmpid.widgets.parts.environment import cell_of_now, in_kernel, resolve_mode
from mmpid.widgets.parts.lifecycle import Still, heard


class TrainingNotFinished(MMPIDError):
    """A cell needs a finished run, but the run is not finished yet; shown as one line without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Tell IPython what to print instead of a traceback."""
        return [str(self)]


class Dashboard:
    """Watch and steer a training run from a notebook.

    Live, it shows buttons, charts that follow the training, the controller's decisions with their reasons, and a
    status line; training runs in one background thread, so the notebook stays responsive. In a headless run
    (papermill, nbconvert, `MMPID_HEADLESS=1`) it shows no widgets: `wait` trains to the end in the calling thread and
    leaves a picture.

    Parameters
    ----------
    trainer
        A `mmpid.Trainer`.
    mode
        "live", "static", or "auto": live if the front end is known to show widgets.
    name
        Key of the run among `mmpid.sessions()`. A new board with the same name, for the same trainer,
        or made by running the same cell again, takes over from the old one.

    Attributes
    ----------
    mode : str
        "live" or "static", after "auto" has been decided.
    session : mmpid.live.session.Session or None
        The background thread's remote control; None in static mode.

    Raises
    ------
    ConfigError
        If `mode` is unknown.

    Notes
    -----
    Interrupting the kernel does not stop the background thread; press Pause, or interrupt a running `wait()`, which
    pauses the run. While a cell runs, ipykernel 6 queues the clicks until it ends.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> record = SimpleNamespace(rows=[], metadata={"modalities": ["audio", "image"]}, lineage=lambda kind=None: [])
    >>> trainer = SimpleNamespace(record=record, fit=lambda: None, finished=False)
    >>> Dashboard(trainer, mode="static").wait() is record
    True
    """

    def __init__(self, trainer, mode: str = "auto", name: str | None = None):
        self.trainer = trainer
        self.mode = resolve_mode(mode)
        self._board = None
        if self.mode == "live":
            self._board = LiveBoard(trainer, name=name, origin=cell_of_now())
        self._snapshot = self._board.snapshot if self._board else Snapshot(trainer.record)

    def __repr__(self) -> str:
        return f"Dashboard({self.mode}, {self.session or 'trains in wait()'})"

    @property
    def session(self):
        """The live session, or None in static mode."""
        return self._board.session if self._board else None

    @property
    def record(self):
        """The trainer's record."""
        return self.trainer.record

    @property
    def branches(self) -> list:
        """The trainers that the board's Branch button created, oldest first."""
        return self._board.branches if self._board else []

    def wait(self, timeout: float | None = None):
        """Return the record of the finished run.

        Static: trains to the end in this call and shows the picture. Live: waits while training plays, and returns
        control at once when it does not.

        Parameters
        ----------
        timeout
            Seconds to wait at most (live mode).

        Returns
        -------
        RunRecord

        Raises
        ------
        TrainingNotFinished
            In live mode, if the run is idle, paused, or still playing after `timeout`. "Run All" stops here without a
            traceback.
        TrainingError
            If training failed; the original error is its cause.
        """
        if self._board is None:
            return self._train_here()
        self._board.wait(timeout)
        if not self.trainer.finished:
            raise TrainingNotFinished(
                f"This board is stopped, and its run stands at epoch {self.trainer.epoch}. To go on from there, run "
                "mmpid.widgets.Dashboard(trainer) in a new cell. A cell that makes a new Trainer starts at epoch 0."
                if self._board.session.closing
                else "Training is not finished: press Play in the board above, then run this cell again."
            )
        return self.record

    def close(self) -> None:
        """End the background threads and remove the live board; the picture stays."""
        if self._board is not None:
            self._snapshot.update(self._board.note)
            self._board.close()

    def _train_here(self):
        try:
            self.trainer.fit()
        finally:
            note = "finished" if self.trainer.finished else "stopped"
            if self._snapshot.displayed:
                self._snapshot.update(note)
            elif in_kernel():
                self._snapshot.display(note)
        return self.record

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self._board.view) if self._board else Still(self._snapshot.bundle())

    def _ipython_display_(self) -> None:
        if self._board is not None:
            self._board.display()
        else:
            self._snapshot.display("" if self.record.rows else "trains in wait()")
