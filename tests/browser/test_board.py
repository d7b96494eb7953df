"""The board in a real JupyterLab: what a user does, and the ways in which notebook boards usually fail."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

IMPORTS = "from fake_trainer import FakeTrainer\nfrom mmpid.widgets import Dashboard"
PLAYS_LONG = "trainer = FakeTrainer(epochs=100_000, batches=50, seconds=0.004, busy=True)"
BOARD = "board = Dashboard(trainer)\nboard"
_CHOSEN = "(words) => [...document.querySelectorAll('select')].some(s => s.value === words)"
THREADS = "import threading; print(sum(t.name.startswith('mmpid-session') for t in threading.enumerate()))"


def texts_of(notebook, cell):
    outputs = notebook.cells[cell].outputs
    return "\n".join(str(o.get("text") or o.get("data", {}).get("text/plain") or o.get("traceback")) for o in outputs)


def test_play_step_and_pause_while_the_kernel_stays_responsive(open_notebook):
    """How quick they are is measured in test_real_run.py, on a quiet machine."""
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    assert page.progress.inner_text() == "epoch 0 · 0 of 100000 epochs trained · 0 batches here"
    for done in range(1, 4):
        page.click("Step batch")
        page.tab.locator(".mmpid-progress", has_text=f"· {done} batch").wait_for()
    page.click("Play")
    page.wait_for("playing")
    assert page.execute("print(6 * 7)").strip() == "42"
    page.click("Pause")
    page.wait_for("paused")
    batches = page.execute("print(board.session.busy, trainer.total_batches)")
    assert batches.startswith("False")
    assert page.execute("print(board.session.busy, trainer.total_batches)") == batches
    assert page.problems == []


def test_the_board_works_by_keyboard_alone(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.button("Play").focus()
    page.tab.keyboard.press("Enter")
    page.wait_for("playing")
    page.tab.keyboard.press("Tab")
    page.tab.keyboard.press("Space")
    page.wait_for("paused")


def test_hover_shows_the_value_of_a_probe(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60, probe_every=5)\ntrainer.step(epochs=12)", BOARD)
    page.wait_for("paused")
    page.tab.mouse.move(*page.point(".mmpid-chart-pid", "redundancy", 0))
    said = page.tab.locator(".mmpid-chart-pid .mmpid-tip")
    said.get_by_text(re.compile(r"^redundant \(R\): 0\.\d+ \[.*\] at epoch 5$")).wait_for()
    page.screenshot("hover", tmp_path)
    page.tab.mouse.move(5, 5)
    said.wait_for(state="hidden")


def test_a_chart_is_read_and_a_probe_chosen_by_keyboard(open_notebook):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60, probe_every=5)\ntrainer.step(epochs=12)", BOARD)
    page.wait_for("paused")
    chart = page.tab.locator(".mmpid-chart-pid .mmpid-plot-box")
    chart.focus()
    for _ in range(2):
        page.tab.keyboard.press("ArrowRight")
    said = page.tab.locator(".mmpid-chart-pid .mmpid-tip").inner_text().splitlines()
    assert len(said) == 4 and all(line.endswith("at epoch 10") for line in said)
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_function(_CHOSEN, arg="from the probe at epoch 10")
    page.tab.keyboard.press("Escape")
    page.tab.locator(".mmpid-chart-pid .mmpid-tip").wait_for(state="hidden")
    assert page.problems == []


def test_running_the_cell_again_leaves_one_training_thread(open_notebook):
    page = open_notebook(IMPORTS, f"{PLAYS_LONG}\n{BOARD}")
    page.wait_for("idle")
    for _ in range(3):
        page.click("Play")
        page.wait_for("playing")
        page.run_all()
        page.wait_for("idle")
    assert page.execute(THREADS).strip() == "1"
    assert page.execute("from mmpid.live.registry import sessions; print(len(sessions()))").strip() == "1"


def test_two_boards_are_independent_and_one_may_fail(open_notebook):
    fails = "weak = FakeTrainer(epochs=100_000, fail_at=30, seconds=0.005)\nDashboard(weak)"
    page = open_notebook(IMPORTS, fails, f"{PLAYS_LONG}\n{BOARD}")
    page.wait_for("idle")
    page.click("Play")
    page.tab.get_by_role("button", name=re.compile(r"^\W*Play$")).first.click()
    page.tab.locator(".mmpid-failure").first.wait_for()
    assert "RuntimeError: the loss became NaN" in page.tab.locator(".mmpid-failure").first.inner_text()
    page.wait_for("playing")
    before = int(page.execute("print(trainer.total_batches)"))
    page.wait_for_kernel(f"trainer.total_batches > {before}")


def test_an_error_in_training_is_shown_and_raised_by_wait(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(fail_at=7)", BOARD, "board.wait()")
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("failed")
    page.screenshot("failed", tmp_path)
    said = page.execute("board.wait()")
    assert "TrainingError" in said and "the loss became NaN in batch 7" in said
    assert page.execute("print('alive')").strip() == "alive"


def test_run_all_stops_calmly_at_a_board_that_is_not_finished(open_notebook):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=4)", BOARD, "board.wait()", "print('reached')")
    page.wait_for("idle")
    page.tab.get_by_text("Training is not finished: press Play").first.wait_for()
    notebook = page.save()
    error = notebook.cells[3].outputs[0]
    assert len(error.traceback) == 1 and "press Play in the board above" in error.traceback[0]
    assert notebook.cells[4].outputs == []
    page.click("Play")
    page.wait_for("finished")
    page.run_from(3)
    page.tab.get_by_text("reached", exact=True).first.wait_for()


def test_interrupting_a_cell_that_waits_pauses_the_training(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("playing")
    page.add_and_run("print('waiting', flush=True)\nboard.wait()")
    page.tab.get_by_text("waiting", exact=True).wait_for()  # in the output: the cell runs
    page.command("notebook:interrupt-kernel")
    page.wait_for("paused")


def _words_of_finished_picture(page):
    """Save, and return what the picture under the board says once it shows the finished run."""
    bundles = [output.get("data", {}) for output in page.save().cells[2].outputs]
    pictures = [bundle for bundle in bundles if "image/png" in bundle]
    assert len(pictures) <= 1
    return next((bundle["text/plain"] for bundle in pictures if "finished" in bundle["text/plain"]), None)


def test_a_saved_notebook_keeps_the_picture_without_a_kernel(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=30)", BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("finished")
    said = page.wait_until(lambda: _words_of_finished_picture(page))  # drawn when nothing has changed for a moment
    assert "joint stage" in said
    picture = page.tab.locator(".jp-OutputArea-output img")
    assert not picture.is_visible()  # the live board shows the same
    page.shut_down_and_reload()
    picture.first.wait_for(timeout=30_000)
    picture.first.scroll_into_view_if_needed()
    page.screenshot("saved_without_kernel", tmp_path)


def test_a_reloaded_tab_shows_the_running_board_again(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("playing")
    page.save()
    page.reload()
    page.wait_for("playing")
    before = page.progress.inner_text()
    page.tab.wait_for_function("old => document.querySelector('.mmpid-progress').innerText !== old", arg=before)
    page.click("Pause")
    page.wait_for("paused")


def test_a_board_shown_twice_follows_in_both_places(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD, "board")
    page.wait_for("idle")
    page.click("Step epoch")
    page.wait_for("paused")
    statuses = page.tab.locator(".mmpid-status")
    assert statuses.count() == 2
    assert statuses.first.inner_text() == statuses.last.inner_text()


def test_restart_and_run_all_while_playing(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("playing")
    page.restart_and_run_all()
    page.wait_for("idle")
    assert page.execute(THREADS).strip() == "1"
    page.click("Step batch")
    page.wait_for("paused")


# as many columns as expected, and every figure as wide as its panel lets it be
_LAID_OUT = """(columns) => { const charts = [...document.querySelectorAll('.mmpid-chart')];
    const place = e => e.getBoundingClientRect();
    const fits = c => { const f = place(c.querySelector('.mmpid-plot-box')), b = place(c);
        return f.left >= b.left && f.right <= b.right + 1 && f.width > b.width - 40; };
    const places = new Set(charts.map(c => Math.round(c.getBoundingClientRect().x)));
    return places.size === columns && charts.every(fits); }"""


def test_the_board_fits_and_is_readable_in_both_themes_and_two_widths(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60)\ntrainer.step(epochs=45)", BOARD)
    page.wait_for("paused")
    page.tab.locator(".mmpid-chart-loss path.line").first.wait_for(state="attached")
    for theme in ("Light", "Dark"):
        page.theme(f"JupyterLab {theme}")
        for width, columns in ((1000, 1), (1800, 2)):
            page.tab.set_viewport_size({"width": width, "height": 1500})
            page.tab.wait_for_function(_LAID_OUT, arg=columns)
            page.screenshot(f"board_{theme.lower()}_{width}", tmp_path)
            needed, given = page.tab.eval_on_selector(".mmpid-board", "e => [e.scrollWidth, e.clientWidth]")
            assert needed <= given + 1
            assert page.contrast(".mmpid-chart-pid .axis text") >= 4.5
    assert page.problems == []


def test_a_click_on_a_probe_chooses_it_and_rewind_goes_there(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=90)\ntrainer.step(epochs=32)", BOARD, height=1500)
    page.wait_for("paused")
    page.tab.mouse.click(*page.point(".mmpid-chart-pid", "redundancy", 1))
    page.tab.wait_for_function(_CHOSEN, arg="from the probe at epoch 10")
    page.click("Rewind")
    page.tab.wait_for_function("() => document.querySelector('.mmpid-progress').textContent.startsWith('epoch 10 ')")
    assert "rewind" in page.tab.locator(".mmpid-decisions li").first.inner_text()
    page.screenshot("rewound", tmp_path)


def _drag_threshold(page, pixels: int) -> None:
    """Drag the handle of the threshold line once it stands still."""
    handle = page.tab.locator(".mmpid-chart-pid .handle")
    handle.element_handle().wait_for_element_state("stable")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x, y + pixels, steps=5)
    page.tab.mouse.up()


def test_dragging_the_threshold_moves_the_moment_of_the_switch(open_notebook, tmp_path):
    from playwright.sync_api import TimeoutError as TooLate

    run = "trainer = FakeTrainer(epochs=200, probe_every=2)\ntrainer.auto = False\ntrainer.step(epochs=40)"
    page = open_notebook(IMPORTS, run, BOARD, height=1700)
    page.wait_for("paused")
    page.tab.get_by_text("What if another rule had decided?").click()
    answer = page.tab.locator(".mmpid-answer")
    answer.get_by_text("It would have switched at epoch").wait_for()
    before = answer.inner_text()
    changed = "(old) => document.querySelector('.mmpid-answer').innerText !== old"
    for attempt in range(4):  # the charts may still be moving to their place when the mouse comes down
        _drag_threshold(page, 15)
        try:
            page.tab.wait_for_function(changed, arg=before, timeout=5000 if attempt < 3 else 15000)
            break
        except TooLate:
            assert attempt < 3, "the threshold line cannot be dragged"
    page.screenshot("what_if", tmp_path)
    assert page.problems == []


def test_the_explorer_answers_a_slider(open_notebook, tmp_path):
    page = open_notebook("from mmpid.widgets import PIDExplorer\nexplorer = PIDExplorer()\nexplorer")
    words = page.tab.locator(".mmpid-says")
    words.wait_for()
    assert "S, synergistic: 1.00 bit" in words.inner_text()
    page.tab.locator(".noUi-handle").last.focus()
    for _ in range(10):
        page.tab.keyboard.press("ArrowRight")
    page.tab.wait_for_function(
        "() => !document.querySelector('.mmpid-says').innerText.includes('S, synergistic: 1.00')"
    )
    page.screenshot("explorer", tmp_path, ".mmpid-board")
    assert page.problems == []


BRANCHED = "trainer = FakeTrainer(epochs=90, seconds=0.001)\ntrainer.auto = False\ntrainer.step(epochs=32)"


_MIDDLE = """path => { const point = path.getPointAtLength(path.getTotalLength() / 2);
    const { x, y } = point.matrixTransform(path.getScreenCTM()); return [x, y]; }"""


def test_a_branch_is_named_trained_and_compared(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD, height=1800)
    page.wait_for("paused")
    page.tab.locator(".mmpid-board select").first.select_option("from the probe at epoch 10")
    page.tab.get_by_placeholder("name of the branch").fill("early")
    page.click("Branch")
    page.tab.get_by_text("“early” now stands at epoch 10").wait_for()
    page.tab.locator(".mmpid-runs select").select_option("early")
    page.tab.locator(".mmpid-status", has_text="run “early”").wait_for()
    page.tab.locator(".mmpid-board select").first.select_option("from now")
    page.click("Start joint training")
    page.tab.locator(".mmpid-status", has_text="stage 2 of 2").wait_for()
    page.click("Play")
    page.wait_for("finished")
    row = page.tab.locator(".mmpid-runs tbody tr", has_text="early")
    row.get_by_text("Finished").wait_for()
    assert "main, epoch 10" in row.inner_text() and "validation, epoch 90" in row.inner_text()
    assert page.execute("print(trainer.epoch, board.branches[0].epoch)").split() == ["32", "90"]
    thin = page.tab.locator(".mmpid-chart-pid path.line[stroke-width='1.2']").first
    thin.wait_for(state="attached")
    x, y = thin.evaluate(_MIDDLE)
    page.tab.mouse.move(x, y - 20)
    page.tab.mouse.move(x, y, steps=4)
    page.tab.get_by_text(re.compile("main: ")).filter(visible=True).first.wait_for()
    for theme in ("Dark", "Light"):
        page.theme(f"JupyterLab {theme}")
        page.screenshot(f"branch_{theme.lower()}", tmp_path)
    page.tab.get_by_label("show main").uncheck()
    page.tab.locator(".mmpid-chart-pid .mmpid-legend", has_text="main").wait_for(state="detached")
    assert page.problems == []


def test_a_learning_rate_is_set_by_keyboard_and_a_bad_one_refused(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD)
    page.wait_for("paused")
    field = page.tab.locator(".mmpid-rate input").first
    field.fill("fast")
    field.press("Enter")
    page.tab.get_by_text("The learning rate of audio must be a number above 0").wait_for()
    assert field.input_value() == "fast"
    page.screenshot("refused", tmp_path)
    field.fill("0.005")
    field.press("Enter")
    page.wait_for_kernel("trainer.rates['audio'] == 0.005")
    page.tab.locator(".mmpid-decisions", has_text="by hand: 0.02 -> 0.005").wait_for()
    page.tab.locator(".mmpid-refused").wait_for(state="detached")


def test_a_run_is_saved_and_its_report_opens_without_kernel_or_network(open_notebook, browser, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD)
    page.wait_for("paused")
    page.tab.get_by_label("Keep as").fill(f"{tmp_path}/first")
    page.click("Save")
    page.tab.get_by_text(f"Saved to {tmp_path}/first.").wait_for()
    page.click("Export report")
    page.tab.get_by_text(f"The report is in {tmp_path}/first.html").wait_for()
    assert (tmp_path / "first" / "record.jsonl").exists()
    context = browser.new_context(offline=True, java_script_enabled=False)
    report = context.new_page()
    report.goto(f"file://{tmp_path}/first.html")
    assert report.locator("h2").count() == 6
    widths = [image.evaluate("e => e.naturalWidth") for image in report.locator("img").all()]
    assert len(widths) == 6 and min(widths) > 0
    page.screenshot("saved", tmp_path)
    context.close()


OUT_OF_MEMORY = """
import gc, torch, weakref
held = []
class Heavy(FakeTrainer):
    def step(self, *, batches=None, epochs=None):
        activations = torch.zeros(1000)  # what a step on the device holds
        held.append(weakref.ref(activations))
        if self.batches == 10 and self.total_batches >= 30:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        super().step(batches=batches, epochs=epochs)
trainer = Heavy(epochs=10)
"""


def test_running_out_of_memory_gives_advice_frees_and_goes_on(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, OUT_OF_MEMORY, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("failed")
    assert "Make the batch smaller" in page.tab.locator(".mmpid-failure").inner_text()
    page.screenshot("out_of_memory", tmp_path)
    said = page.execute("board.wait()")
    assert "TrainingError" in said and "ran out of memory" in said
    assert page.execute("gc.collect(); print(sum(one() is not None for one in held))").strip() == "0"
    page.execute("trainer.batches = 20")  # batches of half the size
    page.click("Play")
    page.wait_for("finished")
    assert page.tab.locator(".mmpid-failure").count() == 0


@pytest.mark.parametrize("n", [3, 6])
def test_more_modalities_fit_the_page(open_notebook, tmp_path, n):
    names = ("audio", "image", "text", "touch", "depth", "motion")[:n]
    run = f"trainer = FakeTrainer(epochs=60, modalities={names})\ntrainer.step(epochs=45)"
    page = open_notebook(IMPORTS, run, BOARD, width=1000, height=2600)
    page.wait_for("paused")
    page.tab.locator(".mmpid-chart-loss path.line").first.wait_for(state="attached")
    page.tab.wait_for_function(_LAID_OUT, arg=1)
    needed, given = page.tab.eval_on_selector(".mmpid-board", "e => [e.scrollWidth, e.clientWidth]")
    assert needed <= given + 1
    page.screenshot(f"{n}_modalities", tmp_path)
    assert page.problems == []
