"""What another switch rule would have done on this run, computed from the record while the user drags a threshold."""

from collections.abc import Callable
from dataclasses import dataclass

from mmpid._validate import choice
from mmpid.rules import FixedEpoch, PeakSynergy, RedundancyPlateau, SwitchRule
from mmpid.rules.replay import replay


@dataclass(frozen=True)
class Question:
    """A rule with one threshold: its words, and the limits of its slider."""

    words: str
    unit: str
    value: float
    low: float
    high: float
    step: float
    rule: Callable[[float], SwitchRule]


QUESTIONS = {
    "plateau": Question(
        "what both know stops rising", "below {} bits", 0.05, 0.0, 0.5, 0.01, lambda v: RedundancyPlateau(min_gain=v)
    ),
    "peak": Question(
        "synergy falls from its peak", "below {} of it", 0.8, 0.05, 1.0, 0.01, lambda v: PeakSynergy(drop=v)
    ),
    "epoch": Question("a fixed epoch", "epoch {}", 10, 0, 60, 1, lambda v: FixedEpoch(epoch=round(v))),
}


def questions(epochs: int) -> dict[str, dict]:
    """Return the available rules as plain values; epochs go up to the budget."""
    plain = {
        name: {key: getattr(q, key) for key in ("words", "unit", "value", "low", "high", "step")}
        for name, q in QUESTIONS.items()
    }
    plain["epoch"] |= {"high": max(epochs, 1), "value": min(10, max(epochs, 1))}
    return plain


def chosen_rule(name: str, value: float) -> SwitchRule:
    """Return a rule with its threshold."""
    return QUESTIONS[choice(name, "rule", QUESTIONS)].rule(float(value))


def ask(record, rule: str, value: float) -> dict:
    """Return when a rule would have started joint training on the recorded probes, and why.

    After a different decision, later probes would have differed; a replay cannot know them.
    """
    probes = record.lineage("probe", stage="unimodal")
    asked = {"rule": rule, "value": float(value)}
    if not probes:
        return asked | {
            "epoch": None,
            "head": "no probe yet",
            "words": "The answer appears here after the first probe.",
        }
    decisions = replay(record, chosen_rule(rule, value))
    last = decisions[-1] if decisions else None
    if last is None or last.action != "switch":
        why = f" ({last.reason})" if last is not None else ""
        words = f"no joint training in the {len(probes)} probes of stage 1{why}."
        return asked | {"epoch": None, "head": "no switch", "words": words}
    start = "" if last.rewind_to in (None, last.epoch) else f", starting from epoch {last.rewind_to}"
    words = (
        f"joint training from epoch {last.epoch}{start} ({last.reason}). A replay; what came after would have differed."
    )
    return asked | {"epoch": last.epoch, "head": f"joint from epoch {last.epoch}", "words": words}
