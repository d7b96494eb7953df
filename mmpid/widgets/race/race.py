"""Two runs with one seed under one clock, to show in a lecture how an encoder starves."""

import threading
import traceback
from collections.abc import Mapping

import anywidget
import traitlets

from mmpid import _validate
from mmpid.datasets import MultimodalData, load
from mmpid.errors import InputError, TrainingError
from mmpid.plots import charts
from mmpid.plots.reading import label_entropy
from mmpid.plots.story.race import paired_difference, race_headline
from mmpid.plots.style import Picture, draw_chart
from mmpid.widgets.parts.environment import cell_of_now, in_kernel, resolve_mode
from mmpid.widgets.parts.lifecycle import close_tree, heard, register_widget, show_widget
from mmpid.widgets.parts.page import packed, script, styles
from mmpid.widgets.race.lanes import Lane, recipe_of

FRONT = ("dom.js", "theme.js", "scale.js", "chart.js", "race.js")


class RaceView(anywidget.AnyWidget):
    """What the page knows about a race."""

    _esm = traitlets.Unicode(script(*FRONT)).tag(sync=True)
    _css = traitlets.Unicode(styles("board.css", "race.css")).tag(sync=True)
    setup = traitlets.Dict({}).tag(sync=True)
    now = traitlets.Dict({}).tag(sync=True)
    left = traitlets.Dict({}).tag(sync=True)
    right = traitlets.Dict({}).tag(sync=True)
    stories = traitlets.List([]).tag(sync=True)


class Race:
    """Train two recipes with the same data, seed and budget, and show what their encoders know, side by side.

    Parameters
    ----------
    data : str or MultimodalData
        Name of a built-in data set, or data; two modalities.
    left, right : str or mapping
        Recipes: "joint" (one joint loss from the start), "joint+aux" (unimodal losses added), "two-stage" (the
        controller decides), or your own settings of `mmpid.Trainer`, with a "name".
    seed : int
        Seed of data, models and sample order.
    epochs : int
        Budget of each run.
    mode : {"auto", "live", "static"}
        As for :class:`mmpid.widgets.Dashboard`.
    **settings
        Further settings of both trainers.

    Raises
    ------
    InputError
        If the data do not have two modalities.
    ConfigError
        If a recipe or a setting is unknown.

    Notes
    -----
    Both runs are read in the same way: after each epoch a linear classifier is fitted on the frozen embeddings of each
    encoder and scored on the probe samples, in bits (H(Y) minus the cross-entropy). The samples are the same in both
    runs, so their difference is paired. "Starves" means that an encoder knows less than two thirds of what it knows in
    the other run, by more than the noise. One seed is one example: `mmpid.compare` has more. A fresh head is fair: an
    encoder does not count as starving just because its own head was never trained. On "av-digits" the audio encoder
    falls behind by a quarter of a bit at the end, which is just the noise of its 240 probe samples.

    Examples
    --------
    >>> race = Race("av-digits", epochs=1, mode="static")
    >>> race.wait().situation
    'early'
    """

    def __init__(
        self,
        data: str | MultimodalData,
        left: str | Mapping = "joint",
        right: str | Mapping = "two-stage",
        *,
        seed: int = 0,
        epochs: int = 30,
        mode: str = "auto",
        **settings,
    ):
        self.mode = resolve_mode(mode)
        data = load(data, seed=seed) if isinstance(data, str) else data
        _validate.instance(data, "data", MultimodalData, "a name or MultimodalData", 'Try "av-digits".')
        if len(data.modalities) != 2:
            raise InputError(f"`data` must have two modalities; it had {len(data.modalities)}. Try mmpid.compare.")
        epochs = _validate.number(epochs, "epochs", low=1, integer=True)
        sides = [recipe_of(side, recipe) for side, recipe in (("left", left), ("right", right))]
        every = {"epochs": epochs, **settings}
        self.lanes = [Lane(name, recipe, data, seed, every) for name, recipe in sides]
        self.names = self.lanes[0].name, self.lanes[1].name
        self.modalities = tuple(data.modalities)
        self.entropy = label_entropy(self.lanes[0].trainer.record.metadata)
        self._changed = threading.Condition()
        self._playing = self._closing = False
        self.error: Exception | None = None
        self.view: RaceView | None = None
        if self.mode == "live":
            setup = {"modalities": self.modalities, "names": self.names, "epochs": epochs, "entropy": self.entropy}
            self.view = RaceView(setup=setup)
            self.view.on_msg(lambda _, said, buffers: self._hear(said))
            self._thread = threading.Thread(target=self._run, name="mmpid-race", daemon=True)
            self._thread.start()
            self._show()
            register_widget(self, cell_of_now())

    def __repr__(self) -> str:
        return f"Race({self.names[0]} against {self.names[1]}, epoch {self.epoch})"

    @property
    def epoch(self) -> int:
        """The epoch that both runs have reached."""
        return min(lane.trainer.epoch for lane in self.lanes)

    @property
    def finished(self) -> bool:
        """Whether both runs have used their budget."""
        return all(lane.finished for lane in self.lanes)

    @property
    def headline(self):
        """The sentence about the current epoch."""
        return self._story(self.epoch)

    def play(self) -> None:
        """Train both runs, one epoch each in turn, until paused or to the end."""
        with self._changed:
            self._playing = not self.finished
            self._changed.notify_all()

    def pause(self) -> None:
        """Stop after the current epoch."""
        with self._changed:
            self._playing = False
            self._changed.notify_all()

    def wait(self, timeout: float | None = None):
        """Return the headline of the finished race: static mode trains it in this call; live mode waits while it plays.

        Raises
        ------
        TrainingError
            If training failed; the original error is its cause.
        """
        if self.mode == "static":
            while not self.finished:
                self._turn()
            if in_kernel():
                from IPython.display import display

                display(self.picture())
        else:
            with self._changed:
                self._changed.wait_for(lambda: not self._playing or self._closing, timeout)
        if self.error is not None:
            raise TrainingError(f"The race stopped: {type(self.error).__name__}: {self.error}") from self.error
        return self.headline

    def picture(self) -> Picture:
        """Return both stacks side by side, for pages without a kernel."""
        figure = Picture(figsize=(11, 4.2), layout="constrained")
        for ax, lane in zip(figure.subplots(1, 2, sharey=True), self.lanes, strict=True):
            chart = charts.knowledge_chart(lane.probes, self.modalities, self.entropy, self._switch(lane))
            draw_chart(ax, chart, title=lane.name)
        figure.suptitle(f"{self.headline.sentence} {self.headline.evidence}", x=0.01, ha="left", fontsize=10)
        return figure

    def close(self) -> None:
        """End the thread and close the widget."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self.view is not None:
            if threading.current_thread() is not self._thread:
                self._thread.join(5.0)
            close_tree(self.view)

    def _hear(self, said: dict) -> None:
        {"play": self.play, "pause": self.pause}.get(said.get("do", ""), lambda: None)()
        self._show()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._playing or self._closing)
                if self._closing:
                    return
            try:
                self._turn()
            except Exception as error:  # the page shows it, and `wait()` raises it again
                traceback.clear_frames(error.__traceback__)
                self.error = error
            with self._changed:
                if self.finished or self.error is not None:
                    self._playing = False
                    self._changed.notify_all()
            self._show()

    def _turn(self) -> None:
        """Train the run that is behind by one epoch, so that both share one clock."""
        for lane in sorted((one for one in self.lanes if not one.finished), key=lambda one: one.trainer.epoch):
            lane.step()

    def _switch(self, lane: Lane) -> int | None:
        rows = [row for row in lane.trainer.record.lineage("decision") if row["action"] == "switch"]
        return rows[-1]["epoch"] if rows else None

    def _story(self, epoch: float):
        left, right = [{name: lane.bits_at(epoch, name) for name in self.modalities} for lane in self.lanes]
        return race_headline(left, right, self.names, epoch)

    def _show(self) -> None:
        if self.view is None or self._closing:
            return
        for side, lane in zip(("left", "right"), self.lanes, strict=True):
            chart = charts.knowledge_chart(lane.probes, self.modalities, self.entropy, self._switch(lane))
            whole = {name: self._whole(lane, name) for name in self.modalities}
            setattr(self.view, side, {**packed(chart), "whole": whole, "accuracy": self._accuracy(lane)})
        epochs = sorted({row["epoch"] for lane in self.lanes for row in lane.probes if row["epoch"] <= self.epoch})
        self.view.stories = [_plain(self._story(epoch), epoch) for epoch in epochs]
        error = "" if self.error is None else f"{type(self.error).__name__}: {self.error}"
        state = "failed" if error else "finished" if self.finished else "playing" if self._playing else "paused"
        self.view.now = {
            "state": state,
            "epoch": self.epoch,
            "error": error,
            "switch": [self._switch(x) for x in self.lanes],
        }

    def _whole(self, lane: Lane, name: str) -> list[list[float]]:
        """Return rows of epoch, what an encoder knows, and whether the other run's knows clearly more."""
        other = next(one for one in self.lanes if one is not lane)
        rows = []
        for epoch in sorted({row["epoch"] for row in lane.probes if row["epoch"] <= self.epoch}):
            mine, theirs = lane.bits_at(epoch, name), other.bits_at(epoch, name)
            gap, noise = paired_difference(mine, theirs)
            rows.append([epoch, max(float(mine.mean()), 0.0), float(gap > noise)])
        return rows

    def _accuracy(self, lane: Lane) -> list[list[float]]:
        """Return epoch and accuracy of the joint head, or of the average as long as there is no joint head."""
        rows = lane.trainer.record.lineage("epoch")
        scores = [
            (row["epoch"], row.get("validation_accuracy.joint", row.get("validation_accuracy.ens"))) for row in rows
        ]
        return [[epoch, score] for epoch, score in scores if score is not None]

    def _display_(self) -> object:
        """Return what marimo shows instead of this object."""
        return heard(self.view) if self.view is not None else repr(self)

    def _ipython_display_(self) -> None:
        if self.view is not None:
            show_widget(self.view)


def _plain(story, at: float) -> dict:
    words = [list(part) for part in story.words]
    return {
        "at": at,
        "words": words,
        "sure": story.sure,
        "mark": story.mark,
        "evidence": story.evidence,
        "situation": story.situation,
    }
