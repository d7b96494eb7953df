"""The budget that runs share when they are compared."""

from typing import Any

from mmpid.errors import ConfigError


def share_budget(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of runs that are compared, each of which spends all of `epochs`; refuse another length."""
    if settings.get("joint_epochs") is not None:
        raise ConfigError(
            f"`joint_epochs` must be left out where runs are compared, since each of them spends the same `epochs`; it "
            f"was {settings['joint_epochs']}. Set `epochs` and `unimodal_epochs`, or train single runs with Trainer."
        )
    return {**settings, "joint_epochs": None}
