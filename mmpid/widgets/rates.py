"""Learning rates by hand: a field for each modality and, in stage 2, one for the joint head."""

import math
from collections.abc import Callable, Mapping

import ipywidgets as widgets

from mmpid._validate import number
from mmpid.errors import ConfigError
from mmpid.widgets.look import row


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
        self._in_force: dict[str, str] = {}
        self.fields = {name: self._field(name, guarded) for name in (*modalities, "joint")}
        self.fields["joint"].layout.display = "none"
        self.widget = row([widgets.HTML("Learning rate"), *self.fields.values()])

    def show(self, rates: Mapping[str, float], open_: bool) -> None:
        """Bring the fields to the rates in force; what the user has typed and was refused stays to be corrected."""
        for name, field in self.fields.items():
            rate = rates.get(name, math.nan)
            words = f"{rate:.4g}" if rate == rate else ""
            if words != self._in_force.get(name):
                self._in_force[name] = words
                field.value = words
            field.disabled = not open_ or not words
            field.layout.display = "none" if name == "joint" and not words else ""

    def _field(self, name: str, guarded: Callable) -> widgets.Text:
        field = widgets.Text(
            description=name,
            continuous_update=False,
            tooltip=f"Learning rate of {'the joint head' if name == 'joint' else name}; Enter sets it",
        )
        field.style.description_width = "initial"
        field.layout.width = "auto"
        field.add_class("mmpid-rate")
        field.observe(guarded(lambda change: self._ask(name, change["new"])), "value")
        return field

    def _ask(self, name: str, words: str) -> None:
        in_force = self._in_force.get(name)
        if words == in_force:
            return
        try:
            rate = number(float(words), "learning rate", low=0, open_low=True, high=1e6)
        except ValueError as problem:  # a ConfigError is one, too
            raise ConfigError(
                f"The learning rate of {name} must be a number above 0, such as 0.01; it was {words!r}. "
                f"It is still {in_force}."
            ) from problem
        self._in_force[name] = words  # until the trainer says what became of it
        self._post(lambda trainer: trainer.set_learning_rate(rate, name), f"set the learning rate of {name}")


def rates_in_force(trainer) -> dict[str, float]:
    """Return the learning rate of each modality and, in stage 2, of "joint"; those of the last epoch if need be."""
    rates = getattr(trainer, "learning_rates", None)
    if rates is not None:
        return dict(rates)
    epochs = trainer.record.lineage("epoch")[-1:]
    return {key[3:]: value for row in epochs for key, value in row.items() if key.startswith("lr.")}
