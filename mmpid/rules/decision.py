"""A decision: plain data that a rule returns and the trainer carries out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from numbers import Integral, Real

import numpy as np

from mmpid.errors import ConfigError

Value = float | int | str | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do after a probe, and why: in numbers, and in one sentence.

    Attributes
    ----------
    action : {"hold", "pause", "resume", "switch"}
        "switch" starts joint training; "hold" changes nothing and says what is being waited for. A record also has
        "rewind", "learning_rate", "batch_size", "rule" and "start", which only the user and the trainer itself decide.
    reason : str
        The evidence in words, for people. Code reads `values` instead.
    epoch : int
        Epoch of the probe that it rests on.
    modality : str
        The modality to pause or resume; empty otherwise.
    rule : str
        Name of the rule that decided.
    rewind_to : int, optional
        Epoch whose state a switch should start from; None means the present one.
    from_scratch : bool
        Whether a switch discards stage 1. Joint training then starts as without a stage 1, from the initial joint head
        and with the full learning rate.
    values : mapping of str to number, str or None
        The numbers of the evidence by name, for example ``{"ratio": 3.4, "threshold": 3.0}``. A number that is not
        finite becomes None.

    Examples
    --------
    >>> decision = Decision(action="hold", reason="ratio 3.4", epoch=2, values={"ratio": 3.4})
    >>> decision.to_dict()["value.ratio"]
    3.4
    """

    action: str
    reason: str
    epoch: int
    modality: str = ""
    rule: str = ""
    rewind_to: int | None = None
    from_scratch: bool = False
    values: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self):
        object.__setattr__(self, "values", {name: _json_value(name, x) for name, x in self.values.items()})

    def to_dict(self) -> dict:
        """Return all fields as one flat dict of plain values; those of `values` are named "value.<name>"."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "values"}
        return own | self._flat_values()

    def to_row(self, source: str) -> dict:
        """Return what a row of the record says of the decision, flat; `source` is who made it."""
        row = {
            "action": self.action, "modality": self.modality, "reason": self.reason, "rule": self.rule, "source": source
        }  # fmt: skip
        return row | ({"from_scratch": True} if self.from_scratch else {}) | self._flat_values()

    def _flat_values(self) -> dict[str, Value]:
        return {f"value.{name}": x for name, x in self.values.items()}


def _json_value(name: str, value) -> Value:
    """Return a value as a finite JSON number, text or None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if isfinite(value) else None
    raise ConfigError(
        f"`values[{name!r}]` of a decision must be a number, text or None; it was {value!r} "
        f"({type(value).__name__}). Try float(...)."
    )
