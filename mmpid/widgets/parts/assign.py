"""Set what differs and nothing else: each trait that is set is a message to the browser."""

import numpy as np


def assign(widget, **values) -> None:
    """Set what differs, as one message; equal values send nothing."""
    changed = {name: value for name, value in values.items() if not _same(getattr(widget, name), value)}
    if len(changed) > 1:
        with widget.hold_sync():
            for name, value in changed.items():
                setattr(widget, name, value)
    else:
        for name, value in changed.items():
            setattr(widget, name, value)


def _same(old, new) -> bool:
    if isinstance(new, np.ndarray) or isinstance(old, np.ndarray):
        return np.shape(old) == np.shape(new) and bool(np.all(np.asarray(old) == np.asarray(new)))
    return old == new
