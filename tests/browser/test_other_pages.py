"""The pages of the study board and of the race: themes, contrast, and widths that change."""

import pytest

from mmpid.widgets.parts.page import packed
from mmpid.widgets.race.race import RaceView
from mmpid.widgets.study.board import StudyView
from tests.browser.bare import BarePage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

CELL = {"state": "finished", "mark": "91 %", "detail": "joint 91.2 %"}
STATES = [CELL, CELL | {"state": "running"}, CELL | {"state": "failed"}, CELL | {"state": "waiting", "mark": ""}]
CELLS = [cell | {"seed": i, "folder": f"joint-{i}"} for i, cell in enumerate(STATES)]
STUDY = {"rows": [{"name": "joint", "cells": CELLS}], "seeds": [0, 1, 2, 3]}
WHOLE = {"audio": [[0, 0.2, 0], [1, 1.2, 1]], "image": [[0, 0.3, 0], [1, 3.1, 0]]}
STORY = {"at": 1, "words": [["Too early to see a difference.", ""]], "sure": "early", "mark": "too early"}
STORY |= {"evidence": "The same data.", "situation": "early"}
SIDE = {**packed(), "whole": WHOLE}
# where the bars of an encoder end, as parts of the width of what holds them
_BARS = """() => [...document.querySelectorAll('.mmpid-race-bars svg')].map((holder) => {
    const inside = holder.getBoundingClientRect(), bar = holder.querySelector('rect').getBoundingClientRect();
    return [(bar.left - inside.left) / inside.width, (bar.right - inside.left) / inside.width]; })"""


@pytest.mark.parametrize("dark", [False, True])
def test_the_study_board_follows_the_theme_and_axe_finds_no_violation(browser, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    page = BarePage(browser, StudyView(scene=STUDY, words="1 of 4 runs finished.", chosen="joint-2"), dark=dark)
    scheme = "dark" if dark else "light"
    page.tab.wait_for_function(f"() => document.querySelector('.mmpid-study').style.colorScheme === '{scheme}'")
    found = axe.run(page.tab, ".mmpid-study")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    page.tab.get_by_role("button", name="joint, seed 1").focus()
    page.tab.keyboard.press("Enter")
    assert page.tab.get_by_text("joint, seed 1: running").is_visible() and page.problems == []
    page.close()


def test_the_bars_of_the_race_follow_the_width_and_axe_finds_no_violation(browser):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    setup = {"modalities": ["audio", "image"], "names": ["joint", "two-stage"], "epochs": 2, "entropy": 3.3}
    now = {"state": "paused", "epoch": 1, "switch": [None, None]}
    view = RaceView(setup=setup, now=now, left=SIDE, right=SIDE, stories=[STORY])
    page = BarePage(browser, view, width=1500)
    for width in (700, 1800):
        page.tab.set_viewport_size({"width": width, "height": 900})
        page.tab.wait_for_timeout(200)
        places = page.tab.evaluate(_BARS)
        assert [right for _, right in places[::2]] == pytest.approx([1, 1], abs=0.01)  # back to back
        assert all(-0.01 <= left <= right <= 1.01 for left, right in places)
    assert axe.run(page.tab, ".mmpid-race")["violations"] == [] and page.problems == []
    page.close()
