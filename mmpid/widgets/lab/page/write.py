"""Assemble the page: the settings of the Python package, the scripts and the styles, in one file."""

import json
from dataclasses import MISSING, fields
from html import escape
from pathlib import Path

from mmpid.theory.data import MEAN_SIZE
from mmpid.theory.schedules import Plan
from mmpid.theory.settings import ModelSettings
from mmpid.widgets.lab.controls import SCALES
from mmpid.widgets.lab.world import N_TEST, REFERENCE_CLASSES
from mmpid.widgets.parts.page import script, styles

TITLE = "Modality competition in a model that can be solved"
CLASSES = (4, 6, 8, 12, 16)  # more would take a browser a minute
SWEEP_CLASSES = (4, 8, 16)
_HERE = Path(__file__).parent
_SHARED = ("dom.js", "scale.js")
_OWN = ("random.js", "model.js", "charts.js", "page.js")


def write_page(path: str | Path) -> Path:
    """Write the competition lab as one HTML file that needs neither a kernel nor a network.

    Parameters
    ----------
    path : str or Path
        Where to write it, such as "competition_lab.html". An existing file is replaced.

    Returns
    -------
    Path
        The file.

    Notes
    -----
    The page simulates the same model as :func:`mmpid.theory.simulate`, in double precision and from the same random
    numbers: a seed gives the same world. Its discovery times agree with Python's, computed in double precision, to a
    relative error of about 1e-6; Python's own single precision changes them by the same amount.

    Examples
    --------
    >>> import tempfile
    >>> file = write_page(Path(tempfile.mkdtemp()) / "lab.html")
    >>> file.read_text(encoding="utf-8").startswith("<!doctype html>")
    True
    """
    target = Path(path).expanduser()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page(), encoding="utf-8")
    return target


def page() -> str:
    """Return the page as HTML."""
    own = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _OWN)
    code = f"const MODEL = {json.dumps(model_settings())};\n{script(*_SHARED)}\n{own}"
    css = f"{styles('board.css')}\n{(_HERE / 'page.css').read_text(encoding='utf-8')}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(TITLE)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        f'<main class="mmpid-page lab-page"></main>\n<script>\n(() => {{\n{code}\n}})();\n</script>\n</body>\n</html>\n'
    )


def model_settings() -> dict:
    """Return the settings that the model needs: the defaults of the Python package, which defines them once."""
    settings = ModelSettings()
    plan = {one.name: one.default for one in fields(Plan) if one.default is not MISSING}
    names = ("n_neurons", "q", "beta", "eta", "n_train", "noise_dims", "noise", "amplitude_spread", "clutter_rate")
    names += ("clutter_size", "gamma", "rho", "n_confusers")
    return {
        **{name: getattr(settings, name) for name in names},
        **{name: plan[name] for name in ("shaped_level", "margin_steps", "max_shaping_steps")},
        "mean_size": MEAN_SIZE,
        "n_test": N_TEST,
        "reference_classes": REFERENCE_CLASSES,
        "classes": list(CLASSES),
        "scales": list(SCALES),
        "sweep_classes": list(SWEEP_CLASSES),
    }
