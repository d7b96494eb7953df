"""What the user can ask of a run: each command is posted to its session and returns; none trains, draws or waits."""

from collections.abc import Callable, Mapping
from copy import deepcopy

from mmpid.errors import InputError
from mmpid.live.session import Session
from mmpid.widgets.board.branches import Run, Runs
from mmpid.widgets.board.rates import parsed_rate
from mmpid.widgets.board.saving import Saving
from mmpid.widgets.board.text import Message
from mmpid.widgets.board.what_if import chosen_rule


class Refused(InputError):
    """A command that cannot be carried out, in words for the user."""


class Commands:
    """Carry out what the page asks for.

    Parameters
    ----------
    runs
        The runs; commands go to the chosen one.
    saving
        Saves runs and writes reports.
    say
        Shows a message in the footer.
    on_branch
        Called with the new trainer and the requested name.
    """

    def __init__(
        self,
        runs: Runs,
        saving: Saving,
        say: Callable[[Message | None], None],
        on_branch: Callable[[object, str], None],
    ):
        self._runs, self._saving, self._say, self._on_branch = runs, saving, say, on_branch
        self.question: dict = {}  # what the user is asked before something is lost
        self._before_rewind: tuple[Run, Callable[[], None]] | None = None

    @property
    def _run(self) -> Run:
        return self._runs.chosen

    @property
    def _session(self) -> Session:
        return self._runs.session

    @property
    def can_undo(self) -> bool:
        """Whether the latest rewind of the chosen run can be undone."""
        return self._before_rewind is not None and self._before_rewind[0] is self._run

    def obey(self, said: Mapping) -> None:
        """Carry out one command of the page."""
        command = getattr(self, f"_do_{said.get('do')}", None)
        if command is None:
            raise Refused(f"the board knows no command {said.get('do')!r}.")
        if said.get("do") not in ("what_if", "confirm", "cancel"):
            self.question = {}
        command(**{key: value for key, value in said.items() if key != "do"})

    # ---- time ------------------------------------------------------------------------------------------------

    def _do_play(self) -> None:
        self._say(None)
        self._runs.pace.play(self._session)

    def _do_pause(self) -> None:
        self._runs.pace.stop()
        self._session.pause()

    def _do_step(self, of: str = "epoch") -> None:
        self._runs.pace.stop()
        if of == "batch":
            self._session.step(batches=1)
        elif of == "probe":
            self._session.to_next_probe()
        else:
            self._session.step(epochs=1)

    def _do_probe(self) -> None:
        self._session.post(lambda trainer: trainer.probe(), "probe")

    def _do_speed(self, value: str) -> None:
        self._runs.pace.choose(value, self._session)
        self._runs.notify()

    def _do_stop(self) -> None:
        self._runs.pace.stop()
        self._session.close(timeout=0)  # a callback must not wait for the step that is running

    # ---- steering --------------------------------------------------------------------------------------------

    def _do_toggle(self, name: str) -> None:
        session = self._session
        if name in session.trainer.active:
            session.post(lambda trainer: trainer.pause(name), f"pause {name}")
        else:
            session.post(lambda trainer: trainer.resume(name), f"resume {name}")

    def _do_auto(self, value: bool) -> None:
        self._session.post(lambda trainer: setattr(trainer, "auto", bool(value)), "change who decides")

    def _do_joint(self, start: str | float = "best") -> None:
        rewind = {"best": True, "now": False}.get(start, start) if isinstance(start, str) else int(start)
        self._session.post(lambda trainer: trainer.switch_to_joint(rewind=rewind), "start joint training")

    def _do_rate(self, name: str, value: str) -> None:
        rate = parsed_rate(name, str(value))
        self._session.post(lambda trainer: trainer.set_learning_rate(rate, name), f"set the learning rate of {name}")

    def _do_use_rule(self, rule: str, value: float) -> None:
        chosen = chosen_rule(rule, value)

        self._session.post(lambda trainer: trainer.set_rule(chosen), "use this rule")

    # ---- going back ------------------------------------------------------------------------------------------

    def _do_rewind(self, to: float) -> None:
        to = int(to)
        if self._session.trainer.finished:
            words = f"Rewind to epoch {to}? This leaves the finished model behind."
            self.question = {"words": words, "yes": f"Rewind to epoch {to}", "to": to}
            self._runs.notify()
            return
        self._rewind(to)

    def _do_confirm(self) -> None:
        asked, self.question = self.question, {}
        if asked:
            self._rewind(asked["to"])

    def _do_cancel(self) -> None:
        self.question = {}
        self._runs.notify()

    def _rewind(self, to: int) -> None:
        run = self._run
        self._before_rewind = None

        def back(trainer):
            undo = _way_back(trainer)
            trainer.rewind(to)
            self._before_rewind = run, undo

        run.session.post(back, "rewind")

    def _do_undo(self) -> None:
        before = self._before_rewind
        if before is None or not self.can_undo:
            raise Refused("there is no rewind to undo.")
        _, undo = before
        self._before_rewind = None
        self._session.post(lambda trainer: undo(), "undo the rewind")

    def forget_undo(self) -> None:
        """Training went on after the rewind, so that it cannot be taken back any more."""
        self._before_rewind = None

    def _do_branch(self, at: float, name: str = "") -> None:
        at, name = int(at), str(name).strip()
        self._session.post(lambda trainer: self._on_branch(trainer.branch(at=at, name=name), name), "branch")

    # ---- runs, files -----------------------------------------------------------------------------------------

    def _do_choose(self, name: str) -> None:
        self._runs.choose(name)

    def _do_rename(self, name: str) -> None:
        self._runs.rename(self._run, str(name))

    def _do_show(self, name: str, value: bool) -> None:
        for run in self._runs.all:
            if run.name == name:
                run.shown = bool(value)
        self._runs.notify()

    def _do_save(self, folder: str) -> None:
        self._saving.save(self._run, str(folder))

    def _do_report(self, folder: str) -> None:
        self._saving.report(self._run, str(folder))


def _way_back(trainer) -> Callable[[], None]:
    """Return how to restore a trainer and its record as they stand now."""
    state, n_rows = deepcopy(trainer.state_dict()), len(trainer.record.rows)  # its tensors are those of the model

    def restore():
        del trainer.record.rows[n_rows:]
        trainer.load_state_dict(state)

    return restore
