"""The labs in a notebook that runs unattended: pictures and tables, no widgets, no state of widgets."""

import os
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.notebook

CELLS = (
    "from mmpid import RunRecord\nfrom mmpid.widgets import CompetitionLab, PIDExplorer, RunBrowser\n"
    "from mmpid.widgets.lab.world import make_sweep\nmake_sweep.__defaults__ = ((4,), 1)",
    "CompetitionLab(n_classes=4)",
    "RunBrowser({'one': RunRecord({'modalities': ['a', 'b'], 'seed': 0})})",
    "PIDExplorer('AND')",
    "import threading\nprint([t.name for t in threading.enumerate() if t.name.startswith('mmpid-')])",
)


@pytest.fixture
def executed(monkeypatch):
    client = pytest.importorskip("nbclient")
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "VSCODE_CWD", "COLAB_RELEASE_TAG", "VOILA_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_headless_labs_leave_pictures_and_neither_widgets_nor_threads(executed):
    kinds = [[set(output["data"]) for output in cell.outputs if "data" in output] for cell in executed.cells]
    assert kinds[1] == kinds[3] == [{"image/png", "text/plain"}]
    assert kinds[2] == [{"image/png", "text/plain"}, {"text/html", "text/plain"}]
    assert "widgets" not in executed.metadata
    assert "Of 4 classes" in executed.cells[1].outputs[0]["data"]["text/plain"]
    assert executed.cells[4].outputs[0]["text"].strip() == "[]"
