import pytest
pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
FAKE = """
from fake_trainer import FakeTrainer
trainer = FakeTrainer(epochs=3000, seconds=.004)
from mmpid.widgets import Dashboard
board = Dashboard(trainer)
board
"""

def test_look(open_notebook, tmp_path):
    page = open_notebook(FAKE)
    page.wait_for("idle", 25)
    page.screenshot("idle", tmp_path)
    page.click("Play")
    page.wait_for("playing")
    print("updates", page.updates_per_second())
    page.screenshot("playing", tmp_path)
    page.click("Pause")
    print("pause", page.wait_for("paused"))
    page.screenshot("paused", tmp_path)
    print(page.tab.locator(".mmpid-chart-pid .bqplot").first.evaluate("e => e.outerHTML")[:9000])
    page.theme("JupyterLab Dark")
    page.screenshot("dark", tmp_path)
    print(page.problems)
    print(page.execute("print(board._board.publisher.count, board._board.publisher.seconds, board._board._problem)"))
