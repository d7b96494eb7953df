"""Learning rates: the current ones, and what the user may type."""

from collections.abc import Mapping, Sequence
from typing import cast

from mmpid._validate import number
from mmpid.errors import ConfigError


def parsed_rate(name: str, words: str, in_force: str = "") -> float:
    """Return a learning rate as the user typed it.

    Raises
    ------
    ConfigError
        If it is not a number above 0.
    """
    try:
        return number(float(words), "learning rate", low=0, open_low=True, high=1e6)
    except ValueError as problem:  # a ConfigError is one, too
        raise ConfigError(
            f"the learning rate of {name} must be a number above 0, such as 0.01; it was {words!r}. "
            f"It is still {in_force or 'as set'}."
        ) from problem


def rates_in_force(path: Sequence[dict], stage: str, metadata: Mapping) -> dict[str, float]:
    """Return the rates of the latest epoch of a stage, updated with those set by hand since.

    Stage 1 starts with the rate from the settings; the initial rate of stage 2 is known after its first epoch.
    """
    start = metadata.get("settings", {}).get("lr") if stage == "unimodal" else None
    rates: dict[str, float] = {} if start is None else dict.fromkeys(metadata["modalities"], cast(float, start))
    by_hand: dict[str, float] = {}
    for entry in reversed(path):
        if entry["stage"] != stage:
            break
        if entry["kind"] == "epoch":
            rates = {key[3:]: value for key, value in entry.items() if key.startswith("lr.")}
            break
        if entry.get("action") == "learning_rate" and "" not in by_hand:  # "" means all, whatever was set before
            by_hand.setdefault(entry.get("modality") or "", _new_rate(entry))
    everyone = by_hand.pop("", None)
    return (rates if everyone is None else dict.fromkeys(rates, everyone)) | by_hand


def _new_rate(row: Mapping) -> float:
    """Return the rate that a decision set; older rows have it only in words."""
    return float(row["new"] if row.get("new") is not None else row["reason"].rpartition("->")[2])
