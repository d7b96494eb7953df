"""Two recipes on the same data, side by side under one clock."""

from mmpid.widgets.race.race import Race

__all__ = ["Race"]
