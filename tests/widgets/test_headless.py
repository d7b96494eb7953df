"""A notebook run unattended: no widgets, the picture, and the numbers of a run by hand."""

import os
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.notebook

CELLS = (
    "from fake_trainer import FakeTrainer\nfrom mmpid.widgets import Dashboard",
    "trainer = FakeTrainer(epochs=12)\nboard = Dashboard(trainer)\nboard",
    "record = board.wait()\nprint(board.mode, trainer.finished, len(record.rows))",
)


@pytest.fixture
def executed(monkeypatch):
    client = pytest.importorskip("nbclient")
    for name in ("JPY_SESSION_NAME", "VSCODE_PID", "VSCODE_CWD", "COLAB_RELEASE_TAG", "VOILA_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)
    path = [str(Path(__file__).parents[2]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    client.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return notebook


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_headless_notebook_trains_in_wait_and_keeps_only_the_picture(executed):
    data = [output["data"] for output in executed.cells[1].outputs if "data" in output]
    assert len(data) == 1 and "image/png" in data[0]  # the waiting cell has filled the output of the board's cell
    assert "finished" in data[0]["text/plain"]
    assert not any("widget" in kind for bundle in data for kind in bundle)
    assert "widgets" not in executed.metadata
    assert executed.cells[2].outputs[0]["text"].startswith("static True ")
