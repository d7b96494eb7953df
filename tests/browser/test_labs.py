"""The competition lab, the run browser and the explorer in a real JupyterLab."""

import time
from collections import Counter

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

LAB = "from mmpid.widgets import CompetitionLab\nlab = CompetitionLab(n_classes=8)\nlab"
RUNS = """
from pathlib import Path
from fake_trainer import FakeTrainer

folder = Path("runs of the browser test")

def write(name, epochs, **metadata):
    trainer = FakeTrainer(epochs=epochs)
    trainer.record.metadata |= metadata
    trainer.fit()
    trainer.record.save(folder / name / "record.jsonl")

for i, name in enumerate(("plain", "longer", "other seed")):
    write(name, 20 + 10 * i, seed=i // 2, created=f"2026-11-21T1{i}:00:00")
"""
BROWSER = "from mmpid.widgets import RunBrowser\nbrowser = RunBrowser(folder)\nbrowser"
EXPLORER = "from mmpid.widgets import PIDExplorer\nexplorer = PIDExplorer('AND')\nexplorer"
STUDY = """
from mmpid.widgets.study.board import StudyView
cell = {"state": "finished", "detail": "", "mark": "90 %"}
rows = [{"name": name, "cells": [{**cell, "seed": i, "folder": f"{name}-{i}"} for i in (0, 1)]} for name in ("a", "b")]
StudyView(scene={"rows": rows, "seeds": [0, 1]}, words="4 of 4 runs finished.")
"""
WIDGETS = {"lab": (LAB,), "browser": (RUNS, BROWSER), "explorer": (EXPLORER,)}
THREADS = "import threading; print(*(t.name for t in threading.enumerate() if t.name.startswith('mmpid-')))"
# of one lab, one run browser and one explorer; a thread for a still picture comes with its first change
OWN = Counter({"mmpid-lab-world": 1, "mmpid-lab-sweep": 1, "mmpid-runs": 1, "mmpid-still": 3})
COST = """
from time import perf_counter, thread_time
from mmpid.widgets.lab.world import Knobs, make_world
wall, own = perf_counter(), thread_time()
make_world(Knobs())
print(f"a world of the default size: {perf_counter() - wall:.2f} s, {thread_time() - own:.2f} s of processor time")
"""
SOURCES = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map(cell => cell.source)"
# focus each thing that takes it, where letters are no text, and press keys there; how many things there were
_PRESS_EVERYWHERE = """([root, keys]) => {
    const all = [...document.querySelectorAll(root + ' :is(button, select, [tabindex="0"], input:not([type=text]))')]
        .filter(one => one.checkVisibility());
    for (const one of all) {
        one.focus();
        for (const key of keys) {
            const letter = key.toUpperCase(), code = `Key${letter}`, keyCode = letter.charCodeAt(0);
            const press = { key, code, keyCode, bubbles: true, cancelable: true };
            one.dispatchEvent(new KeyboardEvent('keydown', press));
        }
    }
    return all.length; }"""
TALL = {"width": 1400, "height": 1700}
# words of a chart that reach out of its panel, and panels that reach out of the widget, would be cut off
_CLIPPED = """(selector) => { const box = document.querySelector(selector).getBoundingClientRect(), cut = [];
    for (const panel of document.querySelectorAll(selector + ' .mmpid-chart')) {
        const edge = panel.getBoundingClientRect();
        if (edge.right > box.right + 2) cut.push(panel.className);
        for (const text of panel.querySelectorAll('.mmpid-plot svg text')) {
            const place = text.getBoundingClientRect();
            if (place.width && (place.left < edge.left - 1 || place.right > edge.right + 1)) cut.push(text.textContent);
        } }
    return cut; }"""


def words(page, start=""):
    """The words of the widget's live region that begin so, once they are there."""
    found = page.tab.locator(".mmpid-status, .mmpid-browser .mmpid-headline").filter(has_text=start).first
    found.wait_for(timeout=60_000)
    return found.inner_text()


def press(page, handle, key, times=1):
    page.tab.locator(handle).first.focus()
    for _ in range(times):
        page.tab.keyboard.press(key)


def await_threads(page, allowed):
    """Wait until no other threads than these are alive: a world that is being simulated is still finished."""
    started = time.monotonic()
    while left := Counter(page.execute(THREADS).split()) - allowed:
        assert time.monotonic() - started < 30, left
        time.sleep(0.3)


def test_a_knob_of_the_lab_answers_and_the_sweep_fills(open_notebook, tmp_path):
    page = open_notebook(LAB, **TALL)
    words(page, "Of 8 classes")
    assert page.drawn(".mmpid-chart-winners .bars") == 16
    assert page.tab.locator(".mmpid-chart-course path.line").count() >= 4
    page.tab.get_by_text("Error against K: complete").wait_for(timeout=120_000)
    seconds = []
    for key, classes in (("ArrowRight", 12), ("ArrowRight", 16), ("ArrowLeft", 12), ("ArrowRight", 16)):
        started = time.perf_counter()
        press(page, ".mmpid-lab .noUi-handle", key)
        words(page, f"Of {classes} classes")
        seconds.append(time.perf_counter() - started)
    print(f"\na knob to words: {[round(s, 2) for s in seconds]} s; {page.execute(COST).strip()}", end=" ")
    assert max(seconds) < 5
    page.tab.get_by_role("button", name="The charts' data as tables").click()
    page.tab.locator(".mmpid-lab td", has_text="modality 1").first.wait_for()
    assert page.drawn(".mmpid-chart-sweep .points") >= 16
    page.screenshot("competition_lab", tmp_path)
    assert page.problems == []


def test_no_key_in_a_widget_is_a_command_of_the_notebook(open_notebook):
    """In every focusable thing, whatever it is: a cell that is cut would take the widget with it."""
    page = open_notebook(LAB, RUNS, BROWSER, EXPLORER, STUDY, **TALL)
    words(page, "Of 8 classes")
    page.tab.locator(".mmpid-explorer").wait_for(timeout=60_000)
    page.tab.locator(".mmpid-study-cell").first.wait_for(timeout=60_000)
    sources = page.tab.evaluate(SOURCES)
    for root in (".mmpid-lab", ".mmpid-browser", ".mmpid-explorer", ".mmpid-study"):
        assert page.tab.evaluate(_PRESS_EVERYWHERE, [root, ["x", "d", "d", "z", "b"]]) >= 3
        assert page.tab.evaluate(SOURCES) == sources, root
    fold = page.tab.locator(".mmpid-lab .mmpid-fold")
    fold.focus()
    for key in ("x", "d", "d", "Enter"):  # cut, delete, delete; Enter is the button's own
        page.tab.keyboard.press(key)
    assert page.tab.evaluate(SOURCES) == sources and fold.get_attribute("aria-expanded") == "true"
    page.tab.locator(".mmpid-lab td", has_text="modality 1").first.wait_for()


def test_the_schedule_turns_losers_into_shared_classes(open_notebook):
    page = open_notebook(LAB, **TALL)
    before = words(page, "Of 8 classes")
    page.tab.get_by_label("Schedule", exact=True).select_option(label="two-stage: each alone, then joint")
    after = words(page, "both learn 8")
    assert before != after
    page.click("Back to the start")
    page.tab.wait_for_function(
        "(old) => document.querySelector('.mmpid-lab .mmpid-status').innerText === old", arg=before, timeout=30_000
    )
    assert page.problems == []


def test_an_error_in_the_lab_is_seen_in_the_lab(open_notebook):
    page = open_notebook(LAB, **TALL)
    words(page, "Of 8 classes")
    page.execute("from mmpid.widgets.lab import world\nkept = world.simulate\nworld.simulate = None")
    page.click("Another world")
    page.tab.locator(".mmpid-lab [role=alert]").wait_for()
    page.execute("world.simulate = kept")
    page.click("Another world")
    page.tab.locator(".mmpid-lab [role=alert]").wait_for(state="detached")


def test_runs_are_chosen_compared_and_refreshed(open_notebook, tmp_path):
    page = open_notebook(RUNS, BROWSER, **TALL)
    assert "3 runs in" in words(page, "2 chosen")
    page.tab.get_by_label("Compare plain", exact=True).check()
    words(page, "3 chosen")
    assert page.tab.locator(".mmpid-graph-curves path.mmpid-line").count() >= 3
    page.tab.get_by_label("Curve", exact=True).select_option("training loss")
    page.tab.locator(".mmpid-chart-head", has_text="nats").wait_for()
    page.execute(
        "write('late', 10, seed=5)\n(folder / 'damaged').mkdir()\n(folder / 'damaged' / 'record.jsonl').write_text('?')"
    )
    page.click("Refresh")
    words(page, "4 runs in")
    page.tab.locator(".mmpid-evidence", has_text="1 entry not a run, or damaged").wait_for()
    page.tab.locator(".mmpid-reason", has_text="not a run record").wait_for()
    page.screenshot("run_browser", tmp_path)
    page.execute("import shutil; shutil.rmtree(folder)")
    page.click("Refresh")
    words(page, "No run in")
    page.tab.locator(".mmpid-evidence", has_text="A run appears here once").wait_for()
    assert page.problems == []


def test_components_and_correlation_of_the_explorer(open_notebook, tmp_path):
    page = open_notebook(EXPLORER, **TALL)
    says = page.tab.locator(".mmpid-says")
    says.get_by_text("S, synergistic: 0.50 bit").wait_for()
    page.tab.get_by_label("Start from", exact=True).select_option("a mix of R, U1, U2, S")
    page.tab.get_by_text("y = 3").first.wait_for()
    before = says.inner_text()
    page.tab.locator(".mmpid-explorer .noUi-handle >> visible=true").first.focus()
    for _ in range(10):
        page.tab.keyboard.press("ArrowRight")
    page.tab.wait_for_function("(old) => document.querySelector('.mmpid-says').innerText !== old", arg=before)
    page.screenshot("explorer_mix", tmp_path)
    assert page.problems == []


def test_running_the_cells_again_leaves_no_second_thread(open_notebook):
    page = open_notebook(LAB, RUNS, BROWSER, EXPLORER, **TALL, run=False)
    # of tests before this
    page.execute("from mmpid.widgets.parts.worker import _workers\nfor one in list(_workers): one.close()")
    page.run_all()
    page.tab.locator(".mmpid-explorer").wait_for(timeout=60_000)
    words(page, "Of 8 classes")
    page.execute("old = lab, browser, explorer")
    page.run_all()
    renewed = "print(old[0] is not lab, old[1] is not browser, old[2] is not explorer)"
    started = time.monotonic()
    while page.execute(renewed).split() != ["True"] * 3:
        assert time.monotonic() - started < 60
        time.sleep(0.3)
    await_threads(page, OWN)
    page.execute("lab.close(); browser.close(); explorer.close()")
    await_threads(page, Counter())
    assert page.problems == []


def test_a_second_view_follows_the_first(open_notebook):
    page = open_notebook(LAB, "from IPython.display import display\ndisplay(lab._live.root)", **TALL)
    page.tab.locator(".mmpid-lab").nth(1).wait_for(timeout=60_000)
    press(page, ".mmpid-lab .noUi-handle", "ArrowRight")
    page.tab.wait_for_function(
        """() => { const all = [...document.querySelectorAll('.mmpid-lab .mmpid-status')];
        return all.length === 2 && all.every(one => one.innerText.startsWith('Of 12 classes')); }""",
        timeout=30_000,
    )
    assert page.problems == []


def test_a_saved_notebook_without_a_kernel_shows_the_pictures(open_notebook):
    page = open_notebook(RUNS, BROWSER, EXPLORER, **TALL)
    page.tab.locator(".mmpid-explorer").wait_for(timeout=60_000)
    page.execute("1")
    notebook = page.save()
    kinds = [set(output.get("data", {})) for cell in notebook.cells for output in cell.outputs]
    assert sum("image/png" in one for one in kinds) == 2 and sum("text/html" in one for one in kinds) == 1
    page.shut_down_and_reload()
    page.tab.locator(".jp-OutputArea-output img").nth(1).wait_for(timeout=30_000)
    assert page.tab.locator(".mmpid-still .mmpid-table").first.is_visible()


@pytest.mark.parametrize("name", WIDGETS)
def test_both_themes_at_both_widths(open_notebook, tmp_path, name):
    page, root = open_notebook(*WIDGETS[name], width=1000, height=1500), f".mmpid-{name}"
    words = f"{root} {'.mmpid-graph' if name == 'browser' else '.mmpid-plot'} svg text"
    page.tab.locator(words).first.wait_for(timeout=60_000)
    for width in (1000, 1800):
        page.resize(width, 1500)
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            page.theme(theme)
            page.tab.wait_for_timeout(400)  # the page follows the theme once style sheets are there
            assert page.contrast(words) > 4.5
            assert page.tab.evaluate(_CLIPPED, root) == []
            page.screenshot(f"{name}_{theme.split()[1].lower()}_{width}", tmp_path)
    assert page.problems == []
