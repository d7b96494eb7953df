"""The same notebook as a page without code: Voila, which is an extension of the same server."""

import re

import pytest

from tests.browser.lab import Page, write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CELLS = (
    "from fake_trainer import FakeTrainer\nfrom mmpid.widgets import Dashboard",
    "Dashboard(FakeTrainer(epochs=40, seconds=0.005))",
)


def test_the_board_is_live_in_voila(lab, browser, tmp_path):
    pytest.importorskip("voila", reason="voila is not installed")
    name = write_notebook(lab.folder, "page", CELLS)
    context = browser.new_context(viewport={"width": 1300, "height": 1400})
    page = Page(lab, context.new_page(), name, place="voila/render")
    page.tab.goto(f"{lab.address}/voila/render/{name}?token={lab.token}", timeout=90_000)
    page.tab.locator(".mmpid-status[data-state=idle]").wait_for(timeout=90_000)
    page.tab.get_by_role("button", name=re.compile(r"^\W*Play$")).click()
    page.tab.locator(".mmpid-status[data-state=finished]").wait_for(timeout=60_000)
    page.tab.locator(".mmpid-graph-known path.mmpid-area").first.wait_for(state="attached")
    page.screenshot("voila", tmp_path)
    context.close()
