"""The board's buttons: each posts a command to the session and returns; none of them trains, draws or waits."""

import threading
from collections.abc import Callable, Sequence
from functools import wraps

import ipywidgets as widgets

from mmpid.errors import InputError
from mmpid.live.session import Session
from mmpid.widgets.board.branches import Runs
from mmpid.widgets.board.history import thinned
from mmpid.widgets.board.rates import LearningRates
from mmpid.widgets.board.text import State
from mmpid.widgets.parts.look import row

# where to start from: words, and what `switch_to_joint(rewind=...)` takes; the probes' epochs come behind these
STARTS = {"from the best probe so far": True, "from now": False}
_PROBE = "from the probe at epoch {}"
MOST_OFFERED = 60  # probes in the list; any other is chosen by a click in the chart


class Controls:
    """Transport, modalities, and who decides.

    Parameters
    ----------
    runs
        What the buttons command: the chosen one of these.
    modalities
        One pause button each.
    on_branch
        Given the new trainer, and the name asked for, when the user branches off.
    on_error
        Told of any exception in a callback, which a notebook would otherwise hide, and None when one went well.
    on_refusal
        Told in words why a wish cannot be granted, and "" when one was.
    """

    def __init__(
        self,
        runs: Runs,
        modalities: tuple[str, ...],
        on_branch: Callable[[object, str], None],
        on_error: Callable[[Exception | None], None],
        on_refusal: Callable[[str], None],
    ):
        self._runs = runs
        self._on_branch, self._on_error, self._on_refusal = on_branch, on_error, on_refusal
        self._asked: dict[str, bool] = {}
        self._probes: Sequence[int] = ()
        self._offered = -1  # how many probes there were when they were listed
        self._looks: tuple = ()  # what the buttons were last brought to
        self.shower: int | None = None  # the thread that brings the board up to date
        self.transport = self._transport()
        self.modalities = {name: self._modality_button(name) for name in modalities}
        self.auto = widgets.ToggleButton(value=True, icon="magic", layout=widgets.Layout(width="auto"))
        self.auto.observe(self.guarded(self._ask_auto), "value")
        self._make_starts()
        self.rates = LearningRates(modalities, lambda *command: self._session.post(*command), self.guarded)
        self.widget = widgets.VBox(
            [
                row(self.transport),
                row([*self.modalities.values(), self.auto]),
                row([self.start, self.joint, self.back, self.branch, self.branch_name]),
                self.rates.widget,
            ]
        )

    def _transport(self) -> list[widgets.Button]:
        """Return the buttons that start and stop the training."""
        return [
            self._button("Play", "play", "Train until you press Pause, or to the end", Session.play),
            self._button("Pause", "pause", "Stop after the batch that is running", Session.pause),
            self._button("Step batch", "step-forward", "Train on one batch", lambda s: s.step(batches=1)),
            self._button("Step epoch", "forward", "Train to the end of the epoch", lambda s: s.step(epochs=1)),
            self._button("To next probe", "fast-forward", "Train until the next decomposition", Session.to_next_probe),
            self._button("Probe now", "search", "Decompose what the encoders know at this moment", _probe),
            self._button("Stop", "stop", "End the training thread; run the cell again to go on from here", _stop),
        ]

    def _make_starts(self) -> None:
        """Make the list of states to start from, and what can be done from one."""
        self.start = widgets.Dropdown(
            options=tuple(STARTS),
            description="State",
            tooltip="Which state of the encoders to start from; a click on a probe in the first chart chooses it, too",
            layout=widgets.Layout(width="245px"),
        )
        self.start.style.description_width = "initial"
        self.joint = self._button("Start joint training", "link", "Begin stage 2 from the chosen state", self._join)
        self.back = self._button("Rewind", "undo", "Go back to the chosen probe, in this run", self._rewind)
        self.branch = self._button("Branch", "code-fork", "Start another run from the chosen probe", self._branch)
        self.branch_name = widgets.Text(
            placeholder="name of the branch", tooltip="Name of the next branch; it can be changed later under Runs"
        )
        self.branch_name.layout.width = "160px"

    def show(self, now: State, starts: bool = True) -> None:
        """Bring labels and availability to the state of the run; `starts=False` leaves the list of probes for later."""
        open_ = now.state != "closed"
        looks = (now.state, now.stage, now.active, now.auto)
        if self._looks != (*looks, self.auto.value):
            self._show_buttons(now, open_)
            self._looks = (*looks, self.auto.value)
        if starts:
            self._show_starts(now, open_)
        self.rates.show(now.rates, now.stage, open_ and now.state != "finished")

    def _show_buttons(self, now: State, open_: bool) -> None:
        for button in self.transport:
            button.disabled = not open_ or now.state == "finished"
        self.transport[0].button_style = "success" if now.state == "playing" else ""
        for name, button in self.modalities.items():
            self._show_modality(button, name, now, open_)
        self._show_auto(now, open_)

    @property
    def _session(self) -> Session:
        return self._runs.session

    def forget(self) -> None:
        """Drop what was asked of the run that was driven before."""
        self._asked.clear()
        self._looks, self._offered = (), -1

    def choose(self, epoch: int) -> None:
        """Choose the probe at `epoch` as the state to start from, if there is one."""
        if epoch in self._probes:
            self._offer(epoch)
            self.start.value = _PROBE.format(epoch)

    @property
    def chosen(self) -> int | None:
        """Epoch of the chosen probe; None while it is "best" or "now"."""
        return None if self.start.value in STARTS else int(self.start.value.split()[-1])

    def _show_starts(self, now: State, open_: bool) -> None:
        self._probes = now.probes
        # a list that changes under the pointer cannot be used, and costs the page more than a chart
        if now.state != "playing" or not self._offered <= len(now.probes) <= 1.25 * self._offered:
            self._offer(self.chosen)
        self.start.disabled = not open_
        self.joint.disabled = now.stage == "joint" or not open_
        self.back.disabled = self.branch.disabled = not now.probes or not open_

    def _offer(self, chosen: int | None) -> None:
        """List the states to start from, the chosen probe always among them."""
        self._offered = len(self._probes)
        epochs = {*thinned(self._probes, MOST_OFFERED), *({chosen} & {*self._probes})}
        options = (*STARTS, *(_PROBE.format(epoch) for epoch in sorted(epochs, reverse=True)))
        if options != self.start.options:
            kept = self.start.value
            self.start.options = options
            self.start.value = kept if kept in options else options[0]

    def _show_modality(self, button: widgets.Button, name: str, now: State, open_: bool) -> None:
        active = name in now.active
        button.description = f"{'Pause' if active else 'Resume'} {name}"
        button.icon = "pause" if active else "play"
        button.tooltip = f"{'Stop training' if active else 'Train'} the encoder of {name} in stage 1"
        button.button_style = "" if active else "warning"
        button.disabled = now.stage == "joint" or not open_ or now.state == "finished"

    def _show_auto(self, now: State, open_: bool) -> None:
        if self._asked.get("auto") == now.auto:
            del self._asked["auto"]
        if "auto" not in self._asked:  # a click that is still on its way must not be undone by the old state
            self.auto.value = now.auto
        self.auto.description = "Auto: the controller decides" if self.auto.value else "Manual: you decide"
        self.auto.tooltip = "Who pauses modalities and starts joint training: the controller, or you"
        self.auto.disabled = now.stage == "joint" or not open_

    def _button(self, description: str, icon: str, tooltip: str, action: Callable[[Session], None]) -> widgets.Button:
        button = widgets.Button(
            description=description, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto", min_width="72px")
        )
        button.on_click(self.guarded(lambda _: action(self._session)))
        return button

    def _modality_button(self, name: str) -> widgets.Button:
        def toggle(session):
            if name in session.trainer.active:
                session.post(lambda trainer: trainer.pause(name), f"pause {name}")
            else:
                session.post(lambda trainer: trainer.resume(name), f"resume {name}")

        return self._button(f"Pause {name}", "pause", f"Stop training the encoder of {name}", toggle)

    def _join(self, session: Session) -> None:
        start = STARTS.get(self.start.value, self.chosen)
        session.post(lambda trainer: trainer.switch_to_joint(rewind=start), "start joint training")

    def _rewind(self, session: Session) -> None:
        find = self._probe_to_go_to()
        session.post(lambda trainer: trainer.rewind(find(trainer)), "rewind")

    def _branch(self, session: Session) -> None:
        find, name = self._probe_to_go_to(), self.branch_name.value.strip()
        self.branch_name.value = ""

        def split(trainer):
            self._on_branch(trainer.branch(at=find(trainer), name=name), name)

        session.post(split, "branch")

    def _probe_to_go_to(self) -> Callable[[object], int]:
        """Return how to find the chosen epoch once the command is obeyed; "best" is the rule's word by then."""
        chosen, best = self.chosen, STARTS.get(self.start.value) is True

        def find(trainer) -> int:
            if chosen is not None:
                return chosen
            probe = trainer.controller.best(trainer.record) if best else None
            return (probe or trainer.record.probes()[-1]).epoch

        return find

    def _ask_auto(self, change) -> None:
        self._asked["auto"] = wanted = change["new"]
        self._session.post(lambda trainer: setattr(trainer, "auto", wanted), "change who decides")

    def guarded(self, callback: Callable) -> Callable:
        """Return the callback with its exceptions shown in the board; it hears the user only, not the board itself."""

        @wraps(callback)
        def call(*arguments):
            if threading.get_ident() == self.shower:
                return
            try:
                callback(*arguments)
                self._on_error(None)
                self._on_refusal("")
            except InputError as refusal:
                self._on_refusal(str(refusal))
            except Exception as error:
                self._on_error(error)

        return call


def _probe(session: Session) -> None:
    session.post(lambda trainer: trainer.probe(), "probe")


def _stop(session: Session) -> None:
    session.close(timeout=0)  # a callback must not wait for the step that is running
