"""Learning rates by hand: a field for each modality and, in stage 2, one for the joint head."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from mmpid._validate import number
from mmpid.errors import ConfigError
from mmpid.widgets.parts.look import row


class LearningRates:
    """Fields that show the learning rates in force and take others.

    Parameters
    ----------
    modalities
        One field each; the joint head's is shown in stage 2.
    post
        Given a command for the trainer and its label.
    guarded
        Wraps callbacks so that the board shows their exceptions.
    """

    def __init__(self, modalities: tuple[str, ...], post: Callable, guarded: Callable):
        self._post = post
        self.fields = {name: self._field(name, guarded) for name in (*modalities, "joint")}
        self._in_force = dict.fromkeys(self.fields, "")
        self.widget = row([widgets.HTML("Learning rate"), *self.fields.values()])

    def show(self, rates: Mapping[str, float], stage: str, open_: bool) -> None:
        """Bring the fields to the rates in force; what the user has typed and was refused stays to be corrected."""
        for name, field in self.fields.items():
            words = f"{rates[name]:.4g}" if name in rates else ""
            if words != self._in_force[name]:
                self._in_force[name] = words
                field.value = words
            field.disabled = not open_
            field.layout.display = "none" if name == "joint" and stage != "joint" else ""

    def _field(self, name: str, guarded: Callable) -> widgets.Text:
        field = widgets.Text(
            description=name,
            continuous_update=False,
            placeholder="as set",
            tooltip=f"Learning rate of {'the joint head' if name == 'joint' else name}; Enter sets it",
        )
        field.style.description_width = "initial"
        field.layout.width = "auto"
        field.add_class("mmpid-rate")
        field.observe(guarded(lambda change: self._ask(name, change["new"])), "value")
        return field

    def _ask(self, name: str, words: str) -> None:
        try:
            rate = number(float(words), "learning rate", low=0, open_low=True, high=1e6)
        except ValueError as problem:  # a ConfigError is one, too
            raise ConfigError(
                f"The learning rate of {name} must be a number above 0, such as 0.01; it was {words!r}. "
                f"It is still {self._in_force[name] or 'as set'}."
            ) from problem
        self._in_force[name] = words  # until the trainer says what became of it
        self._post(lambda trainer: trainer.set_learning_rate(rate, name), f"set the learning rate of {name}")


def rates_in_force(path: Sequence[dict], stage: str, metadata: Mapping) -> dict[str, float]:
    """Return the rates of the latest epoch of a stage, and what was set by hand since.

    Stage 1 starts with the rate of the settings; what stage 2 starts with is known after its first epoch.
    """
    start = metadata.get("settings", {}).get("lr") if stage == "unimodal" else None
    rates = {} if start is None else dict.fromkeys(metadata["modalities"], start)
    by_hand: dict[str, float] = {}
    for entry in reversed(path):
        if entry["stage"] != stage:
            break
        if entry["kind"] == "epoch":
            rates = {key[3:]: value for key, value in entry.items() if key.startswith("lr.")}
            break
        if entry.get("action") == "learning_rate" and "" not in by_hand:  # "" is all of them, whatever was before
            by_hand.setdefault(entry["modality"], float(entry["reason"].rpartition("->")[2]))
    everyone = by_hand.pop("", None)
    return (rates if everyone is None else dict.fromkeys(rates, everyone)) | by_hand
