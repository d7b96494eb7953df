"""The front end of the board: one widget whose page shows everything and reports what the user does."""

from collections.abc import Callable

import anywidget
import traitlets

from mmpid.plots.reading import label_entropy
from mmpid.widgets.board.what_if import questions
from mmpid.widgets.parts.page import script, styles

FRONT = (
    "dom.js",
    "theme.js",
    "scale.js",
    "chart.js",
    "readouts.js",
    "timeline.js",
    "toolbar.js",
    "lower.js",
    "board.js",
    "forms.js",
    "render.js",
)


class BoardView(anywidget.AnyWidget):
    """What the page knows. Each trait is replaced as a whole; unchanged values are not sent.

    Attributes
    ----------
    setup : dict
        Constant entries: modalities, classes, entropy of the label, name of the data.
    now : dict
        State, headline, message, and available commands; changes with every update.
    charts : the traits known, atoms, accuracy, loss, strength
        Charts as `mmpid.widgets.parts.page.packed` writes them.
    events, stories, answer, panel : dict or list
        Flags, pauses and runs on the timeline; the headline of each probe; the answer to "What if"; the open tab.
    """

    _esm = traitlets.Unicode(script(*FRONT)).tag(sync=True)
    _css = traitlets.Unicode(styles("board.css")).tag(sync=True)
    setup = traitlets.Dict({}).tag(sync=True)
    now = traitlets.Dict({}).tag(sync=True)
    known = traitlets.Dict({}).tag(sync=True)
    atoms = traitlets.Dict({}).tag(sync=True)
    accuracy = traitlets.Dict({}).tag(sync=True)
    loss = traitlets.Dict({}).tag(sync=True)
    strength = traitlets.Dict({}).tag(sync=True)
    events = traitlets.Dict({}).tag(sync=True)
    stories = traitlets.List([]).tag(sync=True)
    answer = traitlets.Dict({}).tag(sync=True)
    panel = traitlets.Dict({}).tag(sync=True)

    def __init__(self, answer: Callable[[dict], None], **setup):
        super().__init__(setup=setup)
        self.setup = {**setup, "id": self.model_id}  # the page uses it to ask whether the kernel still answers
        self._answer_to = answer
        self.on_msg(lambda _, said, buffers: self._answer_to(said))


def setup_of(metadata, trainer) -> dict:
    """Return what the page receives once."""
    names = list(metadata["modalities"])
    classes = [str(name) for name in metadata.get("class_names") or ()]
    budget = metadata.get("settings", {}).get("epochs") or trainer.progress[1]
    # probes bound from below what an older record does not say about its label
    known = () if classes or metadata.get("data", {}).get("prior_loss") else trainer.record.lineage("probe")
    return {
        "modalities": names,
        "classes": classes,
        "data": str(metadata.get("data", {}).get("name") or metadata.get("name") or "run"),
        "entropy": label_entropy(metadata, known),
        "questions": questions(int(budget)),
        "samples": metadata.get("data", {}).get("sizes", {}).get("validation"),
    }
