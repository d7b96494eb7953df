"""The run browser's page without a notebook: sort, filter and choose by mouse and keyboard, in both themes."""

import pytest

from mmpid.widgets import RunBrowser
from tests.browser.bare import BarePage
from tests.widgets.fake_trainer import FakeTrainer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

_ORDER = """() => [...document.querySelectorAll(".mmpid-runs tbody tr")].filter((row) => !row.hidden)
    .map((row) => row.querySelector("th").textContent)"""


def run_of(seed, epochs):
    trainer = FakeTrainer(epochs=epochs)
    trainer.record.metadata |= {"seed": seed, "created": f"2026-11-2{seed % 10}T10:00:00"}
    trainer.fit()
    return trainer


@pytest.fixture(scope="module")
def runs():
    return {"run 10": run_of(3, 12), "run 9": run_of(10, 8), "<b>run 2</b>": run_of(2, 10)}


@pytest.fixture
def show(browser, runs, tmp_path):
    opened = []

    def go(**how):
        (tmp_path / "damaged").mkdir(exist_ok=True)
        made = RunBrowser({**runs, "damaged": tmp_path}, mode="live")
        page = BarePage(browser, made._live.view, **how)
        page.runs = made
        opened.append(page)
        return page

    yield go
    for page in opened:
        page.close()
        page.runs.close()


def answer(page):
    """Let the browser hear the latest message, and send the page what it has then."""
    page.runs._live.hear(page.sent[-1])
    assert page.runs.wait(20)
    page.update()


def test_columns_sort_by_number_and_by_name_and_say_so(show):
    page = show()
    head = page.tab.get_by_role("button", name="seed")
    head.click()
    assert page.tab.evaluate(_ORDER) == ["<b>run 2</b>", "run 10", "run 9", "damaged"]  # 2, 3, 10: numbers
    assert head.locator("xpath=..").get_attribute("aria-sort") == "ascending"
    head.press("Enter")
    assert page.tab.evaluate(_ORDER) == ["run 9", "run 10", "<b>run 2</b>", "damaged"]  # what is damaged stays last
    page.tab.get_by_role("button", name="run", exact=True).click()
    assert page.tab.evaluate(_ORDER) == ["<b>run 2</b>", "run 9", "run 10", "damaged"]
    assert head.locator("xpath=..").get_attribute("aria-sort") == "none"
    assert page.sent == [] and page.problems == []  # the kernel is not asked


def test_the_filter_takes_several_words_and_says_how_many_are_left(show):
    page = show()
    page.tab.get_by_label("Filter the runs").fill("RUN 9")
    assert page.tab.evaluate(_ORDER) == ["run 9"]
    assert page.tab.get_by_text("1 of 4 rows shown").is_visible()
    page.tab.get_by_label("Filter the runs").fill("")
    assert len(page.tab.evaluate(_ORDER)) == 4


def test_boxes_choose_by_keyboard_and_keep_the_focus(show):
    page = show()
    first = [run.name for run in page.runs.chosen]
    left = next(name for name in ("run 10", "run 9", "<b>run 2</b>") if name not in first)
    page.tab.get_by_label(f"Compare {left}").focus()
    page.tab.keyboard.press("Space")
    assert page.sent[-1] == {"do": "choose", "name": left, "value": True}
    answer(page)
    assert len(page.runs.chosen) == 3 and "3 chosen" in page.tab.locator(".mmpid-headline").inner_text()
    focused = page.tab.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert focused == f"Compare {left}"
    assert page.tab.locator(".mmpid-graph-curves path.mmpid-line").count() == 3
    page.tab.keyboard.press("ArrowDown")
    page.tab.keyboard.press("ArrowUp")
    page.tab.keyboard.press("ArrowUp")
    assert page.tab.evaluate("() => document.activeElement.getAttribute('aria-label')").startswith("Compare ")
    page.tab.get_by_label("Curve", exact=True).select_option("training loss")
    answer(page)
    assert "nats" in page.tab.locator(".mmpid-chart-head").first.inner_text()
    fold = page.tab.get_by_role("button", name="The charts' data as tables")
    fold.click()
    answer(page)
    assert fold.get_attribute("aria-expanded") == "true"
    assert page.tab.locator(".mmpid-tables caption").count() == 2
    assert page.tab.locator(".mmpid-runs b").count() == 0 and page.problems == []  # names are text


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation_in_the_run_browser(show, dark):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    page = show(dark=dark, height=1400)
    page.tab.wait_for_function(
        f"() => document.querySelector('.mmpid-board').style.colorScheme === '{'dark' if dark else 'light'}'"
    )
    found = axe.run(page.tab, ".mmpid-board")["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("width", [560, 700, 950, 1500])
def test_the_run_browser_is_never_wider_than_its_page(show, width):
    page = show(width=width, height=1200)
    assert page.tab.evaluate("() => document.documentElement.scrollWidth") <= width
