"""A header that unfolds what is under it: a real button, so that keyboards and screen readers know it as one."""

from pathlib import Path

import anywidget
import traitlets


class Fold(anywidget.AnyWidget):
    """A button with a caret, and the HTML that it shows.

    Attributes
    ----------
    words : str
        What the button says.
    unfolded : bool
        Whether the content is shown.
    html : str
        The content; whoever fills it escapes what comes from outside.
    """

    _esm = traitlets.Unicode(Path(__file__).with_name("fold.js").read_text(encoding="utf-8")).tag(sync=True)
    words = traitlets.Unicode("").tag(sync=True)
    unfolded = traitlets.Bool(False).tag(sync=True)
    html = traitlets.Unicode("").tag(sync=True)
