"""Live widgets of a notebook: one life per cell, and a picture that outlives the kernel."""

import base64
import weakref
from collections.abc import Callable
from html import escape
from typing import Any, cast

import ipywidgets as widgets

from mmpid.widgets.parts.environment import cell_of_now
from mmpid.widgets.parts.worker import Worker

_alive: "weakref.WeakSet" = weakref.WeakSet()
REST_SECONDS = 0.8  # the picture is drawn after this much time without a change


def register_widget(widget, origin: tuple | None = None) -> None:
    """Note that something with `close()` lives in the running cell, and close what an earlier run of the cell made.

    `origin` is where it was made, as returned by `cell_of_now()`; by default, this function calls it.
    """
    widget.origin = origin or cell_of_now()
    close_earlier(widget.origin)
    _alive.add(widget)


def close_earlier(origin: tuple | None) -> None:
    """Close what earlier runs of a cell made: its output is gone, and its threads and memory must go too."""
    for other in list(_alive):
        if origin is not None and other.origin is not None and other.origin[0] == origin[0] and other.origin != origin:
            other.close()


def show_widget(widget: widgets.Widget) -> None:
    """Show a widget without the text that a page without widgets would print instead."""
    from IPython.display import display

    bundle = heard(widget)._repr_mimebundle_()
    data, metadata = cast(tuple[dict, dict], bundle if isinstance(bundle, tuple) else (bundle, {}))
    display({**data, "text/plain": ""}, metadata=metadata, raw=True)


def heard(root: widgets.Widget) -> widgets.Widget:
    """Return a widget that is about to be shown, once messages from the page will reach it."""
    for one in _tree(root):
        _answer_where_asked(one)
    return root


class Still:
    """The replacement of a widget in marimo, from data by MIME type as IPython's `display` takes them."""

    def __init__(self, bundle: dict):
        self._data = bundle

    def _mime_(self) -> tuple[str, str]:
        words = self._data.get("text/plain", "")
        if "text/html" in self._data:
            return "text/html", self._data["text/html"]
        if "image/png" in self._data:
            data = base64.b64encode(self._data["image/png"]).decode()
            return "text/html", f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">'
        return "text/plain", words


class StaticPicture:
    """A static picture in an output of its own, replaced when the widget above it has come to rest.

    Parameters
    ----------
    bundle
        Returns the picture by MIME type; called in a separate thread.
    """

    def __init__(self, bundle: Callable[[], dict]):
        self._bundle = bundle
        self._handle: Any = None  # IPython's handle of the output, once it is displayed
        self._worker: Worker | None = None

    def display(self) -> None:
        """Put the picture into the output of the running cell."""
        from IPython.display import display

        self._handle = display(self._bundle(), raw=True, display_id=True)

    def refresh(self) -> None:
        """Replace the picture soon, if there is one; returns at once."""
        if self._handle is None:
            return
        if self._worker is None:
            self._worker = Worker(lambda _: [self._bundle()], self._update, delay=REST_SECONDS, name="still")
        self._worker.ask(True)

    def _update(self, bundle: dict) -> None:
        self._handle.update(bundle, raw=True)

    def close(self) -> None:
        """End the thread; the picture stays."""
        if self._worker is not None:
            self._worker.close()


def close_tree(root: widgets.Widget) -> None:
    """Close a widget and everything below it."""
    for one in _tree(root):
        one.close()


def _tree(root: widgets.Widget) -> list[widgets.Widget]:
    """Return a widget and everything below it, without what is closed."""
    found, open_ = {}, [root]
    while open_:
        one = open_.pop()
        if one.comm is not None and id(one) not in found:  # a closed widget no longer has a comm
            found[id(one)] = one
            for value in (getattr(one, name) for name in one.keys):
                values = value.values() if isinstance(value, dict) else value
                parts = values if isinstance(value, list | tuple | dict) else [value]
                open_ += [part for part in parts if isinstance(part, widgets.Widget)]
    return list(found.values())


def _answer_where_asked(widget: widgets.Widget) -> None:
    """Let messages from the page reach the thread that the page chose for them.

    ipykernel 7.4 sends a message to the apparent source of the widget's last update. If that update came from a
    background thread, this is wherever the kernel last received a message: a cell that waits, or a thread that a
    reloaded page has just ended. There a click waits or is lost.
    """
    comm: Any = widget.comm
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default
