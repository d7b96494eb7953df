"""The three kinds of part that a controller has: a switch rule, a pause policy and a give-up rule.

A part is a frozen dataclass. It reads the record, remembers nothing, and answers with decisions, so that what it would
have decided can be asked again later, without training (:func:`mmpid.replay`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.rules.decision import Decision, Value
from mmpid.runs.probe import Probe, highest, one_per_epoch
from mmpid.runs.record import RunRecord


class Part:
    """Something that decides, with settings that are saved with the run.

    A setting is a field of the dataclass. An attribute whose name starts with an underscore is not saved.

    Attributes
    ----------
    name : str
        Short name, the class's own unless it sets another.
    once : dict
        What a part that was saved before a setting existed did: the setting's value for such a part, by name.
    """

    name: ClassVar[str] = ""
    once: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.name = cls.__dict__.get("name") or cls.__name__  # never that of the part it is derived from

    def __post_init__(self):
        """Convert NumPy scalars among the settings to Python's numbers, so that they can be saved."""
        for name, value in self.settings().items():
            object.__setattr__(self, name, _without_numpy(value))

    def settings(self) -> dict[str, Any]:
        """Return the settings by name."""
        own = [each.name for each in fields(self)] if is_dataclass(self) else []
        names = dict.fromkeys([*own, *vars(self)])
        return {name: getattr(self, name) for name in names if not name.startswith("_")}

    def to_dict(self) -> dict:
        """Return the module-qualified name of the class, and the settings, as plain JSON values."""
        what = f"`{type(self).__name__}`"
        return {"class": qualified_name(type(self))} | {
            name: _plain(value, f"`{name}` of {what}") for name, value in self.settings().items()
        }


@dataclass(frozen=True, kw_only=True)
class SwitchRule(Part):
    """Decides when joint training starts; your own rule overrides :meth:`decide`, and :meth:`best` if it rewinds.

    No rule acts on an atom that is not a number: it holds, and says so.

    Examples
    --------
    >>> @dataclass(frozen=True, kw_only=True)
    ... class FirstProbe(SwitchRule):
    ...     def decide(self, record):
    ...         return self.switch(self.probes(record)[-1], "one probe is enough")
    """

    adaptive: ClassVar[bool] = True  # False where joint training starts when it was told to, whatever is measured

    def decide(self, record: RunRecord) -> Decision:
        """Return a decision ("switch" or "hold") after the latest probe of `record`."""
        return self.hold(self.latest(record), "the switch is made by hand")

    def best(self, record: RunRecord) -> Probe | None:
        """Return the probe whose state joint training should start from, or None while there is none.

        It is the latest probe whose redundancy is within its noise of the highest: what is equal to the best, as far
        as one can tell, and has been trained longest.
        """
        probes = self.probes(record)
        best = highest(probes, "redundancy")
        if best is None:
            return None
        peak = best.redundancy
        for probe in reversed(probes):
            atom = probe.redundancy
            noise = 0.0 if probe is best else peak.noise_of_difference(atom)
            if atom.is_known and (peak.value or 0.0) - (atom.value or 0.0) <= noise:
                return probe
        return best

    @staticmethod
    def probes(record: RunRecord) -> list[Probe]:
        """Return the probes of stage 1 on the present path, in order, one per epoch."""
        return one_per_epoch(record.probes("unimodal"))

    def latest(self, record: RunRecord) -> Probe | None:
        """Return the latest probe of stage 1, or None before the first one."""
        probes = self.probes(record)
        return probes[-1] if probes else None

    def hold(self, probe: Probe | None, reason: str, values: Mapping[str, Value] | None = None) -> Decision:
        """Return a decision to go on with stage 1 after a probe; None stands for no probe yet."""
        epoch = 0 if probe is None else _check_probe(probe).epoch
        return Decision(action="hold", reason=reason, epoch=epoch, rule=self.name, values=values or {})

    def hold_unknown(self, probe: Probe | None, what: str) -> Decision:
        """Return a decision to go on, because a measured value is not a number."""
        reason = f"{what} is not a number in a probe that counts; nothing is decided on it"
        return self.hold(probe, reason, {"unknown": what})

    def switch(
        self, probe: Probe, reason: str, rewind_to: int | None = None, values: Mapping[str, Value] | None = None
    ) -> Decision:
        """Return a decision to start joint training after a probe, from the state of epoch `rewind_to`."""
        epoch = _check_probe(probe).epoch
        return Decision(
            action="switch", reason=reason, epoch=epoch, rule=self.name, rewind_to=rewind_to, values=values or {}
        )


@dataclass(frozen=True, kw_only=True)
class PausePolicy(Part, ABC):
    """Decides which encoders are paused and resumed; your own policy implements :meth:`decide`.

    Parameters
    ----------
    max_pauses : int, optional
        Joint training starts at the latest when stage 1 has had this many pauses. Pauses by hand do not count, and
        pauses of several modalities at one probe count once. By default there is no such limit.
    """

    max_pauses: int | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.max_pauses is not None:
            _validate.number(self.max_pauses, "max_pauses", low=1, integer=True)

    @abstractmethod
    def decide(self, record: RunRecord) -> list[Decision]:
        """Return decisions ("pause" or "resume", each with its `modality`) after the latest probe of `record`."""


@dataclass(frozen=True, kw_only=True)
class GiveUpRule(Part, ABC):
    """Decides whether stage 1 is given up; a rule of your own implements :meth:`decide`."""

    @abstractmethod
    def decide(self, record: RunRecord) -> Decision | None:
        """Return a decision ("switch", usually with ``from_scratch=True``) after the latest probe, or None."""


def what_changed(before: SwitchRule, after: SwitchRule) -> str:
    """Return in words what a new rule changes: settings from -> to, or for a rule of another kind those it was given.

    Settings that are as they were, or as they are by default, are left out.

    Examples
    --------
    >>> from mmpid import FixedEpoch, PeakSynergy
    >>> what_changed(FixedEpoch(epoch=5), FixedEpoch(epoch=2))
    'FixedEpoch(epoch=5 -> 2)'
    >>> what_changed(FixedEpoch(epoch=5), PeakSynergy(drop=0.6))
    'FixedEpoch -> PeakSynergy(drop=0.6)'
    """
    now = after.settings()
    if type(before) is type(after):
        old = before.settings()
        changed = [f"{name}={old.get(name)!r} -> {x!r}" for name, x in now.items() if x != old.get(name)]
        return f"{after.name}({', '.join(changed)})"
    default = {each.name: each.default for each in fields(after)}
    given = [f"{name}={x!r}" for name, x in now.items() if name not in default or x != default[name]]
    return f"{before.name} -> {after.name}{'(' + ', '.join(given) + ')' if given else ''}"


def qualified_name(kind: type | Callable) -> str:
    """Return the name of a class or function with its module: two of the same short name differ in it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _check_probe(probe) -> Probe:
    return _validate.instance(probe, "probe", Probe, "a Probe", "Pass the latest one: self.probes(record)[-1].")


def _without_numpy(value):
    """Return a setting with NumPy scalars as Python's numbers, within tuples, lists and dicts as well."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(map(_without_numpy, value))
    if type(value) is dict:
        return {_without_numpy(key): _without_numpy(x) for key, x in value.items()}
    return value


def _plain(value, name: str):
    """Return a setting as a JSON value; refuse what cannot be one."""
    value = _without_numpy(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(x, name) for x in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(x, name) for key, x in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value), name)
    if callable(value) and hasattr(value, "__qualname__"):
        return qualified_name(value)
    raise ConfigError(
        f"{name} must be a number, text, a bool, None, or a tuple, list or dict of them, so that it can be saved "
        f"with the run; it was {type(value).__name__}. Start the attribute's name with '_' if it need not be saved."
    )
