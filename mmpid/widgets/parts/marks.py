"""What a plot can draw: curves, bands, points, bars, and lines across it, as plain values.

Each function returns one mark: its kind, its look, and its numbers (n,) by name under "arrays". A `key` tells the marks
of a plot apart; the mouse and the keyboard can read a mark with a `name` or with its own words (`says`).
"""

from collections.abc import Iterable, Sequence

import numpy as np

from mmpid.widgets.parts.markup import DASHES

Mark = dict


def line(
    key: str, x, y, color: str, *, dash: str = "solid", thick: float = 2.2, opacity: float = 1.0, bounds=None, **reading
) -> Mark:
    """Return a curve; its `bounds` (low, high) are only read, and `reading` is what `readable` takes."""
    look = {"stroke": color, "dash": DASHES[dash], "thick": thick, "opacity": opacity, "tone": color}
    interval = dict(zip(("low", "high"), bounds, strict=True)) if bounds is not None else {}
    return {"kind": "line", "key": key, **look, **readable(**reading), "arrays": {"x": x, "y": y, **interval}}


def readable(*, name: str = "", where: str = "at", digits: int | None = 3, says: Sequence[str] = ()) -> Mark:
    """Return the text that a mark shows: "name: value [low, high] where x", or its own words."""
    if not name and not says:
        return {}
    return {"name": name, "where": where, "digits": digits} | ({"says": list(says)} if says else {})


def ribbon(key: str, x, low, high, color: str, opacity: float) -> Mark:
    """Return the region between two curves; a single point gets a little width."""
    x, low, high = (np.asarray(part, float) for part in (x, low, high))
    if len(x) == 1:
        x, low, high = np.array([x[0] - 0.1, x[0] + 0.1]), np.repeat(low, 2), np.repeat(high, 2)
    return {
        "kind": "ribbon",
        "key": key,
        "fill": color,
        "opacity": opacity,
        "arrays": {"x": x, "low": low, "high": high},
    }


def points(
    key: str, x, y, color: str, *, sign: str = "circle", size: float = 3.0, filled: bool = True, **reading
) -> Mark:
    """Return points; `sign` is circle, square, diamond, triangle or cross, `size` its radius in pixels."""
    look = {"fill": color} if filled else {"stroke": color, "thick": 1.5}
    own = {"sign": sign, "size": size, "tone": color, **readable(**reading)}
    return {"kind": "points", "key": key, **look, **own, "arrays": {"x": x, "y": y}}


def bars(key: str, x, y, color: str, *, width: float, filled: bool = True, says: Sequence[str] = ()) -> Mark:
    """Return bars from the lower edge up to `y`, `width` wide in units of x."""
    look = {"fill": color if filled else "none", "stroke": color, "thick": 1.5, "width": width, "tone": color}
    return {"kind": "bars", "key": key, **look, **readable(says=says), "arrays": {"x": x, "y": y}}


def upright(key: str, at: float, color: str, *, dash: str = "solid", thick: float = 1.5, opacity: float = 1.0) -> Mark:
    """Return a vertical line across the plot."""
    look = {"stroke": color, "dash": DASHES[dash], "thick": thick, "opacity": opacity}
    return {"kind": "upright", "key": key, "at": float(at), **look, "arrays": {}}


def axis(
    label: str, low: float, high: float, ticks: Iterable[float], texts: Sequence[str] = (), *, log: bool = False
) -> dict:
    """Return an axis; without `texts`, ticks have as many digits as needed."""
    ticks = [float(tick) for tick in ticks]
    written = list(texts) or [f"{tick:.{_digits(ticks)}f}" for tick in ticks]
    return {"label": label, "low": float(low), "high": float(high), "ticks": ticks, "texts": written, "log": log}


def _digits(ticks: Sequence[float]) -> int:
    return next(digits for digits in range(10) if all(abs(tick - round(tick, digits)) < 1e-9 for tick in ticks))
