"""Bring what lies outside `docs/` into the site: notebooks, lessons, solutions, and a page per public module."""

import importlib
import inspect
import json
import shutil
from pathlib import Path

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
EXECUTED = ROOT / "runs" / "check"  # `mmpid check --out runs/check` leaves the executed lessons here
MODULES = {
    "mmpid": "What most notebooks need: one import.",
    "mmpid.joints": "Joints whose decomposition is known.",
    "mmpid.datasets": "Data: shipped sets, your arrays, your folders.",
    "mmpid.models": "Encoders and fusion.",
    "mmpid.train": "The trainer, its settings, and callbacks.",
    "mmpid.rules": "When joint training starts, and who is paused.",
    "mmpid.methods": "The field's balance methods, each a callback.",
    "mmpid.protocols": "Published settings by name.",
    "mmpid.runs": "Records of runs: load, compare, export.",
    "mmpid.studies": "Comparisons over methods, seeds and settings.",
    "mmpid.live": "Training in the background.",
    "mmpid.plots": "Pictures of a record or an estimate.",
    "mmpid.widgets": "Boards for a notebook.",
    "mmpid.theory": "The solvable model of modality competition.",
    "mmpid.ecs": "Proxies of competitive strength for real networks.",
    "mmpid.testing": "Checks of your data and encoders before you train.",
    "mmpid.lessons": "Predictions that learners type and compare.",
    "mmpid.errors": "Every error class.",
}


def public(name: str) -> dict[str, object]:
    """Return the public names of a module, in alphabetical order, modules left out."""
    module = importlib.import_module("mmpid.pid.joints") if name == "mmpid.joints" else importlib.import_module(name)
    own = [key for key in vars(module) if not key.startswith("_")]
    names = getattr(module, "__all__", None) or [k for k in own if inspect.getmodule(vars(module)[k]) is module]
    found = {key: getattr(module, key) for key in sorted(names, key=str.lower)}
    return {key: thing for key, thing in found.items() if not inspect.ismodule(thing)}


def page(name: str, words: str) -> str:
    """Return the reference page of a module: a table that links to one page per name.

    A name that `mmpid` itself offers has its page there; the others link to it.
    """
    import_path = "mmpid.pid.joints" if name == "mmpid.joints" else name
    names, top = public(name), set() if name == "mmpid" else set(public("mmpid"))
    here, elsewhere = [n for n in names if n not in top], [n for n in names if n in top]
    lines = [name, "=" * len(name), "", words, "", f".. currentmodule:: {import_path}", ""]
    if here:
        lines += [".. autosummary::", "   :toctree: generated", "", *(f"   {n}" for n in here), ""]
    if elsewhere:
        lines += ["Also here, described with `mmpid`:", "", *(f"* :doc:`generated/mmpid.{n}`" for n in elsewhere), ""]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Write a file only if it changes, so that Sphinx reads again only what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def reference() -> None:
    """Write the pages of the reference."""
    for name, words in MODULES.items():
        write(DOCS / "reference" / f"{name}.rst", page(name, words))


def folded(notebook: dict) -> dict:
    """Fold the parameters and the solutions of exercises, so that a page reads as a text."""
    for cell in notebook["cells"]:
        tags = cell["metadata"].setdefault("tags", [])
        if cell["cell_type"] == "code" and {"parameters", "injected-parameters"} & set(tags):
            tags.append("hide-input")
    return notebook


def notebooks() -> None:
    """Copy evidence as it was executed, and lessons as the last check executed them, or else clean."""
    for kind in ("notebooks", "notebooks/how-to", "tutorials"):
        for source in sorted((ROOT / kind).glob("*.ipynb")):
            done = EXECUTED / source.name
            chosen = done if kind == "tutorials" and done.exists() else source
            text = json.dumps(folded(json.loads(chosen.read_text(encoding="utf-8"))))
            write(DOCS / "gathered" / kind / source.name, text)
    for source in sorted((ROOT / "tutorials" / "solutions").glob("*.md")):
        write(DOCS / "gathered" / "solutions" / source.name, source.read_text(encoding="utf-8"))


def gather(app) -> None:
    """Write everything that is gathered."""
    for folder in ("gathered",):
        shutil.rmtree(DOCS / folder, ignore_errors=True)
    reference()
    notebooks()


def setup(app) -> dict:
    """Connect to Sphinx, before it looks for sources."""
    app.connect("config-inited", lambda app, _: gather(app))
    return {"parallel_read_safe": True}
