"""The board in a real JupyterLab: what a user does, and the ways in which notebook boards usually fail."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

IMPORTS = "from fake_trainer import FakeTrainer\nfrom mmpid.widgets import Dashboard"
PLAYS_LONG = "trainer = FakeTrainer(epochs=100_000, batches=50, seconds=0.004, busy=True)"
BOARD = "board = Dashboard(trainer)\nboard"
RESTART = "async () => { await jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
THREADS = "import threading; print(sum(t.name.startswith('mmpid-session') for t in threading.enumerate()))"


def test_play_step_and_pause_while_the_kernel_stays_responsive(open_notebook):
    """How quick they are is measured in test_real_run.py, on a quiet machine."""
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    assert page.progress.text_content() == "epoch 0 · 0 of 100000 epochs trained · 0 batches here"
    for done in range(1, 4):
        page.press("b")
        page.tab.locator(".mmpid-progress", has_text=f"· {done} batch").wait_for(state="attached")
    page.click("Play")
    page.wait_for("playing")
    assert page.execute("print(6 * 7)").strip() == "42"
    page.click("Pause")
    page.wait_for("paused")
    batches = page.execute("print(board.session.busy, trainer.total_batches)")
    assert batches.startswith("False")
    assert page.execute("print(board.session.busy, trainer.total_batches)") == batches
    assert page.problems == []


def test_the_whole_board_works_by_keyboard_alone(open_notebook):
    """Play, look back, ask what if, drag the threshold, branch: no mouse, and Lab's own shortcuts stay quiet."""
    run = "trainer = FakeTrainer(epochs=600, probe_every=2, seconds=0.002)\ntrainer.auto = False"
    page = open_notebook(IMPORTS, run, BOARD, height=1000)
    page.wait_for("idle")
    page.button("Play").focus()
    page.tab.keyboard.press("Enter")
    page.wait_for_kernel("trainer.epoch > 12")
    page.press("Space")
    page.wait_for("paused")
    page.press("Home")
    page.tab.locator(".mmpid-thumb", has_text=re.compile(r"^1$")).wait_for()
    page.press("Shift+ArrowRight")
    page.tab.locator(".mmpid-thumb", has_text=re.compile(r"^6$")).wait_for()
    page.press("w")
    slider = page.tab.get_by_role("slider", name="Threshold")
    slider.wait_for()
    before = slider.input_value()
    page.tab.keyboard.press("ArrowRight")
    assert float(slider.input_value()) > float(before)
    page.tab.locator(".mmpid-message", has_text="What if:").wait_for()
    page.press("Escape")
    page.press("Home")
    page.press("ArrowRight")
    page.tab.get_by_role("button", name="Branch", exact=True).focus()
    page.tab.keyboard.press("Enter")
    page.tab.get_by_label("Name of the branch").fill("by hand")
    page.tab.keyboard.press("Enter")
    page.wait_for_kernel("len(board.branches) == 1")
    cells = page.tab.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
    page.press("x")  # would cut the cell
    page.press("d")
    page.press("d")  # would delete it
    assert page.tab.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == cells
    assert page.tab.locator(".mmpid-board[data-level=expert]").count() == 1
    page.press("x")
    assert page.problems == []


def test_hovering_reads_every_series_at_once(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60, probe_every=5)\ntrainer.step(epochs=12)", BOARD)
    page.wait_for("paused")
    box = page.tab.locator(".mmpid-graph-known").bounding_box()
    page.tab.mouse.move(box["x"] + 24 + 0.11 * (box["width"] - 58), box["y"] + 60)  # epoch 6.6 of 60
    page.tab.locator(".mmpid-readouts .mmpid-when", has_text="bits at epoch 5").wait_for()
    page.screenshot("hover", tmp_path)
    page.tab.mouse.move(5, 5)
    page.tab.locator(".mmpid-readouts .mmpid-when", has_text="bits at epoch 10").wait_for()
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
    page.tab.locator(".mmpid-message[data-kind=error]", has_text="RuntimeError: the loss became NaN").first.wait_for()
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


def test_a_click_is_heard_while_a_cell_waits(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("playing")
    page.add_and_run("print('waiting', flush=True)\nboard.wait()")
    page.tab.get_by_text("waiting", exact=True).wait_for()
    page.click("Pause")
    page.wait_for("paused")
    page.tab.get_by_text("Training is not finished: press Play").first.wait_for()


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


def test_after_a_kernel_restart_the_last_picture_stays_with_an_instruction(open_notebook):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60)\ntrainer.step(epochs=12)", BOARD)
    page.wait_for("paused")
    page.tab.evaluate(
        "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }"
    )
    page.wait_for("gone")
    said = page.tab.locator(".mmpid-message").last
    assert "kernel is gone" in said.inner_text() and "run the notebook's cells" in said.inner_text()
    assert page.tab.locator(".mmpid-graph-known path.mmpid-area").count() >= 3
    page.press("Home")
    page.tab.locator(".mmpid-thumb", has_text=re.compile(r"^1$")).wait_for()
    page.run_all()
    page.wait_for("paused")


def test_a_reloaded_tab_shows_the_running_board_again(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD)
    page.wait_for("idle")
    page.click("Play")
    page.wait_for("playing")
    page.save()
    page.reload()
    page.wait_for("playing")
    before = page.progress.text_content()
    page.tab.wait_for_function("old => document.querySelector('.mmpid-progress').textContent !== old", arg=before)
    page.click("Pause")
    page.wait_for("paused")


def test_a_board_shown_twice_follows_in_both_places(open_notebook):
    page = open_notebook(IMPORTS, PLAYS_LONG, BOARD, "board")
    page.wait_for("idle")
    page.click("Step")
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
    page.press("b")
    page.wait_for("paused")


# nothing of the simple level lies outside of the board, and words fit their rows
_CUT = """() => { const board = document.querySelector('.mmpid-board').getBoundingClientRect(), cut = [];
    for (const one of document.querySelectorAll('.mmpid-board button, .mmpid-board h3, .mmpid-board .mmpid-value')) {
        const place = one.getBoundingClientRect();
        if (place.width && (place.left < board.left - 1 || place.right > board.right + 1)) cut.push(one.textContent); }
    return cut; }"""


def test_the_board_fits_one_screen_in_both_themes_and_three_widths(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=60)\ntrainer.step(epochs=45)", BOARD)
    page.wait_for("paused")
    page.tab.locator(".mmpid-graph-known path.mmpid-area").first.wait_for(state="attached")
    for theme in ("Light", "Dark"):
        page.theme(f"JupyterLab {theme}")
        scheme = theme.lower()
        page.tab.wait_for_function(f"() => document.querySelector('.mmpid-board').style.colorScheme === '{scheme}'")
        for width in (1000, 1300, 1800):
            page.resize(width, 1100)
            page.screenshot(f"board_{scheme}_{width}", tmp_path)
            needed, given = page.tab.eval_on_selector(".mmpid-board", "e => [e.scrollWidth, e.clientWidth]")
            assert needed <= given + 1
            assert page.tab.evaluate(_CUT) == []
    assert page.problems == []


def test_looking_back_and_rewinding_there(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, "trainer = FakeTrainer(epochs=90)\ntrainer.step(epochs=32)", BOARD, height=1500)
    page.wait_for("paused")
    page.press("Home")
    for _ in range(9):
        page.press("ArrowRight")
    page.tab.locator(".mmpid-thumb", has_text="10").wait_for()
    page.screenshot("past", tmp_path)
    page.click("Rewind")
    page.wait_for_kernel("trainer.epoch == 10")
    page.tab.locator(".mmpid-flag", has=page.tab.locator("svg")).last.wait_for()
    assert "rewind" in page.tab.locator(".mmpid-flag").last.get_attribute("aria-label")
    page.screenshot("rewound", tmp_path)


def test_dragging_the_threshold_moves_the_moment_of_the_switch(open_notebook, tmp_path):
    run = "trainer = FakeTrainer(epochs=200, probe_every=2)\ntrainer.auto = False\ntrainer.step(epochs=40)"
    page = open_notebook(IMPORTS, run, BOARD, height=1200)
    page.wait_for("paused")
    page.click("What if…")
    page.tab.get_by_label("Rule").select_option("peak")
    answer = page.tab.locator(".mmpid-handle span")
    page.tab.locator(".mmpid-handle span", has_text="joint from epoch").wait_for()
    before = answer.text_content()
    box = page.tab.locator(".mmpid-handle").bounding_box()
    x, y = box["x"], box["y"] + box["height"]
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x + 60, y, steps=5)
    page.tab.mouse.up()
    page.tab.wait_for_function("(old) => document.querySelector('.mmpid-handle span').textContent !== old", arg=before)
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


def test_a_branch_is_named_trained_and_compared(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD, height=1300)
    page.wait_for("paused")
    page.press("Home")
    for _ in range(9):
        page.press("ArrowRight")
    page.click("Branch")
    page.tab.get_by_label("Name of the branch").fill("early")
    page.click("Make the branch")
    page.tab.get_by_text("“early” stands at epoch 10").first.wait_for()
    page.tab.get_by_role("radio", name="Expert").click()
    page.tab.get_by_role("tab", name="Runs").click()
    page.tab.get_by_label("Run", exact=True).select_option("early")
    page.tab.locator(".mmpid-status", has_text="early").wait_for()
    page.tab.get_by_role("button", name="Start joint training from", exact=True).click()
    page.tab.get_by_role("menuitem", name="Joint from now").click()
    page.wait_for_kernel("board.branches[0].stage == 'joint'")
    page.click("Play")
    page.wait_for("finished")
    row = page.tab.locator(".mmpid-panel tbody tr", has_text="early")
    row.get_by_text("Finished").wait_for()
    assert "main, epoch 10" in row.inner_text() and "validation, epoch 90" in row.inner_text()
    assert page.execute("print(trainer.epoch, board.branches[0].epoch)").split() == ["32", "90"]
    for theme in ("Dark", "Light"):
        page.theme(f"JupyterLab {theme}")
        page.screenshot(f"branch_{theme.lower()}", tmp_path)
    page.tab.get_by_label("show main").uncheck()
    page.tab.locator(".mmpid-line.other").first.wait_for(state="detached")
    page.tab.get_by_role("radio", name="Simple").click()
    assert page.problems == []


def test_a_learning_rate_is_set_by_keyboard_and_a_bad_one_refused(open_notebook, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD)
    page.wait_for("paused")
    page.tab.get_by_role("radio", name="Expert").click()
    page.tab.get_by_role("tab", name="Learning rates").click()
    field = page.tab.get_by_label("Learning rate of audio")
    field.fill("fast")
    field.press("Enter")
    page.tab.get_by_text("The learning rate of audio must be a number above 0").first.wait_for()
    assert field.input_value() == "fast"
    page.screenshot("refused", tmp_path)
    field.fill("0.005")
    field.press("Enter")
    page.wait_for_kernel("trainer.rates['audio'] == 0.005")
    page.tab.get_by_role("tab", name="Decisions").click()
    page.tab.locator(".mmpid-panel", has_text="by hand: 0.02 -> 0.005").wait_for()
    page.tab.get_by_role("radio", name="Simple").click()


def test_a_run_is_saved_and_its_report_opens_without_kernel_or_network(open_notebook, browser, tmp_path):
    page = open_notebook(IMPORTS, BRANCHED, BOARD)
    page.wait_for("paused")
    for what, said in (
        ("Save", f"Saved to {tmp_path}/first."),
        ("Export report", f"report is in {tmp_path}/first.html"),
    ):
        page.choose("More", "Save or report…")
        page.tab.locator(".mmpid-popover input").fill(f"{tmp_path}/first")
        page.tab.locator(".mmpid-popover").get_by_role("button", name=what, exact=True).click()
        page.tab.locator(".mmpid-message", has_text=said).wait_for()
    assert (tmp_path / "first" / "record.jsonl").exists()
    context = browser.new_context(offline=True, java_script_enabled=False)
    report = context.new_page()
    report.goto(f"file://{tmp_path}/first.html")
    assert report.locator("h2").count() >= 6
    widths = [image.evaluate("e => e.naturalWidth") for image in report.locator("img").all()]
    assert len(widths) >= 6 and min(widths) > 0
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
    page.tab.locator(".mmpid-message[data-kind=error]", has_text="Make the batch smaller").wait_for()
    page.screenshot("out_of_memory", tmp_path)
    said = page.execute("board.wait()")
    assert "TrainingError" in said and "ran out of memory" in said
    assert page.execute("gc.collect(); print(sum(one() is not None for one in held))").strip() == "0"
    page.execute("trainer.batches = 20")  # batches of half the size
    page.click("Play")
    page.wait_for("finished")
    assert page.tab.locator(".mmpid-message[data-kind=error]").count() == 0


@pytest.mark.parametrize("n", [3, 6])
def test_more_modalities_fit_the_page(open_notebook, tmp_path, n):
    names = ("audio", "image", "text", "touch", "depth", "motion")[:n]
    run = f"trainer = FakeTrainer(epochs=60, modalities={names})\ntrainer.step(epochs=45)"
    page = open_notebook(IMPORTS, run, BOARD, width=1300, height=1100)
    page.wait_for("paused")
    page.tab.locator(".mmpid-graph-known-0 path.mmpid-area").first.wait_for(state="attached")
    assert page.tab.evaluate(_CUT) == []
    page.screenshot(f"{n}_modalities", tmp_path)
    assert page.problems == []
