"""The board's front end in a bare page: no notebook, no kernel, no network."""

import time

import pytest

from mmpid.widgets import Dashboard
from mmpid.widgets.parts.fold import Fold
from tests.browser.bare import BarePage
from tests.browser.states import LONG, STATES, trained
from tests.widgets.hands import until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# contrast of every visible text with the first opaque ground under it (WCAG), without axe's view of what counts
_CONTRAST = """() => { const luminance = (color) => {
        const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
        const p = part / 255; return p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (one) => { for (; one; one = one.parentElement) {
        const color = getComputedStyle(one).backgroundColor;
        if (!/, 0\\)$|transparent/.test(color)) return color; }
        return "rgb(255, 255, 255)"; };
    const weak = [];
    for (const one of document.querySelectorAll(".mmpid-board *")) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        const exempt = "[aria-disabled=true], .mmpid-unseen, option, .mmpid-heat td";
        if (!own || !one.getClientRects().length || one.closest(exempt)) continue;
        const style = getComputedStyle(one), color = one instanceof SVGElement ? style.fill : style.color;
        const [a, b] = [luminance(color), luminance(ground(one instanceof SVGElement ? one.closest("div") : one))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) weak.push([one.textContent.slice(0, 30), ratio.toFixed(2), color]); }
    return weak; }"""
_ROWS = """() => ["head", "evidence", "toolbar", "time", "hero", "right", "lower", "foot"].map((name) => {
    const box = document.querySelector(`.mmpid-${name}`).getBoundingClientRect();
    return [name, Math.round(box.top), Math.round(box.height)]; })"""
_SMALL = """() => [...document.querySelectorAll(".mmpid-board button, .mmpid-board select, .mmpid-board [role=slider]")]
    .filter((one) => one.getClientRects().length).map((one) => [one, one.getBoundingClientRect()])
    .filter(([one, box]) => box.width < 23.5 || box.height < (one.matches(".mmpid-lane, .mmpid-thumb") ? 13.5 : 23.5))
    .map(([one, box]) => `${one.className} ${Math.round(box.width)}x${Math.round(box.height)}`)"""


_LISTEN = """() => { const spoken = document.querySelector("[role=status]"); window.said = [];
    new MutationObserver(() => window.said.push(spoken.textContent))
        .observe(spoken, { childList: true, characterData: true, subtree: true }); }"""


@pytest.fixture
def front(browser):
    """Return a function that shows a trainer's board in a bare page."""
    opened = []

    def show(trainer, **how) -> BarePage:
        board = Dashboard(trainer, mode="live")
        page = BarePage(browser, board._board.view, **how)
        page.board = board
        opened.append(page)
        return page

    yield show
    for page in opened:
        page.close()
        page.board.close()


def refresh(page) -> None:
    """Let the board publish, and send the page what it has now."""
    own = page.board._board
    deadline = time.monotonic() + 20
    while own.session.busy or own.publisher.shown != own.runs.version:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    page.update()


def expert(page) -> None:
    page.tab.get_by_role("radio", name="Expert").click()


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_picture_without_errors(front, state, tmp_path):
    page = front(STATES[state](), height=760)
    page.tab.screenshot(path=tmp_path / f"{state}.png")
    assert page.problems == []
    assert page.tab.locator(".mmpid-headline").inner_text()
    text = page.tab.locator(".mmpid-board").inner_text()
    assert "NaN" not in text and "undefined" not in text and "null" not in text
    paths = page.tab.eval_on_selector_all(".mmpid-board path", "all => all.map((p) => p.getAttribute('d') ?? '')")
    assert not any("NaN" in path for path in paths)


def test_no_whisker_of_the_column_leaves_its_box(front):
    """An amount is at least 0, although the lower end in the record can be below it."""
    trainer = trained(12)
    for row in trainer.record.rows:
        if row["kind"] == "probe":
            row |= {"unique1_low": -0.8}
    below = front(trainer, height=760).tab.eval_on_selector_all(
        ".mmpid-whisker",
        """all => all.map((one) => one.getBoundingClientRect().bottom
            - one.parentElement.querySelector(".mmpid-box").getBoundingClientRect().bottom)""",
    )
    assert len(below) == 3 and max(below) < 2


@pytest.mark.parametrize("state", ["empty", "paused", "finished", "six", "three"])
def test_the_simple_level_needs_no_scrolling_at_950_by_640(front, state):
    page = front(STATES[state](), width=950, height=640)
    height, wide = page.tab.evaluate(
        "() => [document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    )
    assert height <= 640 and wide <= 950


@pytest.mark.parametrize("width", [560, 700, 950, 1500, 1800])
@pytest.mark.parametrize("state", ["finished", "long names", "six"])
def test_nothing_is_wider_than_the_board(front, state, width):
    page = front(STATES[state](), width=width, height=900)
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= width
    expert(page)
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [700, 950, 1500])
def test_no_row_moves_while_it_trains(front, width):
    page = front(trained(0), width=width, height=900)
    first = page.tab.evaluate(_ROWS)
    for _ in range(5):
        page.board.session.step(epochs=6)
        refresh(page)
        assert page.tab.evaluate(_ROWS) == first
    assert page.board.trainer.finished


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("state", ["paused", "finished", "six"])
def test_words_have_a_contrast_of_at_least_four_and_a_half(front, state, dark):
    page = front(STATES[state](), dark=dark, height=800)
    page.tab.wait_for_function(
        f"() => document.querySelector('.mmpid-board').style.colorScheme === '{'dark' if dark else 'light'}'"
    )
    assert page.tab.evaluate(_CONTRAST) == []
    expert(page)
    assert page.tab.evaluate(_CONTRAST) == []


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("state", ["empty", "paused", "finished", "six"])
def test_axe_finds_no_violation(front, state, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    page = front(STATES[state](), dark=dark, height=800)
    for level in ("Simple", "Expert"):
        page.tab.get_by_role("radio", name=level).click()
        page.tab.wait_for_timeout(400)  # the theme is followed once style sheets are there
        found = axe.run(page.tab, ".mmpid-board")["violations"]
        assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


def test_every_target_is_large_enough(front):
    page = front(STATES["paused"](), height=900)
    assert page.tab.evaluate(_SMALL) == []
    expert(page)
    assert page.tab.evaluate(_SMALL) == []


def test_a_dark_theme_is_followed_when_it_changes(front):
    page = front(STATES["finished"]())
    page.tab.evaluate("() => { document.body.style.background = '#111'; }")
    page.tab.wait_for_function("() => document.querySelector('.mmpid-board').style.colorScheme === 'dark'")


def test_replay_moves_the_clock_through_all_charts_without_the_kernel(front):
    page = front(STATES["finished"]())
    page.tab.get_by_role("button", name="Replay").click()
    page.tab.locator(".mmpid-thumb", has_text="5").first.wait_for()
    assert page.tab.get_by_role("button", name="Pause", exact=True).count() == 1
    page.tab.get_by_role("button", name="Pause", exact=True).click()
    stopped = page.tab.locator(".mmpid-thumb").inner_text()
    page.tab.wait_for_timeout(700)
    assert page.tab.locator(".mmpid-thumb").inner_text() == stopped
    assert page.sent == []  # nothing is asked of the kernel
    assert "Next:" not in page.tab.locator(".mmpid-evidence").inner_text()
    page.tab.get_by_role("button", name="to epoch").click()
    assert "Next:" in page.tab.locator(".mmpid-evidence").inner_text()


def test_the_crosshair_is_in_every_chart(front):
    page = front(STATES["finished"]())
    box = page.tab.locator(".mmpid-graph-accuracy").bounding_box()
    page.tab.mouse.move(box["x"] + 100, box["y"] + 80)
    page.tab.wait_for_timeout(100)
    at = page.tab.evaluate("() => window.bare.el.mmpidBoard.charts.filter((c) => !c.root.hidden).map((c) => c.at)")
    assert len(set(at)) == 1 and 0 < at[0] < 30


def test_a_rewind_of_a_finished_run_asks_and_keeps_the_focus(front):
    page = front(STATES["finished"]())
    page.tab.locator(".mmpid-thumb").focus()
    page.tab.keyboard.press("Home")
    page.tab.get_by_role("button", name="Rewind", exact=True).click()
    page.board._board._hear(page.sent[-1])
    refresh(page)
    assert "leaves the finished model behind" in page.tab.locator(".mmpid-message").inner_text()
    assert page.tab.evaluate("() => document.activeElement.textContent").startswith("Rewind to epoch")
    page.tab.get_by_role("button", name="Cancel").click()
    page.board._board._hear(page.sent[-1])
    refresh(page)
    assert page.tab.evaluate("() => document.activeElement.closest('.mmpid-board') !== null")
    assert page.board.trainer.finished
    page.tab.locator(".mmpid-thumb").focus()
    page.tab.keyboard.press("Home")
    page.tab.get_by_role("button", name="Rewind", exact=True).click()
    page.board._board._hear(page.sent[-1])
    refresh(page)
    page.tab.locator(".mmpid-foot-buttons button").first.click()
    page.board._board._hear(page.sent[-1])
    refresh(page)
    assert not page.board.trainer.finished  # the controls work again, and the rewind can be taken back
    for name in ("Play", "Step"):
        assert page.tab.get_by_role("button", name=name, exact=True).get_attribute("aria-disabled") is None
    page.tab.get_by_role("button", name="Undo rewind").click()
    page.board._board._hear(page.sent[-1])
    refresh(page)
    assert page.board.trainer.finished


def test_the_focus_stays_when_joint_training_starts(front):
    page = front(STATES["paused"]())
    joint = page.tab.get_by_role("button", name="Start joint training", exact=True)
    joint.focus()
    page.tab.keyboard.press("Enter")
    page.board._board._hear(page.sent[-1])
    refresh(page)
    assert page.board.trainer.stage == "joint"
    assert page.tab.evaluate("() => document.activeElement.className").startswith("mmpid-button joint")


def test_no_key_leaves_the_board(front):
    page = front(STATES["paused"]())
    page.tab.evaluate(
        "() => { window.leaked = []; document.addEventListener('keydown', (e) => window.leaked.push(e.key)); }"
    )
    page.tab.locator(".mmpid-board").focus()
    for key in ("x", "x", "d", "a", "Enter", "ArrowLeft", "Escape", "z"):
        page.tab.keyboard.press(key)
    assert page.tab.evaluate("() => window.leaked") == []


def test_the_kernel_gone_is_said_and_looking_back_still_works(front):
    page = front(STATES["paused"]())
    page.tab.evaluate("() => { const board = window.bare.el.mmpidBoard; board.gone = true; board.render(true); }")
    said = page.tab.locator(".mmpid-message").inner_text()
    assert "run the notebook's cells" in said and "epoch 0" in said and "Trainer.load" in said
    page.tab.locator(".mmpid-thumb").focus()
    page.tab.keyboard.press("Home")
    assert page.tab.locator(".mmpid-thumb").inner_text() == "1"
    page.tab.keyboard.press("e")
    assert page.sent == []


def test_names_with_markup_are_text(front):
    page = front(STATES["long names"](), height=900)
    expert(page)
    assert page.tab.locator(".mmpid-board b", has_text=LONG[0][:6]).count() == 0
    assert page.tab.locator(".mmpid-lane").first.get_attribute("aria-label") == f"Pause {LONG[0]}"


def test_the_headline_is_read_aloud_once_a_situation(front):
    page = front(trained(4, epochs=60))
    page.tab.evaluate(_LISTEN)
    for _ in range(6):
        page.board.session.step(epochs=1)
        refresh(page)
    said = page.tab.evaluate("() => window.said")
    assert len(said) <= 3


def test_a_stopped_board_asks_the_kernel_for_nothing_but_saving(front):
    page = front(STATES["paused"]())
    page.board._board._hear({"do": "stop"})
    until(lambda: page.board._board.publisher.over)
    page.update()
    page.tab.locator(".mmpid-board").focus()
    for key in (" ", "e", "b", "n", "p", "m"):
        page.tab.keyboard.press(key)
    assert page.sent == []
    page.tab.get_by_role("button", name="More", exact=True).click()
    page.tab.get_by_role("menuitem", name="Save or report").click()
    page.tab.locator(".mmpid-popover").get_by_role("button", name="Save", exact=True).click()
    assert page.sent[-1]["do"] == "save"


def test_a_folded_part_opens_by_keyboard_and_says_that_it_is_open(browser):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    page = BarePage(browser, Fold(words="The charts' data as tables", html="<p>1, 2, 3</p>"))
    header = page.tab.get_by_role("button", name="The charts' data as tables")
    assert header.get_attribute("aria-expanded") == "false" and not page.tab.get_by_text("1, 2, 3").is_visible()
    header.focus()
    page.tab.keyboard.press("Enter")
    assert header.get_attribute("aria-expanded") == "true" and page.tab.get_by_text("1, 2, 3").is_visible()
    assert axe.run(page.tab, "main")["violations"] == [] and page.problems == []
    page.close()
