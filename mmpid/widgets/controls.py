"""The board's buttons: each posts a command to the session and returns; none of them trains, draws or waits."""

from collections.abc import Callable
from functools import wraps

import ipywidgets as widgets

from mmpid.train.session import Session
from mmpid.widgets.text import State

REWINDS = {"from the best probe so far": True, "from now": False}


class Controls:
    """Transport, modalities, and who decides.

    Parameters
    ----------
    session
        What the buttons command.
    modalities
        One pause button each.
    on_error
        Told of any exception in a callback, which a notebook would otherwise hide.
    """

    def __init__(self, session: Session, modalities: tuple[str, ...], on_error: Callable[[Exception], None]):
        self._session = session
        self._on_error = on_error
        self._asked: dict[str, bool] = {}
        self.transport = [
            self._button("Play", "play", "Train until you press Pause, or to the end", session.play),
            self._button("Pause", "pause", "Stop after the batch that is running", session.pause),
            self._button("Step batch", "step-forward", "Train on one batch", lambda: session.step(batches=1)),
            self._button("Step epoch", "forward", "Train to the end of the epoch", lambda: session.step(epochs=1)),
            self._button("To next probe", "fast-forward", "Train until the next decomposition", session.to_next_probe),
            self._button("Probe now", "search", "Decompose what the encoders know at this moment", self._probe),
        ]
        self.modalities = {name: self._modality_button(name) for name in modalities}
        self.auto = widgets.ToggleButton(value=True, icon="magic", layout=widgets.Layout(width="auto"))
        self.auto.observe(self._guarded(self._ask_auto), "value")
        self.rewind = widgets.Dropdown(
            options=list(REWINDS.items()),
            description="Start",
            tooltip="Which state of the encoders joint training starts from",
            layout=widgets.Layout(width="245px"),
        )
        self.rewind.style.description_width = "initial"
        self.joint = self._button(
            "Start joint training", "link", "Begin stage 2: train both encoders together", self._join
        )
        self.progress = widgets.FloatProgress(
            min=0, max=1, layout=widgets.Layout(width="130px", height="16px"), tooltip="Epochs trained, of all epochs"
        )
        self.widget = widgets.VBox(
            [
                _row(self.transport),
                _row([*self.modalities.values(), self.auto, self.rewind, self.joint]),
            ]
        )

    def show(self, now: State) -> None:
        """Bring labels and availability to the state of the run."""
        open_ = now.state != "closed"
        for button in self.transport:
            button.disabled = not open_ or now.state == "finished"
        self.transport[0].button_style = "success" if now.state == "playing" else ""
        for name, button in self.modalities.items():
            self._show_modality(button, name, now, open_)
        self._show_auto(now, open_)
        self.joint.disabled = self.rewind.disabled = now.stage == "joint" or not open_
        self.progress.value = min(now.done / now.total, 1.0) if now.total else 0.0
        self.progress.bar_style = {"failed": "danger", "finished": "success"}.get(now.state, "info")

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

    def _button(self, description: str, icon: str, tooltip: str, action: Callable[[], None]) -> widgets.Button:
        button = widgets.Button(
            description=description, icon=icon, tooltip=tooltip, layout=widgets.Layout(width="auto", min_width="72px")
        )
        button.on_click(self._guarded(lambda _: action()))
        return button

    def _modality_button(self, name: str) -> widgets.Button:
        def toggle():
            if name in self._session.trainer.active:
                self._session.post(lambda trainer: trainer.pause(name), f"pause {name}")
            else:
                self._session.post(lambda trainer: trainer.resume(name), f"resume {name}")

        return self._button(f"Pause {name}", "pause", f"Stop training the encoder of {name}", toggle)

    def _probe(self) -> None:
        self._session.post(lambda trainer: trainer.probe(), "probe")

    def _join(self) -> None:
        rewind = self.rewind.value
        self._session.post(lambda trainer: trainer.switch_to_joint(rewind=rewind), "start joint training")

    def _ask_auto(self, change) -> None:
        wanted = change["new"]
        if wanted != self._session.trainer.auto:
            self._asked["auto"] = wanted
            self._session.post(lambda trainer: setattr(trainer, "auto", wanted), "change who decides")

    def _guarded(self, callback: Callable) -> Callable:
        @wraps(callback)
        def call(*arguments):
            try:
                callback(*arguments)
            except Exception as error:
                self._on_error(error)

        return call


def _row(children) -> widgets.Box:
    row = widgets.Box(list(children))
    row.add_class("mmpid-row")
    return row
