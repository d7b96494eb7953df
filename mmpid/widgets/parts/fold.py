"""A header that unfolds the content under it: a real button, which keyboards and screen readers recognize."""

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
        The content; its author must escape text from outside.
    """

    _esm = traitlets.Unicode(Path(__file__).with_name("fold.js").read_text(encoding="utf-8")).tag(sync=True)
    words = traitlets.Unicode("").tag(sync=True)
    unfolded = traitlets.Bool(False).tag(sync=True)
    html = traitlets.Unicode("").tag(sync=True)
