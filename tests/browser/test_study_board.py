"""The board of a study: in a bare page by mouse and keyboard, and in JupyterLab while the study is trained."""

import json
import time

import pytest

import mmpid
from mmpid.widgets import StudyBoard
from tests.browser.bare import BarePage
from tests.browser.test_front import _CONTRAST

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SMALL = {
    "epochs": 2, "unimodal_epochs": 1, "n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "device": "cpu",
    "progress": False,
}  # fmt: skip
METHODS = ["joint", {"name": "a <b>wild</b> one", "base": "joint", "lr": 1e30}, "two-stage"]


@pytest.fixture
def study(small_data, tmp_path):
    """A study with a run in each state: two finished, two failed, one running, one waiting."""
    folder = tmp_path / "study"
    mmpid.compare(small_data, methods=METHODS, seeds=[0, 1], out_dir=folder, **SMALL)
    for seed in (0, 1):
        (folder / f"cells/small/two-stage/seed-{seed}/result.json").unlink()
    beat(folder, epoch=1)
    return folder


def beat(folder, epoch):
    told = {"epoch": epoch, "of": 2, "time": time.time(), "pid": 1}
    (folder / "cells/small/two-stage/seed-0/running.json").write_text(json.dumps(told))


@pytest.fixture
def show(browser, study):
    opened = []

    def go(**how):
        board = StudyBoard(study, mode="live")
        page = BarePage(browser, board.view, **how)
        page.board = board
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.close()
        page.board.close()


def states(page):
    return page.tab.locator(".mmpid-study-cell").evaluate_all("all => all.map((one) => one.dataset.state)")


def test_every_state_has_a_sign_and_a_click_tells_the_run_and_its_error(show):
    page = show()
    assert states(page) == ["finished", "finished", "failed", "failed", "running", "waiting"]
    marks = page.tab.locator(".mmpid-study-cell").all_inner_texts()
    assert marks[2:] == ["!", "!", "50%", ""] and all(mark.isdigit() for mark in marks[:2])
    assert page.tab.locator(".mmpid-study-words").inner_text().startswith("2 of 6 runs finished, 1 running, 2 failed")
    page.tab.locator(".mmpid-study-cell").nth(2).click()
    told = page.tab.locator(".mmpid-study-detail").inner_text()
    assert "a <b>wild</b> one, seed 0: failed. TrainingError" in told and "not finite" in told and "cells/small" in told
    assert page.tab.evaluate("() => window.bare.model.get('chosen')").endswith("seed-0")
    assert page.tab.locator("[aria-pressed=true]").count() == 1 and page.tab.locator(".mmpid-study b").count() == 0
    page.tab.locator(".mmpid-study-cell").first.click()
    assert "test accuracy: joint" in page.tab.locator(".mmpid-study-detail").inner_text() and page.problems == []


def test_a_run_goes_from_running_to_finished_where_it_stands(show, small_data, study):
    page = show()
    page.tab.locator(".mmpid-study-cell").nth(4).click()
    beat(study, epoch=0)
    page.board.look()
    page.update("scene", "words")
    assert "epoch 0 of 2" in page.tab.locator(".mmpid-study-detail").inner_text()
    mmpid.compare(small_data, methods=METHODS, seeds=[0, 1, 2], out_dir=study, **SMALL)
    page.board.look()
    page.update("scene", "words")
    assert states(page) == ["finished"] * 3 + ["failed"] * 3 + ["finished"] * 3
    assert "seed 0: finished" in page.tab.locator(".mmpid-study-detail").inner_text()
    assert page.tab.evaluate("() => document.activeElement.getAttribute('aria-pressed')") == "true", "the focus stays"
    assert page.tab.locator(".mmpid-study [role=status]").inner_text().startswith("6 of 9 runs finished, 3 failed")


def test_the_grid_is_one_stop_of_the_tab_key_and_arrows_go_from_run_to_run(show):
    page = show()
    page.tab.keyboard.press("Tab")
    focused = "() => document.activeElement.getAttribute('aria-label')?.split(':')[0]"
    seen = [page.tab.evaluate(focused)]
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "Home", "ArrowUp", "End", "ArrowLeft"):
        page.tab.keyboard.press(key)
        seen.append(page.tab.evaluate(focused))
    wild = "a <b>wild</b> one"
    assert seen == [
        "joint, seed 0", "joint, seed 1", f"{wild}, seed 1", "two-stage, seed 1", "two-stage, seed 1",
        "two-stage, seed 0", f"{wild}, seed 0", f"{wild}, seed 1", f"{wild}, seed 0",
    ]  # fmt: skip
    page.tab.keyboard.press("Enter")
    assert "not finite" in page.tab.locator(".mmpid-study-detail").inner_text()
    page.tab.keyboard.press("Tab")
    assert page.tab.evaluate("() => document.activeElement.closest('.mmpid-study') === null")


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation_and_every_text_can_be_read(show, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    page = show(dark=dark)
    page.tab.locator(".mmpid-study-cell").nth(2).click()
    page.tab.wait_for_function(
        f"() => document.querySelector('.mmpid-study').style.colorScheme === '{'dark' if dark else 'light'}'"
    )
    found = axe.run(page.tab, ".mmpid-study")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert page.tab.evaluate(_CONTRAST.replace(".mmpid-board *", ".mmpid-study *")) == []


@pytest.mark.parametrize("width", [400, 950])
def test_the_board_is_never_wider_than_its_page(show, width):
    page = show(width=width)
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= width


SETUP = """
import mmpid
from mmpid.widgets import StudyBoard
board = StudyBoard("study")
board
"""
STUDY = """
methods = ["joint", {"name": "wild", "base": "joint", "lr": 1e30}, "two-stage"]
table = mmpid.compare(
    "av-digits", methods=methods, seeds=[0, 1], out_dir="study", epochs=40, device="cpu", progress=False, ecs=(),
)
"""


def test_in_jupyterlab_the_board_follows_the_study_of_the_next_cell(open_notebook, tmp_path):
    page = open_notebook(SETUP)
    tab = page.tab
    tab.get_by_text("The study has not begun").wait_for()
    page.add_and_run(STUDY)
    seen = set()

    def whole():
        found = tab.locator(".mmpid-study-cell").evaluate_all("all => all.map((one) => one.dataset.state)")
        seen.update(found)
        return len(found) == 6 and set(found) <= {"finished", "failed"}

    page.wait_until(whole, 150)
    assert seen == {"waiting", "running", "finished", "failed"}
    tab.locator(".mmpid-study-cell[data-state=failed]").first.click()
    assert "not finite" in tab.locator(".mmpid-study-detail").inner_text()
    tab.locator(".mmpid-study-cell[data-state=finished]").first.click()
    page.wait_for_kernel("board.chosen is not None and board.chosen.name == 'seed-0'")
    assert "joint" in page.execute("print(mmpid.RunRecord.load(board.chosen).metadata['name'])")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.theme(theme)
        page.screenshot(f"study-{theme[-5:].strip().lower()}", tmp_path, ".mmpid-study")
