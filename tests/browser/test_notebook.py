"""The same board in Notebook 7, which JupyterLab's server offers too: the quick start, as far as its board."""

import nbformat
import pytest

from tests.browser.conftest import ROOT
from tests.browser.lab import Page, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def notebook(lab, browser):
    pytest.importorskip("notebook", reason="Notebook 7 is not installed")
    cells = [cell.source for cell in nbformat.read(ROOT / "notebooks" / "01_quickstart.ipynb", 4).cells
             if cell.cell_type == "code"]  # fmt: skip
    board = next(i for i, source in enumerate(cells) if "Dashboard(" in source)
    name = write_notebook(lab.folder, "quickstart", cells[: board + 1])
    context = browser.new_context(viewport={"width": 1300, "height": 1500})
    page = Page(lab, context.new_page(), name, place="notebooks")
    page.open()
    page.problems.clear()  # those of the front end's own start
    yield page
    page.shut_down()
    context.close()


def test_the_quick_start_steps_in_notebook_7(notebook, tmp_path):
    notebook.run_all()
    notebook.wait_for("idle", 90)
    notebook.press("b")
    notebook.tab.locator(".mmpid-progress", has_text="1 batch").wait_for(state="attached")
    notebook.choose("More steps", "To the next probe")
    notebook.tab.locator(".mmpid-graph-known path.mmpid-area").first.wait_for(state="attached")
    notebook.wait_for("paused")
    notebook.tab.locator(".mmpid-board").scroll_into_view_if_needed()
    notebook.screenshot("notebook7", tmp_path)
    assert "JupyterLab" not in notebook.tab.title()
    # Notebook asks this server for pages of its own that JupyterLab's extension manager, read-only here, refuses
    assert [problem for problem in notebook.problems if "Failed to load resource" not in problem] == []
