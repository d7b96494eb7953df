"""Where the code runs: in a notebook in front of a user, or unattended."""

import itertools
import os
import sys

from mmpid._validate import choice
from mmpid.errors import ConfigError

_runs = itertools.count(1)
MODES = ("auto", "live", "static")


def resolve_mode(mode: str = "auto") -> str:
    """Return "live" or "static".

    "auto" is live only in a front end that is known to show widgets: JupyterLab and Notebook (they name the session),
    VS Code, Colab, Voila and marimo. It is static without a kernel, under papermill and nbconvert, and wherever
    `MMPID_HEADLESS=1` is set. "live" is an error in JupyterLite, whose Python has no threads.
    """
    choice(mode, "mode", MODES)
    if sys.platform == "emscripten":  # the browser's own Python
        if mode == "live":
            raise ConfigError(
                "`mode` must be 'static' in JupyterLite: Python in the browser has no threads (and no PyTorch), so "
                "nothing could train behind a live board. Use JupyterLab, Notebook 7 or Voila with a real kernel."
            )
        return "static"
    if mode != "auto":
        return mode
    if os.environ.get("MMPID_HEADLESS", "0").lower() not in ("", "0", "false"):
        return "static"
    return "live" if in_marimo() or (_kernel_shell() is not None and _has_front_end()) else "static"


def in_kernel() -> bool:
    """Whether there is a notebook cell whose output could show something."""
    return _kernel_shell() is not None


def in_marimo() -> bool:
    """Whether a marimo notebook runs this, in its editor or as an app."""
    marimo = sys.modules.get("marimo")
    return marimo is not None and bool(marimo.running_in_notebook())


def cell_of_now() -> tuple[str, int] | None:
    """Return (id of the running notebook cell, execution count), or None if the front end does not say."""
    if in_marimo():
        return _cell_of_marimo()
    shell = _kernel_shell()
    if shell is None or not hasattr(shell, "get_parent"):
        return None
    cell = (shell.get_parent() or {}).get("metadata", {}).get("cellId")
    return (cell, shell.execution_count) if cell else None


def _cell_of_marimo() -> tuple[str, int] | None:
    """Return the same in marimo, which makes an execution context for each run of a cell; runs are counted on it."""
    # no public name gives the running cell; another version may keep it elsewhere
    ask = getattr(sys.modules.get("marimo._runtime.context"), "safe_get_context", lambda: None)
    context = ask()
    run = context.execution_context if context is not None else None
    return (str(run.cell_id), vars(run).setdefault("mmpid_count", next(_runs))) if run is not None else None


def _kernel_shell():
    """Return the IPython shell of a kernel; None in a script or a terminal."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    shell = get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None


def _has_front_end() -> bool:
    named = ("JPY_SESSION_NAME", "VSCODE_PID", "VSCODE_CWD", "COLAB_RELEASE_TAG", "VOILA_REQUEST_URL")
    return any(name in os.environ for name in named)
